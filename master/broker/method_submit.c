/* SPDX-License-Identifier: ISC */
/*
 * method_submit.c - task.submit, task.submit_many and task.call
 *
 * The tasks of a request are made first, then looked up if that is needed, and
 * enter together.  A submit is answered when the store has told that they are
 * kept.  Dispatch does not wait for that.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "master/broker/gate.h"
#include "master/broker/hold.h"
#include "master/broker/method.h"
#include "master/broker/result.h"
#include "master/broker/submit.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static const struct param_def many_params[] = {
    {"tasks", PARAM_ARRAY, true, 0, 0},
};

enum intake_kind { INTAKE_SUBMIT, INTAKE_MANY, INTAKE_CALL };

/* A request whose tasks are on their way in. */
struct intake {
	struct call *call;
	enum intake_kind kind;
	int64_t wait_ms; /* of a task.call; -1: any time */
	struct hold hold;
	size_t next; /* the first of list that has not been let in */
	size_t n;
	struct submission list[];
};

/* NULL: there is no memory, and the call is answered. */
static struct intake *
intake_new(struct call *call, enum intake_kind kind, size_t n)
{
	struct intake *in;

	in = calloc(1, sizeof(*in) + n * sizeof(in->list[0]));
	if (in == NULL) {
		method_no_memory(call);
		return NULL;
	}
	in->call = call;
	in->kind = kind;
	in->n = n;
	return in;
}

static void
intake_free(struct intake *in)
{
	size_t i;

	for (i = 0; i < in->n; i++)
		submit_done(&in->list[i]);
	free(in);
}

/* All of it is refused. */
static void
intake_refuse(struct intake *in, struct fault *f)
{
	hold_end(in->call->broker, &in->hold);
	call_error(in->call, f);
	fault_done(f);
	intake_free(in);
}

/* One of many is refused: its error stands in its place. */
static void
note_refusal(struct submission *s, struct fault *f)
{
	struct buf text;

	buf_init(&text, SIZE_MAX);
	fault_add_error(f, &text);
	s->refused = true;
	s->refusal = buf_steal(&text, NULL);
	buf_done(&text);
	fault_done(f);
}

static void
add_refusal(const struct submission *s, struct buf *out)
{
	struct fault f;

	buf_adds(out, "{\"error\":");
	if (s->refusal != NULL) {
		buf_adds(out, s->refusal);
	} else {
		fault_set(&f, RPC_INTERNAL_ERROR, "out of memory");
		f.retryable = true;
		fault_add_error(&f, out);
	}
	buf_addc(out, '}');
}

/* err is a barrier's. */
static bool
is_lost(const struct task *t, int err)
{
	return t != NULL && (t->lost || (err < 0 && t->durable));
}

/* -1, and *f says why, when s, or what it doubles, was not kept. */
static int
check_kept(const struct broker *b, const struct submission *s, int err,
    struct fault *f)
{
	const struct task *t = s->twin_id == 0 ? s->task : s->twin;

	return is_lost(t, err) ? submit_refuse_unkept(b, err, f) : 0;
}

static void
answer_many(struct intake *in, int err)
{
	struct broker *b = in->call->broker;
	struct fault f;
	struct buf *out;
	size_t i;

	for (i = 0; i < in->n; i++)
		if (!in->list[i].refused &&
		    check_kept(b, &in->list[i], err, &f) < 0)
			note_refusal(&in->list[i], &f);
	out = call_open_result(in->call);
	buf_addc(out, '[');
	for (i = 0; i < in->n; i++) {
		if (i > 0)
			buf_addc(out, ',');
		if (in->list[i].refused)
			add_refusal(&in->list[i], out);
		else
			submit_add_answer(b, &in->list[i], out);
	}
	buf_addc(out, ']');
	call_close_result(in->call);
}

/* The store has told of all that entered. */
static void
on_kept(void *arg, int err)
{
	struct intake *in = arg;
	struct broker *b = in->call->broker;
	struct fault f;

	if (in->kind == INTAKE_MANY) {
		answer_many(in, err);
	} else if (check_kept(b, &in->list[0], err, &f) < 0) {
		call_error(in->call, &f);
	} else {
		submit_add_answer(b, &in->list[0], call_open_result(in->call));
		call_close_result(in->call);
	}
	intake_free(in);
}

/* The task, or the one that it doubles, is there: wait for its end. */
static void
await(struct intake *in)
{
	const struct submission *s = &in->list[0];
	struct call *call = in->call;

	/* A notification has nobody to wait for the answer. */
	if (call->id == NULL || call->conn == NULL)
		call_result(call, "null");
	else if (s->twin_id != 0)
		result_call_id(call->broker, call, s->twin_id, in->wait_ms);
	else
		result_call(call->broker, call, s->task, in->wait_ms);
	intake_free(in);
}

/* Has the store still to tell of s, or of what it doubles? */
static bool
waits_for_store(const struct submission *s)
{
	const struct task *t = s->twin_id == 0 ? s->task : s->twin;

	return !s->refused && t != NULL && t->durable;
}

/* The tasks have entered, or doubled others. */
static void
answer_submit(struct intake *in)
{
	size_t i;

	for (i = 0; i < in->n; i++)
		if (waits_for_store(&in->list[i]))
			break;
	if (i == in->n)
		on_kept(in, 0);
	else if (store_barrier(in->call->broker->store, on_kept, in) < 0)
		on_kept(in, -ENOMEM);
}

/* All is known of them: let them enter, in their order, as far as they fit. */
static void
intake_enter(struct intake *in)
{
	struct broker *b = in->call->broker;
	struct submission *s;
	struct fault f;

	for (; in->next < in->n; in->next++) {
		s = &in->list[in->next];
		if (s->refused || submit_enter(b, s, &f) == 0)
			continue;
		if (hold_add(b, &in->hold, f.room)) {
			fault_done(&f);
			return;
		}
		if (in->kind != INTAKE_MANY) {
			intake_refuse(in, &f);
			return;
		}
		note_refusal(s, &f);
	}
	hold_end(b, &in->hold);
	if (in->kind == INTAKE_CALL)
		await(in);
	else
		answer_submit(in);
}

/* What has not been let in is not going to be; f has nothing to be freed. */
static void
refuse_rest(struct intake *in, const struct fault *f)
{
	struct submission *s;
	struct fault copy;

	if (in->next == 0) {
		copy = *f;
		intake_refuse(in, &copy);
		return;
	}
	/* Of one of many, whose first ones have entered. */
	for (; in->next < in->n; in->next++) {
		s = &in->list[in->next];
		copy = *f;
		if (!s->refused)
			note_refusal(s, &copy);
	}
	hold_end(in->call->broker, &in->hold);
	answer_submit(in);
}

static void
on_looked(void *arg, int err)
{
	struct intake *in = arg;
	struct fault f;

	if (err == 0) {
		intake_enter(in);
		return;
	}
	fault_set(
	    &f, RPC_STORAGE, "the store can't be searched: %s", strerror(-err));
	f.retryable = true;
	refuse_rest(in, &f);
}

/* Look up what is known of those that are still to enter. */
static void
intake_look(struct intake *in)
{
	int r = gate_look(in->call->broker, in->list + in->next,
	    in->n - in->next, on_looked, in);

	if (r == 0)
		intake_enter(in);
	else if (r < 0)
		on_looked(in, r);
}

static struct intake *
intake_of(struct hold *h)
{
	return (
	    struct intake *)(void *)((char *)h - offsetof(struct intake, hold));
}

static bool
intake_fits(struct hold *h)
{
	struct intake *in = intake_of(h);
	const struct submission *s = &in->list[in->next];
	struct fault f;

	/* What is refused in any case needs no room. */
	return s->task == NULL ||
	       submit_check_room(in->call->broker, s->task, &f) == 0;
}

static void
intake_again(struct hold *h)
{
	struct intake *in = intake_of(h);
	size_t i;

	/* What was known of them is out of date. */
	for (i = in->next; i < in->n; i++)
		submit_forget(&in->list[i]);
	intake_look(in);
}

static void
intake_drop(struct hold *h)
{
	struct intake *in = intake_of(h);
	struct fault f;

	fault_set(&f, RPC_QUEUE_FULL, "there is no room");
	f.retryable = true;
	refuse_rest(in, &f);
}

/* The tasks are made. */
static void
intake_start(struct intake *in)
{
	in->hold.call = in->call;
	in->hold.fits = intake_fits;
	in->hold.again = intake_again;
	in->hold.drop = intake_drop;
	if (!hold_queue(&in->hold))
		intake_look(in);
}

static void
task_submit(struct broker *b, struct call *call, const struct param *v)
{
	struct intake *in = intake_new(call, INTAKE_SUBMIT, 1);
	struct fault f;

	if (in == NULL)
		return;
	if (submit_make(b, v, false, &in->list[0], &f) < 0)
		intake_refuse(in, &f);
	else
		intake_start(in);
}

static void
make_one(struct broker *b, json_t *item, struct submission *s)
{
	struct param v[PARAMS_MAX];
	struct fault f;

	if (!json_is_object(item))
		fault_set(&f, RPC_INVALID_PARAMS, "a task is not an object");
	else if (params_read(item, submit_params, SUBMIT_N_PARAMS, v, &f) ==
		     0 &&
		 submit_make(b, v, false, s, &f) == 0)
		return;
	note_refusal(s, &f);
}

static void
task_submit_many(struct broker *b, struct call *call, const struct param *v)
{
	struct intake *in;
	json_t *item;
	size_t i;

	in = intake_new(call, INTAKE_MANY, json_array_size(v[0].json));
	if (in == NULL)
		return;
	json_array_foreach(v[0].json, i, item) {
		make_one(b, item, &in->list[i]);
	}
	intake_start(in);
}

static void
task_call(struct broker *b, struct call *call, const struct param *v)
{
	const struct param *wait = &v[SUBMIT_N_PARAMS];
	struct intake *in;
	struct fault f;

	if (method_refuse_waiter(b, call, 1))
		return;
	in = intake_new(call, INTAKE_CALL, 1);
	if (in == NULL)
		return;
	in->wait_ms = wait->given ? wait->number : -1;
	if (submit_make(b, v, true, &in->list[0], &f) < 0)
		intake_refuse(in, &f);
	else
		intake_start(in);
}

const struct method method_submit_table[] = {
    {"task.submit", CLASS_SUBMIT, submit_params, SUBMIT_N_PARAMS,
	"{id, state, duplicate, maybe warning}", task_submit},
    {"task.submit_many", CLASS_SUBMIT, many_params, N(many_params),
	"[what task.submit gives | {error}], in the order of tasks",
	task_submit_many},
    {"task.call", CLASS_SUBMIT, submit_params, SUBMIT_N_PARAMS + 1,
	"the task when it has succeeded; error -32020 when it failed",
	task_call},
    {NULL, 0, NULL, 0, NULL, NULL},
};
