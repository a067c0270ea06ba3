/* SPDX-License-Identifier: ISC */
/*
 * deadline.h - a timer for what must not happen too early
 *
 * When this process itself was stopped (SIGSTOP, a suspended machine, a
 * debugger), its timers fire late and all at once, while what they wait for may
 * already be there, unread.  A deadline that comes late is set once more before
 * it counts.
 */
#ifndef GANGER_SUPERVISOR_DEADLINE_H
#define GANGER_SUPERVISOR_DEADLINE_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "ipc/clock.h"

#define DEADLINE_LATE_MS 1000 /* later than this is late */

struct deadline {
	struct ev_loop *loop; /* borrowed */
	struct ev_timer timer;
	struct mono due;
	int64_t ms;
	bool skipped; /* it came late once already */
	bool reading; /* it is due, once the loop has gone round */
	void (*fn)(void *arg);
	void *arg;
};

void deadline_init(
    struct deadline *d, struct ev_loop *loop, void (*fn)(void *arg), void *arg);

/* Call fn in ms milliseconds; an earlier setting is void. */
void deadline_set(struct deadline *d, int64_t ms);
void deadline_stop(struct deadline *d);
bool deadline_is_set(const struct deadline *d);

/* Milliseconds that are left, at least 1 while it is set; 0: it is not. */
int64_t deadline_left_ms(const struct deadline *d);

#endif
