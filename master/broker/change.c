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

#define SKIPPED_MAX 10000 /* told by id */

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

void
change_skip(struct change_tally *tally, const struct task *t)
{
	struct buf *out = &tally->skipped;

	if (tally->n_skipped++ >= SKIPPED_MAX)
		return;
	if (buf_len(out) > 0)
		buf_addc(out, ',');
	buf_adds(out, "{\"id\":");
	buf_add_uint(out, t->id);
	buf_add_key(out, "state");
	buf_add_json_cstr(out, task_state_name(t->state));
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

static int
erase(struct broker *b, struct task *t, struct change_tally *tally)
{
	/* Who waits for its end is told of it first. */
	if (life_find_ending(b, t->id) != NULL)
		return -EBUSY;
	store_erase(b->store, t);
	tally->n_changed++;
	return 0;
}

static int
apply(struct broker *b, const struct change *c, struct task *t,
    struct change_tally *tally)
{
	int r;

	switch (c->kind) {
	case CHANGE_CANCEL:
		return cancel(b, c, t, tally);
	case CHANGE_RETRY:
		r = life_revive(b, t);
		tally->n_changed += r == 0;
		return r;
	case CHANGE_DELETE:
		break;
	}
	return erase(b, t, tally);
}

/* Change t, which is how it is, and count it. */
static void
carry_out(struct broker *b, const struct change *c, struct task *t,
    struct change_tally *tally)
{
	/* A change may drop the last reference but this. */
	task_ref(t);
	if (!change_suits(c, t->state) || apply(b, c, t, tally) < 0)
		change_skip(tally, t);
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

	if (err == 0 && id != 0)
		change_skip(r->tally, r->task);
	else if (err == 0)
		carry_out(r->broker, r->change, r->task, r->tally);
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
		change_skip(tally, t);
		return 0;
	}
	*r = (struct revival){b, c, task_ref(t), tally, fn, arg};
	looks = gate_look_for_revival(b, t, on_twin, r);
	if (looks == 1)
		return 1;
	if (looks == 0)
		carry_out(b, c, t, tally);
	else
		change_skip(tally, t);
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
