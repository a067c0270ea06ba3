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

struct store_sqlite_limits {
	int64_t result_ttl_ms; /* succeeded, cancelled and expired tasks */
	int64_t failed_ttl_ms; /* failed and quarantined ones */
	bool full_sync;        /* fsync each commit */
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

/* What holds from now on. */
void store_sqlite_set_limits(
    struct store *s, const struct store_sqlite_limits *limits);

/*
 * These, and all below them, are given out: they will not be found again as the
 * last ones, whatever happens.  What is put is noted without this.
 */
void store_sqlite_note_ids(struct store *s, uint64_t id, uint64_t seq);

#endif
