/* SPDX-License-Identifier: ISC */
/*
 * task.c - the methods that most clients need, as functions
 *
 * Each builds the parameters and takes from the result what its caller wants.
 */
#include "ipc/client/lib/task.h"

#include <errno.h>

#include "ipc/client/lib/client.h"
#include "ipc/client/lib/reconnect.h"
#include "ipc/proto.h"

/* Ids above this can't be said in JSON as jansson has it. */
#define ID_MAX ((uint64_t)INT64_MAX)

int
ganger_client_get(struct ganger_client *c, uint64_t id, json_t **task_out,
    struct ganger_error *err_out)
{
	json_t *params;
	int r;

	if (id > ID_MAX)
		return -EINVAL;
	params = json_pack("{s:I}", "id", (json_int_t)id);
	r = reconnect_request(c, "task.get", params, NULL, task_out, err_out);
	json_decref(params);
	return r;
}

/* {"ids": [...]}; NULL: out of memory, or an id that can't be one. */
static json_t *
pack_ids(const uint64_t *ids, size_t n)
{
	json_t *list;
	size_t i;

	list = json_array();
	for (i = 0; i < n; i++) {
		if (ids[i] > ID_MAX ||
		    json_array_append_new(
			list, json_integer((json_int_t)ids[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return json_pack("{s:o}", "ids", list);
}

/* One task.wait, until `due`; borrows params. */
static int
wait_once(struct ganger_client *c, json_t *params, struct mono due,
    json_t **result_out, struct ganger_error *err_out)
{
	int64_t left;

	if (due.ns != CONN_NEVER.ns) {
		left = mono_until_ms(mono_now(), due);
		if (json_object_set_new(params, "timeout_ms",
			json_integer(left < 0 ? 0 : left)) < 0)
			return -ENOMEM;
	}
	return client_ask(c, "task.wait", params, result_out, err_out);
}

/*
 * Ask, and when the daemon goes away, ask the next one.  Each is told the whole
 * wait: a task that ended in between is seen as one that has ended.
 */
static int
wait_on(struct ganger_client *c, json_t *params, struct mono due,
    json_t **result_out, struct ganger_error *err_out)
{
	struct ganger_error err = {0};
	int r, again;

	r = reconnect_check(c);
	if (r == 0)
		r = wait_once(c, params, due, result_out, &err);
	for (;;) {
		if (reconnect_is_loss(r))
			again = reconnect(c, due);
		else if (r == -EREMOTEIO && err.code == RPC_DRAINING)
			again = reconnect_to_next(c, due);
		else
			break;
		if (again == -EINTR || again == -ETIMEDOUT || again == -ENOMEM)
			r = again;
		if (again < 0)
			break;
		ganger_error_done(&err);
		r = wait_once(c, params, due, result_out, &err);
	}
	if (r == -EREMOTEIO && err_out != NULL)
		*err_out = err;
	else
		ganger_error_done(&err);
	return r;
}

int
task_wait(struct ganger_client *c, const uint64_t *ids, size_t n,
    const char *mode, struct mono due, json_t **result_out,
    struct ganger_error *err_out)
{
	json_t *params;
	int r;

	params = pack_ids(ids, n);
	if (params == NULL)
		return -EINVAL;
	if (mode != NULL &&
	    json_object_set_new(params, "mode", json_string(mode)) < 0)
		r = -ENOMEM;
	else
		r = wait_on(c, params, due, result_out, err_out);
	json_decref(params);
	return r;
}

static struct mono
wait_due(int64_t timeout_ms)
{
	return timeout_ms < 0 ? CONN_NEVER
			      : mono_add_ms(mono_now(), timeout_ms);
}

int
ganger_client_wait(struct ganger_client *c, const uint64_t *ids, size_t n,
    int64_t timeout_ms, json_t **result_out, struct ganger_error *err_out)
{
	return task_wait(
	    c, ids, n, NULL, wait_due(timeout_ms), result_out, err_out);
}

int
ganger_client_wait_any(struct ganger_client *c, const uint64_t *ids, size_t n,
    int64_t timeout_ms, json_t **result_out, struct ganger_error *err_out)
{
	return task_wait(
	    c, ids, n, "any", wait_due(timeout_ms), result_out, err_out);
}

int
ganger_client_cancel(struct ganger_client *c, const uint64_t *ids, size_t n,
    json_t **result_out, struct ganger_error *err_out)
{
	return ganger_client_request(
	    c, "task.cancel", pack_ids(ids, n), result_out, err_out);
}
