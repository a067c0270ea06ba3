/* SPDX-License-Identifier: ISC */
/*
 * crew.h - a pool as the broker sees it: its workers and its queues
 *
 * A crew keeps its place for the broker's life, for tasks point to the one that
 * ran them.  Its workers are in shifts, by what they know: those that come now
 * are in `main`, and while a reload rolls the pool there are older ones.
 */
#ifndef GANGER_BROKER_CREW_H
#define GANGER_BROKER_CREW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "master/broker/catalog.h"
#include "master/broker/settings.h"
#include "master/broker/shift.h"
#include "master/broker/task.h"

struct broker;

enum crew_state {
	CREW_UP,
	CREW_FLAPPING, /* its workers die soon after their start */
	CREW_DRAINED,  /* its workers were let go until a reload */
	CREW_LEAVING,  /* not in the settings any more, but has workers */
	CREW_GONE,     /* known by its name only */
};

/* The run time that is expected of a queue's tasks before any was measured. */
#define CREW_RUN_US 1000

struct crew_source {
	struct queue *queue; /* borrowed */
	unsigned weight;
	uint64_t pass;   /* virtual time of its next turn; wraps around */
	uint64_t run_us; /* expected run time of a task of its; at least 1 */
	bool waits;      /* had a task to give at the last look */
	bool past;       /* only for what is left in it */
};

/* How busy a crew is, as the master is told. */
struct crew_load {
	uint64_t ready;
	unsigned busy, threads;
};

struct crew {
	struct broker *broker;                       /* borrowed */
	char *name;                                  /* owned */
	const struct broker_pool_settings *settings; /* borrowed */
	struct broker_settings *held; /* reference, while leaving: to those
					 that settings point into */
	struct broker_pool_settings parting; /* of one that is gone: its name */
	enum crew_state state;
	unsigned n_target;           /* processes that the master wants */
	struct crew_source *sources; /* owned; in the settings' order */
	size_t n_sources;
	/* Virtual time of a queue that had to wait for nobody. */
	uint64_t pass;
	struct mono wake;       /* ns 0, or when a queue's rate lets it go on */
	struct chan_list chans; /* all that live */
	struct shift_list shifts; /* owned */
	struct shift *main;       /* of them; NULL when gone */
	unsigned n_chans;
	unsigned n_up;       /* chans in CHAN_UP */
	unsigned n_threads;  /* of those */
	unsigned n_running;  /* tasks */
	uint64_t n_restarts; /* workers that came in the place of others */
	struct crew_load told;
};

/* A crew that is gone, until it gets settings.  NULL: out of memory. */
struct crew *crew_new(struct broker *b, const char *name);

/* The chans are gone already, and no task points to it.  NULL-safe. */
void crew_free(struct crew *w);

/* Be gone: only the name stays.  There are no chans and no suspects. */
void crew_end(struct crew *w);

/* The shifts that take tasks. */
shift_set crew_shifts(const struct crew *w);

/* The one whose workers know these names, `main` first; NULL: there is none. */
struct shift *crew_find_shift(
    const struct crew *w, const struct skills *skills);

/* What w takes from q by, or NULL: it does not. */
struct crew_source *crew_find_source(
    const struct crew *w, const struct queue *q);

/*
 * True when a task of q can be started at now.  If only its rate is in the way,
 * w->wake is brought forward to when it is not.
 */
bool crew_may_start(struct crew *w, const struct queue *q, struct mono now);

/*
 * Look at the task that is next in turn for a shift and can be started at now,
 * suspects left aside; NULL when there is none.  *source_out is for
 * crew_charge.
 */
struct task *crew_peek(
    struct shift *s, struct mono now, struct crew_source **source_out);

/*
 * t, which crew_may_start, starts at now: its queue pays a token of its rate,
 * and what its run will take, as far as known.  source may be NULL.
 */
void crew_charge(struct crew *w, struct crew_source *source, struct task *t,
    struct mono now);

/* The run of t, which was charged if it is to pay, is over: let its queue pay
 * for what it has really taken.  Safe to repeat. */
void crew_settle(struct crew *w, struct task *t, struct mono now);

/* True when nothing waits that this crew could run, pauses left aside. */
bool crew_has_no_work(const struct crew *w);

/* "up", … */
const char *crew_state_name(const struct crew *w);

/* Take on a state that the master may give, by its name. */
void crew_take_state(struct crew *w, const char *name);

#endif
