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
#include "master/broker/result.h"
#include "master/broker/window_due.h"

#define BAND_MAX  2048  /* ready tasks that a band holds in memory */
#define BAND_MIN  32    /* the same when many bands have more */
#define BANDS_MAX 16384 /* in all bands that have more */
/* What the tasks of a band may hold, and those of all that have more. */
#define BAND_BYTES       ((size_t)4 * 1024 * 1024)
#define BANDS_BYTES      ((size_t)32 * 1024 * 1024)
#define BYTES_MIN        ((size_t)64 * 1024)
#define RETRY_MS         50 /* after a fetch that failed, or brought nothing */
#define RETRY_MAX_MS     1000 /* after one of many that failed */
#define EXPIRED_MAX      2048 /* of a fetch */
#define EXPIRED_BYTES    ((size_t)8 * 1024 * 1024)
#define NO_EXPIRY        INT64_MAX
#define MISSES_MAX       20 /* fetches that brought nothing, in a row */
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
	shift_set set = catalog_lane_set(c, of->queue, of->kind);
	uint64_t limit = UINT64_MAX;
	const struct band *band;
	struct lane *lane;

	/* A reload has made lanes for what is in memory alone. */
	(void)catalog_place(c, of->queue, of->kind, &lane);
	TAILQ_FOREACH(band, &b->window.spilled, spilled_entry) {
		/* Nobody waits for what is not going to be fetched. */
		if (b->window.closed)
			break;
		if (band->queue == of->queue && !band->unreadable &&
		    band->priority == of->priority && band->frontier < limit &&
		    !holdback_is_on(band->kind) &&
		    catalog_lane_set(c, band->queue, band->kind) == set)
			limit = band->frontier;
	}
	/* Since the end of a shift there may be several with the same set. */
	SLIST_FOREACH(lane, &of->queue->lanes, entry)
	{
		if (lane->shifts == set)
			ready_set_limit(&lane->ready, of->priority, limit);
	}
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
		/* What was true of those that it had before. */
		band->missed = 0;
		band->retry = (struct window_retry){0};
		band->unreadable = false;
		/* All before it are resident. */
		set_frontier(b, band, seq - 1);
	}
}

/* Let the timer go off in ms at the latest. */
static void
ring_in(struct broker *b, int64_t ms)
{
	struct window *w = &b->window;
	double s = ms < 0 ? 0. : (double)ms / 1e3;

	if (ev_is_active(&w->timer) &&
	    ev_timer_remaining(b->loop, &w->timer) <= s)
		return;
	ev_timer_stop(b->loop, &w->timer);
	ev_timer_set(&w->timer, s, 0.);
	ev_timer_start(b->loop, &w->timer);
}

void
window_retry_soon(struct broker *b)
{
	ring_in(b, RETRY_MS);
}

bool
window_retry_later(struct broker *b, struct window_retry *r, int err)
{
	bool first = r->ms == 0 && err != -EAGAIN;
	int64_t ms = RETRY_MS;

	if (err != -EAGAIN) {
		if (!first)
			ms =
			    2 * r->ms < RETRY_MAX_MS ? 2 * r->ms : RETRY_MAX_MS;
		r->ms = ms;
	}
	r->waits = true;
	r->at = mono_add_ms(mono_now(), ms);
	ring_in(b, ms);
	return first;
}

void
window_retry_look(struct broker *b, struct window_retry *r)
{
	struct mono now = mono_now();

	if (!r->waits)
		return;
	r->waits = !mono_reached(now, r->at);
	if (r->waits)
		ring_in(b, mono_until_ms(now, r->at) + 1);
}

/* Set the timer for the first spilled task that expires. */
static void
arm_expiry(struct broker *b)
{
	const struct window *w = &b->window;

	if (w->n_expiring > 0 && w->next_expiry != NO_EXPIRY &&
	    !w->fetching_expired)
		ring_in(b, w->next_expiry - broker_steady_now(b));
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

bool
window_admit(struct broker *b, struct task *t)
{
	if (!t->durable)
		return true;
	if (b->window.closed && t->state == TASK_READY &&
	    mailbox_is_wanted(b, t))
		return true;
	/* A suspect waits in a list of its own. */
	if (t->suspect && t->state == TASK_READY)
		return !b->window.closed;
	return t->state == TASK_SCHEDULED ? window_due_admit(b, t)
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
		window_due_count(b, t, by);
	} else if (!t->parked) {
		band = get_band(b, t->queue, t->kind, t->priority);
		if (band != NULL)
			band_count(b, band, by, t->seq);
	}
}

/* The disk has nothing of what was counted, and nothing is on its way. */
bool
window_is_drift(struct broker *b, unsigned *missed, size_t n)
{
	if (n > 0) {
		*missed = 0;
		return false;
	}
	window_retry_soon(b);
	/* A store that is never idle does not make them come later. */
	return ++*missed > 1 &&
	       (store_is_idle(b->store) || *missed > MISSES_MAX);
}

/* False: there is no memory for t, which stays on the disk. */
bool
window_take(struct broker *b, struct task *t)
{
	return life_adopt(b, t) != NULL || life_find_ending(b, t->id) != NULL;
}

/* What can't be read, nothing that is behind it waits for. */
static void
set_readable(struct broker *b, struct band *band, bool readable)
{
	if (band->unreadable == !readable)
		return;
	band->unreadable = !readable;
	set_limit(b, band);
}

static void
fetch_failed(struct broker *b, struct band *band, int err)
{
	if (window_retry_later(b, &band->retry, err))
		log_error("queue %s: the next tasks %s can't be brought from "
			  "the store: %s; it is tried again",
		    band->queue->name, band->kind->name, store_strerror(err));
	set_readable(b, band, err != -EUCLEAN);
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
		fetch_failed(b, band, err);
		return;
	}
	band->retry.ms = 0;
	set_readable(b, band, true);
	/* What was spilled since then may be missing among them. */
	while (n_next < n && tasks[n_next]->seq < band->spilled_from)
		n_next++;
	/* First, so that they may stay. */
	if (n_next > 0 && tasks[n_next - 1]->seq > band->frontier)
		set_frontier(b, band, tasks[n_next - 1]->seq);
	for (i = 0; i < n_next && window_take(b, tasks[i]); i++)
		continue;
	if (i < n_next) {
		set_frontier(b, band, tasks[i]->seq - 1);
		fetch_failed(b, band, -ENOMEM);
	}
	if (band->n_spilled > 0 && window_is_drift(b, &band->missed, n)) {
		log_error("queue %s: %llu tasks %s that were counted are not "
			  "in the store",
		    band->queue->name, (unsigned long long)band->n_spilled,
		    band->kind->name);
		band->queue->count.ready -= band->n_spilled;
		b->n_waiting -= band->n_spilled;
		band_count(b, band, -(int)band->n_spilled, 0);
		result_review(b);
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
		(void)window_retry_later(b, &w->expired, err);
		w->next_expiry = now + mono_until_ms(mono_now(), w->expired.at);
		return;
	}
	w->expired.ms = 0;
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
size_t
window_room(size_t used, size_t most)
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
	    .n = window_room(band->n_resident, band_size(&b->window)),
	    .max_bytes = window_room(band->n_bytes, band_bytes(&b->window)),
	};

	band->spilled_from = UINT64_MAX;
	band->fetching = store_fetch(b->store, &range, on_ready, band) == 0;
	if (!band->fetching)
		fetch_failed(b, band, -ENOMEM);
}

static void
fetch_expired(struct broker *b)
{
	struct window *w = &b->window;
	struct store_range range = {
	    .order = STORE_EXPIRED,
	    .after = INT64_MIN,
	    .until = broker_steady_now(b),
	    .n = EXPIRED_MAX,
	    .max_bytes = EXPIRED_BYTES,
	};

	w->spilled_expiry = NO_EXPIRY;
	w->fetching_expired = store_fetch(b->store, &range, on_expired, b) == 0;
}

void
window_refill(struct broker *b)
{
	struct window *w = &b->window;
	struct band *band;

	if (w->closed)
		return;
	TAILQ_FOREACH(band, &w->spilled, spilled_entry) {
		if (!band->fetching && !band->missed && !band->retry.waits &&
		    band->n_resident <= band_size(w) / 2 &&
		    band->n_bytes <= band_bytes(w) / 2)
			fetch_band(b, band);
	}
	window_due_refill(b);
}

/* What was missed is looked for once more, at the end of this turn. */
static void
on_timer(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
	struct broker *b = timer->data;
	struct window *w = &b->window;
	struct band *band;

	(void)loop;
	(void)revents;
	if (w->closed)
		return;
	TAILQ_FOREACH(band, &w->spilled, spilled_entry) {
		window_retry_look(b, &band->retry);
		if (band->missed && !band->fetching && !band->retry.waits)
			fetch_band(b, band);
	}
	window_due_again(b);
	if (w->n_expiring > 0 && !w->fetching_expired &&
	    w->next_expiry <= broker_steady_now(b))
		fetch_expired(b);
	arm_expiry(b);
}

void
window_trim(struct broker *b)
{
	window_due_trim(b);
}

void
window_review(struct broker *b)
{
	struct catalog *c = &b->catalog;
	const struct band *band;
	struct lane *lane;
	unsigned p;
	size_t i;

	for (i = 0; i < c->n_all_queues; i++)
		SLIST_FOREACH(lane, &c->queues[i]->lanes, entry)
		{
			for (p = 0; p < PROTO_PRIORITIES; p++)
				ready_set_limit(&lane->ready, p, UINT64_MAX);
		}
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
		    (t->state == TASK_READY || t->state == TASK_SCHEDULED) &&
		    !(t->state == TASK_READY && mailbox_is_wanted(b, t)))
			(void)life_spill(b, t);
	}
	window_review(b);
}

void
window_open(struct broker *b)
{
	b->window.closed = false;
	window_review(b);
	/* For what was put off meanwhile. */
	window_retry_soon(b);
}

static bool
has_more(const struct broker *b, shift_set set, bool startable)
{
	const struct catalog *c = &b->catalog;
	const struct band *band;

	TAILQ_FOREACH(band, &b->window.spilled, spilled_entry) {
		if (band->unreadable ||
		    (startable &&
			(band->queue->paused || holdback_is_on(band->kind))))
			continue;
		if ((catalog_lane_set(c, band->queue, band->kind) & set) != 0)
			return !b->window.closed;
	}
	return false;
}

bool
window_has_work(const struct broker *b, shift_set set)
{
	return has_more(b, set, false);
}

bool
window_can_run(const struct broker *b, shift_set set)
{
	return has_more(b, set, true);
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

int
window_load(struct broker *b, const struct store_found *found)
{
	struct window *w = &b->window;
	int r;

	r = load_bands(b, found->bands, found->n_bands, false);
	if (r == 0)
		r = load_bands(b, found->parked, found->n_parked, true);
	if (r == 0)
		r = window_due_load(b, found->steady, found->n_steady, false);
	if (r == 0)
		r = window_due_load(b, found->wall, found->n_wall, true);
	w->n_expiring = found->n_expiring;
	w->next_expiry = 0;
	if (w->n_expiring > 0)
		window_retry_soon(b);
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
