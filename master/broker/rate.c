/* SPDX-License-Identifier: ISC */
/*
 * rate.c - so many in so long: a token bucket
 *
 * The level is counted in parts of a token: each nanosecond brings `count` of
 * them, and a token has per_ns.  Nothing is divided but to name an instant, so
 * nothing is lost to rounding.
 */
#include "master/broker/rate.h"

#include <assert.h>
#include <string.h>

#define SECOND_MS INT64_C(1000)
#define MS_NS     INT64_C(1000000)

__extension__ typedef unsigned __int128 wide;

void
rate_init(struct rate *r)
{
	memset(r, 0, sizeof(*r));
}

/* What is in the bucket at now.  A clock that went back brings nothing. */
static uint64_t
level_at(const struct rate *r, struct mono now)
{
	uint64_t missing = r->full - r->level, ns;

	if (now.ns <= r->at.ns)
		return r->level;
	ns = (uint64_t)(now.ns - r->at.ns);
	if (ns >= missing / r->count + 1)
		return r->full;
	ns *= r->count;
	return ns < missing ? r->level + ns : r->full;
}

/* Bring the level up to now. */
static void
fill(struct rate *r, struct mono now)
{
	r->level = level_at(r, now);
	if (now.ns > r->at.ns)
		r->at = now;
}

void
rate_set(struct rate *r, uint64_t count, int64_t per_ms, struct mono now)
{
	uint64_t per_ns, most;
	wide level;

	assert(count <= (uint64_t)RATE_COUNT_MAX);
	if (count == 0) {
		rate_init(r);
		return;
	}
	assert(per_ms >= 1 && per_ms <= RATE_MS_MAX);
	per_ns = (uint64_t)(per_ms * MS_NS);
	if (count == r->count && per_ns == r->per_ns)
		return;
	most = count * SECOND_MS / (uint64_t)per_ms;
	most = (most > 1 ? most : 1) * per_ns;
	level = most;
	if (r->count > 0) {
		fill(r, now);
		level = (wide)r->level * per_ns / r->per_ns;
	}
	r->level = level < most ? (uint64_t)level : most;
	/* An instant is rounded up: what it brings too much is not lost. */
	r->full = most + count - 1;
	r->count = count;
	r->per_ns = per_ns;
	r->at = now;
}

bool
rate_take_ok(const struct rate *r, struct mono now)
{
	return r->count == 0 || level_at(r, now) >= r->per_ns;
}

void
rate_take(struct rate *r, struct mono now)
{
	if (r->count == 0)
		return;
	fill(r, now);
	assert(r->level >= r->per_ns);
	r->level -= r->per_ns;
}

struct mono
rate_due(const struct rate *r, struct mono now)
{
	struct mono due = r->at;
	uint64_t missing;

	if (rate_take_ok(r, now))
		return now;
	missing = r->per_ns - level_at(r, now);
	if (now.ns > due.ns)
		due = now;
	due.ns += (int64_t)((missing + r->count - 1) / r->count);
	return due;
}
