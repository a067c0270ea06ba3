/* SPDX-License-Identifier: ISC */
/*
 * throttle.c - wake up when a queue's rate lets it go on
 *
 * The timer does nothing by itself: tasks are handed out at the end of every
 * turn of the loop.  It is set only while a task waits for a token that an idle
 * worker would take, so a broker with nothing to do is not woken.
 */
#include "master/broker/throttle.h"

static void
on_wake(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct throttle *t = w->data;

	(void)loop;
	(void)revents;
	t->wake.ns = 0;
}

void
throttle_init(struct throttle *t, struct ev_loop *loop)
{
	t->loop = loop;
	t->wake.ns = 0;
	ev_timer_init(&t->timer, on_wake, 0., 0.);
	t->timer.data = t;
}

void
throttle_done(struct throttle *t)
{
	ev_timer_stop(t->loop, &t->timer);
}

void
throttle_arm(struct throttle *t, struct mono wake)
{
	int64_t ns;

	if (wake.ns == t->wake.ns)
		return;
	ev_timer_stop(t->loop, &t->timer);
	t->wake = wake;
	if (wake.ns == 0)
		return;
	ns = wake.ns - mono_now().ns;
	ev_now_update(t->loop);
	ev_timer_set(&t->timer, ns > 0 ? (double)ns / 1e9 : 0., 0.);
	ev_timer_start(t->loop, &t->timer);
}
