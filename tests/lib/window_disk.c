/* SPDX-License-Identifier: ISC */
/*
 * window_disk.c - the played store of a window_world
 */
#include "tests/lib/window_disk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/clock.h"
#include "master/broker/life.h"
#include "master/broker/store_batch.h"

static struct window_world *
world_of(struct store *s)
{
	return (struct window_world *)(void *)((char *)s -
					       offsetof(
						   struct window_world, store));
}

static void
note(struct window_world *w, struct task *t, unsigned kind)
{
	if (!t->durable)
		return;
	t->news = (uint8_t)(t->news | kind);
	if ((t->news & NEWS_LISTED) != 0)
		return;
	t->news |= NEWS_LISTED;
	assert_true(w->n_listed < WINDOW_WORLD_IDS);
	w->listed[w->n_listed++] = task_ref(t);
}

static int
fake_put(struct store *s, struct task *t)
{
	note(world_of(s), t, NEWS_PUT);
	return 0;
}

static void
fake_update(struct store *s, struct task *t)
{
	note(world_of(s), t, NEWS_UPDATE);
}

static void
fake_finish(struct store *s, struct task *t)
{
	note(world_of(s), t, NEWS_FINISH);
}

/* The key as it is in an image; NULL: none. */
static const char *const keys[WINDOW_WORLD_KEYS] = {
    NULL, "k1", "k2", "k3", "k4"};

static const char *
key_of(const char *text)
{
	return text == NULL ? NULL : keys[text[1] - '0'];
}

static struct window_wish *
wish(struct window_world *w, void *arg)
{
	struct window_wish *x;

	if (w->refuse > 0) {
		w->refuse--;
		return NULL;
	}
	assert_true(w->n_wishes < sizeof(w->wishes) / sizeof(w->wishes[0]));
	x = &w->wishes[w->n_wishes++];
	*x = (struct window_wish){.arg = arg};
	return x;
}

static int
fake_get(struct store *s, uint64_t id, store_task_fn fn, void *arg)
{
	struct window_wish *x = wish(world_of(s), arg);

	if (x == NULL)
		return -ENOMEM;
	x->id = id;
	x->on_task = fn;
	return 0;
}

static int
fake_fetch(struct store *s, const struct store_range *range, store_list_fn fn,
    void *arg)
{
	struct window_world *w = world_of(s);
	struct window_wish *x;

	w->n_fetches++;
	w->last = *range;
	x = wish(w, arg);
	if (x == NULL)
		return -ENOMEM;
	assert_true(range->n > 0);
	x->range = *range;
	x->range.key = key_of(range->key);
	x->on_list = fn;
	return 0;
}

static int
fake_find(struct store *s, enum store_what what, const struct queue *q,
    const struct kind *kind, const char *text, store_found_fn fn, void *arg)
{
	struct window_wish *x = wish(world_of(s), arg);

	(void)q;
	(void)kind;
	assert_int_equal(what, STORE_BY_KEY);
	if (x == NULL)
		return -ENOMEM;
	x->key = key_of(text);
	x->on_found = fn;
	return 0;
}

/* Give the disk what has gathered. */
static void
fake_flush(struct store *s)
{
	struct window_world *w = world_of(s);
	struct task *t;
	size_t i;

	if (w->in_flight || (w->n_listed == 0 && w->n_wishes == 0))
		return;
	for (i = 0; i < w->n_listed; i++) {
		t = w->listed[i];
		t->news_flying = t->news & NEWS_ANY;
		t->news = 0;
		/* Else it was let go of since. */
		if (t->news_flying == 0) {
			task_unref(t);
			continue;
		}
		w->images[w->n_flying] = *t;
		w->images[w->n_flying].key = (char *)(uintptr_t)key_of(t->key);
		w->flying[w->n_flying++] = t;
	}
	w->n_listed = 0;
	for (i = 0; i < w->n_wishes; i++)
		w->wishes[i].taken = true;
	w->in_flight = true;
}

static bool
fake_has_news(const struct store *s, const struct task *t)
{
	(void)s;
	return (t->news & NEWS_ANY) != 0 || t->news_flying != 0;
}

static bool
fake_is_idle(const struct store *s)
{
	const struct window_world *w = world_of((struct store *)(uintptr_t)s);

	return !w->busy && w->n_wishes == 0 && w->n_listed == 0 &&
	       w->n_flying == 0;
}

static const struct store_ops fake_ops = {
    .name = "fake",
    .put = fake_put,
    .update = fake_update,
    .finish = fake_finish,
    .get = fake_get,
    .fetch = fake_fetch,
    .find = fake_find,
    .flush = fake_flush,
    .has_news = fake_has_news,
    .is_idle = fake_is_idle,
};

/* The batch is written. */
static void
settle_batch(struct window_world *w)
{
	struct task *t;
	size_t i;

	for (i = 0; i < w->n_flying; i++) {
		t = w->flying[i];
		w->rows[t->id] = (struct window_row){true, w->images[i]};
		t->news_flying = 0;
	}
	for (i = 0; i < w->n_flying; i++)
		if ((w->images[i].news_flying & NEWS_FINISH) != 0)
			life_ended(&w->b, w->flying[i]);
	for (i = 0; i < w->n_flying; i++)
		task_unref(w->flying[i]);
	w->n_flying = 0;
}

/* It could not be: what is new is lost, the rest is news again. */
static void
take_batch_back(struct window_world *w)
{
	unsigned news;
	struct task *t;
	size_t i;

	for (i = 0; i < w->n_flying; i++) {
		t = w->flying[i];
		news = t->news_flying;
		t->news_flying = 0;
		if ((news & NEWS_PUT) != 0) {
			t->news &= NEWS_LISTED;
			life_put_failed(&w->b, t, -EIO);
		} else {
			note(w, t, news);
		}
		task_unref(t);
	}
	w->n_flying = 0;
}

static bool
is_in_range(const struct store_range *r, const struct task *t)
{
	switch (r->order) {
	case STORE_READY:
		return t->state == TASK_READY && !t->parked &&
		       t->kind == r->kind && t->queue == r->queue &&
		       t->priority == r->priority &&
		       t->seq > (uint64_t)r->after;
	case STORE_KEY:
		return t->state == TASK_READY && t->parked &&
		       t->key == r->key && t->seq > (uint64_t)r->after;
	case STORE_DUE_STEADY:
	case STORE_DUE_WALL:
		return t->state == TASK_SCHEDULED &&
		       t->run_at_is_wall == (r->order == STORE_DUE_WALL) &&
		       (t->due_ms > r->after ||
			   (t->due_ms == r->after && t->id > r->after_id));
	case STORE_EXPIRED:
		return t->state <= TASK_READY && t->expires_ms > r->after &&
		       t->expires_ms != 0 && t->expires_ms <= r->until;
	}
	return false;
}

static int64_t
place_of(const struct task *t, enum store_order order)
{
	if (order == STORE_READY || order == STORE_KEY)
		return (int64_t)t->seq;
	return order == STORE_EXPIRED ? t->expires_ms : t->due_ms;
}

static enum store_order sorting;

static int
row_cmp(const void *a, const void *b)
{
	const struct task *x = *(const struct task *const *)a;
	const struct task *y = *(const struct task *const *)b;
	int64_t p = place_of(x, sorting), q = place_of(y, sorting);

	return p != q ? (p > q) - (p < q) : task_cmp(x, y);
}

/* A task of a row, as the store would make it. */
static struct task *
task_of(const struct window_world *w, const struct task *image)
{
	struct task *t = task_new(image->id);
	int64_t ms;

	t->kind = image->kind;
	t->queue = image->queue;
	t->state = image->state;
	t->priority = image->priority;
	t->durable = true;
	t->suspect = image->suspect;
	t->key = image->key == NULL ? NULL : strdup(image->key);
	t->holds = image->holds;
	t->parked = image->parked;
	t->seq = image->seq;
	t->run = image->run;
	t->retries = image->retries;
	t->run_at = image->run_at;
	t->run_at_is_wall = image->run_at_is_wall;
	t->due_ms = image->due_ms;
	t->expires_ms = image->expires_ms;
	t->ready_at = image->ready_at;
	t->n_bytes = image->n_bytes;
	if (t->expires_ms != 0)
		t->expires.ns = (t->expires_ms - w->b.steady_ms) * 1000000;
	if (t->state != TASK_SCHEDULED)
		return t;
	ms = t->run_at_is_wall ? t->due_ms - wall_now_ms()
			       : t->due_ms - broker_steady_now(&w->b);
	t->due = mono_add_ms(mono_now(), ms);
	return t;
}

static uint64_t
next_expiry(const struct window_world *w, int64_t after)
{
	uint64_t id, best = 0;
	const struct task *t;

	for (id = 1; id <= w->shared.last_id; id++) {
		t = &w->rows[id].image;
		if (w->rows[id].kept && t->state <= TASK_READY &&
		    t->expires_ms > after &&
		    (best == 0 || (uint64_t)t->expires_ms < best))
			best = (uint64_t)t->expires_ms;
	}
	return best;
}

static void
tell_list(struct window_world *w, const struct window_wish *x)
{
	static const struct task *found[WINDOW_WORLD_IDS];
	static struct task *tasks[WINDOW_WORLD_IDS];
	size_t i, n = 0, n_told = 0, bytes = 0;
	uint64_t id, cursor = 0;

	for (id = 1; id <= w->shared.last_id; id++)
		if (w->rows[id].kept &&
		    is_in_range(&x->range, &w->rows[id].image))
			found[n++] = &w->rows[id].image;
	sorting = x->range.order;
	qsort(found, n, sizeof(found[0]), row_cmp);
	for (i = 0; i < n && n_told < x->range.n &&
		    (x->range.max_bytes == 0 || bytes < x->range.max_bytes);
	     i++) {
		tasks[n_told++] = task_of(w, found[i]);
		bytes += found[i]->n_bytes;
	}
	if (n_told < n)
		cursor = (uint64_t)place_of(tasks[n_told - 1], sorting);
	else if (x->range.order == STORE_EXPIRED)
		cursor = next_expiry(w, x->range.until);
	x->on_list(x->arg, 0, tasks, n_told, cursor);
	for (i = 0; i < n_told; i++)
		task_unref(tasks[i]);
}

static void
tell_task(struct window_world *w, const struct window_wish *x)
{
	struct task *t;

	if (!w->rows[x->id].kept) {
		x->on_task(x->arg, -ENOENT, NULL);
		return;
	}
	t = task_of(w, &w->rows[x->id].image);
	x->on_task(x->arg, 0, t);
	task_unref(t);
}

/* Who holds the key, or else is the first that is parked. */
static void
tell_found(struct window_world *w, const struct window_wish *x)
{
	const struct task *t, *best = NULL;
	uint64_t id;

	for (id = 1; id <= w->shared.last_id; id++) {
		t = &w->rows[id].image;
		if (!w->rows[id].kept || task_is_final(t) || t->key != x->key ||
		    (!t->holds && !t->parked))
			continue;
		if (best == NULL || (t->holds && !best->holds) ||
		    (t->holds == best->holds && t->seq < best->seq))
			best = t;
	}
	x->on_found(x->arg, 0, best == NULL ? 0 : best->id,
	    best == NULL ? -1 : (int)best->state);
}

/* What has been read may lack what is spilled and not written. */
static bool
lags(const struct window_world *w)
{
	size_t i;

	for (i = 0; i < w->n_listed; i++)
		if (w->fails && w->listed[i]->spilled)
			return true;
	return false;
}

static void
tell_wish(struct window_world *w, const struct window_wish *x)
{
	int err = w->read_err;

	if (err == 0 && x->on_task == NULL && lags(w))
		err = -EAGAIN;
	if (x->on_task != NULL && err < 0)
		x->on_task(x->arg, err, NULL);
	else if (x->on_task != NULL)
		tell_task(w, x);
	else if (x->on_list != NULL && err < 0)
		x->on_list(x->arg, err, NULL, 0, 0);
	else if (x->on_list != NULL)
		tell_list(w, x);
	else if (err < 0)
		x->on_found(x->arg, err, 0, -1);
	else
		tell_found(w, x);
}

void
window_world_tell(struct window_world *w)
{
	struct window_wish x;

	if (!w->in_flight)
		return;
	if (w->fails)
		take_batch_back(w);
	else
		settle_batch(w);
	while (w->n_wishes > 0 && w->wishes[0].taken) {
		x = w->wishes[0];
		w->n_wishes--;
		memmove(w->wishes, w->wishes + 1,
		    w->n_wishes * sizeof(w->wishes[0]));
		tell_wish(w, &x);
	}
	w->in_flight = false;
}

void
window_disk_init(struct window_world *w)
{
	w->store.ops = &fake_ops;
	w->b.store = &w->store;
}

const char *
window_disk_key(unsigned n)
{
	return keys[n];
}
