/* SPDX-License-Identifier: ISC */
/* LINK: tests/lib/store_world.c master/broker/store_sqlite.c
 *	master/broker/store_batch.c master/broker/store_calls.c
 *	master/broker/store_db.c master/broker/store_found.c
 *	master/broker/store_late.c master/broker/store_lock.c
 *	master/broker/store_names.c master/broker/store_news.c
 *	master/broker/store_open.c master/broker/store_read.c
 *	master/broker/store_recover.c master/broker/store_reserve.c
 *	master/broker/store_row.c
 *	master/broker/store_schema.c master/broker/store_sql.c
 *	master/broker/store_thread.c master/broker/store_tidy.c
 *	master/broker/store_write.c master/broker/task.c
 *	master/broker/errors.c
 *	master/broker/delay.c ipc/clock.c ipc/json.c ipc/buf.c ipc/log.c */
/*
 * test_store_sqlite.c - each call of the store, and what it tells in which
 * order
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/store_world.h"

static int
set_up(void **state)
{
	struct store_world *w = calloc(1, sizeof(*w));

	store_world_init(w, NULL);
	assert_int_equal(store_world_open(w, false), 0);
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	store_world_done(*state);
	free(*state);
	return 0;
}

static struct store_counts
counts(struct store_world *w)
{
	struct store_counts c = {0};

	store_count(w->store, &c);
	return c;
}

static void
reopen(struct store_world *w, bool resume)
{
	store_world_close(w);
	assert_int_equal(store_world_open(w, resume), 0);
}

/* Put a task and let it be kept; the caller has a reference. */
static struct task *
put(struct store_world *w, struct task *t)
{
	assert_int_equal(store_put(w->store, t), 0);
	return t;
}

static void
a_put_is_there_after_its_barrier(void **state)
{
	struct store_world *w = *state;
	struct task *t = put(w, store_world_task(w, 7, "{\"a\":1}"));

	store_world_barrier(w);
	assert_string_equal(w->log, ""); /* never from within the call */
	store_world_run(w, 1);
	assert_string_equal(w->log, "B:0");
	assert_int_equal(t->refs, 1);
	task_unref(t);
	assert_int_equal(counts(w).n_dirty, 0);
	assert_int_equal(counts(w).n_tasks, 1);
	reopen(w, false);
	store_world_get(w, 7);
	assert_non_null(w->got);
	assert_string_equal(w->got->args, "{\"a\":1}");
	assert_int_equal(w->got->state, TASK_READY);
	assert_true(w->got->ready_at.ns != 0);
	assert_int_equal(counts(w).n_tasks, 1);
}

static void
put_start_and_end_of_one_turn_are_one_write(void **state)
{
	struct store_world *w = *state;
	struct task *t = put(w, store_world_task(w, 1, "1"));
	uint64_t commits = counts(w).commits;

	store_world_barrier(w);
	store_world_start(w, t);
	store_world_succeed(w, t, "\"done\"");
	assert_int_equal(counts(w).n_dirty, 1);
	store_world_run(w, 2);
	assert_string_equal(w->log, "E1 B:0");
	assert_int_equal(counts(w).commits, commits + 1);
	assert_int_equal(counts(w).n_ended, 1);
	task_unref(t);
	store_world_get(w, 1);
	assert_string_equal(w->got->result, "\"done\"");
	assert_int_equal(w->got->worker, 3);
	assert_ptr_equal(w->got->crew, &w->crew);
}

static void
news_of_a_task_in_flight_go_with_the_next_batch(void **state)
{
	struct store_world *w = *state;
	struct task *t = put(w, store_world_task(w, 1, "1"));

	store_world_barrier(w);
	store_flush(w->store);
	store_world_start(w, t);
	store_world_succeed(w, t, "2");
	store_world_barrier(w);
	store_world_run(w, 3);
	assert_string_equal(w->log, "B:0 E1 B:0");
	store_world_get(w, 1);
	assert_int_equal(w->got->state, TASK_SUCCEEDED);
	task_unref(t);
}

/* Kept, and let go of. */
static void
keep(struct store_world *w, struct task *t)
{
	put(w, t);
	store_world_settle(w);
	task_unref(t);
}

static void
keep_many(struct store_world *w, uint64_t first, uint64_t n)
{
	uint64_t id;

	for (id = first; id < first + n; id++) {
		struct task *t = put(w, store_world_task(w, id, "[]"));

		task_unref(t);
	}
	store_world_settle(w);
}

static void
all_fields_come_back(void **state)
{
	struct store_world *w = *state;
	struct task *t = store_world_task(w, 9, "[1]");
	int64_t steady = w->found.steady_ms;

	t->kind = &w->kinds[1];
	t->queue = &w->queues[1];
	t->state = TASK_SCHEDULED;
	t->priority = 9;
	t->suspect = t->at_most_once = t->cancelling = true;
	t->parked = true;
	t->attempt = 1;
	t->retries = 2;
	t->run = 3;
	t->crashes = 4;
	t->interrupted = 5;
	t->recoveries = 6;
	t->backoff_ms = 7;
	t->timeout_ms = 8;
	t->soft_timeout_ms = 9;
	t->result_ttl_ms = 10;
	t->run_at = 11;
	t->started_at = 12;
	t->due_ms = mono_now().ns / 1000000 + steady + 5000;
	t->expires_ms = t->due_ms + 1000;
	t->crew = &w->crew;
	t->worker = 13;
	task_set_text(t, &t->meta, strdup("{\"m\":0}"));
	task_set_text(t, &t->error, strdup("{\"code\":1}"));
	task_set_text(t, &t->errors, strdup("[1,2]"));
	task_set_text(t, &t->key, strdup("k"));
	task_set_text(t, &t->unique, strdup("u"));
	task_set_text(t, &t->idempotency_key, strdup("i"));
	put(w, t);
	store_world_settle(w);
	reopen(w, true);
	store_world_get(w, 9);
	assert_int_equal(w->err, 0);
	assert_ptr_equal(w->got->kind, &w->kinds[1]);
	assert_ptr_equal(w->got->queue, &w->queues[1]);
	assert_int_equal(w->got->state, TASK_SCHEDULED);
	assert_int_equal(w->got->priority, 9);
	assert_true(w->got->durable && w->got->suspect &&
		    w->got->at_most_once && w->got->cancelling);
	assert_true(w->got->parked && !w->got->holds);
	assert_int_equal(w->got->attempt, 1);
	assert_int_equal(w->got->retries, 2);
	assert_int_equal(w->got->run, 3);
	assert_int_equal(w->got->crashes, 4);
	assert_int_equal(w->got->interrupted, 5);
	assert_int_equal(w->got->recoveries, 6);
	assert_int_equal(w->got->backoff_ms, 7);
	assert_int_equal(w->got->timeout_ms, 8);
	assert_int_equal(w->got->soft_timeout_ms, 9);
	assert_int_equal(w->got->result_ttl_ms, 10);
	assert_int_equal(w->got->submitted_at, t->submitted_at);
	assert_int_equal(w->got->run_at, 11);
	assert_int_equal(w->got->started_at, 12);
	assert_int_equal(w->got->due_ms, t->due_ms);
	assert_int_equal(w->got->expires_ms, t->expires_ms);
	assert_in_range(mono_until_ms(mono_now(), w->got->due), 1000, 5000);
	assert_int_equal(mono_until_ms(w->got->due, w->got->expires), 1000);
	assert_int_equal(w->got->worker, 13);
	assert_ptr_equal(w->got->crew, &w->crew);
	assert_string_equal(w->got->meta, "{\"m\":0}");
	assert_string_equal(w->got->error, "{\"code\":1}");
	assert_string_equal(w->got->errors, "[1,2]");
	assert_string_equal(w->got->key, "k");
	assert_string_equal(w->got->unique, "u");
	assert_string_equal(w->got->idempotency_key, "i");
	assert_int_equal(w->got->n_bytes, t->n_bytes);
	task_unref(t);
}

static void
long_arguments_come_back_and_go_with_their_task(void **state)
{
	struct store_world *w = *state;
	char *args = malloc(100001);
	struct task *t;

	memset(args, '1', 100000);
	args[100000] = '\0';
	t = put(w, store_world_task(w, 1, args));
	store_world_settle(w);
	store_world_start(w, t);
	store_world_settle(w);
	store_world_get(w, 1);
	assert_int_equal(w->got->state, TASK_RUNNING);
	assert_string_equal(w->got->args, args);
	store_world_succeed(w, t, "2");
	store_world_settle(w);
	store_erase(w->store, t);
	store_world_settle(w);
	task_unref(t);
	store_world_get(w, 1);
	assert_int_equal(w->err, -ENOENT);
	assert_int_equal(counts(w).n_tasks, 0);
	/* All but the first pages are free again. */
	assert_true(counts(w).free_bytes > 90000);
	free(args);
}

static void
an_erased_task_is_gone(void **state)
{
	struct store_world *w = *state;
	struct task *t = put(w, store_world_task(w, 1, NULL));

	store_world_settle(w);
	store_world_start(w, t);
	store_world_succeed(w, t, "1");
	store_erase(w->store, t);
	store_world_barrier(w);
	store_world_run(w, 2);
	assert_string_equal(w->log, "E1 B:0");
	task_unref(t);
	store_world_get(w, 1);
	assert_int_equal(w->err, -ENOENT);
	assert_null(w->got);
	assert_int_equal(counts(w).n_tasks, 0);
	assert_int_equal(counts(w).n_ended, 0);
}

static void
a_revived_task_is_kept_on(void **state)
{
	struct store_world *w = *state;
	struct task *t = put(w, store_world_task(w, 1, "1"));

	store_world_start(w, t);
	(void)task_apply(t, TASK_EV_FAIL, 1);
	store_finish(w->store, t);
	store_world_settle(w);
	task_unref(t);
	assert_int_equal(counts(w).n_ended, 1);
	store_world_get(w, 1);
	t = task_ref(w->got);
	(void)task_apply(t, TASK_EV_REVIVE, 2);
	store_update(w->store, t);
	store_world_settle(w);
	assert_int_equal(counts(w).n_ended, 0);
	assert_int_equal(counts(w).n_tasks, 1);
	/* Also when its row was dropped meanwhile. */
	store_erase(w->store, t);
	store_world_settle(w);
	store_update(w->store, t);
	store_world_settle(w);
	task_unref(t);
	store_world_get(w, 1);
	assert_int_equal(w->got->state, TASK_READY);
	assert_string_equal(w->got->args, "1");
	assert_int_equal(counts(w).n_tasks, 1);
}

static struct store_range
ready_range(struct store_world *w, int64_t after, size_t n)
{
	return (struct store_range){.order = STORE_READY,
	    .queue = &w->queues[0],
	    .kind = &w->kinds[0],
	    .priority = 5,
	    .after = after,
	    .n = n};
}

static void
ready_tasks_are_fetched_by_seq(void **state)
{
	struct store_world *w = *state;
	struct store_range r = ready_range(w, 0, 2);
	struct task *t;
	uint64_t id;

	for (id = 1; id <= 5; id++) {
		t = store_world_task(w, id, "[]");
		t->seq = 10 - id;
		if (id == 2)
			t->kind = &w->kinds[1];
		if (id == 3)
			t->parked = true;
		keep(w, t);
	}
	store_world_fetch(w, &r); /* 5 (seq 5), 4 (6), 1 (9) */
	assert_int_equal(w->n_items, 2);
	assert_int_equal(w->items[0]->id, 5);
	assert_int_equal(w->items[1]->id, 4);
	assert_int_not_equal(w->cursor, 0);
	r.after = 6;
	store_world_fetch(w, &r);
	assert_int_equal(w->n_items, 1);
	assert_int_equal(w->items[0]->id, 1);
	assert_int_equal(w->cursor, 0);
	r.after = 0;
	r.n = 10;
	r.max_bytes = 1;
	store_world_fetch(w, &r);
	assert_int_equal(w->n_items, 1);
	assert_int_not_equal(w->cursor, 0);
	/* A name that was never seen. */
	r.queue = &w->queues[1];
	store_world_fetch(w, &r);
	assert_int_equal(w->n_items, 0);
}

static void
parked_tasks_are_fetched_by_key(void **state)
{
	struct store_world *w = *state;
	struct store_range r = {.order = STORE_KEY, .key = "a", .n = 10};
	struct task *t;
	uint64_t id;

	for (id = 1; id <= 4; id++) {
		t = store_world_task(w, id, NULL);
		task_set_text(t, &t->key, strdup(id == 4 ? "b" : "a"));
		t->holds = id == 1;
		t->parked = id != 1;
		keep(w, t);
	}
	store_world_fetch(w, &r);
	assert_int_equal(w->n_items, 2);
	assert_int_equal(w->items[0]->id, 2);
	assert_int_equal(w->items[1]->id, 3);
	assert_true(w->items[0]->parked);
	store_world_find(w, STORE_BY_KEY, "a");
	assert_int_not_equal(w->found_id, 0);
	store_world_find(w, STORE_BY_KEY, "c");
	assert_int_equal(w->found_id, 0);
}

static void
scheduled_tasks_are_fetched_by_due_time(void **state)
{
	struct store_world *w = *state;
	struct store_range r = {.order = STORE_DUE_STEADY, .n = 2};
	static const int64_t due[] = {300, 100, 200, 100, 50};
	struct task *t;
	uint64_t id;

	for (id = 1; id <= 5; id++) {
		t = store_world_task(w, id, NULL);
		t->state = TASK_SCHEDULED;
		t->due_ms = due[id - 1];
		t->run_at_is_wall = id == 5;
		keep(w, t);
	}
	store_world_fetch(w, &r);
	assert_int_equal(w->n_items, 2);
	assert_int_equal(w->items[0]->id, 2);
	assert_int_equal(w->items[1]->id, 4);
	assert_int_not_equal(w->cursor, 0);
	r.after = 100;
	r.after_id = 2;
	r.n = 10;
	store_world_fetch(w, &r);
	assert_int_equal(w->n_items, 3);
	assert_int_equal(w->items[0]->id, 4);
	assert_int_equal(w->items[1]->id, 3);
	assert_int_equal(w->items[2]->id, 1);
	assert_int_equal(w->cursor, 0);
	r = (struct store_range){.order = STORE_DUE_WALL, .n = 10};
	store_world_fetch(w, &r);
	assert_int_equal(w->n_items, 1);
	assert_int_equal(w->items[0]->id, 5);
}

static void
what_expires_is_fetched_with_the_time_of_the_next(void **state)
{
	struct store_world *w = *state;
	struct store_range r = {.order = STORE_EXPIRED, .until = 200, .n = 10};
	struct task *t;
	uint64_t id;

	for (id = 1; id <= 4; id++) {
		t = store_world_task(w, id, NULL);
		t->expires_ms = (int64_t)id * 100;
		if (id == 1)
			t->state = TASK_SCHEDULED;
		if (id == 2)
			t->parked = true;
		keep(w, t);
	}
	store_world_fetch(w, &r);
	assert_int_equal(w->n_items, 2);
	assert_int_equal(w->items[0]->id, 1);
	assert_int_equal(w->items[1]->id, 2);
	assert_int_equal(w->cursor, 300);
	r.until = 1000;
	r.n = 1;
	store_world_fetch(w, &r);
	assert_int_equal(w->n_items, 1);
	assert_in_range(w->cursor, 1, 1000); /* there are more */
	r.n = 4;
	store_world_fetch(w, &r);
	assert_int_equal(w->n_items, 4);
	assert_int_equal(w->cursor, 0);
	/* At one time, by id. */
	for (id = 5; id <= 6; id++) {
		t = store_world_task(w, id, NULL);
		t->expires_ms = 300;
		keep(w, t);
	}
	r.after = 300;
	r.after_id = 3;
	store_world_fetch(w, &r);
	assert_int_equal(w->n_items, 3);
	assert_int_equal(w->items[0]->id, 5);
	assert_int_equal(w->items[2]->id, 4);
}

static void
a_list_is_newest_first_and_goes_on(void **state)
{
	struct store_world *w = *state;
	struct store_filter f = {.state = -1, .limit = 4};
	uint64_t id;

	keep_many(w, 1, 10);
	store_world_list(w, &f);
	assert_int_equal(w->n_items, 4);
	for (id = 10; id > 6; id--)
		assert_int_equal(w->items[10 - id]->id, id);
	assert_int_equal(w->cursor, 7);
	f.below_id = 7;
	f.limit = 10;
	store_world_list(w, &f);
	assert_int_equal(w->n_items, 6);
	assert_int_equal(w->cursor, 0);
}

static void
a_list_can_be_filtered(void **state)
{
	struct store_world *w = *state;
	struct store_filter f = {.state = TASK_RUNNING, .limit = 10};
	struct task *t;
	uint64_t id;

	for (id = 1; id <= 6; id++) {
		t = store_world_task(w, id, NULL);
		t->submitted_at = (int64_t)id * 1000;
		if (id == 1)
			t->state = TASK_SCHEDULED;
		if (id == 2)
			t->queue = &w->queues[1];
		if (id == 3)
			t->kind = &w->kinds[1];
		put(w, t);
		if (id >= 4)
			store_world_start(w, t);
		if (id >= 5)
			store_world_succeed(w, t, "1");
		task_unref(t);
	}
	store_world_settle(w);
	store_world_list(w, &f);
	assert_int_equal(w->n_items, 1);
	assert_int_equal(w->items[0]->id, 4);
	f = (struct store_filter){.state = -1, .ended = true, .limit = 10};
	store_world_list(w, &f);
	assert_int_equal(w->n_items, 2);
	f = (struct store_filter){.state = -1, .waiting = true, .limit = 10};
	store_world_list(w, &f);
	assert_int_equal(w->n_items, 3);
	f = (struct store_filter){
	    .state = -1, .queue = &w->queues[1], .limit = 10};
	store_world_list(w, &f);
	assert_int_equal(w->n_items, 1);
	assert_int_equal(w->items[0]->id, 2);
	f = (struct store_filter){
	    .state = -1, .kind = &w->kinds[1], .limit = 10};
	store_world_list(w, &f);
	assert_int_equal(w->n_items, 1);
	assert_int_equal(w->items[0]->id, 3);
	f = (struct store_filter){
	    .state = -1, .since_ms = 2000, .until_ms = 4000, .limit = 10};
	store_world_list(w, &f);
	assert_int_equal(w->n_items, 2);
	assert_int_equal(w->items[0]->id, 3);
}

static void
unique_is_held_until_the_end(void **state)
{
	struct store_world *w = *state;
	struct task *t = store_world_task(w, 4, NULL);

	task_set_text(t, &t->unique, strdup("u"));
	put(w, t);
	store_world_find(w, STORE_BY_UNIQUE, "u");
	assert_int_equal(w->found_id, 4);
	assert_int_equal(w->found_state, TASK_READY);
	store_world_start(w, t);
	store_world_succeed(w, t, "1");
	store_world_find(w, STORE_BY_UNIQUE, "u");
	assert_int_equal(w->found_id, 0);
	task_unref(t);
}

static void
an_idempotency_key_outlives_its_task(void **state)
{
	struct store_world *w = *state;
	struct task *t = store_world_task(w, 4, NULL);

	task_set_text(t, &t->idempotency_key, strdup("i"));
	put(w, t);
	store_world_start(w, t);
	store_world_succeed(w, t, "1");
	store_world_find(w, STORE_BY_IDEMPOTENCY, "i");
	assert_int_equal(w->found_id, 4);
	assert_int_equal(w->found_state, TASK_SUCCEEDED);
	store_erase(w->store, t);
	store_world_find(w, STORE_BY_IDEMPOTENCY, "i");
	assert_int_equal(w->found_id, 4);
	assert_int_equal(w->found_state, -1);
	task_unref(t);
}

static void
a_pause_outlives_the_store(void **state)
{
	struct store_world *w = *state;

	assert_int_equal(store_pause(w->store, &w->queues[0], true), 0);
	assert_int_equal(store_pause(w->store, &w->queues[1], true), 0);
	assert_int_equal(store_pause(w->store, &w->queues[1], false), 0);
	assert_false(store_is_idle(w->store));
	store_world_settle(w);
	reopen(w, false);
	assert_int_equal(w->found.n_paused, 1);
	assert_string_equal(w->found.paused[0], "q0");
}

static void
the_end_writes_what_is_left(void **state)
{
	struct store_world *w = *state;
	struct task *t;
	uint64_t id;

	for (id = 1; id <= 10000; id++) {
		t = put(w, store_world_task(w, id, "[]"));
		task_unref(t);
	}
	store_world_barrier(w);
	store_world_close(w);
	/* More than one batch, so its barrier's turn had not come. */
	assert_string_equal(w->log, "B:-125");
	assert_int_equal(store_world_open(w, false), 0);
	assert_int_equal(w->found.last_id, 10000);
	assert_int_equal(w->found.n_bands, 1);
	assert_int_equal(w->found.bands[0].n, 10000);
}

static void
an_error_may_change_while_it_is_written(void **state)
{
	struct store_world *w = *state;
	struct task *t = store_world_task(w, 1, NULL);
	int i;

	task_set_text(t, &t->error, strdup("0"));
	put(w, t);
	for (i = 1; i < 100; i++) {
		char text[16];

		snprintf(text, sizeof(text), "%d", i);
		store_flush(w->store);
		task_set_text(t, &t->error, strdup(text));
		store_update(w->store, t);
	}
	store_world_settle(w);
	task_unref(t);
	store_world_get(w, 1);
	assert_string_equal(w->got->error, "99");
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static const struct CMUnitTest tests[] = {
    T(a_put_is_there_after_its_barrier),
    T(put_start_and_end_of_one_turn_are_one_write),
    T(news_of_a_task_in_flight_go_with_the_next_batch),
    T(all_fields_come_back),
    T(long_arguments_come_back_and_go_with_their_task),
    T(an_erased_task_is_gone),
    T(a_revived_task_is_kept_on),
    T(ready_tasks_are_fetched_by_seq),
    T(parked_tasks_are_fetched_by_key),
    T(scheduled_tasks_are_fetched_by_due_time),
    T(what_expires_is_fetched_with_the_time_of_the_next),
    T(a_list_is_newest_first_and_goes_on),
    T(a_list_can_be_filtered),
    T(unique_is_held_until_the_end),
    T(an_idempotency_key_outlives_its_task),
    T(a_pause_outlives_the_store),
    T(the_end_writes_what_is_left),
    T(an_error_may_change_while_it_is_written),
};

int
main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
