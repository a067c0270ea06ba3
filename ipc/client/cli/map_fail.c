/* SPDX-License-Identifier: ISC */
/*
 * map_fail.c - what goes wrong in a map
 */
#include "ipc/client/cli/map_fail.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/client/cli/fail.h"
#include "ipc/json.h"
#include "ipc/proto.h"

/* Failures that are told on stderr one by one. */
#define TOLD_MAX 10

void
map_fail_erase(struct map *m)
{
	if (m->drawn)
		progress_erase();
	m->drawn = false;
}

static void warn_line(struct map *m, const struct flight_line *line,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Tell why a line has no result, unless that was told often enough. */
static void
warn_line(struct map *m, const struct flight_line *line, const char *fmt, ...)
{
	va_list ap;
	char *why;
	int n;

	if (++m->n_told > TOLD_MAX)
		return;
	va_start(ap, fmt);
	n = vasprintf(&why, fmt, ap);
	va_end(ap);
	if (n < 0)
		cli_no_memory(m->cli);
	map_fail_erase(m);
	if (line->file == NULL)
		cli_warn(m->cli, "line %ju: %s", (uintmax_t)line->number, why);
	else
		cli_warn(m->cli, "%s:%ju: %s", line->file,
		    (uintmax_t)line->number, why);
	free(why);
}

/*
 * A line has failed: `error` (borrowed) takes the place of its result, or this
 * is the end.  status is for the latter.
 */
static void
fail_line(struct map *m, const struct flight_line *line, json_t *error,
    bool is_final, int status)
{
	json_t *value;
	char *text;
	size_t len;

	m->progress.done++;
	m->progress.failed++;
	if (!m->spec->keep_going || is_final) {
		m->feeding = false;
		if (m->status == 0 || m->status == CLI_TASK_FAILED)
			m->status = status;
		return;
	}
	if (m->status == 0)
		m->status = CLI_TASK_FAILED;
	value = json_pack("{s:O}", "error", error);
	text = value == NULL ? NULL : json_text(value, SIZE_MAX, &len);
	if (text == NULL || map_output_put(&m->out, line->seq, text, len) < 0)
		cli_no_memory(m->cli);
	free(text);
	json_decref(value);
}

void
map_fail_input(struct map *m, int code, const char *why)
{
	json_t *error;
	char *text;

	/* jansson's messages may be cut in the middle of a character. */
	text = json_utf8(why, strlen(why));
	error = json_pack("{s:i, s:s}", "code", code, "message", text);
	if (error == NULL)
		cli_no_memory(m->cli);
	free(text);
	warn_line(m, &m->in.line, "%s", why);
	fail_line(m, &m->in.line, error, false, EX_DATAERR);
	json_decref(error);
}

void
map_fail_too_long(struct map *m)
{
	char why[80];

	snprintf(why, sizeof(why), "over the daemon's max_message of %zu bytes",
	    m->max_message);
	map_fail_input(m, RPC_TOO_LARGE, why);
}

/* True when an error concerns the one task, and not all that may follow. */
static bool
is_of_task(const struct ganger_error *err)
{
	switch (err->code) {
	case RPC_TASK_FAILED:
	case RPC_TIMED_OUT:
	case RPC_TOO_LARGE:
	case RPC_NO_SUCH_TASK:
		return true;
	default:
		return false;
	}
}

void
map_fail_call(struct map *m, const struct flight_line *line,
    const struct ganger_error *err)
{
	bool is_final = !is_of_task(err);
	json_t *own, *error;

	/* Such errors are alike for all calls under way: one is enough. */
	if (is_final && !m->feeding && m->status > CLI_TASK_FAILED) {
		m->progress.done++;
		return;
	}
	own = json_object_get(json_object_get(err->data, "task"), "error");
	if (own != NULL)
		/* The daemon's other messages name the task themselves. */
		warn_line(m, line, "%s (task %jd)", err->message,
		    (intmax_t)json_integer_value(
			json_object_get(err->data, "id")));
	else
		warn_line(m, line, "%s", err->message);
	error = json_is_object(own)
		    ? json_incref(own)
		    : json_pack("{s:i, s:s, s:O*}", "code", err->code,
			  "message", err->message, "data", err->data);
	if (error == NULL)
		cli_no_memory(m->cli);
	fail_line(m, line, error, is_final, fail_status(err));
	json_decref(error);
}

void
map_fail_stop(struct map *m, enum map_stop stop, int status)
{
	if (m->stop != MAP_GOES_ON)
		return;
	m->stop = stop;
	m->status = status;
}

void
map_fail_lost(struct map *m, int r, struct ganger_error *err)
{
	map_fail_erase(m);
	map_fail_stop(m, MAP_LOST, fail_call(m->cli, r, err));
	cli_warn(m->cli, "%ju lines are done, %zu were under way and %s",
	    (uintmax_t)m->progress.done, m->flight.n,
	    m->spec->key != NULL ? "go on: the same command takes them up again"
	    : json_is_true(json_object_get(m->spec->task, "durable"))
		? "go on in the daemon"
		: "are lost");
}

void
map_fail_read(struct map *m, int r)
{
	const char *name = m->in.line.file;

	map_fail_erase(m);
	cli_warn(m->cli, "%s: %s", name == NULL ? "standard input" : name,
	    strerror(-r));
	m->feeding = false;
	m->status = EX_NOINPUT;
}

void
map_fail_write(struct map *m, int r)
{
	if (r == -EPIPE) {
		map_fail_stop(m, MAP_NO_OUTPUT, CLI_SIGNALLED(SIGPIPE));
		return;
	}
	map_fail_erase(m);
	cli_warn(m->cli, "standard output: %s", strerror(-r));
	map_fail_stop(m, MAP_NO_OUTPUT, EX_IOERR);
}

void
map_fail_sum(struct map *m)
{
	if (m->n_told > TOLD_MAX)
		cli_warn(m->cli, "and %ju failures more",
		    (uintmax_t)(m->n_told - TOLD_MAX));
}
