/* SPDX-License-Identifier: ISC */
/*
 * worker_probe.c - a task module that does what no built-in does
 *
 * Its handlers are deaf, restless, silent; its hooks leave a letter each in
 * the file $PROBE, and the one of the letter $PROBE_FAILS fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/handler.h"

#define LINE_LENGTH 4000

/* Tell progress once, then never end, whatever is asked. */
static json_t *
run_deaf(struct ganger_task *task, json_t *args)
{
	(void)args;
	ganger_progress(task, 1, 1, "deaf");
	for (;;)
		pause();
}

/* Tell progress once, then wait for a cancel. */
static json_t *
run_hang(struct ganger_task *task, json_t *args)
{
	(void)args;
	ganger_progress(task, 1, 2, NULL);
	(void)ganger_sleep(task, 1000000);
	ganger_fail(task, 0, false, "woken");
	return NULL;
}

/* Tell progress twice at short distance, then wait for a cancel. */
static json_t *
run_late(struct ganger_task *task, json_t *args)
{
	ganger_progress(task, 0, 2, NULL);
	(void)ganger_sleep(task, 5);
	return run_hang(task, args);
}

/* Tell progress args times. */
static json_t *
run_steps(struct ganger_task *task, json_t *args)
{
	json_int_t i, n;

	n = json_integer_value(args);
	for (i = 1; i <= n; i++)
		ganger_progress(task, (uint64_t)i, (uint64_t)n, "step");
	return json_integer(n);
}

/* Write args log lines: a number and a long tail. */
static json_t *
run_say(struct ganger_task *task, json_t *args)
{
	char tail[LINE_LENGTH];
	json_int_t i, n;

	memset(tail, 'x', sizeof(tail) - 1);
	tail[sizeof(tail) - 1] = '\0';
	n = json_integer_value(args);
	for (i = 0; i < n; i++)
		ganger_log(task, "%lld %s", (long long)i, tail);
	return json_true();
}

/* Fail, and then put the task aside for args ms after all. */
static json_t *
run_put_off(struct ganger_task *task, json_t *args)
{
	ganger_fail(task, 1, true, "not the last word");
	ganger_snooze(task, json_integer_value(args));
	return NULL;
}

static json_t *
run_nothing(struct ganger_task *task, json_t *args)
{
	(void)task;
	(void)args;
	return NULL;
}

static json_t *
run_about(struct ganger_task *task, json_t *args)
{
	return json_pack("[I, s, i, O]", (json_int_t)ganger_task_id(task),
	    ganger_task_name(task), (int)ganger_attempt(task), args);
}

/* Reported as progress, so that the test knows that it is there. */
static void
say_begun(struct ganger_task *task)
{
	ganger_progress(task, 1, 1, "begun");
}

/* The thread's own loop without end; its name is looked for. */
static void __attribute__((noinline)) spin_for_ever(void)
{
	static volatile unsigned long turns;

	for (;;) {
		turns++;
#ifdef PROBE_NAPS
		/* A sanitizer delivers a signal only at such a call. */
		usleep(1000);
#endif
	}
}

static json_t *
run_spin(struct ganger_task *task, json_t *args)
{
	(void)args;
	say_begun(task);
	spin_for_ever();
	return NULL;
}

/* The same, and no signal comes through. */
static json_t *
run_masked(struct ganger_task *task, json_t *args)
{
	sigset_t all;

	(void)args;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	say_begun(task);
	spin_for_ever();
	return NULL;
}

/* Use up the stack. */
static int __attribute__((noinline)) recurse(volatile char *above)
{
	volatile char room[4096];

	room[0] = above[0];
	return recurse(room) + room[0];
}

static void
fault_by(const char *how)
{
	volatile int zero = 0;
	char *volatile nowhere = NULL;
	char first = 'x';

	if (strcmp(how, "write") == 0)
		*nowhere = 'x';
	else if (strcmp(how, "divide") == 0)
#ifdef __x86_64__
		zero = 10 / zero; /* 1 / x takes no division */
#else
		raise(SIGFPE + zero);
#endif
	else if (strcmp(how, "abort") == 0)
		abort();
	else if (strcmp(how, "raise") == 0)
		raise(SIGSEGV);
	else if (strcmp(how, "trap") == 0)
		__builtin_trap();
	else if (strcmp(how, "recurse") == 0)
		(void)recurse(&first);
	else if (strcmp(how, "exit") == 0)
		exit(3);
}

/* Come to grief in the way that args names. */
static json_t *
run_fault(struct ganger_task *task, json_t *args)
{
	(void)task;
	fault_by(json_string_value(args));
	return NULL;
}

/* Wait for the file $PROBE_GATE to be gone, and come to grief then. */
static json_t *
run_fault_together(struct ganger_task *task, json_t *args)
{
	say_begun(task);
	while (access(getenv("PROBE_GATE"), F_OK) == 0)
		continue;
	fault_by(json_string_value(args));
	return NULL;
}

/* Say something on stdout, wait for a cancel. */
static json_t *
run_print(struct ganger_task *task, json_t *args)
{
	printf("%s\n", json_string_value(args));
	return run_hang(task, args);
}

/* Sleep to the end, whatever comes: a late result. */
static json_t *
run_stubborn(struct ganger_task *task, json_t *args)
{
	while (!ganger_cancelled(task))
		(void)ganger_sleep(task, json_integer_value(args));
	return json_string("late");
}

/* Leave a letter; an error if it is the one that fails. */
static int
mark(char c)
{
	const char *fails;
	int fd;

	fd = open(getenv("PROBE"), O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd < 0 || write(fd, &c, 1) != 1)
		abort();
	close(fd);
	fails = getenv("PROBE_FAILS");
	return fails != NULL && *fails == c ? -ENOENT : 0;
}

static int
init(void)
{
	int r = mark('i');

	if (getenv("PROBE_STUCK") != NULL)
		spin_for_ever();
	return r;
}

static int
thread_init(void)
{
	return mark('t');
}

static void
thread_done(void)
{
	(void)mark('T');
}

static void
done(void)
{
	(void)mark('D');
}

static const struct ganger_handler handlers[] = {
    {"about", run_about},
    {"deaf", run_deaf},
    {"fault", run_fault},
    {"fault_together", run_fault_together},
    {"hang", run_hang},
    {"late", run_late},
    {"masked", run_masked},
    {"nothing", run_nothing},
    {"print", run_print},
    {"put_off", run_put_off},
    {"say", run_say},
    {"spin", run_spin},
    {"steps", run_steps},
    {"stubborn", run_stubborn},
    {NULL, NULL},
};

const struct ganger_module ganger_module = {
    .abi = GANGER_MODULE_ABI,
    .name = "probe",
    .handlers = handlers,
    .init = init,
    .thread_init = thread_init,
    .thread_done = thread_done,
    .done = done,
};
