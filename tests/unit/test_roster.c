/* SPDX-License-Identifier: ISC */
/* LINK: tests/lib/broker_world.c ipc/ctl.c ipc/fdpass.c ipc/peer.c
 *	ipc/line.c ipc/buf.c ipc/json.c ipc/rpc.c ipc/clock.c ipc/log.c
 *	ipc/log_line.c ipc/log_repeat.c ipc/log_sink.c ipc/sock.c libbroker.a */
/*
 * test_roster.c - who is to blame when a worker ends, and what the master is
 * told of workers and pools
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "master/broker/chan.h"
#include "master/broker/life.h"
#include "tests/lib/broker_world.h"

static const char settings[] =
    "{\"max_clients\":1000,\"queues\":[{\"name\":\"q\"}],\"pools\":[{"
    "\"name\":\"p\",\"processes\":2,\"queues\":[{\"queue\":\"q\"}],"
    "\"names\":[\"echo\"],\"max_tasks\":2,\"scales\":true}]}";

static int
set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	*state = w;
	world_init(w, settings);
	return 0;
}

static int
tear_down(void **state)
{
	world_done(*state);
	free(*state);
	return 0;
}

static void
start(struct world *w, struct worker *worker, unsigned threads)
{
	world_start(w, worker, "p", "[\"echo\"]", threads);
}

/* The order that was told since, without those of the load. */
static void
assert_told(struct world *w, const char *expected)
{
	char *text = world_take(&w->told), *line, *rest = text;
	char kept[512] = "";

	while ((line = strsep(&rest, "\n")) != NULL) {
		if (line[0] == '\0' || strncmp(line, "pool.load", 9) == 0)
			continue;
		assert_true(strlen(kept) + strlen(line) + 2 < sizeof(kept));
		strcat(kept, line);
		strcat(kept, ";");
	}
	assert_string_equal(kept, expected);
	free(text);
}

static void
culprit_alone_is_charged(void **state)
{
	struct world *w = *state;
	struct worker one;
	struct task *t[3];
	char more[64];
	unsigned i;

	start(w, &one, 3);
	for (i = 0; i < 3; i++)
		t[i] = world_submit(w, "q", "echo");
	snprintf(more, sizeof(more), ",\"task\":%llu,\"run\":%u",
	    (unsigned long long)t[1]->id, t[1]->run);
	world_reap(w, &one, "killed by signal 11", 11, more);
	assert_int_equal(t[1]->attempt, 1);
	assert_int_equal(t[1]->crashes, 1);
	assert_int_equal(t[1]->state, TASK_SCHEDULED);
	for (i = 0; i < 3; i += 2) {
		assert_int_equal(t[i]->state, TASK_READY);
		assert_int_equal(t[i]->attempt, 0);
		assert_int_equal(t[i]->interrupted, 0);
		assert_false(t[i]->suspect);
	}
}

static void
culprit_that_the_worker_does_not_have_proves_nothing(void **state)
{
	struct world *w = *state;
	struct worker one;
	struct task *t;

	start(w, &one, 2);
	t = world_submit(w, "q", "echo");
	world_reap(w, &one, "killed by signal 11", 11,
	    ",\"task\":1,\"run\":7"); /* no run of its */
	assert_int_equal(t->state, TASK_READY);
	assert_int_equal(t->attempt, 0);
	assert_true(t->suspect);
}

static void
worker_that_the_master_cut_charges_nobody(void **state)
{
	struct world *w = *state;
	struct worker one;
	struct task *t;

	start(w, &one, 1);
	t = world_submit(w, "q", "echo");
	world_reap(w, &one, "killed by signal 6", 6,
	    ",\"cut\":true,\"task\":1,\"run\":1");
	assert_int_equal(t->state, TASK_READY);
	assert_int_equal(t->attempt, 0);
	assert_int_equal(t->crashes, 0);
	assert_int_equal(t->interrupted, 1);
	assert_false(t->suspect);
}

static void
sigkill_proves_a_task_guilty_only_when_it_runs_alone_again(void **state)
{
	struct world *w = *state;
	struct worker one;
	struct task *t;

	start(w, &one, 1);
	t = world_submit(w, "q", "echo");
	world_reap(w, &one, "killed by signal 9", 9, "");
	assert_int_equal(t->attempt, 0);
	assert_true(t->suspect);
	assert_int_equal(t->place, TASK_IN_SUSPECTS);
	/* Alone, and killed again: guilty. */
	start(w, &one, 2);
	assert_int_equal(t->state, TASK_RUNNING);
	world_reap(w, &one, "killed by signal 9", 9, "");
	assert_int_equal(t->attempt, 1);
	assert_int_equal(t->crashes, 1);
}

static void
suspect_that_a_reload_cuts_runs_alone_again(void **state)
{
	struct world *w = *state;
	struct worker one;
	struct task *t;

	start(w, &one, 1);
	t = world_submit(w, "q", "echo");
	world_reap(w, &one, "killed by signal 9", 9, "");
	start(w, &one, 2);
	world_reap(w, &one, "killed by signal 9", 9, ",\"cut\":true");
	assert_int_equal(t->attempt, 0);
	assert_int_equal(t->place, TASK_IN_SUSPECTS);
	start(w, &one, 2);
	world_submit(w, "q", "echo");
	world_read(w, &one);
	assert_int_equal(one.n_runs, 1);
	assert_int_equal(one.ids[0], t->id);
}

/* Bring a task that waits to be tried again to its time. */
static void
hurry(struct world *w, struct task *t)
{
	assert_int_equal(t->state, TASK_SCHEDULED);
	t->due = mono_now();
	assert_int_equal(delay_set(&w->b.timers, &t->timer, t->due), 0);
	while (t->state == TASK_SCHEDULED)
		ev_run(w->b.loop, EVRUN_ONCE);
	world_turns(w);
}

static void
task_that_kills_three_workers_is_quarantined(void **state)
{
	struct world *w = *state;
	struct worker one;
	struct task *t;
	char *ended;
	unsigned i;

	start(w, &one, 1);
	t = world_submit(w, "q", "echo");
	for (i = 0; i < 2; i++) {
		world_read(w, &one);
		world_reap(w, &one, "killed by signal 11", 11, "");
		start(w, &one, 1);
		hurry(w, t);
		assert_int_equal(t->state, TASK_RUNNING);
	}
	world_read(w, &one);
	world_reap(w, &one, "killed by signal 11", 11, "");
	ended = world_take(&w->ended);
	assert_string_equal(ended, "1:quarantined ");
	free(ended);
}

static void
worker_that_had_its_share_works_on_until_it_is_replaced(void **state)
{
	struct world *w = *state;
	struct worker one;
	unsigned i;

	start(w, &one, 1);
	assert_told(w, "worker.hello 1001;");
	for (i = 0; i < 4; i++) {
		world_submit(w, "q", "echo");
		world_read(w, &one);
		assert_false(one.pilled);
		world_answer(w, &one);
	}
	assert_told(w, "worker.served 1001;worker.recycle 1001;");
}

static struct task *
run_with_limit(struct world *w, struct worker *worker)
{
	struct task *t;

	w->b.settings->pools[0].timeout_ms = 1;
	start(w, worker, 1);
	t = world_submit(w, "q", "echo");
	assert_int_equal(t->state, TASK_RUNNING);
	free(world_take(&w->told));
	return t;
}

/* Let the timer of t's limit come as if this process had been stopped. */
static void
come_late(struct world *w, const struct task *t)
{
	while (!mono_reached(mono_now(), t->due))
		continue;
	w->b.armed_ns -= INT64_C(2000000000);
	ev_invoke(w->b.loop, &w->b.timer, EV_TIMER);
	assert_false(t->timed_out);
}

static void
nobody_is_killed_for_the_brokers_own_pause(void **state)
{
	struct world *w = *state;
	struct worker one;
	struct task *t = run_with_limit(w, &one);

	come_late(w, t);
	world_turns(w);
	assert_told(w, "");
	world_read(w, &one);
	world_answer(w, &one);
	assert_int_equal(w->b.n_tasks, 0);
}

static void
late_look_kills_what_is_over_its_limit_all_the_same(void **state)
{
	struct world *w = *state;
	struct worker one;
	struct task *t = run_with_limit(w, &one);

	come_late(w, t);
	while (!t->timed_out)
		ev_run(w->b.loop, EVRUN_ONCE);
	world_turns(w);
	assert_told(w, "worker.kill 1001;");
}

/* The last load that was told, "READY/BUSY". */
static void
assert_load(struct world *w, const char *expected)
{
	char *text = world_take(&w->told), *at, *next;

	at = strstr(text, "pool.load ");
	assert_non_null(at);
	while ((next = strstr(at + 1, "pool.load ")) != NULL)
		at = next;
	at[strcspn(at, "\n")] = '\0';
	assert_string_equal(at + strlen("pool.load "), expected);
	free(text);
}

/* Let the time pass until a load may be told again. */
static void
wait_for_load(struct world *w)
{
	while (ev_is_active(&w->b.load_timer))
		ev_run(w->b.loop, EVRUN_ONCE);
	world_turns(w);
}

static void
load_is_told_while_there_is_some_and_once_when_there_is_none(void **state)
{
	struct world *w = *state;
	struct worker one;

	start(w, &one, 1);
	world_submit(w, "q", "echo");
	world_submit(w, "q", "echo");
	wait_for_load(w);
	assert_load(w, "1/1");
	world_read(w, &one);
	world_answer(w, &one);
	world_read(w, &one);
	/* Busy and nothing waiting: told once, and then no timer runs. */
	wait_for_load(w);
	assert_load(w, "0/1");
	wait_for_load(w);
	assert_false(ev_is_active(&w->b.load_timer));
	world_answer(w, &one);
	wait_for_load(w);
	assert_load(w, "0/0");
	wait_for_load(w);
	assert_false(ev_is_active(&w->b.load_timer));
	assert_int_equal(buf_len(&w->told), 0);
}

static void
clients_leave_room_for_the_workers_channels(void **state)
{
	struct world *w = *state;
	struct rlimit before, low;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = before;
	low.rlim_cur = 200;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	listener_review(&w->b.listener);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	/* Two workers, and as many that take their places. */
	assert_int_equal(w->b.listener.max_clients, 200 - 64 - 4);
	listener_review(&w->b.listener);
	assert_true(w->b.listener.max_clients <= 1000);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(culprit_alone_is_charged),
	    TEST(culprit_that_the_worker_does_not_have_proves_nothing),
	    TEST(worker_that_the_master_cut_charges_nobody),
	    TEST(sigkill_proves_a_task_guilty_only_when_it_runs_alone_again),
	    TEST(suspect_that_a_reload_cuts_runs_alone_again),
	    TEST(task_that_kills_three_workers_is_quarantined),
	    TEST(worker_that_had_its_share_works_on_until_it_is_replaced),
	    TEST(nobody_is_killed_for_the_brokers_own_pause),
	    TEST(late_look_kills_what_is_over_its_limit_all_the_same),
	    TEST(load_is_told_while_there_is_some_and_once_when_there_is_none),
	    TEST(clients_leave_room_for_the_workers_channels),
	};

	return cmocka_run_group_tests_name("roster", tests, NULL, NULL);
}
