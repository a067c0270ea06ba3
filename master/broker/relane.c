/* SPDX-License-Identifier: ISC */
/*
 * relane.c - let every task wait where those wait that can run it
 *
 * Looks at every task that has not ended, twice, unless nothing has changed
 * that matters: reloads are rare, and most of them change other things.
 */
#include "master/broker/relane.h"

#include <errno.h>

#include "ipc/log.h"
#include "master/broker/life.h"

void
relane_plan_crew(struct relane_plan *plan, const struct crew *w)
{
	struct relane_item *item;
	const struct shift *s;

	TAILQ_FOREACH(s, &w->shifts, entry) {
		if (s->over)
			continue;
		item = &plan->list[plan->n++];
		item->shift = s;
		item->sources = w->sources;
		item->n_sources = w->n_sources;
		item->leaving = w->state == CREW_LEAVING;
		item->main = s == w->main && !item->leaving;
	}
}

static void
tie(struct catalog *c, const struct catalog_stage *st,
    const struct relane_item *item)
{
	shift_set bit = SHIFT_BIT(item->shift->index);
	const struct skills *skills = item->shift->skills;
	struct queue *q;
	struct kind *k;
	size_t i;

	if (item->main)
		c->next_main |= bit;
	if (item->leaving)
		c->next_leaving |= bit;
	for (i = 0; i < skills->n; i++) {
		/* What no settings ever knew has no tasks either. */
		k = catalog_stage_find_kind(st, skills->list[i].name);
		if (k == NULL)
			continue;
		k->next_shifts |= bit;
		if (skills->list[i].command)
			k->next_commands |= bit;
	}
	for (i = 0; i < item->n_sources; i++) {
		q = item->sources[i].queue;
		q->next_shifts |= bit;
		if (item->sources[i].past)
			q->next_past |= bit;
	}
}

int
relane_stage(struct broker *b, const struct catalog_stage *st,
    const struct relane_plan *plan)
{
	struct task *t;
	size_t i;

	catalog_clear_next(&b->catalog, st);
	for (i = 0; i < plan->n; i++)
		tie(&b->catalog, st, &plan->list[i]);
	if (!catalog_has_changed(&b->catalog, st))
		return 0;
	RB_FOREACH(t, task_tree, &b->tasks)
	{
		if (catalog_stage_lane(&b->catalog, t->queue, t->kind) < 0) {
			catalog_unstage_lanes(st);
			return -ENOMEM;
		}
	}
	return 1;
}

uint64_t
relane_count_stranded(const struct broker *b, const struct queue *q)
{
	const struct lane *lane;
	const struct band *band;
	uint64_t n = 0;

	SLIST_FOREACH(lane, &q->lanes, entry)
	{
		if (lane->shifts == 0)
			n += lane->ready.n;
	}
	TAILQ_FOREACH(band, &b->window.spilled, spilled_entry) {
		if (band->queue == q && !queue_is_served(q, band->kind))
			n += band->n_spilled;
	}
	return n;
}

/* Say it once when tasks are left that nobody can run. */
static void
tell_stranded(const struct broker *b)
{
	const struct lane *lane;
	uint64_t n;
	size_t i;

	for (i = 0; i < b->catalog.n_all_queues; i++) {
		struct queue *q = b->catalog.queues[i];

		n = 0;
		SLIST_FOREACH(lane, &q->lanes, entry)
		{
			if (lane->shifts == 0)
				n += lane->n_live;
		}
		if (n > q->n_stranded)
			log_warn("queue %s: no pool can run %llu of its tasks "
				 "any more; they wait for a reload that brings "
				 "queue and task names back",
			    q->name, (unsigned long long)n);
		q->n_stranded = n;
	}
}

void
relane_commit(struct broker *b, bool moved)
{
	struct catalog *c = &b->catalog;
	struct task *t;

	catalog_commit_next(c);
	if (!moved)
		return;
	catalog_commit_lanes(c);
	RB_FOREACH(t, task_tree, &b->tasks)
	{
		if (t->place != TASK_IN_LANE)
			t->lane = catalog_get_lane(c, t->queue, t->kind);
		if (task_is_live(t))
			t->lane->n_live++;
		/* Who it waits for may have changed. */
		if (t->suspect && t->state == TASK_READY)
			life_place(b, t);
	}
	window_review(b);
	holdback_review(b);
	tell_stranded(b);
}

int
relane_now(struct broker *b)
{
	struct catalog_stage st = catalog_as_stage(&b->catalog);
	struct relane_plan plan = {.n = 0};
	size_t i;
	int r;

	for (i = 0; i < b->n_crews; i++)
		relane_plan_crew(&plan, b->crews[i]);
	r = relane_stage(b, &st, &plan);
	if (r < 0)
		return r;
	relane_commit(b, r > 0);
	return 0;
}
