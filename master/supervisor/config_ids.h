/* SPDX-License-Identifier: ISC */
/*
 * config_ids.h - the ids of a configuration's accounts as text
 *
 * Looking an account up can take as long as a network does, so the master has
 * it done by another process, and takes the numbers.  Pure.
 */
#ifndef GANGER_SUPERVISOR_CONFIG_IDS_H
#define GANGER_SUPERVISOR_CONFIG_IDS_H

#include "ipc/buf.h"
#include "master/supervisor/config.h"

/*
 * Append all uids and gids of c, as numbers in an order that depends on nothing
 * but the rest of c.  0, or out's error.
 */
int config_ids_print(const struct config *c, struct buf *out);

/*
 * Set the ids of c to those of text.  -EINVAL: they are not of an equal
 * configuration; some may be set.
 */
int config_ids_take(struct config *c, const char *text);

#endif
