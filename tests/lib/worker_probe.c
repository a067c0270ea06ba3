/* SPDX-License-Identifier: ISC */
/*
 * worker_probe.c - a task module that does what no built-in does
 *
 * Its handlers are deaf, restless, silent; its hooks leave a letter each in
 * the file $PROBE, and the one of the letter $PROBE_FAILS fails.
 */
#include <errno.h>
#include <fcntl.h>
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
	return mark('i');
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
    {"hang", run_hang},
    {"late", run_late},
    {"nothing", run_nothing},
    {"put_off", run_put_off},
    {"say", run_say},
    {"steps", run_steps},
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
