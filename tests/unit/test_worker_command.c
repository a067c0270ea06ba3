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
 * test_worker_command.c - tasks that are programs, run by a whole worker
 *
 * A program that holds a FIFO open for writing tells the test when it runs
 * (the test's open returns) and when it and all its children are dead (end of
 * file).
 */
#include "worker/command.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/rpc.h"
#include "tests/lib/module_build.h"
#include "tests/lib/worker_proc.h"

#define MAX_MESSAGE (4 * 1024 * 1024)
#define N_COMMANDS  8

/* The arguments of a shell script; the script sees the rest as $1, $2. */
#define SHELL(...) ((const char *const[]){"sh", "-c", __VA_ARGS__, NULL})
#define ARGV(...)  ((const char *const[]){__VA_ARGS__, NULL})

static struct worker_command commands[N_COMMANDS];
static struct worker_settings settings;
static struct worker_proc w;
static char *log_path, *fifo_path;

static int
set_up_group(void **state)
{
	(void)state;
	log_path = module_build_file("log", "");
	fifo_path = module_build_file("fifo", "");
	assert_int_equal(unlink(fifo_path), 0);
	assert_int_equal(mkfifo(fifo_path, 0600), 0);
	return 0;
}

static int
tear_down_group(void **state)
{
	(void)state;
	module_build_clean();
	free(log_path);
	free(fifo_path);
	return 0;
}

static int
set_up(void **state)
{
	(void)state;
	settings = (struct worker_settings){.label = "test/1",
	    .threads = 2,
	    .max_message = MAX_MESSAGE,
	    .commands = commands};
	return 0;
}

/* Give the worker to come a command; argv is borrowed. */
static void
add_command(const char *name, const char *const *argv, int64_t timeout_ms)
{
	struct worker_command *c;

	assert_true(settings.n_commands < N_COMMANDS);
	c = &commands[settings.n_commands++];
	c->name = name;
	memcpy(&c->argv, &argv, sizeof(argv));
	c->timeout_ms = timeout_ms;
}

static void
start(void)
{
	worker_proc_start_ready(&w, &settings, log_path);
}

/* Start a worker with one command and run it as task 1. */
static void
start_one(const char *const *argv, int64_t timeout_ms, const char *args)
{
	add_command("it", argv, timeout_ms);
	start();
	worker_proc_run(&w, 1, "it", args);
}

/* Task 1 must have failed like that; want_data may be NULL. */
static void
expect_failure(int code, bool retryable, const char *message)
{
	json_t *error, *data;

	error = worker_proc_error(&w, 1);
	assert_string_equal(
	    json_string_value(json_object_get(error, "message")), message);
	assert_int_equal(
	    json_integer_value(json_object_get(error, "code")), code);
	data = json_object_get(error, "data");
	assert_int_equal(
	    json_is_true(json_object_get(data, "retryable")), retryable);
	json_decref(error);
}

/* Wait for the program to hold the FIFO. */
static int
open_fifo(void)
{
	int fd;

	fd = open(fifo_path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

/* Wait until nobody holds it any more. */
static void
expect_all_dead(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char byte;

	assert_int_equal(poll(&p, 1, WORKER_PROC_WAIT_MS), 1);
	assert_int_equal(read(fd, &byte, 1), 0);
	close(fd);
}

/* A script that holds $1 in itself and in a child, for ever. */
#define HOLD "exec 3>\"$1\"; sleep 1000 & sleep 1000"

static char *
fifo_args(void)
{
	char *args;

	assert_true(asprintf(&args, "{\"fifo\":\"%s\"}", fifo_path) > 0);
	return args;
}

/* Run HOLD as task 1; returns the FIFO's descriptor once it runs. */
static int
start_hold(int64_t timeout_ms)
{
	char *args;

	args = fifo_args();
	start_one(SHELL(HOLD, "sh", "{args.fifo}"), timeout_ms, args);
	free(args);
	return open_fifo();
}

static void
arguments_come_on_stdin_and_stdout_is_the_result(void **state)
{
	(void)state;
	start_one(ARGV("cat"), 0, "{\"a\":[1,\"\\u00e9\",null]}");
	worker_proc_expect_result(&w, 1, "{\"a\":[1,\"\\u00e9\",null]}");
	worker_proc_run(&w, 2, "it", "null");
	worker_proc_expect_result(&w, 2, "null");
	worker_proc_finish(&w);
}

static void
stdin_is_a_line(void **state)
{
	(void)state;
	start_one(SHELL("read -r line && printf %s \"$line\" && ! read -r x"),
	    0, "[1]");
	worker_proc_expect_result(&w, 1, "[1]");
	worker_proc_finish(&w);
}

static void
output_that_is_no_json_is_a_string(void **state)
{
	(void)state;
	add_command("text", ARGV("printf", "%b", "{args}"), 0);
	start();
	worker_proc_run(&w, 1, "text", "\"two\\nlines\\n\"");
	worker_proc_expect_result(&w, 1, "\"two\\nlines\"");
	worker_proc_run(&w, 2, "text", "\"two\\n\\n\"");
	worker_proc_expect_result(&w, 2, "\"two\\n\"");
	worker_proc_run(&w, 3, "text", "\"\"");
	worker_proc_expect_result(&w, 3, "\"\"");
	worker_proc_run(&w, 4, "text", "\"a\\\\0377b\\\\0000c\"");
	worker_proc_expect_result(&w, 4, "\"a?b?c\"");
	worker_proc_run(&w, 5, "text", "\" {\\\"a\\\": 1}\\n\"");
	worker_proc_expect_result(&w, 5, "{\"a\":1}");
	worker_proc_finish(&w);
}

static void
no_shell_sees_what_is_filled_in(void **state)
{
	(void)state;
	start_one(ARGV("printf", "<%s>", "{args.x}", "-{args.y}-"), 0,
	    "{\"x\":\"$(id); `id` * \\\" '\",\"y\":{\"z\":1}}");
	worker_proc_expect_result(
	    &w, 1, "\"<$(id); `id` * \\\" '><-{\\\"z\\\":1}->\"");
	worker_proc_finish(&w);
}

static void
a_missing_member_fails_the_task(void **state)
{
	(void)state;
	start_one(ARGV("echo", "{args.in}"), 0, "{}");
	expect_failure(
	    RPC_INVALID_PARAMS, false, "it: args have nothing for {args.in}");
	worker_proc_finish(&w);
}

static void
a_mebibyte_goes_through(void **state)
{
	enum { SIZE = 1024 * 1024 };
	char *args;

	(void)state;
	args = malloc(SIZE + 3);
	assert_non_null(args);
	memset(args, 'x', SIZE + 2);
	args[0] = args[SIZE + 1] = '"';
	args[SIZE + 2] = '\0';
	start_one(ARGV("cat"), 0, args);
	worker_proc_expect_result(&w, 1, args);
	worker_proc_finish(&w);
	free(args);
}

static void
a_program_need_not_read_its_stdin(void **state)
{
	enum { SIZE = 1024 * 1024 };
	char *args;
	int i;

	(void)state;
	args = malloc(SIZE + 3);
	assert_non_null(args);
	memset(args, 'x', SIZE + 2);
	args[0] = args[SIZE + 1] = '"';
	args[SIZE + 2] = '\0';
	add_command("true", ARGV("true"), 0);
	add_command("deaf", SHELL("exec <&-; echo 7"), 0);
	start();
	for (i = 0; i < 20; i += 2) {
		worker_proc_run(&w, i, "true", args);
		worker_proc_expect_result(&w, i, "\"\"");
		worker_proc_run(&w, i + 1, "deaf", args);
		worker_proc_expect_result(&w, i + 1, "7");
	}
	worker_proc_finish(&w);
	free(args);
}

static void
an_exit_status_is_the_failure(void **state)
{
	json_t *error, *want;

	(void)state;
	start_one(SHELL("echo one >&2; echo 'two words' >&2; exit 3"), 0, "1");
	error = worker_proc_error(&w, 1);
	want = json_pack("{s:i,s:s,s:{s:b,s:i,s:s}}", "code", 3, "message",
	    "it: exit status 3: two words", "data", "retryable", 0, "status", 3,
	    "stderr", "one\ntwo words\n");
	assert_true(json_equal(error, want));
	json_decref(want);
	json_decref(error);
	worker_proc_finish(&w);
}

static void
status_75_is_to_be_tried_again(void **state)
{
	(void)state;
	start_one(SHELL("exit 75"), 0, "1");
	expect_failure(75, true, "it: exit status 75");
	worker_proc_finish(&w);
}

static void
a_signal_is_the_failure(void **state)
{
	json_t *error, *want;

	(void)state;
	start_one(SHELL("kill -TERM $$"), 0, "1");
	error = worker_proc_error(&w, 1);
	want = json_pack("{s:i,s:s,s:{s:b,s:i}}", "code", 143, "message",
	    "it: killed by signal 15 (TERM)", "data", "retryable", 1, "signal",
	    15);
	assert_true(json_equal(error, want));
	json_decref(want);
	json_decref(error);
	worker_proc_finish(&w);
}

static void
the_end_of_a_long_stderr_is_kept(void **state)
{
	json_t *error;
	const char *text;
	size_t len;

	(void)state;
	start_one(SHELL("seq 1 100000 >&2; exit 1"), 0, "1");
	error = worker_proc_error(&w, 1);
	assert_string_equal(
	    json_string_value(json_object_get(error, "message")),
	    "it: exit status 1: 100000");
	text = json_string_value(
	    json_object_get(json_object_get(error, "data"), "stderr"));
	len = strlen(text);
	assert_int_equal(len, COMMAND_STDERR_MAX);
	assert_string_equal(text + len - 13, "99999\n100000\n");
	json_decref(error);
	worker_proc_finish(&w);
}

static void
output_over_max_message_kills_the_program(void **state)
{
	(void)state;
	start_one(ARGV("yes"), 0, "1");
	expect_failure(RPC_TOO_LARGE, false, "it: result too large");
	worker_proc_finish(&w);
}

static void
a_program_that_is_not_there_fails_for_good(void **state)
{
	char *script, *message;

	(void)state;
	start_one(ARGV("no-such-program-here"), 0, "1");
	expect_failure(127, false,
	    "it: cannot run no-such-program-here: No such file or directory");
	worker_proc_finish(&w);
	settings.n_commands = 0;
	start_one(ARGV("/nonexistent/x"), 0, "1");
	expect_failure(127, false,
	    "it: cannot run /nonexistent/x: No such file or directory");
	worker_proc_finish(&w);
	settings.n_commands = 0;
	script = module_build_file("script", "exit 0\n");
	start_one(ARGV(script), 0, "1");
	assert_true(asprintf(&message, "it: cannot run %s: Permission denied",
			script) > 0);
	expect_failure(126, false, message);
	worker_proc_finish(&w);
	free(message);
	free(script);
}

static void
the_environment_names_the_task(void **state)
{
	(void)state;
	setenv("GANGER_ATTEMPT", "99", 1);
	setenv("INHERITED", "yes", 1);
	start_one(SHELL("printf '[%s, \"%s\", %s, \"%s\"]' $GANGER_TASK_ID "
			"$GANGER_TASK_NAME $GANGER_ATTEMPT $INHERITED"),
	    0, "1");
	worker_proc_expect_result(&w, 1, "[1,\"it\",1,\"yes\"]");
	worker_proc_finish(&w);
	unsetenv("GANGER_ATTEMPT");
}

static void
the_program_starts_with_clean_signals_and_descriptors(void **state)
{
	int leak;

	(void)state;
	/* What a module might have left open for all to inherit. */
	leak = open("/dev/null", O_RDONLY);
	assert_true(leak >= 0);
	add_command("signals",
	    ARGV("sed", "-n", "s/^Sig\\(Blk\\|Ign\\|Cgt\\):\\s*//p",
		"/proc/self/status"),
	    0);
	add_command("descriptors", ARGV("ls", "/proc/self/fd"), 0);
	start();
	worker_proc_run(&w, 1, "signals", "1");
	worker_proc_expect_result(&w, 1,
	    "\"0000000000000000\\n0000000000000000\\n0000000000000000\"");
	/* The last is of ls, which reads a folder. */
	worker_proc_run(&w, 2, "descriptors", "1");
	worker_proc_expect_result(&w, 2, "\"0\\n1\\n2\\n3\"");
	worker_proc_finish(&w);
	close(leak);
}

static void
a_time_limit_kills_the_whole_group(void **state)
{
	json_t *error;
	int fd;

	(void)state;
	fd = start_hold(300);
	error = worker_proc_error(&w, 1);
	assert_string_equal(
	    json_string_value(json_object_get(error, "message")),
	    "it: over its time limit of 300 ms");
	assert_true(json_is_true(
	    json_object_get(json_object_get(error, "data"), "retryable")));
	json_decref(error);
	expect_all_dead(fd);
	worker_proc_finish(&w);
}

static void
the_tasks_time_limit_holds_too(void **state)
{
	(void)state;
	add_command("it", ARGV("sleep", "1000"), 500000);
	start();
	worker_proc_send(&w,
	    "{\"jsonrpc\":\"2.0\",\"id\":1001,\"method\":\"task.run\","
	    "\"params\":{\"id\":1,\"run\":1,\"name\":\"it\","
	    "\"timeout_ms\":10}}");
	expect_failure(137, true, "it: over its time limit of 10 ms");
	worker_proc_finish(&w);
}

static void
a_cancel_kills_the_whole_group(void **state)
{
	int fd;

	(void)state;
	fd = start_hold(0);
	worker_proc_cancel(&w, 1, 1);
	expect_failure(0, true, "it: cancelled");
	expect_all_dead(fd);
	worker_proc_finish(&w);
}

/* Run a script with $1 as the FIFO, and cancel it once it holds that. */
static int
start_and_cancel(const char *script, int grace_ms)
{
	char *args;
	int fd;

	args = fifo_args();
	start_one(SHELL(script, "sh", "{args.fifo}"), 0, args);
	free(args);
	fd = open_fifo();
	worker_proc_send(&w,
	    "{\"jsonrpc\":\"2.0\",\"method\":\"task.cancel\",\"params\":"
	    "{\"id\":1,\"run\":1,\"grace_ms\":%d}}",
	    grace_ms);
	return fd;
}

static void
a_cancel_leaves_time_to_end(void **state)
{
	int fd;

	(void)state;
	fd = start_and_cancel("trap 'echo 17; exit 0' TERM; exec 3>\"$1\"; "
			      "while :; do sleep 0.01; done",
	    WORKER_PROC_WAIT_MS);
	worker_proc_expect_result(&w, 1, "17");
	expect_all_dead(fd);
	worker_proc_finish(&w);
}

static void
a_cancelled_program_that_goes_on_is_killed(void **state)
{
	int fd;

	(void)state;
	fd = start_and_cancel("trap '' TERM; exec 3>\"$1\"; "
			      "while :; do sleep 0.01; done",
	    100);
	expect_failure(0, true, "it: cancelled");
	expect_all_dead(fd);
	worker_proc_finish(&w);
}

static void
the_end_of_the_channel_kills_the_whole_group(void **state)
{
	int fd;

	(void)state;
	fd = start_hold(0);
	worker_proc_close(&w);
	expect_all_dead(fd);
	(void)worker_proc_wait(&w);
}

static void
term_kills_the_whole_group_and_gives_the_task_back(void **state)
{
	int fd;

	(void)state;
	fd = start_hold(0);
	kill(w.pid, SIGTERM);
	worker_proc_expect_cut(&w, 1);
	expect_all_dead(fd);
	worker_proc_expect_eof(&w);
	assert_int_equal(worker_proc_wait(&w), 0);
}

static void
children_left_behind_do_not_hold_the_task_up(void **state)
{
	char *args;
	int fd;

	(void)state;
	args = fifo_args();
	start_one(
	    SHELL("exec 3>\"$1\"; sleep 1000 & echo 7", "sh", "{args.fifo}"), 0,
	    args);
	free(args);
	fd = open_fifo();
	worker_proc_expect_result(&w, 1, "7");
	expect_all_dead(fd);
	worker_proc_finish(&w);
}

static void
children_in_a_session_of_their_own_do_not_hold_it_up(void **state)
{
	(void)state;
	/* It writes on, so that the pipe is never found empty. */
	start_one(SHELL("setsid sh -c 'while echo 8; do :; done' >&2 & echo 7"),
	    0, "1");
	worker_proc_expect_result(&w, 1, "7");
	worker_proc_finish(&w);
}

static void
a_leader_that_leaves_its_group_is_killed(void **state)
{
	(void)state;
	start_one(
	    ARGV("perl", "-e", "setpgrp(0, getppid()); sleep 1000"), 300, "1");
	expect_failure(137, true, "it: over its time limit of 300 ms");
	worker_proc_finish(&w);
}

static void
many_commands_run_beside_each_other(void **state)
{
	enum { N = 200 };
	bool seen[N] = {false};
	json_t *msg;
	json_int_t id;
	int i;

	(void)state;
	settings.threads = 8;
	add_command("it", SHELL("cat; echo x >&2"), 0);
	start();
	for (i = 0; i < N; i++)
		worker_proc_run(&w, i, "it", "[1]");
	for (i = 0; i < N; i++) {
		msg = worker_proc_next(&w);
		assert_int_equal(
		    json_array_size(json_object_get(msg, "result")), 1);
		id = json_integer_value(json_object_get(msg, "id")) - 1000;
		assert_true(id >= 0 && id < N && !seen[id]);
		seen[id] = true;
		json_decref(msg);
	}
	worker_proc_finish(&w);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
	const struct CMUnitTest tests[] = {
	    TEST(arguments_come_on_stdin_and_stdout_is_the_result),
	    TEST(stdin_is_a_line),
	    TEST(output_that_is_no_json_is_a_string),
	    TEST(no_shell_sees_what_is_filled_in),
	    TEST(a_missing_member_fails_the_task),
	    TEST(a_mebibyte_goes_through),
	    TEST(a_program_need_not_read_its_stdin),
	    TEST(an_exit_status_is_the_failure),
	    TEST(status_75_is_to_be_tried_again),
	    TEST(a_signal_is_the_failure),
	    TEST(the_end_of_a_long_stderr_is_kept),
	    TEST(output_over_max_message_kills_the_program),
	    TEST(a_program_that_is_not_there_fails_for_good),
	    TEST(the_environment_names_the_task),
	    TEST(the_program_starts_with_clean_signals_and_descriptors),
	    TEST(a_time_limit_kills_the_whole_group),
	    TEST(the_tasks_time_limit_holds_too),
	    TEST(a_cancel_kills_the_whole_group),
	    TEST(a_cancel_leaves_time_to_end),
	    TEST(a_cancelled_program_that_goes_on_is_killed),
	    TEST(the_end_of_the_channel_kills_the_whole_group),
	    TEST(term_kills_the_whole_group_and_gives_the_task_back),
	    TEST(children_left_behind_do_not_hold_the_task_up),
	    TEST(children_in_a_session_of_their_own_do_not_hold_it_up),
	    TEST(a_leader_that_leaves_its_group_is_killed),
	    TEST(many_commands_run_beside_each_other),
	};

	return cmocka_run_group_tests_name(
	    "worker command", tests, set_up_group, tear_down_group);
}
