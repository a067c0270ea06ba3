/* SPDX-License-Identifier: ISC */
/*
 * budget.h - so many a second, with a reserve for bursts
 *
 * Pure: a token bucket that is given the time.
 */
#ifndef GANGER_SUPERVISOR_BUDGET_H
#define GANGER_SUPERVISOR_BUDGET_H

#include <stdbool.h>

#include "ipc/clock.h"

struct budget {
	unsigned per_second; /* at most 1,000,000 */
	unsigned burst;      /* at most so many at once; at most 1,000,000 */
	unsigned left;       /* always <= burst */
	struct mono since;   /* left is as of then */
};

/* A full one. */
void budget_init(
    struct budget *b, unsigned per_second, unsigned burst, struct mono now);

/* Take one; false if none is left. */
bool budget_take(struct budget *b, struct mono now);

#endif
