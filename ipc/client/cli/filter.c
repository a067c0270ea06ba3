/* SPDX-License-Identifier: ISC */
/*
 * filter.c - which tasks a command is for, when they are not named by id
 */
#include "ipc/client/cli/filter.h"

#include <stdio.h>
#include <stdlib.h>

#include "ipc/client/cli/duration.h"
#include "ipc/client/cli/task_view.h"
#include "ipc/clock.h"

/* RFC 3339, or a duration for so long ago. */
static json_t *
time_value(const struct cli *cli, const char *word)
{
	char text[WALL_SIZE];
	int64_t ms, ago;

	if (duration_parse(optarg, &ago) == 0) {
		ms = wall_now_ms();
		ms = ago < ms ? ms - ago : 0;
	} else if (wall_parse(optarg, &ms) < 0) {
		cli_usage(cli,
		    "%s: \"%s\" is neither a time, such as "
		    "2026-11-21T06:50:00Z, nor a duration, such as 1h",
		    word, optarg);
	}
	wall_format(ms, text);
	return json_string(text);
}

void
filter_set(const struct cli *cli, json_t *filter, int opt)
{
	const char *key;
	json_t *value;

	switch (opt) {
	case FILTER_OPT_SINCE:
		key = "since";
		value = time_value(cli, "--since");
		break;
	case FILTER_OPT_UNTIL:
		key = "until";
		value = time_value(cli, "--until");
		break;
	default:
		key = opt == 'q'                ? "queue"
		      : opt == FILTER_OPT_STATE ? "state"
						: "name";
		value = json_string(optarg);
		break;
	}
	if (json_object_set_new(filter, key, value) < 0)
		cli_usage(cli, "--%s: the value is not UTF-8", key);
}

json_t *
filter_params(
    const struct cli *cli, json_t *filter, char *const *words, size_t n)
{
	json_t *params;
	uint64_t *ids;

	if (n > 0 && json_object_size(filter) > 0)
		cli_usage(cli, "either IDs of tasks, or options that choose "
			       "them");
	if (n == 0 && json_object_size(filter) == 0)
		cli_usage(cli, "the ID of a task is missing");
	if (n == 0) {
		params = json_pack("{s:o}", "filter", filter);
	} else {
		json_decref(filter);
		ids = cli_ids(cli, words, n);
		params = json_pack("{s:o}", "ids", cli_pack_ids(cli, ids, n));
		free(ids);
	}
	if (params == NULL)
		cli_no_memory(cli);
	return params;
}

/* Tell what was done, and which tasks it was not done to. */
static int
report(struct cli *cli, const json_t *result, const char *done)
{
	const json_t *skipped, *task;
	int64_t count, cancelling;
	const char *reason;
	size_t i;

	count = task_view_number(result, "count");
	cancelling = task_view_number(result, "cancelling");
	if (cli->json)
		cli_print_line(cli, result);
	else if (count > 0 || cancelling == 0)
		printf("%jd task%s %s\n", (intmax_t)count,
		    count == 1 ? "" : "s", done);
	if (!cli->json && cancelling > 0)
		printf("%jd running task%s asked to end\n",
		    (intmax_t)cancelling, cancelling == 1 ? "" : "s");
	skipped = json_object_get(result, "skipped");
	json_array_foreach(skipped, i, task) {
		reason = task_view_text(task, "reason");
		cli_warn(cli, "task %jd is %s: not %s%s%s",
		    (intmax_t)task_view_id(task), task_view_text(task, "state"),
		    done, reason[0] == '\0' ? "" : ": ", reason);
	}
	return i > 0 ? EX_DATAERR : 0;
}

int
filter_apply(
    struct cli *cli, const char *method, json_t *params, const char *done)
{
	json_t *result;
	int status;

	status = cli_request(cli, method, params, &result);
	if (status != 0)
		return status;
	status = report(cli, result, done);
	json_decref(result);
	return status;
}
