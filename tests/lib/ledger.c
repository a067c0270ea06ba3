/* SPDX-License-Identifier: ISC */
/*
 * ledger.c - a task module that writes down what really ran
 *
 * Each run adds a line to a file when it begins and one when it ends:
 *
 *	B ID ATTEMPT PID MONOTONIC_NS TOKEN
 *	E ID ATTEMPT PID MONOTONIC_NS TOKEN OUTCOME
 *
 * A line is one write to a file opened with O_APPEND, so the file's order is
 * the order of things.  A run that was cut has no second line.
 */
#include <errno.h>
#include <fcntl.h>
#include <ganger/handler.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *
text_of(const json_t *args, const char *name)
{
	const char *text;

	text = json_string_value(json_object_get(args, name));
	return text == NULL ? "" : text;
}

static json_int_t
number_of(const json_t *args, const char *name)
{
	return json_integer_value(json_object_get(args, name));
}

static int
note(struct ganger_task *task, const json_t *args, char mark,
    const char *outcome)
{
	struct timespec ts;
	char line[256];
	int fd, n;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	n = snprintf(line, sizeof(line), "%c %llu %u %d %lld %s%s%s\n", mark,
	    (unsigned long long)ganger_task_id(task), ganger_attempt(task),
	    (int)getpid(), ts.tv_sec * 1000000000LL + ts.tv_nsec,
	    text_of(args, "token"), outcome == NULL ? "" : " ",
	    outcome == NULL ? "" : outcome);
	fd = open(text_of(args, "path"),
	    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, line, (size_t)n) != n) {
		ganger_fail(task, errno, false, "ledger: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	close(fd);
	return 0;
}

/*
 * What the gate says: a file that says nothing for as long as it is missing or
 * empty.  NULL: the task was cancelled.
 */
static const char *
pass_gate(struct ganger_task *task, const char *path, char word[16])
{
	ssize_t n = 0;
	int fd;

	while (n <= 0) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0) {
			n = read(fd, word, 15);
			close(fd);
		}
		if (n <= 0 && !ganger_sleep(task, 2))
			return NULL;
	}
	word[n] = '\0';
	return word;
}

/*
 * {path, token}: the ledger, and what this task is called there.  Besides:
 * ms: take so long; gate: a file that says "ok", "retry", "fail" or "snooze";
 * fail_until: fail before this attempt; fail: for good; snooze_ms: put aside,
 * as long as the file `once` is not there.
 */
static const char *
decide(struct ganger_task *task, const json_t *args, char word[16])
{
	const char *once = text_of(args, "once");
	int fd;

	if (*text_of(args, "gate") != '\0')
		return pass_gate(task, text_of(args, "gate"), word);
	if (!ganger_sleep(task, number_of(args, "ms")))
		return NULL;
	if (json_is_true(json_object_get(args, "fail")))
		return "fail";
	if (ganger_attempt(task) < (unsigned)number_of(args, "fail_until"))
		return "retry";
	if (*once != '\0') {
		fd = open(once, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd >= 0) {
			close(fd);
			return "snooze";
		}
	}
	return "ok";
}

static json_t *
run_ledger(struct ganger_task *task, json_t *args)
{
	const char *outcome;
	char word[16];

	if (note(task, args, 'B', NULL) < 0)
		return NULL;
	outcome = decide(task, args, word);
	if (outcome == NULL)
		outcome = "cancelled";
	if (note(task, args, 'E', outcome) < 0)
		return NULL;
	if (strcmp(outcome, "ok") == 0)
		return json_string(text_of(args, "token"));
	if (strcmp(outcome, "snooze") == 0)
		ganger_snooze(task, number_of(args, "snooze_ms"));
	else
		ganger_fail(task, strcmp(outcome, "cancelled") != 0,
		    strcmp(outcome, "retry") == 0, "%s", outcome);
	return NULL;
}

static const struct ganger_handler handlers[] = {
    {"ledger", run_ledger},
    {"ledger.two", run_ledger},
    {"ledger.three", run_ledger},
    {NULL, NULL},
};

const struct ganger_module ganger_module = {
    .abi = GANGER_MODULE_ABI,
    .name = "ledger",
    .handlers = handlers,
};
