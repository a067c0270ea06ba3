/* SPDX-License-Identifier: ISC */
/*
 * gate.c - is a task that wants to enter the same as one that is there?
 *
 * All look-ups of a request are made in one go.  Whatever enters after that
 * stays in unique.c's trees until they have been told, and is found there: so
 * what the look-ups and then the trees do not know is new.
 */
#include "master/broker/gate.h"

#include <errno.h>
#include <stdlib.h>

#include "master/broker/life.h"
#include "master/broker/submit.h"

/* The look-ups of one request. */
struct gate {
	size_t n_open;
	int err; /* the first one */
	gate_fn fn;
	void *arg;
};

/* One of them. */
struct gate_look {
	struct gate *gate;
	struct submit_found *to; /* borrowed */
};

static void
on_found(void *arg, int err, uint64_t id, int state)
{
	struct gate_look *look = arg;
	struct gate *g = look->gate;

	look->to->id = id;
	look->to->state = state;
	free(look);
	if (err < 0 && g->err == 0)
		g->err = err;
	if (--g->n_open > 0)
		return;
	g->fn(g->arg, g->err);
	free(g);
}

static int
look_up(struct broker *b, struct gate *g, enum store_what what,
    const struct task *t, const char *text, struct submit_found *to)
{
	struct gate_look *look;

	look = malloc(sizeof(*look));
	if (look == NULL)
		return -ENOMEM;
	look->gate = g;
	look->to = to;
	if (store_find(
		b->store, what, t->queue, t->kind, text, on_found, look) < 0) {
		free(look);
		return -ENOMEM;
	}
	g->n_open++;
	return 0;
}

static int
look_up_one(struct broker *b, struct gate *g, struct submission *s)
{
	const struct task *t = s->task;
	int r = 0;

	if (t->idempotency_key != NULL)
		r = look_up(b, g, STORE_BY_IDEMPOTENCY, t, t->idempotency_key,
		    &s->by_key);
	if (r == 0 && t->unique != NULL)
		r = look_up(b, g, STORE_BY_UNIQUE, t, t->unique, &s->by_unique);
	return r;
}

/* True when the trees alone don't tell. */
static bool
needs_look(const struct broker *b, const struct task *t)
{
	if (t->idempotency_key != NULL)
		return true;
	return t->unique != NULL && b->n_unique_absent > 0 &&
	       unique_find(b, t->queue, t->kind, t->unique) == NULL;
}

int
gate_look(
    struct broker *b, struct submission *list, size_t n, gate_fn fn, void *arg)
{
	struct gate *g;
	size_t i;
	int r = 0;

	/* A task that is not there was refused already. */
	for (i = 0; i < n; i++)
		if (list[i].task != NULL && needs_look(b, list[i].task))
			break;
	if (i == n)
		return 0;
	g = calloc(1, sizeof(*g));
	if (g == NULL)
		return -ENOMEM;
	g->fn = fn;
	g->arg = arg;
	/* Also for what a tree knows now: it may be on the disk only when the
	 * others have been told. */
	for (i = 0; i < n && r == 0; i++)
		if (list[i].task != NULL)
			r = look_up_one(b, g, &list[i]);
	if (r == 0)
		return 1;
	g->err = r;
	if (g->n_open > 0)
		return 1;
	free(g);
	return r;
}

static void
set_twin(struct submission *s, uint64_t id, int state, struct task *twin)
{
	s->twin_id = id;
	s->twin_state = state;
	s->twin = twin == NULL ? NULL : task_ref(twin);
}

bool
gate_find_twin(const struct broker *b, struct submission *s)
{
	const struct task *t = s->task;
	struct task *twin = NULL;

	if (t->idempotency_key != NULL)
		twin = unique_find_key(b, t->idempotency_key);
	if (twin == NULL && s->by_key.id == 0 && t->unique != NULL)
		twin = unique_find(b, t->queue, t->kind, t->unique);
	if (twin != NULL)
		set_twin(s, twin->id, (int)twin->state, twin);
	else if (s->by_key.id != 0)
		set_twin(s, s->by_key.id, s->by_key.state, NULL);
	else if (s->by_unique.id != 0 &&
		 life_find_ending(b, s->by_unique.id) == NULL)
		set_twin(s, s->by_unique.id, s->by_unique.state, NULL);
	return s->twin_id != 0;
}

/* The look-up before a revival. */
struct revival {
	gate_twin_fn fn;
	void *arg;
};

static void
on_twin_found(void *arg, int err, uint64_t id, int state)
{
	struct revival *r = arg;

	(void)state;
	r->fn(r->arg, err, id);
	free(r);
}

int
gate_look_for_revival(
    struct broker *b, const struct task *t, gate_twin_fn fn, void *arg)
{
	struct revival *r;

	if (t->unique == NULL || b->n_unique_absent == 0 ||
	    unique_find(b, t->queue, t->kind, t->unique) != NULL)
		return 0;
	r = malloc(sizeof(*r));
	if (r == NULL)
		return -ENOMEM;
	r->fn = fn;
	r->arg = arg;
	if (store_find(b->store, STORE_BY_UNIQUE, t->queue, t->kind, t->unique,
		on_twin_found, r) < 0) {
		free(r);
		return -ENOMEM;
	}
	return 1;
}
