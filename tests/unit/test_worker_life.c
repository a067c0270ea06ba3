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
 * test_worker_life.c - how a worker begins and ends
 */
#include "worker/runtime.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

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
expect_marks(const char *want)
{
	char marks[64];
	FILE *f;
	size_t n;

	f = fopen(mark_path, "r");
	assert_non_null(f);
	n = fread(marks, 1, sizeof(marks) - 1, f);
	fclose(f);
	marks[n] = '\0';
	assert_string_equal(marks, want);
}

static void
the_pill_lets_earlier_tasks_finish(void **state)
{
	int i, status;

	(void)state;
	start();
	for (i = 0; i < 10; i++)
		worker_proc_run(&w, i, "sleep", "{\"ms\":5}");
	worker_proc_pill(&w);
	for (i = 0; i < 10; i++)
		json_decref(worker_proc_next(&w));
	worker_proc_expect_eof(&w);
	status = worker_proc_wait(&w);
	assert_int_equal(status, 0);
}

static void
a_cancel_works_behind_the_pill(void **state)
{
	(void)state;
	start();
	worker_proc_begin(&w, 1, "hang");
	worker_proc_pill(&w);
	worker_proc_cancel(&w, 1, 1);
	worker_proc_expect_error(&w, 1, 0);
	worker_proc_expect_eof(&w);
	assert_int_equal(worker_proc_wait(&w), 0);
}

static void
a_task_behind_the_pill_is_given_back(void **state)
{
	(void)state;
	start();
	worker_proc_begin(&w, 1, "hang");
	worker_proc_pill(&w);
	worker_proc_run(&w, 2, "echo", "null");
	worker_proc_expect_snooze(&w, 2, 0);
	worker_proc_cancel(&w, 1, 1);
	worker_proc_expect_error(&w, 1, 0);
	worker_proc_expect_eof(&w);
	assert_int_equal(worker_proc_wait(&w), 0);
}

static void
the_end_of_the_channel_ends_it_at_once(void **state)
{
	int status;

	(void)state;
	start();
	worker_proc_begin(&w, 1, "deaf");
	worker_proc_close(&w);
	status = worker_proc_wait(&w);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EX_UNAVAILABLE);
}

static void
term_gives_running_and_waiting_tasks_back(void **state)
{
	int i;

	(void)state;
	settings.threads = 1;
	start();
	worker_proc_begin(&w, 1, "hang");
	for (i = 2; i < 5; i++)
		worker_proc_run(&w, i, "echo", "null");
	/* Once this is answered the others are in its queue. */
	worker_proc_run(&w, 5, "nope", "null");
	worker_proc_expect_error(&w, 5, RPC_NO_SUCH_NAME);
	kill(w.pid, SIGTERM);
	worker_proc_expect_cut(&w, 1);
	for (i = 2; i < 5; i++)
		worker_proc_expect_snooze(&w, i, 0);
	worker_proc_expect_eof(&w);
	assert_int_equal(worker_proc_wait(&w), 0);
}

static void
term_does_not_wait_for_a_deaf_task(void **state)
{
	(void)state;
	start();
	worker_proc_begin(&w, 1, "deaf");
	kill(w.pid, SIGTERM);
	worker_proc_expect_eof(&w);
	assert_int_equal(worker_proc_wait(&w), 0);
}

static void
a_cancelled_task_is_not_given_back_by_term(void **state)
{
	(void)state;
	settings.threads = 1;
	start();
	worker_proc_begin(&w, 1, "hang");
	worker_proc_run(&w, 2, "echo", "null");
	worker_proc_cancel(&w, 2, 1);
	worker_proc_run(&w, 3, "nope", "null");
	worker_proc_expect_error(&w, 3, RPC_NO_SUCH_NAME);
	kill(w.pid, SIGTERM);
	worker_proc_expect_cut(&w, 1);
	worker_proc_expect_error(&w, 2, 0);
	worker_proc_expect_eof(&w);
	assert_int_equal(worker_proc_wait(&w), 0);
}

static void
other_signals_do_no_harm(void **state)
{
	static const int sigs[] = {SIGINT, SIGHUP, SIGQUIT, SIGUSR2, SIGPIPE,
	    SIGALRM, SIGTTIN, SIGTTOU, SIGTSTP, SIGWINCH, SIGCHLD, SIGUSR1};
	size_t i;

	(void)state;
	start();
	for (i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
		kill(w.pid, sigs[i]);
	worker_proc_run(&w, 1, "echo", "1");
	worker_proc_expect_result(&w, 1, "1");
	worker_proc_finish(&w);
}

/* Hold the descriptors that are open now but for one, until killed. */
static pid_t
fork_holder_without(int fd)
{
	pid_t pid;

	pid = fork();
	if (pid != 0)
		return pid;
	close(fd);
	for (;;)
		pause();
}

static void
its_parents_death_ends_it(void **state)
{
	int pipe_fds[2];
	pid_t pids[2]; /* the parent's, and of who keeps the channel open */
	char byte;

	(void)state;
	assert_int_equal(pipe(pipe_fds), 0);
	pids[0] = fork();
	if (pids[0] == 0) {
		start();
		/* Only the worker shall have the pipe in the end. */
		close(pipe_fds[0]);
		pids[1] = fork_holder_without(pipe_fds[1]);
		(void)!write(pipe_fds[1], &pids[1], sizeof(pids[1]));
		for (;;)
			pause();
	}
	close(pipe_fds[1]);
	assert_int_equal(
	    read(pipe_fds[0], &pids[1], sizeof(pids[1])), sizeof(pids[1]));
	kill(pids[0], SIGKILL);
	assert_int_equal(waitpid(pids[0], NULL, 0), pids[0]);
	assert_int_equal(read(pipe_fds[0], &byte, 1), 0);
	close(pipe_fds[0]);
	kill(pids[1], SIGKILL);
}

static void
hooks_run_once_a_process_and_once_a_thread(void **state)
{
	(void)state;
	settings.threads = 3;
	start();
	expect_marks("ittt");
	worker_proc_finish(&w);
	expect_marks("itttTTTD");
}

static void
a_failing_hook_keeps_it_from_starting(void **state)
{
	int status;

	(void)state;
	setenv("PROBE_FAILS", "i", 1);
	worker_proc_start(&w, &settings, log_path);
	worker_proc_expect_eof(&w);
	status = worker_proc_wait(&w);
	assert_int_equal(WEXITSTATUS(status), EX_OSERR);
	expect_marks("i");
	setenv("PROBE_FAILS", "t", 1);
	worker_proc_start(&w, &settings, log_path);
	worker_proc_expect_eof(&w);
	status = worker_proc_wait(&w);
	assert_int_equal(WEXITSTATUS(status), EX_OSERR);
	expect_marks("iittD");
}

static void
a_broken_module_keeps_it_from_starting(void **state)
{
	int status;

	(void)state;
	modules[0] = "/nonexistent/x.so";
	worker_proc_start(&w, &settings, log_path);
	worker_proc_expect_eof(&w);
	status = worker_proc_wait(&w);
	assert_int_equal(WEXITSTATUS(status), EX_CONFIG);
}

static void
crash_ends_the_process_as_told(void **state)
{
	static const struct {
		const char *args;
		int sig; /* 0: an exit */
		int status;
	} cases[] = {
	    {"{\"signal\":9}", SIGKILL, 0},
	    {"{\"signal\":6}", SIGABRT, 0},
	    {"{\"signal\":15}", SIGTERM, 0},
	    {"{\"exit\":3}", 0, 3},
	};
	size_t i;
	int status;

	(void)state;
	settings.debug_handlers = true;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		start();
		worker_proc_run(&w, 1, "crash", cases[i].args);
		worker_proc_expect_eof(&w);
		status = worker_proc_wait(&w);
		if (cases[i].sig != 0)
			assert_int_equal(WTERMSIG(status), cases[i].sig);
		else
			assert_int_equal(WEXITSTATUS(status), cases[i].status);
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
	const struct CMUnitTest tests[] = {
	    TEST(the_pill_lets_earlier_tasks_finish),
	    TEST(a_cancel_works_behind_the_pill),
	    TEST(a_task_behind_the_pill_is_given_back),
	    TEST(the_end_of_the_channel_ends_it_at_once),
	    TEST(term_gives_running_and_waiting_tasks_back),
	    TEST(term_does_not_wait_for_a_deaf_task),
	    TEST(a_cancelled_task_is_not_given_back_by_term),
	    TEST(other_signals_do_no_harm),
	    TEST(its_parents_death_ends_it),
	    TEST(hooks_run_once_a_process_and_once_a_thread),
	    TEST(a_failing_hook_keeps_it_from_starting),
	    TEST(a_broken_module_keeps_it_from_starting),
	    TEST(crash_ends_the_process_as_told),
	};

	return cmocka_run_group_tests_name(
	    "worker life", tests, set_up_group, tear_down_group);
}
