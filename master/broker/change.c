/* SPDX-License-Identifier: ISC */
/*
 * change.c - what clients do to tasks that are there: cancel, retry, delete
 */
#include "master/broker/change.h"

#include <errno.h>
#include <stdlib.h>

#include "ipc/json.h"
#include "master/broker/gate.h"
#include "master/broker/life.h"
#include "master/broker/run.h"
#include "master/broker/unique.h"

#define SKIPPED_MAX   10000 /* told by id */
#define FULL_RETRY_MS 1000

void
change_tally_init(struct change_tally *tally)
{
	*tally = (struct change_tally){0};
	buf_init(&tally->skipped, SIZE_MAX);
}

void
change_tally_done(struct change_tally *tally)
{
	buf_done(&tally->skipped);
}

bool
change_suits(const struct change *c, enum task_state state)
{
	switch (c->kind) {
	case CHANGE_CANCEL:
		return !task_state_is_final(state);
	case CHANGE_RETRY:
		return task_next_state(state, TASK_EV_REVIVE) >= 0;
	case CHANGE_DELETE:
		break;
	}
	return task_state_is_final(state);
}

const char *
change_condition(const struct change *c)
{
	switch (c->kind) {
	case CHANGE_CANCEL:
		return "only a task that has not ended can be cancelled";
	case CHANGE_RETRY:
		return "only a task that has ended without a result can be "
		       "retried";
	case CHANGE_DELETE:
		break;
	}
	return "only a task that has ended can be deleted";
}

/* Set the fault for -errno.  False: the task's state is the reason. */
static bool
describe(const struct change_tally *tally, int why, struct fault *f)
{
	switch (why) {
	case -EBUSY:
		fault_set(f, RPC_WRONG_STATE,
		    "another request is changing the task just now");
		f->retryable = true;
		break;
	case -EINPROGRESS:
		fault_set(f, RPC_WRONG_STATE,
		    "the task has ended, but that is not kept so far");
		f->retryable = true;
		break;
	case -ENOENT:
		fault_set(f, RPC_NO_SUCH_TASK, "the task has just gone");
		break;
	case -EEXIST:
		fault_set(f, RPC_DUPLICATE,
		    "task %llu has the place of the task, by its \"unique\"",
		    (unsigned long long)tally->twin);
		f->id = tally->twin;
		break;
	case -ENOSPC:
		fault_set(f, RPC_QUEUE_FULL,
		    "the daemon is full (max_queued, %llu)",
		    (unsigned long long)tally->max_queued);
		f->retryable = true;
		f->retry_after_ms = FULL_RETRY_MS;
		break;
	case -ENOMEM:
		fault_set(f, RPC_INTERNAL_ERROR, "out of memory");
		f->retryable = true;
		break;
	default:
		return false;
	}
	return true;
}

void
change_skip(struct change_tally *tally, const struct task *t, int why)
{
	struct buf *out = &tally->skipped;
	struct fault f;

	if (tally->n_skipped == 0)
		tally->why = why;
	else if (tally->why != why)
		tally->why = 0;
	if (tally->n_skipped++ >= SKIPPED_MAX)
		return;
	if (buf_len(out) > 0)
		buf_addc(out, ',');
	buf_adds(out, "{\"id\":");
	buf_add_uint(out, t->id);
	buf_add_key(out, "state");
	buf_add_json_cstr(out, task_state_name(task_told_state(t)));
	if (describe(tally, why, &f)) {
		buf_add_key(out, "reason");
		buf_add_json_cstr(out, f.message);
	}
	buf_addc(out, '}');
}

static int
cancel(struct broker *b, const struct change *c, struct task *t,
    struct change_tally *tally)
{
	int r;

	if (t->state == TASK_RUNNING) {
		r = run_cancel(b, t, c->force);
		tally->n_asked += r == 0;
	} else {
		r = life_cancel(b, t);
		tally->n_changed += r == 0;
	}
	return r;
}

void
change_refuse(
    const struct change *c, const struct change_tally *tally, struct fault *f)
{
	struct buf more;

	/* What all of the skipped ones have in common. */
	if (!describe(tally, tally->why, f))
		fault_set(f, RPC_WRONG_STATE, "%s", change_condition(c));
	buf_init(&more, SIZE_MAX);
	buf_adds(&more, "\"skipped\":[");
	buf_add(&more, buf_head(&tally->skipped), buf_len(&tally->skipped));
	buf_addc(&more, ']');
	f->more = buf_steal(&more, NULL);
	buf_done(&more);
}

/* The one that keeps t from being revived. */
static void
note_twin(struct broker *b, struct change_tally *tally, const struct task *t)
{
	const struct task *twin = unique_find(b, t->queue, t->kind, t->unique);

	tally->twin = twin == NULL ? 0 : twin->id;
}

static int
apply(struct broker *b, const struct change *c, struct task *t,
    struct change_tally *tally)
{
	int r = 0;

	switch (c->kind) {
	case CHANGE_CANCEL:
		return cancel(b, c, t, tally);
	case CHANGE_RETRY:
		r = life_revive(b, t);
		if (r == -EEXIST)
			note_twin(b, tally, t);
		tally->max_queued = b->settings->max_queued;
		break;
	case CHANGE_DELETE:
		r = life_erase(b, t);
		break;
	}
	tally->n_changed += r == 0;
	return r;
}

/* Change t, which is how it is, and count it. */
static void
carry_out(struct broker *b, const struct change *c, struct task *t,
    struct change_tally *tally)
{
	int r = -EINVAL;

	/* A change may drop the last reference but this. */
	task_ref(t);
	if (t->ending)
		r = -EINPROGRESS;
	else if (change_suits(c, t->state))
		r = apply(b, c, t, tally);
	if (r < 0)
		change_skip(tally, t, r);
	else if (t->durable)
		tally->durable = true;
	task_unref(t);
}

/* A retry that waits to know whether another task has its place. */
struct revival {
	struct broker *broker;
	const struct change *change;
	struct task *task; /* a reference */
	struct change_tally *tally;
	change_fn fn;
	void *arg;
};

static void
on_twin(void *arg, int err, uint64_t id)
{
	struct revival *r = arg;

	if (err == 0 && id != 0) {
		r->tally->twin = id;
		change_skip(r->tally, r->task, -EEXIST);
	} else if (err == 0) {
		carry_out(r->broker, r->change, r->task, r->tally);
	}
	r->fn(r->arg, err);
	task_unref(r->task);
	free(r);
}

/* As change_task. */
static int
retry(struct broker *b, const struct change *c, struct task *t,
    struct change_tally *tally, change_fn fn, void *arg)
{
	struct revival *r = malloc(sizeof(*r));
	int looks;

	if (r == NULL) {
		change_skip(tally, t, -ENOMEM);
		return 0;
	}
	*r = (struct revival){b, c, task_ref(t), tally, fn, arg};
	looks = gate_look_for_revival(b, t, on_twin, r);
	if (looks == 1)
		return 1;
	if (looks == 0)
		carry_out(b, c, t, tally);
	else
		change_skip(tally, t, -ENOMEM);
	task_unref(t);
	free(r);
	return 0;
}

int
change_task(struct broker *b, const struct change *c, struct task *t,
    struct change_tally *tally, change_fn fn, void *arg)
{
	struct task *resident = life_find(b, t->id);

	if (resident == NULL && !task_is_final(t)) {
		resident = life_adopt(b, t);
		if (resident == NULL)
			return -EAGAIN;
	}
	if (resident != NULL)
		t = resident;
	if (c->kind == CHANGE_RETRY && change_suits(c, t->state))
		return retry(b, c, t, tally, fn, arg);
	carry_out(b, c, t, tally);
	return 0;
}

void
change_add_answer(
    const struct change *c, const struct change_tally *tally, struct buf *out)
{
	buf_adds(out, "\"count\":");
	buf_add_uint(out, tally->n_changed);
	if (c->kind == CHANGE_CANCEL) {
		buf_add_key(out, "cancelling");
		buf_add_uint(out, tally->n_asked);
	}
	buf_add_key(out, "skipped");
	buf_addc(out, '[');
	buf_add(out, buf_head(&tally->skipped), buf_len(&tally->skipped));
	buf_addc(out, ']');
}
