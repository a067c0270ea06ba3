/* SPDX-License-Identifier: ISC */
/*
 * order.c - what the broker tells a worker, read from a message
 */
#include "worker/order.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* Read an integer member of [min, max]; fallback, if >= min, when missing. */
static bool
get_int(const json_t *params, const char *key, int64_t min, int64_t max,
    int64_t fallback, int64_t *out)
{
	const json_t *v;
	int64_t n;

	v = json_object_get(params, key);
	if (v != NULL && !json_is_integer(v))
		return false;
	n = v == NULL ? fallback : json_integer_value(v);
	if (n < min || n > max)
		return false;
	*out = n;
	return true;
}

/* Read the two numbers that name a run of a task; both must be there. */
static const char *
get_run_numbers(const json_t *params, struct order *o)
{
	int64_t n;

	if (!get_int(params, "id", 0, INT64_MAX, -1, &n))
		return "\"id\" is not a task's number";
	o->id = (uint64_t)n;
	if (!get_int(params, "run", 0, INT64_MAX, -1, &n))
		return "\"run\" is not a run's number";
	o->run = (uint64_t)n;
	return NULL;
}

static const char *
get_cancel(const json_t *params, struct order *o)
{
	const char *reason;

	reason = get_run_numbers(params, o);
	if (reason != NULL)
		return reason;
	if (!get_int(params, "grace_ms", 0, INT64_MAX, 0, &o->grace_ms))
		return "\"grace_ms\" is not a length of time";
	return NULL;
}

static const char *
get_run(json_t *params, struct order *o)
{
	const char *reason;
	int64_t n;

	reason = get_run_numbers(params, o);
	if (reason != NULL)
		return reason;
	o->name = json_string_value(json_object_get(params, "name"));
	if (o->name == NULL)
		return "\"name\" is not a string";
	o->params = params;
	if (!get_int(params, "attempt", 1, UINT_MAX, 1, &n))
		return "\"attempt\" is not a positive number";
	o->attempt = (unsigned)n;
	if (!get_int(params, "timeout_ms", 0, INT64_MAX, 0, &o->timeout_ms))
		return "\"timeout_ms\" is not a length of time";
	if (!get_int(params, "soft_timeout_ms", 0, INT64_MAX, 0,
		&o->soft_timeout_ms))
		return "\"soft_timeout_ms\" is not a length of time";
	return NULL;
}

/* Read what m orders.  A reason why it is none, or NULL. */
static const char *
read_order(const struct rpc_msg *m, struct order *o, enum rpc_code *code)
{
	*code = RPC_INVALID_REQUEST;
	if (m->kind == RPC_INVALID)
		return m->reason;
	if (m->kind == RPC_RESPONSE)
		return "a response to nothing that was asked";
	*code = RPC_INVALID_PARAMS;
	if (strcmp(m->method, "task.run") == 0) {
		o->kind = ORDER_RUN;
		if (!json_is_integer(m->id))
			return "task.run without an integer as its id";
		o->rpc_id = json_integer_value(m->id);
		return get_run(m->params, o);
	}
	if (strcmp(m->method, "task.cancel") == 0) {
		o->kind = ORDER_CANCEL;
		return get_cancel(m->params, o);
	}
	if (strcmp(m->method, "worker.stop") == 0) {
		o->kind = ORDER_STOP;
		return NULL;
	}
	*code = RPC_METHOD_NOT_FOUND;
	return "no such method";
}

int
order_read(
    const struct rpc_msg *m, struct order *out, struct order_fault *fault_out)
{
	struct order o;

	memset(&o, 0, sizeof(o));
	memset(fault_out, 0, sizeof(*fault_out));
	fault_out->reason = read_order(m, &o, &fault_out->code);
	if (fault_out->reason == NULL) {
		*out = o;
		return 0;
	}
	if (m->kind == RPC_REQUEST && json_is_integer(m->id)) {
		fault_out->answerable = true;
		fault_out->rpc_id = json_integer_value(m->id);
	}
	return -EINVAL;
}

json_t *
order_take_args(const struct order *o)
{
	json_t *args;

	args = json_incref(json_object_get(o->params, "args"));
	if (args == NULL)
		return json_null();
	(void)json_object_del(o->params, "args");
	return args;
}
