/* SPDX-License-Identifier: ISC */
/*
 * unique.c - what is submitted once only
 *
 * A place is kept while its task is in memory, and then until a barrier has
 * told that the store can find it.  Whoever has asked the store before that
 * barrier was made is answered before it, and looks here again: so between the
 * store and this no task is overlooked.
 */
#include "master/broker/unique.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/log.h"
#include "master/broker/broker.h"

/* A task's place in one of the two trees. */
struct unique {
	struct task *task; /* one reference */
	const char *text;  /* the task's own */
	bool going;        /* is on a list: goes once a barrier has told */
	LIST_ENTRY(unique) entry;
	RB_ENTRY(unique) node;
};

/* Those that wait for one barrier. */
struct unique_batch {
	struct broker *broker;
	struct unique_list list;
};

static int
text_cmp(const struct unique *a, const struct unique *b)
{
	return strcmp(a->text, b->text);
}

static int
place_cmp(const struct unique *a, const struct unique *b)
{
	uintptr_t p = (uintptr_t)a->task->kind, q = (uintptr_t)b->task->kind;

	if (p == q) {
		p = (uintptr_t)a->task->queue;
		q = (uintptr_t)b->task->queue;
	}
	return p == q ? text_cmp(a, b) : p < q ? -1 : 1;
}

RB_PROTOTYPE(unique_tree, unique, node, place_cmp)
RB_GENERATE(unique_tree, unique, node, place_cmp)
RB_PROTOTYPE(idempotency_tree, unique, node, text_cmp)
RB_GENERATE(idempotency_tree, unique, node, text_cmp)

static struct unique *
place_new(struct task *t, const char *text)
{
	struct unique *u;

	u = calloc(1, sizeof(*u));
	if (u == NULL)
		return NULL;
	u->task = task_ref(t);
	u->text = text;
	return u;
}

static void
place_free(struct unique *u)
{
	if (u->going)
		LIST_REMOVE(u, entry);
	task_unref(u->task);
	free(u);
}

/* Take out and free u, which is in one of the trees. */
static void
place_drop(struct uniques *all, struct unique *u)
{
	if (u->text == u->task->unique)
		RB_REMOVE(unique_tree, &all->by_name, u);
	else
		RB_REMOVE(idempotency_tree, &all->by_key, u);
	place_free(u);
}

static struct unique *
find_place(const struct broker *b, const struct queue *q,
    const struct kind *kind, const char *text)
{
	struct task t = {0};
	struct unique like = {.task = &t, .text = text};

	t.queue = (struct queue *)(uintptr_t)q;
	t.kind = (struct kind *)(uintptr_t)kind;
	return RB_FIND(unique_tree,
	    (struct unique_tree *)(uintptr_t)&b->uniques.by_name, &like);
}

/* The place of t itself, or NULL. */
static struct unique *
own_place(const struct broker *b, const struct task *t)
{
	struct unique *u;

	if (t->unique == NULL)
		return NULL;
	u = find_place(b, t->queue, t->kind, t->unique);
	return u != NULL && u->task->id == t->id ? u : NULL;
}

int
unique_add(struct broker *b, struct task *t)
{
	struct unique *u;

	if (t->unique == NULL)
		return 0;
	u = place_new(t, t->unique);
	if (u == NULL)
		return -ENOMEM;
	if (RB_INSERT(unique_tree, &b->uniques.by_name, u) == NULL)
		return 0;
	/* Two live ones of before: the first keeps the place. */
	log_error("task %llu is not the only one that is \"%s\" in queue %s",
	    (unsigned long long)t->id, t->unique, t->queue->name);
	place_free(u);
	return 0;
}

int
unique_adopt(struct broker *b, struct task *t)
{
	struct unique *u = own_place(b, t);

	if (t->unique == NULL)
		return 0;
	if (u == NULL && unique_add(b, t) < 0)
		return -ENOMEM;
	b->n_unique_absent--;
	if (u == NULL)
		return 0;
	/* It left memory a moment ago, and is back as another struct. */
	if (u->going)
		LIST_REMOVE(u, entry);
	u->going = false;
	task_ref(t);
	task_unref(u->task);
	u->task = t;
	u->text = t->unique;
	return 0;
}

static struct unique *
find_key(const struct broker *b, const char *text)
{
	struct unique like = {.text = text};

	return RB_FIND(idempotency_tree,
	    (struct idempotency_tree *)(uintptr_t)&b->uniques.by_key, &like);
}

void
unique_forget_key(struct broker *b, struct task *t)
{
	struct unique *u;

	if (t->idempotency_key == NULL)
		return;
	u = find_key(b, t->idempotency_key);
	if (u != NULL && u->task == t)
		place_drop(&b->uniques, u);
}

void
unique_remove(struct broker *b, struct task *t)
{
	struct unique *u = own_place(b, t);

	if (t->lost)
		unique_forget_key(b, t);
	if (t->unique == NULL)
		return;
	if (t->spilled)
		b->n_unique_absent--;
	if (u != NULL)
		place_drop(&b->uniques, u);
}

static void
let_go(struct broker *b, struct unique *u)
{
	if (u->going)
		return;
	u->going = true;
	LIST_INSERT_HEAD(&b->uniques.going, u, entry);
}

void
unique_spill(struct broker *b, struct task *t)
{
	struct unique *u = own_place(b, t);

	if (t->unique == NULL)
		return;
	b->n_unique_absent++;
	if (u != NULL)
		let_go(b, u);
}

struct task *
unique_find(const struct broker *b, const struct queue *q,
    const struct kind *kind, const char *text)
{
	struct unique *u = find_place(b, q, kind, text);

	return u == NULL ? NULL : u->task;
}

int
unique_note_key(struct broker *b, struct task *t)
{
	struct unique *u;

	if (t->idempotency_key == NULL)
		return 0;
	u = place_new(t, t->idempotency_key);
	if (u == NULL)
		return -ENOMEM;
	if (RB_INSERT(idempotency_tree, &b->uniques.by_key, u) == NULL)
		let_go(b, u);
	else
		place_free(u);
	return 0;
}

struct task *
unique_find_key(const struct broker *b, const char *text)
{
	struct unique *u = find_key(b, text);

	return u == NULL ? NULL : u->task;
}

/* The store can find them from now on, or never had them. */
static void
on_kept(void *arg, int err)
{
	struct unique_batch *batch = arg;
	struct unique *u;

	(void)err;
	while ((u = LIST_FIRST(&batch->list)) != NULL)
		place_drop(&batch->broker->uniques, u);
	free(batch);
}

void
unique_tidy(struct broker *b)
{
	struct unique_batch *batch;
	struct unique *u;

	if (LIST_EMPTY(&b->uniques.going))
		return;
	/* Without memory they stay where they are, for a turn or more. */
	batch = calloc(1, sizeof(*batch));
	if (batch == NULL)
		return;
	batch->broker = b;
	LIST_INIT(&batch->list);
	if (store_barrier(b->store, on_kept, batch) < 0) {
		free(batch);
		return;
	}
	while ((u = LIST_FIRST(&b->uniques.going)) != NULL) {
		LIST_REMOVE(u, entry);
		LIST_INSERT_HEAD(&batch->list, u, entry);
	}
}

void
unique_done_all(struct broker *b)
{
	struct uniques *all = &b->uniques;
	struct unique *u;

	while ((u = RB_ROOT(&all->by_name)) != NULL)
		place_drop(all, u);
	while ((u = RB_ROOT(&all->by_key)) != NULL)
		place_drop(all, u);
}
