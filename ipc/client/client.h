/* SPDX-License-Identifier: ISC */
/*
 * client.h - talk to a Ganger daemon, installed as <ganger/client.h>
 *
 *	struct ganger_client *c;
 *	struct ganger_error err;
 *	json_t *result;
 *	int r;
 *
 *	r = ganger_client_open(NULL, &c);
 *	if (r < 0)
 *		errx(1, "%s", strerror(-r));
 *	r = ganger_client_call(c,
 *	    json_pack("{s:s, s:{s:s}}", "name", "sha512", "args",
 *	        "path", "/etc/passwd"), &result, &err);
 *	if (r == -EREMOTEIO) {
 *		warnx("%s", err.message);
 *		ganger_error_done(&err);
 *	}
 *
 * Calls block.  A client object may be used by one thread at a time; different
 * objects are independent.  No call raises SIGPIPE, and a signal that a handler
 * returns from does not end one: see ganger_client_set_wake_fd for that.
 *
 * Results: 0, or a negative errno value, and outputs are untouched on failure.
 * Of every call that talks to the daemon:
 *
 *	-EREMOTEIO   the daemon answered with an error; it is in *err_out
 *	-EPIPE, -ECONNRESET
 *	             the connection is lost, and what becomes of the request is
 *	             not known: see ganger_client_set_reconnect
 *	-EPROTO      what came is not the protocol; the connection is given up
 *	-EINTR       the wake descriptor became readable
 *	-ENOMEM      out of memory
 *	-EINVAL      an argument that can't be right, such as a NULL value
 *
 * JSON values: "takes" means that the reference is stolen, on failure too, so
 * json_pack may stand in the argument; its NULL is answered with -EINVAL.
 * Outputs are new references.  err_out may be NULL; it is written only together
 * with -EREMOTEIO, and is then released with ganger_error_done.
 *
 * ganger-protocol(7) describes the methods, their parameters and results.
 */
#ifndef GANGER_CLIENT_H
#define GANGER_CLIENT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GANGER_CLIENT_API __attribute__((visibility("default")))

/* A connection and the requests that are open on it. */
struct ganger_client;

/* An error that the daemon answered with. */
struct ganger_error {
	int code;      /* JSON-RPC's, as in ganger-protocol(7); 0: none */
	char *message; /* owned */
	json_t *data;  /* owned; NULL when there is none */
};

/* The answer to one request. */
struct ganger_reply {
	uint64_t id;    /* of the request; 0: an error that names none */
	json_t *result; /* owned; NULL when it is an error */
	struct ganger_error error; /* owned; code is 0 when it is a result */
};

/* The same, its result as JSON text. */
struct ganger_text {
	uint64_t id;
	const char *result; /* lent until the next call; NULL: an error */
	size_t len;
	struct ganger_error error; /* owned; code is 0 when it is a result */
};

/* Free what is inside and zero it.  NULL-safe; safe to repeat. */
GANGER_CLIENT_API void ganger_error_done(struct ganger_error *err);
GANGER_CLIENT_API void ganger_reply_done(struct ganger_reply *reply);

/*
 * Write the path that ganger_client_open takes for NULL: $GANGER_SOCKET; else,
 * for root, the system's daemon; else $XDG_RUNTIME_DIR/ganger/ganger.sock; else
 * ganger/ganger.sock in $XDG_STATE_HOME or ~/.local/state.
 * -EDESTADDRREQ: none of these is known.  -ENAMETOOLONG: size is too small.
 */
GANGER_CLIENT_API int ganger_client_default_path(char *out, size_t size);

/*
 * Connect to the daemon at path, or at the default one for NULL.  The caller
 * owns *out; release it with ganger_client_close.  -ENOENT and -ECONNREFUSED:
 * nobody is there.  -EACCES: not for this user.  -ENAMETOOLONG: over what a
 * socket's address holds.
 */
GANGER_CLIENT_API int ganger_client_open(
    const char *path, struct ganger_client **out);

/* Close the connection and drop what is open on it.  NULL-safe. */
GANGER_CLIENT_API void ganger_client_close(struct ganger_client *c);

/*
 * Make waiting calls return -EINTR while fd is readable: the way to end them
 * from a signal handler (which writes to a pipe) without a race.  fd is
 * borrowed and never read; -1, as at first, for none.
 */
GANGER_CLIENT_API void ganger_client_set_wake_fd(
    struct ganger_client *c, int fd);

/*
 * Refuse, with -EMSGSIZE, to send a request over max bytes: server.info's
 * limits.max_message, which the daemon would only drop.  0, as at first: no
 * limit.
 */
GANGER_CLIENT_API void ganger_client_set_max_message(
    struct ganger_client *c, size_t max);

/* The limit at first. */
#define GANGER_CLIENT_RECONNECT_MS 30000

/*
 * Set how long calls that find the connection lost try to reach the daemon, or
 * the next one at the same path, again: 0 for not at all, negative for without
 * end.  The limit is that of a row of losses, which ends when the daemon has
 * been there for 5 s.
 *
 * Only calls that wait for their own answer do so, and only while no other
 * request is open.  One that is lost before anything of it was sent is made on
 * the new connection.  One that was sent is made again if that does no harm: by
 * ganger_client_get and the waits; by ganger_client_submit and
 * ganger_client_call for a task with "durable": true or an "idempotency_key";
 * by ganger_client_submit_many if all tasks have such a key.  Any other is lost
 * with its connection, and says so.
 */
GANGER_CLIENT_API void ganger_client_set_reconnect(
    struct ganger_client *c, int64_t limit_ms);

/*
 * Give the connection up, lost or not, and connect again, within the limit; if
 * that is 0, once.  Requests that were open are dropped; answers that came can
 * still be taken.  ganger_client_fd is another one afterwards.  -EPIPE,
 * -ECONNRESET, or for a limit of 0 as ganger_client_open: nobody was reached.
 */
GANGER_CLIENT_API int ganger_client_reconnect(struct ganger_client *c);

/*
 * Requests, one at a time
 */

/*
 * Call a method and wait for its answer.  Takes params, an object or array.
 * Answers to other requests that come first are kept for ganger_client_next.
 * A call that ends with -EINTR leaves its request with the daemon; the answer
 * is dropped when it comes.
 */
GANGER_CLIENT_API int ganger_client_request(struct ganger_client *c,
    const char *method, json_t *params, json_t **result_out,
    struct ganger_error *err_out);

/*
 * Submit a task.  Takes task, an object with the parameters of task.submit:
 * {"name": …, "args": …, "queue": …, …}.  One with "durable": true that has no
 * "idempotency_key" is given one, unless the limit of reconnecting is 0: so it
 * is submitted once, even when an answer is lost and it is sent again.
 */
GANGER_CLIENT_API int ganger_client_submit(struct ganger_client *c,
    json_t *task, uint64_t *id_out, struct ganger_error *err_out);

/*
 * The same, with all of the answer: {"id", "state", "duplicate"}, and maybe
 * "warning".
 */
GANGER_CLIENT_API int ganger_client_submit_answer(struct ganger_client *c,
    json_t *task, json_t **answer_out, struct ganger_error *err_out);

/*
 * Submit an array of such tasks, which it takes, at once.  *answers_out is an
 * array in the same order: {"id", "state", "duplicate"} or {"error": …} each.
 */
GANGER_CLIENT_API int ganger_client_submit_many(struct ganger_client *c,
    json_t *tasks, json_t **answers_out, struct ganger_error *err_out);

/*
 * Run a task and wait for its result.  Takes task, as ganger_client_submit;
 * wait_ms, too, may be in it.  When the task failed, err_out has the code
 * -32020, the task's own message, and the task in data.
 *
 * A task with "durable": true or an "idempotency_key" is submitted and then
 * waited for, which goes on after the broker's death; any other is lost with
 * the connection, and this says -ECONNRESET.
 */
GANGER_CLIENT_API int ganger_client_call(struct ganger_client *c, json_t *task,
    json_t **result_out, struct ganger_error *err_out);

/* Look at a task: *task_out is the task object. */
GANGER_CLIENT_API int ganger_client_get(struct ganger_client *c, uint64_t id,
    json_t **task_out, struct ganger_error *err_out);

/*
 * Wait until all of the n tasks have ended, or until timeout_ms is over
 * (negative: without end).  *result_out is {"done": [task, …], "pending":
 * [id, …]}; that the time is over is no error, but for -ETIMEDOUT: while no
 * daemon could be reached.
 *
 * A daemon that stops ends a wait with the error -32015 (draining); this waits
 * on with the next one, within the limit of ganger_client_set_reconnect.
 */
GANGER_CLIENT_API int ganger_client_wait(struct ganger_client *c,
    const uint64_t *ids, size_t n, int64_t timeout_ms, json_t **result_out,
    struct ganger_error *err_out);

/* The same, until one of them has ended. */
GANGER_CLIENT_API int ganger_client_wait_any(struct ganger_client *c,
    const uint64_t *ids, size_t n, int64_t timeout_ms, json_t **result_out,
    struct ganger_error *err_out);

/*
 * Cancel those of the n tasks that have not started, and ask those that run to
 * end.  *result_out is {"count": …, "cancelling": …, "skipped": [{"id",
 * "state"}, …]}.  That all were skipped is an error, of code -32013.
 */
GANGER_CLIENT_API int ganger_client_cancel(struct ganger_client *c,
    const uint64_t *ids, size_t n, json_t **result_out,
    struct ganger_error *err_out);

/*
 * Requests, many at a time
 *
 * Requests gather until ganger_client_flush, or until a call waits for an
 * answer, so that many go in one write.  Answers come in any order.  The memory
 * that they take is bounded by the caller: by what it leaves unanswered.
 */

/*
 * Queue a request.  Borrows params.  *id_out (may be NULL) is its id: they
 * count up by one, from 1.  -EMSGSIZE: see ganger_client_set_max_message.
 */
GANGER_CLIENT_API int ganger_client_send(struct ganger_client *c,
    const char *method, const json_t *params, uint64_t *id_out);

/*
 * The same, with params as JSON text of len bytes, which is passed on as it is:
 * it must be an object or array, and hold no newline.
 */
GANGER_CLIENT_API int ganger_client_send_text(struct ganger_client *c,
    const char *method, const char *params, size_t len, uint64_t *id_out);

/*
 * Send what is queued.  timeout_ms as below.  -ETIMEDOUT: the daemon has not
 * taken all of it yet; the rest stays queued.
 */
GANGER_CLIENT_API int ganger_client_flush(
    struct ganger_client *c, int64_t timeout_ms);

/*
 * Take the next answer to any request.  The caller owns *out; release it with
 * ganger_reply_done.  timeout_ms: how long to wait at most, 0 for not at all,
 * negative for without end.
 * -ETIMEDOUT: none came in time.  -ENOMSG: no request is open.
 */
GANGER_CLIENT_API int ganger_client_next(
    struct ganger_client *c, int64_t timeout_ms, struct ganger_reply *out);

/*
 * The same, with the result as the daemon wrote it: a JSON text, not ended by a
 * NUL, that goes away with the next call for this client.  Of *out the caller
 * owns only the error.  For those who pass results on.
 */
GANGER_CLIENT_API int ganger_client_next_text(
    struct ganger_client *c, int64_t timeout_ms, struct ganger_text *out);

/*
 * Take the answer to request id, or an error that names no request; the others
 * stay for ganger_client_next.  -ENOMSG: no request of this id is open.
 */
GANGER_CLIENT_API int ganger_client_take(struct ganger_client *c, uint64_t id,
    int64_t timeout_ms, struct ganger_reply *out);

/* Drop request id: its answer is thrown away, whenever it comes. */
GANGER_CLIENT_API int ganger_client_forget(
    struct ganger_client *c, uint64_t id);

/*
 * For a caller that polls several things: the descriptor, borrowed, and what
 * to poll it for (POLLIN, with POLLOUT while something is queued).  Whatever
 * came, then call ganger_client_flush and ganger_client_next with a timeout of
 * 0, the latter until it says -ETIMEDOUT or -ENOMSG.
 */
GANGER_CLIENT_API int ganger_client_fd(const struct ganger_client *c);
GANGER_CLIENT_API short ganger_client_events(const struct ganger_client *c);

#ifdef __cplusplus
}
#endif

#endif
