/* SPDX-License-Identifier: ISC */
/*
 * store_world.h - a store with a database in a folder of its own, and what its
 * callbacks have told
 */
#ifndef GANGER_TESTS_LIB_STORE_WORLD_H
#define GANGER_TESTS_LIB_STORE_WORLD_H

#include <ev.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "master/broker/catalog.h"
#include "master/broker/crew.h"
#include "master/broker/store.h"
#include "master/broker/store_sqlite.h"

#define STORE_WORLD_LOG 4096

struct store_world {
	char dir[PATH_MAX], path[PATH_MAX];
	struct ev_loop *loop;
	struct store *store;
	struct store_sqlite_limits limits;
	struct store_found found;
	char why[STORE_WHY_SIZE];
	struct queue queues[2]; /* "q0", "q1" */
	struct kind kinds[2];   /* "k0", "k1" */
	struct crew crew;       /* "pool" */
	/* One word for each callback: "E7" ended, "F7:-28" put failed,
	 * "B:0" barrier, "H:-28" health, "G7", "L:1,2;9" ... */
	char log[STORE_WORLD_LOG];
	unsigned n_told;
	struct task *got;       /* of the last get; a reference, or NULL */
	struct task *items[64]; /* of the last list or fetch; the same */
	size_t n_items;
	uint64_t cursor;
	int err;
	uint64_t found_id;
	int found_state;
};

/* A folder below $TMPDIR, or `under`; nothing is opened. */
void store_world_init(struct store_world *w, const char *under);
void store_world_done(struct store_world *w);

/* 0 or -errno, as store_sqlite_open. */
int store_world_open(struct store_world *w, bool resume);
void store_world_close(struct store_world *w);

/* A ready task of queue 0 and kind 0 with these arguments (copied). */
struct task *store_world_task(
    struct store_world *w, uint64_t id, const char *args);

/* Flush, and run the loop until n more calls or hooks have told. */
void store_world_run(struct store_world *w, unsigned n);

/* The same until the store is idle. */
void store_world_settle(struct store_world *w);

void store_world_barrier(struct store_world *w);
/* Carry it out to the end; the outcome is in w. */
void store_world_get(struct store_world *w, uint64_t id);
void store_world_fetch(struct store_world *w, const struct store_range *r);
void store_world_list(struct store_world *w, const struct store_filter *f);
void store_world_find(
    struct store_world *w, enum store_what what, const char *text);

/* Let t go through it: start, and end with a result. */
void store_world_start(struct store_world *w, struct task *t);
void store_world_succeed(
    struct store_world *w, struct task *t, const char *result);

#endif
