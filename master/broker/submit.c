/* SPDX-License-Identifier: ISC */
/*
 * submit.c - make a task of what a client asks for
 */
#include "master/broker/submit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/clock.h"
#include "ipc/json.h"
#include "master/broker/flap.h"
#include "master/broker/life.h"

#define RETRIES_MAX    1000
#define BACKOFF_MS     1000
#define TIME_MAX_MS    (INT64_C(10) * 365 * 86400 * 1000)
#define NAMES_TOLD     64 /* in an error's data */
#define FULL_RETRY_MS  1000
#define DRAIN_RETRY_MS 1000

/* The order of submit_params. */
enum {
	P_NAME,
	P_ARGS,
	P_QUEUE,
	P_PRIORITY,
	P_DELAY_MS,
	P_RUN_AT,
	P_EXPIRES_MS,
	P_TIMEOUT_MS,
	P_SOFT_TIMEOUT_MS,
	P_RETRIES,
	P_BACKOFF_MS,
	P_DURABLE,
	P_RESULT_TTL_MS,
	P_META,
	P_DELIVERY,
	P_WAIT_MS
};

const struct param_def submit_params[SUBMIT_N_PARAMS + 1] = {
    [P_NAME] = {"name", PARAM_STR, true, 0, 0},
    [P_ARGS] = {"args", PARAM_ANY, false, 0, 0},
    [P_QUEUE] = {"queue", PARAM_STR, false, 0, 0},
    [P_PRIORITY] = {"priority", PARAM_INT, false, 0, PROTO_PRIORITIES - 1},
    [P_DELAY_MS] = {"delay_ms", PARAM_INT, false, 0, TIME_MAX_MS},
    [P_RUN_AT] = {"run_at", PARAM_TIME, false, 0, 0},
    [P_EXPIRES_MS] = {"expires_ms", PARAM_INT, false, 1, TIME_MAX_MS},
    [P_TIMEOUT_MS] = {"timeout_ms", PARAM_INT, false, 0, TIME_MAX_MS},
    [P_SOFT_TIMEOUT_MS] = {"soft_timeout_ms", PARAM_INT, false, 0, TIME_MAX_MS},
    [P_RETRIES] = {"retries", PARAM_INT, false, 0, RETRIES_MAX},
    [P_BACKOFF_MS] = {"backoff_ms", PARAM_INT, false, 0, TIME_MAX_MS},
    [P_DURABLE] = {"durable", PARAM_BOOL, false, 0, 0},
    [P_RESULT_TTL_MS] = {"result_ttl_ms", PARAM_INT, false, 0, TIME_MAX_MS},
    [P_META] = {"meta", PARAM_ANY, false, 0, 0},
    [P_DELIVERY] = {"delivery", PARAM_STR, false, 0, 0},
    [P_WAIT_MS] = {"wait_ms", PARAM_INT, false, 0, TIME_MAX_MS},
};

static void
add_names(const struct broker *b, struct fault *f)
{
	struct buf names;

	buf_init(&names, SIZE_MAX);
	buf_adds(&names, "\"names\":");
	catalog_add_kinds(&b->catalog, NAMES_TOLD, &names);
	f->more = buf_steal(&names, NULL);
	buf_done(&names);
}

int
submit_no_name(const struct broker *b, const char *name, struct fault *f)
{
	bool first = true;
	size_t i;

	fault_set(
	    f, RPC_NO_SUCH_NAME, "no such task name \"%s\"; there are: ", name);
	f->param = "name";
	for (i = 0; i < b->catalog.n_kinds; i++) {
		if (!catalog_has_kind(&b->catalog, b->catalog.kinds[i]))
			continue;
		fault_add_choice(f, b->catalog.kinds[i]->name, first);
		first = false;
	}
	add_names(b, f);
	return -1;
}

int
submit_no_queue(const struct broker *b, const char *name, struct fault *f)
{
	size_t i;

	fault_set(
	    f, RPC_NO_SUCH_NAME, "no such queue \"%s\"; there are: ", name);
	f->param = "queue";
	for (i = 0; i < b->catalog.n_queues; i++)
		fault_add_choice(f, b->catalog.queues[i]->name, i == 0);
	return -1;
}

static int
refuse_full(const struct broker *b, const struct task *t, const char *what,
    struct fault *f)
{
	char flap[FLAP_SIZE];
	bool flaps = flap_describe(b, t, flap);

	fault_set(
	    f, RPC_QUEUE_FULL, "%s is full%s%s", what, flaps ? "; " : "", flap);
	f->retryable = true;
	f->retry_after_ms = FULL_RETRY_MS;
	return -1;
}

/* Find the kind, the queue and the lane that v asks for. */
static int
find_place(
    struct broker *b, const struct param *v, struct task *t, struct fault *f)
{
	const struct queue_counts *n;
	int r;

	t->kind = catalog_find_kind(&b->catalog, v[P_NAME].text);
	if (t->kind == NULL || !catalog_has_kind(&b->catalog, t->kind))
		return submit_no_name(b, v[P_NAME].text, f);
	t->queue = v[P_QUEUE].given
		       ? catalog_find_queue(&b->catalog, v[P_QUEUE].text)
		       : catalog_usual_queue(&b->catalog, t->kind);
	if (t->queue == NULL && v[P_QUEUE].given)
		return submit_no_queue(b, v[P_QUEUE].text, f);
	r = t->queue == NULL
		? -ENOENT
		: catalog_lane(&b->catalog, t->queue, t->kind, &t->lane);
	if (r == -ENOENT) {
		fault_set(f, RPC_NO_SUCH_NAME,
		    "no pool that takes from %s%s%s runs \"%s\"",
		    v[P_QUEUE].given ? "queue \"" : "a queue",
		    v[P_QUEUE].given ? v[P_QUEUE].text : "",
		    v[P_QUEUE].given ? "\"" : "", t->kind->name);
		f->param = "queue";
		return -1;
	}
	if (r < 0) {
		fault_set(f, RPC_INTERNAL_ERROR, "out of memory");
		f->retryable = true;
		return -1;
	}
	n = &t->queue->count;
	if (b->n_waiting >= b->settings->max_queued)
		return refuse_full(b, t, "the daemon", f);
	if (t->queue->settings->max_queued > 0 &&
	    n->ready + n->scheduled >= t->queue->settings->max_queued)
		return refuse_full(b, t, "the queue", f);
	return 0;
}

/* The wait before the first run, by delay_ms or run_at. */
static int
read_delay(const struct param *v, struct task *t, int64_t *delay_ms_out,
    struct fault *f)
{
	int64_t delay;

	if (v[P_DELAY_MS].given && v[P_RUN_AT].given) {
		fault_set(f, RPC_INVALID_PARAMS,
		    "\"delay_ms\" and \"run_at\" exclude each other");
		f->param = "run_at";
		return -1;
	}
	delay = v[P_DELAY_MS].number;
	if (v[P_RUN_AT].given) {
		delay = v[P_RUN_AT].number - wall_now_ms();
		if (delay > TIME_MAX_MS) {
			fault_set(f, RPC_INVALID_PARAMS,
			    "\"run_at\" is over ten years away");
			f->param = "run_at";
			return -1;
		}
		t->run_at = v[P_RUN_AT].number;
		t->run_at_is_wall = true;
	}
	*delay_ms_out = delay > 0 ? delay : 0;
	return 0;
}

/* Copy the payloads.  -1, and *f says so, when memory is short. */
static int
copy_payload(const struct param *v, struct task *t, struct fault *f)
{
	char *text;
	unsigned i;
	static const int from[] = {P_ARGS, P_META};
	char **to[] = {&t->args, &t->meta};

	for (i = 0; i < 2; i++) {
		if (!v[from[i]].given)
			continue;
		text = json_text(v[from[i]].json, SIZE_MAX, NULL);
		if (text == NULL) {
			fault_set(f, RPC_INTERNAL_ERROR, "out of memory");
			f->retryable = true;
			return -1;
		}
		task_set_text(t, to[i], text);
	}
	return 0;
}

static int
check_delivery(const struct param *v, struct fault *f)
{
	if (!v[P_DELIVERY].given ||
	    strcmp(v[P_DELIVERY].text, "at_least_once") == 0)
		return 0;
	fault_set(f, RPC_INVALID_PARAMS,
	    "\"delivery\" can be \"at_least_once\" only");
	f->param = "delivery";
	return -1;
}

static void
fill(const struct param *v, bool durable, struct task *t)
{
	const struct broker_queue_settings *q = t->queue->settings;

	t->priority =
	    (uint8_t)(v[P_PRIORITY].given ? (unsigned)v[P_PRIORITY].number
					  : q->priority);
	t->retries =
	    v[P_RETRIES].given ? (uint32_t)v[P_RETRIES].number : q->retries;
	t->backoff_ms =
	    v[P_BACKOFF_MS].given ? v[P_BACKOFF_MS].number : BACKOFF_MS;
	t->timeout_ms = v[P_TIMEOUT_MS].number;
	t->soft_timeout_ms = v[P_SOFT_TIMEOUT_MS].number;
	t->durable = v[P_DURABLE].given ? v[P_DURABLE].flag : durable;
	if (v[P_RESULT_TTL_MS].given)
		t->result_ttl_ms = v[P_RESULT_TTL_MS].number;
	if (v[P_EXPIRES_MS].given)
		t->expires = mono_add_ms(mono_now(), v[P_EXPIRES_MS].number);
}

int
submit_task(struct broker *b, const struct param *v, bool durable,
    struct task **out, struct fault *f)
{
	int64_t delay_ms;
	struct task *t;

	if (b->phase != BROKER_SERVING) {
		fault_set(f, RPC_DRAINING, "the daemon is stopping");
		f->retryable = true;
		f->retry_after_ms = DRAIN_RETRY_MS;
		return -1;
	}
	t = task_new(b->settings->shared->last_id + 1);
	if (t == NULL) {
		fault_set(f, RPC_INTERNAL_ERROR, "out of memory");
		f->retryable = true;
		return -1;
	}
	if (find_place(b, v, t, f) < 0 || check_delivery(v, f) < 0 ||
	    read_delay(v, t, &delay_ms, f) < 0 || copy_payload(v, t, f) < 0) {
		task_unref(t);
		return -1;
	}
	fill(v, durable, t);
	if (b->n_bytes + task_size(t) > b->settings->max_bytes) {
		refuse_full(b, t, "the daemon's memory (max_bytes)", f);
		task_unref(t);
		return -1;
	}
	if (life_enter(b, t, delay_ms) < 0) {
		fault_set(f, RPC_INTERNAL_ERROR, "out of memory");
		f->retryable = true;
		task_unref(t);
		return -1;
	}
	b->settings->shared->last_id++;
	*out = t;
	return 0;
}

void
submit_add_answer(const struct broker *b, const struct task *t, struct buf *out)
{
	char flap[FLAP_SIZE];

	/* It may have started, even ended, since; what counts is the begin. */
	buf_adds(out, "{\"id\":");
	buf_add_uint(out, t->id);
	buf_adds(out, ",\"state\":\"");
	buf_adds(out, t->state == TASK_SCHEDULED && t->attempt == 0
			  ? "scheduled"
			  : "ready");
	buf_adds(out, "\",\"duplicate\":false");
	if (flap_describe(b, t, flap)) {
		buf_add_key(out, "warning");
		buf_add_json_cstr(out, flap);
	}
	buf_addc(out, '}');
}
