/* SPDX-License-Identifier: ISC */
/*
 * cmd_tasks.c - list tasks, newest first
 */
#include <string.h>

#include "ipc/client/cli/cli.h"
#include "ipc/client/cli/filter.h"
#include "ipc/client/cli/format.h"
#include "ipc/client/cli/task_view.h"
#include "ipc/clock.h"

#define TASKS_USUAL 100
#define TASKS_PAGE  1000 /* the most that the daemon lists at once */

enum { OPT_ALL = FILTER_OPT_OTHER };

static const struct option longs[] = {
    CLI_LONGS,
    FILTER_LONGS,
    {"limit", required_argument, NULL, 'n'},
    {"all", no_argument, NULL, OPT_ALL},
    {NULL, 0, NULL, 0},
};

static const struct table_column columns[] = {
    {"ID", true},
    {"STATE", false},
    {"NAME", false},
    {"QUEUE", false},
    {"PRI", true},
    {"RUNS", true},
    {"AGE", true},
    {"TOOK", true},
    {"WORKER", false},
    {"NOTE", false},
};

/* What is worth a word: why it waits or failed, how far it is. */
static void
add_note(struct table *t, const json_t *task, int64_t now_ms)
{
	const char *state = task_view_text(task, "state");
	const json_t *error = json_object_get(task, "error");
	const json_t *progress = json_object_get(task, "progress");
	const char *waits_for = task_view_waits_for(task);
	char span[FORMAT_SIZE];
	int64_t due;

	if (strcmp(state, "scheduled") == 0 &&
	    task_view_time(task, "run_at", &due) && due > now_ms)
		table_addf(t, STYLE_DIM, "in %s%s%s",
		    format_span(due - now_ms, span), error ? ": " : "",
		    task_view_text(error, "message"));
	else if (*waits_for != '\0')
		table_addf(t, STYLE_WAIT, "waits for %s", waits_for);
	else if (error != NULL)
		table_add(t, STYLE_PLAIN, task_view_text(error, "message"));
	else if (progress != NULL && strcmp(state, "running") == 0)
		table_addf(t, STYLE_PLAIN, "%jd/%jd %s",
		    (intmax_t)task_view_number(progress, "done"),
		    (intmax_t)task_view_number(progress, "total"),
		    task_view_text(progress, "note"));
	else
		table_add(t, STYLE_DIM, NULL);
}

static void
add_task(struct table *t, const json_t *task, int64_t now_ms)
{
	const char *state = task_view_text(task, "state");
	char span[FORMAT_SIZE];
	int64_t ms;

	table_addf(t, STYLE_PLAIN, "%jd", (intmax_t)task_view_id(task));
	table_add(t, task_view_style(state), state);
	table_add(t, STYLE_PLAIN, task_view_text(task, "name"));
	table_add(t, STYLE_PLAIN, task_view_text(task, "queue"));
	table_addf(t, STYLE_PLAIN, "%jd",
	    (intmax_t)task_view_number(task, "priority"));
	table_addf(
	    t, STYLE_PLAIN, "%jd", (intmax_t)task_view_number(task, "run"));
	table_add(t, STYLE_PLAIN,
	    task_view_time(task, "submitted_at", &ms)
		? format_span(now_ms - ms, span)
		: NULL);
	table_add(t, STYLE_PLAIN,
	    task_view_took(task, now_ms, &ms) ? format_span(ms, span) : NULL);
	table_add(t, STYLE_PLAIN, task_view_text(task, "worker"));
	add_note(t, task, now_ms);
}

/* Get the next page of at most `left` tasks; *cursor moves on, or is NULL. */
static int
get_page(struct cli *cli, const json_t *filter, int64_t left, json_t **cursor,
    json_t **tasks_out)
{
	json_t *params, *page;
	int status;

	params = json_deep_copy(filter);
	if (left > TASKS_PAGE)
		left = TASKS_PAGE;
	if (json_object_set_new(params, "limit", json_integer(left)) < 0 ||
	    (*cursor != NULL && json_object_set(params, "cursor", *cursor) < 0))
		cli_no_memory(cli);
	status = cli_request(cli, "task.list", params, &page);
	if (status != 0)
		return status;
	json_decref(*cursor);
	*cursor = json_object_get(page, "cursor");
	*cursor = json_is_null(*cursor) ? NULL : json_incref(*cursor);
	*tasks_out = json_incref(json_object_get(page, "tasks"));
	json_decref(page);
	return 0;
}

/* Print, or add to the table, up to `most` tasks. */
static int
list(struct cli *cli, const json_t *filter, int64_t most, struct table *t)
{
	json_t *cursor = NULL, *tasks;
	const json_t *task;
	size_t i;
	int status;

	do {
		status = get_page(cli, filter, most, &cursor, &tasks);
		if (status != 0)
			break;
		json_array_foreach(tasks, i, task) {
			if (cli->json)
				cli_print_line(cli, task);
			else
				add_task(t, task, wall_now_ms());
		}
		most -= (int64_t)json_array_size(tasks);
		json_decref(tasks);
	} while (most > 0 && cursor != NULL);
	json_decref(cursor);
	return status;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	int64_t most = TASKS_USUAL;
	struct table t;
	json_t *filter;
	int opt, status;

	filter = json_object();
	while ((opt = cli_getopt(cli, argc, argv,
		    CLI_SHORTS FILTER_SHORTS "n:", longs)) != -1) {
		if (opt == 'n')
			most = cli_number(cli, "-n", optarg, 1, INT64_MAX);
		else if (opt == OPT_ALL)
			most = INT64_MAX;
		else
			filter_set(cli, filter, opt);
	}
	cli_no_words(cli, argc);
	table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
	status = list(cli, filter, most, &t);
	json_decref(filter);
	if (status == 0 && !cli->json)
		cli_print_table(cli, &t, 0);
	else
		table_done(&t);
	return status;
}

const struct cmd cmd_tasks = {
    .name = "tasks",
    .usage = " [OPTIONS] [-n N | --all]",
    .summary = "List tasks, newest first",
    .options = FILTER_HELP "  -n, --limit N        at most N; else 100\n"
			   "      --all            however many there are\n",
    .run = run,
};
