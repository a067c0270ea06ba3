/* SPDX-License-Identifier: ISC */
/*
 * reconnect.c - go on with another connection when one is lost
 *
 * The socket is the master's and outlives a broker: a client that connects
 * while there is none stands in the backlog.  That somebody is there is known
 * only by an answer, so each attempt asks for one.
 */
#include "ipc/client/lib/reconnect.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>

#include "ipc/client/lib/client.h"
#include "ipc/proto.h"

/* What an attempt is given at least, however short the caller's time is. */
#define PATIENCE_MS 100

void
ganger_client_set_reconnect(struct ganger_client *c, int64_t limit_ms)
{
	backoff_init(&c->backoff, limit_ms);
}

bool
reconnect_is_loss(int r)
{
	return r == -EPIPE || r == -ECONNRESET;
}

static struct mono
earlier(struct mono a, struct mono b)
{
	return a.ns < b.ns ? a : b;
}

/* Sleep until `at`: 0 or -EINTR. */
static int
sleep_until(const struct ganger_client *c, struct mono at)
{
	struct pollfd fd = {.fd = c->conn.wake_fd, .events = POLLIN};
	int64_t ms;

	while ((ms = mono_until_ms(mono_now(), at)) > 0) {
		if (poll(&fd, 1, ms > INT_MAX ? INT_MAX : (int)ms) > 0)
			return -EINTR;
	}
	return 0;
}

/* Milliseconds until then, and none when that was. */
static int64_t
ms_until(struct mono at)
{
	int64_t ms = mono_until_ms(mono_now(), at);

	return ms < 0 ? 0 : ms;
}

/* See that a broker answers; for one that is flapping the master does. */
static int
ask_ping(struct ganger_client *c, struct mono due)
{
	struct ganger_reply reply;
	int64_t left, patience;
	uint64_t id;
	int r;

	left = ms_until(due);
	patience = ms_until(c->backoff.end);
	if (left < PATIENCE_MS)
		left = PATIENCE_MS;
	r = ganger_client_send_text(c, "server.ping", "{}", 2, &id);
	if (r < 0)
		return r;
	r = ganger_client_take(
	    c, id, left < patience ? left : patience, &reply);
	ganger_client_forget(c, id);
	if (r < 0)
		return r;
	if (reply.error.code == RPC_DRAINING)
		r = -ECONNRESET;
	ganger_reply_done(&reply);
	return r;
}

/* One attempt.  Without success the connection is as lost as before. */
static int
attempt(struct ganger_client *c, struct mono due, int lost)
{
	int r;

	r = conn_reopen(&c->conn, c->path);
	if (r < 0)
		return r;
	r = ask_ping(c, due);
	if (r < 0)
		conn_kill(&c->conn, lost);
	return r;
}

/* Try until it goes well, or it is time to stop. */
static int
try_on(struct ganger_client *c, struct mono due, int lost)
{
	struct backoff *b = &c->backoff;
	int r;

	for (;;) {
		r = sleep_until(c, earlier(b->next, earlier(due, b->end)));
		if (r < 0)
			return r;
		if (backoff_is_over(b, mono_now()))
			return lost;
		if (!mono_reached(mono_now(), b->next))
			return -ETIMEDOUT;
		backoff_step(b, mono_now());
		r = attempt(c, due, lost);
		if (r == 0) {
			backoff_up(b, mono_now());
			return 0;
		}
		if (r == -EINTR || r == -ENOMEM)
			return r;
		if (mono_reached(mono_now(), due))
			return -ETIMEDOUT;
	}
}

int
reconnect(struct ganger_client *c, struct mono due)
{
	int lost = c->conn.error != 0 ? c->conn.error : c->conn.out_error;

	if (c->open.n > 0 || c->backoff.limit_ms == 0)
		return lost;
	backoff_lost(&c->backoff, mono_now());
	return try_on(c, due, lost);
}

int
reconnect_to_next(struct ganger_client *c, struct mono due)
{
	if (c->open.n > 0 || c->backoff.limit_ms == 0)
		return -ECONNRESET;
	conn_kill(&c->conn, -ECONNRESET);
	return reconnect(c, due);
}

int
ganger_client_reconnect(struct ganger_client *c)
{
	idset_done(&c->open);
	idset_init(&c->open);
	conn_kill(&c->conn, -ECONNRESET);
	if (c->backoff.limit_ms == 0)
		return conn_reopen(&c->conn, c->path);
	return reconnect(c, CONN_NEVER);
}

int
reconnect_check(struct ganger_client *c)
{
	int r;

	if (c->open.n > 0 || c->backoff.limit_ms == 0)
		return 0;
	r = conn_probe(&c->conn);
	return reconnect_is_loss(r) ? conn_kill(&c->conn, r) : 0;
}

/* Nothing was sent yet: whatever it will be, it is not done twice. */
static int
make_sure(struct ganger_client *c)
{
	return reconnect_check(c) < 0 ? reconnect(c, CONN_NEVER) : 0;
}

int
ganger_client_request(struct ganger_client *c, const char *method,
    json_t *params, json_t **result_out, struct ganger_error *err_out)
{
	int r;

	r = make_sure(c);
	if (r == 0)
		r = client_ask(c, method, params, result_out, err_out);
	json_decref(params);
	return r;
}

int
reconnect_request(struct ganger_client *c, const char *method,
    const json_t *params, unsigned *n_out, json_t **result_out,
    struct ganger_error *err_out)
{
	unsigned n;
	int r;

	r = make_sure(c);
	for (n = 0; r == 0;) {
		n++;
		r = client_ask(c, method, params, result_out, err_out);
		if (!reconnect_is_loss(r))
			break;
		r = reconnect(c, CONN_NEVER);
	}
	if (n_out != NULL)
		*n_out = n;
	return r;
}
