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
 * test_store_trouble.c - disks that fail, processes that are killed, readers
 * that stay, and rows whose time is over
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "master/broker/store_db.h"
#include "tests/lib/store_world.h"

#define ROUNDS 12

static int
set_up(void **state)
{
	struct store_world *w = calloc(1, sizeof(*w));

	store_world_init(w, NULL);
	assert_int_equal(store_world_open(w, false), 0);
	*state = w;
	return 0;
}

/* Let no file grow beyond n bytes; 0: as it was. */
static void
limit_files(rlim_t n)
{
	struct rlimit r;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &r), 0);
	r.rlim_cur = n == 0 ? r.rlim_max : n;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

static int
tear_down(void **state)
{
	limit_files(0);
	store_world_done(*state);
	free(*state);
	return 0;
}

static struct store_counts
counts(struct store_world *w)
{
	struct store_counts c = {0};

	store_count(w->store, &c);
	return c;
}

/* The size that the log has now: the next commit does not fit. */
static void
fill_disk(struct store_world *w)
{
	char log[PATH_MAX + 8];
	struct stat st;

	snprintf(log, sizeof(log), "%s-wal", w->path);
	assert_int_equal(stat(log, &st), 0);
	limit_files((rlim_t)st.st_size);
}

static struct task *
put(struct store_world *w, uint64_t id)
{
	struct task *t = store_world_task(w, id, "[]");

	assert_int_equal(store_put(w->store, t), 0);
	return t;
}

static void
a_put_that_fails_is_told_and_news_are_kept(void **state)
{
	struct store_world *w = *state;
	struct task *old = put(w, 1), *new;

	store_world_settle(w);
	fill_disk(w);
	new = put(w, 2);
	store_world_barrier(w);
	store_world_start(w, new); /* a put all the same */
	store_world_start(w, old);
	store_world_succeed(w, old, "1");
	store_world_run(w, 3);
	assert_string_equal(w->log, "F2:-27 H:-27 B:-27");
	assert_int_equal(new->refs, 1);
	assert_int_equal(counts(w).n_dirty, 1);
	assert_false(store_is_idle(w->store));
	task_unref(new);
	/* It is told once, and tried again by itself. */
	limit_files(0);
	w->log[0] = '\0';
	store_world_run(w, 2);
	assert_string_equal(w->log, "H:0 E1");
	assert_int_equal(old->refs, 1);
	assert_true(store_is_idle(w->store));
	task_unref(old);
	store_world_get(w, 1);
	assert_int_equal(w->got->state, TASK_SUCCEEDED);
	store_world_get(w, 2);
	assert_int_equal(w->err, -ENOENT);
}

static void
what_came_after_a_put_that_fails_goes_with_it(void **state)
{
	struct store_world *w = *state;
	struct task *t = put(w, 1);

	store_world_settle(w);
	task_unref(t);
	fill_disk(w);
	t = put(w, 2);
	store_flush(w->store);
	/* Already on its way. */
	store_world_start(w, t);
	store_world_succeed(w, t, "1");
	store_world_run(w, 2);
	assert_string_equal(w->log, "F2:-27 H:-27");
	limit_files(0);
	store_world_run(w, 1); /* it works again */
	store_world_settle(w);
	assert_int_equal(t->refs, 1);
	task_unref(t);
	store_world_get(w, 2);
	assert_int_equal(w->err, -ENOENT);
	assert_null(strstr(w->log, "E2"));
}

static void
newer_news_win_over_those_that_failed(void **state)
{
	struct store_world *w = *state;
	struct task *t = put(w, 1);

	assert_int_equal(store_pause(w->store, &w->queues[0], false), 0);
	store_world_settle(w);
	fill_disk(w);
	store_world_start(w, t);
	assert_int_equal(store_pause(w->store, &w->queues[0], true), 0);
	store_world_run(w, 1);
	assert_string_equal(w->log, "H:-27");
	(void)task_apply(t, TASK_EV_REQUEUE, 1);
	t->interrupted = 9;
	store_update(w->store, t);
	/* What is asked is answered meanwhile, and as it is. */
	store_world_get(w, 1);
	assert_int_equal(w->err, 0);
	assert_int_equal(w->got->state, TASK_READY);
	assert_int_equal(w->got->interrupted, 9);
	limit_files(0);
	store_world_settle(w);
	task_unref(t);
	store_world_get(w, 1);
	assert_int_equal(w->got->interrupted, 9);
	store_world_close(w);
	assert_int_equal(store_world_open(w, false), 0);
	assert_int_equal(w->found.n_paused, 1);
}

static void
want_of_memory_is_a_failure_like_others(void **state)
{
	struct store_world *w = *state;
	char *args = malloc(1000001);
	struct task *t;

	memset(args, '1', 1000000);
	args[1000000] = '\0';
	t = put(w, 1);
	store_world_settle(w);
	(void)sqlite3_hard_heap_limit64(sqlite3_memory_used() + 100000);
	task_unref(t);
	t = store_world_task(w, 2, args);
	assert_int_equal(store_put(w->store, t), 0);
	store_world_barrier(w);
	store_world_run(w, 3);
	assert_string_equal(w->log, "F2:-12 H:-12 B:-12");
	task_unref(t);
	(void)sqlite3_hard_heap_limit64(0);
	store_world_run(w, 1);
	assert_string_equal(w->log, "F2:-12 H:-12 B:-12 H:0");
	store_world_get(w, 2);
	assert_int_equal(w->err, -ENOENT);
	store_world_get(w, 1);
	assert_int_equal(w->err, 0);
	free(args);
}

static void
the_end_on_a_full_disk_loses_only_what_is_not_kept(void **state)
{
	struct store_world *w = *state;
	struct task *t = put(w, 1);

	store_world_settle(w);
	fill_disk(w);
	store_world_start(w, t);
	put(w, 2)->refs--;
	store_world_barrier(w);
	store_world_close(w);
	assert_string_equal(w->log, "B:-125");
	limit_files(0);
	assert_int_equal(t->refs, 1);
	task_unref(t);
	assert_int_equal(store_world_open(w, false), 0);
	assert_int_equal(w->found.bands[0].n, 1);
}

static void
on_enough(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
	(void)timer;
	(void)revents;
	ev_break(loop, EVBREAK_ALL);
}

/* Turns of the loop in that many seconds. */
static unsigned
count_turns(struct store_world *w, double seconds)
{
	unsigned before = ev_iteration(w->loop);
	struct ev_timer enough;

	ev_timer_init(&enough, on_enough, seconds, 0.);
	ev_timer_start(w->loop, &enough);
	ev_run(w->loop, 0);
	return ev_iteration(w->loop) - before;
}

static void
what_fails_is_tried_again_once_a_second(void **state)
{
	struct store_world *w = *state;
	struct task *t = put(w, 1);

	store_world_settle(w);
	fill_disk(w);
	store_world_start(w, t);
	store_world_run(w, 1);
	assert_string_equal(w->log, "H:-27");
	assert_in_range(count_turns(w, 3.2), 4, 12);
	limit_files(0);
	store_world_run(w, 1);
	assert_string_equal(w->log, "H:-27 H:0");
	task_unref(t);
}

static void
room_for_next_to_nothing_is_none(void **state)
{
	struct store_world *w = *state;
	char *args = malloc(30001), log[PATH_MAX + 8];
	struct task *t;
	struct stat st;

	memset(args, '1', 30000);
	args[30000] = '\0';
	task_unref(put(w, 1));
	store_world_settle(w);
	snprintf(log, sizeof(log), "%s-wal", w->path);
	assert_int_equal(stat(log, &st), 0);
	limit_files((rlim_t)st.st_size + 20000);
	t = store_world_task(w, 2, args);
	assert_int_equal(store_put(w->store, t), 0);
	task_unref(t);
	free(args);
	store_world_run(w, 2);
	assert_string_equal(w->log, "F2:-27 H:-27");
	(void)count_turns(w, 2.2);
	assert_string_equal(w->log, "F2:-27 H:-27");
	limit_files(0);
	store_world_run(w, 1);
	assert_string_equal(w->log, "F2:-27 H:-27 H:0");
}

/* However much else there is to be written before them. */
static void
no_put_waits_for_a_disk_that_is_full(void **state)
{
	static struct task *old[6000];
	struct store_world *w = *state;
	uint64_t id;

	for (id = 1; id <= 6000; id++)
		old[id - 1] = put(w, id);
	store_world_settle(w);
	fill_disk(w);
	for (id = 1; id <= 6000; id++)
		store_world_start(w, old[id - 1]);
	task_unref(put(w, 7000));
	store_world_barrier(w);
	store_world_run(w, 3);
	assert_string_equal(w->log, "F7000:-27 H:-27 B:-27");
	/* Nor does what is asked while it is. */
	assert_int_equal(store_pause(w->store, &w->queues[0], true), 0);
	store_world_barrier(w);
	store_world_run(w, 1);
	assert_string_equal(w->log, "F7000:-27 H:-27 B:-27 B:-27");
	limit_files(0);
	store_world_settle(w);
	assert_int_equal(counts(w).n_tasks, 6000);
	/* An id that was refused is not given out again. */
	store_world_close(w);
	assert_int_equal(store_world_open(w, true), 0);
	assert_int_equal(w->found.last_id, 7000);
	assert_int_equal(w->found.n_paused, 1);
	for (id = 1; id <= 6000; id++)
		task_unref(old[id - 1]);
}

/* Write to one task until the log finds no more room. */
static void
write_until_full(struct store_world *w, struct task *t)
{
	while (strstr(w->log, "H:") == NULL) {
		t->interrupted++;
		store_update(w->store, t);
		store_world_barrier(w);
		w->log[0] = '\0';
		store_world_run(w, 1);
	}
}

static void
a_log_that_fills_the_disk_is_used_again_when_it_can_be(void **state)
{
	struct store_world *w = *state;
	struct task *t = put(w, 1);
	sqlite3 *db;

	store_world_settle(w);
	assert_int_equal(
	    sqlite3_open_v2(w->path, &db, SQLITE_OPEN_READONLY, NULL),
	    SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(db, "BEGIN; SELECT * FROM tasks", NULL, NULL, NULL),
	    SQLITE_OK);
	limit_files(1 << 20);
	write_until_full(w, t);
	w->log[0] = '\0';
	/* There is no more room than before, but nobody reads the old log. */
	assert_int_equal(
	    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	store_world_run(w, 1);
	assert_string_equal(w->log, "H:0");
	store_world_settle(w);
	store_world_get(w, 1);
	assert_int_equal(w->got->interrupted, t->interrupted);
	task_unref(t);
}

/* Leave a log behind. */
static void
write_and_die(struct store_world *w)
{
	struct task *t;

	if (store_world_open(w, false) < 0)
		_exit(1);
	t = put(w, 1);
	store_world_start(w, t);
	while (t->interrupted < 100) {
		t->interrupted++;
		store_update(w->store, t);
		store_world_settle(w);
	}
	_exit(0);
}

static void
a_log_that_fills_the_disk_does_not_keep_it_from_being_opened(void **state)
{
	struct store_world *w = *state;
	int status;
	pid_t pid;

	store_world_close(w);
	pid = fork();
	if (pid == 0)
		write_and_die(w);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	fill_disk(w);
	assert_int_equal(store_world_open(w, false), 0);
	assert_int_equal(w->found.n_recovered, 1);
	store_world_get(w, 1);
	assert_int_equal(w->got->interrupted, 100);
}

static void
move_files(struct store_world *w, bool back)
{
	char a[PATH_MAX + 16], b[PATH_MAX + 16];

	snprintf(a, sizeof(a), "%s", w->path);
	snprintf(b, sizeof(b), "%s.old", w->path);
	assert_int_equal(back ? rename(b, a) : rename(a, b), 0);
	snprintf(a, sizeof(a), "%s-wal", w->path);
	snprintf(b, sizeof(b), "%s.old-wal", w->path);
	assert_int_equal(back ? rename(b, a) : rename(a, b), 0);
}

static void
nothing_is_kept_in_files_that_are_gone(void **state)
{
	struct store_world *w = *state;
	char log[PATH_MAX + 8];
	struct task *t;
	FILE *other;

	task_unref(put(w, 1));
	store_world_settle(w);
	move_files(w, false);
	t = put(w, 2);
	store_world_barrier(w);
	store_world_run(w, 3);
	assert_string_equal(w->log, "F2:-116 H:-116 B:-116");
	assert_non_null(strstr(w->why, "deleted, moved or replaced"));
	task_unref(t);
	w->log[0] = '\0';
	move_files(w, true);
	store_world_run(w, 1);
	assert_string_equal(w->log, "H:0");
	/* The log alone, too. */
	snprintf(log, sizeof(log), "%s-wal", w->path);
	assert_int_equal(unlink(log), 0);
	task_unref(put(w, 3));
	store_world_run(w, 2);
	assert_string_equal(w->log, "H:0 F3:-116 H:-116");
	/* What lies there now is somebody else's. */
	other = fopen(log, "w");
	assert_true(other != NULL && fputs("other", other) >= 0);
	fclose(other);
	store_world_close(w);
	assert_int_equal(access(log, F_OK), 0);
}

static void
what_is_over_is_dropped_and_its_space_given_back(void **state)
{
	struct store_world *w = *state;
	char args[900];
	struct task *t;
	uint64_t id;

	memset(args, '1', sizeof(args) - 1);
	args[sizeof(args) - 1] = '\0';
	w->limits.result_ttl_ms = 1;
	store_sqlite_set_limits(w->store, &w->limits);
	t = put(w, 100000); /* an old one pins nothing */
	task_unref(t);
	for (id = 1; id <= 8000; id++) {
		t = store_world_task(w, id, args);
		t->result_ttl_ms = id == 8000 ? 3600000 : -1;
		assert_int_equal(store_put(w->store, t), 0);
		task_unref(t);
	}
	store_world_settle(w);
	assert_true(counts(w).file_bytes > 7000000);
	for (id = 1; id <= 8000; id++) {
		t = store_world_task(w, id, args);
		t->result_ttl_ms = id == 8000 ? 3600000 : -1;
		store_world_succeed(w, t, "1");
		t->state = TASK_SUCCEEDED;
		task_unref(t);
	}
	store_world_settle(w);
	while (counts(w).n_ended > 1 || counts(w).file_bytes > 5000000)
		ev_run(w->loop, EVRUN_ONCE);
	assert_int_equal(counts(w).n_tasks, 2);
	store_world_get(w, 8000);
	assert_non_null(w->got);
	store_world_get(w, 7999);
	assert_int_equal(w->err, -ENOENT);
}

static void
what_is_not_to_be_kept_is_never_written(void **state)
{
	struct store_world *w = *state;
	struct task *t = put(w, 1), *u = put(w, 2);

	store_world_settle(w);
	t->result_ttl_ms = u->result_ttl_ms = 0;
	store_world_start(w, t);
	store_world_succeed(w, t, "1");
	task_unref(t);
	task_unref(u);
	u = put(w, 3);
	u->result_ttl_ms = 0;
	store_world_start(w, u);
	store_world_succeed(w, u, "1");
	task_unref(u);
	store_world_settle(w);
	assert_string_equal(w->log, "E1 E3");
	assert_int_equal(counts(w).n_tasks, 1);
	assert_int_equal(counts(w).n_ended, 0);
}

static void
an_idle_store_sleeps(void **state)
{
	struct store_world *w = *state;
	struct task *t = put(w, 1);

	store_world_start(w, t);
	store_world_succeed(w, t, "1"); /* over in an hour */
	task_unref(t);
	store_world_settle(w);
	assert_in_range(count_turns(w, 2.5), 0, 1);
}

static int
read_number(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *st;
	int n;

	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	return n;
}

static void
others_can_read_the_views_meanwhile(void **state)
{
	struct store_world *w = *state;
	struct task *t = put(w, 1);
	sqlite3 *db;
	uint64_t id;

	t->submitted_at = INT64_C(1790000000123);
	task_set_text(t, &t->key, strdup("k"));
	t->holds = true;
	store_world_settle(w);
	assert_int_equal(
	    sqlite3_open_v2(w->path, &db, SQLITE_OPEN_READONLY, NULL),
	    SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(db, "BEGIN; SELECT * FROM tasks", NULL, NULL, NULL),
	    SQLITE_OK);
	assert_int_equal(
	    read_number(db, "SELECT count(*) FROM tasks WHERE id = 1 AND "
			    "name = 'k0' AND queue = 'q0' AND "
			    "state = 'ready' AND priority = 5 AND "
			    "key = 'k' AND args = '[]' AND attempt = 0 AND "
			    "delivery = 'at_least_once' AND worker IS NULL "
			    "AND submitted_at = '2026-09-21T14:13:20.123Z'"),
	    1);
	/* A reader that stays makes nothing fail. */
	store_world_start(w, t);
	for (id = 2; id <= 5000; id++)
		task_unref(put(w, id));
	store_world_barrier(w);
	store_world_settle(w);
	assert_int_equal(w->err, 0);
	assert_int_equal(read_number(db, "SELECT count(*) FROM tasks"), 1);
	assert_int_equal(
	    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(read_number(db, "SELECT count(*) FROM tasks"), 5000);
	assert_int_equal(
	    read_number(db, "SELECT count(*) FROM tasks WHERE id = 1 AND "
			    "state = 'running' AND worker = 'pool/3' AND "
			    "pool = 'pool' AND attempt = 1"),
	    1);
	assert_int_equal(
	    read_number(db, "SELECT count(*) FROM queues WHERE name = 'q0' "
			    "AND NOT paused AND ready = 4999 AND "
			    "running = 1 AND scheduled = 0 AND "
			    "waiting_for_key = 0"),
	    1);
	sqlite3_close(db);
	task_unref(t);
}

static void
a_writer_that_stays_a_while_makes_nothing_fail(void **state)
{
	struct store_world *w = *state;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(w->path, &db), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	task_unref(put(w, 1));
	store_world_barrier(w);
	store_flush(w->store);
	(void)ev_run(w->loop, EVRUN_NOWAIT);
	assert_string_equal(w->log, "");
	assert_int_equal(
	    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	store_world_run(w, 1);
	assert_string_equal(w->log, "B:0");
}

/* What the child has been told, and tells on at once. */
struct promise {
	uint64_t id;
	bool ended;
};

struct child {
	struct store_world *w;
	int fd;
	uint64_t id;
};

static void
on_kept(void *arg, int err)
{
	struct child *c = arg;
	struct promise p = {c->id, false};

	if (err == 0)
		(void)!write(c->fd, &p, sizeof(p));
	free(c);
}

/* Put tasks, and finish each other one, until killed. */
static void
work(struct store_world *w, uint64_t first, int fd)
{
	struct child *c;
	struct task *t;
	uint64_t id;

	if (store_world_open(w, false) < 0)
		_exit(1);
	for (id = first;; id++) {
		t = put(w, id);
		c = malloc(sizeof(*c));
		*c = (struct child){w, fd, id};
		(void)store_barrier(w->store, on_kept, c);
		if (id % 2 == 0) {
			store_world_start(w, t);
			store_flush(w->store);
			store_world_succeed(w, t, "1");
		}
		task_unref(t);
		store_flush(w->store);
		if (id % 8 == 0)
			(void)ev_run(w->loop, EVRUN_ONCE);
	}
}

/* Let a child work for a while; the highest id that it was told to be kept. */
static uint64_t
work_and_kill(struct store_world *w, uint64_t first, uint64_t *n_out)
{
	struct promise p;
	uint64_t last = 0, n = 0;
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		work(w, first, fds[1]);
	}
	close(fds[1]);
	/* Its life is as long as so many answers. */
	while (n < *n_out && read(fds[0], &p, sizeof(p)) == sizeof(p)) {
		last = p.id;
		n++;
	}
	assert_int_equal(kill(pid, SIGKILL), 0);
	while (read(fds[0], &p, sizeof(p)) == sizeof(p)) {
		last = p.id;
		n++;
	}
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	*n_out = n;
	return last;
}

static void
what_was_told_to_be_kept_survives_a_kill(void **state)
{
	struct store_world *w = *state;
	uint64_t first = 1, id, last, n;
	int round;

	store_world_close(w);
	srandom(1);
	for (round = 0; round < ROUNDS; round++) {
		n = 1 + (uint64_t)random() % 500;
		last = work_and_kill(w, first, &n);
		assert_int_equal(store_world_open(w, false), 0);
		/* They were told in order, so all up to the last were. */
		assert_int_equal(last, first + n - 1);
		assert_true(w->found.last_id >= last);
		for (id = first; id <= last; id++) {
			store_world_get(w, id);
			assert_int_equal(w->err, 0);
			assert_int_equal(w->got->id, id);
			assert_true(
			    w->got->state == TASK_READY ||
			    (id % 2 == 0 && w->got->state == TASK_SUCCEEDED));
			w->log[0] = '\0';
		}
		first = w->found.last_id + 1;
		store_world_close(w);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static const struct CMUnitTest tests[] = {
    T(a_put_that_fails_is_told_and_news_are_kept),
    T(what_came_after_a_put_that_fails_goes_with_it),
    T(newer_news_win_over_those_that_failed),
    T(want_of_memory_is_a_failure_like_others),
    T(the_end_on_a_full_disk_loses_only_what_is_not_kept),
    T(what_fails_is_tried_again_once_a_second),
    T(room_for_next_to_nothing_is_none),
    T(no_put_waits_for_a_disk_that_is_full),
    T(a_log_that_fills_the_disk_is_used_again_when_it_can_be),
    T(a_log_that_fills_the_disk_does_not_keep_it_from_being_opened),
    T(nothing_is_kept_in_files_that_are_gone),
    T(what_is_over_is_dropped_and_its_space_given_back),
    T(what_is_not_to_be_kept_is_never_written),
    T(an_idle_store_sleeps),
    T(others_can_read_the_views_meanwhile),
    T(a_writer_that_stays_a_while_makes_nothing_fail),
    T(what_was_told_to_be_kept_survives_a_kill),
};

int
main(void)
{
	(void)signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
