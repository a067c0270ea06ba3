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

#include <stdlib.h>
#include <string.h>

#define STRIDE UINT64_C(1000000) /* virtual time of a task at weight 1 */

struct crew *
crew_new(struct broker *b, const char *name)
{
	struct crew *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->name = strdup(name);
	if (w->name == NULL) {
		free(w);
		return NULL;
	}
	w->broker = b;
	w->state = CREW_GONE;
	w->parting.name = w->name;
	w->settings = &w->parting;
	TAILQ_INIT(&w->chans);
	TAILQ_INIT(&w->shifts);
	return w;
}

static void
free_shifts(struct crew *w)
{
	struct shift *s;

	while ((s = TAILQ_FIRST(&w->shifts)) != NULL) {
		TAILQ_REMOVE(&w->shifts, s, entry);
		shift_free(s);
	}
	w->main = NULL;
}

void
crew_end(struct crew *w)
{
	free_shifts(w);
	free(w->sources);
	w->sources = NULL;
	w->n_sources = 0;
	w->settings = &w->parting;
	w->state = CREW_GONE;
	w->n_target = 0;
	settings_unref(w->held);
	w->held = NULL;
}

void
crew_free(struct crew *w)
{
	if (w == NULL)
		return;
	crew_end(w);
	free(w->name);
	free(w);
}

shift_set
crew_shifts(const struct crew *w)
{
	const struct shift *s;
	shift_set set = 0;

	TAILQ_FOREACH(s, &w->shifts, entry) {
		if (!s->over)
			set |= SHIFT_BIT(s->index);
	}
	return set;
}

struct shift *
crew_find_shift(const struct crew *w, const struct skills *skills)
{
	struct shift *s;

	if (w->main != NULL && !w->main->over &&
	    skills_match(w->main->skills, skills))
		return w->main;
	TAILQ_FOREACH(s, &w->shifts, entry) {
		if (!s->over && skills_match(s->skills, skills))
			return s;
	}
	return NULL;
}

struct task *
crew_peek(struct shift *s, struct crew_source **source_out)
{
	struct crew *w = s->crew;
	struct task *t, *best;
	size_t i;

	best = NULL;
	for (i = 0; i < w->n_sources; i++) {
		struct crew_source *source = &w->sources[i];

		t = queue_peek(source->queue, s->index);
		if (t == NULL)
			continue;
		if (source->pass < w->pass)
			source->pass = w->pass;
		if (best == NULL || source->pass < (*source_out)->pass) {
			best = t;
			*source_out = source;
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

static bool
has_no_work(const struct crew *w, const struct shift *s)
{
	size_t i;

	if (!TAILQ_EMPTY(&s->suspects))
		return false;
	for (i = 0; i < w->n_sources; i++)
		if (queue_peek(w->sources[i].queue, s->index) != NULL)
			return false;
	return true;
}

bool
crew_has_no_work(const struct crew *w)
{
	const struct shift *s;

	TAILQ_FOREACH(s, &w->shifts, entry) {
		if (!s->over && !has_no_work(w, s))
			return false;
	}
	return true;
}

const char *
crew_state_name(const struct crew *w)
{
	static const char *const names[] = {
	    [CREW_UP] = "up",
	    [CREW_FLAPPING] = "flapping",
	    [CREW_LEAVING] = "leaving",
	    [CREW_GONE] = "gone",
	};

	return names[w->state];
}
