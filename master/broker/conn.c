/* SPDX-License-Identifier: ISC */
/*
 * conn.c - a client's connection and its open calls
 *
 * What a client can make the broker hold is bounded: one line being read, or
 * one whose submits wait for room (then its lines wait in its own socket),
 * OPEN_MAX open calls (the same), and OUT_PAUSE bytes of answers it has not
 * read (the same), or OUT_MAX, which only answers to calls opened before can
 * reach (then it is dropped).
 */
#include "master/broker/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/json.h"
#include "ipc/log.h"
#include "master/broker/access.h"
#include "master/broker/hold.h"
#include "master/broker/method.h"
#include "master/broker/result.h"

#define OPEN_MAX    4096
#define OPEN_RESUME (OPEN_MAX / 2)
#define OUT_PAUSE   (1024 * 1024)
#define OUT_MAX     ((size_t)64 * 1024 * 1024)

static struct conn *
conn_of(struct peer *p)
{
	return (struct conn *)p;
}

void
conn_regulate(struct conn *c)
{
	size_t waiting = buf_len(&c->peer.out) + c->n_batched;

	if (c->n_calls >= OPEN_MAX)
		c->full = true;
	else if (c->n_calls <= OPEN_RESUME)
		c->full = false;
	if (c->full || waiting > OUT_PAUSE || c->broker->holding ||
	    !TAILQ_EMPTY(&c->holds))
		peer_pause(&c->peer);
	else if (waiting <= OUT_PAUSE / 2)
		peer_resume(&c->peer);
}

/* All is said and done on a connection whose client sends no more. */
static void
close_if_over(struct conn *c)
{
	if (c->peer.eof && c->n_calls == 0 && buf_len(&c->peer.out) == 0)
		peer_close(&c->peer, NULL);
}

static void
batch_release(struct call *call)
{
	struct batch *batch = call->batch;
	size_t len;

	if (--batch->n_open > 0)
		return;
	len = buf_len(&batch->out);
	if (call->conn != NULL)
		call->conn->n_batched -= len;
	if (call->conn != NULL && len > 0) {
		struct buf *out = &call->conn->peer.out;

		/* Each answer was closed with a comma. */
		buf_addc(out, '[');
		buf_add(out, buf_head(&batch->out), len - 1);
		buf_adds(out, "]\n");
		if (buf_error(&batch->out) < 0)
			peer_close(&call->conn->peer, "a batch's answer is "
						      "too large");
		peer_send(&call->conn->peer);
	}
	buf_done(&batch->out);
	free(batch);
}

static void
call_free(struct call *call)
{
	struct conn *c = call->conn;

	if (call->batch != NULL)
		batch_release(call);
	if (c != NULL) {
		LIST_REMOVE(call, entry);
		c->n_calls--;
		conn_regulate(c);
		close_if_over(c);
	}
	free(call->id);
	free(call);
}

/* Find where this call's answer goes. */
static struct buf *
open_answer(struct call *call)
{
	struct buf *out;

	if (call->id == NULL || call->conn == NULL ||
	    !peer_is_open(&call->conn->peer)) {
		out = &call->broker->discard;
		buf_reset(out);
	} else if (call->batch != NULL) {
		out = &call->batch->out;
	} else {
		out = &call->conn->peer.out;
	}
	call->out = out;
	call->out_at = buf_len(out);
	return out;
}

static void
write_error(struct call *call, const struct fault *f)
{
	struct buf *out = call->out;

	rpc_open_error(out, call->id, call->id_len);
	fault_add_error(f, out);
	rpc_close(out);
}

/* An answer did not fit: an error in its place will, or the client goes. */
static void
write_too_large(struct call *call)
{
	struct fault f;

	call->out->error = 0;
	buf_cut(call->out, call->out_at);
	fault_set(&f, RPC_TOO_LARGE, "the answer is too large");
	write_error(call, &f);
}

/* The answer is written: send it, and be done with the call. */
static void
close_answer(struct call *call)
{
	struct buf *out = call->out;

	if (buf_error(out) == -ENOBUFS)
		write_too_large(call);
	if (out == &call->broker->discard) {
		buf_trim(out, 0);
	} else if (call->batch == NULL) {
		peer_send(&call->conn->peer);
	} else if (buf_error(out) == 0) {
		/* In a batch a comma, not the newline, ends an answer. */
		buf_cut(out, buf_len(out) - 1);
		buf_addc(out, ',');
		call->conn->n_batched += buf_len(out) - call->out_at;
	}
	call_free(call);
}

struct buf *
call_open_result(struct call *call)
{
	struct buf *out = open_answer(call);

	if (call->id == NULL)
		rpc_open_result(out, "null", 4);
	else
		rpc_open_result(out, call->id, call->id_len);
	return out;
}

void
call_close_result(struct call *call)
{
	rpc_close(call->out);
	close_answer(call);
}

void
call_result(struct call *call, const char *json)
{
	buf_adds(call_open_result(call), json);
	call_close_result(call);
}

void
call_error(struct call *call, const struct fault *f)
{
	open_answer(call);
	write_error(call, f);
	close_answer(call);
}

void
call_error_code(struct call *call, enum rpc_code code, bool retryable)
{
	struct fault f;

	fault_set(&f, code, NULL);
	f.retryable = retryable;
	call_error(call, &f);
}

struct call *
call_restore(struct broker *b, struct conn *c, struct batch *batch, char *id,
    size_t id_len)
{
	struct call *call;

	call = calloc(1, sizeof(*call));
	if (call == NULL)
		return NULL;
	call->id = id;
	call->id_len = id_len;
	call->broker = b;
	call->conn = c;
	call->batch = batch;
	if (batch != NULL)
		batch->n_open++;
	if (c != NULL) {
		LIST_INSERT_HEAD(&c->calls, call, entry);
		c->n_calls++;
	}
	return call;
}

/*
 * Open a call for a message.  id NULL makes a notification.  NULL: out of
 * memory, or an id that is too long.
 */
static struct call *
call_new(struct conn *c, struct batch *batch, const json_t *id)
{
	struct call *call;
	char *text = NULL;
	size_t len = 0;

	if (id != NULL) {
		text = json_text(id, PROTO_ID_MAX, &len);
		if (text == NULL)
			return NULL;
	}
	call = call_restore(c->broker, c, batch, text, len);
	if (call == NULL)
		free(text);
	return call;
}

/* Answer a message that is no request: its id counts only when it is usable. */
static void
refuse_message(struct conn *c, struct batch *batch, json_t *id,
    enum rpc_code code, const char *reason)
{
	struct call *call;
	struct fault f;
	json_t *null = json_null();

	call = call_new(c, batch, id == NULL ? null : id);
	if (call == NULL)
		call = call_new(c, batch, null);
	if (call == NULL) {
		peer_close(&c->peer, "out of memory");
		return;
	}
	fault_set(&f, code, "%s: %s", rpc_code_text(code), reason);
	call_error(call, &f);
}

static void
take_message(struct conn *c, struct batch *batch, const struct rpc_msg *m)
{
	struct call *call;

	c->broker->stats.requests++;
	if (m->kind == RPC_INVALID || m->kind == RPC_RESPONSE) {
		refuse_message(c, batch, m->kind == RPC_INVALID ? m->id : NULL,
		    RPC_INVALID_REQUEST,
		    m->reason != NULL ? m->reason
				      : "a response, not a request");
		return;
	}
	call = call_new(c, batch, m->id);
	if (call == NULL) {
		refuse_message(
		    c, batch, NULL, RPC_INVALID_REQUEST, "\"id\" is too long");
		return;
	}
	method_run(c->broker, call, m->method, m->params);
}

static void
take_batch(struct conn *c, const struct rpc_text *text)
{
	struct batch *batch;
	struct rpc_msg m;
	struct call holder = {.conn = c};
	size_t i;

	batch = calloc(1, sizeof(*batch));
	if (batch == NULL) {
		refuse_message(
		    c, NULL, NULL, RPC_INTERNAL_ERROR, "out of memory");
		return;
	}
	buf_init(&batch->out, OUT_MAX);
	/* Held open until all of it is read. */
	batch->n_open = 1;
	holder.batch = batch;
	for (i = 0; i < text->n; i++) {
		rpc_text_get(text, i, &m);
		take_message(c, batch, &m);
	}
	batch_release(&holder);
}

static bool
is_blank(const char *line, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r')
			return false;
	return true;
}

static void
on_line(struct peer *p, char *line, size_t len)
{
	struct conn *c = conn_of(p);
	char reason[RPC_REASON_SIZE];
	struct rpc_text text;
	struct rpc_msg m;
	int r;

	if (is_blank(line, len))
		return;
	r = rpc_read(line, len, &text, reason);
	if (r < 0) {
		refuse_message(c, NULL, NULL,
		    r == -EINVAL ? RPC_PARSE_ERROR : RPC_INVALID_REQUEST,
		    reason);
		return;
	}
	if (text.batch) {
		take_batch(c, &text);
	} else {
		rpc_text_get(&text, 0, &m);
		take_message(c, NULL, &m);
	}
	rpc_text_done(&text);
	if (peer_is_open(p))
		conn_regulate(c);
}

static void
on_too_long(struct peer *p)
{
	struct conn *c = conn_of(p);
	struct call *call;
	struct fault f;

	call = call_new(c, NULL, json_null());
	if (call == NULL) {
		peer_close(p, "out of memory");
		return;
	}
	fault_set(&f, RPC_TOO_LARGE, "a line over max_message (%zu bytes)",
	    c->broker->settings->max_message);
	call_error(call, &f);
}

static void
on_eof(struct peer *p)
{
	close_if_over(conn_of(p));
}

static void
on_sent(struct peer *p)
{
	struct conn *c = conn_of(p);

	conn_regulate(c);
	close_if_over(c);
	broker_sent(c->broker);
}

static void
on_gone(struct peer *p, const char *reason)
{
	struct conn *c = conn_of(p);
	struct call *call;

	if (reason != NULL)
		log_info("client of uid %u, pid %d: connection closed: %s",
		    (unsigned)c->cred.uid, (int)c->cred.pid, reason);
	while ((call = LIST_FIRST(&c->calls)) != NULL) {
		LIST_REMOVE(call, entry);
		call->conn = NULL;
		if (call->waiter != NULL) {
			result_drop(call->waiter);
			call_free(call);
		} else if (call->hold != NULL) {
			hold_drop(call->hold);
		}
	}
	TAILQ_REMOVE(&c->broker->conns, c, entry);
	c->broker->n_conns--;
	free(c);
}

static const struct peer_ops conn_ops = {
    .take_tail = true,
    .on_line = on_line,
    .on_too_long = on_too_long,
    .on_eof = on_eof,
    .on_sent = on_sent,
    .on_gone = on_gone,
};

/* Make a connection over fd, which stays the caller's on error. */
static int
conn_add(struct broker *b, int fd, struct conn **out)
{
	struct conn *c;
	int r;

	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	r = sock_peer_cred(fd, &c->cred);
	if (r == 0)
		r = peer_init(&c->peer, &b->group, fd, b->settings->max_message,
		    OUT_MAX, &conn_ops);
	if (r < 0) {
		free(c);
		return r;
	}
	c->broker = b;
	LIST_INIT(&c->calls);
	TAILQ_INIT(&c->holds);
	TAILQ_INSERT_TAIL(&b->conns, c, entry);
	b->n_conns++;
	*out = c;
	return 0;
}

int
conn_new(struct broker *b, int fd)
{
	struct conn *c;
	int r;

	r = conn_add(b, fd, &c);
	if (r < 0) {
		close(fd);
		return r;
	}
	c->may = access_classes(b->settings, &c->cred);
	if (b->holding)
		peer_pause(&c->peer);
	return 0;
}

int
conn_restore(
    struct broker *b, int fd, const struct conn_state *s, struct conn **out)
{
	struct conn *c;
	int r;

	r = conn_add(b, fd, &c);
	if (r < 0) {
		close(fd);
		return r;
	}
	c->may = s->may;
	c->full = s->full;
	r = peer_restore(&c->peer, &s->peer);
	if (r < 0)
		peer_close(&c->peer, "out of memory");
	*out = c;
	return 0;
}

struct batch *
batch_restore(struct conn *c, const char *answers, size_t n, int error)
{
	struct batch *batch;

	batch = calloc(1, sizeof(*batch));
	if (batch == NULL)
		return NULL;
	buf_init(&batch->out, OUT_MAX);
	buf_add(&batch->out, answers, n);
	if (buf_error(&batch->out) == 0)
		batch->out.error = error;
	c->n_batched += buf_len(&batch->out);
	return batch;
}

void
conn_go_on(struct conn *c)
{
	if (!peer_is_open(&c->peer))
		return;
	conn_regulate(c);
	close_if_over(c);
}

void
conn_hold_all(struct broker *b, bool hold)
{
	struct conn *c;

	b->holding = hold;
	TAILQ_FOREACH(c, &b->conns, entry) {
		if (peer_is_open(&c->peer))
			conn_regulate(c);
	}
}

void
conn_close_all(struct broker *b)
{
	struct conn *c;

	TAILQ_FOREACH(c, &b->conns, entry) {
		peer_close(&c->peer, NULL);
	}
}

bool
conn_all_sent(const struct broker *b)
{
	const struct conn *c;

	TAILQ_FOREACH(c, &b->conns, entry) {
		if (peer_is_open(&c->peer) && buf_len(&c->peer.out) > 0)
			return false;
	}
	return true;
}
