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
#include "master/broker/gate.h"
#include "master/broker/life.h"
#include "master/broker/storage.h"

#define RETRIES_MAX     1000
#define BACKOFF_MS      1000
#define TIME_MAX_MS     (INT64_C(10) * 365 * 86400 * 1000)
#define NAMES_TOLD      64 /* in an error's data */
#define FULL_RETRY_MS   1000
#define DRAIN_RETRY_MS  1000
#define UNKEPT_RETRY_MS 1000

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
	P_KEY,
	P_UNIQUE,
	P_IDEMPOTENCY_KEY,
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
    [P_KEY] = {"key", PARAM_KEY, false, 0, 0},
    [P_UNIQUE] = {"unique", PARAM_KEY, false, 0, 0},
    [P_IDEMPOTENCY_KEY] = {"idempotency_key", PARAM_KEY, false, 0, 0},
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

/* What is full. */
struct full {
	const char *what, *name; /* name: of a queue, else "" */
	const char *key;         /* of the configuration */
	uint64_t limit;
	const void *room; /* to be emptier; NULL: that would not help */
};

static int
refuse_full(const struct broker *b, const struct task *t, struct full full,
    struct fault *f)
{
	char flap[FLAP_SIZE];
	bool flaps = flap_describe(b, t, flap);

	fault_set(f, RPC_QUEUE_FULL, "%s%s is full (%s, %llu)%s%s", full.what,
	    full.name, full.key, (unsigned long long)full.limit,
	    flaps ? "; " : "", flap);
	f->retryable = true;
	f->retry_after_ms = FULL_RETRY_MS;
	f->room = full.room;
	return -1;
}

static int
no_memory(struct fault *f)
{
	fault_set(f, RPC_INTERNAL_ERROR, "out of memory");
	f->retryable = true;
	return -1;
}

/* Find the kind and the queue that v asks for. */
static int
find_place(
    struct broker *b, const struct param *v, struct task *t, struct fault *f)
{
	t->kind = catalog_find_kind(&b->catalog, v[P_NAME].text);
	if (t->kind == NULL || !catalog_has_kind(&b->catalog, t->kind))
		return submit_no_name(b, v[P_NAME].text, f);
	t->queue = v[P_QUEUE].given
		       ? catalog_find_queue(&b->catalog, v[P_QUEUE].text)
		       : catalog_usual_queue(&b->catalog, t->kind);
	if (t->queue != NULL)
		return 0;
	if (v[P_QUEUE].given)
		return submit_no_queue(b, v[P_QUEUE].text, f);
	fault_set(f, RPC_NO_SUCH_NAME,
	    "no pool that takes from a queue runs \"%s\"", t->kind->name);
	f->param = "queue";
	return -1;
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

/* Copy the texts.  -1, and *f says so, when memory is short. */
static int
copy_texts(const struct param *v, struct task *t, struct fault *f)
{
	char *text;
	unsigned i;
	static const int from[] = {
	    P_ARGS, P_META, P_KEY, P_UNIQUE, P_IDEMPOTENCY_KEY};
	char **to[] = {
	    &t->args, &t->meta, &t->key, &t->unique, &t->idempotency_key};

	for (i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
		if (!v[from[i]].given)
			continue;
		text = from[i] == P_ARGS || from[i] == P_META
			   ? json_text(v[from[i]].json, SIZE_MAX, NULL)
			   : strdup(v[from[i]].text);
		if (text == NULL)
			return no_memory(f);
		task_set_text(t, to[i], text);
	}
	return 0;
}

static int
read_delivery(const struct param *v, struct task *t, struct fault *f)
{
	const char *text =
	    v[P_DELIVERY].given ? v[P_DELIVERY].text : "at_least_once";

	t->at_most_once = strcmp(text, "at_most_once") == 0;
	if (!t->at_most_once && strcmp(text, "at_least_once") != 0) {
		fault_set(f, RPC_INVALID_PARAMS,
		    "\"delivery\" is neither \"at_least_once\" nor "
		    "\"at_most_once\"");
		f->param = "delivery";
		return -1;
	}
	if (t->at_most_once && v[P_RETRIES].number > 0) {
		fault_set(f, RPC_INVALID_PARAMS,
		    "what runs at most once has no \"retries\"");
		f->param = "retries";
		return -1;
	}
	return 0;
}

/* Is the task one that outlives the broker? */
static int
read_durable(const struct broker *b, const struct param *v, bool is_call,
    struct task *t, struct fault *f)
{
	bool can =
	    b->settings->store_path != NULL && t->queue->settings->durable;

	if (v[P_DURABLE].given)
		t->durable = v[P_DURABLE].flag;
	else
		t->durable = v[P_IDEMPOTENCY_KEY].given || (can && !is_call);
	if (t->durable && !can) {
		fault_set(f, RPC_INVALID_PARAMS,
		    "the tasks of queue \"%s\" are kept in memory only",
		    t->queue->name);
		f->param = v[P_DURABLE].given ? "durable" : "idempotency_key";
		return -1;
	}
	if (!t->durable && v[P_IDEMPOTENCY_KEY].given) {
		fault_set(f, RPC_INVALID_PARAMS,
		    "a task with an \"idempotency_key\" is durable");
		f->param = "idempotency_key";
		return -1;
	}
	return 0;
}

static void
fill(const struct param *v, struct task *t)
{
	const struct broker_queue_settings *q = t->queue->settings;

	t->priority =
	    (uint8_t)(v[P_PRIORITY].given ? (unsigned)v[P_PRIORITY].number
					  : q->priority);
	t->retries =
	    v[P_RETRIES].given ? (uint32_t)v[P_RETRIES].number : q->retries;
	if (t->at_most_once)
		t->retries = 0;
	t->backoff_ms =
	    v[P_BACKOFF_MS].given ? v[P_BACKOFF_MS].number : BACKOFF_MS;
	t->timeout_ms = v[P_TIMEOUT_MS].number;
	t->soft_timeout_ms = v[P_SOFT_TIMEOUT_MS].number;
	if (v[P_RESULT_TTL_MS].given)
		t->result_ttl_ms = v[P_RESULT_TTL_MS].number;
	if (v[P_EXPIRES_MS].given)
		t->expires = mono_add_ms(mono_now(), v[P_EXPIRES_MS].number);
}

int
submit_make(struct broker *b, const struct param *v, bool is_call,
    struct submission *out, struct fault *f)
{
	struct task *t;

	memset(out, 0, sizeof(*out));
	/* It gets its id when it enters. */
	t = task_new(0);
	if (t == NULL)
		return no_memory(f);
	if (find_place(b, v, t, f) < 0 || read_delivery(v, t, f) < 0 ||
	    read_durable(b, v, is_call, t, f) < 0 ||
	    read_delay(v, t, &out->delay_ms, f) < 0 ||
	    copy_texts(v, t, f) < 0) {
		task_unref(t);
		return -1;
	}
	fill(v, t);
	out->task = t;
	return 0;
}

void
submit_done(struct submission *s)
{
	task_unref(s->task);
	task_unref(s->twin);
	free(s->refusal);
	memset(s, 0, sizeof(*s));
}

void
submit_forget(struct submission *s)
{
	s->by_key = s->by_unique = (struct submit_found){0};
}

/* What it asked for may have gone while look-ups were open. */
static int
find_lane(struct broker *b, struct task *t, struct fault *f)
{
	int r;

	if (!catalog_has_kind(&b->catalog, t->kind))
		return submit_no_name(b, t->kind->name, f);
	if (t->queue->leaving)
		return submit_no_queue(b, t->queue->name, f);
	r = catalog_lane(&b->catalog, t->queue, t->kind, &t->lane);
	if (r == 0)
		return 0;
	if (r == -ENOMEM)
		return no_memory(f);
	fault_set(f, RPC_NO_SUCH_NAME,
	    "no pool that takes from queue \"%s\" runs \"%s\"", t->queue->name,
	    t->kind->name);
	f->param = "queue";
	return -1;
}

/* Is there room on the disk? */
static int
check_disk(struct broker *b, const struct task *t, struct fault *f)
{
	char why[STORE_WHY_SIZE];

	switch (storage_check_room(b, why)) {
	case STORAGE_HAS_ROOM:
		return 0;
	case STORAGE_IS_FULL:
		return refuse_full(b, t,
		    (struct full){"the store", "", "max_store",
			b->settings->max_store, b->store},
		    f);
	case STORAGE_DISK_IS_LOW:
		break;
	}
	fault_set(f, RPC_STORAGE, "%s", why);
	f->retryable = true;
	f->retry_after_ms = FULL_RETRY_MS;
	f->room = b->store;
	return -1;
}

int
submit_check_room(struct broker *b, const struct task *t, struct fault *f)
{
	const struct broker_settings *s = b->settings;
	const struct queue_counts *n = &t->queue->count;
	uint64_t most = t->queue->settings->max_queued;
	size_t size = task_size(t);

	if (b->n_waiting >= s->max_queued)
		return refuse_full(b, t,
		    (struct full){"the daemon", "", "max_queued", s->max_queued,
			&b->n_waiting},
		    f);
	if (most > 0 && n->ready + n->scheduled >= most)
		return refuse_full(b, t,
		    (struct full){"the queue ", t->queue->name, "max_queued",
			most, t->queue},
		    f);
	/* One that would be too large for an empty one waits for nothing. */
	if (b->n_bytes + size > s->max_bytes)
		return refuse_full(b, t,
		    (struct full){"the daemon's memory", "", "max_bytes",
			s->max_bytes, size > s->max_bytes ? NULL : &b->n_bytes},
		    f);
	return t->durable ? check_disk(b, t, f) : 0;
}

int
submit_refuse_unkept(const struct broker *b, int err, struct fault *f)
{
	const char *why = storage_trouble(b);

	if (why == NULL)
		why = err < 0 ? store_strerror(err) : "the store has failed";
	fault_set(f, RPC_STORAGE, "the task could not be kept: %s", why);
	f->retryable = true;
	f->retry_after_ms = UNKEPT_RETRY_MS;
	return -1;
}

int
submit_enter(struct broker *b, struct submission *s, struct fault *f)
{
	struct task *t = s->task;

	if (b->phase != BROKER_SERVING) {
		fault_set(f, RPC_DRAINING, "the daemon is stopping");
		f->retryable = true;
		f->retry_after_ms = DRAIN_RETRY_MS;
		return -1;
	}
	if (gate_find_twin(b, s))
		return 0;
	if (find_lane(b, t, f) < 0)
		return -1;
	if (t->durable && storage_trouble(b) != NULL)
		return submit_refuse_unkept(b, -b->store_failing, f);
	if (submit_check_room(b, t, f) < 0)
		return -1;
	t->id = b->settings->shared->last_id + 1;
	if (life_enter(b, task_ref(t), s->delay_ms) < 0) {
		task_unref(t);
		return no_memory(f);
	}
	b->settings->shared->last_id++;
	storage_note_ids(b);
	return 0;
}

/* The state of the task that s doubles, as far as can be told. */
static const char *
twin_state(struct broker *b, const struct submission *s)
{
	const struct task *t = life_find(b, s->twin_id);

	if (t == NULL)
		t = life_find_ending(b, s->twin_id);
	if (t == NULL)
		t = s->twin;
	if (t != NULL)
		return task_state_name(task_told_state(t));
	return s->twin_state < 0
		   ? NULL
		   : task_state_name((enum task_state)s->twin_state);
}

static void
add_twin(struct broker *b, const struct submission *s, struct buf *out)
{
	buf_adds(out, "{\"id\":");
	buf_add_uint(out, s->twin_id);
	buf_add_key(out, "state");
	buf_add_json_cstr(out, twin_state(b, s));
	buf_adds(out, ",\"duplicate\":true}");
}

void
submit_add_answer(struct broker *b, const struct submission *s, struct buf *out)
{
	const struct task *t = s->task;
	char flap[FLAP_SIZE];

	if (s->twin_id != 0) {
		add_twin(b, s, out);
		return;
	}
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
