/* SPDX-License-Identifier: ISC */
/*
 * duration.h - lengths of time as people write them
 */
#ifndef GANGER_CLI_DURATION_H
#define GANGER_CLI_DURATION_H

#include <stdint.h>

/*
 * Parse a whole number and its unit, "250ms" "30s" "5m" "1h" "2d", or "0".
 * -EINVAL: not a duration.  -ERANGE: too long.
 */
int duration_parse(const char *text, int64_t *ms_out);

#endif
