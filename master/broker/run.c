/* SPDX-License-Identifier: ISC */
/*
 * run.c - a run of a task: from its start to what becomes of the task
 */
#include "master/broker/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/clock.h"
#include "ipc/json.h"
#include "ipc/log.h"
#include "master/broker/chan.h"
#include "master/broker/condemn.h"
#include "master/broker/errors.h"
#include "master/broker/holdback.h"
#include "master/broker/life.h"
#include "master/broker/once.h"

#define CRASHES_MAX 3 /* workers killed, then quarantined */

int64_t
run_time_limit(const struct task *t, const struct crew *w)
{
	if (t->timeout_ms > 0)
		return t->timeout_ms;
	if (t->queue->settings->timeout_ms > 0)
		return t->queue->settings->timeout_ms;
	return w->settings->timeout_ms;
}

/* The moment at which t is asked to end by itself; 0: it is not. */
static int64_t
soft_limit(const struct task *t, const struct crew *w)
{
	if (t->soft_timeout_ms > 0)
		return t->soft_timeout_ms;
	if (t->queue->settings->soft_timeout_ms > 0)
		return t->queue->settings->soft_timeout_ms;
	return w->settings->soft_timeout_ms;
}

bool
run_is_command(const struct task *t)
{
	return (t->kind->commands & SHIFT_BIT(t->chan->shift->index)) != 0;
}

void
run_start(struct broker *b, struct task *t, struct chan *c)
{
	t->due.ns = t->due_ms = 0;
	t->expires.ns = t->expires_ms = 0; /* for a start, which is now */
	task_set_text(t, &t->progress.note, NULL);
	memset(&t->progress, 0, sizeof(t->progress));
	life_change(b, t, TASK_EV_START);
	t->unsent = true;
	store_update(b->store, t);
	chan_take_on(c, t);
	if (t->at_most_once)
		once_start(b, t);
	else
		run_send(b, t);
}

void
run_send(struct broker *b, struct task *t)
{
	struct chan *c = t->chan;
	int64_t limit = run_time_limit(t, c->crew);

	t->unsent = false;
	if (limit > 0) {
		t->due = mono_add_ms(mono_now(),
		    limit + (run_is_command(t) ? RUN_COMMAND_GRACE_MS : 0));
		life_set_timer(b, t);
	}
	chan_send(c, t, limit, soft_limit(t, c->crew));
}

void
run_succeed(struct broker *b, struct task *t, char *result)
{
	t->suspect = false;
	task_set_text(t, &t->error, NULL);
	task_set_text(t, &t->result, result);
	life_change(b, t, TASK_EV_SUCCEED);
	life_end(b, t);
}

/* Note it among the last ones as well, if there is memory for that. */
static void
note_error(struct task *t, const struct run_error *e, const json_t *data)
{
	struct errors_entry entry = {.attempt = t->attempt + 1,
	    .at_ms = wall_now_ms(),
	    .code = e->code,
	    .message = e->message,
	    .data = data};
	char *text = errors_add(t->errors, &entry);

	if (text != NULL)
		task_set_text(t, &t->errors, text);
}

static void
set_error(struct task *t, const struct run_error *e)
{
	const json_t *data = e->data;
	json_t *own = NULL;
	struct buf out;
	char *text;

	if (data == NULL)
		data = own =
		    json_pack("{s:b}", "retryable", (int)!t->at_most_once);
	note_error(t, e, data);
	buf_init(&out, SIZE_MAX);
	buf_adds(&out, "{\"code\":");
	buf_add_int(&out, e->code);
	buf_add_key(&out, "message");
	buf_add_json_cstr(&out, e->message);
	if (data != NULL) {
		buf_add_key(&out, "data");
		buf_add_json(&out, data);
	}
	buf_addc(&out, '}');
	text = buf_steal(&out, NULL);
	buf_done(&out);
	json_decref(own);
	task_set_text(t, &t->error, text);
}

static void
finish(struct broker *b, struct task *t, enum task_event ev)
{
	life_change(b, t, ev);
	life_end(b, t);
}

/* t is not to be run again: true when nobody wants it any more. */
static bool
gives_up(struct broker *b, struct task *t)
{
	if (!t->cancelling)
		return false;
	finish(b, t, TASK_EV_GIVE_UP);
	return true;
}

void
run_fail(struct broker *b, struct task *t, const struct run_error *e,
    bool final, int64_t delay_ms)
{
	set_error(t, e);
	if (gives_up(b, t))
		return;
	if (final || !task_has_attempts_left(t)) {
		finish(b, t, TASK_EV_FAIL);
		return;
	}
	if (delay_ms < 0)
		delay_ms = task_retry_delay(
		    t->backoff_ms, t->attempt + 1, arc4random());
	b->stats.retried++;
	life_schedule(b, t, TASK_EV_RETRY, delay_ms);
}

void
run_snooze(struct broker *b, struct task *t, int64_t delay_ms)
{
	t->suspect = false;
	if (!gives_up(b, t))
		life_schedule(b, t, TASK_EV_SNOOZE, delay_ms);
}

/*
 * The run of t was cut, and nothing is known of what it has done: true when
 * that was its end.
 */
static bool
ends_when_cut(struct broker *b, struct task *t, const char *why)
{
	char message[256];
	const struct run_error cut = {RPC_INTERNAL_ERROR, message, NULL};

	if (gives_up(b, t))
		return true;
	if (!t->at_most_once || t->unsent)
		return false;
	snprintf(message, sizeof(message),
	    "%s while it ran, and it may run at most once", why);
	set_error(t, &cut);
	finish(b, t, TASK_EV_FAIL);
	return true;
}

/* Back to where it was in the order. */
static void
requeue(struct broker *b, struct task *t)
{
	b->stats.requeued++;
	life_change(b, t, TASK_EV_REQUEUE);
	store_update(b->store, t);
	life_make_ready(b, t);
}

void
run_requeue(struct broker *b, struct task *t, const char *why)
{
	if (!ends_when_cut(b, t, why))
		requeue(b, t);
}

void
run_interrupt(struct broker *b, struct task *t)
{
	t->interrupted++;
	run_requeue(b, t, "a stop or a reload cut it");
}

void
run_abandon(struct broker *b, struct task *t)
{
	t->interrupted++;
	/* What its worker still says of it changes nothing. */
	chan_take_back(t->chan, t);
	if (ends_when_cut(b, t, "the daemon stopped"))
		return;
	life_change(b, t, TASK_EV_REQUEUE);
	store_update(b->store, t);
}

void
run_suspect(struct broker *b, struct task *t, const char *why)
{
	if (ends_when_cut(b, t, why))
		return;
	t->suspect = true;
	requeue(b, t);
}

void
run_crash(struct broker *b, struct task *t, const struct run_error *e)
{
	holdback_strike(b, t);
	if (++t->crashes < CRASHES_MAX) {
		run_fail(b, t, e, false, -1);
		return;
	}
	set_error(t, e);
	log_warn("task %llu (%s) has killed %u workers: quarantined",
	    (unsigned long long)t->id, t->kind->name, t->crashes);
	finish(b, t, TASK_EV_QUARANTINE);
}

int
run_cancel(struct broker *b, struct task *t, bool force)
{
	if (t->state != TASK_RUNNING)
		return -EINVAL;
	if (!t->cancelling) {
		t->cancelling = true;
		store_update(b->store, t);
		/* What its worker does not know of will not be sent. */
		if (!t->unsent)
			chan_cancel(t->chan, t, b->settings->cancel_grace_ms);
	}
	if (force && !t->unsent)
		condemn_cancelled(b, t);
	return 0;
}

struct mono
run_next_moment(const struct task *t)
{
	struct mono due = {0};

	if (!t->timed_out)
		due = t->due;
	if (t->kill_at.ns != 0 && (due.ns == 0 || t->kill_at.ns < due.ns))
		due = t->kill_at;
	return due;
}

void
run_on_timer(struct broker *b, struct task *t, struct mono now)
{
	if (t->kill_at.ns != 0 && mono_reached(now, t->kill_at)) {
		condemn_carry_out(b, t);
		return;
	}
	log_warn("task %llu (%s) is over its time limit of %lld ms",
	    (unsigned long long)t->id, t->kind->name,
	    (long long)run_time_limit(t, t->crew));
	condemn_late(b, t);
}
