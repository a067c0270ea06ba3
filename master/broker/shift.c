/* SPDX-License-Identifier: ISC */
/*
 * shift.c - the workers of a pool that know the same task names
 */
#include "master/broker/shift.h"

#include <stdlib.h>

#include "master/broker/chan.h"
#include "master/broker/crew.h"

struct shift *
shift_new(struct crew *crew, unsigned index, struct skills *skills)
{
	struct shift *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->crew = crew;
	s->index = index;
	s->skills = skills_ref(skills);
	TAILQ_INIT(&s->idle);
	TAILQ_INIT(&s->suspects);
	return s;
}

void
shift_free(struct shift *s)
{
	if (s == NULL)
		return;
	skills_unref(s->skills);
	free(s);
}

struct chan *
shift_free_chan(struct shift *s)
{
	struct chan *c;

	/* A channel may have closed since it was put here. */
	while ((c = TAILQ_FIRST(&s->idle)) != NULL && !chan_is_free(c))
		shift_sort(s, c);
	return c;
}

struct chan *
shift_lone_chan(struct shift *s)
{
	struct chan *c, *best;
	bool emptying;

	best = NULL;
	emptying = false;
	TAILQ_FOREACH(c, &s->crew->chans, entry) {
		if (c->shift != s || c->state != CHAN_UP || c->condemned ||
		    !peer_is_open(&c->peer))
			continue;
		if (c->n_running == 0) {
			if (c == s->kept)
				s->kept = NULL;
			c->alone = true;
			shift_sort(s, c);
			return c;
		}
		/* One that is alone already will be empty without our help. */
		if (c->alone)
			emptying = true;
		else if (best == NULL || c->n_running < best->n_running)
			best = c;
	}
	if (best != NULL && !emptying) {
		s->kept = best;
		best->alone = true;
		shift_sort(s, best);
	}
	return NULL;
}

void
shift_release_kept(struct shift *s)
{
	struct chan *c = s->kept;

	if (c == NULL)
		return;
	s->kept = NULL;
	c->alone = false;
	shift_sort(s, c);
}

void
shift_sort(struct shift *s, struct chan *c)
{
	bool is_free = chan_is_free(c);

	if (is_free == c->listed)
		return;
	if (is_free)
		TAILQ_INSERT_TAIL(&s->idle, c, idle_entry);
	else
		TAILQ_REMOVE(&s->idle, c, idle_entry);
	c->listed = is_free;
}

void
shift_suspect(struct shift *s, struct task *t)
{
	TAILQ_INSERT_TAIL(&s->suspects, t, entry);
	t->place = TASK_IN_SUSPECTS;
	t->shift = s;
	t->crew = s->crew;
}
