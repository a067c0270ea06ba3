/* SPDX-License-Identifier: ISC */
/*
 * clock.h - monotonic instants, wall-clock milliseconds, RFC 3339
 *
 * Timers use struct mono, which can't be mixed up with wall time or with a
 * length of time.  Wall times are milliseconds since 1970-01-01T00:00:00Z.
 */
#ifndef GANGER_IPC_CLOCK_H
#define GANGER_IPC_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* An instant of CLOCK_MONOTONIC. */
struct mono {
	int64_t ns;
};

/* A buffer for wall_format: "2026-11-21T06:50:36.123Z" and NUL. */
#define WALL_SIZE 32

struct mono mono_now(void);

/* t + ms; saturates instead of overflowing. */
struct mono mono_add_ms(struct mono t, int64_t ms);

/* Milliseconds from `from` to `to`, rounded up; negative if `to` is earlier. */
int64_t mono_until_ms(struct mono from, struct mono to);

/* True when `due` is not after `now`. */
bool mono_reached(struct mono now, struct mono due);

int64_t wall_now_ms(void);

/* Write ms as RFC 3339 in UTC with milliseconds. */
void wall_format(int64_t ms, char out[WALL_SIZE]);

/*
 * Parse RFC 3339 ("2026-11-21T06:50:36[.fff](Z|+hh:mm)", a blank for the T is
 * allowed).  -EINVAL: not such a time; *ms_out is then untouched.
 */
int wall_parse(const char *text, int64_t *ms_out);

#endif
