/* SPDX-License-Identifier: ISC */
/*
 * limit.c - the soft time limits of the jobs in a pool
 *
 * A job's time begins with its run, which the main thread is not told of: so
 * the timer is set for the earliest that a limit can be over, and if it was
 * too early it is set again.
 */
#include "worker/limit.h"

/* A look at every job. */
struct look {
	struct mono now;
	int64_t next_ms; /* until the first that can be over; 0: none */
};

static void
set_timer(struct limit *l, int64_t ms)
{
	ev_timer_stop(l->loop, &l->timer);
	ev_timer_set(&l->timer, (double)ms / 1000., 0.);
	ev_timer_start(l->loop, &l->timer);
}

static void
look_at(void *arg, struct ganger_task *t)
{
	struct look *look = arg;
	int64_t left_ms;

	left_ms = job_stop_late(t, look->now);
	if (left_ms > 0 && (look->next_ms == 0 || left_ms < look->next_ms))
		look->next_ms = left_ms;
}

static void
on_due(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct limit *l = w->data;
	struct look look = {.now = mono_now()};

	(void)loop;
	(void)revents;
	pool_visit(l->pool, look_at, &look);
	if (look.next_ms > 0)
		set_timer(l, look.next_ms);
}

void
limit_init(struct limit *l, struct ev_loop *loop, struct pool *pool)
{
	l->loop = loop;
	l->pool = pool;
	ev_timer_init(&l->timer, on_due, 0., 0.);
	l->timer.data = l;
}

void
limit_watch(struct limit *l, int64_t soft_timeout_ms)
{
	if (soft_timeout_ms <= 0)
		return;
	if (!ev_is_active(&l->timer) ||
	    ev_timer_remaining(l->loop, &l->timer) * 1000. >
		(double)soft_timeout_ms)
		set_timer(l, soft_timeout_ms);
}
