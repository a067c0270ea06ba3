/* SPDX-License-Identifier: ISC */
/*
 * cmd_show.c - print all that is known about tasks
 */
#include <stdio.h>
#include <stdlib.h>

#include "ipc/client/cli/cli.h"
#include "ipc/client/cli/task_view.h"

static const struct option longs[] = {
    CLI_LONGS,
    {NULL, 0, NULL, 0},
};

static int
show(struct cli *cli, uint64_t id)
{
	json_t *task;
	int status;

	status = cli_request(
	    cli, "task.get", json_pack("{s:I}", "id", (json_int_t)id), &task);
	if (status != 0)
		return status;
	if (cli->json)
		cli_print_line(cli, task);
	else
		task_view_print(cli, task);
	json_decref(task);
	return 0;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	uint64_t *ids;
	size_t i, n;
	int status;

	while (cli_getopt(cli, argc, argv, CLI_SHORTS, longs) != -1)
		;
	if (optind == argc)
		cli_usage(cli, "the ID of a task is missing");
	n = (size_t)(argc - optind);
	ids = cli_ids(cli, argv + optind, n);
	status = 0;
	for (i = 0; i < n && status == 0; i++) {
		if (i > 0 && !cli->json)
			putchar('\n');
		status = show(cli, ids[i]);
	}
	free(ids);
	return status;
}

const struct cmd cmd_show = {
    .name = "show",
    .usage = " ID ...",
    .summary = "Print all that is known about tasks",
    .options = "",
    .run = run,
};
