/* SPDX-License-Identifier: ISC */
/*
 * LINK: worker/runtime.c worker/module.c worker/route.c worker/job.c
 * worker/pool.c worker/perform.c worker/command.c worker/command_args.c
 * worker/command_spawn.c worker/report.c worker/uplink.c worker/order.c
 * worker/fault.c worker/limit.c worker/sink.c worker/slots.c worker/stacks.c
 * worker/symbol.c worker/modules/builtin.c worker/modules/crash.c
 * worker/modules/echo.c worker/modules/fail.c worker/modules/numbers.c
 * worker/modules/sha512.c worker/modules/sleep.c worker/modules/sort.c
 * ipc/buf.c ipc/clock.c ipc/json.c ipc/line.c ipc/log.c ipc/page.c ipc/peer.c
 * ipc/rpc.c ipc/sock.c tests/lib/module_build.c tests/lib/worker_page.c
 * tests/lib/worker_proc.c
 */
/*
 * test_worker_limit.c - soft time limits, and the page of a running command
 */
#include "worker/limit.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/clock.h"
#include "ipc/rpc.h"
#include "tests/lib/worker_page.h"

static struct worker_page w;

static int
set_up_group(void **state)
{
	(void)state;
	worker_page_set_up_group(&w);
	return 0;
}

static int
tear_down_group(void **state)
{
	(void)state;
	worker_page_tear_down_group(&w);
	return 0;
}

static int
set_up(void **state)
{
	(void)state;
	worker_page_set_up(&w);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	worker_page_tear_down(&w);
	return 0;
}

/* Give the worker to come one command, the shell script. */
static void
set_command(const char *script)
{
	static struct worker_command command;
	static const char *argv[4];

	argv[0] = "sh";
	argv[1] = "-c";
	argv[2] = script;
	command.name = "it";
	memcpy(&command.argv, &(const char **){argv}, sizeof(command.argv));
	w.settings.commands = &command;
	w.settings.n_commands = 1;
}

/* Task 1 must have failed with that message; its error's data. */
static json_t *
take_failure(int code, const char *message)
{
	json_t *error, *data;

	error = worker_proc_error(&w.proc, 1);
	assert_string_equal(
	    json_string_value(json_object_get(error, "message")), message);
	assert_int_equal(
	    json_integer_value(json_object_get(error, "code")), code);
	data = json_incref(json_object_get(error, "data"));
	json_decref(error);
	return data;
}

static void
a_late_handler_is_told_to_stop(void **state)
{
	json_t *data, *want;
	struct mono begun = mono_now();

	(void)state;
	worker_page_start_ready(&w, -1);
	worker_page_run_soft(&w, 1, "hang", "null", 150, 0);
	data =
	    take_failure(RPC_TIMED_OUT, "over its soft time limit of 150 ms");
	assert_true(mono_reached(mono_now(), mono_add_ms(begun, 150)));
	want = json_pack("{s:b,s:s}", "retryable", 1, "reason", "woken");
	assert_true(json_equal(data, want));
	json_decref(want);
	json_decref(data);
	worker_proc_finish(&w.proc);
}

static void
a_late_result_counts_all_the_same(void **state)
{
	(void)state;
	worker_page_start_ready(&w, -1);
	worker_page_run_soft(&w, 1, "stubborn", "100000", 50, 0);
	worker_proc_expect_result(&w.proc, 1, "\"late\"");
	worker_proc_finish(&w.proc);
}

static void
who_is_in_time_is_left_alone(void **state)
{
	(void)state;
	worker_page_start_ready(&w, -1);
	worker_page_run_soft(&w, 1, "sleep", "{\"ms\":20}", 100000, 0);
	worker_proc_expect_result(&w.proc, 1, "{\"slept_ms\":20}");
	worker_page_begin(&w, 2, "hang", "null");
	worker_page_run_soft(&w, 1, "hang", "null", 100, 0);
	json_decref(
	    take_failure(RPC_TIMED_OUT, "over its soft time limit of 100 ms"));
	/* Without a limit of its own it still runs. */
	worker_proc_cancel(&w.proc, 2, 1);
	worker_proc_expect_error(&w.proc, 2, 0);
	worker_proc_finish(&w.proc);
}

static void
the_time_begins_with_the_run(void **state)
{
	(void)state;
	w.settings.threads = 1;
	worker_page_start_ready(&w, -1);
	worker_proc_run(&w.proc, 2, "sleep", "{\"ms\":300}");
	worker_page_run_soft(&w, 1, "sleep", "{\"ms\":150}", 250, 0);
	worker_proc_expect_result(&w.proc, 2, "{\"slept_ms\":300}");
	worker_proc_expect_result(&w.proc, 1, "{\"slept_ms\":150}");
	worker_proc_finish(&w.proc);
}

static void
each_of_several_limits_holds(void **state)
{
	static const int limits[] = {400, 100, 250};
	static const int order[] = {1, 2, 0};
	int i;

	(void)state;
	worker_page_start_ready(&w, -1);
	for (i = 0; i < 3; i++)
		worker_page_run_soft(&w, i, "sleep", "1000", limits[i], 0);
	for (i = 0; i < 3; i++)
		worker_proc_expect_error(&w.proc, order[i], RPC_TIMED_OUT);
	worker_proc_finish(&w.proc);
}

static void
a_late_command_gets_term(void **state)
{
	json_t *data;

	(void)state;
	set_command("trap 'echo bye >&2; exit 5' TERM; sleep 1000 & wait");
	worker_page_start_ready(&w, -1);
	worker_page_run_soft(&w, 1, "it", "null", 200, 0);
	data =
	    take_failure(RPC_TIMED_OUT, "over its soft time limit of 200 ms");
	assert_int_equal(
	    json_integer_value(json_object_get(data, "status")), 5);
	assert_string_equal(
	    json_string_value(json_object_get(data, "stderr")), "bye\n");
	assert_true(json_is_true(json_object_get(data, "retryable")));
	json_decref(data);
	worker_proc_finish(&w.proc);
}

static void
a_late_command_may_still_have_a_result(void **state)
{
	(void)state;
	set_command("trap 'echo 77; exit 0' TERM; sleep 1000 & wait");
	worker_page_start_ready(&w, -1);
	worker_page_run_soft(&w, 1, "it", "null", 200, 0);
	worker_proc_expect_result(&w.proc, 1, "77");
	worker_proc_finish(&w.proc);
}

static void
the_hard_limit_holds_behind_the_soft_one(void **state)
{
	(void)state;
	set_command("trap '' TERM; sleep 1000");
	worker_page_start_ready(&w, -1);
	worker_page_run_soft(&w, 1, "it", "null", 50, 300);
	json_decref(
	    take_failure(128 + SIGKILL, "it: over its time limit of 300 ms"));
	/* It need not be the shorter one. */
	worker_page_run_soft(&w, 1, "it", "null", 300, 100);
	json_decref(
	    take_failure(128 + SIGKILL, "it: over its time limit of 100 ms"));
	worker_proc_finish(&w.proc);
}

static void
a_cancel_ends_a_late_command_that_ignores_term(void **state)
{
	(void)state;
	set_command("trap 'echo late >&2; kill -USR1 $PPID' TERM; "
		    "while :; do sleep 1000 & wait; done");
	worker_page_start_ready(&w, -1);
	worker_page_run_soft(&w, 1, "it", "null", 100, 0);
	/* Its own TERM has been when this one, behind it, was answered. */
	worker_page_run_soft(&w, 2, "hang", "null", 100, 0);
	json_decref(worker_proc_note(&w.proc, "task.progress"));
	worker_proc_expect_error(&w.proc, 2, RPC_TIMED_OUT);
	worker_proc_cancel(&w.proc, 1, 1);
	worker_proc_expect_error(&w.proc, 1, 0);
	worker_proc_finish(&w.proc);
}

/* The group that the page shows in whichever slot. */
static int32_t
find_group(void)
{
	int32_t pgid;
	int i;

	for (i = 0; i < PAGE_SLOTS; i++) {
		pgid = w.page->slots[i].pgid;
		if (pgid != 0)
			return pgid;
	}
	return 0;
}

static void
the_page_has_the_group_of_a_command(void **state)
{
	int fds[2], pid, tries;
	char text[32], script[64];
	ssize_t n;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	/* By its path: what is inherited is closed on exec. */
	snprintf(script, sizeof(script), "echo $$ >/proc/%d/fd/%d; sleep 1000",
	    (int)getpid(), fds[1]);
	set_command(script);
	worker_page_start_ready(&w, -1);
	worker_proc_run(&w.proc, 1, "it", "null");
	alarm(WORKER_PROC_WAIT_MS / 1000);
	n = read(fds[0], text, sizeof(text) - 1);
	alarm(0);
	assert_true(n > 0);
	text[n] = '\0';
	pid = atoi(text);
	/* The command may be faster than who has started it. */
	for (tries = 0; find_group() == 0 && tries < WORKER_PROC_WAIT_MS;
	     tries++)
		usleep(1000);
	assert_int_equal(find_group(), pid);
	worker_proc_cancel(&w.proc, 1, 1);
	worker_proc_expect_error(&w.proc, 1, 0);
	assert_int_equal(find_group(), 0);
	worker_proc_finish(&w.proc);
	close(fds[0]);
	close(fds[1]);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(a_late_handler_is_told_to_stop),
	    TEST(a_late_result_counts_all_the_same),
	    TEST(who_is_in_time_is_left_alone),
	    TEST(the_time_begins_with_the_run),
	    TEST(each_of_several_limits_holds),
	    TEST(a_late_command_gets_term),
	    TEST(a_late_command_may_still_have_a_result),
	    TEST(the_hard_limit_holds_behind_the_soft_one),
	    TEST(a_cancel_ends_a_late_command_that_ignores_term),
	    TEST(the_page_has_the_group_of_a_command),
	};

	return cmocka_run_group_tests_name(
	    "worker limit", tests, set_up_group, tear_down_group);
}
