/* SPDX-License-Identifier: ISC */
/*
 * filter.h - which tasks a client means, when it does not name them by id
 */
#ifndef GANGER_BROKER_FILTER_H
#define GANGER_BROKER_FILTER_H

#include <stdbool.h>

#include "master/broker/broker.h"
#include "master/broker/params.h"

/* The members of a filter; the start of task.list's parameters. */
#define FILTER_PARAMS \
	{"state", PARAM_STR, false, 0, 0}, {"queue", PARAM_STR, false, 0, 0}, \
	    {"name", PARAM_STR, false, 0, 0}, \
	    {"since", PARAM_TIME, false, 0, 0}, \
	{ \
		"until", PARAM_TIME, false, 0, 0 \
	}
#define FILTER_N_PARAMS 5

/* Their places among the values. */
enum { FILTER_STATE, FILTER_QUEUE, FILTER_NAME, FILTER_SINCE, FILTER_UNTIL };

/*
 * Fill in *out from values read by FILTER_PARAMS: no limit, from the newest
 * task on.  -1, and *f says why (fault_done it).
 */
int filter_set(const struct broker *b, const struct param *v,
    struct store_filter *out, struct fault *f);

/*
 * The same from a parameter that is an object.  f->param is the member that is
 * wrong.
 */
int filter_read(const struct broker *b, json_t *object,
    struct store_filter *out, struct fault *f);

/* True when t is one of those that f means. */
bool filter_fits(const struct store_filter *f, const struct task *t);

#endif
