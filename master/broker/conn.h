/* SPDX-License-Identifier: ISC */
/*
 * conn.h - a client's connection and its open calls
 *
 * Every request becomes a struct call, which is answered once by one of the
 * call_ functions and freed by that.  Answers may come in any order.  A call
 * outlives its connection only until it is answered, into the void.
 */
#ifndef GANGER_BROKER_CONN_H
#define GANGER_BROKER_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "ipc/buf.h"
#include "ipc/peer.h"
#include "ipc/proto.h"
#include "ipc/rpc.h"
#include "ipc/sock.h"
#include "master/broker/broker.h"
#include "master/broker/fault.h"

struct hold;
struct waiter;

/* The answers of a batch, gathered until the last one. */
struct batch {
	struct buf out;
	size_t n_open; /* calls not answered, and one while it is being read */
	unsigned number; /* given while it is handed over */
};

struct call {
	struct broker *broker;
	struct conn *conn;     /* borrowed; NULL when the client is gone */
	struct batch *batch;   /* shared by the batch's calls, or NULL */
	struct waiter *waiter; /* owned while it waits for a task */
	struct hold *hold;     /* borrowed while it waits for room */
	char *id;              /* owned JSON text; NULL: a notification */
	size_t id_len;
	struct buf *out; /* borrowed; where the answer being written goes */
	size_t out_at;   /* and where in it the answer begins */
	LIST_ENTRY(call) entry; /* of conn->calls */
};

struct conn {
	struct peer peer; /* first: a struct peer * is a struct conn * */
	struct broker *broker;
	struct sock_cred cred;
	unsigned may; /* bit c: may call methods of enum broker_class c */
	LIST_HEAD(, call) calls;
	unsigned n_calls;
	bool full; /* OPEN_MAX calls were reached, and not enough ended */
	size_t n_batched;       /* bytes of answers in batches that are open */
	size_t n_links;         /* ids that its open waits wait for */
	struct hold_list holds; /* its submits that wait for room */
	TAILQ_ENTRY(conn) entry;
};

/*
 * Take a client that has connected; fd is owned from here on, also on error.
 */
int conn_new(struct broker *b, int fd);

/* Close all connections, dropping what was not sent. */
void conn_close_all(struct broker *b);

/* True when every answer so far was handed to the kernel. */
bool conn_all_sent(const struct broker *b);

/* A connection as it is handed over, without its calls. */
struct conn_state {
	struct peer_state peer;
	unsigned may;
	bool full;
};

/*
 * Go on with a connection that was handed over: its calls are added to it, then
 * conn_go_on is called.  fd is owned from here on, also on error.  0 or -errno.
 */
int conn_restore(
    struct broker *b, int fd, const struct conn_state *s, struct conn **out);

/* Add a batch that has these answers so far; its calls follow.  NULL: -ENOMEM.
 */
struct batch *batch_restore(
    struct conn *c, const char *answers, size_t n, int error);

/*
 * Add an open call; id is text that is taken, NULL for a notification.  c is
 * NULL when the client is gone.  NULL: out of memory, and id stays.
 */
struct call *call_restore(struct broker *b, struct conn *c, struct batch *batch,
    char *id, size_t id_len);

/* All of its calls are there again: read on, or don't. */
void conn_go_on(struct conn *c);

/* Read on, or wait, by what is open and held. */
void conn_regulate(struct conn *c);

/* Stop taking requests from every client, or take them again. */
void conn_hold_all(struct broker *b, bool hold);

/*
 * Answer with a result: append one JSON value to the buffer that is lent, then
 * close.  Nothing else may happen to connections between the two.
 */
struct buf *call_open_result(struct call *call);
void call_close_result(struct call *call);

/* Answer with a result that is text already. */
void call_result(struct call *call, const char *json);

/* Answer with an error. */
void call_error(struct call *call, const struct fault *f);

/* Answer with a plain error of one code, the code's own text and no more. */
void call_error_code(struct call *call, enum rpc_code code, bool retryable);

#endif
