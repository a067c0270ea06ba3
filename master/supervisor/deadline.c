/* SPDX-License-Identifier: ISC */
/*
 * deadline.c - a timer for what must not happen too early
 */
#include "master/supervisor/deadline.h"

#include <string.h>

static void
arm(struct deadline *d, int64_t ms)
{
	ev_timer_stop(d->loop, &d->timer);
	ev_now_update(d->loop);
	ev_timer_set(&d->timer, (double)ms / 1000., 0.);
	ev_timer_start(d->loop, &d->timer);
}

static void
on_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct deadline *d = w->data;

	(void)loop;
	(void)revents;
	if (!d->skipped &&
	    mono_reached(mono_now(), mono_add_ms(d->due, DEADLINE_LATE_MS))) {
		d->skipped = true;
		d->due = mono_add_ms(mono_now(), d->ms);
		arm(d, d->ms);
	} else if (!d->reading) {
		/* The kernel may have told of the time only. */
		d->reading = true;
		arm(d, 0);
	} else {
		d->fn(d->arg);
	}
}

void
deadline_init(
    struct deadline *d, struct ev_loop *loop, void (*fn)(void *arg), void *arg)
{
	memset(d, 0, sizeof(*d));
	d->loop = loop;
	d->fn = fn;
	d->arg = arg;
	ev_timer_init(&d->timer, on_timer, 0., 0.);
	/* What was read in the same turn comes first. */
	ev_set_priority(&d->timer, EV_MINPRI);
	d->timer.data = d;
}

void
deadline_set(struct deadline *d, int64_t ms)
{
	d->ms = ms;
	d->skipped = d->reading = false;
	d->due = mono_add_ms(mono_now(), ms);
	arm(d, ms);
}

void
deadline_stop(struct deadline *d)
{
	ev_timer_stop(d->loop, &d->timer);
}

bool
deadline_is_set(const struct deadline *d)
{
	/* One that is over is set until it was told of. */
	return ev_is_active(&d->timer) || ev_is_pending(&d->timer);
}

int64_t
deadline_left_ms(const struct deadline *d)
{
	int64_t ms;

	if (!deadline_is_set(d))
		return 0;
	ms = mono_until_ms(mono_now(), d->due);
	return ms > 0 ? ms : 1;
}
