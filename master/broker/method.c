/* SPDX-License-Identifier: ISC */
/*
 * method.c - find, check and run what a client calls
 */
#include "master/broker/method.h"

#include <string.h>

#include "ipc/json.h"
#include "master/broker/access.h"

static const struct method *const tables[] = {
    method_submit_table,
    method_task_table,
    method_change_table,
    method_queue_table,
    method_server_table,
    method_admin_table,
};
#define N_TABLES (sizeof(tables) / sizeof(tables[0]))

/* Open task.wait and task.call of all clients, and the ids in them. */
#define WAITERS_MAX    100000
#define LINKS_MAX      4000000
#define CONN_LINKS_MAX 100000 /* of one client */

static const struct method *
find(const char *name)
{
	const struct method *m;
	size_t i;

	for (i = 0; i < N_TABLES; i++)
		for (m = tables[i]; m->name != NULL; m++)
			if (strcmp(m->name, name) == 0)
				return m;
	return NULL;
}

void
method_run(
    struct broker *b, struct call *call, const char *name, json_t *params)
{
	struct param values[PARAMS_MAX];
	const struct method *m;
	struct fault f;

	m = find(name);
	if (m == NULL) {
		fault_set(&f, RPC_METHOD_NOT_FOUND,
		    "there is no method \"%.64s\"; rpc.discover lists them",
		    name);
		call_error(call, &f);
		return;
	}
	if ((call->conn->may >> m->class & 1) == 0) {
		fault_set(&f, RPC_NOT_PERMITTED,
		    "uid %u may not call %s: it is of class %s",
		    (unsigned)call->conn->cred.uid, m->name,
		    access_class_name(m->class));
		call_error(call, &f);
		return;
	}
	if (params_read(params, m->params, m->n_params, values, &f) < 0) {
		call_error(call, &f);
		return;
	}
	m->run(b, call, values);
}

void
method_no_memory(struct call *call)
{
	struct fault f;

	fault_set(&f, RPC_INTERNAL_ERROR, "out of memory");
	f.retryable = true;
	call_error(call, &f);
}

void
method_not_kept(const struct broker *b, int err, struct fault *f)
{
	fault_set(f, RPC_STORAGE, "it is done, but not kept so far: %s",
	    b->store_failing != 0 ? b->store_why : store_strerror(err));
	f->retryable = true;
}

bool
method_refuse_waiter(struct broker *b, struct call *call, size_t n)
{
	struct fault f;

	if (b->n_waiters < WAITERS_MAX && b->n_links + n <= LINKS_MAX &&
	    call->conn->n_links + n <= CONN_LINKS_MAX)
		return false;
	fault_set(
	    &f, RPC_RATE_LIMITED, "too many tasks are waited for already");
	f.retryable = true;
	f.retry_after_ms = 1000;
	call_error(call, &f);
	return true;
}

static void
add_method(const struct method *m, struct buf *out)
{
	size_t i;

	buf_adds(out, "{\"name\":");
	buf_add_json_cstr(out, m->name);
	buf_adds(out, ",\"class\":");
	buf_add_json_cstr(out, access_class_name(m->class));
	buf_adds(out, ",\"params\":[");
	for (i = 0; i < m->n_params; i++) {
		if (i > 0)
			buf_addc(out, ',');
		buf_adds(out, "{\"name\":");
		buf_add_json_cstr(out, m->params[i].name);
		buf_adds(out, ",\"type\":");
		buf_add_json_cstr(out, param_type_name(m->params[i].type));
		buf_adds(out, ",\"required\":");
		buf_adds(out, m->params[i].required ? "true}" : "false}");
	}
	buf_adds(out, "],\"result\":");
	buf_add_json_cstr(out, m->result);
	buf_addc(out, '}');
}

void
method_add_list(struct buf *out)
{
	const struct method *m;
	const char *comma = "";
	size_t i;

	buf_adds(out, "{\"methods\":[");
	for (i = 0; i < N_TABLES; i++) {
		for (m = tables[i]; m->name != NULL; m++) {
			buf_adds(out, comma);
			add_method(m, out);
			comma = ",";
		}
	}
	buf_adds(out, "]}");
}
