/* SPDX-License-Identifier: ISC */
/*
 * window.c - which of the waiting tasks are in memory
 *
 * A fetch may bring what is resident by now, because a client asked for it, or
 * has ended: life_adopt sorts that out.  It may also miss what was spilled
 * after it, so n_spilled, not the fetch, says whether there is more.
 */
#include "master/broker/window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/log.h"
#include "master/broker/broker.h"
#include "master/broker/holdback.h"
#include "master/broker/life.h"
#include "master/broker/mailbox.h"
#include "master/broker/store_sqlite.h"

#define BAND_MAX  2048  /* ready tasks that a band holds in memory */
#define BAND_MIN  32    /* the same when many bands have more */
#define BANDS_MAX 16384 /* in all bands that have more */
#define DUE_MAX   2048  /* scheduled tasks of each clock */
/* What the tasks of a band may hold, and those of all that have more. */
#define BAND_BYTES       ((size_t)4 * 1024 * 1024)
#define BANDS_BYTES      ((size_t)32 * 1024 * 1024)
#define BYTES_MIN        ((size_t)64 * 1024)
#define DUE_BYTES        ((size_t)8 * 1024 * 1024)
#define RETRY_S          0.05 /* after a fetch that failed, or brought nothing */
#define NO_EXPIRY        INT64_MAX
#define EXPIRED_AGAIN_MS 50 /* after a fetch that brought none that expires */

static int
band_cmp(const struct band *a, const struct band *b)
{
	if (a->queue != b->queue)
		return a->queue < b->queue ? -1 : 1;
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return (a->priority > b->priority) - (a->priority < b->priority);
}

RB_PROTOTYPE(band_tree, band, entry, band_cmp)
RB_GENERATE(band_tree, band, entry, band_cmp)

/* NULL: out of memory. */
static struct band *
get_band(struct broker *b, struct queue *q, struct kind *kind, unsigned p)
{
	struct band key = {.queue = q, .kind = kind, .priority = p}, *band;

	band = RB_FIND(band_tree, &b->window.bands, &key);
	if (band != NULL)
		return band;
	band = calloc(1, sizeof(*band));
	if (band == NULL)
		return NULL;
	band->broker = b;
	band->queue = q;
	band->kind = kind;
	band->priority = p;
	RB_INSERT(band_tree, &b->window.bands, band);
	return band;
}

/* How many ready tasks each band may hold. */
static size_t
band_size(const struct window *w)
{
	size_t n =
	    w->n_spilled_bands > 0 ? BANDS_MAX / w->n_spilled_bands : BAND_MAX;

	if (n > BAND_MAX)
		return BAND_MAX;
	return n < BAND_MIN ? BAND_MIN : n;
}

/* And how many bytes. */
static size_t
band_bytes(const struct window *w)
{
	size_t n = w->n_spilled_bands > 0 ? BANDS_BYTES / w->n_spilled_bands
					  : BAND_BYTES;

	if (n > BAND_BYTES)
		return BAND_BYTES;
	return n < BYTES_MIN ? BYTES_MIN : n;
}

/* Let the lane of a band start nothing that is behind what is spilled, unless
 * that is held back: then it is passed. */
static void
set_limit(struct broker *b, const struct band *of)
{
	struct catalog *c = &b->catalog;
	struct lane *lane = catalog_get_lane(c, of->queue, of->kind);
	uint64_t limit = UINT64_MAX;
	const struct band *band;

	if (lane == NULL)
		return;
	TAILQ_FOREACH(band, &b->window.spilled, spilled_entry) {
		if (band->queue == of->queue &&
		    band->priority == of->priority && band->frontier < limit &&
		    !holdback_is_on(band->kind) &&
		    catalog_get_lane(c, band->queue, band->kind) == lane)
			limit = band->frontier;
	}
	lane->ready.limit[of->priority] = limit;
	if (limit == UINT64_MAX)
		lane->ready.more &= ~(1u << of->priority);
	else
		lane->ready.more |= 1u << of->priority;
}

static void
set_frontier(struct broker *b, struct band *band, uint64_t seq)
{
	band->frontier = seq;
	set_limit(b, band);
}

static void
band_count(struct broker *b, struct band *band, int by, uint64_t seq)
{
	struct window *w = &b->window;
	bool had = band->n_spilled > 0;

	band->n_spilled += (uint64_t)(int64_t)by;
	if (by > 0 && seq < band->spilled_from)
		band->spilled_from = seq;
	if (had && by > 0 && seq <= band->frontier)
		set_frontier(b, band, seq - 1);
	if (had == (band->n_spilled > 0))
		return;
	if (had) {
		TAILQ_REMOVE(&w->spilled, band, spilled_entry);
		w->n_spilled_bands--;
		set_limit(b, band);
	} else {
		TAILQ_INSERT_TAIL(&w->spilled, band, spilled_entry);
		w->n_spilled_bands++;
		band->missed = false;
		/* All before it are resident. */
		set_frontier(b, band, seq - 1);
	}
}

static void
retry_soon(struct broker *b)
{
	struct window *w = &b->window;

	if (ev_is_active(&w->timer) &&
	    ev_timer_remaining(b->loop, &w->timer) <= RETRY_S)
		return;
	ev_timer_stop(b->loop, &w->timer);
	ev_timer_set(&w->timer, RETRY_S, 0.);
	ev_timer_start(b->loop, &w->timer);
}

/* Set the timer for the first spilled task that expires. */
static void
arm_expiry(struct broker *b)
{
	struct window *w = &b->window;
	int64_t ms;

	if (w->n_expiring == 0 || w->next_expiry == NO_EXPIRY ||
	    w->fetching_expired)
		return;
	ms = w->next_expiry - broker_steady_now(b);
	if (ev_is_active(&w->timer) &&
	    ev_timer_remaining(b->loop, &w->timer) <= (double)ms / 1e3)
		return;
	ev_timer_stop(b->loop, &w->timer);
	ev_timer_set(&w->timer, ms < 0 ? 0. : (double)ms / 1e3, 0.);
	ev_timer_start(b->loop, &w->timer);
}

static bool
due_is_later(const struct task *t, const struct due_band *d)
{
	return t->due_ms > d->frontier ||
	       (t->due_ms == d->frontier && t->id > d->frontier_id);
}

static bool
is_full(const struct window *w, const struct band *band)
{
	return band->n_resident >= band_size(w) ||
	       band->n_bytes >= band_bytes(w);
}

static bool
admit_ready(struct broker *b, struct task *t)
{
	struct band *band = get_band(b, t->queue, t->kind, t->priority);

	if (band == NULL)
		return true; /* it is counted nowhere, which harms nobody */
	/* What comes back from a run or a mailbox is not behind those that are
	 * here: spilled, it would hold them up, and nothing would fetch it. */
	if (b->window.closed ||
	    (band->n_spilled > 0
		    ? t->seq > band->frontier
		    : t->seq > band->last && is_full(&b->window, band)))
		return false;
	t->band = band;
	t->n_counted = task_size(t);
	band->n_resident++;
	band->n_bytes += t->n_counted;
	if (t->seq > band->last)
		band->last = t->seq;
	return true;
}

static bool
admit_scheduled(struct broker *b, struct task *t)
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

bool
window_admit(struct broker *b, struct task *t)
{
	if (!t->durable)
		return true;
	/* A suspect waits in a list of its own. */
	if (t->suspect && t->state == TASK_READY)
		return !b->window.closed;
	return t->state == TASK_SCHEDULED ? admit_scheduled(b, t)
					  : admit_ready(b, t);
}

void
window_leave(struct broker *b, struct task *t)
{
	if (t->band != NULL) {
		t->band->n_resident--;
		t->band->n_bytes -= t->n_counted;
		t->band = NULL;
	}
	if (t->in_due) {
		b->window.due[t->run_at_is_wall].n_resident--;
		b->window.due[t->run_at_is_wall].n_bytes -= t->n_counted;
		t->in_due = false;
	}
}

static bool
due_is_before(const struct task *t, int64_t ms, uint64_t id)
{
	return t->due_ms < ms || (t->due_ms == ms && t->id < id);
}

/* A scheduled one is spilled, or no more. */
static void
due_count(struct due_band *d, const struct task *t, int by)
{
	bool had = d->n_spilled > 0;

	d->n_spilled += (uint64_t)(int64_t)by;
	if (!had && by > 0)
		d->missed = false;
	if (by > 0 && due_is_before(t, d->spilled_from, d->spilled_from_id)) {
		d->spilled_from = t->due_ms;
		d->spilled_from_id = t->id;
	}
	if (by > 0 && (!had || !due_is_later(t, d))) {
		d->frontier = t->due_ms;
		d->frontier_id = t->id - 1;
	}
}

void
window_count(struct broker *b, const struct task *t, int by)
{
	struct window *w = &b->window;
	struct band *band;

	if (t->expires_ms != 0) {
		w->n_expiring += (uint64_t)(int64_t)by;
		if (by > 0 && t->expires_ms < w->next_expiry)
			w->next_expiry = t->expires_ms;
		if (by > 0 && t->expires_ms < w->spilled_expiry)
			w->spilled_expiry = t->expires_ms;
		arm_expiry(b);
	}
	if (t->state == TASK_SCHEDULED) {
		due_count(&w->due[t->run_at_is_wall], t, by);
	} else if (!t->parked) {
		band = get_band(b, t->queue, t->kind, t->priority);
		if (band != NULL)
			band_count(b, band, by, t->seq);
	}
}

/* The disk has nothing of what was counted, and nothing is on its way. */
static bool
is_drift(struct broker *b, bool *missed, size_t n)
{
	bool again = *missed;

	*missed = n == 0;
	if (n > 0)
		return false;
	retry_soon(b);
	return again && store_is_idle(b->store);
}

static void
on_ready(
    void *arg, int err, struct task *const *tasks, size_t n, uint64_t cursor)
{
	struct band *band = arg;
	struct broker *b = band->broker;
	size_t i, n_next = 0;

	(void)cursor;
	band->fetching = false;
	if (err == -ECANCELED || b->window.closed)
		return;
	if (err < 0) {
		band->failed = true;
		retry_soon(b);
		return;
	}
	/* What was spilled since then may be missing among them. */
	while (n_next < n && tasks[n_next]->seq < band->spilled_from)
		n_next++;
	/* First, so that they may stay. */
	if (n_next > 0 && tasks[n_next - 1]->seq > band->frontier)
		set_frontier(b, band, tasks[n_next - 1]->seq);
	for (i = 0; i < n_next; i++)
		(void)life_adopt(b, tasks[i]);
	if (band->n_spilled > 0 && is_drift(b, &band->missed, n)) {
		log_error("queue %s: %llu tasks %s that were counted are not "
			  "in the store",
		    band->queue->name, (unsigned long long)band->n_spilled,
		    band->kind->name);
		band->queue->count.ready -= band->n_spilled;
		b->n_waiting -= band->n_spilled;
		band_count(b, band, -(int)band->n_spilled, 0);
	}
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
		d->failed = true;
		retry_soon(b);
		return;
	}
	while (n_next < n && due_is_before(tasks[n_next], d->spilled_from,
				 d->spilled_from_id))
		n_next++;
	if (n_next > 0 && due_is_later(tasks[n_next - 1], d)) {
		d->frontier = tasks[n_next - 1]->due_ms;
		d->frontier_id = tasks[n_next - 1]->id;
	}
	for (i = 0; i < n_next; i++)
		(void)life_adopt(b, tasks[i]);
	if (d->n_spilled > 0 && is_drift(b, &d->missed, n)) {
		log_error("%llu scheduled tasks that were counted are not in "
			  "the store",
		    (unsigned long long)d->n_spilled);
		d->n_spilled = 0;
	}
}

static void
on_expired(
    void *arg, int err, struct task *const *tasks, size_t n, uint64_t cursor)
{
	struct broker *b = arg;
	struct window *w = &b->window;
	int64_t now = broker_steady_now(b);
	size_t i, n_expired = 0;
	struct task *t;

	w->fetching_expired = false;
	if (err == -ECANCELED || w->closed)
		return;
	if (err < 0) {
		retry_soon(b);
		return;
	}
	for (i = 0; i < n; i++) {
		t = life_adopt(b, tasks[i]);
		/* One that has started meanwhile expires no more. */
		if (t == NULL || t->expires_ms == 0 || t->expires_ms > now)
			continue;
		life_expire(b, t);
		n_expired++;
	}
	/* The cursor is the next one's time, once those of now are here. */
	w->next_expiry = cursor == 0 ? NO_EXPIRY : (int64_t)cursor;
	if (w->spilled_expiry < w->next_expiry)
		w->next_expiry = w->spilled_expiry;
	/* The same will come again until the disk has their end. */
	if (n_expired == 0 && w->next_expiry < now + EXPIRED_AGAIN_MS)
		w->next_expiry = now + EXPIRED_AGAIN_MS;
	arm_expiry(b);
}

/* What is left of `most`; never nothing. */
static size_t
room(size_t used, size_t most)
{
	return used < most ? most - used : 1;
}

static void
fetch_band(struct broker *b, struct band *band)
{
	struct store_range range = {
	    .order = STORE_READY,
	    .queue = band->queue,
	    .kind = band->kind,
	    .priority = band->priority,
	    .after = (int64_t)band->frontier,
	    .n = room(band->n_resident, band_size(&b->window)),
	    .max_bytes = room(band->n_bytes, band_bytes(&b->window)),
	};

	band->spilled_from = UINT64_MAX;
	band->fetching = store_fetch(b->store, &range, on_ready, band) == 0;
}

static void
fetch_due(struct broker *b, struct due_band *d)
{
	struct store_range range = {
	    .order = d->wall ? STORE_DUE_WALL : STORE_DUE_STEADY,
	    .after = d->frontier,
	    .after_id = d->frontier_id,
	    .n = room(d->n_resident, DUE_MAX),
	    .max_bytes = room(d->n_bytes, DUE_BYTES),
	};

	d->spilled_from = INT64_MAX;
	d->spilled_from_id = UINT64_MAX;
	d->fetching = store_fetch(b->store, &range, on_due, d) == 0;
}

static void
fetch_expired(struct broker *b)
{
	struct window *w = &b->window;
	struct store_range range = {
	    .order = STORE_EXPIRED,
	    .after = INT64_MIN,
	    .until = broker_steady_now(b),
	    .n = DUE_MAX,
	    .max_bytes = DUE_BYTES,
	};

	w->spilled_expiry = NO_EXPIRY;
	w->fetching_expired = store_fetch(b->store, &range, on_expired, b) == 0;
}

void
window_refill(struct broker *b)
{
	struct window *w = &b->window;
	struct band *band;
	int i;

	if (w->closed)
		return;
	TAILQ_FOREACH(band, &w->spilled, spilled_entry) {
		if (!band->fetching && !band->missed && !band->failed &&
		    band->n_resident <= band_size(w) / 2 &&
		    band->n_bytes <= band_bytes(w) / 2)
			fetch_band(b, band);
	}
	for (i = 0; i < 2; i++) {
		struct due_band *d = &w->due[i];

		if (d->n_spilled > 0 && !d->fetching && !d->missed &&
		    !d->failed && d->n_resident <= DUE_MAX / 2 &&
		    d->n_bytes <= DUE_BYTES / 2)
			fetch_due(b, d);
	}
}

/* What was missed is looked for once more, at the end of this turn. */
static void
on_timer(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
	struct broker *b = timer->data;
	struct window *w = &b->window;
	struct band *band;
	int i;

	(void)loop;
	(void)revents;
	if (w->closed)
		return;
	TAILQ_FOREACH(band, &w->spilled, spilled_entry) {
		band->failed = false;
		if (band->missed && !band->fetching)
			fetch_band(b, band);
	}
	for (i = 0; i < 2; i++)
		w->due[i].failed = false;
	for (i = 0; i < 2; i++)
		if (w->due[i].missed && w->due[i].n_spilled > 0 &&
		    !w->due[i].fetching)
			fetch_due(b, &w->due[i]);
	if (w->n_expiring > 0 && !w->fetching_expired &&
	    w->next_expiry <= broker_steady_now(b))
		fetch_expired(b);
	arm_expiry(b);
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

/* Spill all but the first DUE_MAX of a clock. */
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
	while (n > 0 && (n > DUE_MAX || d->n_bytes > DUE_BYTES))
		(void)life_spill(b, list[--n]);
	free(list);
}

void
window_trim(struct broker *b)
{
	int i;

	for (i = 0; i < 2; i++)
		if (b->window.due[i].n_resident > (size_t)2 * DUE_MAX ||
		    b->window.due[i].n_bytes > 2 * DUE_BYTES)
			trim_due(b, &b->window.due[i]);
}

void
window_review(struct broker *b)
{
	const struct band *band;

	/* New lanes have no limits. */
	TAILQ_FOREACH(band, &b->window.spilled, spilled_entry)
		set_limit(b, band);
}

void
window_close(struct broker *b)
{
	struct task *t, *next;

	if (b->window.closed)
		return;
	b->window.closed = true;
	for (t = RB_MIN(task_tree, &b->tasks); t != NULL; t = next) {
		next = RB_NEXT(task_tree, &b->tasks, t);
		if (t->durable &&
		    (t->state == TASK_READY || t->state == TASK_SCHEDULED))
			(void)life_spill(b, t);
	}
}

void
window_open(struct broker *b)
{
	b->window.closed = false;
	/* For what was put off meanwhile. */
	retry_soon(b);
}

bool
window_has_work(const struct broker *b, shift_set set)
{
	const struct band *band;

	if (b->window.closed)
		return false;
	TAILQ_FOREACH(band, &b->window.spilled, spilled_entry) {
		if ((catalog_lane_set(&b->catalog, band->queue, band->kind) &
			set) != 0)
			return true;
	}
	return false;
}

static int
load_bands(
    struct broker *b, const struct store_band *list, size_t n, bool parked)
{
	struct queue *q;
	struct kind *k;
	struct band *band;
	struct lane *lane;
	size_t i;

	for (i = 0; i < n; i++) {
		if (catalog_need_queue(&b->catalog, list[i].queue, &q) < 0)
			return -ENOMEM;
		q->count.ready += list[i].n;
		b->n_waiting += list[i].n;
		if (parked)
			continue;
		if (catalog_need_kind(&b->catalog, list[i].kind, &k) < 0 ||
		    catalog_place(&b->catalog, q, k, &lane) < 0)
			return -ENOMEM;
		band = get_band(b, q, k, list[i].priority);
		if (band == NULL)
			return -ENOMEM;
		band_count(b, band, 1, 1);
		band->n_spilled = list[i].n;
	}
	return 0;
}

static int
load_due(struct broker *b, const struct store_band *list, size_t n,
    struct due_band *d)
{
	struct queue *q;
	size_t i;

	for (i = 0; i < n; i++) {
		if (catalog_need_queue(&b->catalog, list[i].queue, &q) < 0)
			return -ENOMEM;
		q->count.scheduled += list[i].n;
		b->n_waiting += list[i].n;
		d->n_spilled += list[i].n;
	}
	d->frontier = INT64_MIN;
	d->frontier_id = 0;
	return 0;
}

int
window_load(struct broker *b, const struct store_found *found)
{
	struct window *w = &b->window;
	int r;

	r = load_bands(b, found->bands, found->n_bands, false);
	if (r == 0)
		r = load_bands(b, found->parked, found->n_parked, true);
	if (r == 0)
		r = load_due(b, found->steady, found->n_steady, &w->due[0]);
	if (r == 0)
		r = load_due(b, found->wall, found->n_wall, &w->due[1]);
	w->n_expiring = found->n_expiring;
	w->next_expiry = 0;
	if (w->n_expiring > 0)
		retry_soon(b);
	return r;
}

void
window_init(struct broker *b)
{
	struct window *w = &b->window;
	int i;

	RB_INIT(&w->bands);
	TAILQ_INIT(&w->spilled);
	w->next_expiry = NO_EXPIRY;
	for (i = 0; i < 2; i++) {
		w->due[i].broker = b;
		w->due[i].wall = i == 1;
	}
	ev_timer_init(&w->timer, on_timer, 0., 0.);
	w->timer.data = b;
}

void
window_done(struct broker *b)
{
	struct band *band;

	ev_timer_stop(b->loop, &b->window.timer);
	while ((band = RB_ROOT(&b->window.bands)) != NULL) {
		RB_REMOVE(band_tree, &b->window.bands, band);
		free(band);
	}
}
