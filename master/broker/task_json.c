/* SPDX-License-Identifier: ISC */
/*
 * task_json.c - a task as clients see it
 *
 * Arguments, result and error are spliced in as the text that they came as.
 */
#include "master/broker/task_json.h"

#include "ipc/clock.h"
#include "ipc/json.h"
#include "master/broker/catalog.h"
#include "master/broker/crew.h"
#include "master/broker/errors.h"
#include "master/broker/holdback.h"

static void
add_text(struct buf *out, const char *key, const char *json)
{
	buf_add_key(out, key);
	buf_adds(out, json == NULL ? "null" : json);
}

static void
add_time(struct buf *out, const char *key, int64_t ms)
{
	char text[WALL_SIZE];

	if (ms == 0)
		return;
	wall_format(ms, text);
	buf_add_key(out, key);
	buf_addc(out, '"');
	buf_adds(out, text);
	buf_addc(out, '"');
}

static void
add_progress(const struct task_progress *p, struct buf *out)
{
	buf_add_key(out, "progress");
	buf_adds(out, "{\"done\":");
	buf_add_uint(out, p->done);
	buf_adds(out, ",\"total\":");
	buf_add_uint(out, p->total);
	buf_adds(out, ",\"note\":");
	buf_add_json_cstr(out, p->note);
	buf_addc(out, '}');
}

/* What ended the last run: nothing while it has not, or goes on. */
static void
add_outcome(const struct task *t, struct buf *out)
{
	/* The one that has just ended is not told so far. */
	if (t->ending)
		return;
	if (t->state == TASK_SUCCEEDED)
		add_text(out, "result", t->result);
	else if (t->error != NULL)
		add_text(out, "error", t->error);
	if (errors_are_several(t->errors))
		add_text(out, "errors", t->errors);
}

static void
add_faults(const struct task *t, struct buf *out)
{
	if (t->crashes > 0) {
		buf_add_key(out, "crashes");
		buf_add_uint(out, t->crashes);
	}
	if (t->recoveries > 0) {
		buf_add_key(out, "recoveries");
		buf_add_uint(out, t->recoveries);
	}
	if (t->at_most_once) {
		buf_add_key(out, "delivery");
		buf_adds(out, "\"at_most_once\"");
	}
}

/* Why it does not run though it is ready, or that it is to end. */
static void
add_wait(const struct task *t, struct buf *out)
{
	const char *what = NULL;

	if (t->state == TASK_RUNNING && t->cancelling)
		buf_adds(out, ",\"cancelling\":true");
	if (t->state != TASK_READY)
		return;
	if (t->parked)
		what = "key";
	else if (t->queue->paused)
		what = "pause";
	else if (!queue_is_served(t->queue, t->kind))
		what = "worker";
	else if (holdback_keeps(t))
		what = "breaker";
	if (what == NULL)
		return;
	buf_add_key(out, "waiting_for");
	buf_add_json_cstr(out, what);
}

/* Used up ones, and the one that runs or went well. */
static uint64_t
count_attempts(const struct task *t)
{
	enum task_state told = task_told_state(t);
	bool has_failed =
	    t->ending && told == TASK_RUNNING &&
	    (t->state == TASK_FAILED || t->state == TASK_QUARANTINED);

	return t->attempt - has_failed +
	       (told == TASK_RUNNING || told == TASK_SUCCEEDED);
}

void
task_add_json(const struct task *t, struct buf *out)
{
	buf_adds(out, "{\"id\":");
	buf_add_uint(out, t->id);
	buf_adds(out, ",\"name\":");
	buf_add_json_cstr(out, t->kind->name);
	buf_adds(out, ",\"queue\":");
	buf_add_json_cstr(out, t->queue->name);
	buf_adds(out, ",\"state\":");
	buf_add_json_cstr(out, task_state_name(task_told_state(t)));
	buf_adds(out, ",\"priority\":");
	buf_add_uint(out, t->priority);
	buf_adds(out, ",\"attempt\":");
	buf_add_uint(out, count_attempts(t));
	buf_adds(out, ",\"run\":");
	buf_add_uint(out, t->run);
	if (t->interrupted > 0) {
		buf_add_key(out, "interrupted");
		buf_add_uint(out, t->interrupted);
	}
	add_faults(t, out);
	add_wait(t, out);
	if (t->key != NULL) {
		buf_add_key(out, "key");
		buf_add_json_cstr(out, t->key);
	}
	if (t->unique != NULL) {
		buf_add_key(out, "unique");
		buf_add_json_cstr(out, t->unique);
	}
	add_text(out, "args", t->args);
	add_outcome(t, out);
	if (t->progress.told && task_told_state(t) == TASK_RUNNING)
		add_progress(&t->progress, out);
	if (t->meta != NULL)
		add_text(out, "meta", t->meta);
	add_time(out, "submitted_at", t->submitted_at);
	if (task_told_state(t) == TASK_SCHEDULED)
		add_time(out, "run_at", t->run_at);
	add_time(out, "started_at", t->started_at);
	if (!t->ending)
		add_time(out, "finished_at", t->finished_at);
	if (t->crew != NULL) {
		buf_add_key(out, "worker");
		buf_addc(out, '"');
		buf_adds(out, t->crew->name);
		buf_addc(out, '/');
		buf_add_uint(out, t->worker);
		buf_addc(out, '"');
		buf_add_key(out, "pool");
		buf_add_json_cstr(out, t->crew->name);
	}
	buf_addc(out, '}');
}
