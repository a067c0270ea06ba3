/* SPDX-License-Identifier: ISC */
/*
 * unique.h - what is submitted once only
 *
 * Tasks with a `unique` text, of which one for each queue, name and text may
 * live, and with an `idempotency_key`, which is one task's for a day.  Here are
 * those that a look-up in the store may miss: unique ones while they are in
 * memory or not committed yet, idempotency keys until their commit.
 *
 * For a task without such a text each of these does nothing.
 */
#ifndef GANGER_BROKER_UNIQUE_H
#define GANGER_BROKER_UNIQUE_H

#include <stdbool.h>
#include <sys/queue.h>

#include <bsd/sys/tree.h>

struct broker;
struct kind;
struct queue;
struct task;
struct unique;

RB_HEAD(unique_tree, unique);
RB_HEAD(idempotency_tree, unique);
LIST_HEAD(unique_list, unique);

/* All of a broker; zeroed is empty. */
struct uniques {
	struct unique_tree by_name;
	struct idempotency_tree by_key;
	struct unique_list going; /* kept until a barrier has told */
};

/*
 * t enters, is revived, or was handed over; nobody else has its place.
 * -ENOMEM.  unique_adopt is the same for one that was on the disk only.
 */
int unique_add(struct broker *b, struct task *t);
int unique_adopt(struct broker *b, struct task *t);

/* t has ended or was dropped: its text is free again. */
void unique_remove(struct broker *b, struct task *t);

/* t leaves memory.  Its place is kept until the store has it. */
void unique_spill(struct broker *b, struct task *t);

/* The live task that has that place, as far as is known here; or NULL. */
struct task *unique_find(const struct broker *b, const struct queue *q,
    const struct kind *kind, const char *text);

/* Note the idempotency key of t, which is about to be put.  -ENOMEM. */
int unique_note_key(struct broker *b, struct task *t);

/* The task that was put with that idempotency key, not committed yet; NULL. */
struct task *unique_find_key(const struct broker *b, const char *text);

/* t, noted so, was not put after all. */
void unique_forget_key(struct broker *b, struct task *t);

/*
 * Let the store tell when it has what was put and what has left memory so far.
 * Called at the end of a turn, before the store's flush.
 */
void unique_tidy(struct broker *b);

/* Free what is left, when the store is gone. */
void unique_done_all(struct broker *b);

#endif
