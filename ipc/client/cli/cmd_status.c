/* SPDX-License-Identifier: ISC */
/*
 * cmd_status.c - the daemon at a glance
 *
 * For someone who is woken up by it: what is wrong comes first, in words.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/client/cli/cli.h"
#include "ipc/client/cli/fail.h"
#include "ipc/client/cli/format.h"
#include "ipc/client/cli/lists.h"
#include "ipc/client/cli/task_view.h"
#include "ipc/client/cli/text.h"

static const struct option longs[] = {
    CLI_LONGS,
    {NULL, 0, NULL, 0},
};

/* What is asked for, in one write; the names are those of --json. */
static const struct {
	const char *method;
	const char *name;
} parts[] = {
    {"server.info", "info"},
    {"server.stats", "stats"},
    {"pool.list", "pools"},
    {"queue.list", "queues"},
};
#define N_PARTS (sizeof(parts) / sizeof(parts[0]))

/* Take the answer to request id into overview. */
static int
take_part(struct cli *cli, uint64_t id, const char *name, json_t *overview)
{
	struct ganger_reply reply;
	int r;

	r = ganger_client_take(cli->client, id, -1, &reply);
	if (r < 0)
		return fail_call(cli, r, NULL);
	if (reply.error.code != 0)
		return fail_call(cli, -EREMOTEIO, &reply.error);
	if (json_object_set_new(overview, name, reply.result) < 0)
		cli_no_memory(cli);
	return 0;
}

static int
get_overview(struct cli *cli, json_t *overview)
{
	uint64_t ids[N_PARTS];
	json_t *params;
	size_t i;
	int r, status;

	status = cli_connect(cli);
	params = json_object();
	for (i = 0; i < N_PARTS && status == 0; i++) {
		r = ganger_client_send(
		    cli->client, parts[i].method, params, &ids[i]);
		if (r < 0)
			status = fail_call(cli, r, NULL);
	}
	for (i = 0; i < N_PARTS && status == 0; i++)
		status = take_part(cli, ids[i], parts[i].name, overview);
	json_decref(params);
	return status;
}

static void print_alarm(const struct cli *cli, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
print_alarm(const struct cli *cli, const char *fmt, ...)
{
	va_list ap;
	char *text;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		cli_no_memory(cli);
	printf("%s! ", term_on(STYLE_BAD, cli->out_colour));
	text_print_clean(stdout, text);
	puts(term_off(STYLE_BAD, cli->out_colour));
	free(text);
}

/* Names whose tasks are held back, because they kill their workers. */
static void
alarm_held(const struct cli *cli, const json_t *pool)
{
	const json_t *name;
	size_t i;

	json_array_foreach(json_object_get(pool, "held_names"), i, name)
		print_alarm(cli,
		    "tasks of %s in pool %s are held back: they kill their "
		    "workers",
		    json_string_value(name), task_view_text(pool, "name"));
}

static void
alarm_pools(const struct cli *cli, const json_t *pools)
{
	int64_t alive, target;
	const char *name, *state;
	const json_t *pool;
	size_t i;

	json_array_foreach(pools, i, pool) {
		alarm_held(cli, pool);
		name = task_view_text(pool, "name");
		state = task_view_text(pool, "state");
		alive = task_view_number(pool, "alive");
		target = task_view_number(pool, "target");
		if (strcmp(state, "flapping") == 0)
			print_alarm(cli,
			    "pool %s is flapping: its workers die soon after "
			    "their start; the log says why",
			    name);
		else if (strcmp(state, "drained") == 0)
			print_alarm(cli,
			    "pool %s is drained (SIGWINCH): a reload brings "
			    "its workers back",
			    name);
		else if (alive < target && strcmp(state, "leaving") != 0)
			print_alarm(cli, "pool %s has %jd of its %jd processes",
			    name, (intmax_t)alive, (intmax_t)target);
	}
}

/* What can't be kept is not safe: nothing is worse. */
static void
alarm_store(const struct cli *cli, const json_t *store, const json_t *stats)
{
	const char *state = task_view_text(store, "state");
	char count[FORMAT_SIZE];

	if (state[0] == '\0' || strcmp(state, "ok") == 0)
		return;
	/* What is full may hold them back as well. */
	print_alarm(cli, "the store is %s: %s", state,
	    strcmp(state, "full") == 0 ? "no durable tasks are taken"
				       : "durable tasks are refused");
	print_alarm(cli, "  why: %s", task_view_text(store, "why"));
	if (task_view_number(stats, "store_dirty") > 0)
		print_alarm(cli,
		    "  what has happened to %s tasks is not on disk yet",
		    format_count(
			task_view_number(stats, "store_dirty"), count));
}

static void
alarm_queues(const struct cli *cli, const json_t *queues)
{
	int64_t ready, stranded;
	const json_t *queue;
	size_t i;

	json_array_foreach(queues, i, queue) {
		ready = task_view_number(queue, "ready");
		stranded = task_view_number(queue, "stranded");
		if (ready > 0 &&
		    json_array_size(json_object_get(queue, "pools")) == 0)
			print_alarm(cli,
			    "queue %s has %jd tasks waiting, and no pool takes "
			    "from it",
			    task_view_text(queue, "name"), (intmax_t)ready);
		else if (stranded > 0)
			print_alarm(cli,
			    "queue %s has %jd tasks waiting that no pool can "
			    "run",
			    task_view_text(queue, "name"), (intmax_t)stranded);
	}
}

/* Clients that wait although nothing runs for them. */
static void
alarm_holds(const struct cli *cli, const json_t *stats)
{
	int64_t n = task_view_number(stats, "submits_held");

	if (n > 0)
		print_alarm(cli, "%jd submit%s held until there is room",
		    (intmax_t)n, n == 1 ? " is" : "s are");
}

static void
print_head(const struct cli *cli, const json_t *info)
{
	const char *state = task_view_text(info, "state");
	enum term_style style;
	char span[FORMAT_SIZE];

	style = strcmp(state, "running") == 0 ? STYLE_GOOD : STYLE_WAIT;
	printf("%s%s %s%s  %s%s%s  up %s  pid %jd  ",
	    term_on(STYLE_TITLE, cli->out_colour), task_view_text(info, "name"),
	    task_view_text(info, "version"),
	    term_off(STYLE_TITLE, cli->out_colour),
	    term_on(style, cli->out_colour), state,
	    term_off(style, cli->out_colour),
	    format_span(task_view_number(info, "uptime_ms"), span),
	    (intmax_t)task_view_number(info, "pid"));
	text_print_clean(stdout, task_view_text(info, "socket"));
	putchar('\n');
}

/* Counters that are shown even when they are 0. */
#define COUNTERS_ALWAYS 3

/* Print a label and the counters of these keys: "now  3 running  12 ready". */
static void
print_counters(const struct cli *cli, const char *label, const json_t *stats,
    const char *const *keys)
{
	char text[FORMAT_SIZE];
	enum term_style style;
	int64_t n;
	size_t i;

	printf("%-8s", label);
	for (i = 0; keys[i] != NULL; i++) {
		n = task_view_number(stats, keys[i]);
		if (n == 0 && i >= COUNTERS_ALWAYS)
			continue;
		style = STYLE_PLAIN;
		if (n == 0)
			style = STYLE_DIM;
		else if (strcmp(keys[i], "failed") == 0)
			style = STYLE_BAD;
		printf("  %s%s %s%s", term_on(style, cli->out_colour),
		    format_count(n, text), keys[i],
		    term_off(style, cli->out_colour));
	}
	putchar('\n');
}

static void
print_stats(const struct cli *cli, const json_t *stats)
{
	static const char *const now[] = {
	    "running", "ready", "scheduled", "held", NULL};
	static const char *const so_far[] = {"submitted", "succeeded", "failed",
	    "quarantined", "expired", "cancelled", "retried", "requeued",
	    "recovered", NULL};
	char a[FORMAT_SIZE], b[FORMAT_SIZE], c[FORMAT_SIZE], d[FORMAT_SIZE];

	print_counters(cli, "now", stats, now);
	print_counters(cli, "so far", stats, so_far);
	printf("%-8s  %s now, %s waiting; %s connections and %s requests so "
	       "far\n",
	    "clients", format_count(task_view_number(stats, "clients"), a),
	    format_count(task_view_number(stats, "waiters"), b),
	    format_count(task_view_number(stats, "connections_total"), c),
	    format_count(task_view_number(stats, "requests_total"), d));
	printf("%-8s  %s in the broker\n", "memory",
	    format_bytes(task_view_number(stats, "rss_bytes"), a));
}

static void
print_store(const json_t *info, const json_t *stats)
{
	const json_t *store = json_object_get(info, "store_state");
	const char *path = task_view_text(store, "path");
	char bytes[FORMAT_SIZE], commits[FORMAT_SIZE];

	if (path[0] == '\0')
		return;
	printf("%-8s  ", "store");
	text_print_clean(stdout, path);
	printf("  %s  %s commits\n",
	    format_bytes(task_view_number(stats, "store_bytes"), bytes),
	    format_count(task_view_number(stats, "store_commits"), commits));
}

static void
print_overview(const struct cli *cli, const json_t *overview)
{
	const json_t *info = json_object_get(overview, "info");
	const json_t *pools = json_object_get(overview, "pools");
	const json_t *queues = json_object_get(overview, "queues");

	print_head(cli, info);
	if (strcmp(task_view_text(info, "state"), "draining") == 0)
		print_alarm(cli, "draining: it takes no new tasks");
	alarm_store(cli, json_object_get(info, "store_state"),
	    json_object_get(overview, "stats"));
	alarm_pools(cli, pools);
	alarm_queues(cli, queues);
	alarm_holds(cli, json_object_get(overview, "stats"));
	putchar('\n');
	print_stats(cli, json_object_get(overview, "stats"));
	print_store(info, json_object_get(overview, "stats"));
	putchar('\n');
	lists_print_pools(cli, pools, 0);
	putchar('\n');
	lists_print_queues(cli, queues, 0);
}

static int
run(struct cli *cli, int argc, char **argv)
{
	json_t *overview;
	int status;

	while (cli_getopt(cli, argc, argv, CLI_SHORTS, longs) != -1)
		;
	cli_no_words(cli, argc);
	overview = json_object();
	status = get_overview(cli, overview);
	if (status == 0) {
		if (cli->json)
			cli_print_line(cli, overview);
		else
			print_overview(cli, overview);
	}
	json_decref(overview);
	return status;
}

const struct cmd cmd_status = {
    .name = "status",
    .usage = "",
    .summary = "Show the daemon at a glance",
    .options = "",
    .run = run,
};
