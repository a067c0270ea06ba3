/* SPDX-License-Identifier: ISC */
/*
 * window_due.c - which of the scheduled tasks are in memory
 *
 * Any that is before the frontier may enter, so now and then the last ones are
 * spilled.  They are found among the timers: each that is resident has one.
 */
#include "master/broker/window_due.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/log.h"
#include "master/broker/broker.h"
#include "master/broker/life.h"
#include "master/broker/result.h"

#define DUE_MAX   2048 /* scheduled tasks of each clock */
#define DUE_BYTES ((size_t)8 * 1024 * 1024)

static bool
due_is_later(const struct task *t, const struct due_band *d)
{
	return t->due_ms > d->frontier ||
	       (t->due_ms == d->frontier && t->id > d->frontier_id);
}

static bool
due_is_before(const struct task *t, int64_t ms, uint64_t id)
{
	return t->due_ms < ms || (t->due_ms == ms && t->id < id);
}

bool
window_due_admit(struct broker *b, struct task *t)
{
	struct due_band *d = &b->window.due[t->run_at_is_wall];

	if (b->window.closed || (d->n_spilled > 0 && due_is_later(t, d)))
		return false;
	t->n_counted = task_size(t);
	d->n_resident++;
	d->n_bytes += t->n_counted;
	t->in_due = true;
	return true;
}

void
window_due_count(struct broker *b, const struct task *t, int by)
{
	struct due_band *d = &b->window.due[t->run_at_is_wall];
	bool had = d->n_spilled > 0;

	d->n_spilled += (uint64_t)(int64_t)by;
	t->queue->n_spilled_due[d->wall] += (uint64_t)(int64_t)by;
	if (!had && by > 0)
		d->missed = 0;
	if (by > 0 && due_is_before(t, d->spilled_from, d->spilled_from_id)) {
		d->spilled_from = t->due_ms;
		d->spilled_from_id = t->id;
	}
	if (by > 0 && (!had || !due_is_later(t, d))) {
		d->frontier = t->due_ms;
		d->frontier_id = t->id - 1;
	}
}

/* What was counted is not in the store. */
static void
forget_due(struct broker *b, struct due_band *d)
{
	struct queue *q;
	size_t i;

	log_error("%llu scheduled tasks that were counted are not in the store",
	    (unsigned long long)d->n_spilled);
	for (i = 0; i < b->catalog.n_all_queues; i++) {
		q = b->catalog.queues[i];
		q->count.scheduled -= q->n_spilled_due[d->wall];
		q->n_spilled_due[d->wall] = 0;
	}
	b->n_waiting -= d->n_spilled;
	d->n_spilled = 0;
	result_review(b);
}

static void
on_due(void *arg, int err, struct task *const *tasks, size_t n, uint64_t cursor)
{
	struct due_band *d = arg;
	struct broker *b = d->broker;
	size_t i, n_next = 0;

	(void)cursor;
	d->fetching = false;
	if (err == -ECANCELED || b->window.closed)
		return;
	if (err < 0) {
		if (window_retry_later(b, &d->retry, err))
			log_error("the next scheduled tasks can't be brought "
				  "from the store: %s; it is tried again",
			    store_strerror(err));
		return;
	}
	d->retry.ms = 0;
	while (n_next < n && due_is_before(tasks[n_next], d->spilled_from,
				 d->spilled_from_id))
		n_next++;
	if (n_next > 0 && due_is_later(tasks[n_next - 1], d)) {
		d->frontier = tasks[n_next - 1]->due_ms;
		d->frontier_id = tasks[n_next - 1]->id;
	}
	for (i = 0; i < n_next && window_take(b, tasks[i]); i++)
		continue;
	if (i < n_next) {
		d->frontier = tasks[i]->due_ms;
		d->frontier_id = tasks[i]->id - 1;
		(void)window_retry_later(b, &d->retry, -ENOMEM);
	}
	if (d->n_spilled > 0 && window_is_drift(b, &d->missed, n))
		forget_due(b, d);
}

static void
fetch_due(struct broker *b, struct due_band *d)
{
	struct store_range range = {
	    .order = d->wall ? STORE_DUE_WALL : STORE_DUE_STEADY,
	    .after = d->frontier,
	    .after_id = d->frontier_id,
	    .n = window_room(d->n_resident, DUE_MAX),
	    .max_bytes = window_room(d->n_bytes, DUE_BYTES),
	};

	d->spilled_from = INT64_MAX;
	d->spilled_from_id = UINT64_MAX;
	d->fetching = store_fetch(b->store, &range, on_due, d) == 0;
	if (!d->fetching)
		(void)window_retry_later(b, &d->retry, -ENOMEM);
}

void
window_due_refill(struct broker *b)
{
	struct window *w = &b->window;
	int i;

	for (i = 0; i < 2; i++) {
		struct due_band *d = &w->due[i];

		if (d->n_spilled > 0 && !d->fetching && !d->missed &&
		    !d->retry.waits && d->n_resident <= DUE_MAX / 2 &&
		    d->n_bytes <= DUE_BYTES / 2)
			fetch_due(b, d);
	}
}

void
window_due_again(struct broker *b)
{
	struct window *w = &b->window;
	int i;

	for (i = 0; i < 2; i++)
		window_retry_look(b, &w->due[i].retry);
	for (i = 0; i < 2; i++)
		if (w->due[i].missed && w->due[i].n_spilled > 0 &&
		    !w->due[i].fetching && !w->due[i].retry.waits)
			fetch_due(b, &w->due[i]);
}

static int
due_cmp(const void *a, const void *b)
{
	const struct task *x = *(struct task *const *)a;
	const struct task *y = *(struct task *const *)b;

	if (x->due_ms != y->due_ms)
		return x->due_ms < y->due_ms ? -1 : 1;
	return task_cmp(x, y);
}

/* Spill all but the first ones of a clock; the first stays, however big. */
static void
trim_due(struct broker *b, struct due_band *d)
{
	struct task **list, *t;
	size_t i, n = 0;

	list = calloc(d->n_resident, sizeof(struct task *));
	if (list == NULL)
		return;
	for (i = 0; i < b->timers.n; i++) {
		t = (struct task *)(void *)((char *)b->timers.heap[i] -
					    offsetof(struct task, timer));
		if (t->in_due && t->run_at_is_wall == d->wall)
			list[n++] = t;
	}
	qsort(list, n, sizeof(struct task *), due_cmp);
	/* From the end on, so that the frontier is never behind one of them. */
	while (n > 1 && (n > DUE_MAX || d->n_bytes > DUE_BYTES))
		(void)life_spill(b, list[--n]);
	free(list);
}

void
window_due_trim(struct broker *b)
{
	int i;

	for (i = 0; i < 2; i++)
		if (b->window.due[i].n_resident > (size_t)2 * DUE_MAX ||
		    (b->window.due[i].n_resident > 1 &&
			b->window.due[i].n_bytes > 2 * DUE_BYTES))
			trim_due(b, &b->window.due[i]);
}

int
window_due_load(
    struct broker *b, const struct store_band *list, size_t n, bool wall)
{
	struct due_band *d = &b->window.due[wall];
	struct queue *q;
	size_t i;

	for (i = 0; i < n; i++) {
		if (catalog_need_queue(&b->catalog, list[i].queue, &q) < 0)
			return -ENOMEM;
		q->count.scheduled += list[i].n;
		b->n_waiting += list[i].n;
		d->n_spilled += list[i].n;
		q->n_spilled_due[d->wall] += list[i].n;
	}
	d->frontier = INT64_MIN;
	d->frontier_id = 0;
	return 0;
}
