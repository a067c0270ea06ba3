/* SPDX-License-Identifier: ISC */
/*
 * store_schema.c - the tables, their versions, and a new database
 *
 * Everything about tasks that wait is found by partial indexes, so a row costs
 * an entry only where it can be looked for, and none of what has ended but that
 * of its time.  They cover what the recovery counts: for that they have the
 * columns of their own conditions as well.
 *
 * People may rely on the views; the tables are ours to change.
 */
#include "master/broker/store_schema.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MODE 0640
#define SQL_SIZE  96

static const char tables[] =
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE queue (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " paused INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE kind (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE pool (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE task (id INTEGER PRIMARY KEY, state INTEGER NOT NULL,"
    " queue INTEGER NOT NULL, kind INTEGER NOT NULL,"
    " priority INTEGER NOT NULL, seq INTEGER NOT NULL,"
    " mail INTEGER NOT NULL, wall INTEGER NOT NULL, due_ms INTEGER NOT NULL,"
    " expires_ms INTEGER NOT NULL, ready_ms INTEGER NOT NULL,"
    " until_ms INTEGER, flags INTEGER NOT NULL, big INTEGER NOT NULL,"
    " attempt INTEGER NOT NULL, retries INTEGER NOT NULL,"
    " run INTEGER NOT NULL, crashes INTEGER NOT NULL,"
    " interrupted INTEGER NOT NULL, recoveries INTEGER NOT NULL,"
    " backoff_ms INTEGER NOT NULL, timeout_ms INTEGER NOT NULL,"
    " soft_timeout_ms INTEGER NOT NULL, result_ttl_ms INTEGER NOT NULL,"
    " submitted_at INTEGER NOT NULL, run_at INTEGER NOT NULL,"
    " started_at INTEGER NOT NULL, finished_at INTEGER NOT NULL,"
    " pool INTEGER, worker INTEGER NOT NULL, key TEXT, unique_key TEXT,"
    " idempotency_key TEXT, args TEXT, meta TEXT, result TEXT, error TEXT,"
    " errors TEXT);"
    "CREATE TABLE payload (id INTEGER PRIMARY KEY, args TEXT, meta TEXT);"
    "CREATE TABLE idempotency (key TEXT PRIMARY KEY, task INTEGER NOT NULL,"
    " until_ms INTEGER NOT NULL) WITHOUT ROWID;";

static const char indexes[] =
    "CREATE INDEX task_ready ON task (queue, kind, priority, seq,"
    " state, mail)"
    " WHERE state = 1 AND mail <> 2;"
    "CREATE INDEX task_due ON task (wall, due_ms, id, queue, state)"
    " WHERE state = 0;"
    "CREATE INDEX task_expires ON task (expires_ms, id, state)"
    " WHERE state < 2 AND expires_ms > 0;"
    "CREATE INDEX task_running ON task (state) WHERE state = 2;"
    "CREATE INDEX task_key ON task (key, mail, seq, state, queue, kind)"
    " WHERE key IS NOT NULL AND state < 3;"
    "CREATE INDEX task_unique ON task (unique_key, kind, queue, state)"
    " WHERE unique_key IS NOT NULL AND state < 3;"
    "CREATE INDEX task_until ON task (until_ms) WHERE until_ms IS NOT NULL;"
    "CREATE INDEX idempotency_until ON idempotency (until_ms);";

#define STATE_NAMES \
	"CASE t.state WHEN 0 THEN 'scheduled' WHEN 1 THEN 'ready'" \
	" WHEN 2 THEN 'running' WHEN 3 THEN 'succeeded'" \
	" WHEN 4 THEN 'failed' WHEN 5 THEN 'cancelled'" \
	" WHEN 6 THEN 'expired' WHEN 7 THEN 'quarantined' END"

/* Milliseconds as RFC 3339, 0 as NULL. */
#define TIME(ms) \
	"CASE WHEN " ms " > 0 THEN strftime('%Y-%m-%dT%H:%M:%S', " ms \
	" / 1000, 'unixepoch') || printf('.%03dZ', " ms " % 1000) END"
#define SUBMITTED_AT TIME("t.submitted_at")
#define RUN_AT       TIME("t.run_at")
#define STARTED_AT   TIME("t.started_at")
#define FINISHED_AT  TIME("t.finished_at")

static const char views[] =
    "CREATE VIEW tasks AS SELECT t.id AS id,"
    " (SELECT name FROM kind WHERE id = t.kind) AS name,"
    " (SELECT name FROM queue WHERE id = t.queue) AS queue, " STATE_NAMES
    " AS state, t.priority AS priority,"
    " t.attempt + (t.state IN (2, 3)) AS attempt,"
    " t.retries AS retries, t.run AS run,"
    " t.crashes AS crashes, t.interrupted AS interrupted,"
    " t.recoveries AS recoveries, t.flags & 1 AS suspect,"
    " t.mail = 2 AS waits_for_key, t.key AS key,"
    " t.unique_key AS unique_key, t.idempotency_key AS idempotency_key,"
    " CASE WHEN t.flags & 2 THEN 'at_most_once' ELSE 'at_least_once' END"
    " AS delivery, " SUBMITTED_AT " AS submitted_at,"
    " CASE WHEN t.state = 0 THEN " RUN_AT " END AS run_at,"
    " " STARTED_AT " AS started_at, " FINISHED_AT " AS finished_at,"
    " (SELECT name FROM pool WHERE id = t.pool) AS pool,"
    " CASE WHEN t.pool IS NOT NULL THEN"
    " (SELECT name FROM pool WHERE id = t.pool) || '/' || t.worker END"
    " AS worker,"
    " CASE WHEN t.big THEN (SELECT args FROM payload WHERE id = t.id)"
    " ELSE t.args END AS args,"
    " CASE WHEN t.big THEN (SELECT meta FROM payload WHERE id = t.id)"
    " ELSE t.meta END AS meta, t.result AS result, t.error AS error,"
    " t.errors AS errors FROM task t;"
    "CREATE VIEW queues AS SELECT q.name AS name, q.paused AS paused,"
    " (SELECT count(*) FROM task t WHERE t.state = 1 AND t.mail <> 2"
    " AND t.queue = q.id) AS ready,"
    " (SELECT count(*) FROM task t WHERE t.key IS NOT NULL AND"
    " t.state < 3 AND t.mail = 2 AND t.queue = q.id) AS waiting_for_key,"
    " (SELECT count(*) FROM task t WHERE t.state = 0"
    " AND t.queue = q.id) AS scheduled,"
    " (SELECT count(*) FROM task t WHERE t.state = 2"
    " AND t.queue = q.id) AS running FROM queue q;";

const store_migration_fn store_migrations[] = {NULL};

static int
set_version(struct store_db *d, int64_t version)
{
	char sql[SQL_SIZE];

	snprintf(
	    sql, sizeof(sql), "PRAGMA user_version = %lld", (long long)version);
	return store_db_exec(d, sql);
}

/* The write-ahead log is the last step: its mode is kept in the file. */
static int
fill(struct store_db *d)
{
	char sql[SQL_SIZE];
	int r;

	snprintf(sql, sizeof(sql), "PRAGMA application_id = %d",
	    STORE_APPLICATION_ID);
	r = store_db_exec(d, "PRAGMA auto_vacuum = INCREMENTAL");
	if (r == 0)
		r = store_db_begin(d);
	if (r == 0)
		r = store_db_exec(d, sql);
	if (r == 0)
		r = set_version(d, STORE_VERSION);
	if (r == 0)
		r = store_db_exec(d, tables);
	if (r == 0)
		r = store_db_exec(d, indexes);
	if (r == 0)
		r = store_db_exec(d, views);
	if (r == 0)
		r = store_db_commit(d);
	if (r == 0)
		r = store_db_exec(d, "PRAGMA journal_mode = WAL");
	return r;
}

static int
sync_dir_of(const char *path)
{
	char dir[PATH_MAX];
	char *slash;
	int fd, r;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash == NULL)
		snprintf(dir, sizeof(dir), ".");
	else
		slash[slash == dir] = '\0';
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return r;
}

/* Make the file at `fresh`, which has no name that anybody knows. */
static int
make(const char *fresh, char *why)
{
	struct store_db d = {0};
	int fd, r;

	(void)unlink(fresh);
	fd = open(fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
	if (fd < 0) {
		r = -errno;
		snprintf(why, STORE_DB_WHY_SIZE, "%s", strerror(errno));
		return r;
	}
	r = store_db_open(&d, fresh);
	if (r == 0)
		r = fill(&d);
	if (r < 0)
		memcpy(why, d.why, STORE_DB_WHY_SIZE);
	store_db_close(&d, true);
	if (r == 0 && fsync(fd) < 0) {
		r = -errno;
		snprintf(why, STORE_DB_WHY_SIZE, "%s", strerror(errno));
	}
	close(fd);
	return r;
}

int
store_schema_create(const char *path, char *why)
{
	char fresh[PATH_MAX];
	int r;

	if ((size_t)snprintf(fresh, sizeof(fresh), "%s.new", path) >=
	    sizeof(fresh)) {
		snprintf(why, STORE_DB_WHY_SIZE, "%s", strerror(ENAMETOOLONG));
		return -ENAMETOOLONG;
	}
	r = make(fresh, why);
	if (r == 0 && rename(fresh, path) < 0) {
		r = -errno;
		snprintf(why, STORE_DB_WHY_SIZE, "%s", strerror(errno));
	}
	if (r < 0) {
		(void)unlink(fresh);
		return r;
	}
	return sync_dir_of(path);
}

int
store_schema_migrate(
    struct store_db *d, const store_migration_fn *steps, int64_t version)
{
	int64_t at;
	int r;

	r = store_db_pragma(d, "PRAGMA user_version", &at);
	if (r < 0)
		return r;
	if (at > version)
		return -EPROTO;
	if (at == version)
		return 0;
	r = store_db_begin(d);
	if (r < 0)
		return r;
	for (; r == 0 && at < version; at++)
		r = at < 1 ? -EUCLEAN : steps[at - 1](d);
	if (r == 0)
		r = set_version(d, version);
	if (r == 0)
		return store_db_commit(d);
	store_db_rollback(d);
	return r;
}
