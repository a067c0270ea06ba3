/* SPDX-License-Identifier: ISC */
/*
 * life.c - what happens to tasks
 *
 * broker.tasks holds every task that has not ended and is in memory, with a
 * reference of its own; the store may hold another.  A task's one timer means,
 * by its state: it is due, or it expires, or its run is over its time limit.
 *
 * The end of a durable task is told when it is kept, so that no one is told
 * what is not so after a crash: until then it is in broker.ending.
 *
 * A task that is spilled, or deleted, stays in broker.departing until the disk
 * has it so: what was read before that shows it as it was.
 */
#include "master/broker/life.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "ipc/clock.h"
#include "ipc/log.h"
#include "master/broker/chan.h"
#include "master/broker/condemn.h"
#include "master/broker/holdback.h"
#include "master/broker/mailbox.h"
#include "master/broker/result.h"
#include "master/broker/run.h"
#include "master/broker/unique.h"

#define LATE_NS       INT64_C(1000000000) /* a timer this late: see there */
#define LATE_GRACE_MS 500                 /* for what is waiting to be read */

/* Count t, in its state, in (+1) or out (-1). */
static void
count(struct broker *b, const struct task *t, int by)
{
	struct queue_counts *n = &t->queue->count;
	uint64_t d = (uint64_t)(int64_t)by;

	if (task_is_live(t) && t->lane != NULL)
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

void
life_set_timer(struct broker *b, struct task *t)
{
	struct mono due = {0};

	if (t->state == TASK_SCHEDULED)
		due = t->due;
	else if (t->state == TASK_RUNNING)
		due = run_next_moment(t);
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
unplace(struct broker *b, struct task *t)
{
	if (t->place == TASK_IN_LANE) {
		ready_remove(&t->lane->ready, t);
	} else if (t->place == TASK_IN_SUSPECTS) {
		TAILQ_REMOVE(&t->shift->suspects, t, entry);
		t->place = TASK_NOWHERE;
		t->shift = NULL;
	} else if (t->place == TASK_IN_BREAKER) {
		holdback_remove(b, t);
	}
	/* What is parked, its mailbox takes out. */
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

	unplace(b, t);
	s = t->suspect ? find_suspects_shift(b, t) : NULL;
	if (t->suspect && holdback_keeps(t))
		holdback_add(b, t);
	else if (s != NULL)
		shift_suspect(s, t);
	else
		ready_restore(&t->lane->ready, t);
}

void
life_put_aside(struct broker *b, struct task *t)
{
	unplace(b, t);
	holdback_add(b, t);
}

/* It is ready, and no other of its key is before it. */
static void
let_wait(struct broker *b, struct task *t)
{
	if (window_admit(b, t) || !life_spill(b, t))
		life_place(b, t);
}

void
life_make_ready(struct broker *b, struct task *t)
{
	/* One whose run was cut has waited since before that. */
	if (t->ready_at.ns == 0)
		t->ready_at = mono_now();
	if (t->key == NULL || t->holds || mailbox_admit(t))
		let_wait(b, t);
}

void
life_unparked(struct broker *b, struct task *t)
{
	store_update(b->store, t);
	let_wait(b, t);
}

void
life_change(struct broker *b, struct task *t, enum task_event ev)
{
	int r;

	unplace(b, t);
	window_leave(b, t);
	count(b, t, -1);
	r = task_apply(t, ev, wall_now_ms());
	assert(r == 0);
	(void)r;
	count(b, t, 1);
	life_set_timer(b, t);
	if (t->kind->holdback != NULL)
		holdback_note(b, t, ev);
}

/* Take t from among the resident ones; its reference is the caller's. */
static void
remove_task(struct broker *b, struct task *t)
{
	RB_REMOVE(task_tree, &b->tasks, t);
	b->n_tasks--;
	b->n_bytes -= t->n_charged;
}

void
life_end(struct broker *b, struct task *t)
{
	remove_task(b, t);
	t->lane = NULL;
	unique_remove(b, t);
	mailbox_leave(b, t);
	if (t->durable) {
		t->ending = true;
		RB_INSERT(task_tree, &b->ending, t);
		store_finish(b->store, t);
		return;
	}
	result_ended(b, t);
	store_finish(b->store, t);
	task_unref(t);
}

void
life_ended(struct broker *b, struct task *t)
{
	t->ending = false;
	RB_REMOVE(task_tree, &b->ending, t);
	mailbox_kept(b, t);
	result_ended(b, t);
	task_unref(t);
}

static struct task *
find_departing(const struct broker *b, uint64_t id)
{
	struct task key;

	key.id = id;
	return RB_FIND(
	    task_tree, (struct task_tree *)(uintptr_t)&b->departing, &key);
}

bool
life_is_departing(const struct broker *b, uint64_t id)
{
	const struct task *t = find_departing(b, id);

	return t != NULL && !task_is_final(t);
}

/* Remember t until the disk has it as it is; takes a reference. */
static void
depart(struct broker *b, struct task *t)
{
	if (!store_has_news(b->store, t)) {
		task_unref(t);
		return;
	}
	RB_INSERT(task_tree, &b->departing, t);
	TAILQ_INSERT_TAIL(&b->departed, t, entry);
}

/* Take t from among the departing ones; the reference is the caller's. */
static void
stop_departing(struct broker *b, struct task *t)
{
	RB_REMOVE(task_tree, &b->departing, t);
	TAILQ_REMOVE(&b->departed, t, entry);
}

void
life_let_depart(struct broker *b)
{
	struct task *t;

	while ((t = TAILQ_FIRST(&b->departed)) != NULL &&
	       !store_has_news(b->store, t)) {
		stop_departing(b, t);
		task_unref(t);
	}
}

bool
life_spill(struct broker *b, struct task *t)
{
	if (!result_spill(b, t))
		return false;
	unplace(b, t);
	holdback_lost(b, t);
	window_leave(b, t);
	delay_remove(&b->timers, &t->timer);
	if (task_is_live(t))
		t->lane->n_live--;
	t->lane = NULL;
	window_count(b, t, 1);
	unique_spill(b, t);
	mailbox_spill(b, t);
	remove_task(b, t);
	t->spilled = true;
	depart(b, t);
	return true;
}

/* Make t resident: it was spilled, or had ended. */
static int
take_back(struct broker *b, struct task *t)
{
	if (delay_reserve(&b->timers, b->n_tasks + 1) < 0 ||
	    catalog_place(&b->catalog, t->queue, t->kind, &t->lane) < 0)
		return -ENOMEM;
	t->spilled = false;
	t->n_charged = task_size(t);
	RB_INSERT(task_tree, &b->tasks, task_ref(t));
	b->n_tasks++;
	b->n_bytes += t->n_charged;
	return 0;
}

/* It did not work out: t is as it was. */
static void
give_back(struct broker *b, struct task *t)
{
	remove_task(b, t);
	t->lane = NULL;
	t->spilled = true;
	task_unref(t);
}

struct task *
life_find_ending(const struct broker *b, uint64_t id)
{
	struct task key;

	key.id = id;
	return RB_FIND(
	    task_tree, (struct task_tree *)(uintptr_t)&b->ending, &key);
}

/* t, if it waits for a time of the wall clock, is due by that as it is now. */
static void
follow_wall(struct task *t)
{
	int64_t early;

	if (t->state != TASK_SCHEDULED || !t->run_at_is_wall)
		return;
	early = t->run_at - wall_now_ms();
	t->due = mono_add_ms(mono_now(), early > 0 ? early : 0);
}

/* t was spilled, and is so no more; NULL: there is no memory. */
static struct task *
bring_back(struct broker *b, struct task *t)
{
	if (take_back(b, t) < 0)
		return NULL;
	if (unique_adopt(b, t) < 0 || mailbox_adopt(b, t) < 0) {
		unique_spill(b, t);
		give_back(b, t);
		return NULL;
	}
	window_count(b, t, -1);
	if (task_is_live(t))
		t->lane->n_live++;
	result_adopt(b, t);
	/* It is here now, whatever the window says. */
	if (!t->parked)
		(void)window_admit(b, t);
	if (t->state == TASK_READY && !t->parked)
		life_place(b, t);
	follow_wall(t);
	life_set_timer(b, t);
	return t;
}

struct task *
life_adopt(struct broker *b, struct task *t)
{
	struct task *other = life_find(b, t->id);

	if (other != NULL)
		return other;
	other = find_departing(b, t->id);
	if (other == NULL) {
		if (life_find_ending(b, t->id) != NULL || task_is_final(t))
			return NULL;
		return bring_back(b, t);
	}
	if (task_is_final(other))
		return NULL; /* it is being deleted */
	stop_departing(b, other);
	t = bring_back(b, other);
	if (t == NULL)
		depart(b, other);
	else
		task_unref(other);
	return t;
}

/* t, as it was read, is what the store has of it, and no news are under way. */
static int
check_ended(struct broker *b, const struct task *t)
{
	if (life_find(b, t->id) != NULL || life_find_ending(b, t->id) != NULL ||
	    find_departing(b, t->id) != NULL)
		return -EBUSY;
	return t->durable || t->shelved ? 0 : -ENOENT;
}

int
life_erase(struct broker *b, struct task *t)
{
	int r = task_is_final(t) ? check_ended(b, t) : -EINVAL;

	if (r < 0)
		return r;
	store_erase(b->store, t);
	/* What was read before that shows it as if it were there. */
	if (t->durable)
		depart(b, task_ref(t));
	return 0;
}

int
life_revive(struct broker *b, struct task *t)
{
	int r;

	if (task_next_state(t->state, TASK_EV_REVIVE) < 0)
		return -EINVAL;
	r = check_ended(b, t);
	if (r < 0)
		return r;
	if (b->n_waiting >= b->settings->max_queued)
		return -ENOSPC;
	if (t->unique != NULL &&
	    unique_find(b, t->queue, t->kind, t->unique) != NULL)
		return -EEXIST;
	if (take_back(b, t) < 0)
		return -ENOMEM;
	if (unique_add(b, t) < 0 || mailbox_enter(b, t) < 0) {
		unique_remove(b, t);
		give_back(b, t);
		return -ENOMEM;
	}
	/* From among those that have ended, of the memory store. */
	store_update(b->store, t);
	(void)task_apply(t, TASK_EV_REVIVE, wall_now_ms());
	t->expires.ns = 0;
	t->expires_ms = 0;
	t->holds = t->parked = t->suspect = t->cancelling = false;
	t->seq = ++b->seq;
	t->ready_at.ns = 0;
	count(b, t, 1);
	life_make_ready(b, t);
	return 0;
}

/* t, on the disk only, is no more: it was not kept. */
static void
drop_spilled(struct broker *b, struct task *t)
{
	window_count(b, t, -1);
	count(b, t, -1);
	unique_remove(b, t);
	mailbox_leave(b, t);
	if (find_departing(b, t->id) == t) {
		stop_departing(b, t);
		task_unref(t);
	}
}

/* t, which is kept nowhere, lives on in memory: it has been started. */
static void
make_volatile(struct broker *b, struct task *t)
{
	bool ended = t->ending;

	/* It is none of those that can be left to the disk. */
	window_leave(b, t);
	t->durable = false;
	if (ended) {
		t->ending = false;
		RB_REMOVE(task_tree, &b->ending, t);
	}
	if (store_put(b->store, t) < 0)
		log_error("out of memory: task %llu can't be looked up",
		    (unsigned long long)t->id);
	else if (ended)
		store_finish(b->store, t);
	if (!ended)
		return;
	mailbox_kept(b, t);
	result_ended(b, t);
	task_unref(t);
}

/* Its worker does not know of t, which is not kept: it never will. */
static void
take_from_worker(struct broker *b, struct task *t)
{
	struct chan *c = t->chan;

	chan_take_back(c, t);
	condemn_review(b, c);
}

void
life_put_failed(struct broker *b, struct task *t, int err)
{
	bool unsent = t->state == TASK_RUNNING && t->unsent && t->run == 1;
	bool stays = !t->spilled && (t->ending || (t->run > 0 && !unsent));

	t->lost = true;
	b->stats.submitted--;
	/* Who waits for what has run is told what has become of it. */
	if (!stays)
		result_refuse_task(b, t, err);
	if (t->spilled) {
		drop_spilled(b, t);
	} else if (stays) {
		make_volatile(b, t);
	} else {
		if (unsent)
			take_from_worker(b, t);
		unplace(b, t);
		holdback_lost(b, t);
		window_leave(b, t);
		count(b, t, -1);
		delay_remove(&b->timers, &t->timer);
		unique_remove(b, t);
		mailbox_leave(b, t);
		remove_task(b, t);
		task_unref(t);
	}
}

/* Note a new task wherever it may be looked for. */
static int
enter_trees(struct broker *b, struct task *t)
{
	if (unique_add(b, t) < 0)
		return -ENOMEM;
	if (mailbox_enter(b, t) < 0)
		goto err_unique;
	if (unique_note_key(b, t) < 0)
		goto err_mailbox;
	if (store_put(b->store, t) < 0)
		goto err_key;
	return 0;

err_key:
	unique_forget_key(b, t);
err_mailbox:
	mailbox_leave(b, t);
err_unique:
	unique_remove(b, t);
	return -ENOMEM;
}

/* It is due in delay_ms, or at run_at if that was named. */
static void
set_due(struct broker *b, struct task *t, int64_t delay_ms)
{
	t->due = mono_add_ms(mono_now(), delay_ms);
	t->due_ms =
	    t->run_at_is_wall ? t->run_at : t->due.ns / 1000000 + b->steady_ms;
}

/* It is scheduled: here, or on the disk alone. */
static void
stay_scheduled(struct broker *b, struct task *t)
{
	if (!window_admit(b, t))
		(void)life_spill(b, t);
}

int
life_enter(struct broker *b, struct task *t, int64_t delay_ms)
{
	if (delay_reserve(&b->timers, b->n_tasks + 1) < 0 ||
	    enter_trees(b, t) < 0)
		return -ENOMEM;
	t->submitted_at = wall_now_ms();
	if (t->expires.ns != 0)
		t->expires_ms = t->expires.ns / 1000000 + b->steady_ms;
	RB_INSERT(task_tree, &b->tasks, t);
	b->n_tasks++;
	t->n_charged = task_size(t);
	b->n_bytes += t->n_charged;
	b->stats.submitted++;
	if (delay_ms > 0) {
		t->state = TASK_SCHEDULED;
		set_due(b, t, delay_ms);
		if (!t->run_at_is_wall)
			t->run_at = t->submitted_at + delay_ms;
	} else {
		t->state = TASK_READY;
		t->seq = ++b->seq;
	}
	count(b, t, 1);
	life_set_timer(b, t);
	if (delay_ms > 0)
		stay_scheduled(b, t);
	else
		life_make_ready(b, t);
	return 0;
}

int
life_restore(struct broker *b, struct task *t)
{
	if (delay_reserve(&b->timers, b->n_tasks + 1) < 0 ||
	    unique_add(b, t) < 0 || mailbox_restore(b, t) < 0)
		return -ENOMEM;
	/* What is durable is in the store already. */
	if (!t->durable && store_put(b->store, t) < 0)
		return -ENOMEM;
	RB_INSERT(task_tree, &b->tasks, t);
	b->n_tasks++;
	b->n_bytes += t->n_charged;
	if (t->place != TASK_IN_MAILBOX)
		t->place = TASK_NOWHERE;
	if (t->state == TASK_READY && !t->parked)
		life_place(b, t);
	count(b, t, 1);
	follow_wall(t);
	life_set_timer(b, t);
	return 0;
}

void
life_schedule(struct broker *b, struct task *t, enum task_event ev, int64_t ms)
{
	t->run_at = wall_now_ms() + ms;
	t->run_at_is_wall = false;
	set_due(b, t, ms);
	life_change(b, t, ev);
	store_update(b->store, t);
	stay_scheduled(b, t);
}

int
life_cancel(struct broker *b, struct task *t)
{
	if (task_next_state(t->state, TASK_EV_CANCEL) < 0)
		return -EINVAL;
	life_change(b, t, TASK_EV_CANCEL);
	life_end(b, t);
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
		life_set_timer(b, t);
		return;
	}
	if (t->lane->shifts == 0)
		log_warn("task %llu (%s) is due, and no pool can run it: it "
			 "waits for a reload that brings its name back to "
			 "queue %s",
		    (unsigned long long)t->id, t->kind->name, t->queue->name);
	life_change(b, t, TASK_EV_DUE);
	t->seq = ++b->seq;
	t->ready_at.ns = 0;
	t->due_ms = 0;
	store_update(b->store, t);
	life_make_ready(b, t);
}

void
life_expire(struct broker *b, struct task *t)
{
	if (task_next_state(t->state, TASK_EV_EXPIRE) < 0)
		return;
	life_change(b, t, TASK_EV_EXPIRE);
	life_end(b, t);
}

static void
on_task_timer(struct broker *b, struct task *t, struct mono now)
{
	if (t->state == TASK_RUNNING) {
		run_on_timer(b, t, now);
	} else if (t->expires.ns != 0 && mono_reached(now, t->expires)) {
		life_expire(b, t);
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
	struct task *t;

	RB_FOREACH(t, task_tree, &b->tasks)
	{
		if (t->state != TASK_SCHEDULED || !t->run_at_is_wall)
			continue;
		follow_wall(t);
		life_set_timer(b, t);
	}
}

void
life_set_up(struct broker *b)
{
	RB_INIT(&b->tasks);
	RB_INIT(&b->ending);
	RB_INIT(&b->departing);
	TAILQ_INIT(&b->departed);
	RB_INIT(&b->absents);
	delay_init(&b->timers);
	holdback_init(b);
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
