/* SPDX-License-Identifier: ISC */
/*
 * order.h - what the broker tells a worker, read from a message
 *
 * Checks form, and knows neither tasks nor names.
 */
#ifndef GANGER_WORKER_ORDER_H
#define GANGER_WORKER_ORDER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "ipc/rpc.h"

enum order_kind { ORDER_RUN, ORDER_CANCEL, ORDER_STOP };

/* Pointers are borrowed from the message's text. */
struct order {
	enum order_kind kind;
	uint64_t id, run; /* of ORDER_RUN and ORDER_CANCEL */

	/* of ORDER_RUN */
	int64_t rpc_id; /* the request's id, to be echoed */
	const char *name;
	json_t *params; /* that has the args in it */
	unsigned attempt;
	int64_t timeout_ms, soft_timeout_ms; /* 0: none */

	/* of ORDER_CANCEL */
	int64_t grace_ms; /* then a command is killed */
};

/* Why a message is no order.  The code suits a response to a request. */
struct order_fault {
	enum rpc_code code;
	const char *reason; /* static text */
	bool answerable;    /* it was a request, and rpc_id is its id */
	int64_t rpc_id;
};

/* Read m.  -EINVAL: *fault_out says why, *out is untouched. */
int order_read(
    const struct rpc_msg *m, struct order *out, struct order_fault *fault_out);

/*
 * Take the arguments of an ORDER_RUN out of the message: a new reference, and
 * the only one, so that another thread can have it.  json_null() when none
 * were given.
 */
json_t *order_take_args(const struct order *o);

#endif
