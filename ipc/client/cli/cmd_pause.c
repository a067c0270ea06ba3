/* SPDX-License-Identifier: ISC */
/*
 * cmd_pause.c - start no more tasks of a queue
 */
#include <stdio.h>

#include "ipc/client/cli/queue_cmd.h"
#include "ipc/client/cli/task_view.h"

static void
tell(const char *queue, const json_t *result)
{
	int64_t running = task_view_number(result, "running");

	printf("%s: paused", queue);
	if (running > 0)
		printf(", %jd still running", (intmax_t)running);
	putchar('\n');
}

static int
run(struct cli *cli, int argc, char **argv)
{
	return queue_cmd_run(cli, argc, argv, "queue.pause", tell);
}

const struct cmd cmd_pause = {
    .name = "pause",
    .usage = " QUEUE ...",
    .summary = "Start no more tasks of a queue",
    .options = "It goes on taking tasks, and what runs goes on.  A pause "
	       "outlasts the\ndaemon.\n",
    .run = run,
};
