/* SPDX-License-Identifier: ISC */
/*
 * cmd_queues.c - list the queues
 */
#include "ipc/client/cli/lists.h"

static int
run(struct cli *cli, int argc, char **argv)
{
	return lists_run(cli, argc, argv, "queue.list", lists_print_queues);
}

const struct cmd cmd_queues = {
    .name = "queues",
    .usage = "",
    .summary = "List the queues and what is in them",
    .options = "",
    .run = run,
};
