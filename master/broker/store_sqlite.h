/* SPDX-License-Identifier: ISC */
/*
 * store_sqlite.h - tasks in an SQLite database
 *
 * A thread of its own owns the connection.  What gathers while it commits goes
 * into its next commit, so the more there is to do, the more a commit keeps.
 */
#ifndef GANGER_BROKER_STORE_SQLITE_H
#define GANGER_BROKER_STORE_SQLITE_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "master/broker/store.h"

#define STORE_WHY_SIZE 256

struct store_sqlite_limits {
	int64_t result_ttl_ms; /* succeeded, cancelled and expired tasks */
	int64_t failed_ttl_ms; /* failed and quarantined ones */
	bool full_sync;        /* fsync each commit */
};

/* Tasks that wait, by what the broker keeps a window of. */
struct store_band {
	const char *queue, *kind; /* owned by the store_found */
	unsigned priority;
	uint64_t n;
};

/* What was in the database when it was opened. */
struct store_found {
	uint64_t last_id, last_seq; /* at least the highest given out */
	int64_t steady_ms;        /* what to add to the monotonic clock's ms */
	struct store_band *bands; /* owned; ready, not parked, by seq */
	size_t n_bands;
	struct store_band *parked; /* owned; ready, parked; priority unused */
	size_t n_parked;
	struct store_band *steady, *wall; /* owned; scheduled; kind NULL */
	size_t n_steady, n_wall;
	uint64_t n_expiring;        /* that wait and expire */
	uint64_t n_keyed, n_unique; /* that have not ended */
	char **paused;              /* owned; names of queues */
	size_t n_paused;
	char **queues, **kinds; /* owned; all names that tasks ever had */
	size_t n_queues, n_kinds;
	uint64_t n_recovered;  /* were running, and are ready again */
	uint64_t n_suspects;   /* of them: recovered too often, run alone now */
	uint64_t n_broken_off; /* were running at most once: failed now */
};

/*
 * Open the database at path, made if there is none, and start the thread;
 * outcomes are told on loop, which is borrowed.  Unless `resume`, tasks that
 * were running are recovered: the broker that ran them is gone.
 * The caller owns *found_out (store_found_done) and *out (store_free).
 * -errno, and why says what is wrong, for an operator: -EBADF: not a database
 * of ours; -EPROTO: of a newer version; -EUCLEAN: corrupt; -EROFS, -EACCES,
 * -ENOSPC, ...  The file is left as it was then.
 */
int store_sqlite_open(struct ev_loop *loop, const char *path, bool resume,
    const struct store_sqlite_limits *limits, const struct store_hooks *hooks,
    struct store_found *found_out, struct store **out,
    char why[STORE_WHY_SIZE]);

void store_found_done(struct store_found *found);

/* What holds from now on. */
void store_sqlite_set_limits(
    struct store *s, const struct store_sqlite_limits *limits);

/*
 * These, and all below them, are given out: they will not be found again as the
 * last ones, whatever happens.  What is put is noted without this.
 */
void store_sqlite_note_ids(struct store *s, uint64_t id, uint64_t seq);

#endif
