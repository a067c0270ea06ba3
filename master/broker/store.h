/* SPDX-License-Identifier: ISC */
/*
 * store.h - where tasks are kept: the interface that every store implements
 *
 * The broker holds the tasks that wait soon or run; the store is the truth.
 * Calls gather during a turn of the loop and are carried out together at
 * store_flush; whatever has an outcome tells it by callback, on the broker's
 * loop, in a later step and never from within the call.
 *
 * A task's struct is shared by reference counting: a store that wants to keep
 * one takes a reference.  Errors given to callbacks are 0 or -errno.
 */
#ifndef GANGER_BROKER_STORE_H
#define GANGER_BROKER_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "master/broker/task.h"

struct store;

/* A barrier's outcome: all that was put before it is kept, or why not. */
typedef void (*store_done_fn)(void *arg, int err);

/* One task, borrowed for the call; NULL with err -ENOENT when there is none. */
typedef void (*store_task_fn)(void *arg, int err, struct task *t);

/*
 * Several tasks, borrowed for the call, and where the list goes on: 0 when it
 * is at its end.
 */
typedef void (*store_list_fn)(
    void *arg, int err, struct task *const *tasks, size_t n, uint64_t cursor);

struct store_filter {
	int state;                 /* enum task_state, or -1 for any */
	const struct queue *queue; /* NULL: any; compared by identity */
	const struct kind *kind;   /* NULL: any */
	uint64_t below_id; /* only ids under it; 0: from the newest on */
	size_t limit;
};

struct store_counts {
	uint64_t n_tasks; /* all that are kept, ended or not */
	uint64_t n_ended;
	uint64_t ended_bytes; /* what the ended ones hold in memory */
};

struct store_ops {
	const char *name; /* "memory" */
	bool durable;     /* what was committed survives the broker */
	int (*put)(struct store *s, struct task *t);
	void (*update)(struct store *s, struct task *t);
	void (*finish)(struct store *s, struct task *t);
	int (*barrier)(struct store *s, store_done_fn fn, void *arg);
	int (*get)(struct store *s, uint64_t id, store_task_fn fn, void *arg);
	int (*list)(struct store *s, const struct store_filter *f,
	    store_list_fn fn, void *arg);
	int (*fetch_ready)(struct store *s, const struct queue *q, size_t n,
	    store_list_fn fn, void *arg);
	int (*fetch_due)(struct store *s, int64_t before_ms, size_t n,
	    store_list_fn fn, void *arg);
	void (*count)(struct store *s, struct store_counts *out);
	void (*flush)(struct store *s);
	void (*free)(struct store *s);
};

/* The start of every implementation's struct. */
struct store {
	const struct store_ops *ops;
};

/*
 * Keep a new task.  It counts as kept when a barrier made after this has told
 * so.  -ENOMEM: it is not kept.
 */
static inline int
store_put(struct store *s, struct task *t)
{
	return s->ops->put(s, t);
}

/* t, which has not ended, has changed: note it. */
static inline void
store_update(struct store *s, struct task *t)
{
	s->ops->update(s, t);
}

/* t has ended: keep it for its time.  The broker forgets it after this. */
static inline void
store_finish(struct store *s, struct task *t)
{
	s->ops->finish(s, t);
}

/* Tell fn when all calls so far are carried out.  -ENOMEM: it is not called. */
static inline int
store_barrier(struct store *s, store_done_fn fn, void *arg)
{
	return s->ops->barrier(s, fn, arg);
}

/* Look up a task in whatever state.  -ENOMEM: fn is not called. */
static inline int
store_get(struct store *s, uint64_t id, store_task_fn fn, void *arg)
{
	return s->ops->get(s, id, fn, arg);
}

/* List tasks, newest first. */
static inline int
store_list(
    struct store *s, const struct store_filter *f, store_list_fn fn, void *arg)
{
	return s->ops->list(s, f, fn, arg);
}

/*
 * Take the next n ready tasks of a queue, or those that fall due before a wall
 * time, that the broker does not hold yet.  fn takes a reference to each that
 * it keeps; the store counts them as held from then on.
 */
static inline int
store_fetch_ready(struct store *s, const struct queue *q, size_t n,
    store_list_fn fn, void *arg)
{
	return s->ops->fetch_ready(s, q, n, fn, arg);
}

static inline int
store_fetch_due(
    struct store *s, int64_t before_ms, size_t n, store_list_fn fn, void *arg)
{
	return s->ops->fetch_due(s, before_ms, n, fn, arg);
}

static inline void
store_count(struct store *s, struct store_counts *out)
{
	s->ops->count(s, out);
}

/* Start carrying out what has gathered. */
static inline void
store_flush(struct store *s)
{
	s->ops->flush(s);
}

/* Calls whose outcome was not told yet get -ECANCELED.  NULL-safe. */
static inline void
store_free(struct store *s)
{
	if (s != NULL)
		s->ops->free(s);
}

#endif
