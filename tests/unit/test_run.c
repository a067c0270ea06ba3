/* SPDX-License-Identifier: ISC */
/* LINK: tests/lib/broker_world.c ipc/ctl.c ipc/fdpass.c ipc/peer.c
 *	ipc/line.c ipc/buf.c ipc/json.c ipc/rpc.c ipc/clock.c ipc/log.c
 *	ipc/log_line.c ipc/log_repeat.c ipc/log_sink.c ipc/sock.c libbroker.a */
/*
 * test_run.c - runs whose start is with the store, and what comes in between
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "master/broker/chan.h"
#include "master/broker/dispatch.h"
#include "master/broker/life.h"
#include "master/broker/roster.h"
#include "master/broker/run.h"
#include "tests/lib/broker_world.h"

static const char settings[] =
    "{\"max_clients\":1000,\"queues\":[{\"name\":\"q\"}],\"pools\":[{"
    "\"name\":\"p\",\"processes\":2,\"queues\":[{\"queue\":\"q\"}],"
    "\"names\":[\"echo\"]}]}";

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

/* A task that has a slot of the worker, and the store has yet to tell. */
static struct task *
start_once(struct world *w, struct worker *worker)
{
	struct task *t;

	world_start(w, worker, "p", "[\"echo\"]", 1);
	catalog_find_queue(&w->b.catalog, "q")->paused = true;
	t = world_submit(w, "q", "echo");
	assert_non_null(t);
	t->at_most_once = true;
	t->queue->paused = false;
	dispatch_run(&w->b);
	assert_int_equal(t->state, TASK_RUNNING);
	assert_true(t->unsent);
	return t;
}

static void
assert_ended(struct world *w, const char *expected)
{
	char *text = world_take(&w->ended);

	assert_string_equal(text == NULL ? "" : text, expected);
	free(text);
}

/* Its process has ended, and nothing else has happened since. */
static void
die(struct world *w, struct worker *worker)
{
	json_t *msg = json_pack("{s:i,s:s,s:i}", "pid", (int)worker->pid,
	    "status", "killed by signal 11", "signal", 11);

	roster_gone(&w->b, msg);
	json_decref(msg);
	close(worker->fd);
	buf_done(&worker->in);
}

static void
it_is_sent_once_its_start_is_kept(void **state)
{
	struct world *w = *state;
	struct worker one;
	struct task *t = start_once(w, &one);

	world_turns(w);
	assert_false(t->unsent);
	world_read(w, &one);
	assert_int_equal(one.n_runs, 1);
	world_answer(w, &one);
	assert_ended(w, "1:succeeded ");
	world_reap(w, &one, "exit status 0", 0, "");
}

static void
death_of_a_worker_that_did_not_know_of_it_is_free(void **state)
{
	struct world *w = *state;
	struct worker one, two;
	struct task *t = start_once(w, &one);

	die(w, &one);
	world_turns(w);
	assert_ended(w, "");
	assert_int_equal(t->state, TASK_READY);
	assert_int_equal(t->attempt, 0);
	assert_int_equal(t->crashes, 0);
	assert_false(t->suspect);
	world_start(w, &two, "p", "[\"echo\"]", 1);
	world_read(w, &two);
	assert_int_equal(two.n_runs, 1);
	assert_int_equal(t->run, 2);
	world_answer(w, &two);
	assert_ended(w, "1:succeeded ");
	world_reap(w, &two, "exit status 0", 0, "");
}

static void
cancelled_before_it_is_sent_it_never_is(void **state)
{
	struct world *w = *state;
	struct worker one;
	struct task *t = start_once(w, &one);

	assert_int_equal(run_cancel(&w->b, t, true), 0);
	world_turns(w);
	world_read(w, &one);
	assert_int_equal(one.n_runs, 0);
	assert_ended(w, "1:cancelled ");
	world_reap(w, &one, "exit status 0", 0, "");
}

static void
worker_that_is_retired_meanwhile_does_not_get_it(void **state)
{
	struct world *w = *state;
	struct worker one, two;
	struct task *t = start_once(w, &one);

	chan_pill(t->chan);
	world_turns(w);
	world_read(w, &one);
	assert_int_equal(one.n_runs, 0);
	assert_true(one.pilled);
	assert_int_equal(t->state, TASK_READY);
	world_reap(w, &one, "exit status 0", 0, "");
	world_start(w, &two, "p", "[\"echo\"]", 1);
	world_read(w, &two);
	assert_int_equal(two.n_runs, 1);
	world_answer(w, &two);
	assert_ended(w, "1:succeeded ");
	world_reap(w, &two, "exit status 0", 0, "");
}

static void
death_of_a_worker_that_knew_of_it_fails_it(void **state)
{
	struct world *w = *state;
	struct worker one;

	(void)start_once(w, &one);
	world_turns(w);
	world_read(w, &one);
	assert_int_equal(one.n_runs, 1);
	world_reap(w, &one, "killed by signal 9", 9, "");
	assert_ended(w, "1:failed ");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(it_is_sent_once_its_start_is_kept),
	    TEST(death_of_a_worker_that_did_not_know_of_it_is_free),
	    TEST(cancelled_before_it_is_sent_it_never_is),
	    TEST(worker_that_is_retired_meanwhile_does_not_get_it),
	    TEST(death_of_a_worker_that_knew_of_it_fails_it),
	};

	return cmocka_run_group_tests_name("run", tests, NULL, NULL);
}
