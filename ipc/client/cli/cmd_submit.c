/* SPDX-License-Identifier: ISC */
/*
 * cmd_submit.c - submit a task and print its id
 */
#include <stdio.h>

#include "ipc/client/cli/await.h"
#include "ipc/client/cli/cli.h"
#include "ipc/client/cli/submit.h"
#include "ipc/client/cli/task_options.h"
#include "ipc/client/cli/task_view.h"

enum { OPT_WAIT = TASK_OPT_OTHER };

static const struct option longs[] = {
    CLI_LONGS,
    TASK_LONGS,
    {"wait", no_argument, NULL, OPT_WAIT},
    {NULL, 0, NULL, 0},
};

/* Wait for the task's end: its exit status. */
static int
wait_for_end(struct cli *cli, uint64_t id)
{
	json_t *result, *task;
	int status;

	fflush(stdout);
	status = await_task(cli, id, -1, true, &result, &task);
	if (status != 0)
		return status;
	if (cli->json)
		cli_print_line(cli, task);
	status = task_view_status(cli, task);
	json_decref(result);
	return status;
}

static int
submit(struct cli *cli, json_t *task, bool wait)
{
	json_t *answer;
	int64_t id;
	int status;

	status = submit_task(cli, task, &answer);
	if (status != 0)
		return status;
	id = task_view_id(answer);
	if (cli->json)
		cli_print_line(cli, answer);
	else
		printf("%jd\n", (intmax_t)id);
	json_decref(answer);
	return wait ? wait_for_end(cli, (uint64_t)id) : 0;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	bool wait = false;
	json_t *task;
	int opt, status;

	task = json_object();
	while ((opt = cli_getopt(
		    cli, argc, argv, CLI_SHORTS TASK_SHORTS, longs)) != -1) {
		if (opt == OPT_WAIT)
			wait = true;
		else
			task_options_set(cli, task, opt);
	}
	status = task_options_words(
	    cli, task, argv + optind, (size_t)(argc - optind));
	if (status != 0) {
		json_decref(task);
		return status;
	}
	return submit(cli, task, wait);
}

const struct cmd cmd_submit = {
    .name = "submit",
    .usage = " [options] NAME [ARGS]",
    .summary = "Submit a task and print its id",
    .options =
	"ARGS is one JSON text, \"-\" to read it from standard input, or any\n"
	"number of KEY=VALUE, which make an object.\n\n" TASK_HELP TASK_HELP_ONE
	"      --wait           wait for its end; exit 1 when it "
	"failed\n" TASK_HELP_END,
    .run = run,
};
