/* SPDX-License-Identifier: ISC */
/*
 * store_db.h - a connection to the database, its statements and its errors
 *
 * One thread uses it at a time: who opens it, and then the storage thread.
 * Errors are -errno; SQLite's codes stay below this.
 */
#ifndef GANGER_BROKER_STORE_DB_H
#define GANGER_BROKER_STORE_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ipc/clock.h"
#include "master/broker/store.h"
#include "master/broker/store_names.h"
#include "master/broker/store_reserve.h"
#include "master/broker/store_sql.h"

#define STORE_DB_WHY_SIZE 256

struct store_db {
	sqlite3 *db;                /* owned */
	sqlite3_stmt *stmts[SQL_N]; /* owned; made when first wanted */
	struct store_names queues, kinds, pools;
	int64_t steady_ms;            /* monotonic to steady time */
	uint64_t id_limit, seq_limit; /* none above them is in the database */
	uint64_t next_id_limit, next_seq_limit; /* of the open transaction */
	struct store_counts counts;             /* as after the last commit */
	struct store_counts next;               /* of the open transaction */
	int64_t due_ms;     /* when the first row's time to be kept is over, or
			       before; INT64_MAX: there is none */
	int64_t due_before; /* the same, as it was before the transaction */
	int64_t page_size;  /* 0: not known so far */
	int log_pages;      /* in the write-ahead log */
	int log_next;       /* at more than so many it is brought in */
	bool log_wanted;    /* it is to be brought in whatever it has: the room
			       that it takes is wanted */
	struct mono log_at; /* not before this is it tried again */
	struct store_reserve reserve;
	dev_t log_dev; /* its file; log_ino 0: not known */
	ino_t log_ino;
	char why[STORE_DB_WHY_SIZE];    /* the last error in words */
	char damage[STORE_DB_WHY_SIZE]; /* the first that says that the file is
					   damaged; empty: none has, so far.
					   Stays as it is. */
};

/* Open the file at path, which is there.  d is all zeroes. */
int store_db_open(struct store_db *d, const char *path);

/* Set what this version wants; the schema is there. */
int store_db_set_up(struct store_db *d, bool full_sync);
int store_db_set_sync(struct store_db *d, bool full_sync);

/*
 * NULL-safe in its parts.  Without `checkpoint` the files stay as they are;
 * else what is in the log goes to the database, if nobody else has it open.
 */
void store_db_close(struct store_db *d, bool checkpoint);

/*
 * Note which files these are, once something was written; and later: true when
 * others, or none, are where they were.
 */
void store_db_note_files(struct store_db *d);
bool store_db_has_moved(const struct store_db *d);

/*
 * Bring the log into the database as far as readers let it: its room is used
 * again then.  0: all of it; -EBUSY: a part; or why not.
 */
int store_db_checkpoint(struct store_db *d);

/* The statement, reset and free of values; NULL: d->why says why not. */
sqlite3_stmt *store_db_stmt(struct store_db *d, enum store_sql sql);

/* 1: a row is there; 0: done; -errno.  After the last two it is reset. */
int store_db_step(struct store_db *d, sqlite3_stmt *st);

/* Carry out a statement whose rows don't matter. */
int store_db_run(struct store_db *d, sqlite3_stmt *st);
int store_db_exec(struct store_db *d, const char *sql);

/* A statement that is used once: the caller finalizes it, NULL on errors. */
int store_db_prepare(struct store_db *d, const char *sql, sqlite3_stmt **out);

/* The one number that a statement yields; none: -ENOENT. */
int store_db_number(struct store_db *d, sqlite3_stmt *st, int64_t *out);
int store_db_pragma(struct store_db *d, const char *sql, int64_t *out);

/* How many rows a `SELECT count(*)` finds. */
int store_db_count(struct store_db *d, const char *sql, uint64_t *out);

int store_db_begin(struct store_db *d);
/* On an error all is rolled back. */
int store_db_commit(struct store_db *d);
void store_db_rollback(struct store_db *d);

/* The path of the file, borrowed. */
const char *store_db_path(const struct store_db *d);

/* Is it for want of room that a call has failed? */
bool store_db_is_full(int err);

/* What the last call's error means; d->why is set. */
int store_db_error(struct store_db *d);

/* Steady ms now. */
int64_t store_db_now(const struct store_db *d);

#endif
