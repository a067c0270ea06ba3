/* SPDX-License-Identifier: ISC */
/*
 * method.h - the table of what clients can call
 */
#ifndef GANGER_BROKER_METHOD_H
#define GANGER_BROKER_METHOD_H

#include <jansson.h>
#include <stddef.h>

#include "master/broker/broker.h"
#include "master/broker/conn.h"
#include "master/broker/params.h"

struct method {
	const char *name;
	enum broker_class class;
	const struct param_def *params;
	size_t n_params;    /* at most PARAMS_MAX */
	const char *result; /* what it gives, for rpc.discover */
	/* Answers call, now or later.  p is in the order of params. */
	void (*run)(struct broker *b, struct call *call, const struct param *p);
};

/* A table of methods, ended by a NULL name. */
extern const struct method method_submit_table[];
extern const struct method method_task_table[];
extern const struct method method_change_table[];
extern const struct method method_queue_table[];
extern const struct method method_server_table[];
extern const struct method method_admin_table[];

/* Carry out a request or notification; params may be NULL.  Takes call. */
void method_run(
    struct broker *b, struct call *call, const char *name, json_t *params);

/* The longest that a wait may name: a year. */
#define METHOD_WAIT_MAX_MS (INT64_C(365) * 86400 * 1000)

/* Answer that there is no memory for the request. */
void method_no_memory(struct call *call);

/* Say that what was asked for is done, but that the store failed to keep it. */
void method_not_kept(const struct broker *b, int err, struct fault *f);

/* True, and call is answered, when too many waits are open for n ids more. */
bool method_refuse_waiter(struct broker *b, struct call *call, size_t n);

/* Append rpc.discover's list of methods. */
void method_add_list(struct buf *out);

#endif
