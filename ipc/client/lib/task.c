/* SPDX-License-Identifier: ISC */
/*
 * task.c - the methods that most clients need, as functions
 *
 * Each builds the parameters and takes from the result what its caller wants.
 */
#include <errno.h>

#include "ipc/client/client.h"

/* Ids above this can't be said in JSON as jansson has it. */
#define ID_MAX ((uint64_t)INT64_MAX)

int
ganger_client_submit(struct ganger_client *c, json_t *task, uint64_t *id_out,
    struct ganger_error *err_out)
{
	json_t *answer, *id;
	int r;

	r = ganger_client_request(c, "task.submit", task, &answer, err_out);
	if (r < 0)
		return r;
	id = json_object_get(answer, "id");
	if (!json_is_integer(id))
		r = -EPROTO;
	else if (id_out != NULL)
		*id_out = (uint64_t)json_integer_value(id);
	json_decref(answer);
	return r;
}

int
ganger_client_submit_many(struct ganger_client *c, json_t *tasks,
    json_t **answers_out, struct ganger_error *err_out)
{
	return ganger_client_request(c, "task.submit_many",
	    json_pack("{s:o}", "tasks", tasks), answers_out, err_out);
}

int
ganger_client_call(struct ganger_client *c, json_t *task, json_t **result_out,
    struct ganger_error *err_out)
{
	json_t *ended, *result;
	int r;

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

int
ganger_client_get(struct ganger_client *c, uint64_t id, json_t **task_out,
    struct ganger_error *err_out)
{
	if (id > ID_MAX)
		return -EINVAL;
	return ganger_client_request(c, "task.get",
	    json_pack("{s:I}", "id", (json_int_t)id), task_out, err_out);
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

int
ganger_client_wait(struct ganger_client *c, const uint64_t *ids, size_t n,
    int64_t timeout_ms, json_t **result_out, struct ganger_error *err_out)
{
	json_t *params;

	params = pack_ids(ids, n);
	if (timeout_ms >= 0 && json_object_set_new(params, "timeout_ms",
				   json_integer(timeout_ms)) < 0) {
		json_decref(params);
		return -ENOMEM;
	}
	return ganger_client_request(
	    c, "task.wait", params, result_out, err_out);
}

int
ganger_client_cancel(struct ganger_client *c, const uint64_t *ids, size_t n,
    json_t **result_out, struct ganger_error *err_out)
{
	return ganger_client_request(
	    c, "task.cancel", pack_ids(ids, n), result_out, err_out);
}
