/* SPDX-License-Identifier: ISC */
/*
 * task.c - a task and the states that it goes through
 *
 * Every change of state passes task_apply, and the table below is all there is
 * to it.  Runs on the broker's thread.
 */
#include "master/broker/task.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_CAP_MS INT64_C(3600000)

RB_GENERATE(task_tree, task, active, task_cmp)
RB_GENERATE(task_store_tree, task, stored, task_cmp)

/* [from][event], plus one; 0: can't happen. */
static const uint8_t next_state[TASK_N_STATES][TASK_N_EVENTS] = {
    [TASK_SCHEDULED] =
	{
	    [TASK_EV_DUE] = 1 + TASK_READY,
	    [TASK_EV_EXPIRE] = 1 + TASK_EXPIRED,
	    [TASK_EV_CANCEL] = 1 + TASK_CANCELLED,
	},
    [TASK_READY] =
	{
	    [TASK_EV_EXPIRE] = 1 + TASK_EXPIRED,
	    [TASK_EV_CANCEL] = 1 + TASK_CANCELLED,
	    [TASK_EV_START] = 1 + TASK_RUNNING,
	},
    [TASK_RUNNING] =
	{
	    [TASK_EV_SUCCEED] = 1 + TASK_SUCCEEDED,
	    [TASK_EV_RETRY] = 1 + TASK_SCHEDULED,
	    [TASK_EV_FAIL] = 1 + TASK_FAILED,
	    [TASK_EV_SNOOZE] = 1 + TASK_SCHEDULED,
	    [TASK_EV_REQUEUE] = 1 + TASK_READY,
	    [TASK_EV_GIVE_UP] = 1 + TASK_CANCELLED,
	    [TASK_EV_QUARANTINE] = 1 + TASK_QUARANTINED,
	},
    [TASK_FAILED] = {[TASK_EV_REVIVE] = 1 + TASK_READY},
    [TASK_QUARANTINED] = {[TASK_EV_REVIVE] = 1 + TASK_READY},
    [TASK_CANCELLED] = {[TASK_EV_REVIVE] = 1 + TASK_READY},
    [TASK_EXPIRED] = {[TASK_EV_REVIVE] = 1 + TASK_READY},
};

static const char *const state_names[TASK_N_STATES] = {
    [TASK_SCHEDULED] = "scheduled",
    [TASK_READY] = "ready",
    [TASK_RUNNING] = "running",
    [TASK_SUCCEEDED] = "succeeded",
    [TASK_FAILED] = "failed",
    [TASK_CANCELLED] = "cancelled",
    [TASK_EXPIRED] = "expired",
    [TASK_QUARANTINED] = "quarantined",
};

int
task_cmp(const struct task *a, const struct task *b)
{
	return (a->id > b->id) - (a->id < b->id);
}

struct task *
task_new(uint64_t id)
{
	struct task *t;

	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return NULL;
	t->id = id;
	t->refs = 1;
	t->state = TASK_READY;
	t->result_ttl_ms = -1;
	LIST_INIT(&t->waiters);
	delay_node_init(&t->timer);
	return t;
}

struct task *
task_ref(struct task *t)
{
	t->refs++;
	return t;
}

void
task_unref(struct task *t)
{
	if (t == NULL || --t->refs > 0)
		return;
	free(t->args);
	free(t->meta);
	free(t->result);
	free(t->error);
	free(t->errors);
	free(t->key);
	free(t->unique);
	free(t->idempotency_key);
	free(t->progress.note);
	free(t);
}

int
task_next_state(enum task_state from, enum task_event ev)
{
	return (int)next_state[from][ev] - 1;
}

int
task_apply(struct task *t, enum task_event ev, int64_t now_ms)
{
	bool ran = t->state == TASK_RUNNING;
	int next;

	next = task_next_state(t->state, ev);
	if (next < 0)
		return -EINVAL;
	t->last_state = t->state;
	switch (ev) {
	case TASK_EV_START:
		t->run++;
		t->started_at = now_ms;
		break;
	case TASK_EV_RETRY:
	case TASK_EV_FAIL:
	case TASK_EV_QUARANTINE:
		t->attempt++;
		break;
	case TASK_EV_REVIVE:
		t->attempt = t->crashes = 0;
		t->finished_at = 0;
		break;
	default:
		break;
	}
	t->state = (enum task_state)next;
	if (ran) {
		t->timed_out = t->cancelling = t->outstayed = false;
		t->unsent = false;
		t->kill_at.ns = 0;
	}
	if (task_is_final(t))
		t->finished_at = now_ms;
	return 0;
}

bool
task_state_is_final(enum task_state s)
{
	return s >= TASK_SUCCEEDED;
}

const char *
task_state_name(enum task_state s)
{
	return state_names[s];
}

int
task_state_parse(const char *word)
{
	int i;

	for (i = 0; i < TASK_N_STATES; i++)
		if (strcmp(word, state_names[i]) == 0)
			return i;
	return -1;
}

bool
task_has_attempts_left(const struct task *t)
{
	return !t->at_most_once && t->attempt < t->retries;
}

int64_t
task_retry_delay(int64_t base_ms, uint32_t attempt, uint32_t random)
{
	int64_t d, half;

	d = base_ms;
	while (attempt-- > 1 && d < RETRY_CAP_MS)
		d *= 2;
	if (d > RETRY_CAP_MS)
		d = RETRY_CAP_MS;
	half = d / 2;
	return half + (int64_t)((uint64_t)random * (uint64_t)(d - half) >> 32);
}

static size_t
text_size(const char *text)
{
	return text == NULL ? 0 : strlen(text) + 1;
}

void
task_set_text(struct task *t, char **field, char *text)
{
	t->n_bytes -= text_size(*field);
	free(*field);
	*field = text;
	t->n_bytes += text_size(text);
}

size_t
task_size(const struct task *t)
{
	return sizeof(*t) + t->n_bytes;
}
