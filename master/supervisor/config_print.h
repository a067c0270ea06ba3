/* SPDX-License-Identifier: ISC */
/*
 * config_print.h - the effective configuration as text
 */
#ifndef GANGER_SUPERVISOR_CONFIG_PRINT_H
#define GANGER_SUPERVISOR_CONFIG_PRINT_H

#include "ipc/buf.h"
#include "master/supervisor/config.h"
#include "master/supervisor/config_key.h"

/*
 * Append every key with its value to out, in the syntax of the file: reading
 * the text again gives the same configuration.  0, or out's error.
 */
int config_print(const struct config *c, struct buf *out);

/*
 * Append the value of one key, which is not KEY_OTHER, of the struct at base,
 * as it would stand in the file.
 */
void config_print_value(
    const struct config_key *k, const void *base, struct buf *out);

#endif
