/* SPDX-License-Identifier: ISC */
/*
 * load.c - tell the master how busy the pools are that follow their load
 *
 * The timer runs only after something was told, so a broker whose pools are
 * idle, or just busy, does not wake up for this.
 */
#include "master/broker/load.h"

#define LOAD_INTERVAL 0.5 /* s between reports, at the least */

/* Nothing to do: the turn that it makes ends with load_tell. */
static void
on_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	(void)loop;
	(void)w;
	(void)revents;
}

void
load_init(struct broker *b)
{
	ev_timer_init(&b->load_timer, on_timer, LOAD_INTERVAL, 0.);
}

void
load_done(struct broker *b)
{
	ev_timer_stop(b->loop, &b->load_timer);
}

/* Since when the first one of a lane has been waiting, if that is earlier. */
static void
find_oldest(const struct ready *r, struct mono *oldest)
{
	const struct task *t;
	unsigned p;

	for (p = 0; p < PROTO_PRIORITIES; p++) {
		t = TAILQ_FIRST(&r->by_priority[p]);
		if (t != NULL &&
		    (oldest->ns == 0 || t->ready_at.ns < oldest->ns))
			*oldest = t->ready_at;
	}
}

/* How many tasks wait that w could run, and since when the oldest one does. */
static uint64_t
count_ready(const struct crew *w, struct mono *oldest)
{
	shift_set set = crew_shifts(w);
	const struct shift *s;
	const struct lane *lane;
	const struct task *t;
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < w->n_sources; i++)
		SLIST_FOREACH(lane, &w->sources[i].queue->lanes, entry)
		{
			if ((lane->shifts & set) == 0 || lane->ready.n == 0)
				continue;
			n += lane->ready.n;
			find_oldest(&lane->ready, oldest);
		}
	TAILQ_FOREACH(s, &w->shifts, entry) {
		TAILQ_FOREACH(t, &s->suspects, entry) {
			n++;
			if (oldest->ns == 0 || t->ready_at.ns < oldest->ns)
				*oldest = t->ready_at;
		}
	}
	return n;
}

/* True when w was told of. */
static bool
tell(struct broker *b, struct crew *w)
{
	struct mono oldest = {0}, now = mono_now();
	struct crew_load load = {
	    .ready = count_ready(w, &oldest),
	    .busy = w->n_running,
	    .threads = w->n_threads,
	};
	int64_t age_ms;

	if (load.ready == 0 && w->told.ready == 0 &&
	    load.busy == w->told.busy && load.threads == w->told.threads)
		return false;
	age_ms = oldest.ns == 0 ? 0 : (now.ns - oldest.ns) / 1000000;
	w->told = load;
	(void)ctl_send(&b->ctl, -1, "pool.load", "{s:s,s:I,s:I,s:I,s:I}",
	    "pool", w->name, "ready", (json_int_t)load.ready, "oldest_ms",
	    (json_int_t)age_ms, "busy", (json_int_t)load.busy, "threads",
	    (json_int_t)load.threads);
	return true;
}

void
load_tell(struct broker *b)
{
	bool told = false;
	size_t i;

	if (b->phase != BROKER_SERVING || ev_is_active(&b->load_timer))
		return;
	for (i = 0; i < b->n_crews; i++) {
		struct crew *w = b->crews[i];

		if (w->settings->scales && w->state != CREW_LEAVING)
			told = tell(b, w) || told;
	}
	if (told) {
		ev_timer_set(&b->load_timer, LOAD_INTERVAL, 0.);
		ev_timer_start(b->loop, &b->load_timer);
	}
}
