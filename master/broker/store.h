/* SPDX-License-Identifier: ISC */
/*
 * store.h - where tasks are kept: the interface that every store implements
 *
 * The broker holds the tasks that wait soon or run; the store is the truth.
 * Calls gather during a turn of the loop and are carried out together after
 * store_flush; whatever has an outcome tells it by callback, on the broker's
 * loop, in a later step and never from within the call.
 *
 * Of one flush, what is written comes before what is read: a look-up sees all
 * that was put, changed and ended before it or in the same turn.  Callbacks
 * come in the order of the calls, but for this: of what is carried out
 * together, a put that could not be kept is told first, and then what has
 * ended.  When writing fails, all puts and barriers so far are told so at once.
 *
 * A task's struct is shared by reference counting: a store that wants to keep
 * one takes a reference.  What a store reads from a disk comes as new structs,
 * of which the broker may hold another one by then: it looks.  Errors given to
 * callbacks are 0 or -errno.
 */
#ifndef GANGER_BROKER_STORE_H
#define GANGER_BROKER_STORE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "master/broker/task.h"

struct store;

/* What a store tells unasked; on the broker's loop, never from within a call.
 */
struct store_hooks {
	/* t, which was put, is not kept, and is the store's no more. */
	void (*put_failed)(void *arg, struct task *t, int err);
	/* The end of t, told by store_finish, is kept. */
	void (*ended)(void *arg, struct task *t);
	/*
	 * Fill in kind, queue and crew (for pool, which may be NULL) of a new
	 * struct by their names.  -ENOMEM.
	 */
	int (*resolve)(void *arg, struct task *t, const char *kind,
	    const char *queue, const char *pool);
	/* Writing fails, and is tried again; 0: it works again. */
	void (*health)(void *arg, int err, const char *why);
	/* A part of what is kept can't be read, ever; told once. */
	void (*damage)(void *arg, const char *why);
	void *arg;
};

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

/*
 * What store_find has found: id 0 for nothing.  state is -1 when the task
 * itself is not there any more.
 */
typedef void (*store_found_fn)(void *arg, int err, uint64_t id, int state);

struct store_filter {
	int state;                  /* enum task_state, or -1 for any */
	bool waiting;               /* only ready and scheduled ones */
	bool ended;                 /* only those that have ended */
	const struct queue *queue;  /* NULL: any; compared by identity */
	const struct kind *kind;    /* NULL: any */
	int64_t since_ms, until_ms; /* submitted_at, [since, until); 0: any */
	uint64_t below_id; /* only ids under it; 0: from the newest on */
	size_t limit;
};

/* Orders in which what waits on the disk can be fetched. */
enum store_order {
	STORE_READY, /* of a queue, kind and priority, by seq; not parked */
	STORE_KEY,   /* parked ones of a key, by seq */
	STORE_DUE_STEADY, /* scheduled, by due_ms and id: after a delay */
	STORE_DUE_WALL,   /* the same, for those with run_at_is_wall */
	STORE_EXPIRED,    /* ready or scheduled, by expires_ms and id */
};

struct store_range {
	enum store_order order;
	const struct queue *queue; /* STORE_READY */
	const struct kind *kind;
	unsigned priority;
	const char *key;   /* STORE_KEY; copied */
	int64_t after;     /* only beyond this seq, due_ms or expires_ms ... */
	uint64_t after_id; /* ... or at it, but with a higher id; not for seq */
	int64_t until;     /* STORE_EXPIRED: not later than this */
	size_t n;          /* at most so many, and ... */
	size_t
	    max_bytes; /* ... no more once their texts have so many; 0: any */
};

/* Which look-up store_find makes among tasks that have not ended. */
enum store_what {
	STORE_BY_UNIQUE, /* queue, kind and text */
	/* text: the one that holds the key, or else the first parked one */
	STORE_BY_KEY,
	STORE_BY_IDEMPOTENCY, /* text: within its time, ended or not */
};

struct store_counts {
	uint64_t n_tasks; /* all that are kept, ended or not */
	uint64_t n_ended;
	uint64_t ended_bytes; /* what the ended ones hold in memory */
	uint64_t n_dirty;     /* tasks whose news are not on the disk yet */
	uint64_t file_bytes;  /* of the database; 0: it has none */
	uint64_t free_bytes;  /* in it, to be used again */
	uint64_t commits;
};

struct store_ops {
	const char *name; /* "memory", "sqlite" */
	int (*put)(struct store *s, struct task *t);
	void (*update)(struct store *s, struct task *t);
	void (*finish)(struct store *s, struct task *t);
	void (*erase)(struct store *s, struct task *t);
	int (*barrier)(struct store *s, store_done_fn fn, void *arg);
	int (*get)(struct store *s, uint64_t id, store_task_fn fn, void *arg);
	int (*list)(struct store *s, const struct store_filter *f,
	    store_list_fn fn, void *arg);
	int (*fetch)(struct store *s, const struct store_range *range,
	    store_list_fn fn, void *arg);
	int (*find)(struct store *s, enum store_what what,
	    const struct queue *q, const struct kind *kind, const char *text,
	    store_found_fn fn, void *arg);
	bool (*has_news)(const struct store *s, const struct task *t);
	int (*pause)(struct store *s, const struct queue *q, bool paused);
	void (*count)(struct store *s, struct store_counts *out);
	void (*flush)(struct store *s);
	bool (*is_idle)(const struct store *s);
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

/*
 * t has changed: note it, as it is at the flush.  A task that had ended and is
 * revived is kept on by this too.  Never fails: what can't be written now is
 * written later.
 */
static inline void
store_update(struct store *s, struct task *t)
{
	s->ops->update(s, t);
}

/*
 * t has ended: keep it for its time, and tell hooks.ended when that is so.  The
 * broker changes it no more.
 */
static inline void
store_finish(struct store *s, struct task *t)
{
	s->ops->finish(s, t);
}

/* Forget t, which has ended.  A barrier tells when that is so. */
static inline void
store_erase(struct store *s, struct task *t)
{
	s->ops->erase(s, t);
}

/*
 * Tell fn when all calls so far are carried out, or that they could not be.
 * -ENOMEM: it is not called.
 */
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

/*
 * List tasks, newest first.  A page may be short, even empty, with a cursor:
 * so much was looked at for one step.
 */
static inline int
store_list(
    struct store *s, const struct store_filter *f, store_list_fn fn, void *arg)
{
	return s->ops->list(s, f, fn, arg);
}

/*
 * Read the next tasks of an order, whether the broker holds them or not.  The
 * cursor is 0 when there are no more for now; for STORE_EXPIRED it is then the
 * expires_ms of the next one that is not expired yet, or 0.
 */
static inline int
store_fetch(struct store *s, const struct store_range *range, store_list_fn fn,
    void *arg)
{
	return s->ops->fetch(s, range, fn, arg);
}

/* Look for one task; q and kind are for STORE_BY_UNIQUE.  text is copied. */
static inline int
store_find(struct store *s, enum store_what what, const struct queue *q,
    const struct kind *kind, const char *text, store_found_fn fn, void *arg)
{
	return s->ops->find(s, what, q, kind, text, fn, arg);
}

/* True while look-ups may show t as it was: what it is now is on its way. */
static inline bool
store_has_news(const struct store *s, const struct task *t)
{
	return s->ops->has_news(s, t);
}

/* Keep that a queue is paused, or is not any more.  -ENOMEM. */
static inline int
store_pause(struct store *s, const struct queue *q, bool paused)
{
	return s->ops->pause(s, q, paused);
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

/* True when no call is open and nothing is left to be written. */
static inline bool
store_is_idle(const struct store *s)
{
	return s->ops->is_idle(s);
}

/* Calls whose outcome was not told yet get -ECANCELED.  NULL-safe. */
static inline void
store_free(struct store *s)
{
	if (s != NULL)
		s->ops->free(s);
}

/* An error that a callback has got, in words. */
static inline const char *
store_strerror(int err)
{
	return err == -EUCLEAN ? "the database is damaged" : strerror(-err);
}

/* Room for words that say why a store can't be had. */
#define STORE_WHY_SIZE 256

/* Tasks that wait, by what the broker keeps a window of. */
struct store_band {
	const char *queue, *kind; /* owned by the store_found */
	unsigned priority;
	uint64_t n;
};

/* What was in the database when it was opened. */
struct store_found {
	uint64_t last_id, last_seq; /* at least the highest given out */
	int64_t steady_ms;        /* what to add to the monotonic clock's ms */
	struct store_band *bands; /* owned; ready, not parked, by seq */
	size_t n_bands;
	struct store_band *parked; /* owned; ready, parked; priority unused */
	size_t n_parked;
	struct store_band *steady, *wall; /* owned; scheduled; kind NULL */
	size_t n_steady, n_wall;
	uint64_t n_expiring;        /* that wait and expire */
	uint64_t n_keyed, n_unique; /* that have not ended */
	char **paused;              /* owned; names of queues */
	size_t n_paused;
	char **queues, **kinds; /* owned; all names that tasks ever had */
	size_t n_queues, n_kinds;
	uint64_t n_recovered;  /* were running, and are ready again */
	uint64_t n_suspects;   /* of them: recovered too often, run alone now */
	uint64_t n_broken_off; /* were running at most once: failed now */
};

void store_found_done(struct store_found *found);

#endif
