/* SPDX-License-Identifier: ISC */
/*
 * ask.c - what clients want of the master
 *
 * Runs in the broker, on the loop's thread.  An ask stays open when its client
 * goes: the master carries it out all the same, and the answer goes nowhere.
 */
#include "master/broker/ask.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

#include "ipc/clock.h"
#include "ipc/json.h"
#include "ipc/log.h"
#include "master/broker/broker.h"
#include "master/broker/conn.h"
#include "master/broker/method.h"

#define RETRY_MS 1000

void
asks_init(struct asks *a)
{
	TAILQ_INIT(&a->open);
	a->n_open = 0;
	/* An answer meant for a broker that died finds no ask of this one. */
	a->last_id = (uint64_t)mono_now().ns;
}

static struct ask *
ask_new(struct asks *a, uint64_t id, const char *what, struct call *call)
{
	struct ask *ask;

	ask = calloc(1, sizeof(*ask));
	if (ask == NULL)
		return NULL;
	ask->id = id;
	strlcpy(ask->what, what, sizeof(ask->what));
	ask->call = call;
	TAILQ_INSERT_TAIL(&a->open, ask, entry);
	a->n_open++;
	return ask;
}

/* Part the ask from its call, which is returned. */
static struct call *
ask_end(struct asks *a, struct ask *ask)
{
	struct call *call = ask->call;

	TAILQ_REMOVE(&a->open, ask, entry);
	a->n_open--;
	free(ask);
	return call;
}

static struct ask *
ask_find(const struct asks *a, uint64_t id)
{
	struct ask *ask;

	TAILQ_FOREACH(ask, &a->open, entry) {
		if (ask->id == id)
			return ask;
	}
	return NULL;
}

static void
refuse(struct call *call, enum rpc_code code, const char *why)
{
	struct fault f;

	fault_set(&f, code, "%s", why);
	f.retryable = true;
	f.retry_after_ms = RETRY_MS;
	call_error(call, &f);
}

void
ask_send(struct broker *b, struct call *call, const char *what, json_t *args)
{
	struct ask *ask;
	int r;

	if (b->phase >= BROKER_LEAVING) {
		json_decref(args);
		refuse(call, RPC_DRAINING, "the daemon is stopping");
		return;
	}
	if (b->asks.n_open >= ASK_OPEN_MAX) {
		json_decref(args);
		refuse(call, RPC_RATE_LIMITED,
		    "too many requests of administrators are open already");
		return;
	}
	ask = args == NULL ? NULL
			   : ask_new(&b->asks, b->asks.last_id + 1, what, call);
	if (ask == NULL) {
		json_decref(args);
		method_no_memory(call);
		return;
	}
	b->asks.last_id++;
	r = ctl_send(&b->ctl, -1, "ask", "{s:I,s:s,s:O}", "id",
	    (json_int_t)ask->id, "what", what, "args", args);
	json_decref(args);
	if (r == 0)
		return;
	call = ask_end(&b->asks, ask);
	if (r == -EPIPE)
		refuse(call, RPC_DRAINING, "the daemon is stopping");
	else
		call_error_code(call, RPC_INTERNAL_ERROR, true);
}

int
ask_restore(struct broker *b, uint64_t id, const char *what, struct call *call)
{
	if (ask_new(&b->asks, id, what, call) == NULL)
		return -ENOMEM;
	if (b->asks.last_id < id)
		b->asks.last_id = id;
	return 0;
}

/* Keep the members of data that struct fault has no field for. */
static char *
other_members(json_t *data)
{
	static const char *const known[] = {
	    "retryable", "retry_after_ms", "id", "param"};
	struct buf out;
	const char *key;
	json_t *value;
	size_t i;
	char *text;

	buf_init(&out, SIZE_MAX);
	json_object_foreach(data, key, value) {
		for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (strcmp(key, known[i]) == 0)
				break;
		if (i < sizeof(known) / sizeof(known[0]))
			continue;
		if (buf_len(&out) > 0)
			buf_addc(&out, ',');
		buf_add_json_cstr(&out, key);
		buf_addc(&out, ':');
		buf_add_json(&out, value);
	}
	text = buf_len(&out) == 0 ? NULL : buf_steal(&out, NULL);
	buf_done(&out);
	return text;
}

static void
pass_error(struct call *call, json_t *error)
{
	json_t *data = json_object_get(error, "data");
	const char *message =
	    json_string_value(json_object_get(error, "message"));
	const char *param = json_string_value(json_object_get(data, "param"));
	struct fault f;

	fault_set(&f,
	    (enum rpc_code)json_integer_value(json_object_get(error, "code")),
	    "%s", message == NULL ? "refused by the master" : message);
	f.retryable = json_is_true(json_object_get(data, "retryable"));
	f.retry_after_ms =
	    json_integer_value(json_object_get(data, "retry_after_ms"));
	f.param = param;
	f.more = other_members(data);
	call_error(call, &f);
	fault_done(&f);
}

void
ask_answer(struct broker *b, const json_t *msg)
{
	json_t *result = json_object_get(msg, "result");
	json_t *error = json_object_get(msg, "error");
	struct call *call;
	struct ask *ask;

	ask = ask_find(
	    &b->asks, (uint64_t)json_integer_value(json_object_get(msg, "id")));
	if (ask == NULL) {
		log_debug("the master answers what nobody asked");
		return;
	}
	call = ask_end(&b->asks, ask);
	if (json_is_object(error)) {
		pass_error(call, error);
	} else if (result != NULL) {
		buf_add_json(call_open_result(call), result);
		call_close_result(call);
	} else {
		call_error_code(call, RPC_INTERNAL_ERROR, false);
	}
}

void
ask_refuse_all(struct broker *b)
{
	struct ask *ask, *next;

	TAILQ_FOREACH_SAFE(ask, &b->asks.open, entry, next)
		refuse(ask_end(&b->asks, ask), RPC_DRAINING,
		    "the daemon is stopping");
}
