/* SPDX-License-Identifier: ISC */
/*
 * condemn.c - processes that have to be killed for one of their tasks
 *
 * The grace runs from the moment at which a task is over its limit, or a forced
 * cancel was asked for, and is as long for the task itself as for its siblings.
 * A command, which its worker kills without harm to anybody, is given that time
 * before its process is condemned: then the worker is stuck.
 */
#include "master/broker/condemn.h"

#include "ipc/clock.h"
#include "ipc/log.h"
#include "master/broker/chan.h"
#include "master/broker/life.h"
#include "master/broker/roster.h"
#include "master/broker/run.h"

/* True when nothing more is expected of t. */
static bool
is_lost(const struct task *t)
{
	return t->timed_out || t->outstayed;
}

const char *
condemn_reason(const struct chan *c)
{
	const char *why = NULL;
	const struct task *t;
	unsigned i;

	for (i = 0; i < c->threads; i++) {
		t = c->runs[i].task;
		if (t != NULL && t->timed_out)
			return "a task over its time limit";
		if (t != NULL && t->outstayed)
			why = "a cancelled task that does not end";
	}
	return why;
}

static void
carry_out(struct broker *b, struct chan *c)
{
	if (c->state != CHAN_DOOMED)
		roster_kill(b, c, condemn_reason(c), false);
}

void
condemn_review(struct broker *b, struct chan *c)
{
	unsigned i, n_lost = 0, n_reasons = 0;
	const struct task *t;

	if (!c->condemned || c->state >= CHAN_DOOMED)
		return;
	for (i = 0; i < c->threads; i++) {
		t = c->runs[i].task;
		n_lost += t != NULL && is_lost(t);
		n_reasons += t != NULL && t->kill_at.ns != 0;
	}
	if (n_reasons == 0)
		chan_condemn(c, false);
	else if (n_lost == c->n_running)
		carry_out(b, c);
}

/* Feed the process of t no more: it has the grace from now on. */
static void
condemn(struct broker *b, struct task *t)
{
	t->kill_at = mono_add_ms(mono_now(), b->settings->cancel_grace_ms);
	life_set_timer(b, t);
	chan_condemn(t->chan, true);
	condemn_review(b, t->chan);
}

void
condemn_late(struct broker *b, struct task *t)
{
	struct chan *c = t->chan;

	t->timed_out = true;
	if (t->kill_at.ns != 0 && c->condemned) {
		life_set_timer(b, t);
		condemn_review(b, c);
		return;
	}
	condemn(b, t);
	/* While its siblings end, another one can do the work. */
	if (c->state == CHAN_UP)
		roster_recycle(b, c, "a task over its time limit");
}

void
condemn_cancelled(struct broker *b, struct task *t)
{
	if (t->kill_at.ns != 0)
		return;
	if (!run_is_command(t)) {
		condemn(b, t);
		return;
	}
	t->kill_at = mono_add_ms(
	    mono_now(), b->settings->cancel_grace_ms + RUN_COMMAND_GRACE_MS);
	life_set_timer(b, t);
}

void
condemn_carry_out(struct broker *b, struct task *t)
{
	struct chan *c = t->chan;
	bool had_time = c->condemned;

	if (!t->timed_out) {
		t->outstayed = true;
		log_warn("task %llu (%s) goes on though it was cancelled",
		    (unsigned long long)t->id, t->kind->name);
	}
	if (!had_time) {
		condemn(b, t);
		return;
	}
	carry_out(b, c);
}
