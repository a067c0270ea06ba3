/* SPDX-License-Identifier: ISC */
/*
 * lists.c - tables of queues, workers and pools
 */
#include "ipc/client/cli/lists.h"

#include <string.h>

#include "ipc/buf.h"
#include "ipc/client/cli/format.h"
#include "ipc/client/cli/task_view.h"
#include "ipc/clock.h"

#define N_COLUMNS(columns) (sizeof(columns) / sizeof((columns)[0]))

/* Add the strings, numbers, or members "name" of an array, as one cell. */
static void
add_words(struct table *t, const json_t *list)
{
	const json_t *item;
	struct buf b;
	size_t i;

	buf_init(&b, SIZE_MAX);
	json_array_foreach(list, i, item) {
		if (i > 0)
			buf_adds(&b, " ");
		if (json_is_object(item))
			item = json_object_get(item, "name");
		if (json_is_integer(item))
			buf_add_int(&b, json_integer_value(item));
		else if (json_is_string(item))
			buf_adds(&b, json_string_value(item));
	}
	buf_addc(&b, '\0');
	if (buf_error(&b) < 0)
		t->error = buf_error(&b);
	else
		table_add(t, STYLE_PLAIN, buf_head(&b));
	buf_done(&b);
}

static void
add_number(
    struct table *t, enum term_style style, const json_t *item, const char *key)
{
	table_add_count(t, style, task_view_number(item, key));
}

void
lists_print_queues(const struct cli *cli, const json_t *queues, unsigned indent)
{
	static const struct table_column columns[] = {
	    {"QUEUE", false},
	    {"STATE", false},
	    {"READY", true},
	    {"SCHEDULED", true},
	    {"RUNNING", true},
	    {"SUCCEEDED", true},
	    {"FAILED", true},
	    {"PRI", true},
	    {"POOLS", false},
	};
	const json_t *queue;
	const char *state;
	struct table t;
	size_t i;

	table_init(&t, columns, N_COLUMNS(columns));
	json_array_foreach(queues, i, queue) {
		state = task_view_text(queue, "state");
		table_add(&t, STYLE_PLAIN, task_view_text(queue, "name"));
		table_add(&t,
		    strcmp(state, "up") == 0 ? STYLE_GOOD : STYLE_WAIT, state);
		add_number(&t, STYLE_WAIT, queue, "ready");
		add_number(&t, STYLE_WAIT, queue, "scheduled");
		add_number(&t, STYLE_BUSY, queue, "running");
		add_number(&t, STYLE_GOOD, queue, "succeeded");
		add_number(&t, STYLE_BAD, queue, "failed");
		table_addf(&t, STYLE_PLAIN, "%jd",
		    (intmax_t)task_view_number(queue, "priority"));
		add_words(&t, json_object_get(queue, "pools"));
	}
	cli_print_table(cli, &t, indent);
}

static enum term_style
worker_style(const char *state)
{
	if (strcmp(state, "busy") == 0)
		return STYLE_BUSY;
	if (strcmp(state, "idle") == 0)
		return STYLE_GOOD;
	return STYLE_WAIT;
}

/* Add "ID (how long)" of each task that runs. */
static void
add_runs(struct table *t, const json_t *runs)
{
	char span[FORMAT_SIZE];
	const json_t *run;
	struct buf b;
	size_t i;

	buf_init(&b, SIZE_MAX);
	json_array_foreach(runs, i, run)
		buf_printf(&b, "%s%jd (%s)", i > 0 ? " " : "",
		    (intmax_t)task_view_id(run),
		    format_span(task_view_number(run, "running_ms"), span));
	buf_addc(&b, '\0');
	if (buf_error(&b) < 0)
		t->error = buf_error(&b);
	else
		table_add(t, STYLE_PLAIN, buf_head(&b));
	buf_done(&b);
}

void
lists_print_workers(
    const struct cli *cli, const json_t *workers, unsigned indent)
{
	static const struct table_column columns[] = {
	    {"WORKER", false},
	    {"PID", true},
	    {"STATE", false},
	    {"BUSY", true},
	    {"DONE", true},
	    {"UP", true},
	    {"RSS", true},
	    {"TASKS", false},
	};
	const json_t *worker;
	const char *state;
	char span[FORMAT_SIZE], rss[FORMAT_SIZE];
	struct table t;
	int64_t started;
	size_t i;

	table_init(&t, columns, N_COLUMNS(columns));
	json_array_foreach(workers, i, worker) {
		state = task_view_text(worker, "state");
		table_add(&t, STYLE_PLAIN, task_view_text(worker, "worker"));
		table_addf(&t, STYLE_PLAIN, "%jd",
		    (intmax_t)task_view_number(worker, "pid"));
		table_add(&t, worker_style(state), state);
		table_addf(&t, STYLE_PLAIN, "%jd/%jd",
		    (intmax_t)task_view_number(worker, "running"),
		    (intmax_t)task_view_number(worker, "threads"));
		add_number(&t, STYLE_PLAIN, worker, "tasks_done");
		table_add(&t, STYLE_PLAIN,
		    task_view_time(worker, "started_at", &started)
			? format_span(wall_now_ms() - started, span)
			: NULL);
		table_add(&t, STYLE_PLAIN,
		    format_bytes(task_view_number(worker, "rss_bytes"), rss));
		add_runs(&t, json_object_get(worker, "runs"));
	}
	cli_print_table(cli, &t, indent);
}

static enum term_style
pool_style(const char *state)
{
	if (strcmp(state, "up") == 0)
		return STYLE_GOOD;
	if (strcmp(state, "leaving") == 0)
		return STYLE_WAIT;
	return STYLE_BAD;
}

void
lists_print_pools(const struct cli *cli, const json_t *pools, unsigned indent)
{
	static const struct table_column columns[] = {
	    {"POOL", false},
	    {"STATE", false},
	    {"ALIVE", true},
	    {"BUSY", true},
	    {"RESTARTS", true},
	    {"QUEUES", false},
	    {"TASKS", false},
	};
	int64_t alive, target;
	const json_t *pool;
	const char *state;
	struct table t;
	size_t i;

	table_init(&t, columns, N_COLUMNS(columns));
	json_array_foreach(pools, i, pool) {
		state = task_view_text(pool, "state");
		alive = task_view_number(pool, "alive");
		target = task_view_number(pool, "target");
		table_add(&t, STYLE_PLAIN, task_view_text(pool, "name"));
		table_add(&t, pool_style(state), state);
		table_addf(&t, alive < target ? STYLE_BAD : STYLE_PLAIN,
		    "%jd/%jd", (intmax_t)alive, (intmax_t)target);
		table_addf(&t, STYLE_PLAIN, "%jd/%jd",
		    (intmax_t)task_view_number(pool, "busy"),
		    (intmax_t)(task_view_number(pool, "threads") * target));
		add_number(&t, STYLE_WAIT, pool, "restarts");
		add_words(&t, json_object_get(pool, "queues"));
		add_words(&t, json_object_get(pool, "names"));
	}
	cli_print_table(cli, &t, indent);
}

int
lists_run(struct cli *cli, int argc, char **argv, const char *method,
    void (*fn)(const struct cli *, const json_t *, unsigned))
{
	static const struct option longs[] = {
	    CLI_LONGS,
	    {NULL, 0, NULL, 0},
	};
	json_t *list;
	const json_t *item;
	size_t i;
	int status;

	while (cli_getopt(cli, argc, argv, CLI_SHORTS, longs) != -1)
		;
	cli_no_words(cli, argc);
	status = cli_request(cli, method, json_object(), &list);
	if (status != 0)
		return status;
	if (cli->json) {
		json_array_foreach(list, i, item)
			cli_print_line(cli, item);
	} else {
		fn(cli, list, 0);
	}
	json_decref(list);
	return 0;
}
