/* SPDX-License-Identifier: ISC */
/*
 * store_tidy.c - let go of what is over: rows, space, the write-ahead log
 *
 * Under load the rows go in the transactions that others come in, so that they
 * cost no commit of their own.  Runs in the storage thread.
 */
#include "master/broker/store_tidy.h"

#include <errno.h>

#include "ipc/clock.h"
#include "master/broker/store_row.h"
#include "master/broker/store_write.h"

#define CHUNK         64         /* rows of one statement */
#define STEP_MS       4          /* a commit waits for a step */
#define FREE_MIN      (4U << 20) /* bytes: so much is kept for later */
#define LOG_PAGES_MAX 2000       /* a commit waits for a checkpoint, too */
#define LOG_AGAIN_MS  1000       /* after one that a reader has held up, ... */
#define LOG_PART      10         /* ... which take this part of the time */

/* Drop up to n rows.  *n_out: how many that were. */
static int
drop_rows(struct store_db *d, int64_t now, int n, int *n_out)
{
	int64_t ids[CHUNK];
	bool big[CHUNK];
	sqlite3_stmt *st;
	int i, n_ids = 0, r;

	st = store_db_stmt(d, SQL_SPENT);
	if (st == NULL)
		return store_db_error(d);
	(void)sqlite3_bind_int64(st, 1, now);
	(void)sqlite3_bind_int(st, 2, n < CHUNK ? n : CHUNK);
	while ((r = store_db_step(d, st)) > 0) {
		ids[n_ids] = sqlite3_column_int64(st, 0);
		big[n_ids++] = sqlite3_column_int(st, 1) != 0;
	}
	for (i = 0; r >= 0 && i < n_ids; i++)
		r = store_row_delete(d, ids[i], big[i]);
	if (r < 0)
		return r;
	d->next.n_tasks -= (uint64_t)n_ids;
	d->next.n_ended -= (uint64_t)n_ids;
	*n_out = n_ids;
	return 0;
}

static int
drop_keys(struct store_db *d, int64_t now, int n, int *n_out)
{
	sqlite3_stmt *st = store_db_stmt(d, SQL_DELETE_SPENT_IDEMPOTENCY);
	int r;

	if (st == NULL)
		return store_db_error(d);
	(void)sqlite3_bind_int64(st, 1, now);
	(void)sqlite3_bind_int(st, 2, n < CHUNK ? n : CHUNK);
	r = store_db_run(d, st);
	if (r < 0)
		return r;
	*n_out = sqlite3_changes(d->db);
	return 0;
}

/* When is the next one over? */
static int
look_ahead(struct store_db *d)
{
	int64_t task = INT64_MAX, key = INT64_MAX;
	int r;

	r = store_db_number(d, store_db_stmt(d, SQL_NEXT_UNTIL), &task);
	if (r < 0 && r != -ENOENT)
		return r;
	r = store_db_number(d, store_db_stmt(d, SQL_NEXT_IDEMPOTENCY), &key);
	if (r < 0 && r != -ENOENT)
		return r;
	d->due_ms = task < key ? task : key;
	return 0;
}

/* One round of both; *more_out: there may be more. */
static int
drop(struct store_db *d, int64_t now, int n, bool *more_out)
{
	int n_keys = 0, n_rows = 0, r;

	r = drop_rows(d, now, n, &n_rows);
	if (r == 0)
		r = drop_keys(d, now, n, &n_keys);
	if (r < 0)
		return r;
	*more_out = n_rows == CHUNK || n_keys == CHUNK;
	return *more_out ? 0 : look_ahead(d);
}

int
store_tidy_along(struct store_db *d, size_t n)
{
	int64_t now = store_db_now(d);
	bool more = true;
	size_t done;
	int r;

	for (done = 0; more && done <= n && d->due_ms <= now; done += CHUNK) {
		r = drop(d, now, CHUNK, &more);
		if (r < 0)
			return r;
	}
	return 0;
}

static int
drop_for_a_while(struct store_db *d, struct mono until, bool *more_out)
{
	int64_t now = store_db_now(d);
	int r;

	*more_out = d->due_ms <= now;
	if (!*more_out)
		return 0;
	r = store_db_begin(d);
	if (r < 0)
		return r;
	while (*more_out && !mono_reached(mono_now(), until)) {
		r = drop(d, now, CHUNK, more_out);
		if (r < 0) {
			store_db_rollback(d);
			return r;
		}
	}
	return store_db_commit(d);
}

bool
store_tidy_is_roomy(const struct store_db *d)
{
	const struct store_counts *c = &d->counts;

	return c->free_bytes > FREE_MIN && c->free_bytes > c->file_bytes / 4;
}

static int
shrink_for_a_while(struct store_db *d, struct mono until, bool *more_out)
{
	uint64_t before = UINT64_MAX;
	int r;

	for (;;) {
		r = store_write_measure(d);
		if (r < 0)
			return r;
		/* A file that somebody has made anew may not shrink at all. */
		*more_out =
		    store_tidy_is_roomy(d) && d->counts.free_bytes < before;
		if (!*more_out || mono_reached(mono_now(), until))
			return 0;
		before = d->counts.free_bytes;
		r = store_db_run(d, store_db_stmt(d, SQL_VACUUM));
		if (r < 0)
			return r;
	}
}

int
store_tidy_step(struct store_db *d)
{
	struct mono until = mono_add_ms(mono_now(), STEP_MS);
	bool rows = false, space = false;
	int r;

	r = drop_for_a_while(d, until, &rows);
	if (r == 0)
		r = shrink_for_a_while(d, until, &space);
	return r < 0 ? r : rows || space;
}

void
store_tidy_log(struct store_db *d)
{
	struct mono start = mono_now();
	int64_t ms;

	if (d->log_pages <= LOG_PAGES_MAX)
		d->log_next = LOG_PAGES_MAX;
	if (!d->log_wanted &&
	    (d->log_pages <= d->log_next || !mono_reached(start, d->log_at)))
		return;
	d->log_wanted = false;
	if (store_db_checkpoint(d) == 0) {
		/* Readers that come and go may keep it from beginning anew. */
		d->log_next = d->log_pages + LOG_PAGES_MAX;
		return;
	}
	/* A reader may hold it up: not every commit is to try in vain then. */
	ms = LOG_PART * mono_until_ms(start, mono_now());
	d->log_at =
	    mono_add_ms(mono_now(), ms < LOG_AGAIN_MS ? LOG_AGAIN_MS : ms);
}
