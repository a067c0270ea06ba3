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

/*
 * Take in t, which a store has read from its disk, and let it be resident.
 * Returns it, with a reference of the broker's own; or the task of that id that
 * is resident already; or NULL: it has ended meanwhile, or there is no memory.
 */
struct task *life_adopt(struct broker *b, struct task *t);

/*
 * Leave t, which waits and is durable, to the disk; the broker's reference is
 * dropped.  False: there is no memory to note who waits for it, and it stays.
 */
bool life_spill(struct broker *b, struct task *t);

/* Forget what was spilled and is written; called at the end of a turn. */
void life_let_depart(struct broker *b);

/* t got its key: it waits as the others do from now on. */
void life_unparked(struct broker *b, struct task *t);

/* What a store tells: the end of t is kept; t, which was put, is not. */
void life_ended(struct broker *b, struct task *t);
void life_put_failed(struct broker *b, struct task *t, int err);

/*
 * An operator's retry of t, which has ended.  The broker takes a reference of
 * its own.  -EINVAL: not in this state; -EBUSY: it is being kept or deleted
 * just now, or was revived; -ENOENT: it is gone; -EEXIST: another one has its
 * `unique`; -ENOSPC: too many wait; -ENOMEM.
 */
int life_revive(struct broker *b, struct task *t);

/* Forget t, which has ended.  -EINVAL, -EBUSY and -ENOENT as above. */
int life_erase(struct broker *b, struct task *t);

/* t has waited longer than it wanted to. */
void life_expire(struct broker *b, struct task *t);

/* The task of that id that has ended, which the store has yet to keep. */
struct task *life_find_ending(const struct broker *b, uint64_t id);

/* True when a task of that id was spilled or deleted, but not on disk so far.
 */
bool life_is_departing(const struct broker *b, uint64_t id);

/* Let t, which is ready, wait where those look for it that can run it. */
void life_place(struct broker *b, struct task *t);

/* Let t, which is ready, wait until tasks of its name are run again. */
void life_put_aside(struct broker *b, struct task *t);

/* Cancel a task that has not started.  -EINVAL: it has. */
int life_cancel(struct broker *b, struct task *t);

/*
 * The steps that all that happens to a task is made of.  Let ev happen, which
 * can, and set right what follows from the new state alone.
 */
void life_change(struct broker *b, struct task *t, enum task_event ev);

/* t has ended: let the store keep it, and then tell who waits. */
void life_end(struct broker *b, struct task *t);

/* t is ready from now on; it may be left to the disk, and be gone. */
void life_make_ready(struct broker *b, struct task *t);

/* Let ev happen, and t wait for so long; likewise. */
void life_schedule(
    struct broker *b, struct task *t, enum task_event ev, int64_t ms);

/* Set or clear t's timer by its state. */
void life_set_timer(struct broker *b, struct task *t);

/* The resident task of that id, which has not ended, or NULL. */
struct task *life_find(struct broker *b, uint64_t id);

/* The wall clock was set: tasks for a time of it are due at another moment. */
void life_follow_wall(struct broker *b);

/* Make the trees, the lists and the timer of what is due. */
void life_set_up(struct broker *b);

/* Set the timer for what is due next; called at the end of a turn. */
void life_arm(struct broker *b);

#endif
