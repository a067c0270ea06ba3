/* SPDX-License-Identifier: ISC */
/*
 * LINK: worker/runtime.c worker/module.c worker/route.c worker/job.c
 * worker/pool.c worker/perform.c worker/command.c worker/command_args.c
 * worker/command_spawn.c worker/report.c worker/uplink.c worker/order.c
 * worker/fault.c worker/limit.c worker/sink.c worker/slots.c worker/stacks.c
 * worker/symbol.c worker/modules/builtin.c worker/modules/crash.c
 * worker/modules/echo.c worker/modules/fail.c worker/modules/numbers.c
 * worker/modules/sha512.c worker/modules/sleep.c worker/modules/sort.c
 * ipc/buf.c ipc/clock.c ipc/json.c ipc/line.c ipc/log.c ipc/peer.c ipc/rpc.c
 * ipc/sock.c tests/lib/module_build.c tests/lib/worker_proc.c
 */
/*
 * test_worker_runtime.c - orders and answers; the test is the broker
 */
#include "worker/runtime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/buf.h"
#include "ipc/rpc.h"
#include "tests/lib/module_build.h"
#include "tests/lib/worker_proc.h"

#define MAX_MESSAGE 4096

static char *probe_path;
static char *log_path;
static char *mark_path;
static const char *modules[1];
static struct worker_settings settings;
static struct worker_proc w;

static int
set_up_group(void **state)
{
	(void)state;
	log_path = module_build_file("log", "");
	mark_path = module_build_file("marks", "");
	probe_path =
	    module_build("probe", "#include \"tests/lib/worker_probe.c\"\n");
	setenv("PROBE", mark_path, 1);
	return 0;
}

static int
tear_down_group(void **state)
{
	(void)state;
	module_build_clean();
	free(log_path);
	free(mark_path);
	free(probe_path);
	return 0;
}

static int
set_up(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	w.fd = -1;
	modules[0] = probe_path;
	settings = (struct worker_settings){.label = "test/1",
	    .threads = 2,
	    .max_message = MAX_MESSAGE,
	    .modules = modules,
	    .n_modules = 1};
	assert_int_equal(truncate(mark_path, 0), 0);
	unsetenv("PROBE_FAILS");
	return 0;
}

static void
start(void)
{
	worker_proc_start_ready(&w, &settings, log_path);
}

static void
hello_says_what_it_can_run(void **state)
{
	json_t *hello, *want;

	(void)state;
	worker_proc_start(&w, &settings, log_path);
	hello = worker_proc_note(&w, "worker.hello");
	want = json_pack("{s:i,s:[sssssssssssssssssss],s:i,s:i}", "protocol", 1,
	    "names", "about", "deaf", "echo", "fail", "fault", "fault_together",
	    "hang", "late", "masked", "nothing", "print", "put_off", "say",
	    "sha512", "sleep", "sort", "spin", "steps", "stubborn", "threads",
	    2, "pid", (int)w.pid);
	assert_true(json_equal(hello, want));
	json_decref(want);
	json_decref(hello);
	worker_proc_finish(&w);
}

static void
a_task_gets_what_it_was_submitted_with(void **state)
{
	(void)state;
	start();
	worker_proc_run(&w, 1, "echo", "{\"a\":[1,2.5,\"\\u00e9\",null]}");
	worker_proc_expect_result(&w, 1, "{\"a\":[1,2.5,\"\\u00e9\",null]}");
	worker_proc_send(&w,
	    "{\"jsonrpc\":\"2.0\",\"id\":1007,\"method\":\"task.run\","
	    "\"params\":{\"id\":7,\"run\":3,\"name\":\"about\",\"attempt\":5}"
	    "}");
	worker_proc_expect_result(&w, 7, "[7,\"about\",5,null]");
	worker_proc_finish(&w);
}

static void
orders_in_one_write_are_all_answered(void **state)
{
	enum { N = 500 };
	struct buf b;
	bool seen[N] = {false};
	json_t *msg;
	json_int_t id;
	int i;

	(void)state;
	start();
	buf_init(&b, SIZE_MAX);
	for (i = 0; i < N; i++)
		buf_printf(&b,
		    "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"task.run\","
		    "\"params\":{\"id\":%d,\"run\":1,\"name\":\"echo\","
		    "\"args\":%d}}\n",
		    i, i + N, i * 3);
	worker_proc_write(&w, buf_head(&b), buf_len(&b));
	buf_done(&b);
	for (i = 0; i < N; i++) {
		msg = worker_proc_next(&w);
		id = json_integer_value(json_object_get(msg, "id"));
		assert_true(id >= 0 && id < N);
		assert_false(seen[id]);
		seen[id] = true;
		assert_int_equal(
		    json_integer_value(json_object_get(msg, "result")), id * 3);
		json_decref(msg);
	}
	worker_proc_finish(&w);
}

static void
an_order_may_come_a_byte_at_a_time(void **state)
{
	static const char order[] =
	    "{\"jsonrpc\":\"2.0\",\"id\":1001,\"method\":\"task.run\","
	    "\"params\":{\"id\":1,\"run\":1,\"name\":\"echo\",\"args\":1}}\n";
	size_t i;

	(void)state;
	start();
	for (i = 0; i < sizeof(order) - 1; i++)
		worker_proc_write(&w, order + i, 1);
	worker_proc_expect_result(&w, 1, "1");
	worker_proc_finish(&w);
}

static void
garbage_is_ignored(void **state)
{
	static const char *const garbage[] = {"", "x", "[]", "1", "\"\\ud800\"",
	    "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1}",
	    "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"task.run\"}",
	    "{\"jsonrpc\":\"2.0\",\"method\":\"task.run\",\"params\":{}}",
	    "{\"jsonrpc\":\"2.0\",\"method\":\"task.cancel\",\"params\":[]}",
	    "{\"jsonrpc\":\"2.0\",\"method\":\"worker.start\"}",
	    "[1,{\"jsonrpc\":\"2.0\",\"method\":\"worker.stop\",\"params\":3}"
	    "]"};
	size_t i;

	(void)state;
	start();
	for (i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++)
		worker_proc_send(&w, "%s", garbage[i]);
	worker_proc_write(&w, "\0\n\xff\n", 4);
	worker_proc_run(&w, 1, "echo", "1");
	worker_proc_expect_result(&w, 1, "1");
	worker_proc_finish(&w);
}

static void
requests_that_make_no_sense_get_an_error(void **state)
{
	(void)state;
	start();
	worker_proc_send(
	    &w, "{\"jsonrpc\":\"2.0\",\"id\":1001,\"method\":\"nope\"}");
	worker_proc_expect_error(&w, 1, RPC_METHOD_NOT_FOUND);
	worker_proc_send(
	    &w, "{\"jsonrpc\":\"2.0\",\"id\":1002,\"method\":\"task.run\"}");
	worker_proc_expect_error(&w, 2, RPC_INVALID_PARAMS);
	worker_proc_run(&w, 3, "nope", "null");
	worker_proc_expect_error(&w, 3, RPC_NO_SUCH_NAME);
	worker_proc_finish(&w);
}

static void
an_order_without_end_is_skipped(void **state)
{
	char part[MAX_MESSAGE];
	int i;

	(void)state;
	start();
	memset(part, 'x', sizeof(part));
	for (i = 0; i < 100; i++)
		worker_proc_write(&w, part, sizeof(part));
	worker_proc_write(&w, "\n", 1);
	worker_proc_run(&w, 1, "echo", "1");
	worker_proc_expect_result(&w, 1, "1");
	worker_proc_finish(&w);
}

static void
a_result_over_max_message_is_an_error(void **state)
{
	char args[MAX_MESSAGE];

	(void)state;
	start();
	memset(args, 'x', sizeof(args));
	args[0] = args[sizeof(args) - 2] = '"';
	args[sizeof(args) - 1] = '\0';
	worker_proc_run(&w, 1, "echo", args);
	worker_proc_expect_error(&w, 1, RPC_TOO_LARGE);
	worker_proc_finish(&w);
}

static void
threads_work_side_by_side(void **state)
{
	(void)state;
	start();
	worker_proc_run(&w, 1, "sleep", "1000");
	worker_proc_run(&w, 2, "echo", "2");
	worker_proc_expect_result(&w, 2, "2");
	worker_proc_cancel(&w, 1, 1);
	worker_proc_expect_error(&w, 1, 0);
	worker_proc_finish(&w);
}

static void
the_channel_is_served_while_all_threads_are_busy(void **state)
{
	(void)state;
	settings.threads = 1;
	start();
	worker_proc_begin(&w, 1, "hang");
	worker_proc_run(&w, 2, "nope", "null");
	worker_proc_expect_error(&w, 2, RPC_NO_SUCH_NAME);
	worker_proc_cancel(&w, 1, 1);
	worker_proc_expect_error(&w, 1, 0);
	worker_proc_finish(&w);
}

static void
a_cancel_is_for_one_run_only(void **state)
{
	(void)state;
	start();
	worker_proc_run(&w, 1, "sleep", "1000");
	worker_proc_cancel(&w, 1, 2);
	worker_proc_cancel(&w, 2, 1);
	worker_proc_run(&w, 3, "sleep", "{\"ms\":20}");
	worker_proc_expect_result(&w, 3, "{\"slept_ms\":20}");
	worker_proc_cancel(&w, 1, 1);
	worker_proc_expect_error(&w, 1, 0);
	worker_proc_finish(&w);
}

static void
a_cancel_does_not_reach_the_next_task_of_the_thread(void **state)
{
	int i;

	(void)state;
	settings.threads = 1;
	start();
	for (i = 0; i < 100; i += 2) {
		worker_proc_run(&w, i, "sleep", "1000");
		worker_proc_cancel(&w, i, 1);
		worker_proc_expect_error(&w, i, 0);
		worker_proc_run(&w, i + 1, "sleep", "{\"ms\":1}");
		worker_proc_expect_result(&w, i + 1, "{\"slept_ms\":1}");
	}
	worker_proc_finish(&w);
}

static void
a_waiting_task_can_be_cancelled(void **state)
{
	(void)state;
	settings.threads = 1;
	start();
	worker_proc_run(&w, 1, "sleep", "1000");
	worker_proc_run(&w, 2, "echo", "null");
	worker_proc_cancel(&w, 2, 1);
	worker_proc_cancel(&w, 1, 1);
	worker_proc_expect_error(&w, 1, 0);
	worker_proc_expect_error(&w, 2, 0);
	worker_proc_finish(&w);
}

static void
progress_is_thinned_out_and_ends_with_the_last(void **state)
{
	json_t *msg, *params;
	json_int_t done, last;
	int n;

	(void)state;
	start();
	worker_proc_run(&w, 1, "steps", "200000");
	last = n = 0;
	for (;;) {
		msg = worker_proc_next(&w);
		params = json_object_get(msg, "params");
		if (params == NULL)
			break;
		done = json_integer_value(json_object_get(params, "done"));
		assert_true(done > last);
		assert_string_equal(
		    json_string_value(json_object_get(params, "note")), "step");
		last = done;
		n++;
		json_decref(msg);
	}
	assert_int_equal(last, 200000);
	/* Ten a second; far less than one for each of so many calls. */
	assert_true(n < 500);
	assert_int_equal(
	    json_integer_value(json_object_get(msg, "result")), 200000);
	json_decref(msg);
	worker_proc_finish(&w);
}

static void
progress_held_back_is_sent_though_the_task_is_silent(void **state)
{
	json_t *params;
	json_int_t done;

	(void)state;
	start();
	worker_proc_run(&w, 1, "late", "null");
	do {
		params = worker_proc_note(&w, "task.progress");
		done = json_integer_value(json_object_get(params, "done"));
		json_decref(params);
	} while (done == 0);
	worker_proc_cancel(&w, 1, 1);
	worker_proc_expect_error(&w, 1, 0);
	worker_proc_finish(&w);
}

static void
a_log_line_is_sent(void **state)
{
	json_t *params;

	(void)state;
	start();
	worker_proc_run(&w, 4, "say", "1");
	params = worker_proc_note(&w, "task.log");
	assert_int_equal(json_integer_value(json_object_get(params, "id")), 4);
	assert_int_equal(json_integer_value(json_object_get(params, "run")), 1);
	assert_int_equal(
	    strncmp(json_string_value(json_object_get(params, "message")),
		"0 xxx", 5),
	    0);
	json_decref(params);
	worker_proc_expect_result(&w, 4, "true");
	worker_proc_finish(&w);
}

static void
a_flood_of_log_lines_arrives_whole_and_in_order(void **state)
{
	json_t *params;
	const char *text;
	int i;

	(void)state;
	start();
	worker_proc_run(&w, 1, "say", "5000");
	for (i = 0; i < 5000; i++) {
		params = worker_proc_note(&w, "task.log");
		text = json_string_value(json_object_get(params, "message"));
		assert_int_equal(atoi(text), i);
		json_decref(params);
	}
	worker_proc_expect_result(&w, 1, "true");
	worker_proc_finish(&w);
}

static void
a_task_can_be_put_aside(void **state)
{
	(void)state;
	start();
	worker_proc_run(&w, 1, "put_off", "700");
	worker_proc_expect_snooze(&w, 1, 700);
	worker_proc_run(&w, 2, "put_off", "-5");
	worker_proc_expect_snooze(&w, 2, 0);
	worker_proc_finish(&w);
}

static void
a_handler_without_result_or_reason_fails(void **state)
{
	(void)state;
	start();
	worker_proc_run(&w, 1, "nothing", "null");
	worker_proc_expect_error(&w, 1, RPC_INTERNAL_ERROR);
	worker_proc_finish(&w);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
	const struct CMUnitTest tests[] = {
	    TEST(hello_says_what_it_can_run),
	    TEST(a_task_gets_what_it_was_submitted_with),
	    TEST(orders_in_one_write_are_all_answered),
	    TEST(an_order_may_come_a_byte_at_a_time),
	    TEST(garbage_is_ignored),
	    TEST(requests_that_make_no_sense_get_an_error),
	    TEST(an_order_without_end_is_skipped),
	    TEST(a_result_over_max_message_is_an_error),
	    TEST(threads_work_side_by_side),
	    TEST(the_channel_is_served_while_all_threads_are_busy),
	    TEST(a_cancel_is_for_one_run_only),
	    TEST(a_cancel_does_not_reach_the_next_task_of_the_thread),
	    TEST(a_waiting_task_can_be_cancelled),
	    TEST(progress_is_thinned_out_and_ends_with_the_last),
	    TEST(progress_held_back_is_sent_though_the_task_is_silent),
	    TEST(a_log_line_is_sent),
	    TEST(a_flood_of_log_lines_arrives_whole_and_in_order),
	    TEST(a_task_can_be_put_aside),
	    TEST(a_handler_without_result_or_reason_fails),
	};

	return cmocka_run_group_tests_name(
	    "worker runtime", tests, set_up_group, tear_down_group);
}
