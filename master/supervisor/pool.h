/* SPDX-License-Identifier: ISC */
/*
 * pool.h - the workers of one pool: how many there should be, and which
 *
 * Everything that changes what a pool should be (its size, its configuration,
 * a worker that wants replacing) sets a field and calls pool_adjust, which
 * starts and retires what makes the pool so, a quarter of it at a time, and
 * never lets a worker go before its successor has said hello.
 */
#ifndef GANGER_SUPERVISOR_POOL_H
#define GANGER_SUPERVISOR_POOL_H

#include <stdbool.h>

#include <bsd/sys/queue.h>

#include "master/supervisor/config.h"
#include "master/supervisor/scale.h"
#include "master/supervisor/slot.h"

#define POOL_PROCESSES_MAX 1024

struct pool {
	struct supervisor *supervisor; /* borrowed */
	char *name;                    /* owned */
	/* Borrowed from supervisor->config; NULL: it is in there no more, and
	 * its workers go when the broker lets them. */
	const struct config_pool *config;
	int64_t heartbeat_timeout_ms; /* of the last config; 0: none */
	struct slot_list slots;       /* owned */
	unsigned n_wanted;            /* processes; 0: it was never in use */
	unsigned generation;          /* workers of an older one are replaced */
	bool flapping;                /* none of its workers stays up */
	bool rolling;                 /* some are to be replaced */
	bool asked;    /* by a client, who wants to know how it goes */
	char *failure; /* owned; why the roll is given up, or NULL */
	struct ev_timer give_up;
	struct scale scale; /* valid when the config lets it follow load */
	struct ev_timer rescale;
	TAILQ_ENTRY(pool) entry; /* of supervisor->pools */
};

TAILQ_HEAD(pool_list, pool);

/* Add a pool without slots.  NULL: out of memory. */
struct pool *pool_add(struct supervisor *sv, const struct config_pool *config);

/* Add one by its name only, as one that is leaving. */
struct pool *pool_add_named(struct supervisor *sv, const char *name);

/* Remove it with its slots, none of which has a process. */
void pool_remove(struct pool *p);

struct pool *pool_find(struct supervisor *sv, const char *name);

/* The pool that TTIN and TTOU mean: "default", or the first; or NULL. */
struct pool *pool_default(struct supervisor *sv);

/* The slot whose process has that pid, or NULL. */
struct slot *pool_find_worker(struct supervisor *sv, pid_t pid);

/* Add a slot without a process.  NULL: out of memory. */
struct slot *pool_add_slot(struct pool *p, unsigned number);

/* Remove a slot without a process. */
void pool_remove_slot(struct slot *s);

/* Remove a pool that is configured no more, with its last slot. */
void pool_remove_if_gone(struct pool *p);

/* Take on the configuration and what follows from it: its size. */
void pool_configure(struct pool *p, const struct config_pool *config);

/* Make the pool what it should be, as far as that can be done by now. */
void pool_adjust(struct pool *p);
void pool_adjust_all(struct supervisor *sv);

/* An operator wants n processes: as near to it as the pool's bounds allow. */
void pool_resize(struct pool *p, long n, const char *why);

/* Want n processes, for the reason why. */
void pool_set_wanted(struct pool *p, unsigned n, const char *why);

/* Replace all of its workers. */
void pool_roll(struct pool *p);

/* A reload has come: its roll is one that is not given up. */
void pool_forget_asked(struct pool *p);

/*
 * A successor does not come up.  The roll is given up soon if a client asked
 * for it; one that follows from a reload is tried on.
 */
void pool_fail_roll(struct pool *p, const char *why);

/* Let go of a worker when it has done what it does. */
void pool_retire(struct slot *s);

/* The successor of s that has not said hello, or NULL. */
struct slot *pool_successor(const struct slot *s);

/* A worker came up, died or was replaced: say so where it matters. */
void pool_tell_state(struct pool *p);

unsigned pool_count_processes(const struct supervisor *sv);

#endif
