/* SPDX-License-Identifier: ISC */
/*
 * shift.h - the workers of a pool that know the same task names
 *
 * Decides which of them takes the next task.  A suspect (a task that was in a
 * process when that died) runs alone in a process: a worker is kept empty for
 * it.
 */
#ifndef GANGER_BROKER_SHIFT_H
#define GANGER_BROKER_SHIFT_H

#include <stdbool.h>
#include <sys/queue.h>

#include "master/broker/catalog.h"
#include "master/broker/skills.h"
#include "master/broker/task.h"

struct crew;
TAILQ_HEAD(chan_list, chan);

struct shift {
	struct crew *crew;     /* borrowed */
	unsigned index;        /* its bit in a shift_set, unless over */
	bool over;             /* none of its workers takes tasks any more */
	struct skills *skills; /* a reference */
	struct chan_list idle; /* chan_is_free, longest unfed first */
	struct task_list suspects; /* ready, to run alone */
	struct chan *kept;         /* being emptied for a suspect, or NULL */
	unsigned n_chans;
	unsigned n_fit; /* chans that take tasks, or will: up or starting */
	TAILQ_ENTRY(shift) entry; /* of crew->shifts */
};

TAILQ_HEAD(shift_list, shift);

/*
 * A shift with no workers, on no list; takes a reference to skills.  NULL: out
 * of memory.
 */
struct shift *shift_new(
    struct crew *crew, unsigned index, struct skills *skills);

/* It has no workers and no suspects, and is on no list.  NULL-safe. */
void shift_free(struct shift *s);

/* The free worker to feed next, or NULL. */
struct chan *shift_free_chan(struct shift *s);

/*
 * A worker with no task for a suspect, marked as alone; or NULL, and then the
 * worker that will be empty soonest is kept from being fed.
 */
struct chan *shift_lone_chan(struct shift *s);

/* No suspect waits any more: let a worker that is kept for one be fed. */
void shift_release_kept(struct shift *s);

/* c may have become free, or have ceased to be: put it where it belongs. */
void shift_sort(struct shift *s, struct chan *c);

/* Let t, which is on no list, wait there as a suspect. */
void shift_suspect(struct shift *s, struct task *t);

#endif
