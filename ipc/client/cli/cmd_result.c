/* SPDX-License-Identifier: ISC */
/*
 * cmd_result.c - print the result of a task
 */
#include "ipc/client/cli/await.h"
#include "ipc/client/cli/cli.h"
#include "ipc/client/cli/task_view.h"

enum { OPT_WAIT = CLI_OPT_OWN, OPT_TIMEOUT };

static const struct option longs[] = {
    CLI_LONGS,
    {"wait", no_argument, NULL, OPT_WAIT},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {NULL, 0, NULL, 0},
};

static int
print_result(struct cli *cli, const json_t *task)
{
	int status;

	if (!task_view_has_ended(task)) {
		cli_warn(cli, "task %jd has not ended: it is %s",
		    (intmax_t)task_view_id(task),
		    task_view_text(task, "state"));
		return EX_TEMPFAIL;
	}
	status = task_view_status(cli, task);
	if (status == 0)
		cli_print_json(cli, json_object_get(task, "result"));
	return status;
}

static int
get_now(struct cli *cli, uint64_t id)
{
	json_t *task;
	int status;

	status = cli_request(
	    cli, "task.get", json_pack("{s:I}", "id", (json_int_t)id), &task);
	if (status != 0)
		return status;
	status = print_result(cli, task);
	json_decref(task);
	return status;
}

static int
get_later(struct cli *cli, uint64_t id, int64_t timeout_ms)
{
	json_t *result, *task;
	int status;

	status = cli_connect(cli);
	if (status == 0)
		status = await_task(cli, id, timeout_ms, false, &result, &task);
	if (status != 0)
		return status;
	status = print_result(cli, task);
	json_decref(result);
	return status;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	int64_t timeout_ms = -1;
	bool wait = false;
	uint64_t id;
	int opt;

	while ((opt = cli_getopt(cli, argc, argv, CLI_SHORTS, longs)) != -1) {
		wait = true;
		if (opt == OPT_TIMEOUT)
			timeout_ms = cli_duration(cli, "--timeout", optarg);
	}
	if (argc - optind != 1)
		cli_usage(cli, "one ID of a task is wanted");
	id = (uint64_t)cli_number(cli, "ID", argv[optind], 0, INT64_MAX);
	return wait ? get_later(cli, id, timeout_ms) : get_now(cli, id);
}

const struct cmd cmd_result = {
    .name = "result",
    .usage = " [--wait] [--timeout D] ID",
    .summary = "Print the result of a task",
    .options = "      --wait           wait for its end first\n"
	       "      --timeout D      the same, at most so long\n\n"
	       "Exits with 75 when the task has not ended.\n",
    .run = run,
};
