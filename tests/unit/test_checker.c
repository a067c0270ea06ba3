/* SPDX-License-Identifier: ISC */
/* LINK: master/checker.c master/supervisor/config.c
 * master/supervisor/config_account.c master/supervisor/config_check.c
 * master/supervisor/config_default.c master/supervisor/config_field.c
 * master/supervisor/config_ids.c master/supervisor/config_key.c
 * master/supervisor/config_limit.c master/supervisor/config_mistake.c
 * master/supervisor/config_parse.c master/supervisor/config_pool.c
 * master/supervisor/config_read.c master/supervisor/config_schema.c
 * master/supervisor/config_text.c master/supervisor/config_value.c
 * master/supervisor/budget.c master/supervisor/limits.c
 * master/supervisor/notify.c master/supervisor/output.c
 * master/supervisor/spawn.c master/supervisor/title.c ipc/buf.c ipc/clock.c
 * ipc/json.c ipc/log.c ipc/place.c
 */
/*
 * test_checker.c - a check by another process, whatever that process does
 *
 * What the process finds is put on here: the path that it is to check says what
 * it does.
 */
#include "master/checker.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bsd/unistd.h>

#include <cmocka.h>

#include "master/supervisor/slot.h"

#define GOOD \
	"{\"version\":\"7\",\"config\":\"pool a { threads = 9 }\"," \
	"\"ids\":\"1 2 3 4 5 6 7 8 9 \",\"file\":true," \
	"\"names\":{\"a\":[\"x\"]}}\n"

static struct ev_loop *loop;
static pid_t *grandchild; /* shared with the children */

/* What was told. */
static struct {
	unsigned n;
	bool good, retryable, unchecked;
	unsigned threads;
	char first[200]; /* mistake */
	char path[64];
	char version[16];
	char name[16];     /* the first task's */
	char answered[64]; /* the config of another program's answer */
	uid_t uid;
} told;

static void
say(int fd, const char *text)
{
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		_exit(99);
}

static void
say_slowly(int fd, const char *text)
{
	for (; *text != '\0'; text++)
		if (write(fd, text, 1) != 1)
			_exit(99);
}

static _Noreturn void
pause_for_ever(void)
{
	for (;;)
		pause();
}

_Noreturn void
check_serve(const struct check_request *q, int fd)
{
	sigset_t set;
	pid_t pid;

	/* Modules find signals as they are for any program. */
	sigprocmask(SIG_SETMASK, NULL, &set);
	if (sigismember(&set, SIGTERM))
		_exit(98);
	if (strcmp(q->path, "good") == 0)
		say(fd, GOOD);
	else if (strcmp(q->path, "slow") == 0)
		say_slowly(fd, GOOD);
	else if (strcmp(q->path, "good and gone") == 0)
		say(fd, GOOD), _exit(0);
	else if (strcmp(q->path, "mistakes") == 0)
		say(fd,
		    "{\"version\":\"7\",\"mistakes\":[\"f:1: x\",\"y\"]}\n");
	else if (strcmp(q->path, "garbage") == 0)
		say(fd, "nonsense\n");
	else if (strcmp(q->path, "wrong") == 0)
		say(fd, "{\"config\":\"colour = red\",\"ids\":\"\"}\n");
	else if (strcmp(q->path, "crash") == 0)
		raise(SIGKILL);
	else if (strcmp(q->path, "half") == 0)
		say(fd, "{\"version\":"), _exit(3);
	else if (strcmp(q->path, "closed") == 0)
		close(fd);
	else if (strcmp(q->path, "grandchild") == 0) {
		pid = fork();
		if (pid == 0)
			pause_for_ever();
		*grandchild = pid;
		say(fd, GOOD);
	}
	pause_for_ever();
}

const char *
check_path(const struct check_request *q)
{
	return q->path;
}

void
slot_describe_status(int status, char *out, size_t size)
{
	snprintf(out, size, "%s %d", WIFSIGNALED(status) ? "signal" : "status",
	    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void
copy(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text == NULL ? "(none)" : text);
}

static void
on_verdict(void *arg, const struct verdict *v)
{
	struct config *config = v->config;

	assert_ptr_equal(arg, &told);
	told.n++;
	told.good = config != NULL || v->answer != NULL;
	told.retryable = v->retryable;
	told.unchecked = v->unchecked;
	copy(told.version, sizeof(told.version), v->version);
	copy(told.first, sizeof(told.first),
	    json_string_value(json_array_get(v->mistakes, 0)));
	copy(told.answered, sizeof(told.answered),
	    json_string_value(json_object_get(v->answer, "config")));
	if (config != NULL) {
		copy(told.path, sizeof(told.path), config->path);
		copy(told.name, sizeof(told.name),
		    json_string_value(
			json_array_get(json_array_get(v->names, 0), 0)));
		told.threads = config->pools[0].threads;
		told.uid = config->account.uid;
		json_decref(v->names);
		config_free(&config);
	}
	ev_break(loop, EVBREAK_ALL);
}

static void
on_too_late(struct ev_loop *l, struct ev_timer *w, int revents)
{
	(void)w;
	(void)revents;
	ev_break(l, EVBREAK_ALL);
}

/* Run the loop until something is told; false after many seconds. */
static bool
wait_told(void)
{
	struct ev_timer late;

	ev_timer_init(&late, on_too_late, 20., 0.);
	ev_timer_start(loop, &late);
	while (told.n == 0 && ev_is_active(&late))
		ev_run(loop, EVRUN_ONCE);
	ev_timer_stop(loop, &late);
	return told.n > 0;
}

static char *daemon_argv[] = {
    (char[]){"daemon"}, (char[]){"-c"}, (char[]){"x"}, NULL};

static void
start(struct checker *c, const char *path, const char *binary)
{
	const struct check_request q = {.path = path};

	memset(&told, 0, sizeof(told));
	checker_init(c, &q, daemon_argv);
	assert_int_equal(checker_start(c, loop, binary, on_verdict, &told), 0);
	assert_true(c->pid > 0);
	assert_int_equal(told.n, 0);
}

/* Reap the process as the master does; returns its status. */
static int
reap(pid_t pid)
{
	struct timespec ms = {.tv_nsec = 1000000};
	int i, status;
	pid_t r;

	for (i = 0; i < 20000; i++) {
		r = waitpid(pid, &status, WNOHANG);
		if (r != 0)
			break;
		nanosleep(&ms, NULL);
	}
	assert_int_equal(r, pid);
	return status;
}

/* Expect a verdict from the answer, and the process to be killed. */
static void
expect_answer(const char *path, bool good)
{
	struct checker c;
	int status;
	pid_t pid;

	start(&c, path, NULL);
	pid = c.pid;
	assert_true(wait_told());
	assert_int_equal(told.good, good);
	status = reap(pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_false(checker_reaped(&c, pid, status));
	assert_int_equal(told.n, 1);
	checker_done(&c);
	assert_int_equal(told.n, 1);
}

static void
good_configuration_is_handed_over(void **state)
{
	static const char *const paths[] = {"good", "slow"};
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		expect_answer(paths[i], true);
		assert_int_equal(told.threads, 9);
		assert_int_equal(told.uid, 2);
		assert_string_equal(told.path, paths[i]);
		assert_string_equal(told.name, "x");
		assert_string_equal(told.version, "7");
	}
}

static void
mistakes_are_handed_over(void **state)
{
	(void)state;
	expect_answer("mistakes", false);
	assert_string_equal(told.first, "f:1: x");
	assert_false(told.retryable);
}

static void
answer_of_no_use_is_a_refusal(void **state)
{
	(void)state;
	expect_answer("garbage", false);
	assert_non_null(strstr(told.first, "of no use"));
	expect_answer("wrong", false);
	assert_non_null(strstr(told.first, "colour"));
}

/* Expect a verdict when the process, that ends by itself, is reaped. */
static void
expect_end(const char *path, const char *binary, bool good, const char *text)
{
	struct checker c;
	pid_t pid;

	start(&c, path, binary);
	pid = c.pid;
	assert_true(checker_reaped(&c, pid, reap(pid)));
	assert_int_equal(told.n, 1);
	assert_int_equal(told.good, good);
	assert_string_equal(told.first, text);
	checker_done(&c);
}

static void
process_that_ends_is_told_of(void **state)
{
	(void)state;
	expect_end(
	    "crash", NULL, false, "the check was signal 9 without an answer");
	expect_end("half", NULL, false, "the check status 3 without an answer");
	expect_end("good and gone", NULL, true, "(none)");
}

static void
process_that_hangs_costs_its_time_alone(void **state)
{
	struct checker c;
	pid_t pid;

	(void)state;
	start(&c, "hang", NULL);
	pid = c.pid;
	assert_true(ev_timer_remaining(loop, &c.limit) > 29.);
	assert_int_equal(
	    checker_start(&c, loop, NULL, on_verdict, &told), -EBUSY);
	ev_feed_event(loop, &c.limit, EV_TIMER);
	assert_true(wait_told());
	assert_false(told.good);
	assert_true(told.retryable);
	assert_non_null(strstr(told.first, "30 s"));
	assert_true(WIFSIGNALED(reap(pid)));
	/* The next one is none the worse for it. */
	c.request.path = "good";
	told.n = 0;
	assert_int_equal(checker_start(&c, loop, NULL, on_verdict, &told), 0);
	pid = c.pid;
	assert_true(wait_told());
	assert_true(told.good);
	reap(pid);
	checker_done(&c);
}

static void
process_that_closes_its_pipe_is_killed(void **state)
{
	struct checker c;
	pid_t pid;

	(void)state;
	start(&c, "closed", NULL);
	pid = c.pid;
	while (c.fd >= 0)
		ev_run(loop, EVRUN_ONCE);
	assert_int_equal(told.n, 0);
	assert_true(checker_reaped(&c, pid, reap(pid)));
	assert_int_equal(told.n, 1);
	assert_false(told.good);
	checker_done(&c);
}

static void
cancelled_check_tells_nothing(void **state)
{
	struct checker c;
	pid_t pid;

	(void)state;
	start(&c, "hang", NULL);
	pid = c.pid;
	checker_cancel(&c);
	assert_true(WIFSIGNALED(reap(pid)));
	assert_int_equal(told.n, 0);
	checker_cancel(&c);
	checker_done(&c);
}

static void
children_of_the_process_end_with_it(void **state)
{
	int status;

	(void)state;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	expect_answer("grandchild", true);
	assert_true(*grandchild > 0);
	status = reap(*grandchild);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void
write_script(const char *path, const char *text)
{
	FILE *f;

	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0755), 0);
}

static void
other_program_is_asked_with_the_daemons_arguments(void **state)
{
	char path[] = "/tmp/test_checker.XXXXXX", why[128];
	int fd;

	(void)state;
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	write_script(path,
	    "#!/bin/sh\n"
	    "echo \"{\\\"version\\\":\\\"8\\\",\\\"config\\\":\\\"$*\\\"}\" "
	    ">/proc/self/fd/$GANGER_CHECK_FD\n");
	expect_end("unused", path, true, "(none)");
	assert_string_equal(told.answered, "-t -c x");
	assert_string_equal(told.version, "8");
	write_script(path, "#!/bin/sh\nexit 4\n");
	expect_end("unused", path, false,
	    "the new program status 4 without an answer");
	unlink(path);
	snprintf(why, sizeof(why),
	    "%s can't be executed: No such file or directory", path);
	expect_end("unused", path, false, why);
	assert_true(told.unchecked);
	assert_null(getenv(CHECK_FD_ENV));
}

static int
set_up(void **state)
{
	sigset_t all;

	(void)state;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	loop = ev_loop_new(EVFLAG_AUTO);
	grandchild = mmap(NULL, sizeof(*grandchild), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return loop == NULL || grandchild == MAP_FAILED ? -1 : 0;
}

static int
tear_down(void **state)
{
	(void)state;
	ev_loop_destroy(loop);
	return munmap(grandchild, sizeof(*grandchild));
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(good_configuration_is_handed_over),
	    cmocka_unit_test(mistakes_are_handed_over),
	    cmocka_unit_test(answer_of_no_use_is_a_refusal),
	    cmocka_unit_test(process_that_ends_is_told_of),
	    cmocka_unit_test(process_that_hangs_costs_its_time_alone),
	    cmocka_unit_test(process_that_closes_its_pipe_is_killed),
	    cmocka_unit_test(cancelled_check_tells_nothing),
	    cmocka_unit_test(children_of_the_process_end_with_it),
	    cmocka_unit_test(other_program_is_asked_with_the_daemons_arguments),
	};

	setproctitle_init(argc, argv, environ);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
