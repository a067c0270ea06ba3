/* SPDX-License-Identifier: ISC */
/*
 * handover_client.c - the clients and what they wait for, as records
 *
 * An open call waits for tasks, or for the master's answer; what waited for the
 * store has been answered before.
 */
#include "master/broker/handover_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/json.h"
#include "ipc/peer.h"
#include "master/broker/ask.h"
#include "master/broker/handover_task.h"
#include "master/broker/result.h"
#include "master/broker/storage.h"
#include "master/broker/store_memory.h"

static const struct ask *
find_ask(const struct broker *b, const struct call *call)
{
	const struct ask *ask;

	TAILQ_FOREACH(ask, &b->asks.open, entry) {
		if (ask->call == call)
			return ask;
	}
	return NULL;
}

/* Write those of w's tasks that have ended and that the store has forgotten. */
static void
save_loose(struct broker *b, struct waiter *w, size_t n, struct handover_out *o)
{
	struct task *t;
	uint64_t id;
	size_t i;

	for (i = 0; i < n; i++) {
		id = result_save_id(w, i, &t);
		if (t != NULL && store_memory_find(storage_memory(b), id) != t)
			handover_task_write(o, "loose", t);
	}
}

static void
add_waiter(
    struct buf *out, const struct waiter *w, const struct result_state *state)
{
	struct task *t;
	size_t i;

	handover_add_flag(out, "is_call", state->is_call);
	handover_add_flag(out, "any", state->any);
	handover_add_int(out, "deadline", state->deadline.ns);
	buf_add_key(out, "ids");
	for (i = 0; i < state->n; i++) {
		buf_addc(out, i == 0 ? '[' : ',');
		buf_add_uint(out, result_save_id(w, i, &t));
	}
	buf_adds(out, "]");
	/* Which of them have ended: their places in ids. */
	buf_add_key(out, "ended");
	buf_addc(out, '[');
	for (i = 0; i < state->n; i++) {
		(void)result_save_id(w, i, &t);
		if (t == NULL)
			continue;
		if (buf_head(out)[buf_len(out) - 1] != '[')
			buf_addc(out, ',');
		buf_add_uint(out, i);
	}
	buf_addc(out, ']');
}

static void
save_call(struct broker *b, struct call *call, struct handover_out *o)
{
	const struct ask *ask = NULL;
	struct handover_raw id = {call->id, call->id_len};
	struct result_state state;
	struct buf *out;

	if (call->waiter != NULL) {
		result_save(call->waiter, &state);
		save_loose(b, call->waiter, state.n, o);
	} else {
		ask = find_ask(b, call);
		if (ask == NULL && o->error == 0)
			o->error = -EBUSY; /* it is with the store */
	}
	out = handover_out_begin(o, "call");
	handover_add_flag(out, "lone", call->conn == NULL);
	if (call->conn != NULL && call->batch != NULL)
		handover_add_int(out, "batch", call->batch->number);
	if (call->waiter != NULL)
		add_waiter(out, call->waiter, &state);
	if (ask != NULL) {
		handover_add_int(out, "ask", (int64_t)ask->id);
		handover_add_str(out, "what", ask->what);
	}
	handover_out_end_raws(o, &id, 1);
}

static void
save_batch(const struct batch *batch, struct handover_out *o)
{
	struct handover_raw answers = {
	    buf_head(&batch->out), buf_len(&batch->out)};
	struct buf *out = handover_out_begin(o, "batch");

	handover_add_int(out, "error", buf_error(&batch->out));
	handover_out_end_raws(o, &answers, 1);
}

static void
save_calls(struct broker *b, const struct conn *c, struct handover_out *o)
{
	unsigned n_batches = 0;
	struct call *call;

	LIST_FOREACH(call, &c->calls, entry) {
		if (call->batch != NULL)
			call->batch->number = 0;
	}
	LIST_FOREACH(call, &c->calls, entry) {
		if (call->batch != NULL && call->batch->number == 0) {
			call->batch->number = ++n_batches;
			save_batch(call->batch, o);
		}
		save_call(b, call, o);
	}
}

static void
save_conn(const struct conn *c, struct handover_out *o)
{
	struct handover_raw raws[2];
	struct peer_state peer;
	struct buf *out;

	peer_save(&c->peer, &peer);
	out = handover_out_begin(o, "conn");
	handover_add_int(out, "fd", c->peer.fd);
	handover_add_int(out, "may", c->may);
	handover_add_flag(out, "full", c->full);
	handover_add_flag(out, "paused", peer.paused && !c->broker->holding);
	handover_add_flag(out, "eof", peer.eof);
	handover_add_flag(out, "skipping", peer.skipping);
	raws[0] = (struct handover_raw){peer.in, peer.in_len};
	raws[1] = (struct handover_raw){peer.out, peer.out_len};
	handover_out_end_raws(o, raws, 2);
}

void
handover_client_save(struct broker *b, struct handover_out *o)
{
	const struct conn *c;
	const struct ask *ask;

	TAILQ_FOREACH(c, &b->conns, entry) {
		if (!peer_is_open(&c->peer))
			continue;
		save_conn(c, o);
		save_calls(b, c, o);
	}
	TAILQ_FOREACH(ask, &b->asks.open, entry) {
		if (ask->call->conn == NULL)
			save_call(b, ask->call, o);
	}
}

void
handover_clients_init(struct handover_clients *at)
{
	memset(at, 0, sizeof(*at));
	RB_INIT(&at->loose);
}

static void
end_conn(struct handover_clients *at)
{
	if (at->conn != NULL)
		conn_go_on(at->conn);
	at->conn = NULL;
	free(at->batches);
	at->batches = NULL;
	at->n_batches = 0;
}

void
handover_clients_done(struct handover_clients *at)
{
	struct task *t;

	end_conn(at);
	while ((t = RB_ROOT(&at->loose)) != NULL) {
		RB_REMOVE(task_store_tree, &at->loose, t);
		task_unref(t);
	}
}

int
handover_client_load_conn(
    struct broker *b, const struct handover_in *in, struct handover_clients *at)
{
	int fd = (int)handover_in_int(in, "fd");
	struct handover_raw input = handover_in_raw(in, 0);
	struct handover_raw output = handover_in_raw(in, 1);
	struct conn_state s = {
	    .peer =
		{
		    .in = input.data,
		    .in_len = input.n,
		    .out = output.data,
		    .out_len = output.n,
		    .skipping = handover_in_flag(in, "skipping"),
		    .paused = handover_in_flag(in, "paused"),
		    .eof = handover_in_flag(in, "eof"),
		},
	    .may = (unsigned)handover_in_int(in, "may"),
	    .full = handover_in_flag(in, "full"),
	};
	int r;

	end_conn(at);
	r = handover_in_fd(fd);
	return r < 0 ? r : conn_restore(b, fd, &s, &at->conn);
}

int
handover_client_load_batch(
    struct broker *b, const struct handover_in *in, struct handover_clients *at)
{
	struct handover_raw answers = handover_in_raw(in, 0);
	struct batch **batches;

	(void)b;
	if (at->conn == NULL)
		return -EINVAL;
	batches = reallocarray(
	    at->batches, at->n_batches + 1, sizeof(struct batch *));
	if (batches == NULL)
		return -ENOMEM;
	at->batches = batches;
	batches[at->n_batches] = batch_restore(at->conn, answers.data,
	    answers.n, (int)handover_in_int(in, "error"));
	if (batches[at->n_batches] == NULL)
		return -ENOMEM;
	at->n_batches++;
	return 0;
}

int
handover_client_load_loose(
    struct broker *b, const struct handover_in *in, struct handover_clients *at)
{
	struct mono until;
	struct task *t;
	int r;

	r = handover_task_read(in, b, &t, &until);
	if (r < 0)
		return r;
	if (RB_INSERT(task_store_tree, &at->loose, t) != NULL)
		task_unref(t); /* several calls wait for it */
	return 0;
}

/* Point ended[i] to the task of ids[i] for each place that the record names. */
static int
find_ended(struct broker *b, const struct handover_in *in,
    struct handover_clients *at, const uint64_t *ids, size_t n,
    struct task **ended)
{
	json_t *place;
	struct task key;
	size_t i, k;

	json_array_foreach(json_object_get(in->rec, "ended"), i, place) {
		k = (size_t)json_integer_value(place);
		if (k >= n)
			return -EINVAL;
		key.id = ids[k];
		/* One that came back to life is not the one that ended. */
		ended[k] = RB_FIND(task_store_tree, &at->loose, &key);
		if (ended[k] == NULL)
			ended[k] = store_memory_find(storage_memory(b), ids[k]);
		if (ended[k] == NULL || !task_is_final(ended[k]))
			return -ENOENT;
	}
	return 0;
}

static int
load_waiter(struct broker *b, const struct handover_in *in,
    struct handover_clients *at, struct call *call)
{
	json_t *list = json_object_get(in->rec, "ids"), *id;
	struct result_state s = {
	    .is_call = handover_in_flag(in, "is_call"),
	    .any = handover_in_flag(in, "any"),
	    .deadline.ns = handover_in_int(in, "deadline"),
	    .n = json_array_size(list),
	};
	struct task **ended = calloc(s.n + 1, sizeof(struct task *));
	uint64_t *ids = calloc(s.n + 1, sizeof(*ids));
	size_t i;
	int r;

	r = ended == NULL || ids == NULL ? -ENOMEM : 0;
	if (r == 0)
		json_array_foreach(list, i, id)
			ids[i] = (uint64_t)json_integer_value(id);
	if (r == 0)
		r = find_ended(b, in, at, ids, s.n, ended);
	if (r == 0)
		r = result_restore(b, call, &s, ids, ended);
	free(ended);
	free(ids);
	return r;
}

int
handover_client_load_call(
    struct broker *b, const struct handover_in *in, struct handover_clients *at)
{
	bool lone = handover_in_flag(in, "lone");
	size_t number = (size_t)handover_in_int(in, "batch");
	const char *what = handover_in_str(in, "what");
	struct handover_raw raw = handover_in_raw(in, 0);
	struct call *call;
	char *id;
	int r;

	if ((!lone && at->conn == NULL) || number > at->n_batches)
		return -EINVAL;
	r = handover_in_text(in, 0, &id);
	if (r < 0)
		return r;
	call = call_restore(b, lone ? NULL : at->conn,
	    number == 0 ? NULL : at->batches[number - 1], id, raw.n);
	if (call == NULL)
		return -ENOMEM;
	if (what != NULL)
		return ask_restore(
		    b, (uint64_t)handover_in_int(in, "ask"), what, call);
	return lone ? -EINVAL : load_waiter(b, in, at, call);
}
