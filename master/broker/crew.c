/* SPDX-License-Identifier: ISC */
/*
 * crew.c - a pool as the broker sees it: its workers and its queues
 *
 * Weights are kept by stride scheduling (Waldspurger and Weihl, 1995): each
 * queue has a virtual time that grows by 1/weight with each of its tasks, and
 * the one that lags most is next.  A queue that was empty starts from now, so
 * it can't save up turns.
 */
#include "master/broker/crew.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "master/broker/chan.h"

#define STRIDE UINT64_C(1000000) /* virtual time of a task at weight 1 */

int
crew_init(struct crew *w, struct broker *b, unsigned index,
    const struct broker_pool_settings *s, struct catalog *c)
{
	size_t i;

	memset(w, 0, sizeof(*w));
	w->sources = calloc(s->n_refs + 1, sizeof(*w->sources));
	if (w->sources == NULL)
		return -ENOMEM;
	w->broker = b;
	w->settings = s;
	w->index = index;
	w->n_sources = s->n_refs;
	for (i = 0; i < s->n_refs; i++) {
		w->sources[i].queue = &c->queues[s->refs[i].queue];
		w->sources[i].weight = s->refs[i].weight;
	}
	TAILQ_INIT(&w->chans);
	TAILQ_INIT(&w->idle);
	TAILQ_INIT(&w->suspects);
	return 0;
}

void
crew_done(struct crew *w)
{
	free(w->sources);
	w->sources = NULL;
}

struct task *
crew_peek(struct crew *w, struct crew_source **source_out)
{
	struct task *t, *best;
	size_t i;

	best = NULL;
	for (i = 0; i < w->n_sources; i++) {
		struct crew_source *s = &w->sources[i];

		t = queue_peek(s->queue, w->index);
		if (t == NULL)
			continue;
		if (s->pass < w->pass)
			s->pass = w->pass;
		if (best == NULL || s->pass < (*source_out)->pass) {
			best = t;
			*source_out = s;
		}
		if (w->settings->strict)
			break;
	}
	return best;
}

void
crew_charge(struct crew *w, struct crew_source *source)
{
	w->pass = source->pass;
	source->pass += STRIDE / source->weight;
}

struct chan *
crew_free_chan(struct crew *w)
{
	struct chan *c;

	/* A channel may have closed since it was put here. */
	while ((c = TAILQ_FIRST(&w->idle)) != NULL && !chan_is_free(c))
		crew_sort(w, c);
	return c;
}

struct chan *
crew_lone_chan(struct crew *w)
{
	struct chan *c, *best;
	bool emptying;

	best = NULL;
	emptying = false;
	TAILQ_FOREACH(c, &w->chans, entry) {
		if (c->state != CHAN_UP || !peer_is_open(&c->peer))
			continue;
		if (c->n_running == 0) {
			if (c == w->kept)
				w->kept = NULL;
			c->alone = true;
			crew_sort(w, c);
			return c;
		}
		/* One that is alone already will be empty without our help. */
		if (c->alone)
			emptying = true;
		else if (best == NULL || c->n_running < best->n_running)
			best = c;
	}
	if (best != NULL && !emptying) {
		w->kept = best;
		best->alone = true;
		crew_sort(w, best);
	}
	return NULL;
}

void
crew_release_kept(struct crew *w)
{
	struct chan *c = w->kept;

	if (c == NULL)
		return;
	w->kept = NULL;
	c->alone = false;
	crew_sort(w, c);
}

void
crew_sort(struct crew *w, struct chan *c)
{
	bool is_free = chan_is_free(c);

	if (is_free == c->listed)
		return;
	if (is_free)
		TAILQ_INSERT_TAIL(&w->idle, c, idle_entry);
	else
		TAILQ_REMOVE(&w->idle, c, idle_entry);
	c->listed = is_free;
}

bool
crew_has_no_work(const struct crew *w)
{
	size_t i;

	if (!TAILQ_EMPTY(&w->suspects))
		return false;
	for (i = 0; i < w->n_sources; i++)
		if (queue_peek(w->sources[i].queue, w->index) != NULL)
			return false;
	return true;
}
