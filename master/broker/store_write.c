/* SPDX-License-Identifier: ISC */
/*
 * store_write.c - carry out what a batch writes
 *
 * Ids and places in order are noted in the database in steps, ahead of their
 * use: who opens it after a death goes on above the note, and so gives out none
 * twice, whatever has been deleted since.
 *
 * Runs in the storage thread.
 */
#include "master/broker/store_write.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "master/broker/store_row.h"
#include "master/broker/store_tidy.h"

int
store_meta_get(struct store_db *d, const char *name, int64_t *out)
{
	sqlite3_stmt *st = store_db_stmt(d, SQL_GET_META);

	if (st != NULL)
		(void)sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
	return store_db_number(d, st, out);
}

int
store_meta_set(struct store_db *d, const char *name, int64_t value)
{
	sqlite3_stmt *st = store_db_stmt(d, SQL_SET_META);

	if (st == NULL)
		return store_db_error(d);
	(void)sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(st, 2, value);
	return store_db_run(d, st);
}

/* Note that all up to `last` is given out, and some more unless `exact`. */
static int
note_limit(struct store_db *d, const char *name, uint64_t last, bool exact,
    uint64_t *limit)
{
	if (exact ? last == *limit : !store_limit_is_near(last, *limit))
		return 0;
	*limit = exact ? last : last + STORE_LIMIT_STEP;
	return store_meta_set(d, name, (int64_t)*limit);
}

static int
note_limits(struct store_db *d, const struct store_batch *b)
{
	int r;

	r = note_limit(d, "last_id", b->last_id, b->exact, &d->next_id_limit);
	if (r < 0)
		return r;
	return note_limit(
	    d, "last_seq", b->last_seq, b->exact, &d->next_seq_limit);
}

static int
write_pause(struct store_db *d, const struct store_pause_news *p)
{
	sqlite3_stmt *st;
	int64_t id;
	int r;

	r = store_row_name(d, &d->queues, "queue", p->queue, &id);
	if (r < 0)
		return r;
	st = store_db_stmt(d, SQL_PAUSE);
	if (st == NULL)
		return store_db_error(d);
	(void)sqlite3_bind_int64(st, 1, id);
	(void)sqlite3_bind_int(st, 2, p->paused);
	return store_db_run(d, st);
}

static int
write_all(struct store_db *d, struct store_batch *b)
{
	struct store_pause_news *p;
	size_t i;
	int r;

	r = note_limits(d, b);
	/* Where there is room for next to nothing it would fail again at once.
	 */
	if (r == 0 && b->probe)
		r = store_db_run(d, store_db_stmt(d, SQL_PROBE));
	for (i = 0; r == 0 && i < b->n_rows; i++)
		r = store_row_write(d, &b->rows[i]);
	STAILQ_FOREACH(p, &b->pauses, entry) {
		if (r == 0)
			r = write_pause(d, p);
	}
	/* What is over goes along with what is written anyway. */
	if (r == 0)
		r = store_tidy_along(d, b->n_rows);
	return r;
}

int
store_write_measure(struct store_db *d)
{
	int64_t pages = 0, free_pages = 0;
	int r = 0;

	if (d->page_size == 0)
		r = store_db_pragma(d, "PRAGMA page_size", &d->page_size);
	if (r == 0)
		r = store_db_number(d, store_db_stmt(d, SQL_PAGES), &pages);
	if (r == 0)
		r = store_db_number(
		    d, store_db_stmt(d, SQL_FREE_PAGES), &free_pages);
	if (r < 0)
		return r;
	d->counts.file_bytes = (uint64_t)(d->page_size * pages);
	d->counts.free_bytes = (uint64_t)(d->page_size * free_pages);
	return 0;
}

static bool
has_nothing(const struct store_db *d, const struct store_batch *b)
{
	if (b->probe || b->n_rows > 0 || !STAILQ_EMPTY(&b->pauses))
		return false;
	if (b->exact)
		return b->last_id == d->id_limit && b->last_seq == d->seq_limit;
	return !store_limit_is_near(b->last_id, d->id_limit) &&
	       !store_limit_is_near(b->last_seq, d->seq_limit);
}

/* What is written to a file that has no name any more is kept for nobody. */
static int
check_files(struct store_db *d)
{
	if (!store_db_has_moved(d))
		return 0;
	snprintf(d->why, sizeof(d->why),
	    "the database was deleted, moved or replaced while it was in use: "
	    "put back its files, or start gangerd anew");
	return -ESTALE;
}

/* What a start in need has left of its reserve is for the next one. */
static int
check_reserve(struct store_db *d, const struct store_batch *b)
{
	if (!d->reserve.spent || b->exact ||
	    store_reserve_keep(&d->reserve, store_db_path(d)))
		return 0;
	snprintf(d->why, sizeof(d->why),
	    "the disk is full: the room that was kept for a start is used up, "
	    "and less than %u MB are free",
	    2 * STORE_RESERVE_SIZE >> 20);
	return -ENOSPC;
}

static int
write_in_one(struct store_db *d, struct store_batch *b)
{
	int r;

	r = store_db_begin(d);
	if (r < 0)
		return r;
	r = write_all(d, b);
	if (r == 0)
		return store_db_commit(d);
	store_db_rollback(d);
	return r;
}

void
store_write(struct store_db *d, struct store_batch *b)
{
	int r;

	if (b->sync >= 0)
		(void)store_db_set_sync(d, b->sync == 1);
	if (b->err < 0 || b->only_reads ||
	    (has_nothing(d, b) && !d->reserve.spent))
		return;
	d->why[0] = '\0';
	r = check_files(d);
	if (r == 0)
		r = check_reserve(d, b);
	if (r == 0)
		r = write_in_one(d, b);
	/* The log goes with its last user, and leaves room for a start. */
	if (b->exact && store_reserve_give_up(&d->reserve, store_db_path(d), r))
		r = write_in_one(d, b);
	b->wrote = r == 0;
	if (r < 0) {
		/* A log that has grown may be what fills the disk. */
		d->log_wanted = true;
		b->err = r;
		snprintf(b->why, sizeof(b->why), "%s",
		    d->why[0] == '\0' ? strerror(-r) : d->why);
	}
}
