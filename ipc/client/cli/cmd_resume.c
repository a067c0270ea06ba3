/* SPDX-License-Identifier: ISC */
/*
 * cmd_resume.c - start tasks of a paused queue again
 */
#include <stdio.h>

#include "ipc/client/cli/queue_cmd.h"
#include "ipc/client/cli/task_view.h"

static void
tell(const char *queue, const json_t *result)
{
	printf("%s: goes on, %jd ready\n", queue,
	    (intmax_t)task_view_number(result, "ready"));
}

static int
run(struct cli *cli, int argc, char **argv)
{
	return queue_cmd_run(cli, argc, argv, "queue.resume", tell);
}

const struct cmd cmd_resume = {
    .name = "resume",
    .usage = " QUEUE ...",
    .summary = "Start tasks of a paused queue again",
    .options = "",
    .run = run,
};
