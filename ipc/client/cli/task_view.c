/* SPDX-License-Identifier: ISC */
/*
 * task_view.c - task objects for people
 */
#include "ipc/client/cli/task_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/client/cli/format.h"
#include "ipc/client/cli/text.h"
#include "ipc/clock.h"

static const struct {
	const char *name;
	enum term_style style;
	bool ended;
} states[] = {
    {"scheduled", STYLE_WAIT, false},
    {"ready", STYLE_WAIT, false},
    {"running", STYLE_BUSY, false},
    {"succeeded", STYLE_GOOD, true},
    {"failed", STYLE_BAD, true},
    {"cancelled", STYLE_DIM, true},
    {"expired", STYLE_BAD, true},
    {"quarantined", STYLE_BAD, true},
};
#define N_STATES (sizeof(states) / sizeof(states[0]))

const char *
task_view_text(const json_t *task, const char *key)
{
	const char *s;

	s = json_string_value(json_object_get(task, key));
	return s == NULL ? "" : s;
}

int64_t
task_view_number(const json_t *task, const char *key)
{
	return json_integer_value(json_object_get(task, key));
}

bool
task_view_time(const json_t *task, const char *key, int64_t *ms_out)
{
	return wall_parse(task_view_text(task, key), ms_out) == 0;
}

bool
task_view_took(const json_t *task, int64_t now_ms, int64_t *ms_out)
{
	int64_t started, finished;

	if (!task_view_time(task, "started_at", &started))
		return false;
	if (!task_view_time(task, "finished_at", &finished)) {
		if (strcmp(task_view_text(task, "state"), "running") != 0)
			return false;
		finished = now_ms;
	}
	*ms_out = finished - started;
	return true;
}

enum term_style
task_view_style(const char *state)
{
	size_t i;

	for (i = 0; i < N_STATES; i++)
		if (strcmp(states[i].name, state) == 0)
			return states[i].style;
	return STYLE_PLAIN;
}

bool
task_view_has_ended(const json_t *task)
{
	const char *state = task_view_text(task, "state");
	size_t i;

	for (i = 0; i < N_STATES; i++)
		if (strcmp(states[i].name, state) == 0)
			return states[i].ended;
	return false;
}

#define LABEL_WIDTH 10

static void
print_label(const struct cli *cli, const char *label)
{
	printf("  %s%-*s%s ", term_on(STYLE_DIM, cli->out_colour), LABEL_WIDTH,
	    label, term_off(STYLE_DIM, cli->out_colour));
}

static void
print_text(const struct cli *cli, const char *label, const char *s)
{
	if (*s == '\0')
		return;
	print_label(cli, label);
	text_print_clean(stdout, s);
	putchar('\n');
}

/* Print a time and how long ago, or how far ahead, it is. */
static void
print_time(const struct cli *cli, const json_t *task, const char *label,
    const char *key, int64_t now_ms)
{
	char span[FORMAT_SIZE];
	int64_t ms;

	if (!task_view_time(task, key, &ms))
		return;
	print_label(cli, label);
	text_print_clean(stdout, task_view_text(task, key));
	if (ms <= now_ms)
		printf("  (%s ago)\n", format_span(now_ms - ms, span));
	else
		printf("  (in %s)\n", format_span(ms - now_ms, span));
}

/* Print a JSON value, indented under its label. */
static void
print_value(const struct cli *cli, const char *label, const json_t *value)
{
	char *text, *line, *rest;

	if (value == NULL)
		return;
	text = json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY);
	if (text == NULL)
		cli_no_memory(cli);
	rest = text;
	line = strsep(&rest, "\n");
	print_text(cli, label, line);
	while ((line = strsep(&rest, "\n")) != NULL)
		printf("  %*s %s\n", LABEL_WIDTH, "", line);
	free(text);
}

/* Print text of several lines, each cleaned, indented under its label. */
static void
print_lines(const struct cli *cli, const char *label, const char *lines)
{
	char *text, *line, *rest;

	text = rest = strdup(lines);
	if (text == NULL)
		cli_no_memory(cli);
	while ((line = strsep(&rest, "\n")) != NULL) {
		if (*line == '\0' && rest == NULL)
			break;
		print_text(cli, label, *line == '\0' ? " " : line);
		label = "";
	}
	free(text);
}

static void
print_progress(const struct cli *cli, const json_t *progress)
{
	char done[FORMAT_SIZE], total[FORMAT_SIZE];
	int64_t n;

	if (progress == NULL)
		return;
	n = task_view_number(progress, "total");
	print_label(cli, "progress");
	fputs(format_count(task_view_number(progress, "done"), done), stdout);
	if (n > 0)
		printf(" of %s", format_count(n, total));
	printf("  ");
	text_print_clean(stdout, task_view_text(progress, "note"));
	putchar('\n');
}

static void
print_error(const struct cli *cli, const json_t *error)
{
	json_t *data;
	const char *output;

	if (error == NULL)
		return;
	print_text(cli, "error", task_view_text(error, "message"));
	print_label(cli, "code");
	printf("%jd\n", (intmax_t)task_view_number(error, "code"));
	data = json_copy(json_object_get(error, "data"));
	output = task_view_text(data, "stderr");
	if (*output != '\0')
		print_lines(cli, "stderr", output);
	json_object_del(data, "stderr");
	if (json_object_size(data) > 0)
		print_value(cli, "data", data);
	json_decref(data);
}

/* The last errors, one a line; the last of them was printed whole. */
static void
print_errors(const struct cli *cli, const json_t *errors, int64_t now_ms)
{
	const char *label = "errors";
	const json_t *error;
	char ago[FORMAT_SIZE];
	int64_t at;
	size_t i;

	json_array_foreach(errors, i, error) {
		print_label(cli, label);
		label = "";
		printf("attempt %jd",
		    (intmax_t)task_view_number(error, "attempt"));
		if (task_view_time(error, "at", &at))
			printf(", %s ago", format_span(now_ms - at, ago));
		fputs(": ", stdout);
		text_print_clean(stdout, task_view_text(error, "message"));
		putchar('\n');
	}
}

/* How often it was run, and what has become of the runs. */
static void
print_runs(const struct cli *cli, const json_t *task)
{
	static const struct {
		const char *key, *text;
	} causes[] = {
	    {"attempt", "attempts used up"},
	    {"crashes", "workers killed"},
	    {"interrupted", "cut by a stop"},
	    {"recoveries", "cut by the daemon's death"},
	};
	const char *sep = "  (";
	int64_t n;
	size_t i;

	print_label(cli, "runs");
	printf("%jd", (intmax_t)task_view_number(task, "run"));
	for (i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
		n = task_view_number(task, causes[i].key);
		if (n == 0)
			continue;
		printf("%s%jd %s", sep, (intmax_t)n, causes[i].text);
		sep = ", ";
	}
	puts(*sep == ',' ? ")" : "");
}

const char *
task_view_waits_for(const json_t *task)
{
	const char *what = task_view_text(task, "waiting_for");

	if (strcmp(what, "key") == 0)
		return "an earlier task of its key";
	if (strcmp(what, "breaker") == 0)
		return "its name, whose tasks kill their workers";
	if (strcmp(what, "pause") == 0)
		return "its queue, which is paused";
	if (strcmp(what, "worker") == 0)
		return "a pool that can run it: none is configured";
	return what;
}

void
task_view_print(const struct cli *cli, const json_t *task)
{
	const char *state = task_view_text(task, "state");
	enum term_style style = task_view_style(state);
	char span[FORMAT_SIZE];
	int64_t now, took;

	now = wall_now_ms();
	printf("%stask %jd%s  %s%s%s\n", term_on(STYLE_TITLE, cli->out_colour),
	    (intmax_t)task_view_id(task),
	    term_off(STYLE_TITLE, cli->out_colour),
	    term_on(style, cli->out_colour), state,
	    term_off(style, cli->out_colour));
	print_text(cli, "name", task_view_text(task, "name"));
	print_text(cli, "queue", task_view_text(task, "queue"));
	print_label(cli, "priority");
	printf("%jd\n", (intmax_t)task_view_number(task, "priority"));
	print_runs(cli, task);
	print_text(cli, "waits for", task_view_waits_for(task));
	print_text(cli, "key", task_view_text(task, "key"));
	print_text(cli, "unique", task_view_text(task, "unique"));
	print_text(cli, "delivery", task_view_text(task, "delivery"));
	print_text(cli, "worker", task_view_text(task, "worker"));
	print_time(cli, task, "submitted", "submitted_at", now);
	print_time(cli, task, "due", "run_at", now);
	print_time(cli, task, "started", "started_at", now);
	print_time(cli, task, "finished", "finished_at", now);
	if (task_view_took(task, now, &took))
		print_text(cli, "took", format_span(took, span));
	print_progress(cli, json_object_get(task, "progress"));
	print_value(cli, "meta", json_object_get(task, "meta"));
	print_value(cli, "args", json_object_get(task, "args"));
	print_value(cli, "result", json_object_get(task, "result"));
	print_error(cli, json_object_get(task, "error"));
	print_errors(cli, json_object_get(task, "errors"), now);
}

int
task_view_status(const struct cli *cli, const json_t *task)
{
	const char *state = task_view_text(task, "state");
	const char *message, *verb;

	if (strcmp(state, "succeeded") == 0)
		return 0;
	message = task_view_text(json_object_get(task, "error"), "message");
	if (strcmp(state, "expired") == 0)
		verb = "expired before it was started";
	else if (strcmp(state, "failed") == 0)
		verb = state;
	else
		verb = strcmp(state, "cancelled") == 0 ? "was cancelled"
						       : "was quarantined";
	cli_warn(cli, "task %jd %s%s%s", (intmax_t)task_view_id(task), verb,
	    *message != '\0' ? ": " : "", message);
	return CLI_TASK_FAILED;
}
