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
feed_suspects(struct broker *b, struct crew *w)
{
	struct task *t;
	struct chan *c;

	while ((t = TAILQ_FIRST(&w->suspects)) != NULL &&
	       (c = crew_lone_chan(w)) != NULL)
		life_start(b, t, c);
}

static void
feed(struct broker *b, struct crew *w)
{
	struct crew_source *source;
	struct task *t;
	struct chan *c;

	if (!TAILQ_EMPTY(&w->suspects))
		feed_suspects(b, w);
	if (TAILQ_EMPTY(&w->suspects))
		crew_release_kept(w);
	while ((c = crew_free_chan(w)) != NULL &&
	       (t = crew_peek(w, &source)) != NULL) {
		crew_charge(w, source);
		life_start(b, t, c);
	}
}

void
dispatch_run(struct broker *b)
{
	size_t i;

	for (i = 0; i < b->n_crews; i++)
		feed(b, &b->crews[i]);
}
