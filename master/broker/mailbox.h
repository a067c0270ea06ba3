/* SPDX-License-Identifier: ISC */
/*
 * mailbox.h - tasks of one key run one at a time, in the order of their seq
 *
 * The scope of a key is the whole daemon.  A task joins its key's order when it
 * becomes ready for the first time: then it holds the key, or is parked behind
 * the one that does.  It holds on over retries and snoozes, until it ends.
 *
 * A mailbox is there while a task of its key is in memory.  Only the first of
 * the durable parked ones are kept there; what is beyond, and a holder that
 * waits long, is on the disk alone.  What a mailbox does not know of the disk
 * it looks up, and gives the key to nobody until it knows.
 *
 * For a task without a key each of these does nothing.
 */
#ifndef GANGER_BROKER_MAILBOX_H
#define GANGER_BROKER_MAILBOX_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include <bsd/sys/tree.h>

struct broker;
struct mailbox;
struct task;

LIST_HEAD(mailbox_list, mailbox);
RB_HEAD(mailbox_tree, mailbox);

/* All of a broker; zeroed is empty. */
struct mailboxes {
	struct mailbox_tree tree;
	struct mailbox_list todo;  /* mailbox_tidy looks at them */
	struct mailbox_list later; /* when the timer fires */
	struct ev_timer timer;
	size_t n;
	size_t n_durable; /* durable tasks that are parked in memory */
};

/*
 * A new task, or one that ended and is revived, is about to enter: after this
 * mailbox_admit finds room.  -ENOMEM.
 */
int mailbox_enter(struct broker *b, struct task *t);

/*
 * t, which has entered, has just become ready for the first time, or since it
 * was revived; t->seq is its place in the order.  True: it holds its key now
 * (t->holds), or has none.  False: it is parked (t->parked, TASK_IN_MAILBOX).
 */
bool mailbox_admit(struct task *t);

/*
 * t, which has not ended, was handed over, as its holds and parked say.
 * -ENOMEM.  mailbox_adopt is the same for one that was on the disk only.
 */
int mailbox_restore(struct broker *b, struct task *t);
int mailbox_adopt(struct broker *b, struct task *t);

/*
 * t has ended or was dropped, from memory or, as one that could not be kept,
 * from what is on the disk only.  If it held its key, the next one gets it: in
 * mailbox_tidy; but when a durable one has ended, after mailbox_kept.
 */
void mailbox_leave(struct broker *b, struct task *t);

/* The end of t is kept, or nothing of it ever will be. */
void mailbox_kept(struct broker *b, const struct task *t);

/* t leaves memory: from its commit on it is on the disk only. */
void mailbox_spill(struct broker *b, struct task *t);

/*
 * Give keys that nobody holds to those who are next (life_unparked), look up
 * what there is to look up, and spill those that are parked far behind
 * (life_spill).  Called at the end of a turn, before dispatch.
 */
void mailbox_tidy(struct broker *b);

/* True when mailbox_tidy has left nothing for a later time. */
bool mailbox_is_settled(const struct broker *b);

/*
 * True when t, which waits and is durable, has to be run although a drain
 * leaves such tasks to the disk: behind it waits one that is in memory alone.
 */
bool mailbox_is_wanted(const struct broker *b, const struct task *t);

/*
 * True while a drain is not over: a task has a key, or just had it, that goes
 * to another one then.
 */
bool mailbox_goes_on(const struct broker *b);

/* Free what is left, when the store is gone. */
void mailbox_done_all(struct broker *b);

#endif
