/* SPDX-License-Identifier: ISC */
/*
 * probe.h - which tasks each pool can run, found out in a child
 *
 * Modules are other people's code: the master never loads one.  A child does,
 * as a worker would, tells the names and ends.
 */
#ifndef GANGER_MASTER_PROBE_H
#define GANGER_MASTER_PROBE_H

#include <jansson.h>

#include "ipc/buf.h"
#include "master/supervisor/config.h"

/*
 * Check every pool's modules and commands.  *names_out is a new array with an
 * array of names for each pool, in their order.  -EINVAL: what is wrong was
 * appended to mistakes_out, a line each.  Else -errno.
 */
int probe_pools(
    const struct config *c, json_t **names_out, struct buf *mistakes_out);

#endif
