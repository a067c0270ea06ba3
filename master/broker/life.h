/* SPDX-License-Identifier: ISC */
/*
 * life.h - what happens to tasks: every change of state goes through here
 *
 * Keeps the places together that know of a task: the state itself, the order
 * of what is ready, timers, counts, waiters and the store.
 */
#ifndef GANGER_BROKER_LIFE_H
#define GANGER_BROKER_LIFE_H

#include <stdbool.h>
#include <stdint.h>

#include "master/broker/broker.h"
#include "master/broker/task.h"

/* An error as a task keeps it. */
struct life_error {
	int64_t code;
	const char *message;
	const json_t *data; /* borrowed; NULL: only that it can be retried */
};

/*
 * Take in a task that is new and filled in, to run after delay_ms (0: now).
 * The broker takes the caller's reference.  -ENOMEM: the caller keeps it.
 */
int life_enter(struct broker *b, struct task *t, int64_t delay_ms);

/*
 * Take in a task as it was in the broker that handed over.  One that is ready
 * goes back to t->place; the worker that runs one is linked by the caller.
 * The broker takes the caller's reference.  -ENOMEM: the caller keeps it.
 */
int life_restore(struct broker *b, struct task *t);

/* Let t, which is ready, wait where those look for it that can run it. */
void life_place(struct broker *b, struct task *t);

/* Hand t, which was next in the order, to a worker. */
void life_start(struct broker *b, struct task *t, struct chan *c);

/* Its run is over.  result is JSON text that is taken. */
void life_succeed(struct broker *b, struct task *t, char *result);

/*
 * Its run failed.  Unless `final`, it is tried again while attempts are left,
 * after delay_ms, or after the usual delay for -1.
 */
void life_fail(struct broker *b, struct task *t, const struct life_error *e,
    bool final, int64_t delay_ms);

/* The handler wants to be run again later. */
void life_snooze(struct broker *b, struct task *t, int64_t delay_ms);

/* Its run was cut by no fault of its own: back to where it was in the order. */
void life_requeue(struct broker *b, struct task *t);

/* The same, for a stop or a reload: it counts these. */
void life_interrupt(struct broker *b, struct task *t);

/* The same, and from now on it runs alone until it has answered. */
void life_suspect(struct broker *b, struct task *t);

/* Its worker died, and it was its doing: error e says how. */
void life_crash(struct broker *b, struct task *t, const struct life_error *e);

/* Cancel a task that has not started.  -EINVAL: it has. */
int life_cancel(struct broker *b, struct task *t);

/* The task of that id that has not ended, or NULL. */
struct task *life_find(struct broker *b, uint64_t id);

/* The wall clock was set: tasks for a time of it are due at another moment. */
void life_follow_wall(struct broker *b);

/* Let what is due happen; called by the timer. */
void life_set_up(struct broker *b);

/* Set the timer for what is due next; called at the end of a turn. */
void life_arm(struct broker *b);

/* The time limit of a run of t by crew w, in ms; 0: none. */
int64_t life_time_limit(const struct task *t, const struct crew *w);

#endif
