/* SPDX-License-Identifier: ISC */
/*
 * backoff.h - when to try again to reach a daemon that went away
 *
 * Losses come in series: one that follows within BACKOFF_HELD_MS of a success
 * belongs to the series before it, so that a daemon which dies of what it is
 * asked is not asked for ever.  Pure: it is given the time.
 */
#ifndef GANGER_CLIENT_BACKOFF_H
#define GANGER_CLIENT_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/clock.h"

#define BACKOFF_HELD_MS  5000
#define BACKOFF_FIRST_MS 10
#define BACKOFF_MOST_MS  1000

struct backoff {
	int64_t limit_ms; /* of a series; 0: no attempt, negative: no end */
	bool in_series;
	struct mono up;   /* when the daemon was reached last */
	struct mono end;  /* of the series; INT64_MAX: never */
	struct mono next; /* the next attempt is not before this */
	int64_t delay_ms; /* between that one and the one behind it */
};

void backoff_init(struct backoff *b, int64_t limit_ms);

/*
 * The connection is lost: begin a series, or go on with the one that the loss
 * belongs to.  Until backoff_up, calls behind the first one change nothing.
 */
void backoff_lost(struct backoff *b, struct mono now);

/* The daemon was reached. */
void backoff_up(struct backoff *b, struct mono now);

/*
 * True when the series is over: nothing is to be tried any more, until a call
 * of backoff_lost begins the next one.
 */
bool backoff_is_over(struct backoff *b, struct mono now);

/* An attempt is made: from now on b->next is that of the next one. */
void backoff_step(struct backoff *b, struct mono now);

#endif
