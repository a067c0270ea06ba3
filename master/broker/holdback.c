/* SPDX-License-Identifier: ISC */
/*
 * holdback.c - names whose tasks kill their workers, and what waits meanwhile
 *
 * What is put aside stays counted in the window, so that no more than that of
 * a name is in memory.
 */
#include "master/broker/holdback.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "ipc/clock.h"
#include "ipc/log.h"
#include "master/broker/broker.h"
#include "master/broker/handover_field.h"
#include "master/broker/life.h"
#include "master/broker/window.h"

#define BREAKER(member, type) HANDOVER_FIELD(breaker, member, type)
#define N_FIELDS              (sizeof(fields) / sizeof(fields[0]))

static const struct handover_field fields[] = {
    BREAKER(state, HANDOVER_32),
    BREAKER(strikes, HANDOVER_32),
    BREAKER(wait_ms, HANDOVER_64),
    BREAKER(until, HANDOVER_64),
    BREAKER(probe, HANDOVER_64),
};

/* The one of a name, made when it is the first.  NULL: out of memory. */
static struct holdback *
get(struct broker *b, struct kind *kind)
{
	struct holdback *h = kind->holdback;

	if (h != NULL)
		return h;
	h = calloc(1, sizeof(*h));
	if (h == NULL)
		return NULL;
	h->kind = kind;
	TAILQ_INIT(&h->tasks);
	LIST_INSERT_HEAD(&b->holdbacks.list, h, entry);
	kind->holdback = h;
	return h;
}

/* The first that can be tried: it would start, had it a worker. */
static struct task *
first_to_try(const struct holdback *h)
{
	struct task *t;

	TAILQ_FOREACH(t, &h->tasks, entry) {
		if (!t->queue->paused && t->lane->shifts != 0)
			return t;
	}
	return NULL;
}

/* Set the timer for the first that has a task to try. */
static void
arm(struct broker *b)
{
	struct ev_timer *timer = &b->holdbacks.timer;
	const struct holdback *h;
	struct mono first = {0};
	int64_t ms;

	LIST_FOREACH(h, &b->holdbacks.list, entry) {
		if (h->breaker.state == BREAKER_OPEN &&
		    (first.ns == 0 || h->breaker.until.ns < first.ns) &&
		    first_to_try(h) != NULL)
			first = h->breaker.until;
	}
	b->holdbacks.armed = first;
	ev_timer_stop(b->loop, timer);
	if (first.ns == 0)
		return;
	ms = mono_until_ms(mono_now(), first);
	ev_timer_set(timer, ms < 0 ? 0. : (double)ms / 1e3, 0.);
	ev_timer_start(b->loop, timer);
}

/* Let t be run alone; it is on no list, or can be taken from it. */
static void
try_one(struct broker *b, struct holdback *h, struct task *t)
{
	log_info("task %llu is tried, of those named %s that are held back",
	    (unsigned long long)t->id, h->kind->name);
	breaker_try(&h->breaker, t->id);
	t->suspect = true;
	life_place(b, t);
}

static void
on_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct broker *b = w->data;
	struct mono now = mono_now();
	struct holdback *h;
	struct task *t;

	(void)loop;
	(void)revents;
	LIST_FOREACH(h, &b->holdbacks.list, entry) {
		t = breaker_is_due(&h->breaker, now) ? first_to_try(h) : NULL;
		if (t != NULL)
			try_one(b, h, t);
	}
	arm(b);
}

void
holdback_init(struct broker *b)
{
	LIST_INIT(&b->holdbacks.list);
	b->holdbacks.n_tasks = 0;
	ev_timer_init(&b->holdbacks.timer, on_timer, 0., 0.);
	b->holdbacks.timer.data = b;
}

void
holdback_done(struct broker *b)
{
	struct holdback *h;

	ev_timer_stop(b->loop, &b->holdbacks.timer);
	while ((h = LIST_FIRST(&b->holdbacks.list)) != NULL) {
		LIST_REMOVE(h, entry);
		h->kind->holdback = NULL;
		free(h);
	}
}

/* Suspects of a name that is held back wait with the others. */
static void
collect_suspects(struct broker *b, const struct kind *kind)
{
	struct task *t, *next;
	unsigned i;

	for (i = 0; i < SHIFTS_MAX; i++) {
		if (b->shift_at[i] == NULL)
			continue;
		for (t = TAILQ_FIRST(&b->shift_at[i]->suspects); t != NULL;
		     t = next) {
			next = TAILQ_NEXT(t, entry);
			if (t->kind == kind)
				life_place(b, t);
		}
	}
}

void
holdback_strike(struct broker *b, const struct task *t)
{
	struct holdback *h = get(b, t->kind);

	if (h == NULL || !breaker_strike(&h->breaker, t->id, mono_now()))
		return;
	log_warn("tasks named %s have killed %u workers, and none has "
		 "succeeded meanwhile: they are held back for %lld s, then one "
		 "is tried alone",
	    h->kind->name, h->breaker.strikes,
	    (long long)(h->breaker.wait_ms / 1000));
	collect_suspects(b, h->kind);
	window_review(b);
	arm(b);
}

/* All that was put aside goes back, the last one first: each is then the
 * first of its lane, where it is put without a search. */
static void
release(struct broker *b, struct holdback *h)
{
	struct task *t;

	log_info("tasks named %s are run again; held back were %zu",
	    h->kind->name, h->n_tasks);
	while ((t = TAILQ_LAST(&h->tasks, task_list)) != NULL)
		life_place(b, t);
	window_review(b);
	arm(b);
}

void
holdback_note(struct broker *b, const struct task *t, enum task_event ev)
{
	struct holdback *h = t->kind->holdback;

	switch (ev) {
	case TASK_EV_SUCCEED:
		if (breaker_success(&h->breaker))
			release(b, h);
		break;
	case TASK_EV_RETRY:
	case TASK_EV_FAIL:
	case TASK_EV_SNOOZE:
		if (breaker_answer(&h->breaker, t->id))
			release(b, h);
		break;
	case TASK_EV_REQUEUE:
	case TASK_EV_GIVE_UP:
	case TASK_EV_CANCEL:
	case TASK_EV_EXPIRE:
		holdback_lost(b, t);
		break;
	case TASK_EV_DUE:
	case TASK_EV_START:
	case TASK_EV_QUARANTINE:
	case TASK_EV_REVIVE:
		break;
	}
}

void
holdback_lost(struct broker *b, const struct task *t)
{
	struct holdback *h = t->kind->holdback;

	if (h == NULL || h->breaker.probe != t->id)
		return;
	breaker_lost(&h->breaker, t->id);
	arm(b);
}

void
holdback_review(struct broker *b)
{
	struct holdback *h;
	struct task *t;

	LIST_FOREACH(h, &b->holdbacks.list, entry) {
		if (h->breaker.state != BREAKER_PROBING)
			continue;
		t = life_find(b, h->breaker.probe);
		if (t == NULL || t->state != TASK_READY ||
		    (!t->queue->paused && t->lane->shifts != 0))
			continue;
		/* It would keep all the others waiting: another one is tried.
		 */
		breaker_lost(&h->breaker, t->id);
		life_place(b, t);
	}
	arm(b);
}

void
holdback_take(struct broker *b, struct task *t)
{
	struct holdback *h = t->kind->holdback;

	if (breaker_is_due(&h->breaker, mono_now()) && first_to_try(h) == NULL)
		try_one(b, h, t);
	else
		life_put_aside(b, t);
}

void
holdback_add(struct broker *b, struct task *t)
{
	struct holdback *h = t->kind->holdback;

	TAILQ_INSERT_TAIL(&h->tasks, t, entry);
	t->place = TASK_IN_BREAKER;
	b->holdbacks.n_tasks++;
	if (h->n_tasks++ == 0 || b->holdbacks.armed.ns == 0 ||
	    h->breaker.until.ns < b->holdbacks.armed.ns)
		arm(b);
}

void
holdback_remove(struct broker *b, struct task *t)
{
	struct holdback *h = t->kind->holdback;

	TAILQ_REMOVE(&h->tasks, t, entry);
	t->place = TASK_NOWHERE;
	h->n_tasks--;
	b->holdbacks.n_tasks--;
}

bool
holdback_describe(const struct kind *kind, char out[HOLDBACK_SIZE])
{
	const struct breaker *k;
	int64_t ms;

	out[0] = '\0';
	if (!holdback_is_on(kind))
		return false;
	k = &kind->holdback->breaker;
	ms = mono_until_ms(mono_now(), k->until);
	if (ms > 0)
		snprintf(out, HOLDBACK_SIZE,
		    "tasks named %s are held back: they have killed %u "
		    "workers; one is tried in %lld s",
		    kind->name, k->strikes, (long long)((ms + 999) / 1000));
	else
		snprintf(out, HOLDBACK_SIZE,
		    "tasks named %s are held back: they have killed %u "
		    "workers; one is tried now",
		    kind->name, k->strikes);
	return true;
}

void
holdback_save(const struct broker *b, struct handover_out *o)
{
	const struct holdback *h;
	struct buf *out;

	LIST_FOREACH(h, &b->holdbacks.list, entry) {
		if (h->breaker.strikes == 0)
			continue;
		out = handover_out_begin(o, "breaker");
		handover_add_str(out, "kind", h->kind->name);
		handover_add_fields(out, fields, N_FIELDS, &h->breaker);
		handover_out_end(o);
	}
}

int
holdback_load(struct broker *b, const struct handover_in *in)
{
	const char *name = handover_in_str(in, "kind");
	struct holdback *h;
	struct kind *kind;
	int r;

	if (name == NULL)
		return -EINVAL;
	r = catalog_need_kind(&b->catalog, name, &kind);
	if (r < 0)
		return r;
	h = get(b, kind);
	if (h == NULL)
		return -ENOMEM;
	handover_in_fields(in, fields, N_FIELDS, &h->breaker);
	return h->breaker.state > BREAKER_PROBING ? -EINVAL : 0;
}
