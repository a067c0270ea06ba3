/* SPDX-License-Identifier: ISC */
/*
 * cmd_workers.c - list the workers
 */
#include "ipc/client/cli/lists.h"

static int
run(struct cli *cli, int argc, char **argv)
{
	return lists_run(cli, argc, argv, "worker.list", lists_print_workers);
}

const struct cmd cmd_workers = {
    .name = "workers",
    .usage = "",
    .summary = "List the worker processes and what they run",
    .options = "",
    .run = run,
};
