/* SPDX-License-Identifier: ISC */
/*
 * holdback.h - names whose tasks kill their workers, and what waits meanwhile
 *
 * Each name has a breaker once a task of it has killed a worker.  While that is
 * open, tasks of the name are put aside when they come up to be started, so
 * that others of their queue pass them; when it closes they go back to where
 * they were in the order.
 */
#ifndef GANGER_BROKER_HOLDBACK_H
#define GANGER_BROKER_HOLDBACK_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "master/broker/breaker.h"
#include "master/broker/catalog.h"
#include "master/broker/handover_in.h"
#include "master/broker/handover_out.h"
#include "master/broker/task.h"

struct broker;

#define HOLDBACK_SIZE 256 /* of what is told of a name in words */

struct holdback {
	struct kind *kind; /* borrowed */
	struct breaker breaker;
	struct task_list tasks; /* ready, and put aside */
	size_t n_tasks;
	LIST_ENTRY(holdback) entry;
};

struct holdbacks {
	LIST_HEAD(, holdback) list; /* owned */
	struct ev_timer timer;      /* for the first that can be tried */
	struct mono armed;          /* what it is set for; ns 0: not set */
	size_t n_tasks;             /* in all of them */
};

void holdback_init(struct broker *b);

/* The tasks are gone already. */
void holdback_done(struct broker *b);

/* True while tasks of that name are held back. */
static inline bool
holdback_is_on(const struct kind *kind)
{
	return kind->holdback != NULL &&
	       kind->holdback->breaker.state != BREAKER_CLOSED;
}

/* True while some of that name are put aside. */
static inline bool
holdback_has_tasks(const struct kind *kind)
{
	return kind->holdback != NULL && kind->holdback->n_tasks > 0;
}

/* True when t has to be put aside instead of being started. */
static inline bool
holdback_keeps(const struct task *t)
{
	return holdback_is_on(t->kind) &&
	       t->kind->holdback->breaker.probe != t->id;
}

/* t has killed its worker. */
void holdback_strike(struct broker *b, const struct task *t);

/* ev has happened to t; its kind has a holdback. */
void holdback_note(struct broker *b, const struct task *t, enum task_event ev);

/* What becomes of t will say nothing. */
void holdback_lost(struct broker *b, const struct task *t);

/*
 * t comes up to be started, and holdback_keeps(t): put it aside, or let it be
 * the one that is tried.
 */
void holdback_take(struct broker *b, struct task *t);

/*
 * A queue was paused or resumed, or lanes have changed: what can't be started
 * now is not the one that is tried.
 */
void holdback_review(struct broker *b);

/* Put t, which is ready and on no list, aside. */
void holdback_add(struct broker *b, struct task *t);

/* t was put aside: take it out. */
void holdback_remove(struct broker *b, struct task *t);

/* True when tasks of that name are held back; out then says so, in words. */
bool holdback_describe(const struct kind *kind, char out[HOLDBACK_SIZE]);

/* Hand over what is known of the names; and take it up, before any task. */
void holdback_save(const struct broker *b, struct handover_out *o);
int holdback_load(struct broker *b, const struct handover_in *in);

#endif
