/* SPDX-License-Identifier: ISC */
/*
 * duration.c - lengths of time as people write them
 */
#include "ipc/client/cli/duration.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

static const struct {
	const char *name;
	int64_t ms;
} units[] = {
    {"ms", 1},
    {"s", 1000},
    {"m", 60 * 1000},
    {"h", 3600 * 1000},
    {"d", 24 * 3600 * 1000},
};

static int
find_unit(const char *name, int64_t *ms_out)
{
	size_t i;

	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(name, units[i].name) == 0) {
			*ms_out = units[i].ms;
			return 0;
		}
	}
	return -EINVAL;
}

int
duration_parse(const char *text, int64_t *ms_out)
{
	const char *p;
	int64_t n, unit;

	n = 0;
	for (p = text; isdigit((unsigned char)*p); p++)
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, *p - '0', &n))
			return -ERANGE;
	if (p == text)
		return -EINVAL;
	if (n == 0 && *p == '\0') {
		*ms_out = 0;
		return 0;
	}
	if (find_unit(p, &unit) < 0)
		return -EINVAL;
	if (__builtin_mul_overflow(n, unit, &n))
		return -ERANGE;
	*ms_out = n;
	return 0;
}
