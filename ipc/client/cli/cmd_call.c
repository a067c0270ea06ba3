/* SPDX-License-Identifier: ISC */
/*
 * cmd_call.c - run a task and print its result
 *
 * Not task.call, which tells the task's id only at its end: a volatile submit
 * and a wait can show its progress, and can cancel it.
 */
#include "ipc/client/cli/await.h"
#include "ipc/client/cli/cli.h"
#include "ipc/client/cli/task_options.h"
#include "ipc/client/cli/task_view.h"

static const struct option longs[] = {
    CLI_LONGS,
    TASK_LONGS,
    {NULL, 0, NULL, 0},
};

/* Wait for the task's end and print what came of it. */
static int
finish(struct cli *cli, uint64_t id)
{
	json_t *result, *task;
	int status;

	status = await_task(cli, id, -1, true, &result, &task);
	if (status != 0)
		return status;
	status = task_view_status(cli, task);
	if (status == 0)
		cli_print_json(cli, json_object_get(task, "result"));
	json_decref(result);
	return status;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	json_t *task, *answer;
	uint64_t id;
	int opt, status;

	task = json_pack("{s:b}", "durable", 0);
	while ((opt = cli_getopt(
		    cli, argc, argv, CLI_SHORTS TASK_SHORTS, longs)) != -1)
		task_options_set(cli, task, opt);
	status = task_options_words(
	    cli, task, argv + optind, (size_t)(argc - optind));
	if (status != 0) {
		json_decref(task);
		return status;
	}
	status = cli_request(cli, "task.submit", task, &answer);
	if (status != 0)
		return status;
	id = (uint64_t)task_view_id(answer);
	task_view_warn(cli, answer);
	json_decref(answer);
	return finish(cli, id);
}

const struct cmd cmd_call = {
    .name = "call",
    .usage = " [options] NAME [ARGS]",
    .summary = "Run a task, wait, and print its result",
    .options =
	"ARGS is one JSON text, \"-\" to read it from standard input, or any\n"
	"number of KEY=VALUE, which make an object.\n\n" TASK_HELP
	"\nCtrl-C cancels the task if it has not started.\n",
    .run = run,
};
