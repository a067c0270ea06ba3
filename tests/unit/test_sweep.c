/* SPDX-License-Identifier: ISC */
/* LINK: master/broker/sweep.c master/broker/filter.c master/broker/task.c
 *	ipc/buf.c ipc/clock.c ipc/json.c ipc/rpc.c ipc/log.c ipc/line.c
 *	ipc/peer.c ipc/sock.c libbroker.a */
/*
 * test_sweep.c - a sweep changes all that its filter means, once, and nothing
 * that came later
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "master/broker/chan.h"
#include "master/broker/life.h"
#include "master/broker/submit.h"
#include "master/broker/sweep.h"

#define TASKS 64
#define RUNS  4

static struct {
	struct broker b;
	struct broker_settings settings;
	struct broker_shared shared;
	struct store store;
	struct crew crew, *crews[1];
	struct chan chans[2];
	struct chan_run runs[2][RUNS];
	struct queue q, other;
	struct kind kind;
	struct task *tasks[TASKS];    /* as the store has them; by id */
	struct task *resident[TASKS]; /* where that is another struct */
	/* The store's call that is open. */
	struct store_filter filter;
	store_list_fn on_list;
	store_done_fn on_kept;
	void *arg;
	unsigned n_lists;
	int refuse; /* the next calls */
	/* Changes that are told later. */
	change_fn on_changed;
	void *changing[TASKS];
	size_t n_changing;
	int change_result; /* what change_task returns */
	bool durable;      /* what is changed */
	bool frees;        /* a change lets the store forget all others */
	char log[256];     /* ids that were changed, in order */
	int told;          /* 1: not so far; else the sweep's err */
	uint64_t n_told;   /* changed, as the tally has it */
} w;

int
submit_no_queue(const struct broker *b, const char *name, struct fault *f)
{
	(void)b;
	(void)name;
	(void)f;
	return -1;
}

int
submit_no_name(const struct broker *b, const char *name, struct fault *f)
{
	(void)b;
	(void)name;
	(void)f;
	return -1;
}

struct task *
life_find(struct broker *b, uint64_t id)
{
	(void)b;
	return w.resident[id];
}

void
change_tally_init(struct change_tally *tally)
{
	*tally = (struct change_tally){0};
	buf_init(&tally->skipped, SIZE_MAX);
}

void
change_tally_done(struct change_tally *tally)
{
	buf_done(&tally->skipped);
}

static void
forget(uint64_t id)
{
	task_unref(w.tasks[id]);
	w.tasks[id] = NULL;
}

int
change_task(struct broker *b, const struct change *c, struct task *t,
    struct change_tally *tally, change_fn fn, void *arg)
{
	size_t n = strlen(w.log);
	uint64_t id;

	(void)b;
	(void)c;
	snprintf(
	    w.log + n, sizeof(w.log) - n, "%llu ", (unsigned long long)t->id);
	if (w.change_result == 1) {
		w.on_changed = fn;
		w.changing[w.n_changing++] = arg;
	}
	if (w.change_result != 0)
		return w.change_result;
	tally->n_changed++;
	tally->durable = tally->durable || w.durable;
	for (id = 1; w.frees && id < TASKS; id++)
		forget(id);
	if (t->state == TASK_RUNNING)
		t->cancelling = true;
	return 0;
}

static int
fake_list(
    struct store *s, const struct store_filter *f, store_list_fn fn, void *arg)
{
	(void)s;
	if (w.refuse < 0)
		return w.refuse;
	w.filter = *f;
	w.on_list = fn;
	w.arg = arg;
	w.n_lists++;
	return 0;
}

static int
fake_barrier(struct store *s, store_done_fn fn, void *arg)
{
	(void)s;
	if (w.refuse < 0)
		return w.refuse;
	w.on_kept = fn;
	w.arg = arg;
	return 0;
}

static const struct store_ops fake_ops = {
    .list = fake_list, .barrier = fake_barrier};

static void
add(uint64_t id, enum task_state state)
{
	struct task *t = task_new(id);

	t->state = state;
	t->queue = &w.q;
	t->kind = &w.kind;
	t->submitted_at = (int64_t)id;
	w.tasks[id] = t;
	if (id > w.shared.last_id)
		w.shared.last_id = id;
}

static void
add_ready(uint64_t n)
{
	uint64_t id;

	for (id = 1; id <= n; id++)
		add(id, TASK_READY);
}

/* It runs in that thread of a worker. */
static struct task *
run(uint64_t id, unsigned chan, unsigned slot)
{
	add(id, TASK_RUNNING);
	w.resident[id] = w.tasks[id];
	w.runs[chan][slot].task = w.tasks[id];
	return w.tasks[id];
}

/* The store's answer: these ids, and where it goes on. */
static void
page(uint64_t from, uint64_t to, uint64_t cursor)
{
	struct task *tasks[TASKS];
	store_list_fn fn = w.on_list;
	size_t n = 0;

	assert_non_null(fn);
	w.on_list = NULL;
	for (; from >= to && from > 0; from--)
		if (w.tasks[from] != NULL)
			tasks[n++] = w.tasks[from];
	fn(w.arg, 0, tasks, n, cursor);
}

static void
on_done(void *arg, int err, const struct change_tally *tally)
{
	assert_ptr_equal(arg, &w);
	assert_int_equal(w.told, 1);
	w.told = err;
	w.n_told = tally->n_changed;
}

static void
assert_told(int err, uint64_t n)
{
	assert_int_equal(w.told, err);
	assert_int_equal(w.n_told, n);
}

static void
assert_log(const char *expected)
{
	assert_string_equal(w.log, expected);
	memset(w.log, 0, sizeof(w.log));
}

/* Of what waits in the queue, and that alone unless it runs as well. */
static struct sweep_order
cancel(bool runs)
{
	struct sweep_order o = {
	    .change.kind = CHANGE_CANCEL,
	    .filter = {.state = -1, .waiting = true, .queue = &w.q},
	    .runs = runs,
	};

	return o;
}

static void
start(struct sweep_order o)
{
	assert_int_equal(sweep_start(&w.b, &o, on_done, &w), 0);
}

/* Another one, after one that was told. */
static void
start_anew(void)
{
	assert_int_not_equal(w.told, 1);
	w.told = 1;
	start(cancel(false));
}

/* Another one, of which the store refuses what it is asked after a page. */
static void
assert_refusal_told(uint64_t from, uint64_t to, uint64_t cursor)
{
	start_anew();
	w.refuse = -ENOMEM;
	page(from, to, cursor);
	assert_told(-ENOMEM, 1);
}

static int
set_up(void **state)
{
	unsigned i;

	(void)state;
	memset(&w, 0, sizeof(w));
	w.told = 1;
	w.settings.shared = &w.shared;
	w.b.settings = &w.settings;
	w.store.ops = &fake_ops;
	w.b.store = &w.store;
	w.crews[0] = &w.crew;
	w.b.crews = w.crews;
	w.b.n_crews = 1;
	TAILQ_INIT(&w.crew.chans);
	for (i = 0; i < 2; i++) {
		w.chans[i].threads = RUNS;
		w.chans[i].runs = w.runs[i];
		TAILQ_INSERT_TAIL(&w.crew.chans, &w.chans[i], entry);
	}
	return 0;
}

static int
tear_down(void **state)
{
	uint64_t id;

	(void)state;
	assert_null(w.on_list);
	for (id = 1; id < TASKS; id++)
		forget(id);
	return 0;
}

static void
all_pages_are_gone_through(void **state)
{
	(void)state;
	add_ready(9);
	start(cancel(false));
	assert_int_equal(w.filter.below_id, 10);
	assert_int_equal(w.filter.limit, 500);
	assert_ptr_equal(w.filter.queue, &w.q);
	assert_true(w.filter.waiting);
	page(9, 6, 6);
	assert_log("9 8 7 6 ");
	assert_int_equal(w.filter.below_id, 6);
	page(0, 1, 4); /* so many were looked at, of others */
	assert_int_equal(w.filter.below_id, 4);
	assert_int_equal(w.told, 1);
	page(3, 1, 0);
	assert_log("3 2 1 ");
	assert_told(0, 7);
	assert_int_equal(w.n_lists, 3);
}

static void
what_is_out_of_date_is_left_alone(void **state)
{
	struct task t = {.id = 2, .state = TASK_RUNNING, .queue = &w.q};
	struct task u = {.id = 1, .state = TASK_SCHEDULED, .queue = &w.q};

	(void)state;
	add(1, TASK_RUNNING);
	add(2, TASK_READY);
	add(3, TASK_READY);
	add(4, TASK_SUCCEEDED);
	add(5, TASK_READY);
	w.tasks[5]->queue = &w.other;
	w.resident[2] = &t;
	w.resident[1] = &u;
	start(cancel(false));
	page(5, 1, 0);
	assert_log("3 1 ");
	assert_int_equal(w.told, 0);
}

static void
a_page_stays_until_it_is_done_with(void **state)
{
	(void)state;
	add_ready(5);
	w.frees = true;
	start(cancel(false));
	page(5, 1, 0);
	assert_log("5 4 3 2 1 ");
}

static void
the_next_page_waits_for_changes_that_take_time(void **state)
{
	(void)state;
	add_ready(4);
	w.change_result = 1;
	start(cancel(false));
	page(4, 3, 3);
	assert_int_equal(w.n_lists, 1);
	w.on_changed(w.changing[0], 0);
	assert_int_equal(w.n_lists, 1);
	w.on_changed(w.changing[1], 0);
	assert_int_equal(w.n_lists, 2);
	page(2, 1, 0);
	w.on_changed(w.changing[2], 0);
	assert_int_equal(w.told, 1);
	w.on_changed(w.changing[3], 0);
	assert_int_equal(w.told, 0);
}

static void
one_that_can_t_be_looked_up_ends_it_after_the_page(void **state)
{
	(void)state;
	add_ready(4);
	w.change_result = 1;
	start(cancel(false));
	page(4, 3, 3);
	w.on_changed(w.changing[0], -EIO);
	assert_int_equal(w.told, 1);
	w.on_changed(w.changing[1], 0);
	assert_int_equal(w.told, -EIO);
	assert_int_equal(w.n_lists, 1);
}

static void
one_that_has_changed_since_is_not_waited_for(void **state)
{
	(void)state;
	add(1, TASK_READY);
	w.change_result = -EAGAIN;
	start(cancel(false));
	page(1, 1, 0);
	assert_told(0, 0);
}

static void
a_list_that_fails_ends_it(void **state)
{
	struct sweep_order o = cancel(true);
	store_list_fn fn;

	(void)state;
	add(1, TASK_READY);
	add(2, TASK_READY);
	run(3, 0, 0);
	w.refuse = -ENOMEM;
	assert_int_equal(sweep_start(&w.b, &o, on_done, &w), -ENOMEM);
	assert_int_equal(w.told, 1);
	assert_log("");
	w.refuse = 0;
	start(cancel(false));
	page(2, 2, 2);
	fn = w.on_list;
	w.on_list = NULL;
	fn(w.arg, -EIO, NULL, 0, 0);
	assert_told(-EIO, 1);
	assert_refusal_told(2, 2, 2);
}

static void
it_is_told_when_it_is_kept(void **state)
{
	(void)state;
	add(1, TASK_READY);
	w.durable = true;
	start(cancel(false));
	page(1, 1, 0);
	assert_int_equal(w.told, 1);
	w.on_kept(w.arg, 0);
	assert_int_equal(w.told, 0);
	start_anew();
	page(1, 1, 0);
	w.on_kept(w.arg, -ENOSPC);
	assert_told(-ENOSPC, 1);
	assert_refusal_told(1, 1, 0);
}

static void
what_runs_is_asked_once(void **state)
{
	(void)state;
	add(1, TASK_READY);
	run(2, 0, 1);
	run(3, 1, RUNS - 1);
	run(4, 1, 0)->cancelling = true; /* by somebody else */
	run(5, 0, 0)->queue = &w.other;
	start(cancel(true));
	assert_log("2 3 ");
	/* One that waited is started before its page comes. */
	w.tasks[1]->state = TASK_RUNNING;
	w.runs[0][2].task = w.resident[1] = w.tasks[1];
	/* And one that is new is not meant. */
	run(6, 0, 3);
	page(5, 1, 0);
	assert_log("1 ");
	assert_told(0, 3);
}

static void
without_runs_they_are_left_alone(void **state)
{
	(void)state;
	run(1, 0, 0);
	add(2, TASK_SCHEDULED);
	start(cancel(false));
	page(2, 1, 0);
	assert_log("2 ");
}

static void
only_runs_are_looked_for_at_the_workers_alone(void **state)
{
	struct sweep_order o = cancel(false);

	(void)state;
	o.only_runs = true;
	o.filter.state = TASK_RUNNING;
	o.filter.waiting = false;
	o.filter.since_ms = 2;
	run(1, 0, 0);
	run(2, 0, 1);
	add(3, TASK_READY);
	start(o);
	assert_int_equal(w.n_lists, 0);
	assert_log("2 ");
	assert_int_equal(w.told, 0);
	w.told = 1;
	w.durable = true;
	w.tasks[2]->cancelling = false;
	start(o);
	assert_int_equal(w.told, 1);
	w.on_kept(w.arg, 0);
	assert_int_equal(w.told, 0);
}

static void
by_force_it_is_said_again_unless_its_process_ends(void **state)
{
	struct sweep_order o = cancel(true);
	uint64_t id;

	(void)state;
	o.change.force = true;
	for (id = 1; id <= 4; id++)
		run(id, 0, (unsigned)id - 1)->cancelling = true;
	w.tasks[1]->unsent = true;
	w.tasks[2]->outstayed = true;
	w.tasks[3]->kill_at.ns = 1;
	run(5, 1, 0)->cancelling = true;
	w.tasks[5]->timed_out = true;
	start(o);
	assert_log("4 ");
	w.tasks[4]->outstayed = true;
	page(5, 1, 0);
	assert_log("");
	assert_int_equal(w.told, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(all_pages_are_gone_through),
	    T(what_is_out_of_date_is_left_alone),
	    T(a_page_stays_until_it_is_done_with),
	    T(the_next_page_waits_for_changes_that_take_time),
	    T(one_that_can_t_be_looked_up_ends_it_after_the_page),
	    T(one_that_has_changed_since_is_not_waited_for),
	    T(a_list_that_fails_ends_it),
	    T(it_is_told_when_it_is_kept),
	    T(what_runs_is_asked_once),
	    T(without_runs_they_are_left_alone),
	    T(only_runs_are_looked_for_at_the_workers_alone),
	    T(by_force_it_is_said_again_unless_its_process_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
