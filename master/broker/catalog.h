/* SPDX-License-Identifier: ISC */
/*
 * catalog.h - the queues, and who can run what from which queue
 *
 * The workers of a pool that know the same task names are a shift: usually one
 * for each pool, more while a reload rolls the pool.  A task of one name in one
 * queue can go to the shifts that know the name and take from the queue.  Tasks
 * of a queue that can go to the same shifts wait in one lane; a queue that one
 * pool serves has a single lane.
 *
 * Queues and names stay where they are for the broker's life: tasks point to
 * them, those that have ended as well.  One that the settings no longer have is
 * `leaving`, and taken up again when they do.
 *
 * A reload stages all that it needs memory for, and commits it or unstages it.
 * Pure.
 */
#ifndef GANGER_BROKER_CATALOG_H
#define GANGER_BROKER_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "ipc/buf.h"
#include "master/broker/rate.h"
#include "master/broker/ready.h"
#include "master/broker/settings.h"

/* A set of shifts, bit i for the one of index i. */
__extension__ typedef unsigned __int128 shift_set;
#define SHIFTS_MAX 128

#define SHIFT_BIT(index) ((shift_set)1 << (index))

struct holdback;

/* A task's name. */
struct kind {
	char *name;         /* owned */
	shift_set shifts;   /* that know it */
	shift_set commands; /* those in which it is a command */
	shift_set next_shifts, next_commands; /* staged */
	bool fresh;                           /* staged itself */
	/* Borrowed; NULL: none of its tasks has killed a worker. */
	struct holdback *holdback;
};

struct lane {
	struct queue *queue;
	shift_set shifts; /* that can run what is here; empty: none can now */
	struct ready ready;
	uint64_t n_live; /* its tasks that are ready, run or are tried again */
	SLIST_ENTRY(lane) entry;
};

SLIST_HEAD(lane_list, lane);

struct queue_counts {
	uint64_t ready, scheduled, running;    /* now */
	uint64_t succeeded, failed, cancelled; /* since the broker's start */
	uint64_t expired;
};

struct queue {
	char *name;                                   /* owned */
	const struct broker_queue_settings *settings; /* borrowed; or parting */
	struct broker_queue_settings parting; /* what they were, if leaving */
	bool leaving;                         /* takes no more tasks */
	shift_set shifts;                     /* that take from it */
	shift_set past; /* those that do so only for what is left in it */
	shift_set next_shifts, next_past;
	struct lane_list lanes, next_lanes;
	struct queue_counts count;
	/* Of the scheduled ones, those on the disk only; [run_at_is_wall]. */
	uint64_t n_spilled_due[2];
	bool paused;         /* none of its tasks is started */
	struct rate rate;    /* of starts, by the settings */
	int64_t age_ms;      /* in which a task gains a priority; 0: never */
	uint64_t n_stranded; /* tasks that nobody can run, as last told */
	bool fresh;
};

struct catalog {
	struct queue **queues; /* the settings', in their order; then others */
	size_t n_queues;       /* of the settings */
	size_t n_all_queues;
	struct kind **kinds; /* sorted by name */
	size_t n_kinds;
	shift_set main;    /* shifts that know what the settings say */
	shift_set leaving; /* of pools that are gone from the settings */
	shift_set next_main, next_leaving;
	int64_t age_ms; /* of every queue */
	bool stale;     /* lanes do not follow from the sets any more */
};

/* The queues and names of new settings, before they are in force. */
struct catalog_stage {
	struct queue **queues;
	size_t n_queues, n_all_queues;
	struct kind **kinds;
	size_t n_kinds;
};

/* An empty one. */
void catalog_init(struct catalog *c);
void catalog_done(struct catalog *c);

/*
 * Make what s needs besides what is there.  *out is owned, until
 * catalog_commit_stage or catalog_unstage.  -ENOMEM.
 */
int catalog_stage(struct catalog *c, const struct broker_settings *s,
    struct catalog_stage *out);
void catalog_unstage(struct catalog_stage *st);

/* Put the stage of s in the catalog's place at now; st is taken. */
void catalog_commit_stage(struct catalog *c, struct catalog_stage *st,
    const struct broker_settings *s, struct mono now);

/* Look at the catalog as if it were a stage; not to be unstaged. */
struct catalog_stage catalog_as_stage(const struct catalog *c);

struct kind *catalog_stage_find_kind(
    const struct catalog_stage *st, const char *name);

/* Empty the next sets of all that is in st. */
void catalog_clear_next(struct catalog *c, const struct catalog_stage *st);

/* True when the next sets are not what the sets are. */
bool catalog_has_changed(
    const struct catalog *c, const struct catalog_stage *st);

/* Make the next sets the sets. */
void catalog_commit_next(struct catalog *c);

/* Make the next lane for a kind in a queue unless it is there.  -ENOMEM. */
int catalog_stage_lane(
    const struct catalog *c, struct queue *q, const struct kind *kind);

/* Drop all next lanes. */
void catalog_unstage_lanes(const struct catalog_stage *st);

/* Move what waits to the next lanes, in its order, and make them the lanes. */
void catalog_commit_lanes(struct catalog *c);

/* A kind by its name; known to the settings, or only to tasks that ended. */
struct kind *catalog_find_kind(const struct catalog *c, const char *name);

/* True when the settings have a pool that knows the kind. */
bool catalog_has_kind(const struct catalog *c, const struct kind *kind);

/* A queue of the settings; or with those that are gone from them. */
struct queue *catalog_find_queue(const struct catalog *c, const char *name);
struct queue *catalog_find_any_queue(const struct catalog *c, const char *name);

/*
 * The kind, or queue, of that name, made when there is none: as one that is
 * gone from the settings.  -ENOMEM.
 */
int catalog_need_kind(struct catalog *c, const char *name, struct kind **out);
int catalog_need_queue(struct catalog *c, const char *name, struct queue **out);

/*
 * The queue for a task that names none: "default" if a pool that knows the
 * kind takes from it, else the first that such a pool takes from.
 */
struct queue *catalog_usual_queue(
    const struct catalog *c, const struct kind *kind);

/*
 * The lane for a new task of a kind in a queue, made when it is the first for
 * its shifts.  -ENOENT: no pool runs this kind from this queue.  -ENOMEM.
 */
int catalog_lane(const struct catalog *c, struct queue *q,
    const struct kind *kind, struct lane **out);

/* The same for a task that is there already: nobody may be able to run it. */
int catalog_place(const struct catalog *c, struct queue *q,
    const struct kind *kind, struct lane **out);

/* The shifts that can run a task of that kind from that queue. */
shift_set catalog_lane_set(
    const struct catalog *c, const struct queue *q, const struct kind *kind);

/* The lane of a task of that kind, which is there as long as it has tasks. */
struct lane *catalog_get_lane(
    const struct catalog *c, struct queue *q, const struct kind *kind);

/* Let a shift that is over be in no set. */
void catalog_forget_shift(struct catalog *c, unsigned index);

/* True when something waits or runs that only this shift can run. */
bool catalog_needs_shift(const struct catalog *c, unsigned index);

/* True when something is left of what waits for one of these shifts. */
bool catalog_has_work(const struct catalog *c, shift_set set);

/*
 * The next task of queue q that the shift of that index can run, or NULL;
 * whether it may be started now is not looked at.
 */
struct task *queue_peek(const struct queue *q, unsigned index);

/* True when it is not paused, and as few of its tasks run as have to. */
bool queue_is_open(const struct queue *q);

/* True when some pool that is there, or on its way out, runs such tasks. */
static inline bool
queue_is_served(const struct queue *q, const struct kind *kind)
{
	return (q->shifts & kind->shifts) != 0;
}

/* True when it has no task that has not ended. */
static inline bool
queue_is_empty(const struct queue *q)
{
	return q->count.ready + q->count.scheduled + q->count.running == 0;
}

/* Append the names that exist, as a JSON array, at most `most` of them. */
void catalog_add_kinds(const struct catalog *c, size_t most, struct buf *out);

#endif
