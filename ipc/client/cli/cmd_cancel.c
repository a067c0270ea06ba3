/* SPDX-License-Identifier: ISC */
/*
 * cmd_cancel.c - cancel tasks
 */
#include <stdio.h>
#include <stdlib.h>

#include "ipc/client/cli/cli.h"
#include "ipc/client/cli/task_view.h"

enum { OPT_FORCE = CLI_OPT_OWN };

static const struct option longs[] = {
    CLI_LONGS,
    {"force", no_argument, NULL, OPT_FORCE},
    {NULL, 0, NULL, 0},
};

/* Tell how many were cancelled, and which were not. */
static int
report(struct cli *cli, const json_t *result)
{
	const json_t *skipped, *task;
	int64_t count;
	size_t i;

	if (cli->json) {
		cli_print_line(cli, result);
	} else {
		count = task_view_number(result, "count");
		printf("%jd task%s cancelled\n", (intmax_t)count,
		    count == 1 ? "" : "s");
	}
	skipped = json_object_get(result, "skipped");
	json_array_foreach(skipped, i, task) {
		cli_warn(cli, "task %jd is %s: not cancelled",
		    (intmax_t)task_view_id(task),
		    task_view_text(task, "state"));
	}
	return json_array_size(skipped) > 0 ? EX_DATAERR : 0;
}

static int
cancel(struct cli *cli, const uint64_t *ids, size_t n, bool force)
{
	json_t *params, *result;
	int status;

	params = json_pack("{s:o}", "ids", cli_pack_ids(cli, ids, n));
	if (params == NULL ||
	    (force && json_object_set_new(params, "force", json_true()) < 0))
		cli_no_memory(cli);
	status = cli_request(cli, "task.cancel", params, &result);
	if (status != 0)
		return status;
	status = report(cli, result);
	json_decref(result);
	return status;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	bool force = false;
	uint64_t *ids;
	size_t n;
	int status;

	while (cli_getopt(cli, argc, argv, CLI_SHORTS, longs) != -1)
		force = true;
	if (optind == argc)
		cli_usage(cli, "the ID of a task is missing");
	n = (size_t)(argc - optind);
	ids = cli_ids(cli, argv + optind, n);
	status = cancel(cli, ids, n, force);
	free(ids);
	return status;
}

const struct cmd cmd_cancel = {
    .name = "cancel",
    .usage = " [--force] ID ...",
    .summary = "Cancel tasks that have not started",
    .options = "      --force          those that run, too\n\n"
	       "Exits with 65 when one could not be cancelled.\n",
    .run = run,
};
