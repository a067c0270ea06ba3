/* SPDX-License-Identifier: ISC */
/*
 * life.c - what happens to tasks
 *
 * broker.tasks holds every task that has not ended, with a reference of its
 * own; the store holds another.  A task's one timer means, by its state: it is
 * due, or it expires, or its run is over its time limit.
 */
#include "master/broker/life.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/clock.h"
#include "ipc/json.h"
#include "ipc/log.h"
#include "master/broker/chan.h"
#include "master/broker/result.h"
#include "master/broker/roster.h"

#define CRASHES_MAX 3 /* workers killed, then quarantined */
/* A worker ends a command itself; when it has not by then, it is stuck. */
#define COMMAND_GRACE_MS 5000
#define LATE_NS          INT64_C(1000000000) /* a timer this late: see there */
#define LATE_GRACE_MS    500 /* for what is waiting to be read */

/* Count t, in its state, in (+1) or out (-1). */
static void
count(struct broker *b, const struct task *t, int by)
{
	struct queue_counts *n = &t->queue->count;
	uint64_t d = (uint64_t)(int64_t)by;

	if (task_is_live(t))
		t->lane->n_live += d;
	switch (t->state) {
	case TASK_SCHEDULED:
		n->scheduled += d;
		b->n_waiting += d;
		break;
	case TASK_READY:
		n->ready += d;
		b->n_waiting += d;
		break;
	case TASK_RUNNING:
		n->running += d;
		break;
	case TASK_SUCCEEDED:
		n->succeeded += d;
		b->stats.succeeded += d;
		break;
	case TASK_FAILED:
		n->failed += d;
		b->stats.failed += d;
		break;
	case TASK_CANCELLED:
		n->cancelled += d;
		b->stats.cancelled += d;
		break;
	case TASK_EXPIRED:
		n->expired += d;
		b->stats.expired += d;
		break;
	case TASK_QUARANTINED:
		n->failed += d;
		b->stats.quarantined += d;
		break;
	}
}

/* Set or clear t's timer by its state. */
static void
set_timer(struct broker *b, struct task *t)
{
	struct mono due = {0};

	if (t->state == TASK_SCHEDULED || t->state == TASK_RUNNING)
		due = t->due;
	if ((t->state == TASK_SCHEDULED || t->state == TASK_READY) &&
	    t->expires.ns != 0 && (due.ns == 0 || t->expires.ns < due.ns))
		due = t->expires;
	/* life_enter made room in the heap: setting can't fail. */
	if (due.ns != 0)
		(void)delay_set(&b->timers, &t->timer, due);
	else
		delay_remove(&b->timers, &t->timer);
}

/* Take t from the list that it waits on. */
static void
unplace(struct task *t)
{
	if (t->place == TASK_IN_LANE) {
		ready_remove(&t->lane->ready, t);
	} else if (t->place == TASK_IN_SUSPECTS) {
		TAILQ_REMOVE(&t->shift->suspects, t, entry);
		t->place = TASK_NOWHERE;
		t->shift = NULL;
	}
}

/* The shift that runs a suspect: best one that has workers, of its own pool. */
static struct shift *
find_suspects_shift(const struct broker *b, const struct task *t)
{
	struct shift *s, *best = NULL;
	int score, best_score = -1;
	unsigned i;

	for (i = 0; i < SHIFTS_MAX; i++) {
		s = b->shift_at[i];
		if (s == NULL || (t->lane->shifts & SHIFT_BIT(i)) == 0)
			continue;
		score = 2 * (s->n_fit > 0) + (s->crew == t->crew);
		if (score > best_score) {
			best = s;
			best_score = score;
		}
	}
	return best;
}

void
life_place(struct broker *b, struct task *t)
{
	struct shift *s;

	unplace(t);
	s = t->suspect ? find_suspects_shift(b, t) : NULL;
	if (s != NULL)
		shift_suspect(s, t);
	else
		ready_restore(&t->lane->ready, t);
}

/* It is ready from now on. */
static void
make_ready(struct broker *b, struct task *t)
{
	t->ready_at = mono_now();
	life_place(b, t);
}

/* Let ev happen and set right what follows from the new state alone. */
static void
change(struct broker *b, struct task *t, enum task_event ev)
{
	int r;

	unplace(t);
	count(b, t, -1);
	r = task_apply(t, ev, wall_now_ms());
	assert(r == 0);
	(void)r;
	count(b, t, 1);
	set_timer(b, t);
}

/* t has ended: tell who waits, and leave it to the store. */
static void
end(struct broker *b, struct task *t)
{
	RB_REMOVE(task_tree, &b->tasks, t);
	b->n_tasks--;
	b->n_bytes -= t->n_charged;
	result_ended(b, t);
	store_finish(b->store, t);
	task_unref(t);
}

int
life_enter(struct broker *b, struct task *t, int64_t delay_ms)
{
	if (delay_reserve(&b->timers, b->n_tasks + 1) < 0 ||
	    store_put(b->store, t) < 0)
		return -ENOMEM;
	t->submitted_at = wall_now_ms();
	RB_INSERT(task_tree, &b->tasks, t);
	b->n_tasks++;
	t->n_charged = task_size(t);
	b->n_bytes += t->n_charged;
	b->stats.submitted++;
	if (delay_ms > 0) {
		t->state = TASK_SCHEDULED;
		t->due = mono_add_ms(mono_now(), delay_ms);
		if (!t->run_at_is_wall)
			t->run_at = t->submitted_at + delay_ms;
	} else {
		t->state = TASK_READY;
		t->seq = ++b->seq;
		make_ready(b, t);
	}
	count(b, t, 1);
	set_timer(b, t);
	return 0;
}

int
life_restore(struct broker *b, struct task *t)
{
	if (delay_reserve(&b->timers, b->n_tasks + 1) < 0 ||
	    store_put(b->store, t) < 0)
		return -ENOMEM;
	RB_INSERT(task_tree, &b->tasks, t);
	b->n_tasks++;
	b->n_bytes += t->n_charged;
	t->place = TASK_NOWHERE;
	if (t->state == TASK_READY)
		life_place(b, t);
	count(b, t, 1);
	/* One over its limit has had that told. */
	if (!t->timed_out)
		set_timer(b, t);
	return 0;
}

int64_t
life_time_limit(const struct task *t, const struct crew *w)
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

void
life_start(struct broker *b, struct task *t, struct chan *c)
{
	int64_t limit = life_time_limit(t, c->crew);

	t->due.ns = 0;
	t->expires.ns = 0; /* that was for a start, which is now */
	t->timed_out = false;
	if (limit > 0) {
		int64_t grace =
		    (t->kind->commands & SHIFT_BIT(c->shift->index)) != 0
			? COMMAND_GRACE_MS
			: 0;

		t->due = mono_add_ms(mono_now(), limit + grace);
	}
	task_set_text(t, &t->progress.note, NULL);
	memset(&t->progress, 0, sizeof(t->progress));
	change(b, t, TASK_EV_START);
	store_update(b->store, t);
	chan_run(c, t, limit, soft_limit(t, c->crew));
}

void
life_succeed(struct broker *b, struct task *t, char *result)
{
	t->suspect = false;
	task_set_text(t, &t->error, NULL);
	task_set_text(t, &t->result, result);
	change(b, t, TASK_EV_SUCCEED);
	end(b, t);
}

static void
set_error(struct task *t, const struct life_error *e)
{
	struct buf out;
	char *text;

	buf_init(&out, SIZE_MAX);
	buf_adds(&out, "{\"code\":");
	buf_add_int(&out, e->code);
	buf_add_key(&out, "message");
	buf_add_json_cstr(&out, e->message);
	buf_add_key(&out, "data");
	if (e->data != NULL)
		buf_add_json(&out, e->data);
	else
		buf_adds(&out, "{\"retryable\":true}");
	buf_addc(&out, '}');
	text = buf_steal(&out, NULL);
	buf_done(&out);
	task_set_text(t, &t->error, text);
}

/* Let t wait for ms. */
static void
schedule(struct broker *b, struct task *t, enum task_event ev, int64_t ms)
{
	t->due = mono_add_ms(mono_now(), ms);
	t->run_at = wall_now_ms() + ms;
	t->run_at_is_wall = false;
	change(b, t, ev);
	store_update(b->store, t);
}

void
life_fail(struct broker *b, struct task *t, const struct life_error *e,
    bool final, int64_t delay_ms)
{
	set_error(t, e);
	if (final || !task_has_attempts_left(t)) {
		change(b, t, TASK_EV_FAIL);
		end(b, t);
		return;
	}
	if (delay_ms < 0)
		delay_ms = task_retry_delay(
		    t->backoff_ms, t->attempt + 1, arc4random());
	b->stats.retried++;
	schedule(b, t, TASK_EV_RETRY, delay_ms);
}

void
life_snooze(struct broker *b, struct task *t, int64_t delay_ms)
{
	t->suspect = false;
	schedule(b, t, TASK_EV_SNOOZE, delay_ms);
}

void
life_requeue(struct broker *b, struct task *t)
{
	t->timed_out = false;
	b->stats.requeued++;
	change(b, t, TASK_EV_REQUEUE);
	make_ready(b, t);
	store_update(b->store, t);
}

void
life_interrupt(struct broker *b, struct task *t)
{
	t->interrupted++;
	life_requeue(b, t);
}

void
life_suspect(struct broker *b, struct task *t)
{
	t->suspect = true;
	b->stats.requeued++;
	change(b, t, TASK_EV_REQUEUE);
	make_ready(b, t);
	store_update(b->store, t);
}

void
life_crash(struct broker *b, struct task *t, const struct life_error *e)
{
	if (++t->crashes < CRASHES_MAX) {
		life_fail(b, t, e, false, -1);
		return;
	}
	set_error(t, e);
	log_warn("task %llu (%s) has killed %u workers: quarantined",
	    (unsigned long long)t->id, t->kind->name, t->crashes);
	change(b, t, TASK_EV_QUARANTINE);
	end(b, t);
}

int
life_cancel(struct broker *b, struct task *t)
{
	if (task_next_state(t->state, TASK_EV_CANCEL) < 0)
		return -EINVAL;
	change(b, t, TASK_EV_CANCEL);
	end(b, t);
	return 0;
}

struct task *
life_find(struct broker *b, uint64_t id)
{
	struct task key;

	key.id = id;
	return RB_FIND(task_tree, &b->tasks, &key);
}

/* A scheduled task's time has come; by the wall clock, if it was named so. */
static void
on_due(struct broker *b, struct task *t, struct mono now)
{
	int64_t early = t->run_at_is_wall ? t->run_at - wall_now_ms() : 0;

	/* The workers are being sent home; it stays as it is. */
	if (b->phase != BROKER_SERVING)
		return;
	if (early > 0) {
		/* The wall clock was set back meanwhile. */
		t->due = mono_add_ms(now, early);
		set_timer(b, t);
		return;
	}
	change(b, t, TASK_EV_DUE);
	t->seq = ++b->seq;
	make_ready(b, t);
	if (t->lane->shifts == 0)
		log_warn("task %llu (%s) is due, and no pool can run it: it "
			 "waits for a reload that brings its name back to "
			 "queue %s",
		    (unsigned long long)t->id, t->kind->name, t->queue->name);
	store_update(b->store, t);
}

/* A run is over its limit: its process has to go. */
static void
on_over_limit(struct broker *b, struct task *t)
{
	log_warn("task %llu (%s) is over its time limit of %lld ms",
	    (unsigned long long)t->id, t->kind->name,
	    (long long)life_time_limit(t, t->crew));
	t->timed_out = true;
	roster_kill(b, t->chan, "a task over its time limit", false);
}

static void
on_task_timer(struct broker *b, struct task *t, struct mono now)
{
	if (t->state == TASK_RUNNING) {
		on_over_limit(b, t);
	} else if (t->expires.ns != 0 && mono_reached(now, t->expires)) {
		change(b, t, TASK_EV_EXPIRE);
		end(b, t);
	} else if (t->state == TASK_SCHEDULED) {
		on_due(b, t, now);
	}
}

static void
on_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct broker *b = w->data;
	struct mono now = mono_now();
	struct delay_node *node;
	struct task *t;
	bool late;

	(void)loop;
	(void)revents;
	/* This process was stopped, or starved: the answer that would end a
	 * run in time may be waiting to be read.  Judge after that. */
	late = now.ns - b->armed_ns > LATE_NS;
	b->armed_ns = 0;
	while ((node = delay_pop(&b->timers, now)) != NULL) {
		t = (struct task *)(void *)((char *)node -
					    offsetof(struct task, timer));
		if (late && t->state == TASK_RUNNING)
			(void)delay_set(&b->timers, &t->timer,
			    mono_add_ms(now, LATE_GRACE_MS));
		else
			on_task_timer(b, t, now);
	}
}

void
life_follow_wall(struct broker *b)
{
	struct mono now = mono_now();
	int64_t early, wall_ms = wall_now_ms();
	struct task *t;

	RB_FOREACH(t, task_tree, &b->tasks)
	{
		if (t->state != TASK_SCHEDULED || !t->run_at_is_wall)
			continue;
		early = t->run_at - wall_ms;
		t->due = mono_add_ms(now, early > 0 ? early : 0);
		set_timer(b, t);
	}
}

void
life_set_up(struct broker *b)
{
	RB_INIT(&b->tasks);
	delay_init(&b->timers);
	ev_timer_init(&b->timer, on_timer, 0., 0.);
	b->timer.data = b;
}

void
life_arm(struct broker *b)
{
	struct delay_node *node = delay_peek(&b->timers);
	int64_t ns = node == NULL ? 0 : node->due.ns;
	int64_t ms;

	if (ns == b->armed_ns)
		return;
	b->armed_ns = ns;
	ev_timer_stop(b->loop, &b->timer);
	if (node == NULL)
		return;
	ms = mono_until_ms(mono_now(), node->due);
	ev_timer_set(&b->timer, ms < 0 ? 0. : (double)ms / 1000., 0.);
	ev_timer_start(b->loop, &b->timer);
}
