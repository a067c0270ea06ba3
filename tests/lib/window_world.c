/* SPDX-License-Identifier: ISC */
/*
 * window_world.c - tasks that wait, the disk that most of them are on, and no
 * time but the test's
 */
#include "tests/lib/window_world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/log.h"
#include "master/broker/conn.h"
#include "master/broker/life.h"
#include "master/broker/relane.h"
#include "master/broker/result.h"
#include "tests/lib/window_disk.h"

#define SHIFTS   2
#define PATIENCE 1000 /* turns until all is settled ... */
#define STILL    3    /* ... as so many of them bring nothing */

RB_PROTOTYPE(band_tree, band, entry, band_cmp)

/* The clock, of the broker and of its loop; and memory. */

static int64_t now_us;

__attribute__((visibility("default"))) int
clock_gettime(clockid_t id, struct timespec *ts)
{
	int64_t us = now_us + INT64_C(5000) * 1000000;

	if (id == CLOCK_REALTIME)
		us += INT64_C(1790000000) * 1000000;
	ts->tv_sec = us / 1000000;
	ts->tv_nsec = us % 1000000 * 1000;
	return 0;
}

static const struct window_world *the_world;

__attribute__((visibility("default"))) void *
reallocarray(void *p, size_t n, size_t size)
{
	if (the_world != NULL && the_world->no_memory)
		return NULL;
	return realloc(p, n * size);
}

int64_t
broker_steady_now(const struct broker *b)
{
	return mono_now().ns / 1000000 + b->steady_ms;
}

/* Who waits for what, and clients, are not there. */

int
conn_new(struct broker *b, int fd)
{
	(void)b;
	close(fd);
	return 0;
}

void
result_ended(struct broker *b, struct task *t)
{
	struct window_world *w = (struct window_world *)b;

	assert_null(w->ended[t->id]);
	w->ended[t->id] = task_ref(t);
	w->n_ended++;
}

bool
result_spill(struct broker *b, struct task *t)
{
	(void)b;
	(void)t;
	return true;
}

void
result_adopt(struct broker *b, struct task *t)
{
	(void)b;
	(void)t;
}

void
result_refuse_task(struct broker *b, struct task *t, int err)
{
	struct window_world *w = (struct window_world *)b;

	assert_int_equal(err, -EIO);
	assert_null(w->ended[t->id]);
	w->ended[t->id] = task_ref(t);
	w->n_lost++;
}

void
result_review(struct broker *b)
{
	(void)b;
}

/* The broker. */

static void
make_catalog(struct window_world *w)
{
	static const char *const names[WINDOW_WORLD_KINDS] = {
	    "a", "b", "c", "nobody"};
	static const shift_set shifts[WINDOW_WORLD_KINDS] = {3, 3, 1, 0};
	struct catalog *c = &w->b.catalog;
	unsigned i;

	assert_int_equal(catalog_need_queue(c, "q", &w->q), 0);
	w->q->shifts = (1 << SHIFTS) - 1;
	for (i = 0; i < WINDOW_WORLD_KINDS; i++) {
		assert_int_equal(catalog_need_kind(c, names[i], &w->k[i]), 0);
		w->k[i]->shifts = shifts[i];
	}
}

void
window_world_init(struct window_world *w)
{
	struct broker *b = &w->b;

	memset(w, 0, sizeof(*w));
	the_world = w;
	now_us = 0;
	assert_int_equal(log_open("/dev/null"), 0);
	b->loop = ev_loop_new(EVFLAG_AUTO);
	assert_non_null(b->loop);
	w->settings.shared = &w->shared;
	w->settings.max_queued = UINT64_MAX;
	b->settings = &w->settings;
	b->steady_ms = 777;
	window_disk_init(w);
	catalog_init(&b->catalog);
	make_catalog(w);
	life_set_up(b);
	window_init(b);
}

void
window_world_done(struct window_world *w)
{
	struct broker *b = &w->b;
	struct task *t;
	uint64_t id;
	size_t i;

	for (i = 0; i < w->n_flying; i++)
		task_unref(w->flying[i]);
	for (i = 0; i < w->n_listed; i++)
		task_unref(w->listed[i]);
	while ((t = RB_ROOT(&b->tasks)) != NULL) {
		RB_REMOVE(task_tree, &b->tasks, t);
		task_unref(t);
	}
	while ((t = RB_ROOT(&b->departing)) != NULL) {
		RB_REMOVE(task_tree, &b->departing, t);
		task_unref(t);
	}
	while ((t = RB_ROOT(&b->ending)) != NULL) {
		RB_REMOVE(task_tree, &b->ending, t);
		task_unref(t);
	}
	for (id = 1; id <= w->shared.last_id; id++)
		task_unref(w->ended[id]);
	window_done(b);
	mailbox_done_all(b);
	holdback_done(b);
	catalog_done(&b->catalog);
	delay_done(&b->timers);
	ev_timer_stop(b->loop, &b->timer);
	ev_loop_destroy(b->loop);
}

uint64_t
window_world_submit(struct window_world *w, const struct window_spec *spec)
{
	static const struct window_spec plain;
	struct broker *b = &w->b;
	struct task *t = task_new(++w->shared.last_id);

	assert_true(t->id < WINDOW_WORLD_IDS);
	if (spec == NULL)
		spec = &plain;
	t->kind = w->k[spec->kind];
	t->queue = w->q;
	t->priority = (uint8_t)spec->priority;
	t->durable = !spec->is_volatile;
	t->suspect = spec->suspect;
	t->retries = 9;
	t->n_bytes = spec->size;
	if (spec->key != 0)
		t->key = strdup(window_disk_key(spec->key));
	t->run_at_is_wall = spec->wall;
	if (spec->wall)
		t->run_at = wall_now_ms() + spec->delay_ms;
	if (spec->expires_ms != 0)
		t->expires = mono_add_ms(mono_now(), spec->expires_ms);
	assert_int_equal(
	    catalog_place(&b->catalog, t->queue, t->kind, &t->lane), 0);
	assert_int_equal(life_enter(b, t, spec->delay_ms), 0);
	return w->shared.last_id;
}

void
window_world_turn(struct window_world *w)
{
	struct broker *b = &w->b;

	/* A timer for now runs when now is over. */
	now_us++;
	ev_run(b->loop, EVRUN_NOWAIT);
	mailbox_tidy(b);
	window_trim(b);
	life_let_depart(b);
	window_refill(b);
	store_flush(b->store);
	life_arm(b);
}

void
window_world_settle(struct window_world *w)
{
	unsigned i, n_still = 0;

	for (i = 0; n_still < STILL; i++) {
		assert_true(i < PATIENCE);
		window_world_turn(w);
		n_still = w->in_flight ? 0 : n_still + 1;
		window_world_tell(w);
	}
}

void
window_world_wait(struct window_world *w, int64_t ms)
{
	now_us += ms * 1000;
	ev_now_update(w->b.loop);
}

struct task *
window_world_start(struct window_world *w, unsigned shift)
{
	struct task *t = queue_peek(w->q, shift);

	if (t == NULL)
		return NULL;
	t->due.ns = 0; /* of a run: no limit */
	life_change(&w->b, t, TASK_EV_START);
	store_update(w->b.store, t);
	return t;
}

void
window_world_succeed(struct window_world *w, struct task *t)
{
	life_change(&w->b, t, TASK_EV_SUCCEED);
	life_end(&w->b, t);
}

void
window_world_retry(struct window_world *w, struct task *t, int64_t ms)
{
	life_schedule(&w->b, t, TASK_EV_RETRY, ms);
}

void
window_world_requeue(struct window_world *w, struct task *t)
{
	life_change(&w->b, t, TASK_EV_REQUEUE);
	store_update(w->b.store, t);
	life_make_ready(&w->b, t);
}

static void
on_asked(void *arg, int err, struct task *t)
{
	struct window_world *w = arg;

	if (err == 0)
		(void)life_adopt(&w->b, t);
}

void
window_world_ask(struct window_world *w, uint64_t id)
{
	assert_int_equal(store_get(&w->store, id, on_asked, w), 0);
}

void
window_world_reload(struct window_world *w, unsigned kind, shift_set shifts)
{
	struct catalog *c = &w->b.catalog;
	struct task *t;
	unsigned i;

	w->q->next_shifts = w->q->shifts;
	for (i = 0; i < WINDOW_WORLD_KINDS; i++)
		w->k[i]->next_shifts = i == kind ? shifts : w->k[i]->shifts;
	RB_FOREACH(t, task_tree, &w->b.tasks)
	{
		assert_int_equal(catalog_stage_lane(c, t->queue, t->kind), 0);
	}
	relane_commit(&w->b, true);
}

static struct task *
find_in(struct task_tree *tree, uint64_t id)
{
	struct task key;

	key.id = id;
	return RB_FIND(task_tree, tree, &key);
}

bool
window_world_is_resident(struct window_world *w, uint64_t id)
{
	return life_find(&w->b, id) != NULL;
}

const struct task *
window_world_look(struct window_world *w, uint64_t id)
{
	const struct task *t = life_find(&w->b, id);

	if (t == NULL)
		t = find_in(&w->b.departing, id);
	if (t == NULL && life_find_ending(&w->b, id) == NULL &&
	    w->ended[id] == NULL && w->rows[id].kept)
		t = &w->rows[id].image;
	return t;
}

struct band *
window_world_band(struct window_world *w, unsigned kind, unsigned priority)
{
	struct band *band;

	RB_FOREACH(band, band_tree, &w->b.window.bands)
	{
		if (band->kind == w->k[kind] && band->priority == priority)
			return band;
	}
	return NULL;
}

bool
window_world_timer_runs(const struct window_world *w)
{
	return ev_is_active(&w->b.window.timer);
}

/* What the window and the queue should count. */
struct tally {
	uint64_t ready, scheduled, n_due[2], n_expiring, n_keyed;
	uint64_t n_spilled[WINDOW_WORLD_KINDS][PROTO_PRIORITIES];
};

static void
add_up(struct window_world *w, struct tally *n)
{
	const struct task *t;
	unsigned k;
	uint64_t id;

	memset(n, 0, sizeof(*n));
	for (id = 1; id <= w->shared.last_id; id++) {
		t = window_world_look(w, id);
		if (t == NULL)
			continue;
		n->ready += t->state == TASK_READY;
		n->scheduled += t->state == TASK_SCHEDULED;
		if (window_world_is_resident(w, id))
			continue;
		assert_true(t->state <= TASK_READY);
		n->n_expiring += t->expires_ms != 0;
		n->n_keyed += t->key != NULL;
		if (t->parked)
			continue;
		for (k = 0; w->k[k] != t->kind; k++)
			continue;
		if (t->state == TASK_READY)
			n->n_spilled[k][t->priority]++;
		else
			n->n_due[t->run_at_is_wall]++;
	}
}

void
window_world_check(struct window_world *w)
{
	struct window *win = &w->b.window;
	const struct band *band;
	struct tally n;
	unsigned k, p;

	add_up(w, &n);
	assert_int_equal(w->q->count.ready, n.ready);
	assert_int_equal(w->q->count.scheduled, n.scheduled);
	assert_int_equal(w->b.n_waiting, n.ready + n.scheduled);
	assert_int_equal(win->n_expiring, n.n_expiring);
	assert_int_equal(w->b.n_keyed_absent, n.n_keyed);
	assert_int_equal(win->due[0].n_spilled, n.n_due[0]);
	assert_int_equal(win->due[1].n_spilled, n.n_due[1]);
	for (k = 0; k < WINDOW_WORLD_KINDS; k++)
		for (p = 0; p < PROTO_PRIORITIES; p++) {
			band = window_world_band(w, k, p);
			assert_int_equal(band == NULL ? 0 : band->n_spilled,
			    n.n_spilled[k][p]);
		}
}
