/* SPDX-License-Identifier: ISC */
/*
 * await.c - wait for tasks, with their progress on a terminal
 *
 * Without a terminal this is one task.wait.  With one it is a row of short
 * ones, and between them a look at how far the task is.
 */
#include "ipc/client/cli/await.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ipc/client/cli/fail.h"
#include "ipc/client/cli/format.h"
#include "ipc/client/cli/interrupt.h"
#include "ipc/client/cli/progress.h"
#include "ipc/client/cli/rate.h"
#include "ipc/client/cli/task_view.h"
#include "ipc/clock.h"
#include "ipc/proto.h"

/* What ends within the first look is not worth a line. */
#define FIRST_LOOK_MS 300
#define NEXT_LOOK_MS  200
/* An interrupted user is not kept waiting for a daemon that hangs. */
#define CANCEL_TIMEOUT_MS 2000

struct awaiting {
	struct cli *cli;
	const struct await *spec;
	struct mono due; /* of spec->timeout_ms */
	struct rate rate;
	bool drawn; /* a progress line is on stderr */
};

/* How long the next task.wait may take; negative: without end. */
static int64_t
next_step(const struct awaiting *a, bool first)
{
	int64_t left, step;

	step = first ? FIRST_LOOK_MS : NEXT_LOOK_MS;
	if (a->spec->timeout_ms < 0)
		return a->cli->err_capable ? step : -1;
	left = mono_until_ms(mono_now(), a->due);
	if (left < 0)
		left = 0;
	return a->cli->err_capable && step < left ? step : left;
}

/* One task.wait of at most step_ms: libganger's result. */
static int
wait_once(struct awaiting *a, int64_t step_ms, json_t **result_out,
    struct ganger_error *err)
{
	const struct await *spec = a->spec;

	return (spec->any ? ganger_client_wait_any : ganger_client_wait)(
	    a->cli->client, spec->ids, spec->n, step_ms, result_out, err);
}

static void
draw_task(struct awaiting *a, const json_t *task)
{
	const json_t *told = json_object_get(task, "progress");
	struct progress p = {.per_s = -1, .left_ms = -1};
	char note[256], span[FORMAT_SIZE];
	int64_t took;

	if (told == NULL) {
		if (!task_view_took(task, wall_now_ms(), &took))
			took = 0;
		snprintf(note, sizeof(note), "task %jd is %s  %s",
		    (intmax_t)task_view_id(task), task_view_text(task, "state"),
		    took > 0 ? format_span(took, span) : "");
		progress_draw_note(note);
		return;
	}
	p.done = (uint64_t)task_view_number(told, "done");
	p.total = (uint64_t)task_view_number(told, "total");
	p.note = task_view_text(told, "note");
	rate_update(&a->rate, mono_now(), p.done);
	p.left_ms = rate_left_ms(&a->rate, p.total);
	progress_draw(&p, a->cli->err_colour);
}

/* Show how far it is: of a single task its own progress, else how many. */
static int
look(struct awaiting *a, const json_t *result, struct ganger_error *err)
{
	struct progress p = {.per_s = -1, .left_ms = -1};
	json_t *task;
	int r;

	if (!a->cli->err_capable)
		return 0;
	a->drawn = true;
	if (a->spec->n > 1) {
		p.done = json_array_size(json_object_get(result, "done"));
		p.total = a->spec->n;
		progress_draw(&p, a->cli->err_colour);
		return 0;
	}
	r = ganger_client_get(a->cli->client, a->spec->ids[0], &task, err);
	if (r < 0)
		return r;
	draw_task(a, task);
	json_decref(task);
	return 0;
}

static bool
time_is_over(const struct awaiting *a)
{
	return a->spec->timeout_ms >= 0 && mono_reached(mono_now(), a->due);
}

static bool
is_over(const struct awaiting *a, const json_t *result)
{
	if (json_array_size(json_object_get(result, "pending")) == 0)
		return true;
	if (a->spec->any &&
	    json_array_size(json_object_get(result, "done")) > 0)
		return true;
	return time_is_over(a);
}

static int
wait_all(struct awaiting *a, json_t **result_out, struct ganger_error *err)
{
	json_t *result;
	bool first;
	int r;

	for (first = true;; first = false) {
		r = wait_once(a, next_step(a, first), &result, err);
		/* No daemon was there for the whole step. */
		if (r == -ETIMEDOUT && !time_is_over(a))
			continue;
		if (r < 0)
			return r;
		if (is_over(a, result)) {
			*result_out = result;
			return 0;
		}
		r = look(a, result, err);
		json_decref(result);
		if (r < 0)
			return r;
	}
}

/* Say what came of a cancel. */
static void
tell_cancelled(const struct awaiting *a, const json_t *result)
{
	int64_t count = task_view_number(result, "count");
	int64_t asked = task_view_number(result, "cancelling");

	if (a->spec->n > 1)
		cli_warn(a->cli,
		    "%jd of %zu tasks are cancelled, %jd are asked to end",
		    (intmax_t)count, a->spec->n, (intmax_t)asked);
	else
		cli_warn(a->cli, "task %ju %s", (uintmax_t)a->spec->ids[0],
		    count > 0   ? "is cancelled"
		    : asked > 0 ? "is running, and is asked to end"
				: "has ended already");
}

/* Cancel what has not ended, and say what came of it. */
static void
cancel_rest(struct awaiting *a)
{
	struct ganger_client *client = a->cli->client;
	struct ganger_reply reply;
	json_t *params;
	uint64_t id;
	int r;

	params = json_pack(
	    "{s:o}", "ids", cli_pack_ids(a->cli, a->spec->ids, a->spec->n));
	if (params == NULL)
		cli_no_memory(a->cli);
	r = ganger_client_send(client, "task.cancel", params, &id);
	json_decref(params);
	if (r == 0)
		r = ganger_client_take(client, id, CANCEL_TIMEOUT_MS, &reply);
	if (r < 0) {
		fail_call(a->cli, r, NULL);
		return;
	}
	if (reply.error.code != 0 && reply.error.code != RPC_WRONG_STATE)
		fail_call(a->cli, -EREMOTEIO, &reply.error);
	else
		tell_cancelled(a, reply.result);
	ganger_reply_done(&reply);
}

int
await_tasks(struct cli *cli, const struct await *spec, json_t **result_out)
{
	struct awaiting a = {.cli = cli, .spec = spec};
	struct ganger_error err;
	int r;

	r = interrupt_open();
	if (r < 0)
		return fail_call(cli, r, NULL);
	ganger_client_set_wake_fd(cli->client, interrupt_fd());
	rate_init(&a.rate, mono_now());
	a.due = mono_add_ms(mono_now(), spec->timeout_ms);
	r = wait_all(&a, result_out, &err);
	ganger_client_set_wake_fd(cli->client, -1);
	if (a.drawn)
		progress_erase();
	if (r == -EINTR) {
		if (spec->cancel)
			cancel_rest(&a);
		r = CLI_SIGNALLED(interrupt_signal());
	} else if (r < 0) {
		r = fail_call(cli, r, &err);
	}
	interrupt_close();
	return r;
}

int
await_task(struct cli *cli, uint64_t id, int64_t timeout_ms, bool cancel,
    json_t **result_out, json_t **task_out)
{
	struct await spec = {
	    .ids = &id, .n = 1, .timeout_ms = timeout_ms, .cancel = cancel};
	json_t *result = NULL, *task;
	int status;

	status = await_tasks(cli, &spec, &result);
	if (status != 0)
		return status;
	task = json_array_get(json_object_get(result, "done"), 0);
	if (task == NULL) {
		json_decref(result);
		cli_warn(cli, "task %ju has not ended in time", (uintmax_t)id);
		return EX_TEMPFAIL;
	}
	*result_out = result;
	*task_out = task;
	return 0;
}
