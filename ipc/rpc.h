/* SPDX-License-Identifier: ISC */
/*
 * rpc.h - read and write JSON-RPC 2.0 (jsonrpc.org/specification)
 *
 * Does no I/O and keeps no state.  Reading checks a message's form, not its
 * meaning.  Writing appends to a struct buf, one text a line; failures are
 * sticky in that buffer.
 */
#ifndef GANGER_IPC_RPC_H
#define GANGER_IPC_RPC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "ipc/buf.h"
#include "ipc/proto.h"

enum rpc_kind { RPC_REQUEST, RPC_NOTIFICATION, RPC_RESPONSE, RPC_INVALID };

/* One message.  Every pointer is borrowed from the rpc_text it stands in. */
struct rpc_msg {
	enum rpc_kind kind;
	const char *method; /* of a request or notification */
	json_t *params;     /* an array or object, or NULL */
	json_t *id;         /* NULL in a notification, or when unusable */
	json_t *result;     /* of a response; exactly one of the two is set */
	json_t *error;
	const char *reason; /* of an invalid one: static text */
};

/* A line that was read: one message, or a batch of them. */
struct rpc_text {
	json_t *root; /* owned */
	bool batch;
	size_t n; /* messages; at least 1 */
};

/*
 * Read a line of len bytes.  The caller owns *out; release it with
 * rpc_text_done().  -EINVAL: not JSON.  -ENOMSG: an empty batch.  -E2BIG: a
 * batch over PROTO_BATCH_MAX.  reason (at least RPC_REASON_SIZE bytes) then
 * says what is wrong, for the error's message.
 */
#define RPC_REASON_SIZE 256
int rpc_read(const char *line, size_t len, struct rpc_text *out, char *reason);
void rpc_text_done(struct rpc_text *t);

/* Look at message i, i < t->n. */
void rpc_text_get(const struct rpc_text *t, size_t i, struct rpc_msg *out);

/*
 * Write `{"jsonrpc":"2.0","id":ID,"result":`; the caller appends a JSON value
 * and then rpc_close.  id is JSON text.
 */
void rpc_open_result(struct buf *b, const char *id, size_t id_len);
void rpc_close(struct buf *b);

/* The same up to `"error":`; the caller appends the error object. */
void rpc_open_error(struct buf *b, const char *id, size_t id_len);

/*
 * Write a whole error response.  id is JSON text (NULL: null); message is plain
 * text; data is JSON text, or NULL for none.
 */
void rpc_write_error(struct buf *b, const char *id, size_t id_len,
    enum rpc_code code, const char *message, const char *data);

/*
 * Write `{"jsonrpc":"2.0","id":ID,"method":METHOD,"params":`; as with
 * rpc_open_result the caller appends the value and rpc_close.
 */
void rpc_open_request(struct buf *b, uint64_t id, const char *method);
void rpc_open_notification(struct buf *b, const char *method);

/* The specification's wording for its own codes, ours for the others. */
const char *rpc_code_text(enum rpc_code code);

#endif
