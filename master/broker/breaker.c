/* SPDX-License-Identifier: ISC */
/*
 * breaker.c - when the tasks of a name are held back, and for how long
 *
 * A circuit breaker (Nygard, Release It!, 2007) whose failures are dead
 * workers: a handler's error is an answer like any other.
 */
#include "master/broker/breaker.h"

static void
open_for(struct breaker *k, int64_t wait_ms, struct mono now)
{
	k->state = BREAKER_OPEN;
	k->probe = 0;
	k->wait_ms = wait_ms;
	k->until = mono_add_ms(now, wait_ms);
}

bool
breaker_strike(struct breaker *k, uint64_t id, struct mono now)
{
	int64_t wait_ms;

	k->strikes++;
	switch (k->state) {
	case BREAKER_CLOSED:
		if (k->strikes < BREAKER_STRIKES)
			return false;
		open_for(k, BREAKER_WAIT_MS, now);
		return true;
	case BREAKER_OPEN:
		/* One that was running already: nothing new. */
		return false;
	case BREAKER_PROBING:
		if (id != k->probe)
			return false;
		wait_ms = k->wait_ms * 2;
		open_for(k,
		    wait_ms < BREAKER_WAIT_MAX_MS ? wait_ms
						  : BREAKER_WAIT_MAX_MS,
		    now);
		return true;
	}
	return false;
}

static bool
close_it(struct breaker *k)
{
	bool was_open = k->state != BREAKER_CLOSED;

	k->state = BREAKER_CLOSED;
	k->strikes = 0;
	k->wait_ms = 0;
	k->until.ns = 0;
	k->probe = 0;
	return was_open;
}

bool
breaker_success(struct breaker *k)
{
	return close_it(k);
}

bool
breaker_answer(struct breaker *k, uint64_t id)
{
	return k->state == BREAKER_PROBING && k->probe == id && close_it(k);
}

void
breaker_lost(struct breaker *k, uint64_t id)
{
	/* The wait is over: the next one need not wait again. */
	if (k->state == BREAKER_PROBING && k->probe == id) {
		k->state = BREAKER_OPEN;
		k->probe = 0;
	}
}

bool
breaker_is_due(const struct breaker *k, struct mono now)
{
	return k->state == BREAKER_OPEN && mono_reached(now, k->until);
}

void
breaker_try(struct breaker *k, uint64_t id)
{
	k->state = BREAKER_PROBING;
	k->probe = id;
}
