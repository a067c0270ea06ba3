/* SPDX-License-Identifier: ISC */
/*
 * window.h - which of the waiting tasks are in memory
 *
 * Durable tasks that wait are on disk, and the next ones of each order are in
 * memory as well, which is resident.  The rest is spilled: the broker knows
 * how many they are, and fetches the next ones before they are wanted.
 *
 * What is ready waits in bands, one for each queue, task name and priority, in
 * the order of seq.  Up to a band's frontier all are resident; while something
 * is spilled, nothing beyond the frontier may be started.  What is scheduled
 * waits in two bands, by the steady and by the wall clock, in the order of its
 * time.
 */
#ifndef GANGER_BROKER_WINDOW_H
#define GANGER_BROKER_WINDOW_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <bsd/sys/tree.h>

#include "master/broker/catalog.h"
#include "master/broker/task.h"

struct broker;
struct store_found;

/* A fetch that has failed is made again after a while, which grows. */
struct window_retry {
	bool waits;     /* for the timer */
	int64_t ms;     /* so long, after the last of several; 0: none failed */
	struct mono at; /* not before this */
};

/* Ready tasks of one queue, name and priority. */
struct band {
	struct broker *broker; /* borrowed, as the next two */
	struct queue *queue;
	struct kind *kind;
	unsigned priority;
	uint64_t n_spilled;
	size_t n_resident;
	size_t n_bytes;        /* of those */
	uint64_t frontier;     /* seq; counts while something is spilled */
	uint64_t last;         /* seq; what is resident is not beyond it */
	uint64_t spilled_from; /* the lowest seq spilled since the fetch */
	bool fetching;
	bool unreadable; /* its order is damaged: nothing waits for it */
	unsigned missed; /* so many fetches in a row brought nothing */
	struct window_retry retry;
	RB_ENTRY(band) entry;
	TAILQ_ENTRY(band) spilled_entry; /* while something is spilled */
};

RB_HEAD(band_tree, band);

/* Scheduled tasks of one clock. */
struct due_band {
	struct broker *broker;
	bool wall;
	uint64_t n_spilled;
	size_t n_resident;
	size_t n_bytes;   /* of those */
	int64_t frontier; /* due_ms and id; counts while something is spilled */
	uint64_t frontier_id;
	int64_t spilled_from; /* due_ms and id; the first since the fetch */
	uint64_t spilled_from_id;
	bool fetching;
	unsigned missed;
	struct window_retry retry;
};

struct window {
	struct band_tree bands;
	TAILQ_HEAD(, band) spilled;
	size_t n_spilled_bands;
	struct due_band due[2]; /* [run_at_is_wall] */
	uint64_t n_expiring;    /* spilled ones that expire */
	int64_t next_expiry;    /* steady ms of the first of them, or earlier */
	int64_t spilled_expiry; /* the first that came since the fetch */
	bool fetching_expired;
	struct window_retry expired; /* of that */
	struct ev_timer timer;       /* for next_expiry, and for what failed */
	bool closed;                 /* no durable task comes in any more */
};

/* What the parts of the window share. */

/* Let the timer try soon what has failed, or was missed. */
void window_retry_soon(struct broker *b);

/*
 * A fetch has failed: let the timer try again.  True: it is the first of
 * several, and nobody has told so; that the store can't be written, it tells
 * itself.
 */
bool window_retry_later(struct broker *b, struct window_retry *r, int err);

/* At the timer: may it be made again? */
void window_retry_look(struct broker *b, struct window_retry *r);

/*
 * A fetch has brought n tasks: true when those that were counted are not on
 * the disk, and nothing is on its way there.
 */
bool window_is_drift(struct broker *b, unsigned *missed, size_t n);

/* Adopt t.  False: there is no memory for it, and it stays on the disk. */
bool window_take(struct broker *b, struct task *t);

/* What is left of `most`; never nothing. */
size_t window_room(size_t used, size_t most);

void window_init(struct broker *b);
void window_done(struct broker *b);

/* Take up what was found on the disk.  -ENOMEM. */
int window_load(struct broker *b, const struct store_found *found);

/*
 * t, which is resident, is ready and not parked, or is scheduled: true when it
 * may stay so, and is counted in; else it has to be spilled.
 */
bool window_admit(struct broker *b, struct task *t);

/* t, resident, is not what it was counted in as any more.  Safe to repeat. */
void window_leave(struct broker *b, struct task *t);

/* t, which was resident, is spilled now (+1), or is so no more (-1). */
void window_count(struct broker *b, const struct task *t, int by);

/* Too many are resident: spill the last ones.  Called at the end of a turn. */
void window_trim(struct broker *b);

/* Fetch what will be wanted; called at the end of a turn. */
void window_refill(struct broker *b);

/* Lanes are others now. */
void window_review(struct broker *b);

/*
 * Leave what waits to the disk, and fetch no more of it: for a stop, and for a
 * broker that hands over.  Open again undoes it.
 */
void window_close(struct broker *b);
void window_open(struct broker *b);

/* True when something is spilled that one of these shifts could run. */
bool window_has_work(const struct broker *b, shift_set set);

/* The same of what may be started: no queue that is paused, no name that is
 * held back. */
bool window_can_run(const struct broker *b, shift_set set);

#endif
