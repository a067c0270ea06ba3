/* SPDX-License-Identifier: ISC */
/*
 * change.h - what clients do to tasks that are there: cancel, retry, delete
 */
#ifndef GANGER_BROKER_CHANGE_H
#define GANGER_BROKER_CHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/buf.h"
#include "master/broker/broker.h"
#include "master/broker/fault.h"

enum change_kind { CHANGE_CANCEL, CHANGE_RETRY, CHANGE_DELETE };

struct change {
	enum change_kind kind;
	bool force; /* CHANGE_CANCEL: a run ends, whether its handler does */
};

/* What has become of the tasks so far. */
struct change_tally {
	uint64_t n_changed;
	uint64_t n_asked;   /* running ones that were told to end */
	uint64_t n_skipped; /* named in skipped, as far as it goes */
	int why;            /* -errno that all of them have in common, or 0 */
	uint64_t twin;      /* for -EEXIST: who has the place of the last one */
	uint64_t max_queued; /* for -ENOSPC */
	bool durable;        /* one of them is: the store has to keep it */
	struct buf skipped;  /* {"id", "state", "reason"}, with commas */
};

void change_tally_init(struct change_tally *tally);
void change_tally_done(struct change_tally *tally);

/* A task was changed or skipped, and counted; err: it could not be looked up,
 * and is not counted. */
typedef void (*change_fn)(void *arg, int err);

/*
 * Change t, which is resident or was just read from the store, and count it.
 * 0: that is so.  1: fn is called when it is, later, but never for a
 * cancel; c and tally stay where they are until then.  -EAGAIN: what was read
 * is out of date, look it up anew; nothing is counted.
 */
int change_task(struct broker *b, const struct change *c, struct task *t,
    struct change_tally *tally, change_fn fn, void *arg);

/* Count t as one that was not changed, for -errno: those of life_revive. */
void change_skip(struct change_tally *tally, const struct task *t, int why);

/* Say why nothing was changed; its `more` names the skipped ones. */
void change_refuse(
    const struct change *c, const struct change_tally *tally, struct fault *f);

/* True when a task in this state can be changed so. */
bool change_suits(const struct change *c, enum task_state state);

/* Which tasks can be, by their states: the words of an error. */
const char *change_condition(const struct change *c);

/* Append the members of an answer, without its braces. */
void change_add_answer(
    const struct change *c, const struct change_tally *tally, struct buf *out);

#endif
