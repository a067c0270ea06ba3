/* SPDX-License-Identifier: ISC */
/*
 * rate.h - so many in so long: a token bucket
 *
 * Pure.  The bucket fills evenly and holds what a second brings, at least one
 * token; it is full at the start.  Its arithmetic is exact, so that over a long
 * time no more and no fewer are given than the rate says.
 */
#ifndef GANGER_BROKER_RATE_H
#define GANGER_BROKER_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/clock.h"

/* Bounds of what rate_set takes: a token costs a nanosecond at least, and an
 * empty bucket is told from a full one within 64 bits. */
#define RATE_COUNT_MAX INT64_C(1000000)
#define RATE_MS_MAX    INT64_C(86400000)

struct rate {
	uint64_t count;  /* tokens in per_ns; 0: no limit */
	uint64_t per_ns; /* what a token weighs in the bucket, too */
	uint64_t level;  /* in it at `at`; count for each ns, up to `full` */
	uint64_t full;
	struct mono at;
};

/* No limit. */
void rate_init(struct rate *r);

/*
 * From now on count tokens, up to RATE_COUNT_MAX, in per_ms, 1 to RATE_MS_MAX;
 * with count 0 there is no limit.  The tokens that are there stay, as far as
 * the bucket holds them; one that had no limit is full.
 */
void rate_set(struct rate *r, uint64_t count, int64_t per_ms, struct mono now);

/* True when a token can be taken at now. */
bool rate_take_ok(const struct rate *r, struct mono now);

/* Take one, which is there. */
void rate_take(struct rate *r, struct mono now);

/* When a token is there: now, or the instant that brings the next one. */
struct mono rate_due(const struct rate *r, struct mono now);

#endif
