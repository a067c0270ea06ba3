/* SPDX-License-Identifier: ISC */
/*
 * dispatch.c - hand ready tasks to idle threads
 *
 * A worker never has more tasks than threads, so no task waits inside one while
 * another worker idles.  Workers take turns, so that tasks spread over the
 * processors.  Suspects go first: they have been there before.
 */
#include "master/broker/dispatch.h"

#include "master/broker/chan.h"
#include "master/broker/holdback.h"
#include "master/broker/run.h"

/* The suspect that is next of those that can be started. */
static struct task *
next_suspect(const struct shift *s, struct mono now)
{
	struct task *t;

	TAILQ_FOREACH(t, &s->suspects, entry) {
		if (crew_may_start(s->crew, t->queue, now))
			return t;
	}
	return NULL;
}

/* True when suspects are left that only lack a worker. */
static bool
feed_suspects(struct broker *b, struct shift *s, struct mono now)
{
	struct task *t;
	struct chan *c;

	while ((t = next_suspect(s, now)) != NULL) {
		c = shift_lone_chan(s);
		if (c == NULL)
			return true;
		crew_charge(
		    s->crew, crew_find_source(s->crew, t->queue), t, now);
		run_start(b, t, c);
	}
	return false;
}

static void
feed(struct broker *b, struct shift *s, struct mono now)
{
	struct crew_source *source;
	struct task *t;
	struct chan *c;

	if (!feed_suspects(b, s, now))
		shift_release_kept(s);
	while ((c = shift_free_chan(s)) != NULL &&
	       (t = crew_peek(s, now, &source)) != NULL) {
		if (holdback_keeps(t)) {
			holdback_take(b, t);
			continue;
		}
		crew_charge(s->crew, source, t, now);
		run_start(b, t, c);
	}
}

void
dispatch_run(struct broker *b)
{
	struct mono now = mono_now(), wake = {0};
	struct shift *s;
	size_t i;

	for (i = 0; i < b->n_crews; i++) {
		struct crew *w = b->crews[i];

		w->wake.ns = 0;
		TAILQ_FOREACH(s, &w->shifts, entry) {
			if (!s->over)
				feed(b, s, now);
		}
		if (w->wake.ns != 0 && (wake.ns == 0 || w->wake.ns < wake.ns))
			wake = w->wake;
	}
	throttle_arm(&b->throttle, wake);
}
