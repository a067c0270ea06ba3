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
 * test_worker_stacks.c - the stacks of a live worker, on its page
 */
#include "worker/stacks.h"

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
#include "tests/lib/worker_page.h"

/* A sanitizer delivers no signal to a thread that waits for work. */
#ifdef __SANITIZE_THREAD__
#define MAY_NOT_ANSWER true
#define N_DUMPS        3
#else
#define MAY_NOT_ANSWER false
#define N_DUMPS        50
#endif

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

/* It must still work, and so must this end of it. */
static void
expect_alive(int id)
{
	worker_proc_run(&w.proc, id, "echo", "1");
	worker_proc_expect_result(&w.proc, id, "1");
}

/* A dump with `part` that each thread took part in: one that starves is late.
 */
static char *
dump_answered(const char *part)
{
	struct mono due = mono_add_ms(mono_now(), WORKER_PROC_WAIT_MS);
	char *text = worker_page_dump_until(&w, part);

	while (!MAY_NOT_ANSWER && strstr(text, "not answer") != NULL) {
		if (mono_reached(mono_now(), due))
			fail_msg("a thread does not answer:\n%s", text);
		free(text);
		text = worker_page_dump_until(&w, part);
	}
	return text;
}

static void
kill_it(void)
{
	int status;

	kill(w.proc.pid, SIGKILL);
	worker_proc_expect_eof(&w.proc);
	status = worker_proc_wait(&w.proc);
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void
a_dump_names_the_function_that_loops(void **state)
{
	const char *main_at, *task_at, *idle_at;
	char *text;

	(void)state;
	worker_page_start_ready(&w, -1);
	worker_page_begin(&w, 7, "spin", "null");
	text = dump_answered(" spin_for_ever+0x");
	worker_page_expect(text, " run_spin+0x");
	worker_page_expect(text, " (probe.so+0x");
	main_at = strstr(text, " \"main\"\n");
	task_at = strstr(text, "\": task 7, run 1, for 0.");
	idle_at = strstr(text, ": idle\n");
	if (main_at == NULL || task_at == NULL || idle_at == NULL)
		fail_msg("not all threads in:\n%s", text);
	/* What matters least comes last. */
	assert_true(main_at < idle_at && task_at < idle_at);
	free(text);
	expect_alive(8);
	kill_it();
}

static void
a_dump_shows_a_module_that_is_stuck_in_its_init(void **state)
{
	char *text;

	(void)state;
	worker_page_start_stuck(&w);
	text = worker_page_dump_until(&w, " spin_for_ever+0x");
	worker_page_expect(text, " \"main\"\n");
	free(text);
	kill_it();
}

static void
dumps_do_not_disturb_tasks(void **state)
{
	int i;

	(void)state;
	worker_page_start_ready(&w, -1);
	worker_proc_run(&w.proc, 1, "sleep", "{\"ms\":300}");
	worker_page_begin(&w, 2, "hang", "null");
	for (i = 0; i < N_DUMPS; i++)
		free(worker_page_dump(&w));
	worker_proc_expect_result(&w.proc, 1, "{\"slept_ms\":300}");
	expect_alive(3);
	worker_proc_cancel(&w.proc, 2, 1);
	worker_proc_expect_error(&w.proc, 2, 0);
	worker_proc_finish(&w.proc);
}

static void
a_thread_that_lets_no_signal_in_is_told_of(void **state)
{
	char *text;

	(void)state;
	worker_page_start_ready(&w, -1);
	worker_page_begin(&w, 1, "masked", "null");
	worker_page_begin(&w, 2, "spin", "null");
	text = worker_page_dump_until(&w, " spin_for_ever+0x");
	worker_page_expect(text, "    does not answer; state ");
	free(text);
	text = worker_page_dump(&w);
	worker_page_expect(text, "    does not answer; state ");
	free(text);
	kill_it();
}

static void
the_page_says_what_each_thread_does(void **state)
{
	const struct page_slot *slot;
	int64_t now_ns, since_ns;
	int i, n;

	(void)state;
	worker_page_start_ready(&w, -1);
	worker_page_begin(&w, 5, "hang", "null");
	now_ns = mono_now().ns;
	for (i = n = 0; i < PAGE_SLOTS; i++) {
		slot = &w.page->slots[i];
		if (slot->task == 0)
			continue;
		n++;
		since_ns = slot->since_ns;
		assert_int_equal(slot->task, 5);
		assert_int_equal(slot->run, 1);
		assert_int_equal(slot->pgid, 0);
		assert_true(since_ns > 0 && since_ns <= now_ns);
	}
	assert_int_equal(n, 1);
	worker_proc_cancel(&w.proc, 5, 1);
	worker_proc_expect_error(&w.proc, 5, 0);
	worker_proc_finish(&w.proc);
	for (i = 0; i < PAGE_SLOTS; i++)
		assert_int_equal(w.page->slots[i].task, 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(a_dump_names_the_function_that_loops),
	    TEST(a_dump_shows_a_module_that_is_stuck_in_its_init),
	    TEST(dumps_do_not_disturb_tasks),
	    TEST(a_thread_that_lets_no_signal_in_is_told_of),
	    TEST(the_page_says_what_each_thread_does),
	};

	return cmocka_run_group_tests_name(
	    "worker stacks", tests, set_up_group, tear_down_group);
}
