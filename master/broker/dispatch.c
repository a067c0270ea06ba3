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
#include "master/broker/life.h"

static void
feed_suspects(struct broker *b, struct shift *s)
{
	struct task *t;
	struct chan *c;

	while ((t = TAILQ_FIRST(&s->suspects)) != NULL &&
	       (c = shift_lone_chan(s)) != NULL)
		life_start(b, t, c);
}

static void
feed(struct broker *b, struct shift *s)
{
	struct crew_source *source;
	struct task *t;
	struct chan *c;

	if (!TAILQ_EMPTY(&s->suspects))
		feed_suspects(b, s);
	if (TAILQ_EMPTY(&s->suspects))
		shift_release_kept(s);
	while ((c = shift_free_chan(s)) != NULL &&
	       (t = crew_peek(s, &source)) != NULL) {
		crew_charge(s->crew, source);
		life_start(b, t, c);
	}
}

void
dispatch_run(struct broker *b)
{
	struct shift *s;
	size_t i;

	for (i = 0; i < b->n_crews; i++)
		TAILQ_FOREACH(s, &b->crews[i]->shifts, entry) {
			if (!s->over)
				feed(b, s);
		}
}
