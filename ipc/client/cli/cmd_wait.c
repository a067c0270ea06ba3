/* SPDX-License-Identifier: ISC */
/*
 * cmd_wait.c - wait for tasks to end
 */
#include <stdio.h>
#include <stdlib.h>

#include "ipc/client/cli/await.h"
#include "ipc/client/cli/cli.h"
#include "ipc/client/cli/task_view.h"

enum { OPT_ANY = CLI_OPT_OWN, OPT_TIMEOUT };

static const struct option longs[] = {
    CLI_LONGS,
    {"any", no_argument, NULL, OPT_ANY},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {NULL, 0, NULL, 0},
};

/* Print the tasks that ended; the worst of their statuses. */
static int
report(struct cli *cli, const struct await *spec, json_t *result)
{
	const json_t *task, *pending;
	size_t i;
	int status;

	status = 0;
	json_array_foreach(json_object_get(result, "done"), i, task) {
		if (cli->json)
			cli_print_line(cli, task);
		else
			printf("%jd %s\n", (intmax_t)task_view_id(task),
			    task_view_text(task, "state"));
		if (task_view_status(cli, task) != 0)
			status = CLI_TASK_FAILED;
	}
	pending = json_object_get(result, "pending");
	if (json_array_size(pending) == 0 || (spec->any && i > 0))
		return status;
	if (spec->n == 1)
		cli_warn(cli, "task %ju has not ended in time",
		    (uintmax_t)spec->ids[0]);
	else
		cli_warn(cli, "%zu of %zu tasks have not ended in time",
		    json_array_size(pending), spec->n);
	return EX_TEMPFAIL;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	struct await spec = {.timeout_ms = -1};
	json_t *result;
	uint64_t *ids;
	int opt, status;

	while ((opt = cli_getopt(cli, argc, argv, CLI_SHORTS, longs)) != -1) {
		if (opt == OPT_ANY)
			spec.any = true;
		else
			spec.timeout_ms =
			    cli_duration(cli, "--timeout", optarg);
	}
	if (optind == argc)
		cli_usage(cli, "the ID of a task is missing");
	spec.n = (size_t)(argc - optind);
	spec.ids = ids = cli_ids(cli, argv + optind, spec.n);
	status = cli_connect(cli);
	if (status == 0)
		status = await_tasks(cli, &spec, &result);
	if (status == 0) {
		status = report(cli, &spec, result);
		json_decref(result);
	}
	free(ids);
	return status;
}

const struct cmd cmd_wait = {
    .name = "wait",
    .usage = " [--any] [--timeout D] ID ...",
    .summary = "Wait for tasks to end, and print their states",
    .options =
	"      --any            until the first of them has ended\n"
	"      --timeout D      at most so long (250ms, 30s, 5m, 1h, 2d)\n\n"
	"Exits with 1 when one failed, with 75 when the time is over.\n",
    .run = run,
};
