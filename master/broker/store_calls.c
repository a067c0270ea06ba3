/* SPDX-License-Identifier: ISC */
/*
 * store_calls.c - what is asked of the database, and how the outcome is told
 *
 * Runs on the broker's thread.
 */
#include "master/broker/store_calls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "master/broker/catalog.h"

static struct store_call *
add_call(
    struct store_calls *l, enum store_call_kind kind, uint64_t after, void *arg)
{
	struct store_call *c;

	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->kind = kind;
	c->arg = arg;
	c->after = after;
	STAILQ_INSERT_TAIL(&l->list, c, entry);
	l->n_open++;
	return c;
}

int
store_calls_barrier(
    struct store_calls *l, uint64_t after, store_done_fn fn, void *arg)
{
	struct store_call *c = add_call(l, CALL_BARRIER, after, arg);

	if (c == NULL)
		return -ENOMEM;
	c->fn.done = fn;
	return 0;
}

int
store_calls_get(struct store_calls *l, uint64_t after, uint64_t id,
    store_task_fn fn, void *arg)
{
	struct store_call *c = add_call(l, CALL_GET, after, arg);

	if (c == NULL)
		return -ENOMEM;
	c->fn.task = fn;
	c->id = id;
	return 0;
}

int
store_calls_list(struct store_calls *l, uint64_t after,
    const struct store_filter *f, store_list_fn fn, void *arg)
{
	struct store_call *c = add_call(l, CALL_LIST, after, arg);

	if (c == NULL)
		return -ENOMEM;
	c->fn.list = fn;
	c->filter = *f;
	c->queue_name = f->queue == NULL ? NULL : f->queue->name;
	c->kind_name = f->kind == NULL ? NULL : f->kind->name;
	return 0;
}

int
store_calls_fetch(struct store_calls *l, uint64_t after,
    const struct store_range *range, store_list_fn fn, void *arg)
{
	struct store_call *c;
	char *key = NULL;

	if (range->order == STORE_KEY) {
		key = strdup(range->key);
		if (key == NULL)
			return -ENOMEM;
	}
	c = add_call(l, CALL_FETCH, after, arg);
	if (c == NULL) {
		free(key);
		return -ENOMEM;
	}
	c->fn.list = fn;
	c->range = *range;
	c->text = key;
	if (range->order == STORE_READY) {
		c->queue_name = range->queue->name;
		c->kind_name = range->kind->name;
	}
	return 0;
}

int
store_calls_find(struct store_calls *l, uint64_t after, enum store_what what,
    const struct queue *q, const struct kind *kind, const char *text,
    store_found_fn fn, void *arg)
{
	struct store_call *c;
	char *copy;

	copy = strdup(text);
	if (copy == NULL)
		return -ENOMEM;
	c = add_call(l, CALL_FIND, after, arg);
	if (c == NULL) {
		free(copy);
		return -ENOMEM;
	}
	c->fn.found = fn;
	c->what = what;
	c->text = copy;
	c->queue_name = q == NULL ? NULL : q->name;
	c->kind_name = kind == NULL ? NULL : kind->name;
	return 0;
}

void
store_calls_hand_over(
    struct store_calls *l, uint64_t n_handed, bool late, struct store_batch *b)
{
	struct store_call_list rest = STAILQ_HEAD_INITIALIZER(rest);
	struct store_call *c;

	while ((c = STAILQ_FIRST(&l->list)) != NULL) {
		STAILQ_REMOVE_HEAD(&l->list, entry);
		if (c->after <= n_handed || (late && c->kind != CALL_BARRIER))
			STAILQ_INSERT_TAIL(&b->calls, c, entry);
		else
			STAILQ_INSERT_TAIL(&rest, c, entry);
	}
	STAILQ_CONCAT(&l->list, &rest);
}

void
store_calls_fail_barriers(
    struct store_calls *l, int err, struct store_call_list *list)
{
	struct store_call_list rest = STAILQ_HEAD_INITIALIZER(rest);
	struct store_call *c;

	while ((c = STAILQ_FIRST(&l->list)) != NULL) {
		STAILQ_REMOVE_HEAD(&l->list, entry);
		if (c->kind == CALL_BARRIER) {
			c->err = err;
			STAILQ_INSERT_TAIL(list, c, entry);
		} else {
			STAILQ_INSERT_TAIL(&rest, c, entry);
		}
	}
	STAILQ_CONCAT(&l->list, &rest);
}

bool
store_calls_has_look(const struct store_calls *l)
{
	const struct store_call *c;

	STAILQ_FOREACH(c, &l->list, entry) {
		if (c->kind != CALL_BARRIER)
			return true;
	}
	return false;
}

bool
store_calls_has_barrier(const struct store_calls *l, uint64_t n_handed)
{
	const struct store_call *c;

	STAILQ_FOREACH(c, &l->list, entry) {
		if (c->kind == CALL_BARRIER)
			return c->after <= n_handed;
	}
	return false;
}

static int
resolve(const struct store_hooks *hooks, struct store_call *c)
{
	struct store_item *item;
	size_t i;
	int r = c->err;

	for (i = 0; r == 0 && i < c->n_items; i++) {
		item = &c->items[i];
		if (item->kind == NULL)
			continue;
		r = hooks->resolve(
		    hooks->arg, item->t, item->kind, item->queue, item->pool);
	}
	return r;
}

static void
tell_list(const struct store_call *c, int err)
{
	struct task **tasks = NULL;
	size_t i;

	if (err == 0 && c->n_items > 0) {
		tasks = calloc(c->n_items, sizeof(struct task *));
		err = tasks == NULL ? -ENOMEM : 0;
	}
	if (err != 0) {
		c->fn.list(c->arg, err, NULL, 0, 0);
		return;
	}
	for (i = 0; i < c->n_items; i++)
		tasks[i] = c->items[i].t;
	c->fn.list(c->arg, 0, tasks, c->n_items, c->cursor);
	free(tasks);
}

/* Tell the outcome of a call, or err in its place, and forget it. */
static void
tell(const struct store_hooks *hooks, struct store_call *c, int err)
{
	if (err == 0)
		err = resolve(hooks, c);
	switch (c->kind) {
	case CALL_BARRIER:
		c->fn.done(c->arg, err);
		break;
	case CALL_GET:
		c->fn.task(c->arg, err, err == 0 ? c->items[0].t : NULL);
		break;
	case CALL_LIST:
	case CALL_FETCH:
		tell_list(c, err);
		break;
	case CALL_FIND:
		c->fn.found(c->arg, err, err == 0 ? c->found_id : 0,
		    err == 0 ? c->found_state : -1);
		break;
	}
	store_call_free(c);
}

void
store_calls_tell(struct store_calls *l, const struct store_hooks *hooks,
    struct store_call_list *list, int err)
{
	struct store_call *c;

	while ((c = STAILQ_FIRST(list)) != NULL) {
		STAILQ_REMOVE_HEAD(list, entry);
		l->n_open--;
		tell(hooks, c, err);
	}
}
