/* SPDX-License-Identifier: ISC */
/*
 * client.c - requests and their answers
 *
 * `open` holds the ids that an answer may still come for: an answer to any
 * other id was forgotten, and is dropped.  Answers that came while another one
 * was waited for are on `kept`, in their order.
 */
#include "ipc/client/lib/client.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/client/lib/answer.h"
#include "ipc/json.h"
#include "ipc/place.h"
#include "ipc/rpc.h"

/* Queued bytes from which on a send does not wait for its flush. */
#define CLIENT_PUSH_SIZE (64 * 1024)
#define CLIENT_AT_ONCE   ((struct mono){INT64_MIN})

/* An answer that somebody else was waiting for; the line is its own. */
struct kept {
	struct answer answer;
	STAILQ_ENTRY(kept) entry;
	char line[];
};

void
ganger_error_done(struct ganger_error *err)
{
	if (err == NULL)
		return;
	free(err->message);
	json_decref(err->data);
	memset(err, 0, sizeof(*err));
}

void
ganger_reply_done(struct ganger_reply *reply)
{
	if (reply == NULL)
		return;
	json_decref(reply->result);
	ganger_error_done(&reply->error);
	memset(reply, 0, sizeof(*reply));
}

static int
copy_path(const char *path, char *out, size_t size)
{
	size_t len = strlen(path);

	if (len >= size)
		return -ENAMETOOLONG;
	memcpy(out, path, len + 1);
	return 0;
}

int
ganger_client_default_path(char *out, size_t size)
{
	const char *path;
	char *usual;
	int r;

	path = getenv("GANGER_SOCKET");
	if (path != NULL && *path != '\0')
		return copy_path(path, out, size);
	r = place_socket(geteuid() == 0, &usual);
	if (r < 0)
		return r == -ENOENT ? -EDESTADDRREQ : r;
	r = copy_path(usual, out, size);
	free(usual);
	return r;
}

int
ganger_client_open(const char *path, struct ganger_client **out)
{
	char usual[PATH_MAX];
	struct ganger_client *c;
	int r;

	if (path == NULL) {
		r = ganger_client_default_path(usual, sizeof(usual));
		if (r < 0)
			return r;
		path = usual;
	}
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	c->path = strdup(path);
	if (c->path == NULL) {
		r = -ENOMEM;
		goto err_client;
	}
	r = conn_open(&c->conn, path);
	if (r < 0)
		goto err_path;
	backoff_init(&c->backoff, GANGER_CLIENT_RECONNECT_MS);
	idset_init(&c->open);
	STAILQ_INIT(&c->kept);
	*out = c;
	return 0;

err_path:
	free(c->path);
err_client:
	free(c);
	return r;
}

void
ganger_client_close(struct ganger_client *c)
{
	struct kept *k;

	if (c == NULL)
		return;
	while ((k = STAILQ_FIRST(&c->kept)) != NULL) {
		STAILQ_REMOVE_HEAD(&c->kept, entry);
		free(k);
	}
	free(c->lent);
	idset_done(&c->open);
	conn_close(&c->conn);
	free(c->path);
	free(c);
}

void
ganger_client_set_wake_fd(struct ganger_client *c, int fd)
{
	c->conn.wake_fd = fd;
}

void
ganger_client_set_max_message(struct ganger_client *c, size_t max)
{
	c->max_message = max;
}

int
ganger_client_fd(const struct ganger_client *c)
{
	return c->conn.fd;
}

short
ganger_client_events(const struct ganger_client *c)
{
	return buf_len(&c->conn.out) > 0 ? POLLIN | POLLOUT : POLLIN;
}

static bool
is_method(const char *method)
{
	const char *p;

	for (p = method; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p) && *p != '.' && *p != '_')
			return false;
	return p > method;
}

/* Start a request behind what is queued; *mark_out is where it starts. */
static int
send_begin(struct ganger_client *c, const char *method, size_t *mark_out)
{
	int r;

	if (!is_method(method))
		return -EINVAL;
	r = c->conn.error != 0 ? c->conn.error : c->conn.out_error;
	if (r == 0)
		r = idset_reserve(&c->open);
	if (r < 0)
		return r;
	*mark_out = buf_len(&c->conn.out);
	rpc_open_request(&c->conn.out, c->last_id + 1, method);
	return 0;
}

/* End the request that starts at mark, or take it back. */
static int
send_end(struct ganger_client *c, size_t mark, uint64_t *id_out)
{
	struct buf *out = &c->conn.out;
	int r;

	rpc_close(out);
	r = buf_error(out);
	if (r == 0 && c->max_message > 0 &&
	    buf_len(out) - mark - 1 > c->max_message)
		r = -EMSGSIZE;
	if (r < 0) {
		out->error = 0;
		buf_cut(out, mark);
		return r;
	}
	idset_push(&c->open, ++c->last_id);
	if (id_out != NULL)
		*id_out = c->last_id;
	/* A failure is the connection's, and told by whoever waits. */
	if (buf_len(out) >= CLIENT_PUSH_SIZE)
		(void)conn_flush(&c->conn, CLIENT_AT_ONCE);
	return 0;
}

int
ganger_client_send(struct ganger_client *c, const char *method,
    const json_t *params, uint64_t *id_out)
{
	size_t mark;
	int r;

	if (!json_is_object(params) && !json_is_array(params))
		return -EINVAL;
	r = send_begin(c, method, &mark);
	if (r < 0)
		return r;
	buf_add_json(&c->conn.out, params);
	return send_end(c, mark, id_out);
}

int
ganger_client_send_text(struct ganger_client *c, const char *method,
    const char *params, size_t len, uint64_t *id_out)
{
	size_t mark;
	int r;

	if (len == 0)
		return -EINVAL;
	r = send_begin(c, method, &mark);
	if (r < 0)
		return r;
	buf_add(&c->conn.out, params, len);
	return send_end(c, mark, id_out);
}

static struct mono
due_in(int64_t timeout_ms)
{
	if (timeout_ms < 0)
		return CONN_NEVER;
	if (timeout_ms == 0)
		return CLIENT_AT_ONCE;
	return mono_add_ms(mono_now(), timeout_ms);
}

int
ganger_client_flush(struct ganger_client *c, int64_t timeout_ms)
{
	return conn_flush(&c->conn, due_in(timeout_ms));
}

/*
 * Take an answer off the open requests; false for one that nobody wants.  An
 * error without an id is the only open request's, if there is only one.
 */
static bool
is_wanted(struct ganger_client *c, struct answer *a)
{
	if (a->id == 0 && c->open.n == 1)
		a->id = c->open.ids[c->open.start];
	return a->id == 0 || idset_remove(&c->open, a->id);
}

/*
 * Wait for the next answer that somebody wants.  It lies in the line, which is
 * valid until more is read.
 */
static int
client_read(struct ganger_client *c, struct mono due, struct answer *out,
    char **line_out, size_t *len_out)
{
	int r;

	do {
		r = conn_next(&c->conn, due, line_out, len_out);
		if (r < 0)
			return r;
		r = answer_read(*line_out, *len_out, out);
		if (r < 0)
			return conn_kill(&c->conn, r);
	} while (r == 0 || !is_wanted(c, out));
	return 0;
}

/* What can't be handed out is lost, and with it the connection. */
static int
settle(struct ganger_client *c, int r)
{
	return r < 0 ? conn_kill(&c->conn, r) : 0;
}

static void
kept_remove(struct ganger_client *c, struct kept *k)
{
	STAILQ_REMOVE(&c->kept, k, kept, entry);
}

static struct kept *
kept_find(struct ganger_client *c, uint64_t id)
{
	struct kept *k;

	STAILQ_FOREACH(k, &c->kept, entry)
		if (k->answer.id == id)
			return k;
	return NULL;
}

/* Keep an answer that stands in line. */
static int
kept_add(struct ganger_client *c, const struct answer *a, const char *line,
    size_t len)
{
	struct kept *k;

	k = malloc(sizeof(*k) + len);
	if (k == NULL)
		return conn_kill(&c->conn, -ENOMEM);
	memcpy(k->line, line, len);
	k->answer = answer_moved(a, line, k->line);
	STAILQ_INSERT_TAIL(&c->kept, k, entry);
	return 0;
}

/* The next answer, kept or coming; it is valid until the next call. */
static int
next_answer(struct ganger_client *c, int64_t timeout_ms, struct answer *out)
{
	struct kept *k;
	char *line;
	size_t len;

	free(c->lent);
	c->lent = NULL;
	k = STAILQ_FIRST(&c->kept);
	if (k != NULL) {
		kept_remove(c, k);
		c->lent = k;
		*out = k->answer;
		return 0;
	}
	if (c->open.n == 0)
		return -ENOMSG;
	return client_read(c, due_in(timeout_ms), out, &line, &len);
}

int
ganger_client_next(
    struct ganger_client *c, int64_t timeout_ms, struct ganger_reply *out)
{
	struct answer a;
	int r;

	r = next_answer(c, timeout_ms, &a);
	return r < 0 ? r : settle(c, answer_reply(&a, out));
}

int
ganger_client_next_text(
    struct ganger_client *c, int64_t timeout_ms, struct ganger_text *out)
{
	struct ganger_text text = {0};
	struct answer a;
	int r;

	r = next_answer(c, timeout_ms, &a);
	if (r < 0)
		return r;
	if (a.error.at != NULL) {
		r = settle(c, answer_error(&a, &text.error));
		if (r < 0)
			return r;
	}
	text.id = a.id;
	text.result = a.result.at;
	text.len = a.result.len;
	*out = text;
	return 0;
}

int
ganger_client_take(struct ganger_client *c, uint64_t id, int64_t timeout_ms,
    struct ganger_reply *out)
{
	struct mono due = due_in(timeout_ms);
	struct answer a;
	struct kept *k;
	char *line;
	size_t len;
	int r;

	k = kept_find(c, id);
	if (k != NULL) {
		kept_remove(c, k);
		r = settle(c, answer_reply(&k->answer, out));
		free(k);
		return r;
	}
	if (!idset_has(&c->open, id))
		return -ENOMSG;
	for (;;) {
		r = client_read(c, due, &a, &line, &len);
		if (r < 0)
			return r;
		if (a.id == id || a.id == 0)
			return settle(c, answer_reply(&a, out));
		r = kept_add(c, &a, line, len);
		if (r < 0)
			return r;
	}
}

int
ganger_client_forget(struct ganger_client *c, uint64_t id)
{
	struct kept *k;

	if (idset_remove(&c->open, id))
		return 0;
	k = kept_find(c, id);
	if (k == NULL)
		return -ENOMSG;
	kept_remove(c, k);
	free(k);
	return 0;
}

int
client_ask(struct ganger_client *c, const char *method, const json_t *params,
    json_t **result_out, struct ganger_error *err_out)
{
	struct ganger_reply reply;
	uint64_t id;
	int r;

	r = ganger_client_send(c, method, params, &id);
	if (r < 0)
		return r;
	r = ganger_client_take(c, id, -1, &reply);
	if (r < 0 || reply.id == 0)
		ganger_client_forget(c, id);
	if (r < 0)
		return r;
	if (reply.error.code != 0) {
		if (err_out != NULL)
			*err_out = reply.error;
		else
			ganger_error_done(&reply.error);
		return -EREMOTEIO;
	}
	if (result_out != NULL)
		*result_out = reply.result;
	else
		json_decref(reply.result);
	return 0;
}
