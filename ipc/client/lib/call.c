/* SPDX-License-Identifier: ISC */
/*
 * call.c - run a task and wait for its result
 *
 * task.call tells the id of its task only at the end: who has lost the
 * connection by then can't ask for it.  So a task that is to survive the broker
 * is submitted and waited for, and what comes is made to look like a call's.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ipc/client/lib/client.h"
#include "ipc/client/lib/submit.h"
#include "ipc/client/lib/task.h"
#include "ipc/proto.h"

/* Fill in *err_out, taking data; -EREMOTEIO, or -ENOMEM. */
static int
tell_error(
    struct ganger_error *err_out, int code, const char *message, json_t *data)
{
	struct ganger_error err = {.code = code, .data = data};

	if (err_out == NULL || data == NULL) {
		json_decref(data);
		return data == NULL ? -ENOMEM : -EREMOTEIO;
	}
	err.message = strdup(message);
	if (err.message == NULL) {
		json_decref(data);
		return -ENOMEM;
	}
	*err_out = err;
	return -EREMOTEIO;
}

static int
tell_timeout(struct ganger_error *err_out, uint64_t id)
{
	char message[64];

	snprintf(message, sizeof(message),
	    "task %" PRIu64 " has not ended in time", id);
	return tell_error(err_out, RPC_TIMED_OUT, message,
	    json_pack("{s:b, s:I}", "retryable", 1, "id", (json_int_t)id));
}

/* What a task that has ended without a result says. */
static int
tell_failure(struct ganger_error *err_out, uint64_t id, json_t *task)
{
	const char *message, *state;
	char text[64];

	message = json_string_value(
	    json_object_get(json_object_get(task, "error"), "message"));
	state = json_string_value(json_object_get(task, "state"));
	snprintf(text, sizeof(text), "task %" PRIu64 " %s", id,
	    state == NULL ? "failed" : state);
	return tell_error(err_out, RPC_TASK_FAILED,
	    message == NULL ? text : message,
	    json_pack("{s:b, s:I, s:O}", "retryable", 0, "id", (json_int_t)id,
		"task", task));
}

static int
take_outcome(uint64_t id, json_t *waited, json_t **result_out,
    struct ganger_error *err_out)
{
	json_t *task, *result;
	const char *state;

	task = json_array_get(json_object_get(waited, "done"), 0);
	if (task == NULL)
		return tell_timeout(err_out, id);
	state = json_string_value(json_object_get(task, "state"));
	if (state == NULL)
		return -EPROTO;
	if (strcmp(state, "succeeded") != 0)
		return tell_failure(err_out, id, task);
	result = json_object_get(task, "result");
	if (result == NULL)
		return -EPROTO;
	if (result_out != NULL)
		*result_out = json_incref(result);
	return 0;
}

/* Wait until `due` for a task that lasts. */
static int
call_wait(struct ganger_client *c, uint64_t id, struct mono due,
    json_t **result_out, struct ganger_error *err_out)
{
	json_t *waited;
	int r;

	r = task_wait(c, &id, 1, NULL, due, &waited, err_out);
	if (r == -ETIMEDOUT)
		return tell_timeout(err_out, id);
	if (r < 0)
		return r;
	r = take_outcome(id, waited, result_out, err_out);
	json_decref(waited);
	return r;
}

/* Takes task, which is lasting. */
static int
call_lasting(struct ganger_client *c, json_t *task, json_t **result_out,
    struct ganger_error *err_out)
{
	struct mono due = CONN_NEVER;
	json_t *wait_ms, *copy;
	uint64_t id;
	int r;

	copy = json_copy(task);
	wait_ms = json_object_get(task, "wait_ms");
	if (json_is_integer(wait_ms))
		due = mono_add_ms(mono_now(), json_integer_value(wait_ms));
	json_object_del(copy, "wait_ms");
	json_decref(task);
	if (copy == NULL)
		return -ENOMEM;
	r = ganger_client_submit(c, copy, &id, err_out);
	if (r < 0)
		return r;
	return call_wait(c, id, due, result_out, err_out);
}

int
ganger_client_call(struct ganger_client *c, json_t *task, json_t **result_out,
    struct ganger_error *err_out)
{
	json_t *ended, *result;
	int r;

	if (submit_is_lasting(task) && c->backoff.limit_ms != 0)
		return call_lasting(c, task, result_out, err_out);
	r = ganger_client_request(c, "task.call", task, &ended, err_out);
	if (r < 0)
		return r;
	result = json_object_get(ended, "result");
	if (result == NULL)
		r = -EPROTO;
	else if (result_out != NULL)
		*result_out = json_incref(result);
	json_decref(ended);
	return r;
}
