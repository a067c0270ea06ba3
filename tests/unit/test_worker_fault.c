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
 * test_worker_fault.c - a worker that dies says who did it
 */
#include "worker/fault.h"

#include <fcntl.h>
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

#include "tests/lib/module_build.h"
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

/* Three tasks that have nothing to do with it, numbers 1 to 3. */
static void
begin_bystanders(void)
{
	int i;

	for (i = 1; i <= 3; i++)
		worker_page_begin(&w, i, "hang", "null");
}

/* Wait for its end by sig. */
static void
expect_death(int sig)
{
	int status;

	worker_proc_expect_eof(&w.proc);
	status = worker_proc_wait(&w.proc);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), sig);
}

static void
the_thread_that_faults_is_named(void **state)
{
	char *text;

	(void)state;
	worker_page_start_ready(&w, -1);
	begin_bystanders();
	worker_proc_run(&w.proc, 4, "fault", "\"write\"");
	expect_death(SIGSEGV);
	assert_int_equal(w.page->fault_signal, SIGSEGV);
	assert_int_equal(worker_page_culprit(&w), 4);
	text = worker_page_output(&w);
	worker_page_expect(
	    text, "\n<4>fatal signal 11 (SEGV) at address 0x0\n");
	worker_page_expect(text, "\": task 4, run 1, for ");
	worker_page_expect(text, "\n<4>    #0 fault_by+0x");
	worker_page_expect(text, " (probe.so+0x");
	worker_page_expect(text, " run_fault+0x");
	assert_null(strstr(text, "task 1, run 1"));
	free(text);
}

static void
each_way_to_die_is_true_to_its_signal(void **state)
{
	static const struct {
		const char *how;
		int sig;
	} cases[] = {
	    {"\"abort\"", SIGABRT},
	    {"\"divide\"", SIGFPE},
	    {"\"raise\"", SIGSEGV},
	    {"\"recurse\"", SIGSEGV},
#ifdef __x86_64__
	    {"\"trap\"", SIGILL},
#else
	    {"\"trap\"", SIGTRAP},
#endif
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (i > 0)
			set_up(state);
		worker_page_start_ready(&w, -1);
		begin_bystanders();
		worker_proc_run(&w.proc, 4, "fault", cases[i].how);
		expect_death(cases[i].sig);
		assert_int_equal(w.page->fault_signal, cases[i].sig);
		assert_int_equal(worker_page_culprit(&w), 4);
		if (i + 1 < sizeof(cases) / sizeof(cases[0]))
			tear_down(state);
	}
}

static void
exit_in_a_task_is_its_fault(void **state)
{
	int status;

	(void)state;
	worker_page_start_ready(&w, -1);
	begin_bystanders();
	worker_proc_run(&w.proc, 4, "fault", "\"exit\"");
	worker_proc_expect_eof(&w.proc);
	status = worker_proc_wait(&w.proc);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 3);
	assert_int_equal(w.page->fault_signal, 0);
	assert_int_equal(worker_page_culprit(&w), 4);
}

static void
its_own_end_is_nobodys_fault(void **state)
{
	(void)state;
	worker_page_start_ready(&w, -1);
	worker_proc_run(&w.proc, 1, "echo", "1");
	worker_proc_expect_result(&w.proc, 1, "1");
	worker_proc_finish(&w.proc);
	assert_int_equal(w.page->fault_signal, 0);
	assert_int_equal(w.page->fault_slot, PAGE_NO_SLOT);
	assert_int_equal(w.page->busy_ns, 0);
}

static void
an_abort_from_outside_blames_nobody_and_shows_all(void **state)
{
	char *text;

	(void)state;
	worker_page_start_ready(&w, -1);
	begin_bystanders();
	worker_page_begin(&w, 4, "spin", "null");
	kill(w.proc.pid, SIGABRT);
	expect_death(SIGABRT);
	assert_int_equal(w.page->fault_signal, 0);
	assert_int_equal(worker_page_culprit(&w), 0);
	text = worker_page_output(&w);
	worker_page_expect(text, "fatal signal 6 (ABRT) from process ");
	worker_page_expect(text, "\"main\"");
	worker_page_expect(text, ": task 1, run 1, for ");
	worker_page_expect(text, " run_hang+0x");
	worker_page_expect(text, ": task 4, run 1, for ");
	worker_page_expect(text, " spin_for_ever+0x");
	free(text);
}

static void
of_two_faults_at_once_the_first_counts(void **state)
{
	char *gate;
	int i, status, sig;

	(void)state;
	for (i = 0; i < 10; i++) {
		if (i > 0)
			set_up(state);
		gate = module_build_file("gate", "");
		setenv("PROBE_GATE", gate, 1);
		worker_page_start_ready(&w, -1);
		worker_page_begin(&w, 1, "fault_together", "\"write\"");
		worker_page_begin(&w, 2, "fault_together", "\"divide\"");
		assert_int_equal(unlink(gate), 0);
		free(gate);
		worker_proc_expect_eof(&w.proc);
		status = worker_proc_wait(&w.proc);
		assert_true(WIFSIGNALED(status));
		sig = WTERMSIG(status);
		assert_int_equal(w.page->fault_signal, sig);
		assert_int_equal(
		    worker_page_culprit(&w), sig == SIGSEGV ? 1 : 2);
		if (i < 9)
			tear_down(state);
	}
}

/* A pipe that has no room left; *reader_out keeps it open. */
static int
make_full_pipe(int *reader_out)
{
	static const char data[65536];
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	while (write(fds[1], data, sizeof(data)) > 0)
		continue;
	*reader_out = fds[0];
	return fds[1];
}

static void
a_full_stderr_stops_neither_work_nor_death(void **state)
{
	int reader, writer;

	(void)state;
	writer = make_full_pipe(&reader);
	worker_page_start_ready(&w, writer);
	worker_page_begin(&w, 1, "print", "\"nobody reads this\"");
	worker_proc_run(&w.proc, 2, "echo", "2");
	worker_proc_expect_result(&w.proc, 2, "2");
	worker_proc_run(&w.proc, 3, "fault", "\"write\"");
	expect_death(SIGSEGV);
	assert_int_equal(worker_page_culprit(&w), 3);
	close(reader);
	close(writer);
}

static void
what_a_task_prints_comes_at_once(void **state)
{
	char text[64];
	int fds[2];
	ssize_t n;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	worker_page_start_ready(&w, fds[1]);
	worker_page_begin(&w, 1, "print", "\"a line\"");
	alarm(WORKER_PROC_WAIT_MS / 1000);
	n = read(fds[0], text, sizeof(text));
	alarm(0);
	assert_int_equal(n, 7);
	assert_memory_equal(text, "a line\n", 7);
	worker_proc_cancel(&w.proc, 1, 1);
	worker_proc_expect_error(&w.proc, 1, 0);
	worker_proc_finish(&w.proc);
	close(fds[0]);
	close(fds[1]);
}

static void
term_ends_a_module_that_is_stuck_in_its_init(void **state)
{
	(void)state;
	worker_page_start_stuck(&w);
	kill(w.proc.pid, SIGTERM);
	expect_death(SIGTERM);
	assert_int_equal(worker_page_culprit(&w), 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(the_thread_that_faults_is_named),
	    TEST(each_way_to_die_is_true_to_its_signal),
	    TEST(exit_in_a_task_is_its_fault),
	    TEST(its_own_end_is_nobodys_fault),
	    TEST(an_abort_from_outside_blames_nobody_and_shows_all),
	    TEST(of_two_faults_at_once_the_first_counts),
	    TEST(a_full_stderr_stops_neither_work_nor_death),
	    TEST(what_a_task_prints_comes_at_once),
	    TEST(term_ends_a_module_that_is_stuck_in_its_init),
	};

	return cmocka_run_group_tests_name(
	    "worker fault", tests, set_up_group, tear_down_group);
}
