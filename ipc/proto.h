/* SPDX-License-Identifier: ISC */
/*
 * proto.h - names and numbers of what crosses a socket
 *
 * Clients and workers speak JSON-RPC 2.0, one JSON text a line.
 * ganger-protocol(7) is the normative description.
 */
#ifndef GANGER_IPC_PROTO_H
#define GANGER_IPC_PROTO_H

/* Raised when a message changes its meaning. */
#define PROTO_VERSION 1

/* Limits that hold whatever the configuration says. */
#define PROTO_ID_MAX      256   /* bytes of a request's id, as JSON */
#define PROTO_BATCH_MAX   10000 /* requests in a batch */
#define PROTO_MANY_MAX    10000 /* tasks in task.submit_many, ids in task.wait */
#define PROTO_NAME_MAX    128   /* bytes of a task's, queue's or pool's name */
#define PROTO_KEY_MAX     255   /* bytes of a key, unique, idempotency_key */
#define PROTO_PRIORITIES  10    /* 0 to 9, 9 first */
#define PROTO_MESSAGE_MAX (1024 * 1024) /* default of max_message */

enum rpc_code {
	RPC_PARSE_ERROR = -32700,
	RPC_INVALID_REQUEST = -32600,
	RPC_METHOD_NOT_FOUND = -32601,
	RPC_INVALID_PARAMS = -32602,
	RPC_INTERNAL_ERROR = -32603,

	RPC_NOT_PERMITTED = -32001,
	RPC_RATE_LIMITED = -32003,
	RPC_QUEUE_FULL = -32010,
	RPC_DUPLICATE = -32011,
	RPC_NO_SUCH_TASK = -32012,
	RPC_WRONG_STATE = -32013,
	RPC_TOO_LARGE = -32014,
	RPC_DRAINING = -32015,
	RPC_STORAGE = -32016,
	RPC_NO_SUCH_NAME = -32017,
	RPC_TIMED_OUT = -32018,
	RPC_TASK_FAILED = -32020,
	RPC_REFUSED = -32021, /* the daemon can't be reloaded, upgraded, … so */
};

#endif
