/* SPDX-License-Identifier: ISC */
/*
 * method_submit.c - task.submit, task.submit_many and task.call
 *
 * A submit is answered when the store has told that the task is kept; until
 * then its call waits in a struct of its own.  Dispatch does not wait for it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/json.h"
#include "master/broker/method.h"
#include "master/broker/result.h"
#include "master/broker/submit.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static const struct param_def many_params[] = {
    {"tasks", PARAM_ARRAY, true, 0, 0},
};

/* A submit whose task waits for the store's word. */
struct pending {
	struct call *call;
	struct task *task; /* one reference */
};

static void
on_kept(void *arg, int err)
{
	struct pending *p = arg;
	struct fault f;

	if (err < 0) {
		fault_set(&f, RPC_STORAGE, "%s", strerror(-err));
		f.retryable = true;
		call_error(p->call, &f);
	} else {
		submit_add_answer(
		    p->call->broker, p->task, call_open_result(p->call));
		call_close_result(p->call);
	}
	task_unref(p->task);
	free(p);
}

static void
task_submit(struct broker *b, struct call *call, const struct param *v)
{
	struct pending *p;
	struct fault f;
	struct task *t;

	p = calloc(1, sizeof(*p));
	if (p == NULL) {
		method_no_memory(call);
		return;
	}
	if (submit_task(b, v, true, &t, &f) < 0) {
		free(p);
		call_error(call, &f);
		fault_done(&f);
		return;
	}
	p->call = call;
	p->task = task_ref(t);
	if (store_barrier(b->store, on_kept, p) < 0)
		on_kept(p, -ENOMEM);
}

/* A task.submit_many: all answers are written when all tasks are kept. */
struct pending_many {
	struct call *call;
	struct buf answers; /* the array, all but its end */
};

static void
on_many_kept(void *arg, int err)
{
	struct pending_many *p = arg;
	struct fault f;
	struct buf *out;

	if (err < 0 || buf_error(&p->answers) < 0) {
		fault_set(&f, RPC_STORAGE, "%s",
		    strerror(err < 0 ? -err : -buf_error(&p->answers)));
		f.retryable = true;
		call_error(p->call, &f);
	} else {
		out = call_open_result(p->call);
		buf_add(out, buf_head(&p->answers), buf_len(&p->answers));
		buf_addc(out, ']');
		call_close_result(p->call);
	}
	buf_done(&p->answers);
	free(p);
}

static void
submit_one(struct broker *b, json_t *item, struct buf *answers)
{
	struct param v[PARAMS_MAX];
	struct fault f;
	struct task *t;

	if (!json_is_object(item)) {
		fault_set(&f, RPC_INVALID_PARAMS, "a task is not an object");
	} else if (params_read(item, submit_params, SUBMIT_N_PARAMS, v, &f) ==
		       0 &&
		   submit_task(b, v, true, &t, &f) == 0) {
		submit_add_answer(b, t, answers);
		return;
	}
	buf_adds(answers, "{\"error\":");
	fault_add_error(&f, answers);
	buf_addc(answers, '}');
	fault_done(&f);
}

static void
task_submit_many(struct broker *b, struct call *call, const struct param *v)
{
	struct pending_many *p;
	json_t *item;
	size_t i;

	p = calloc(1, sizeof(*p));
	if (p == NULL) {
		method_no_memory(call);
		return;
	}
	p->call = call;
	buf_init(&p->answers, SIZE_MAX);
	buf_addc(&p->answers, '[');
	json_array_foreach(v[0].json, i, item) {
		if (i > 0)
			buf_addc(&p->answers, ',');
		submit_one(b, item, &p->answers);
	}
	if (store_barrier(b->store, on_many_kept, p) < 0)
		on_many_kept(p, -ENOMEM);
}

static void
task_call(struct broker *b, struct call *call, const struct param *v)
{
	const struct param *wait = &v[SUBMIT_N_PARAMS];
	struct fault f;
	struct task *t;

	if (method_refuse_waiter(b, call, 1))
		return;
	if (submit_task(b, v, false, &t, &f) < 0) {
		call_error(call, &f);
		fault_done(&f);
		return;
	}
	/* A notification has nobody to wait for the answer. */
	if (call->id == NULL)
		call_result(call, "null");
	else
		result_call(b, call, t, wait->given ? wait->number : -1);
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
