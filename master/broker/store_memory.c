/* SPDX-License-Identifier: ISC */
/*
 * store_memory.c - a store that forgets with the broker
 *
 * Tasks that have not ended are the broker's own structs, counted once more.
 * Ended ones wait for their time in a heap, and in two lists, oldest first, to
 * be dropped sooner when memory is short: those whose caller has the result
 * already, of which a few are kept for whoever looks, and all others.
 *
 * Outcomes are told at the flush, in the order of the calls, as a store with a
 * disk would do it; but for the end of a task: nothing keeps its broker from
 * telling that at once.
 */
#include "master/broker/store_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/clock.h"

#define ANSWERED_MAX 1024 /* ended tasks kept whose caller has the result */
#define LIST_SCAN \
	20000 /* tasks that one list call, and one flush, looks at \
	       */

enum wish_kind { WISH_BARRIER, WISH_GET, WISH_LIST, WISH_NONE, WISH_FIND };

/* A call whose outcome is told at the flush. */
struct wish {
	enum wish_kind kind;
	union {
		store_done_fn done;
		store_task_fn task;
		store_list_fn list;
		store_found_fn found;
	} fn;
	void *arg;
	uint64_t id;
	struct store_filter filter;
	STAILQ_ENTRY(wish) entry;
};

struct memory {
	struct store base; /* first: a struct store * is a struct memory * */
	struct ev_loop *loop;
	struct store_memory_limits limits;
	struct task_store_tree tasks; /* one reference each */
	struct delay expiry;          /* ended tasks by the end of their time */
	struct ev_timer timer;
	struct task_list kept, answered; /* ended, oldest first */
	uint64_t n_tasks, n_kept, n_answered, bytes;
	STAILQ_HEAD(wish_list, wish) wishes;
	struct wish_list lists; /* those that take long: one a flush */
	struct ev_timer more;   /* brings the next flush while there are some */
};

static struct memory *
memory_of(struct store *s)
{
	return (struct memory *)s;
}

static int
memory_put(struct store *s, struct task *t)
{
	struct memory *m = memory_of(s);

	/* Room in the heap now, so that an end never fails for want of it. */
	if (delay_reserve(&m->expiry, m->n_tasks + 1) < 0)
		return -ENOMEM;
	RB_INSERT(task_store_tree, &m->tasks, task_ref(t));
	m->n_tasks++;
	return 0;
}

/* Take t from among those that have ended. */
static void
unlist_ended(struct memory *m, struct task *t)
{
	delay_remove(&m->expiry, &t->timer);
	t->shelved = false;
	if (t->answered) {
		TAILQ_REMOVE(&m->answered, t, entry);
		m->n_answered--;
	} else {
		TAILQ_REMOVE(&m->kept, t, entry);
		m->n_kept--;
	}
	m->bytes -= task_size(t);
}

static void
forget(struct memory *m, struct task *t)
{
	unlist_ended(m, t);
	m->n_tasks--;
	RB_REMOVE(task_store_tree, &m->tasks, t);
	task_unref(t);
}

static void
memory_update(struct store *s, struct task *t)
{
	/* It is the broker's struct itself; it may have been revived. */
	if (t->shelved)
		unlist_ended(memory_of(s), t);
}

static void
memory_erase(struct store *s, struct task *t)
{
	if (t->shelved)
		forget(memory_of(s), t);
}

/* Let the timer run for what ends first, which may be a new one. */
static void
arm(struct memory *m)
{
	struct delay_node *node = delay_peek(&m->expiry);
	double wait;
	int64_t ms;

	if (node == NULL)
		return;
	ms = mono_until_ms(mono_now(), node->due);
	/* Once a second is enough for times of hours. */
	wait = ms < 1000 ? 1. : (double)ms / 1000.;
	if (ev_is_active(&m->timer) &&
	    ev_timer_remaining(m->loop, &m->timer) <= wait)
		return;
	m->timer.repeat = wait;
	ev_timer_again(m->loop, &m->timer);
}

static void
on_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct memory *m = w->data;
	struct mono now = mono_now();
	struct delay_node *node;

	(void)revents;
	ev_timer_stop(loop, w);
	while ((node = delay_pop(&m->expiry, now)) != NULL)
		forget(
		    m, (struct task *)(void *)((char *)node -
					       offsetof(struct task, timer)));
	arm(m);
}

static int64_t
time_to_keep(const struct memory *m, const struct task *t)
{
	if (t->state == TASK_FAILED || t->state == TASK_QUARANTINED)
		return m->limits.failed_ttl_ms;
	if (t->result_ttl_ms >= 0)
		return t->result_ttl_ms;
	return m->limits.result_ttl_ms;
}

static void
list_ended(struct memory *m, struct task *t)
{
	t->shelved = true;
	if (t->answered) {
		TAILQ_INSERT_TAIL(&m->answered, t, entry);
		m->n_answered++;
	} else {
		TAILQ_INSERT_TAIL(&m->kept, t, entry);
		m->n_kept++;
	}
	m->bytes += task_size(t);
}

static void
memory_finish(struct store *s, struct task *t)
{
	struct memory *m = memory_of(s);

	(void)delay_set(
	    &m->expiry, &t->timer, mono_add_ms(mono_now(), time_to_keep(m, t)));
	list_ended(m, t);
	while (m->n_answered > ANSWERED_MAX)
		forget(m, TAILQ_FIRST(&m->answered));
	while (m->bytes > m->limits.max_finished && m->n_answered > 0)
		forget(m, TAILQ_FIRST(&m->answered));
	while (m->bytes > m->limits.max_finished && m->n_kept > 1)
		forget(m, TAILQ_FIRST(&m->kept));
	arm(m);
}

void
store_memory_set_limits(
    struct store *s, const struct store_memory_limits *limits)
{
	memory_of(s)->limits = *limits;
}

struct task *
store_memory_find(struct store *s, uint64_t id)
{
	struct memory *m = memory_of(s);
	struct task key;

	key.id = id;
	return RB_FIND(task_store_tree, &m->tasks, &key);
}

struct task *
store_memory_next_ended(const struct store *s, const struct task *t)
{
	const struct memory *m = (const struct memory *)s;
	struct task *next;

	if (t == NULL)
		next = TAILQ_FIRST(&m->answered);
	else
		next = TAILQ_NEXT(t, entry);
	if (next == NULL && (t == NULL || t->answered))
		next = TAILQ_FIRST(&m->kept);
	return next;
}

int
store_memory_restore(struct store *s, struct task *t, struct mono until)
{
	struct memory *m = memory_of(s);

	if (memory_put(s, t) < 0)
		return -ENOMEM;
	/* memory_put made room: setting can't fail. */
	(void)delay_set(&m->expiry, &t->timer, until);
	list_ended(m, t);
	arm(m);
	return 0;
}

static struct wish *
wish_add(struct memory *m, enum wish_kind kind, void *arg)
{
	struct wish *w;

	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return NULL;
	w->kind = kind;
	w->arg = arg;
	if (kind == WISH_LIST)
		STAILQ_INSERT_TAIL(&m->lists, w, entry);
	else
		STAILQ_INSERT_TAIL(&m->wishes, w, entry);
	return w;
}

static int
memory_barrier(struct store *s, store_done_fn fn, void *arg)
{
	struct wish *w = wish_add(memory_of(s), WISH_BARRIER, arg);

	if (w == NULL)
		return -ENOMEM;
	w->fn.done = fn;
	return 0;
}

static int
memory_get(struct store *s, uint64_t id, store_task_fn fn, void *arg)
{
	struct wish *w = wish_add(memory_of(s), WISH_GET, arg);

	if (w == NULL)
		return -ENOMEM;
	w->fn.task = fn;
	w->id = id;
	return 0;
}

static int
memory_list(
    struct store *s, const struct store_filter *f, store_list_fn fn, void *arg)
{
	struct wish *w = wish_add(memory_of(s), WISH_LIST, arg);

	if (w == NULL)
		return -ENOMEM;
	w->fn.list = fn;
	w->filter = *f;
	return 0;
}

/* The broker holds every task that has not ended: there is never one more. */
static int
memory_fetch(struct store *s, const struct store_range *range, store_list_fn fn,
    void *arg)
{
	struct wish *w = wish_add(memory_of(s), WISH_NONE, arg);

	(void)range;
	if (w == NULL)
		return -ENOMEM;
	w->fn.list = fn;
	return 0;
}

/* And knows what it holds by all that it could be looked for. */
static int
memory_find(struct store *s, enum store_what what, const struct queue *q,
    const struct kind *kind, const char *text, store_found_fn fn, void *arg)
{
	struct wish *w = wish_add(memory_of(s), WISH_FIND, arg);

	(void)what;
	(void)q;
	(void)kind;
	(void)text;
	if (w == NULL)
		return -ENOMEM;
	w->fn.found = fn;
	return 0;
}

static int
memory_pause(struct store *s, const struct queue *q, bool paused)
{
	(void)s;
	(void)q;
	(void)paused; /* it is the queue's own flag */
	return 0;
}

/* Look-ups are made at the flush, of what there is then. */
static bool
memory_has_news(const struct store *s, const struct task *t)
{
	(void)s;
	(void)t;
	return false;
}

static bool
memory_is_idle(const struct store *s)
{
	const struct memory *m = (const struct memory *)s;

	return STAILQ_EMPTY(&m->wishes) && STAILQ_EMPTY(&m->lists);
}

static void
memory_count(struct store *s, struct store_counts *out)
{
	struct memory *m = memory_of(s);

	memset(out, 0, sizeof(*out));
	out->n_tasks = m->n_tasks;
	out->n_ended = m->n_kept + m->n_answered;
	out->ended_bytes = m->bytes;
}

static void
tell_task(struct memory *m, const struct wish *w)
{
	struct task key, *t;

	key.id = w->id;
	t = RB_FIND(task_store_tree, &m->tasks, &key);
	w->fn.task(w->arg, t == NULL ? -ENOENT : 0, t);
}

static bool
fits(const struct store_filter *f, const struct task *t)
{
	bool ended = task_is_final(t);

	return (f->state < 0 || t->state == (enum task_state)f->state) &&
	       (!f->waiting || (!ended && t->state != TASK_RUNNING)) &&
	       (!f->ended || ended) &&
	       (f->since_ms == 0 || t->submitted_at >= f->since_ms) &&
	       (f->until_ms == 0 || t->submitted_at < f->until_ms) &&
	       (f->queue == NULL || t->queue == f->queue) &&
	       (f->kind == NULL || t->kind == f->kind);
}

/* The newest task under id below; the newest of all for 0. */
static struct task *
newest_below(struct memory *m, uint64_t below)
{
	struct task key, *t;

	if (below == 0)
		return RB_MAX(task_store_tree, &m->tasks);
	key.id = below;
	t = RB_NFIND(task_store_tree, &m->tasks, &key);
	return t == NULL ? RB_MAX(task_store_tree, &m->tasks)
			 : RB_PREV(task_store_tree, &m->tasks, t);
}

static void
tell_list(struct memory *m, const struct wish *w)
{
	struct task **found, *t;
	uint64_t cursor;
	size_t n, seen;

	found = calloc(w->filter.limit + 1, sizeof(*found));
	if (found == NULL) {
		w->fn.list(w->arg, -ENOMEM, NULL, 0, 0);
		return;
	}
	cursor = 0;
	n = seen = 0;
	for (t = newest_below(m, w->filter.below_id); t != NULL;
	     t = RB_PREV(task_store_tree, &m->tasks, t)) {
		/* The list goes on below the last one that was looked at. */
		if (n == w->filter.limit || seen == LIST_SCAN)
			break;
		cursor = t->id;
		seen++;
		if (fits(&w->filter, t))
			found[n++] = t;
	}
	w->fn.list(w->arg, 0, found, n, t == NULL ? 0 : cursor);
	free(found);
}

/* Let the caller know that there will be no answer. */
static void
tell_cancelled(const struct wish *w)
{
	switch (w->kind) {
	case WISH_BARRIER:
		w->fn.done(w->arg, -ECANCELED);
		break;
	case WISH_GET:
		w->fn.task(w->arg, -ECANCELED, NULL);
		break;
	case WISH_LIST:
	case WISH_NONE:
		w->fn.list(w->arg, -ECANCELED, NULL, 0, 0);
		break;
	case WISH_FIND:
		w->fn.found(w->arg, -ECANCELED, 0, -1);
		break;
	}
}

static void
tell(struct memory *m, const struct wish *w)
{
	switch (w->kind) {
	case WISH_BARRIER:
		w->fn.done(w->arg, 0);
		break;
	case WISH_GET:
		tell_task(m, w);
		break;
	case WISH_LIST:
		tell_list(m, w);
		break;
	case WISH_NONE:
		w->fn.list(w->arg, 0, NULL, 0, 0);
		break;
	case WISH_FIND:
		w->fn.found(w->arg, 0, 0, -1);
		break;
	}
}

static void
memory_flush(struct store *s)
{
	struct memory *m = memory_of(s);
	struct wish *w;

	while ((w = STAILQ_FIRST(&m->wishes)) != NULL) {
		STAILQ_REMOVE_HEAD(&m->wishes, entry);
		tell(m, w);
		free(w);
	}
	/* The timer is running: a list of this turn was told already. */
	if (STAILQ_EMPTY(&m->lists) || ev_is_active(&m->more))
		return;
	w = STAILQ_FIRST(&m->lists);
	STAILQ_REMOVE_HEAD(&m->lists, entry);
	tell(m, w);
	free(w);
	if (!STAILQ_EMPTY(&m->lists)) {
		ev_timer_set(&m->more, 0., 0.);
		ev_timer_start(m->loop, &m->more);
	}
}

/* Nothing to do: the turn that it makes ends with a flush. */
static void
on_more(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	(void)loop;
	(void)w;
	(void)revents;
}

static void
memory_free(struct store *s)
{
	struct memory *m = memory_of(s);
	struct task *t;
	struct wish *w;

	ev_timer_stop(m->loop, &m->timer);
	ev_timer_stop(m->loop, &m->more);
	STAILQ_CONCAT(&m->wishes, &m->lists);
	while ((w = STAILQ_FIRST(&m->wishes)) != NULL) {
		STAILQ_REMOVE_HEAD(&m->wishes, entry);
		tell_cancelled(w);
		free(w);
	}
	while ((t = RB_ROOT(&m->tasks)) != NULL) {
		RB_REMOVE(task_store_tree, &m->tasks, t);
		task_unref(t);
	}
	delay_done(&m->expiry);
	free(m);
}

static const struct store_ops memory_ops = {
    .name = "memory",
    .put = memory_put,
    .update = memory_update,
    .finish = memory_finish,
    .erase = memory_erase,
    .barrier = memory_barrier,
    .get = memory_get,
    .list = memory_list,
    .fetch = memory_fetch,
    .find = memory_find,
    .pause = memory_pause,
    .count = memory_count,
    .flush = memory_flush,
    .has_news = memory_has_news,
    .is_idle = memory_is_idle,
    .free = memory_free,
};

int
store_memory_new(struct ev_loop *loop, const struct store_memory_limits *limits,
    struct store **out)
{
	struct memory *m;

	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return -ENOMEM;
	m->base.ops = &memory_ops;
	m->loop = loop;
	m->limits = *limits;
	RB_INIT(&m->tasks);
	delay_init(&m->expiry);
	TAILQ_INIT(&m->kept);
	TAILQ_INIT(&m->answered);
	STAILQ_INIT(&m->wishes);
	STAILQ_INIT(&m->lists);
	ev_timer_init(&m->more, on_more, 0., 0.);
	ev_timer_init(&m->timer, on_timer, 0., 1.);
	m->timer.data = m;
	*out = &m->base;
	return 0;
}
