/* SPDX-License-Identifier: ISC */
/*
 * submit.c - submit a task and tell what its answer says
 */
#include "ipc/client/cli/submit.h"

#include "ipc/client/cli/fail.h"
#include "ipc/client/cli/task_view.h"

static void
tell(const struct cli *cli, const json_t *answer)
{
	const char *warning = task_view_text(answer, "warning");
	const char *state = task_view_text(answer, "state");

	if (warning[0] != '\0')
		cli_warn(cli, "task %jd was accepted, and waits: %s",
		    (intmax_t)task_view_id(answer), warning);
	if (json_is_true(json_object_get(answer, "duplicate")))
		cli_warn(cli, "a duplicate of task %jd%s%s",
		    (intmax_t)task_view_id(answer),
		    state[0] != '\0' ? ", which is " : "", state);
}

int
submit_task(struct cli *cli, json_t *task, json_t **answer_out)
{
	struct ganger_error err;
	int r, status;

	status = cli_connect(cli);
	if (status != 0) {
		json_decref(task);
		return status;
	}
	r = ganger_client_submit_answer(cli->client, task, answer_out, &err);
	if (r < 0)
		return fail_call(cli, r, &err);
	tell(cli, *answer_out);
	return 0;
}
