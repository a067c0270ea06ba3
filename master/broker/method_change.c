/* SPDX-License-Identifier: ISC */
/*
 * method_change.c - task.cancel, task.retry and task.delete
 *
 * The tasks are named by their ids, or meant by a filter.
 */
#include <stdlib.h>

#include "master/broker/bulk.h"
#include "master/broker/filter.h"
#include "master/broker/method.h"
#include "master/broker/sweep.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* The order of the parameters; task.cancel alone has the last one. */
enum { P_IDS, P_ID, P_FILTER, P_FORCE };

static const struct param_def change_params[] = {
    [P_IDS] = {"ids", PARAM_IDS, false, 0, 0},
    [P_ID] = {"id", PARAM_INT, false, 1, INT64_MAX},
    [P_FILTER] = {"filter", PARAM_OBJECT, false, 0, 0},
    [P_FORCE] = {"force", PARAM_BOOL, false, 0, 0},
};

/* A sweep whose outcome a client waits for. */
struct swept {
	struct broker *broker;
	struct call *call;
	struct change change;
};

static void
on_swept(void *arg, int err, const struct change_tally *tally)
{
	struct swept *w = arg;
	struct fault f;
	struct buf *out;

	if (err < 0) {
		method_not_kept(w->broker, err, &f);
		call_error(w->call, &f);
	} else {
		out = call_open_result(w->call);
		buf_addc(out, '{');
		change_add_answer(&w->change, tally, out);
		buf_addc(out, '}');
		call_close_result(w->call);
	}
	free(w);
}

static void
sweep(struct broker *b, struct call *call, const struct sweep_order *order)
{
	struct swept *w = malloc(sizeof(*w));

	if (w == NULL) {
		method_no_memory(call);
		return;
	}
	w->broker = b;
	w->call = call;
	w->change = order->change;
	if (sweep_start(b, order, on_swept, w) < 0) {
		free(w);
		method_no_memory(call);
	}
}

/* A filter that says nothing would mean everything. */
static int
refuse_wide(struct fault *f)
{
	fault_set(f, RPC_INVALID_PARAMS,
	    "\"filter\" names neither a state, nor a queue, nor a name");
	f->param = "filter";
	return -1;
}

/*
 * Complete a filter that has no state by what the change is for, and refuse a
 * state that it is not for.
 */
static int
narrow(struct sweep_order *order, struct fault *f)
{
	struct store_filter *filter = &order->filter;
	bool any = filter->state < 0;

	if (any && order->change.kind == CHANGE_RETRY) {
		/* Not those that are proven to do harm. */
		filter->state = TASK_FAILED;
	} else if (any && filter->queue == NULL && filter->kind == NULL) {
		return refuse_wide(f);
	} else if (any && order->change.kind == CHANGE_CANCEL) {
		filter->waiting = true;
		order->runs = true;
	} else if (any) {
		filter->ended = true;
	} else if (!change_suits(
		       &order->change, (enum task_state)filter->state)) {
		fault_set(f, RPC_INVALID_PARAMS, "\"filter\": %s",
		    change_condition(&order->change));
		f->param = "state";
		return -1;
	}
	order->only_runs = filter->state == TASK_RUNNING;
	return 0;
}

static void
change_filtered(
    struct broker *b, struct call *call, const struct change *c, json_t *object)
{
	struct sweep_order order = {.change = *c};
	struct fault f;

	if (filter_read(b, object, &order.filter, &f) < 0 ||
	    narrow(&order, &f) < 0) {
		call_error(call, &f);
		fault_done(&f);
		return;
	}
	sweep(b, call, &order);
}

static void
change_ids(struct broker *b, struct call *call, const struct change *c,
    const json_t *list)
{
	size_t i, n = json_array_size(list);
	uint64_t *ids = calloc(n, sizeof(*ids));

	if (ids == NULL) {
		method_no_memory(call);
		return;
	}
	for (i = 0; i < n; i++)
		ids[i] = (uint64_t)json_integer_value(json_array_get(list, i));
	bulk_start(b, call, c, ids, n);
	free(ids);
}

static void
change(struct broker *b, struct call *call, const struct change *c,
    const struct param *v)
{
	struct fault f;
	uint64_t id;

	if (v[P_IDS].given + v[P_ID].given + v[P_FILTER].given != 1) {
		fault_set(&f, RPC_INVALID_PARAMS,
		    "one of \"ids\", \"id\" and \"filter\" is wanted");
		f.param = "ids";
		call_error(call, &f);
	} else if (v[P_FILTER].given) {
		change_filtered(b, call, c, v[P_FILTER].json);
	} else if (v[P_IDS].given) {
		change_ids(b, call, c, v[P_IDS].json);
	} else {
		id = (uint64_t)v[P_ID].number;
		bulk_start(b, call, c, &id, 1);
	}
}

static void
task_cancel(struct broker *b, struct call *call, const struct param *v)
{
	struct change c = {.kind = CHANGE_CANCEL, .force = v[P_FORCE].flag};

	change(b, call, &c, v);
}

static void
task_retry(struct broker *b, struct call *call, const struct param *v)
{
	struct change c = {.kind = CHANGE_RETRY};

	change(b, call, &c, v);
}

static void
task_delete(struct broker *b, struct call *call, const struct param *v)
{
	struct change c = {.kind = CHANGE_DELETE};

	change(b, call, &c, v);
}

const struct method method_change_table[] = {
    {"task.cancel", CLASS_SUBMIT, change_params, N(change_params),
	"{count, cancelling, skipped: [{id, state}]}", task_cancel},
    {"task.retry", CLASS_SUBMIT, change_params, P_FORCE,
	"{count, skipped: [{id, state}]}", task_retry},
    {"task.delete", CLASS_SUBMIT, change_params, P_FORCE,
	"{count, skipped: [{id, state}]}", task_delete},
    {NULL, 0, NULL, 0, NULL, NULL},
};
