/* SPDX-License-Identifier: ISC */
/*
 * rate.h - how fast a count grows, and when it will be at its end
 *
 * Pure: the caller tells the time.
 */
#ifndef GANGER_CLI_RATE_H
#define GANGER_CLI_RATE_H

#include <stdint.h>

#include "ipc/clock.h"

struct rate {
	struct mono start, last;
	uint64_t done; /* at last */
	double per_s;  /* smoothed; 0 until something was done */
};

void rate_init(struct rate *r, struct mono now);

/* Note that `done` is the count at `now`.  One that shrank starts anew. */
void rate_update(struct rate *r, struct mono now, uint64_t done);

/* Milliseconds until the count is `total`; -1: not to be told. */
int64_t rate_left_ms(const struct rate *r, uint64_t total);

#endif
