/* SPDX-License-Identifier: ISC */
/*
 * tidy.c - let shifts end, and pools leave
 *
 * The main shift of a pool of the settings stays even with no worker: there
 * will be some.
 */
#include "master/broker/tidy.h"

#include "ipc/log.h"
#include "master/broker/chan.h"
#include "master/broker/life.h"
#include "master/broker/relane.h"
#include "master/broker/roster.h"

/* Nobody is left in s who takes tasks: others take them. */
static void
end_shift(struct broker *b, struct shift *s)
{
	struct task *t;

	s->over = true;
	b->shift_at[s->index] = NULL;
	/* A full round only for what s alone could run; it may lack memory, and
	 * what nobody is found for waits for the next one. */
	if (catalog_needs_shift(&b->catalog, s->index) && relane_now(b) < 0)
		log_error("out of memory: tasks of pool %s may have to wait "
			  "for a reload",
		    s->crew->name);
	catalog_forget_shift(&b->catalog, s->index);
	window_review(b);
	while ((t = TAILQ_FIRST(&s->suspects)) != NULL)
		life_place(b, t);
}

static void
tidy_shifts(struct broker *b, struct crew *w)
{
	struct shift *s, *next;

	for (s = TAILQ_FIRST(&w->shifts); s != NULL; s = next) {
		next = TAILQ_NEXT(s, entry);
		if (!s->over && s->n_fit == 0 &&
		    (s != w->main || w->state == CREW_LEAVING))
			end_shift(b, s);
		if (s->over && s->n_chans == 0 && s != w->main) {
			TAILQ_REMOVE(&w->shifts, s, entry);
			shift_free(s);
		}
	}
}

/* The pool at index i has no worker any more: it goes behind those that have.
 */
static void
end_crew(struct broker *b, size_t i)
{
	struct crew *w = b->crews[i];

	log_info("pool %s is gone", w->name);
	crew_end(w);
	for (; i + 1 < b->n_crews; i++)
		b->crews[i] = b->crews[i + 1];
	b->crews[i] = w;
	b->n_crews--;
}

void
tidy_crews(struct broker *b)
{
	struct crew *w;
	size_t i = 0;

	while (i < b->n_crews) {
		w = b->crews[i];
		tidy_shifts(b, w);
		if (w->state == CREW_LEAVING && w->n_chans == 0) {
			end_crew(b, i);
			continue;
		}
		if (w->state == CREW_LEAVING &&
		    !catalog_has_work(&b->catalog, crew_shifts(w)) &&
		    !window_has_work(b, crew_shifts(w)))
			roster_pill_all(w);
		i++;
	}
}
