/* SPDX-License-Identifier: ISC */
/*
 * crew.h - a pool as the broker sees it: its workers and its queues
 *
 * Decides which task comes next and which worker takes it.  A suspect (a task
 * that was in a process when that died) runs alone in a process: a worker is
 * kept empty for it.
 */
#ifndef GANGER_BROKER_CREW_H
#define GANGER_BROKER_CREW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "master/broker/catalog.h"
#include "master/broker/settings.h"
#include "master/broker/task.h"

struct broker;
TAILQ_HEAD(chan_list, chan);

struct crew_source {
	struct queue *queue; /* borrowed */
	unsigned weight;
	uint64_t pass; /* virtual time of its next turn */
};

struct crew {
	struct broker *broker;                       /* borrowed */
	const struct broker_pool_settings *settings; /* borrowed */
	unsigned index;
	struct crew_source *sources; /* owned; in the settings' order */
	size_t n_sources;
	uint64_t pass;             /* virtual time of the last turn */
	struct chan_list chans;    /* all that live */
	struct chan_list idle;     /* chan_is_free, longest unfed first */
	struct task_list suspects; /* ready, to run alone */
	struct chan *kept;         /* being emptied for a suspect, or NULL */
	unsigned n_chans;
	unsigned n_up; /* chans in CHAN_UP */
	unsigned n_running;
	uint64_t n_restarts; /* workers that came after the first ones */
	uint64_t n_added;
	bool flapping;
};

/* -ENOMEM. */
int crew_init(struct crew *w, struct broker *b, unsigned index,
    const struct broker_pool_settings *s, struct catalog *c);

/* The chans are gone already. */
void crew_done(struct crew *w);

/*
 * Look at the task that is next in turn, suspects left aside; NULL when there
 * is none.  *source_out is for crew_charge.
 */
struct task *crew_peek(struct crew *w, struct crew_source **source_out);

/* A task of that source was taken: its queue's turn is over for a while. */
void crew_charge(struct crew *w, struct crew_source *source);

/* The free worker to feed next, or NULL. */
struct chan *crew_free_chan(struct crew *w);

/*
 * A worker with no task for a suspect, marked as alone; or NULL, and then the
 * worker that will be empty soonest is kept from being fed.
 */
struct chan *crew_lone_chan(struct crew *w);

/* No suspect waits any more: let a worker that is kept for one be fed. */
void crew_release_kept(struct crew *w);

/* c may have become free, or have ceased to be: put it where it belongs. */
void crew_sort(struct crew *w, struct chan *c);

/* True when nothing waits that this crew could run. */
bool crew_has_no_work(const struct crew *w);

#endif
