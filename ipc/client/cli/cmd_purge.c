/* SPDX-License-Identifier: ISC */
/*
 * cmd_purge.c - cancel all that waits in a queue
 */
#include <stdio.h>

#include "ipc/client/cli/queue_cmd.h"
#include "ipc/client/cli/task_view.h"

static void
tell(const char *queue, const json_t *result)
{
	int64_t count = task_view_number(result, "count");

	printf("%s: %jd task%s cancelled\n", queue, (intmax_t)count,
	    count == 1 ? "" : "s");
}

static int
run(struct cli *cli, int argc, char **argv)
{
	return queue_cmd_run(cli, argc, argv, "queue.purge", tell);
}

const struct cmd cmd_purge = {
    .name = "purge",
    .usage = " QUEUE ...",
    .summary = "Cancel all tasks that wait in a queue",
    .options = "What runs goes on.\n",
    .run = run,
};
