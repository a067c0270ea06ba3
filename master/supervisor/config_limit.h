/* SPDX-License-Identifier: ISC */
/*
 * config_limit.h - the limits of a pool's processes, from text and to text
 *
 * Pure.  "" stands for what is not set.  Parsers return 0, or -EINVAL for text
 * that is not of that form and -ERANGE for a value outside of the bounds;
 * outputs are then untouched.
 */
#ifndef GANGER_SUPERVISOR_CONFIG_LIMIT_H
#define GANGER_SUPERVISOR_CONFIG_LIMIT_H

#include "ipc/buf.h"
#include "master/supervisor/config.h"
#include "master/supervisor/config_key.h"
#include "master/supervisor/config_value.h"

/* A mode that is taken away from new files; CONFIG_NO_UMASK for "". */
int config_limit_parse_umask(const char *text, mode_t *out);
void config_limit_format_umask(mode_t umask, char out[VALUE_TEXT_SIZE]);

/*
 * Processors and ranges of them, like "0-3,6".  -ERANGE: a number is not below
 * CPU_SETSIZE.  Formatting gives the shortest list in ascending order, and
 * appends it to out.
 */
int config_limit_parse_cpus(const char *text, struct config_cpus *out);
void config_limit_format_cpus(const struct config_cpus *cpus, struct buf *out);

/*
 * A resource limit, of the form that the key's type says: a size, a count, or
 * seconds ("90") and durations ("5m") that are whole seconds; or "unlimited".
 */
int config_limit_parse(
    const struct config_key *k, const char *text, struct config_rlimit *out);
void config_limit_format(const struct config_key *k,
    const struct config_rlimit *limit, char out[VALUE_TEXT_SIZE]);

#endif
