/* SPDX-License-Identifier: ISC */
/*
 * store_open.c - open a database that may be new, old, foreign or broken
 *
 * SQLite is not let near a file before its head says that it is ours, for just
 * by opening it may change one.  What the head can't say is found out later:
 * then the connection is closed without writing to the file.
 */
#include "master/broker/store_open.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "master/broker/store_schema.h"

/* The head of an SQLite file: its magic, and big-endian numbers at these. */
#define HEAD_SIZE       100
#define AT_USER_VERSION 60
#define AT_APPLICATION  68
static const char magic[16] = "SQLite format 3";

static int __attribute__((format(printf, 3, 4)))
refuse(char *why, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, STORE_WHY_SIZE, fmt, ap);
	va_end(ap);
	return err;
}

static int
refuse_errno(char *why, const char *path, int err)
{
	return refuse(why, err, "%s: %s", path, strerror(-err));
}

static uint32_t
number_at(const unsigned char *head, size_t at)
{
	return (uint32_t)head[at] << 24 | (uint32_t)head[at + 1] << 16 |
	       (uint32_t)head[at + 2] << 8 | head[at + 3];
}

static int
check_version(const char *path, int64_t version, char *why)
{
	if (version <= STORE_VERSION)
		return 0;
	return refuse(why, -EPROTO,
	    "%s: its tables are of version %lld, and this gangerd knows %d at "
	    "most: use the newer gangerd that has written it",
	    path, (long long)version, STORE_VERSION);
}

static int
check_head(const char *path, const unsigned char *head, ssize_t n, char *why)
{
	if ((size_t)n < HEAD_SIZE || memcmp(head, magic, sizeof(magic)) != 0)
		return refuse(why, -EBADF,
		    "%s: this is not a database: move it away, or put back a "
		    "copy of the one that was here",
		    path);
	if (number_at(head, AT_APPLICATION) != STORE_APPLICATION_ID)
		return refuse(why, -EBADF,
		    "%s: this is another program's database: it is left alone",
		    path);
	return check_version(path, number_at(head, AT_USER_VERSION), why);
}

/* Is there a log of a database that is not there itself? */
static bool
has_orphan(const char *path)
{
	char log[PATH_MAX];
	struct stat st;

	snprintf(log, sizeof(log), "%s-wal", path);
	return stat(log, &st) == 0 && st.st_size > 0;
}

static int
create(const char *path, char *why)
{
	char words[STORE_DB_WHY_SIZE] = "";
	int r;

	/* SQLite would take it for the new database's. */
	if (has_orphan(path))
		return refuse(why, -EUCLEAN,
		    "%s: it is missing or empty, but its log %s-wal is there: "
		    "put the database back, or move the log away",
		    path, path);
	r = store_schema_create(path, words);
	if (r < 0)
		return refuse(why, r, "%s: can't make the database: %s", path,
		    words[0] == '\0' ? strerror(-r) : words);
	return 0;
}

/* See that there is a file which may be ours. */
static int
prepare(const char *path, char *why)
{
	unsigned char head[HEAD_SIZE];
	struct stat st;
	ssize_t n;
	int fd, r;

	fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 && errno == ENOENT)
		return create(path, why);
	if (fd < 0)
		return refuse_errno(why, path, -errno);
	r = fstat(fd, &st) < 0 ? -errno : 0;
	do {
		n = r < 0 ? 0 : pread(fd, head, sizeof(head), 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		r = -errno;
	/* No lock of SQLite's is held yet that this would let go of. */
	close(fd);
	if (r < 0)
		return refuse_errno(why, path, r);
	if (!S_ISREG(st.st_mode))
		return refuse(
		    why, -EBADF, "%s: this is not a regular file", path);
	return st.st_size == 0 ? create(path, why)
			       : check_head(path, head, n, why);
}

static int
load_names(struct store_db *d, const char *sql, struct store_names *names)
{
	sqlite3_stmt *st;
	const char *text;
	int r;

	r = store_db_prepare(d, sql, &st);
	if (r < 0)
		return r;
	while ((r = store_db_step(d, st)) > 0) {
		text = (const char *)sqlite3_column_text(st, 1);
		r = text == NULL ? -ENOMEM
				 : store_names_add(names,
				       sqlite3_column_int64(st, 0), text);
		if (r < 0)
			break;
	}
	sqlite3_finalize(st);
	store_names_keep(names);
	return r;
}

/* The mode of the log, which a copy made by somebody may have lost. */
static int
set_log_mode(struct store_db *d)
{
	sqlite3_stmt *st;
	const char *mode;
	int r;

	r = store_db_prepare(d, "PRAGMA journal_mode = WAL", &st);
	if (r < 0)
		return r;
	r = store_db_step(d, st);
	mode = r > 0 ? (const char *)sqlite3_column_text(st, 0) : NULL;
	if (r >= 0)
		r = mode != NULL && strcmp(mode, "wal") == 0 ? 0 : -ENOTSUP;
	if (r == -ENOTSUP)
		snprintf(d->why, sizeof(d->why),
		    "this file system can't hold a write-ahead log");
	sqlite3_finalize(st);
	return r;
}

static int
load(struct store_db *d, bool full_sync)
{
	int r;

	r = set_log_mode(d);
	if (r == 0)
		r = store_db_set_up(d, full_sync);
	if (r == 0)
		r = store_schema_migrate(d, store_migrations, STORE_VERSION);
	if (r == 0)
		r = load_names(
		    d, "SELECT id, name FROM queue ORDER BY id", &d->queues);
	if (r == 0)
		r = load_names(
		    d, "SELECT id, name FROM kind ORDER BY id", &d->kinds);
	if (r == 0)
		r = load_names(
		    d, "SELECT id, name FROM pool ORDER BY id", &d->pools);
	return r;
}

int
store_open(struct store_db *d, const char *path, bool full_sync,
    char why[STORE_WHY_SIZE])
{
	int64_t version = 0;
	int r;

	r = prepare(path, why);
	if (r < 0)
		return r;
	r = store_db_open(d, path);
	if (r == 0)
		r = store_db_pragma(d, "PRAGMA user_version", &version);
	if (r == 0) {
		r = check_version(path, version, why);
		if (r < 0)
			return r;
		r = load(d, full_sync);
	}
	if (r == 0)
		return 0;
	return refuse(why, r == -EBADF ? -EUCLEAN : r, "%s: %s", path,
	    d->why[0] == '\0' ? strerror(-r) : d->why);
}
