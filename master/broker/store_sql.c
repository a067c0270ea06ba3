/* SPDX-License-Identifier: ISC */
/*
 * store_sql.c - every statement that the storage thread carries out
 *
 * Each that looks for tasks repeats the condition of the partial index that is
 * meant to serve it, for only so is it used.  Those that go on at a place where
 * many may be at once are in two parts: (due_ms, id) > (?, ?) would go through
 * all that have the same time.
 */
#include "master/broker/store_sql.h"

#define COLUMNS \
	"id, state, queue, kind, priority, seq, mail, wall, due_ms, " \
	"expires_ms, ready_ms, until_ms, flags, big, attempt, retries, run, " \
	"crashes, interrupted, recoveries, backoff_ms, timeout_ms, " \
	"soft_timeout_ms, result_ttl_ms, submitted_at, run_at, started_at, " \
	"finished_at, pool, worker, key, unique_key, idempotency_key, args, " \
	"meta, result, error, errors"

#define SELECT "SELECT " COLUMNS " FROM task "

static const char *const texts[SQL_N] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_PAGES] = "PRAGMA page_count",
    [SQL_FREE_PAGES] = "PRAGMA freelist_count",
    [SQL_VACUUM] = "PRAGMA incremental_vacuum(64)",
    [SQL_GET_META] = "SELECT value FROM meta WHERE name = ?1",
    [SQL_SET_META] = "INSERT INTO meta (name, value) VALUES (?1, ?2) "
		     "ON CONFLICT (name) DO UPDATE SET value = ?2",
    /* A row of that id can only be left of a commit that was said to have
     * failed. */
    [SQL_INSERT] = "INSERT OR REPLACE INTO task (" COLUMNS ") VALUES ("
		   "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, "
		   "?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, "
		   "?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, "
		   "?36, ?37, ?38)",
    [SQL_UPDATE] = "UPDATE task SET state = ?2, seq = ?6, mail = ?7, "
		   "wall = ?8, due_ms = ?9, expires_ms = ?10, ready_ms = ?11, "
		   "until_ms = ?12, flags = ?13, attempt = ?15, run = ?17, "
		   "crashes = ?18, interrupted = ?19, recoveries = ?20, "
		   "run_at = ?26, started_at = ?27, finished_at = ?28, "
		   "pool = ?29, worker = ?30, result = ?36, error = ?37, "
		   "errors = ?38 WHERE id = ?1",
    [SQL_DELETE] = "DELETE FROM task WHERE id = ?1",
    /* It may have been revived since it was looked at. */
    [SQL_DELETE_ENDED] = "DELETE FROM task WHERE id = ?1 AND state >= 3",
    /* No task has this id. */
    [SQL_PROBE] = "INSERT OR REPLACE INTO payload (id, args) "
		  "VALUES (0, zeroblob(65536))",
    [SQL_INSERT_PAYLOAD] = "INSERT OR REPLACE INTO payload (id, args, meta) "
			   "VALUES (?1, ?2, ?3)",
    [SQL_DELETE_PAYLOAD] = "DELETE FROM payload WHERE id = ?1",
    [SQL_GET_PAYLOAD] = "SELECT args, meta FROM payload WHERE id = ?1",
    [SQL_INSERT_IDEMPOTENCY] = "INSERT OR REPLACE INTO idempotency "
			       "(key, task, until_ms) VALUES (?1, ?2, ?3)",
    [SQL_PAUSE] = "UPDATE queue SET paused = ?2 WHERE id = ?1",
    [SQL_GET] = SELECT "WHERE id = ?1",
    [SQL_LIST] = SELECT "WHERE id < ?1 ORDER BY id DESC",
    [SQL_LIST_RUNNING] = SELECT "WHERE state = 2 AND id < ?1 ORDER BY id DESC",
    [SQL_FETCH_READY] = SELECT "WHERE state = 1 AND mail <> 2 "
			       "AND queue = ?1 AND kind = ?2 "
			       "AND priority = ?3 AND seq > ?4 ORDER BY seq",
    [SQL_FETCH_KEY] = SELECT "WHERE key IS NOT NULL AND state < 3 "
			     "AND key = ?1 AND mail = 2 AND seq > ?2 "
			     "ORDER BY seq",
    [SQL_FETCH_DUE] = SELECT "WHERE state = 0 AND wall = ?1 "
			     "AND due_ms = ?2 AND id > ?3 UNION ALL " SELECT
			     "WHERE state = 0 AND wall = ?1 AND due_ms > ?2 "
			     "ORDER BY due_ms, id",
    [SQL_FETCH_EXPIRED] =
	SELECT "WHERE state < 2 AND expires_ms > 0 AND expires_ms = ?1 "
	       "AND id > ?2 AND expires_ms <= ?3 UNION ALL " SELECT
	       "WHERE state < 2 AND expires_ms > 0 AND expires_ms > ?1 "
	       "AND expires_ms <= ?3 ORDER BY expires_ms, id",
    [SQL_NEXT_EXPIRES] = "SELECT min(expires_ms) FROM task "
			 "WHERE state < 2 AND expires_ms > 0 "
			 "AND expires_ms > ?1",
    [SQL_FIND_UNIQUE] = "SELECT id, state FROM task "
			"WHERE unique_key IS NOT NULL AND state < 3 "
			"AND unique_key = ?1 AND kind = ?2 AND queue = ?3 "
			"LIMIT 1",
    [SQL_FIND_KEY] = "SELECT id, state FROM task "
		     "WHERE key IS NOT NULL AND state < 3 "
		     "AND key = ?1 AND mail > 0 ORDER BY mail, seq LIMIT 1",
    [SQL_FIND_IDEMPOTENCY] = "SELECT i.task, t.state FROM idempotency i "
			     "LEFT JOIN task t ON t.id = i.task "
			     "WHERE i.key = ?1 AND i.until_ms > ?2",
    [SQL_NEXT_UNTIL] =
	"SELECT min(until_ms) FROM task WHERE until_ms IS NOT NULL",
    [SQL_NEXT_IDEMPOTENCY] = "SELECT min(until_ms) FROM idempotency",
    [SQL_SPENT] = "SELECT id, big FROM task WHERE until_ms IS NOT NULL "
		  "AND until_ms <= ?1 ORDER BY until_ms LIMIT ?2",
    [SQL_DELETE_SPENT_IDEMPOTENCY] =
	"DELETE FROM idempotency WHERE key IN (SELECT key FROM idempotency "
	"WHERE until_ms <= ?1 ORDER BY until_ms LIMIT ?2)",
};

const char *
store_sql_text(enum store_sql sql)
{
	return texts[sql];
}
