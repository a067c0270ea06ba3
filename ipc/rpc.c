/* SPDX-License-Identifier: ISC */
/*
 * rpc.c - read and write JSON-RPC 2.0
 *
 * A request is told from a response by its "method" member.  A request that is
 * malformed but has a usable id keeps it, so that the error reaches the right
 * caller; otherwise the answer's id is null, as the specification has it.
 */
#include "ipc/rpc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ipc/json.h"

int
rpc_read(const char *line, size_t len, struct rpc_text *out, char *reason)
{
	json_error_t err;
	json_t *root;

	root = json_loadb(line, len, JSON_READ_FLAGS, &err);
	if (root == NULL) {
		snprintf(reason, RPC_REASON_SIZE, "%s at byte %d", err.text,
		    err.position);
		return -EINVAL;
	}
	out->batch = json_is_array(root);
	out->n = out->batch ? json_array_size(root) : 1;
	if (out->n == 0 || out->n > PROTO_BATCH_MAX) {
		int r = out->n == 0 ? -ENOMSG : -E2BIG;

		snprintf(reason, RPC_REASON_SIZE,
		    r == -ENOMSG ? "an empty batch"
				 : "a batch over %d requests",
		    PROTO_BATCH_MAX);
		json_decref(root);
		return r;
	}
	out->root = root;
	return 0;
}

void
rpc_text_done(struct rpc_text *t)
{
	if (t == NULL)
		return;
	json_decref(t->root);
	t->root = NULL;
}

static bool
is_id(const json_t *id)
{
	return json_is_string(id) || json_is_number(id) || json_is_null(id);
}

static void
set_invalid(struct rpc_msg *m, const char *reason)
{
	m->kind = RPC_INVALID;
	m->reason = reason;
}

static void
get_request(json_t *v, json_t *method, struct rpc_msg *m)
{
	json_t *id;

	id = json_object_get(v, "id");
	if (id != NULL && !is_id(id)) {
		m->id = NULL;
		set_invalid(m, "\"id\" is neither string, number nor null");
		return;
	}
	m->params = json_object_get(v, "params");
	m->method = json_string_value(method);
	if (m->method == NULL)
		set_invalid(m, "\"method\" is not a string");
	else if (m->params != NULL && !json_is_object(m->params) &&
		 !json_is_array(m->params))
		set_invalid(m, "\"params\" is neither array nor object");
	else
		m->kind = id == NULL ? RPC_NOTIFICATION : RPC_REQUEST;
}

static void
get_response(json_t *v, struct rpc_msg *m)
{
	m->result = json_object_get(v, "result");
	m->error = json_object_get(v, "error");
	if ((m->result == NULL) == (m->error == NULL))
		set_invalid(m, "neither a request nor a response");
	else if (m->error != NULL && !json_is_object(m->error))
		set_invalid(m, "\"error\" is not an object");
	else if (m->id == NULL)
		set_invalid(m, "a response without an \"id\"");
	else
		m->kind = RPC_RESPONSE;
}

void
rpc_text_get(const struct rpc_text *t, size_t i, struct rpc_msg *out)
{
	json_t *v, *method;
	const char *version;

	memset(out, 0, sizeof(*out));
	v = t->batch ? json_array_get(t->root, i) : t->root;
	if (!json_is_object(v)) {
		set_invalid(out, "not an object");
		return;
	}
	out->id = json_object_get(v, "id");
	if (!is_id(out->id))
		out->id = NULL;
	version = json_string_value(json_object_get(v, "jsonrpc"));
	if (version == NULL || strcmp(version, "2.0") != 0) {
		set_invalid(out, "\"jsonrpc\" is not \"2.0\"");
		return;
	}
	method = json_object_get(v, "method");
	if (method != NULL)
		get_request(v, method, out);
	else
		get_response(v, out);
}

void
rpc_open_result(struct buf *b, const char *id, size_t id_len)
{
	buf_adds(b, "{\"jsonrpc\":\"2.0\",\"id\":");
	buf_add(b, id, id_len);
	buf_adds(b, ",\"result\":");
}

void
rpc_close(struct buf *b)
{
	buf_add(b, "}\n", 2);
}

void
rpc_open_error(struct buf *b, const char *id, size_t id_len)
{
	buf_adds(b, "{\"jsonrpc\":\"2.0\",\"id\":");
	if (id == NULL)
		buf_adds(b, "null");
	else
		buf_add(b, id, id_len);
	buf_adds(b, ",\"error\":");
}

void
rpc_write_error(struct buf *b, const char *id, size_t id_len,
    enum rpc_code code, const char *message, const char *data)
{
	rpc_open_error(b, id, id_len);
	buf_adds(b, "{\"code\":");
	buf_add_int(b, code);
	buf_adds(b, ",\"message\":");
	buf_add_json_cstr(b, message);
	if (data != NULL) {
		buf_adds(b, ",\"data\":");
		buf_adds(b, data);
	}
	buf_addc(b, '}');
	rpc_close(b);
}

void
rpc_open_request(struct buf *b, uint64_t id, const char *method)
{
	buf_adds(b, "{\"jsonrpc\":\"2.0\",\"id\":");
	buf_add_uint(b, id);
	buf_adds(b, ",\"method\":\"");
	buf_adds(b, method);
	buf_adds(b, "\",\"params\":");
}

void
rpc_open_notification(struct buf *b, const char *method)
{
	buf_adds(b, "{\"jsonrpc\":\"2.0\",\"method\":\"");
	buf_adds(b, method);
	buf_adds(b, "\",\"params\":");
}

const char *
rpc_code_text(enum rpc_code code)
{
	static const struct {
		enum rpc_code code;
		const char *text;
	} texts[] = {
	    {RPC_PARSE_ERROR, "Parse error"},
	    {RPC_INVALID_REQUEST, "Invalid Request"},
	    {RPC_METHOD_NOT_FOUND, "Method not found"},
	    {RPC_INVALID_PARAMS, "Invalid params"},
	    {RPC_INTERNAL_ERROR, "Internal error"},
	    {RPC_NOT_PERMITTED, "Not permitted"},
	    {RPC_RATE_LIMITED, "Rate limited"},
	    {RPC_QUEUE_FULL, "Queue full"},
	    {RPC_DUPLICATE, "Duplicate"},
	    {RPC_NO_SUCH_TASK, "No such task"},
	    {RPC_WRONG_STATE, "Wrong state"},
	    {RPC_TOO_LARGE, "Too large"},
	    {RPC_DRAINING, "Draining"},
	    {RPC_STORAGE, "Storage error"},
	    {RPC_NO_SUCH_NAME, "No such queue or task name"},
	    {RPC_TIMED_OUT, "Timed out"},
	    {RPC_TASK_FAILED, "Task failed"},
	};
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].code == code)
			return texts[i].text;
	return "Error";
}
