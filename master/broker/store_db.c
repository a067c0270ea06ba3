/* SPDX-License-Identifier: ISC */
/*
 * store_db.c - a connection to the database, its statements and its errors
 *
 * Runs in the thread that opens the store, and then in the storage thread.
 */
#include "master/broker/store_db.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "ipc/clock.h"

/* How long another process may write until that counts as a failure. */
#define BUSY_MS 5000

/*
 * What is cached of the database.  The system caches it as well, so this needs
 * to hold the upper pages and what one commit touches.
 */
#define SET_UP \
	"PRAGMA cache_size = -8192;" \
	"PRAGMA temp_store = MEMORY;" \
	"PRAGMA foreign_keys = OFF;" \
	"PRAGMA journal_size_limit = 33554432;"

static int
code_to_errno(int code, int system)
{
	switch (code & 0xff) {
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_CORRUPT:
		return -EUCLEAN;
	case SQLITE_NOTADB:
		return -EBADF;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_TOOBIG:
		return -E2BIG;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	default:
		return code == SQLITE_IOERR_NOMEM ? -ENOMEM : -system;
	}
}

/*
 * What the system said, which SQLite tells of a few calls only: errno, if it
 * is an answer to what one does to a file.
 */
static int
system_error(int err)
{
	switch (err) {
	case EACCES:
	case EDQUOT:
	case EFBIG:
	case EMFILE:
	case ENFILE:
	case ENOSPC:
	case EPERM:
	case EROFS:
		return err;
	default:
		return EIO;
	}
}

/* Is the file to blame, and not what the system did with it? */
static bool
is_damage(int err)
{
	return err == -EUCLEAN || err == -EBADF;
}

static void
set_damage(struct store_db *d, int err)
{
	/* SQLite takes a read that has failed for damage, too. */
	snprintf(d->why, sizeof(d->why),
	    "the database is damaged (%s%s): ganger-store(5) tells what to do",
	    sqlite3_errmsg(d->db), err == EIO ? ", Input/output error" : "");
	if (d->damage[0] == '\0')
		memcpy(d->damage, d->why, sizeof(d->damage));
}

int
store_db_error(struct store_db *d)
{
	int err = errno, system = system_error(err);
	int code, r;

	if (d->db == NULL) {
		snprintf(d->why, sizeof(d->why), "out of memory");
		return -ENOMEM;
	}
	code = sqlite3_extended_errcode(d->db);
	r = code_to_errno(code, system);
	if (is_damage(r))
		set_damage(d, err);
	/* What is no matter of the system's, SQLite says all of. */
	else if (r == -system && (code & 0xff) != SQLITE_ERROR)
		snprintf(d->why, sizeof(d->why), "%s: %s",
		    sqlite3_errmsg(d->db), strerror(system));
	else
		snprintf(d->why, sizeof(d->why), "%s", sqlite3_errmsg(d->db));
	return r;
}

int
store_db_open(struct store_db *d, const char *path)
{
	int code;

	errno = 0;
	code = sqlite3_open_v2(
	    path, &d->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (code != SQLITE_OK)
		return store_db_error(d);
	sqlite3_extended_result_codes(d->db, 1);
	sqlite3_busy_timeout(d->db, BUSY_MS);
	if (sqlite3_db_readonly(d->db, "main") == 1) {
		snprintf(d->why, sizeof(d->why), "it can't be written to");
		return -EROFS;
	}
	d->due_ms = INT64_MAX;
	return 0;
}

int
store_db_set_sync(struct store_db *d, bool full_sync)
{
	return store_db_exec(d, full_sync ? "PRAGMA synchronous = FULL"
					  : "PRAGMA synchronous = NORMAL");
}

static int
on_log(void *arg, sqlite3 *db, const char *name, int n_pages)
{
	struct store_db *d = arg;

	(void)db;
	(void)name;
	d->log_pages = n_pages;
	return SQLITE_OK;
}

int
store_db_set_up(struct store_db *d, bool full_sync)
{
	int r;

	r = store_db_exec(d, SET_UP);
	/* This takes the place of SQLite's own checkpoints. */
	(void)sqlite3_wal_hook(d->db, on_log, d);
	return r < 0 ? r : store_db_set_sync(d, full_sync);
}

void
store_db_close(struct store_db *d, bool checkpoint)
{
	size_t i;

	for (i = 0; i < SQL_N; i++) {
		sqlite3_finalize(d->stmts[i]);
		d->stmts[i] = NULL;
	}
	if (d->db != NULL) {
		sqlite3_db_config(d->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE,
		    checkpoint ? 0 : 1, NULL);
		sqlite3_close(d->db);
		d->db = NULL;
	}
	store_names_done(&d->queues);
	store_names_done(&d->kinds);
	store_names_done(&d->pools);
}

/* 0, or -errno. */
static int
look_at_log(const struct store_db *d, struct stat *out)
{
	const char *path =
	    sqlite3_filename_wal(sqlite3_db_filename(d->db, "main"));

	return path == NULL ? -EINVAL : stat(path, out) < 0 ? -errno : 0;
}

void
store_db_note_files(struct store_db *d)
{
	struct stat st;

	if (look_at_log(d, &st) < 0)
		return;
	d->log_dev = st.st_dev;
	d->log_ino = st.st_ino;
}

bool
store_db_has_moved(const struct store_db *d)
{
	struct stat st;
	int moved = 0, r;

	(void)sqlite3_file_control(
	    d->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
	if (moved != 0 || d->log_ino == 0)
		return moved != 0;
	r = look_at_log(d, &st);
	return r == -ENOENT ||
	       (r == 0 && (st.st_dev != d->log_dev || st.st_ino != d->log_ino));
}

int
store_db_checkpoint(struct store_db *d)
{
	int n = 0, n_done = 0;

	errno = 0;
	if (sqlite3_wal_checkpoint_v2(d->db, NULL, SQLITE_CHECKPOINT_PASSIVE,
		&n, &n_done) != SQLITE_OK)
		return store_db_error(d);
	return n_done < n ? -EBUSY : 0;
}

sqlite3_stmt *
store_db_stmt(struct store_db *d, enum store_sql sql)
{
	sqlite3_stmt **st = &d->stmts[sql];

	if (*st != NULL) {
		/* An error of its last use was told then. */
		(void)sqlite3_reset(*st);
		return *st;
	}
	if (sqlite3_prepare_v3(d->db, store_sql_text(sql), -1,
		SQLITE_PREPARE_PERSISTENT, st, NULL) != SQLITE_OK) {
		(void)store_db_error(d);
		*st = NULL;
	}
	return *st;
}

int
store_db_step(struct store_db *d, sqlite3_stmt *st)
{
	int code, r;

	errno = 0;
	code = sqlite3_step(st);
	if (code == SQLITE_ROW)
		return 1;
	r = code == SQLITE_DONE ? 0 : store_db_error(d);
	(void)sqlite3_reset(st);
	return r;
}

int
store_db_run(struct store_db *d, sqlite3_stmt *st)
{
	int r;

	if (st == NULL)
		return store_db_error(d);
	do {
		r = store_db_step(d, st);
	} while (r > 0);
	return r;
}

int
store_db_exec(struct store_db *d, const char *sql)
{
	errno = 0;
	if (sqlite3_exec(d->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return store_db_error(d);
	return 0;
}

int
store_db_number(struct store_db *d, sqlite3_stmt *st, int64_t *out)
{
	int r;

	if (st == NULL)
		return store_db_error(d);
	r = store_db_step(d, st);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	if (sqlite3_column_type(st, 0) == SQLITE_NULL)
		r = -ENOENT;
	else
		*out = sqlite3_column_int64(st, 0);
	(void)sqlite3_reset(st);
	return r < 0 ? r : 0;
}

int
store_db_prepare(struct store_db *d, const char *sql, sqlite3_stmt **out)
{
	if (sqlite3_prepare_v2(d->db, sql, -1, out, NULL) != SQLITE_OK)
		return store_db_error(d);
	return 0;
}

int
store_db_pragma(struct store_db *d, const char *sql, int64_t *out)
{
	sqlite3_stmt *st;
	int r;

	r = store_db_prepare(d, sql, &st);
	if (r < 0)
		return r;
	r = store_db_number(d, st, out);
	sqlite3_finalize(st);
	return r;
}

int
store_db_count(struct store_db *d, const char *sql, uint64_t *out)
{
	int64_t n = 0;
	int r;

	r = store_db_pragma(d, sql, &n);
	if (r == 0)
		*out = (uint64_t)n;
	return r;
}

int
store_db_begin(struct store_db *d)
{
	/* Not even the last rollback may have worked. */
	if (!sqlite3_get_autocommit(d->db))
		store_db_rollback(d);
	d->due_before = d->due_ms;
	d->next = d->counts;
	d->next_id_limit = d->id_limit;
	d->next_seq_limit = d->seq_limit;
	return store_db_run(d, store_db_stmt(d, SQL_BEGIN));
}

int
store_db_commit(struct store_db *d)
{
	int r;

	r = store_db_run(d, store_db_stmt(d, SQL_COMMIT));
	if (r < 0) {
		store_db_rollback(d);
		return r;
	}
	d->counts = d->next;
	d->counts.commits++;
	d->id_limit = d->next_id_limit;
	d->seq_limit = d->next_seq_limit;
	store_names_keep(&d->queues);
	store_names_keep(&d->kinds);
	store_names_keep(&d->pools);
	return 0;
}

void
store_db_rollback(struct store_db *d)
{
	char why[sizeof(d->why)];

	memcpy(why, d->why, sizeof(why));
	/* Some errors have rolled it back already. */
	if (!sqlite3_get_autocommit(d->db))
		(void)store_db_run(d, store_db_stmt(d, SQL_ROLLBACK));
	memcpy(d->why, why, sizeof(why));
	/* What was dropped is there again. */
	if (d->due_before < d->due_ms)
		d->due_ms = d->due_before;
	store_names_drop(&d->queues);
	store_names_drop(&d->kinds);
	store_names_drop(&d->pools);
}

const char *
store_db_path(const struct store_db *d)
{
	return sqlite3_db_filename(d->db, "main");
}

bool
store_db_is_full(int err)
{
	return err == -ENOSPC || err == -EDQUOT || err == -EFBIG;
}

int64_t
store_db_now(const struct store_db *d)
{
	return mono_now().ns / 1000000 + d->steady_ms;
}
