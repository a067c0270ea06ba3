/* SPDX-License-Identifier: ISC */
/*
 * rate.c - how fast a count grows
 *
 * A moving average that forgets within some seconds.  Early on it forgets only
 * as far back as the start, so the first numbers are the plain mean.
 */
#include "ipc/client/cli/rate.h"

#define RATE_MEMORY_S 5.0

static double
seconds(struct mono from, struct mono to)
{
	return (double)(to.ns - from.ns) / 1e9;
}

void
rate_init(struct rate *r, struct mono now)
{
	r->start = r->last = now;
	r->done = 0;
	r->per_s = 0;
}

void
rate_update(struct rate *r, struct mono now, uint64_t done)
{
	double step, memory;

	if (done < r->done) {
		rate_init(r, now);
		r->done = done;
		return;
	}
	step = seconds(r->last, now);
	if (step <= 0)
		return;
	memory = seconds(r->start, r->last);
	if (memory > RATE_MEMORY_S)
		memory = RATE_MEMORY_S;
	r->per_s += ((double)(done - r->done) / step - r->per_s) * step /
		    (step + memory);
	r->last = now;
	r->done = done;
}

int64_t
rate_left_ms(const struct rate *r, uint64_t total)
{
	double ms;

	if (total <= r->done)
		return 0;
	if (r->per_s <= 0)
		return -1;
	ms = (double)(total - r->done) / r->per_s * 1000;
	/* Over a century is no forecast. */
	return ms < 100.0 * 365 * 86400 * 1000 ? (int64_t)ms : -1;
}
