/* SPDX-License-Identifier: ISC */
/*
 * catalog.h - the queues, and which pool can run what from which queue
 *
 * A task of one name in one queue can go to the pools that know the name and
 * take from the queue.  Tasks of a queue that can go to the same pools wait in
 * one lane; a queue that one pool serves has a single lane.
 */
#ifndef GANGER_BROKER_CATALOG_H
#define GANGER_BROKER_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "ipc/buf.h"
#include "master/broker/ready.h"
#include "master/broker/settings.h"

/* A set of pools, bit i for settings.pools[i]. */
typedef uint64_t crew_set;

/* A task's name. */
struct kind {
	const char *name;  /* borrowed from the settings */
	crew_set crews;    /* pools that know it */
	crew_set commands; /* those in which it is a command */
};

struct lane {
	struct queue *queue;
	crew_set crews; /* pools that can run what is here; never empty */
	struct ready ready;
	SLIST_ENTRY(lane) entry;
};

struct queue_counts {
	uint64_t ready, scheduled, running;    /* now */
	uint64_t succeeded, failed, cancelled; /* since the broker's start */
	uint64_t expired;
};

struct queue {
	const struct broker_queue_settings *settings; /* borrowed */
	crew_set crews; /* pools that take from it */
	SLIST_HEAD(, lane) lanes;
	struct queue_counts count;
};

struct catalog {
	struct queue *queues; /* in the settings' order */
	size_t n_queues;
	struct kind *kinds; /* sorted by name */
	size_t n_kinds;
};

/* -ENOMEM. */
int catalog_init(struct catalog *c, const struct broker_settings *s);
void catalog_done(struct catalog *c);

struct kind *catalog_find_kind(const struct catalog *c, const char *name);
struct queue *catalog_find_queue(const struct catalog *c, const char *name);

/*
 * The queue for a task that names none: "default" if a pool that knows the
 * kind takes from it, else the first that such a pool takes from.
 */
struct queue *catalog_usual_queue(
    const struct catalog *c, const struct kind *kind);

/*
 * The lane for a kind in a queue, made when it is the first of its set of
 * pools.  -ENOENT: no pool runs this kind from this queue.  -ENOMEM.
 */
int catalog_lane(struct queue *q, const struct kind *kind, struct lane **out);

/* The next task of queue q that pool `crew` can run, or NULL. */
struct task *queue_peek(const struct queue *q, unsigned crew);

/* Append the names that exist, as a JSON array, at most `most` of them. */
void catalog_add_kinds(const struct catalog *c, size_t most, struct buf *out);

#endif
