/* SPDX-License-Identifier: ISC */
/*
 * cmd_call.c - run a task and print its result
 *
 * Not task.call, which tells the task's id only at its end: a volatile submit
 * and a wait can show its progress, and can cancel it.
 */
#include "ipc/client/cli/await.h"
#include "ipc/client/cli/cli.h"
#include "ipc/client/cli/submit.h"
#include "ipc/client/cli/task_options.h"
#include "ipc/client/cli/task_view.h"

static const struct option longs[] = {
    CLI_LONGS,
    TASK_LONGS,
    {NULL, 0, NULL, 0},
};

/* Its caller waits and sees the loss: volatile unless told otherwise. */
static bool
set_lasting(const struct cli *cli, json_t *task)
{
	const json_t *durable = json_object_get(task, "durable");

	if (json_is_true(durable) ||
	    json_object_get(task, "idempotency_key") != NULL)
		return true;
	if (json_object_set_new(task, "durable", json_false()) < 0)
		cli_no_memory(cli);
	return false;
}

/* Wait for the task's end and print what came of it. */
static int
finish(struct cli *cli, uint64_t id, bool lasts)
{
	json_t *result, *task;
	int status;

	/* No other broker knows of a volatile task. */
	if (!lasts)
		ganger_client_set_reconnect(cli->client, 0);
	status = await_task(cli, id, -1, true, &result, &task);
	if (status == EX_UNAVAILABLE && !lasts)
		cli_warn(cli, "task %ju is lost: it was not --durable",
		    (uintmax_t)id);
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
	bool lasts;
	int opt, status;

	task = json_object();
	while ((opt = cli_getopt(
		    cli, argc, argv, CLI_SHORTS TASK_SHORTS, longs)) != -1)
		task_options_set(cli, task, opt);
	status = task_options_words(
	    cli, task, argv + optind, (size_t)(argc - optind));
	if (status != 0) {
		json_decref(task);
		return status;
	}
	lasts = set_lasting(cli, task);
	status = submit_task(cli, task, &answer);
	if (status != 0)
		return status;
	id = (uint64_t)task_view_id(answer);
	json_decref(answer);
	return finish(cli, id, lasts);
}

const struct cmd cmd_call = {
    .name = "call",
    .usage = " [options] NAME [ARGS]",
    .summary = "Run a task, wait, and print its result",
    .options =
	"ARGS is one JSON text, \"-\" to read it from standard input, or any\n"
	"number of KEY=VALUE, which make an object.\n\n" TASK_HELP TASK_HELP_ONE
	    TASK_HELP_END
	"\nIt is volatile unless --durable or --idempotency-key is given.\n"
	"Ctrl-C cancels the task; if it runs, it is asked to end.\n",
    .run = run,
};
