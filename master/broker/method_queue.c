/* SPDX-License-Identifier: ISC */
/*
 * method_queue.c - queue.list, queue.pause, queue.resume and queue.purge
 */
#include <errno.h>
#include <stdlib.h>

#include "ipc/json.h"
#include "master/broker/method.h"
#include "master/broker/relane.h"
#include "master/broker/submit.h"
#include "master/broker/sweep.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static const struct param_def queue_params[] = {
    {"queue", PARAM_STR, true, 0, 0},
};

static void
add_crew_names(const struct broker *b, const struct queue *q, struct buf *out)
{
	const char *comma = "";
	size_t i;

	buf_add_key(out, "pools");
	buf_addc(out, '[');
	for (i = 0; i < b->n_crews; i++) {
		if ((q->shifts & crew_shifts(b->crews[i])) == 0)
			continue;
		buf_adds(out, comma);
		buf_add_json_cstr(out, b->crews[i]->name);
		comma = ",";
	}
	buf_addc(out, ']');
}

/* A paused queue that leaves is never empty: say what has to be done. */
static const char *
state_name(const struct queue *q)
{
	if (q->paused)
		return "paused";
	return q->leaving ? "leaving" : "up";
}

static void
add_queue(const struct broker *b, const struct queue *q, struct buf *out)
{
	buf_addc(out, '{');
	buf_add_key_cstr(out, "name", q->name);
	buf_add_key_cstr(out, "state", state_name(q));
	buf_add_key_uint(out, "priority", q->settings->priority);
	buf_add_key_uint(out, "ready", q->count.ready);
	buf_add_key_uint(out, "stranded", relane_count_stranded(b, q));
	buf_add_key_uint(out, "scheduled", q->count.scheduled);
	buf_add_key_uint(out, "running", q->count.running);
	buf_add_key_uint(out, "succeeded", q->count.succeeded);
	buf_add_key_uint(out, "failed", q->count.failed);
	buf_add_key_uint(out, "cancelled", q->count.cancelled);
	buf_add_key_uint(out, "expired", q->count.expired);
	add_crew_names(b, q, out);
	buf_addc(out, '}');
}

/* Gone from the settings, and nothing is left in it. */
static bool
is_gone(const struct queue *q)
{
	return q->leaving && queue_is_empty(q);
}

static void
queue_list(struct broker *b, struct call *call, const struct param *v)
{
	struct buf *out = call_open_result(call);
	const char *comma = "";
	size_t i;

	(void)v;
	buf_addc(out, '[');
	for (i = 0; i < b->catalog.n_all_queues; i++) {
		if (is_gone(b->catalog.queues[i]))
			continue;
		buf_adds(out, comma);
		add_queue(b, b->catalog.queues[i], out);
		comma = ",";
	}
	buf_addc(out, ']');
	call_close_result(call);
}

/* The queue that v names.  NULL, and call is answered: there is none. */
static struct queue *
find_queue(struct broker *b, struct call *call, const struct param *v)
{
	struct queue *q = catalog_find_any_queue(&b->catalog, v[0].text);
	struct fault f;

	if (q != NULL && !is_gone(q))
		return q;
	(void)submit_no_queue(b, v[0].text, &f);
	call_error(call, &f);
	fault_done(&f);
	return NULL;
}

/* A request that waits until the store has kept it. */
struct asked {
	struct broker *broker;
	struct call *call;
	const struct queue *queue;
};

static void
on_kept(void *arg, int err)
{
	struct asked *a = arg;
	struct fault f;

	if (err < 0) {
		method_not_kept(a->broker, err, &f);
		call_error(a->call, &f);
	} else {
		add_queue(a->broker, a->queue, call_open_result(a->call));
		call_close_result(a->call);
	}
	free(a);
}

/* NULL: out of memory, and call is answered. */
static struct asked *
asked_new(struct broker *b, struct call *call, const struct queue *q)
{
	struct asked *a = malloc(sizeof(*a));

	if (a == NULL) {
		method_no_memory(call);
		return NULL;
	}
	a->broker = b;
	a->call = call;
	a->queue = q;
	return a;
}

static void
set_paused(
    struct broker *b, struct call *call, const struct param *v, bool paused)
{
	struct queue *q = find_queue(b, call, v);
	struct asked *a = q == NULL ? NULL : asked_new(b, call, q);

	if (a == NULL)
		return;
	if (store_pause(b->store, q, paused) < 0) {
		free(a);
		method_no_memory(call);
		return;
	}
	q->paused = paused;
	holdback_review(b);
	if (store_barrier(b->store, on_kept, a) < 0)
		on_kept(a, -ENOMEM);
}

static void
queue_pause(struct broker *b, struct call *call, const struct param *v)
{
	set_paused(b, call, v, true);
}

static void
queue_resume(struct broker *b, struct call *call, const struct param *v)
{
	set_paused(b, call, v, false);
}

static void
on_purged(void *arg, int err, const struct change_tally *tally)
{
	struct asked *a = arg;
	struct fault f;
	struct buf *out;

	if (err < 0) {
		method_not_kept(a->broker, err, &f);
		call_error(a->call, &f);
	} else {
		out = call_open_result(a->call);
		buf_addc(out, '{');
		buf_add_key_uint(out, "count", tally->n_changed);
		buf_addc(out, '}');
		call_close_result(a->call);
	}
	free(a);
}

static void
queue_purge(struct broker *b, struct call *call, const struct param *v)
{
	struct queue *q = find_queue(b, call, v);
	struct asked *a = q == NULL ? NULL : asked_new(b, call, q);
	struct sweep_order order = {
	    .change = {.kind = CHANGE_CANCEL},
	    .filter = {.state = -1, .waiting = true, .queue = q},
	};

	if (a != NULL && sweep_start(b, &order, on_purged, a) < 0) {
		free(a);
		method_no_memory(call);
	}
}

const struct method method_queue_table[] = {
    {"queue.list", CLASS_OBSERVE, NULL, 0, "[queue with its counts]",
	queue_list},
    {"queue.pause", CLASS_ADMIN, queue_params, N(queue_params), "the queue",
	queue_pause},
    {"queue.resume", CLASS_ADMIN, queue_params, N(queue_params), "the queue",
	queue_resume},
    {"queue.purge", CLASS_ADMIN, queue_params, N(queue_params), "{count}",
	queue_purge},
    {NULL, 0, NULL, 0, NULL, NULL},
};
