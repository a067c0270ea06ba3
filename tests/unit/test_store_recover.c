/* SPDX-License-Identifier: ISC */
/* LINK: tests/lib/store_world.c master/broker/store_sqlite.c
 *	master/broker/store_batch.c master/broker/store_calls.c
 *	master/broker/store_db.c master/broker/store_found.c
 *	master/broker/store_late.c master/broker/store_lock.c
 *	master/broker/store_names.c master/broker/store_news.c
 *	master/broker/store_open.c master/broker/store_read.c
 *	master/broker/store_recover.c master/broker/store_reserve.c
 *	master/broker/store_row.c
 *	master/broker/store_schema.c master/broker/store_sql.c
 *	master/broker/store_thread.c master/broker/store_tidy.c
 *	master/broker/store_write.c master/broker/task.c
 *	master/broker/errors.c
 *	master/broker/delay.c ipc/clock.c ipc/json.c ipc/buf.c ipc/log.c */
/*
 * test_store_recover.c - what a new broker finds in the database of an old one,
 * and what it refuses to open
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "master/broker/store_db.h"
#include "master/broker/store_open.h"
#include "master/broker/store_schema.h"
#include "tests/lib/store_world.h"

static int
set_up(void **state)
{
	struct store_world *w = calloc(1, sizeof(*w));

	store_world_init(w, NULL);
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	store_world_done(*state);
	free(*state);
	return 0;
}

/* Do something to the closed database. */
static void
change(struct store_world *w, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(w->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void
open_store(struct store_world *w)
{
	int r = store_world_open(w, false);

	if (r < 0)
		print_error("%s\n", w->why);
	assert_int_equal(r, 0);
}

static void
keep(struct store_world *w, struct task *t)
{
	assert_int_equal(store_put(w->store, t), 0);
	store_world_settle(w);
	task_unref(t);
}

/* One that runs; key may be NULL. */
static void
keep_running(struct store_world *w, uint64_t id, uint32_t recoveries,
    const char *key, bool at_most_once)
{
	struct task *t = store_world_task(w, id, "[]");

	t->recoveries = recoveries;
	t->at_most_once = at_most_once;
	if (key != NULL) {
		t->holds = true;
		task_set_text(t, &t->key, strdup(key));
	}
	assert_int_equal(store_put(w->store, t), 0);
	store_world_start(w, t);
	store_world_settle(w);
	task_unref(t);
}

static void
what_ran_is_ready_again_and_counted(void **state)
{
	struct store_world *w = *state;

	open_store(w);
	keep_running(w, 1, 0, NULL, false);
	keep_running(w, 2, 3, "k", false);
	keep(w, store_world_task(w, 3, "[]"));
	store_world_close(w);
	open_store(w);
	assert_int_equal(w->found.n_recovered, 2);
	assert_int_equal(w->found.n_suspects, 1);
	assert_int_equal(w->found.n_broken_off, 0);
	assert_int_equal(w->found.n_bands, 1);
	assert_int_equal(w->found.bands[0].n, 3);
	assert_string_equal(w->found.bands[0].queue, "q0");
	assert_string_equal(w->found.bands[0].kind, "k0");
	assert_int_equal(w->found.bands[0].priority, 5);
	assert_int_equal(w->found.n_keyed, 1);
	store_world_get(w, 1);
	assert_int_equal(w->got->state, TASK_READY);
	assert_int_equal(w->got->recoveries, 1);
	assert_int_equal(w->got->run, 1);
	assert_int_equal(w->got->attempt, 0);
	assert_false(w->got->suspect);
	store_world_get(w, 2);
	assert_true(w->got->suspect);
	assert_true(w->got->holds);
	assert_int_equal(w->got->recoveries, 4);
}

static void
a_resumed_one_runs_on(void **state)
{
	struct store_world *w = *state;

	open_store(w);
	keep_running(w, 1, 0, NULL, false);
	store_world_close(w);
	assert_int_equal(store_world_open(w, true), 0);
	assert_int_equal(w->found.n_recovered, 0);
	store_world_get(w, 1);
	assert_int_equal(w->got->state, TASK_RUNNING);
	assert_int_equal(w->got->recoveries, 0);
}

static void
at_most_once_fails_for_it(void **state)
{
	struct store_world *w = *state;
	json_t *list, *error;

	open_store(w);
	keep_running(w, 1, 0, "k", true);
	store_world_close(w);
	change(w, "UPDATE task SET errors = '[{\"attempt\":1}, "
		  "{\"attempt\":2}, {\"attempt\":3}, {\"attempt\":4}, "
		  "{\"attempt\":5}]'");
	open_store(w);
	assert_int_equal(w->found.n_broken_off, 1);
	assert_int_equal(w->found.n_recovered, 0);
	assert_int_equal(w->found.n_keyed, 0);
	store_world_get(w, 1);
	assert_int_equal(w->got->state, TASK_FAILED);
	assert_int_equal(w->got->attempt, 1);
	assert_true(w->got->finished_at > 0);
	error = json_loads(w->got->error, 0, NULL);
	assert_int_equal(
	    json_integer_value(json_object_get(error, "code")), -32603);
	assert_true(json_is_false(
	    json_object_get(json_object_get(error, "data"), "retryable")));
	json_decref(error);
	list = json_loads(w->got->errors, 0, NULL);
	assert_int_equal(json_array_size(list), 5);
	assert_int_equal(json_integer_value(json_object_get(
			     json_array_get(list, 0), "attempt")),
	    2);
	assert_non_null(json_object_get(json_array_get(list, 4), "message"));
	json_decref(list);
}

static void
one_that_was_to_be_cancelled_is(void **state)
{
	struct store_world *w = *state;

	open_store(w);
	keep_running(w, 1, 0, NULL, false);
	store_world_close(w);
	change(w, "UPDATE task SET flags = 4");
	open_store(w);
	assert_int_equal(w->found.n_recovered, 0);
	store_world_get(w, 1);
	assert_int_equal(w->got->state, TASK_CANCELLED);
	assert_false(w->got->cancelling);
}

static void
a_key_that_nobody_holds_goes_to_the_first(void **state)
{
	struct store_world *w = *state;
	struct task *t;
	uint64_t id;

	open_store(w);
	for (id = 1; id <= 4; id++) {
		t = store_world_task(w, id, NULL);
		task_set_text(t, &t->key, strdup(id == 4 ? "b" : "a"));
		t->parked = true;
		t->seq = 10 - id;
		keep(w, t);
	}
	t = store_world_task(w, 5, NULL);
	task_set_text(t, &t->key, strdup("b"));
	t->holds = true;
	keep(w, t);
	store_world_close(w);
	open_store(w);
	assert_int_equal(w->found.n_parked, 1);
	assert_int_equal(w->found.parked[0].n, 3);
	assert_int_equal(w->found.bands[0].n, 2);
	store_world_get(w, 3); /* has the lowest seq */
	assert_true(w->got->holds && !w->got->parked);
	store_world_get(w, 4);
	assert_true(w->got->parked);
}

static void
what_waits_is_counted(void **state)
{
	struct store_world *w = *state;
	struct task *t;
	uint64_t id;

	open_store(w);
	for (id = 1; id <= 6; id++) {
		t = store_world_task(w, id, NULL);
		if (id <= 3) {
			t->state = TASK_SCHEDULED;
			t->due_ms = 1000;
			t->run_at_is_wall = id == 3;
			t->queue = &w->queues[id == 1];
		}
		if (id >= 5)
			t->priority = 7;
		if (id == 6) {
			t->expires_ms = INT64_C(1) << 60;
			task_set_text(t, &t->unique, strdup("u"));
		}
		keep(w, t);
	}
	store_world_close(w);
	open_store(w);
	assert_int_equal(w->found.n_steady, 2);
	assert_int_equal(w->found.n_wall, 1);
	assert_null(w->found.wall[0].kind);
	assert_string_equal(w->found.wall[0].queue, "q0");
	assert_int_equal(w->found.n_bands, 2);
	assert_int_equal(w->found.bands[0].priority, 5);
	assert_int_equal(w->found.bands[1].n, 2);
	assert_int_equal(w->found.n_expiring, 1);
	assert_int_equal(w->found.n_unique, 1);
}

/* A sorter would have them all at once. */
static void
many_that_wait_are_counted_in_little_memory(void **state)
{
	static const char copy[] =
	    "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n "
	    "WHERE i < 200000) INSERT INTO task SELECT i, %d, queue, kind, "
	    "priority, i, 2, wall, i, expires_ms, ready_ms, until_ms, flags, "
	    "big, attempt, retries, run, crashes, interrupted, recoveries, "
	    "backoff_ms, timeout_ms, soft_timeout_ms, result_ttl_ms, "
	    "submitted_at, run_at, started_at, finished_at, pool, worker, "
	    "'k', unique_key, idempotency_key, args, meta, result, error, "
	    "errors FROM task, n WHERE id = 1; UPDATE task SET queue = 3 - "
	    "queue WHERE id %% 2";
	struct store_world *w = *state;
	char sql[sizeof(copy) + 16];
	struct task *t;
	int scheduled;

	for (scheduled = 0; scheduled <= 1; scheduled++) {
		open_store(w);
		keep(w, store_world_task(w, 1, NULL));
		t = store_world_task(w, 2, NULL);
		t->queue = &w->queues[1];
		keep(w, t);
		store_world_close(w);
		snprintf(sql, sizeof(sql), copy, !scheduled);
		change(w, sql);
		(void)sqlite3_memory_highwater(1);
		open_store(w);
		assert_in_range(sqlite3_memory_highwater(0), 1, 9 << 20);
		if (scheduled) {
			assert_int_equal(w->found.n_steady, 2);
			assert_int_equal(
			    w->found.steady[0].n + w->found.steady[1].n,
			    199991);
		} else {
			assert_int_equal(w->found.n_parked, 2);
			assert_string_equal(w->found.parked[0].kind, "k0");
		}
		store_world_close(w);
		change(w, "DELETE FROM task");
	}
}

static void
delays_go_on_within_a_boot_and_start_anew_after_one(void **state)
{
	struct store_world *w = *state;
	int64_t steady;

	open_store(w);
	store_world_close(w);
	change(w, "UPDATE meta SET value = value + 5000 "
		  "WHERE name = 'steady_ms'");
	open_store(w);
	steady = w->found.steady_ms;
	store_world_close(w);
	open_store(w);
	assert_int_equal(w->found.steady_ms, steady);
	store_world_close(w);
	change(w, "UPDATE meta SET value = 'x' WHERE name = 'boot_id'");
	open_store(w);
	assert_in_range(steady - w->found.steady_ms, 4000, 5500);
}

/* Put tasks in a child that dies at once when they are kept. */
static void
put_and_die(struct store_world *w, uint64_t first, uint64_t n)
{
	pid_t pid = fork();
	uint64_t id;
	int status;

	if (pid == 0) {
		if (store_world_open(w, false) < 0)
			_exit(1);
		for (id = first; id < first + n; id++)
			(void)store_put(
			    w->store, store_world_task(w, id, "[]"));
		store_world_settle(w);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
no_id_is_given_out_twice(void **state)
{
	struct store_world *w = *state;
	uint64_t last;

	put_and_die(w, 1, 100);
	change(w, "DELETE FROM task WHERE id > 10");
	open_store(w);
	assert_true(w->found.last_id >= 100);
	assert_true(w->found.last_seq >= 100);
	/* Others are given out without being put. */
	last = w->found.last_id + 200000;
	store_sqlite_note_ids(w->store, last, 0);
	store_world_barrier(w);
	store_world_run(w, 1);
	store_world_close(w);
	open_store(w);
	assert_int_equal(w->found.last_id, last);
}

static void
ids_given_out_at_once_are_not_given_out_again(void **state)
{
	struct store_world *w = *state;
	uint64_t last;
	int status;
	pid_t pid;

	put_and_die(w, 1, 1);
	open_store(w);
	last = w->found.last_id + 30000;
	store_world_close(w);
	pid = fork();
	if (pid == 0) {
		if (store_world_open(w, false) < 0)
			_exit(1);
		/* It dies before anything of this is written. */
		store_sqlite_note_ids(w->store, last, last);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	open_store(w);
	assert_true(w->found.last_id >= last);
	assert_true(w->found.last_seq >= last);
}

static void
read_all(const char *path, char **out, size_t *n)
{
	struct stat st;
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	*out = malloc((size_t)st.st_size + 1);
	*n = (size_t)st.st_size;
	assert_int_equal(read(fd, *out, *n), st.st_size);
	close(fd);
}

/* It is refused with err, and nothing is changed by it. */
static void
assert_refused(struct store_world *w, int err, const char *word)
{
	char *before, *after;
	size_t n, m;

	read_all(w->path, &before, &n);
	assert_int_equal(store_world_open(w, false), err);
	assert_null(w->store);
	assert_non_null(strstr(w->why, w->path));
	if (strstr(w->why, word) == NULL)
		print_error("%s\n", w->why);
	assert_non_null(strstr(w->why, word));
	read_all(w->path, &after, &m);
	assert_int_equal(n, m);
	assert_memory_equal(before, after, n);
	free(before);
	free(after);
}

static void
write_file(const char *path, const char *text, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, n), (ssize_t)n);
	close(fd);
}

static void
what_is_no_database_is_left_alone(void **state)
{
	struct store_world *w = *state;
	char garbage[5000];

	memset(garbage, 'x', sizeof(garbage));
	write_file(w->path, garbage, 3);
	assert_refused(w, -EBADF, "not a database");
	write_file(w->path, garbage, sizeof(garbage));
	assert_refused(w, -EBADF, "not a database");
	unlink(w->path);
	change(w, "CREATE TABLE x (y)");
	assert_refused(w, -EBADF, "another program");
	unlink(w->path);
	change(w, "PRAGMA journal_mode = WAL; CREATE TABLE x (y)");
	assert_refused(w, -EBADF, "another program");
	unlink(w->path);
	assert_int_equal(mkdir(w->path, 0700), 0);
	assert_int_equal(store_world_open(w, false), -EISDIR);
	rmdir(w->path);
}

static void
a_newer_version_is_left_alone(void **state)
{
	struct store_world *w = *state;

	open_store(w);
	store_world_close(w);
	change(w, "PRAGMA user_version = 99");
	assert_refused(w, -EPROTO, "version 99");
}

static void
a_broken_one_is_left_alone(void **state)
{
	struct store_world *w = *state;
	struct stat st;
	char *text;
	size_t n;

	put_and_die(w, 1, 2000);
	open_store(w);
	store_world_close(w);
	assert_int_equal(stat(w->path, &st), 0);
	read_all(w->path, &text, &n);
	assert_int_equal(truncate(w->path, st.st_size / 2), 0);
	assert_refused(w, -EUCLEAN, "damaged");
	/* The head alone is whole. */
	memset(text + 100, 'x', n - 100);
	write_file(w->path, text, n);
	assert_refused(w, -EUCLEAN, "damaged");
	free(text);
}

static void
an_empty_file_is_a_new_database(void **state)
{
	struct store_world *w = *state;
	char log[PATH_MAX + 8];
	struct stat st;

	write_file(w->path, "", 0);
	open_store(w);
	assert_int_equal(w->found.last_id, 0);
	store_world_close(w);
	assert_int_equal(stat(w->path, &st), 0);
	assert_int_equal(st.st_mode & 0007, 0);
	/* But not where a log says that there was another one. */
	assert_int_equal(unlink(w->path), 0);
	snprintf(log, sizeof(log), "%s-wal", w->path);
	write_file(log, "x", 1);
	assert_int_equal(store_world_open(w, false), -EUCLEAN);
	assert_non_null(strstr(w->why, "-wal"));
	assert_int_equal(access(w->path, F_OK), -1);
}

static int
step_1(struct store_db *d)
{
	return store_db_exec(d, "ALTER TABLE task ADD COLUMN second");
}

static int
step_2(struct store_db *d)
{
	return store_db_exec(d, "UPDATE task SET second = 'x'");
}

static int
step_bad(struct store_db *d)
{
	(void)store_db_exec(d, "DELETE FROM task");
	return -EIO;
}

static void
tables_are_brought_up_to_date_or_not_at_all(void **state)
{
	static const store_migration_fn good[] = {step_1, step_2, NULL};
	static const store_migration_fn bad[] = {step_1, step_bad, NULL};
	struct store_world *w = *state;
	struct store_db d = {0};
	int64_t n;

	put_and_die(w, 1, 10);
	assert_int_equal(store_open(&d, w->path, false, w->why), 0);
	assert_int_equal(store_schema_migrate(&d, bad, 3), -EIO);
	assert_int_equal(store_db_pragma(&d, "PRAGMA user_version", &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(store_schema_migrate(&d, good, 3), 0);
	assert_int_equal(store_db_pragma(&d, "PRAGMA user_version", &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(
	    store_db_pragma(
		&d, "SELECT count(*) FROM task WHERE second = 'x'", &n),
	    0);
	assert_int_equal(n, 10);
	assert_int_equal(store_schema_migrate(&d, good, 3), 0);
	assert_int_equal(store_schema_migrate(&d, good, 2), -EPROTO);
	store_db_close(&d, true);
}

/* Each partial index serves the statement that was made for it. */
static void
no_statement_goes_through_all_tasks(void **state)
{
	struct store_world *w = *state;
	struct store_db d = {0};
	char sql[2048];
	sqlite3_stmt *st;
	const char *plan;
	int i, n_places = 0;

	open_store(w);
	store_world_close(w);
	assert_int_equal(store_open(&d, w->path, false, w->why), 0);
	for (i = SQL_GET_META; i < SQL_N; i++) {
		snprintf(sql, sizeof(sql), "EXPLAIN QUERY PLAN %s",
		    store_sql_text((enum store_sql)i));
		assert_int_equal(
		    sqlite3_prepare_v2(d.db, sql, -1, &st, NULL), SQLITE_OK);
		while (sqlite3_step(st) == SQLITE_ROW) {
			plan = (const char *)sqlite3_column_text(st, 3);
			if ((strncmp(plan, "SCAN task", 9) == 0 &&
				strstr(plan, "USING") == NULL) ||
			    strstr(plan, "TEMP B-TREE") != NULL)
				fail_msg("%s: %s", sql, plan);
			/* Nor through all that are due at one time. */
			if (strstr(plan, "id>?") != NULL)
				n_places++;
		}
		sqlite3_finalize(st);
	}
	assert_int_equal(n_places, 2);
	store_db_close(&d, true);
}

static void
assert_documented(sqlite3 *db, const char *sql, const char *page)
{
	sqlite3_stmt *st;
	const char *name;
	int i;

	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	for (i = 0; i < sqlite3_column_count(st); i++) {
		char with_macro[64], in_list[64], last[64];

		name = sqlite3_column_name(st, i);
		snprintf(with_macro, sizeof(with_macro), "Cm %s\n", name);
		snprintf(in_list, sizeof(in_list), " %s ,", name);
		snprintf(last, sizeof(last), ", %s\n", name);
		if (strstr(page, with_macro) == NULL &&
		    strstr(page, in_list) == NULL && strstr(page, last) == NULL)
			fail_msg("ganger-store.5 has no column %s", name);
	}
	sqlite3_finalize(st);
}

static void
each_column_of_the_views_is_in_the_manual(void **state)
{
	struct store_world *w = *state;
	sqlite3 *db;
	char *page;
	size_t n;

	open_store(w);
	read_all("etc/man/ganger-store.5", &page, &n);
	page[n] = '\0';
	assert_int_equal(sqlite3_open(w->path, &db), SQLITE_OK);
	assert_documented(db, "SELECT * FROM tasks", page);
	assert_documented(db, "SELECT * FROM queues", page);
	sqlite3_close(db);
	free(page);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static const struct CMUnitTest tests[] = {
    T(what_ran_is_ready_again_and_counted),
    T(a_resumed_one_runs_on),
    T(at_most_once_fails_for_it),
    T(one_that_was_to_be_cancelled_is),
    T(a_key_that_nobody_holds_goes_to_the_first),
    T(what_waits_is_counted),
    T(many_that_wait_are_counted_in_little_memory),
    T(delays_go_on_within_a_boot_and_start_anew_after_one),
    T(no_id_is_given_out_twice),
    T(ids_given_out_at_once_are_not_given_out_again),
    T(what_is_no_database_is_left_alone),
    T(a_newer_version_is_left_alone),
    T(a_broken_one_is_left_alone),
    T(an_empty_file_is_a_new_database),
    T(tables_are_brought_up_to_date_or_not_at_all),
    T(no_statement_goes_through_all_tasks),
    T(each_column_of_the_views_is_in_the_manual),
};

int
main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
