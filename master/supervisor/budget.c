/* SPDX-License-Identifier: ISC */
/*
 * budget.c - so many a second, with a reserve for bursts
 */
#include "master/supervisor/budget.h"

#define NS_PER_S INT64_C(1000000000)

void
budget_init(
    struct budget *b, unsigned per_second, unsigned burst, struct mono now)
{
	b->per_second = per_second;
	b->burst = b->left = burst;
	b->since = now;
}

static void
refill(struct budget *b, struct mono now)
{
	int64_t ns = now.ns - b->since.ns, full_ns, n;

	if (ns <= 0)
		return;
	/* Enough to fill it, and so that nothing overflows. */
	full_ns = (int64_t)(b->burst - b->left) * NS_PER_S / b->per_second + 1;
	if (ns >= full_ns) {
		b->left = b->burst;
		b->since = now;
		return;
	}
	n = ns / (NS_PER_S / b->per_second);
	b->left += (unsigned)n;
	if (b->left > b->burst)
		b->left = b->burst;
	/* What was not enough for one more is kept. */
	b->since.ns += n * (NS_PER_S / b->per_second);
}

bool
budget_take(struct budget *b, struct mono now)
{
	refill(b, now);
	if (b->left == 0)
		return false;
	b->left--;
	return true;
}
