/* SPDX-License-Identifier: ISC */
/* LINK: master/broker/task.c master/broker/delay.c ipc/clock.c */
/*
 * test_task.c - the states of a task, as a table of every state and event
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "master/broker/task.h"

/* Written down a second time, from the promise and not from the code. */
static const struct {
	enum task_state from;
	enum task_event event;
	enum task_state to;
} allowed[] = {
    {TASK_SCHEDULED, TASK_EV_DUE, TASK_READY},
    {TASK_SCHEDULED, TASK_EV_EXPIRE, TASK_EXPIRED},
    {TASK_SCHEDULED, TASK_EV_CANCEL, TASK_CANCELLED},
    {TASK_READY, TASK_EV_EXPIRE, TASK_EXPIRED},
    {TASK_READY, TASK_EV_CANCEL, TASK_CANCELLED},
    {TASK_READY, TASK_EV_START, TASK_RUNNING},
    {TASK_RUNNING, TASK_EV_SUCCEED, TASK_SUCCEEDED},
    {TASK_RUNNING, TASK_EV_RETRY, TASK_SCHEDULED},
    {TASK_RUNNING, TASK_EV_FAIL, TASK_FAILED},
    {TASK_RUNNING, TASK_EV_SNOOZE, TASK_SCHEDULED},
    {TASK_RUNNING, TASK_EV_REQUEUE, TASK_READY},
    {TASK_RUNNING, TASK_EV_GIVE_UP, TASK_CANCELLED},
    {TASK_RUNNING, TASK_EV_QUARANTINE, TASK_QUARANTINED},
    {TASK_FAILED, TASK_EV_REVIVE, TASK_READY},
    {TASK_QUARANTINED, TASK_EV_REVIVE, TASK_READY},
    {TASK_CANCELLED, TASK_EV_REVIVE, TASK_READY},
    {TASK_EXPIRED, TASK_EV_REVIVE, TASK_READY},
};
#define N_ALLOWED (sizeof(allowed) / sizeof(allowed[0]))

static int
expected(enum task_state from, enum task_event event)
{
	size_t i;

	for (i = 0; i < N_ALLOWED; i++)
		if (allowed[i].from == from && allowed[i].event == event)
			return (int)allowed[i].to;
	return -1;
}

static void
task_goes_where_the_table_says_and_nowhere_else(void **state)
{
	int from, event;

	(void)state;
	for (from = 0; from < TASK_N_STATES; from++) {
		for (event = 0; event < TASK_N_EVENTS; event++) {
			struct task *t = task_new(1);
			int to = expected(
			    (enum task_state)from, (enum task_event)event);
			int r;

			assert_non_null(t);
			t->state = (enum task_state)from;
			r = task_apply(t, (enum task_event)event, 1000);
			assert_int_equal(r, to < 0 ? -EINVAL : 0);
			assert_int_equal((int)t->state, to < 0 ? from : to);
			task_unref(t);
		}
	}
}

/* Which counts an event raises, wherever it can happen. */
static void
task_counts_what_has_happened_and_nothing_else(void **state)
{
	static const bool attempts[TASK_N_EVENTS] = {
	    [TASK_EV_RETRY] = true,
	    [TASK_EV_FAIL] = true,
	    [TASK_EV_QUARANTINE] = true,
	};
	size_t i;

	(void)state;
	for (i = 0; i < N_ALLOWED; i++) {
		enum task_event event = allowed[i].event;
		bool anew = event == TASK_EV_REVIVE;
		struct task *t = task_new(1);

		assert_non_null(t);
		t->state = allowed[i].from;
		t->attempt = t->crashes = t->run = t->interrupted = 2;
		t->recoveries = 2;
		assert_int_equal(task_apply(t, event, 1000), 0);
		assert_int_equal(t->attempt, anew ? 0 : 2 + attempts[event]);
		assert_int_equal(t->crashes, anew ? 0 : 2);
		assert_int_equal(t->run, 2 + (event == TASK_EV_START));
		assert_int_equal(t->interrupted, 2);
		assert_int_equal(
		    t->started_at, event == TASK_EV_START ? 1000 : 0);
		assert_int_equal(
		    t->finished_at, task_state_is_final(t->state) ? 1000 : 0);
		task_unref(t);
	}
}

static void
task_has_nothing_of_a_run_when_that_is_over(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < N_ALLOWED; i++) {
		struct task *t = task_new(1);

		assert_non_null(t);
		if (allowed[i].from != TASK_RUNNING) {
			task_unref(t);
			continue;
		}
		t->state = TASK_RUNNING;
		t->timed_out = t->cancelling = t->outstayed = true;
		t->unsent = true;
		t->kill_at.ns = 7;
		assert_int_equal(task_apply(t, allowed[i].event, 1000), 0);
		assert_false(t->timed_out || t->cancelling || t->outstayed);
		assert_false(t->unsent);
		assert_int_equal(t->kill_at.ns, 0);
		task_unref(t);
	}
}

static void
task_that_runs_at_most_once_has_no_attempts_left(void **state)
{
	struct task *t = task_new(1);

	(void)state;
	t->retries = 3;
	assert_true(task_has_attempts_left(t));
	t->at_most_once = true;
	assert_false(task_has_attempts_left(t));
	task_unref(t);
}

static void
task_that_ended_never_succeeds_again(void **state)
{
	int from;

	(void)state;
	for (from = 0; from < TASK_N_STATES; from++)
		if (task_state_is_final((enum task_state)from))
			assert_int_equal(task_next_state((enum task_state)from,
					     TASK_EV_SUCCEED),
			    -1);
}

static void
task_start_raises_run_and_not_attempt(void **state)
{
	struct task *t = task_new(7);

	(void)state;
	assert_int_equal(task_apply(t, TASK_EV_START, 500), 0);
	assert_int_equal(t->run, 1);
	assert_int_equal(t->attempt, 0);
	assert_int_equal(t->started_at, 500);
	assert_int_equal(t->finished_at, 0);
	assert_int_equal(task_apply(t, TASK_EV_REQUEUE, 600), 0);
	assert_int_equal(task_apply(t, TASK_EV_START, 700), 0);
	assert_int_equal(t->run, 2);
	assert_int_equal(t->attempt, 0);
	task_unref(t);
}

static void
task_failures_use_up_attempts(void **state)
{
	struct task *t = task_new(7);
	unsigned runs = 0;

	(void)state;
	t->retries = 3;
	for (;;) {
		assert_int_equal(task_apply(t, TASK_EV_START, 1), 0);
		runs++;
		if (!task_has_attempts_left(t))
			break;
		assert_int_equal(task_apply(t, TASK_EV_RETRY, 2), 0);
		assert_int_equal(task_apply(t, TASK_EV_DUE, 3), 0);
	}
	assert_int_equal(task_apply(t, TASK_EV_FAIL, 9), 0);
	assert_int_equal(runs, 4);
	assert_int_equal(t->attempt, 4);
	assert_int_equal(t->finished_at, 9);
	task_unref(t);
}

static void
task_snooze_uses_up_no_attempt(void **state)
{
	struct task *t = task_new(7);

	(void)state;
	assert_int_equal(task_apply(t, TASK_EV_START, 1), 0);
	assert_int_equal(task_apply(t, TASK_EV_SNOOZE, 2), 0);
	assert_int_equal(t->attempt, 0);
	assert_int_equal(t->state, TASK_SCHEDULED);
	task_unref(t);
}

static void
task_revive_begins_anew(void **state)
{
	struct task *t = task_new(7);

	(void)state;
	t->crashes = 3;
	assert_int_equal(task_apply(t, TASK_EV_START, 1), 0);
	assert_int_equal(task_apply(t, TASK_EV_QUARANTINE, 2), 0);
	assert_int_equal(task_apply(t, TASK_EV_REVIVE, 3), 0);
	assert_int_equal(t->attempt, 0);
	assert_int_equal(t->crashes, 0);
	assert_int_equal(t->finished_at, 0);
	task_unref(t);
}

static void
task_retry_delay_is_within_its_bounds(void **state)
{
	static const uint32_t randoms[] = {
	    0, 1, 0x7fffffff, 0x80000000, 0xffffffff};
	int64_t d, full;
	uint32_t attempt;
	size_t i;

	(void)state;
	for (attempt = 1; attempt < 80; attempt++) {
		full =
		    attempt > 22 ? 3600000 : (INT64_C(1000) << (attempt - 1));
		if (full > 3600000)
			full = 3600000;
		for (i = 0; i < 5; i++) {
			d = task_retry_delay(1000, attempt, randoms[i]);
			assert_in_range(d, full / 2, full);
		}
		assert_int_equal(task_retry_delay(1000, attempt, 0), full / 2);
	}
	assert_int_equal(task_retry_delay(0, 5, 0xffffffff), 0);
}

static void
task_state_names_are_read_back(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < TASK_N_STATES; i++)
		assert_int_equal(
		    task_state_parse(task_state_name((enum task_state)i)), i);
	assert_int_equal(task_state_parse("gone"), -1);
	assert_int_equal(task_state_parse(""), -1);
}

static void
task_size_follows_its_texts(void **state)
{
	struct task *t = task_new(1);
	size_t bare = task_size(t);

	(void)state;
	task_set_text(t, &t->args, strdup("[1,2]"));
	assert_int_equal(task_size(t), bare + 6);
	task_set_text(t, &t->args, strdup("1"));
	assert_int_equal(task_size(t), bare + 2);
	task_set_text(t, &t->args, NULL);
	assert_int_equal(task_size(t), bare);
	task_unref(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(task_goes_where_the_table_says_and_nowhere_else),
	    cmocka_unit_test(task_counts_what_has_happened_and_nothing_else),
	    cmocka_unit_test(task_has_nothing_of_a_run_when_that_is_over),
	    cmocka_unit_test(task_that_runs_at_most_once_has_no_attempts_left),
	    cmocka_unit_test(task_that_ended_never_succeeds_again),
	    cmocka_unit_test(task_start_raises_run_and_not_attempt),
	    cmocka_unit_test(task_failures_use_up_attempts),
	    cmocka_unit_test(task_snooze_uses_up_no_attempt),
	    cmocka_unit_test(task_revive_begins_anew),
	    cmocka_unit_test(task_retry_delay_is_within_its_bounds),
	    cmocka_unit_test(task_state_names_are_read_back),
	    cmocka_unit_test(task_size_follows_its_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
