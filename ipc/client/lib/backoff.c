/* SPDX-License-Identifier: ISC */
/*
 * backoff.c - when to try again to reach a daemon that went away
 */
#include "ipc/client/lib/backoff.h"

#include <string.h>

void
backoff_init(struct backoff *b, int64_t limit_ms)
{
	memset(b, 0, sizeof(*b));
	b->limit_ms = limit_ms;
}

void
backoff_lost(struct backoff *b, struct mono now)
{
	if (b->in_series &&
	    (b->up.ns == 0 || mono_until_ms(b->up, now) < BACKOFF_HELD_MS))
		return;
	b->in_series = true;
	b->up.ns = 0;
	b->end.ns = INT64_MAX;
	if (b->limit_ms >= 0)
		b->end = mono_add_ms(now, b->limit_ms);
	b->next = now;
	b->delay_ms = BACKOFF_FIRST_MS;
}

void
backoff_up(struct backoff *b, struct mono now)
{
	b->up = now;
}

bool
backoff_is_over(struct backoff *b, struct mono now)
{
	if (mono_reached(now, b->end))
		b->in_series = false;
	return !b->in_series;
}

void
backoff_step(struct backoff *b, struct mono now)
{
	b->next = mono_add_ms(now, b->delay_ms);
	b->delay_ms *= 2;
	if (b->delay_ms > BACKOFF_MOST_MS)
		b->delay_ms = BACKOFF_MOST_MS;
}
