/* SPDX-License-Identifier: ISC */
/*
 * store_recover.c - what a new broker does first with the database of an old
 * one
 *
 * Tasks that were running are ready again, in their old place, which is before
 * all that came later; so it is no fault of theirs.  One that may run at most
 * once has failed, for nobody knows how far it came.
 *
 * Each statement is served by a partial index, so it takes no longer for what
 * has ended long ago.
 */
#include "master/broker/store_recover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/clock.h"
#include "ipc/proto.h"
#include "master/broker/errors.h"
#include "master/broker/store_found.h"
#include "master/broker/store_write.h"

#define RECOVERIES_MAX "3" /* in SQL; more make a suspect */
#define BOOT_ID_SIZE   64

static const char cut_off[] =
    "the daemon died while it ran, and it may run at most once";

/* Which start of the machine this is; empty when it does not tell. */
static void
read_boot_id(char out[BOOT_ID_SIZE])
{
	ssize_t n = -1;
	int fd;

	fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, out, BOOT_ID_SIZE - 1);
		close(fd);
	}
	out[n < 0 ? 0 : n] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

/* True when the database was last opened since the machine has started. */
static int
is_same_boot(struct store_db *d, const char *boot_id, bool *out)
{
	sqlite3_stmt *st;
	const char *text;
	int r;

	r = store_db_prepare(
	    d, "SELECT value FROM meta WHERE name = 'boot_id'", &st);
	if (r < 0)
		return r;
	*out = false;
	r = store_db_step(d, st);
	if (r > 0) {
		text = (const char *)sqlite3_column_text(st, 0);
		*out = text != NULL && boot_id[0] != '\0' &&
		       strcmp(text, boot_id) == 0;
	}
	sqlite3_finalize(st);
	return r < 0 ? r : 0;
}

static int
note_boot_id(struct store_db *d, const char *boot_id)
{
	sqlite3_stmt *st = store_db_stmt(d, SQL_SET_META);

	if (st == NULL)
		return store_db_error(d);
	(void)sqlite3_bind_text(st, 1, "boot_id", -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(st, 2, boot_id, -1, SQLITE_STATIC);
	return store_db_run(d, st);
}

/*
 * Steady time goes on as it was within one start of the machine; after another
 * one the wall clock tells how long it was off.
 */
static int
set_clock(struct store_db *d)
{
	char boot_id[BOOT_ID_SIZE];
	bool same;
	int r;

	read_boot_id(boot_id);
	r = is_same_boot(d, boot_id, &same);
	if (r == 0 && same) {
		r = store_meta_get(d, "steady_ms", &d->steady_ms);
		if (r != -ENOENT)
			return r;
		r = 0;
	}
	if (r < 0)
		return r;
	d->steady_ms = wall_now_ms() - mono_now().ns / 1000000;
	r = note_boot_id(d, boot_id);
	return r < 0 ? r : store_meta_set(d, "steady_ms", d->steady_ms);
}

/* Run a statement with ?1; *n_out: how many rows it has changed. */
static int
change(struct store_db *d, const char *sql, int64_t a, uint64_t *n_out)
{
	sqlite3_stmt *st;
	int r;

	r = store_db_prepare(d, sql, &st);
	if (r < 0)
		return r;
	(void)sqlite3_bind_int64(st, 1, a);
	r = store_db_run(d, st);
	sqlite3_finalize(st);
	if (r == 0)
		*n_out = (uint64_t)sqlite3_changes(d->db);
	return r;
}

/* The last errors with the one of `attempt` added to them. */
static char *
add_error(const char *errors, int64_t attempt, int64_t now)
{
	const struct errors_entry e = {.attempt = (uint32_t)attempt,
	    .at_ms = now,
	    .code = RPC_INTERNAL_ERROR,
	    .message = cut_off};

	return errors_add(errors, &e);
}

static int
fail_one(
    struct store_db *d, sqlite3_stmt *update, sqlite3_stmt *row, int64_t ttl_ms)
{
	int64_t now = wall_now_ms(), until = store_db_now(d) + ttl_ms;
	char *error, *errors;
	int r;

	errors = add_error((const char *)sqlite3_column_text(row, 2),
	    sqlite3_column_int64(row, 1) + 1, now);
	error = sqlite3_mprintf("{\"code\":%d,\"message\":\"%s\",\"data\":"
				"{\"retryable\":false}}",
	    RPC_INTERNAL_ERROR, cut_off);
	r = errors == NULL || error == NULL ? -ENOMEM : 0;
	if (r == 0) {
		(void)sqlite3_reset(update);
		(void)sqlite3_bind_int64(
		    update, 1, sqlite3_column_int64(row, 0));
		(void)sqlite3_bind_int64(update, 2, now);
		(void)sqlite3_bind_int64(update, 3, until);
		(void)sqlite3_bind_text(update, 4, error, -1, SQLITE_TRANSIENT);
		(void)sqlite3_bind_text(
		    update, 5, errors, -1, SQLITE_TRANSIENT);
		r = store_db_run(d, update);
	}
	sqlite3_free(error);
	free(errors);
	return r;
}

/* Fail what was running and may run at most once. */
static int
break_off(struct store_db *d, int64_t ttl_ms, uint64_t *n_out)
{
	sqlite3_stmt *row, *update;
	int r;

	r = store_db_prepare(d,
	    "SELECT id, attempt, errors FROM task "
	    "WHERE state = 2 AND flags & 2 LIMIT 1",
	    &row);
	if (r < 0)
		return r;
	r = store_db_prepare(d,
	    "UPDATE task SET state = 4, attempt = attempt + 1, mail = 0, "
	    "flags = flags & ~4, finished_at = ?2, until_ms = ?3, "
	    "error = ?4, errors = ?5 WHERE id = ?1",
	    &update);
	/* The index that it is found by changes with each. */
	while (r == 0 && (r = store_db_step(d, row)) > 0) {
		r = fail_one(d, update, row, ttl_ms);
		(void)sqlite3_reset(row);
		++*n_out;
	}
	sqlite3_finalize(row);
	sqlite3_finalize(update);
	return r;
}

struct keys {
	char **texts;
	size_t n, cap;
};

static int
keys_add(struct keys *k, const char *text)
{
	char **texts;
	size_t cap;

	if (k->n == k->cap) {
		cap = k->cap == 0 ? 64 : 2 * k->cap;
		texts = reallocarray(k->texts, cap, sizeof(*texts));
		if (texts == NULL)
			return -ENOMEM;
		k->texts = texts;
		k->cap = cap;
	}
	k->texts[k->n] = text == NULL ? NULL : strdup(text);
	if (k->texts[k->n] == NULL)
		return -ENOMEM;
	k->n++;
	return 0;
}

/* Keys that tasks wait behind, and nobody holds. */
static int
find_orphans(struct store_db *d, struct keys *out)
{
	sqlite3_stmt *st;
	int r;

	r = store_db_prepare(d,
	    "SELECT key FROM task WHERE key IS NOT NULL AND state < 3 "
	    "GROUP BY key HAVING max(mail = 2) AND NOT max(mail = 1)",
	    &st);
	while (r == 0 && (r = store_db_step(d, st)) > 0)
		r = keys_add(out, (const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	return r;
}

/* Let the first that waits for a key hold it, where nobody does. */
static int
heal_keys(struct store_db *d)
{
	struct keys keys = {0};
	sqlite3_stmt *st = NULL;
	size_t i;
	int r;

	r = find_orphans(d, &keys);
	if (r == 0 && keys.n > 0)
		r = store_db_prepare(d,
		    "UPDATE task SET mail = 1 WHERE id = (SELECT id FROM task "
		    "WHERE key IS NOT NULL AND state < 3 AND key = ?1 "
		    "AND mail = 2 ORDER BY seq LIMIT 1)",
		    &st);
	for (i = 0; i < keys.n; i++) {
		if (r == 0) {
			(void)sqlite3_reset(st);
			(void)sqlite3_bind_text(
			    st, 1, keys.texts[i], -1, SQLITE_STATIC);
			r = store_db_run(d, st);
		}
		free(keys.texts[i]);
	}
	sqlite3_finalize(st);
	free(keys.texts);
	return r;
}

/* Who wanted it cancelled has been waiting for just that. */
static int
give_up(struct store_db *d, int64_t ttl_ms)
{
	sqlite3_stmt *st;
	int r;

	r = store_db_prepare(d,
	    "UPDATE task SET state = 5, mail = 0, flags = flags & ~4, "
	    "finished_at = ?1, until_ms = ?2 + CASE WHEN result_ttl_ms >= 0 "
	    "THEN result_ttl_ms ELSE ?3 END WHERE state = 2 AND flags & 4",
	    &st);
	if (r < 0)
		return r;
	(void)sqlite3_bind_int64(st, 1, wall_now_ms());
	(void)sqlite3_bind_int64(st, 2, store_db_now(d));
	(void)sqlite3_bind_int64(st, 3, ttl_ms);
	r = store_db_run(d, st);
	sqlite3_finalize(st);
	return r;
}

/* Right what the death of a broker has left behind. */
static int
heal(struct store_db *d, const struct store_sqlite_limits *limits,
    struct store_found *found)
{
	int r;

	r = break_off(d, limits->failed_ttl_ms, &found->n_broken_off);
	if (r == 0)
		r = give_up(d, limits->result_ttl_ms);
	if (r == 0)
		r = store_db_count(d,
		    "SELECT count(*) FROM task WHERE state = 2 "
		    "AND recoveries >= " RECOVERIES_MAX,
		    &found->n_suspects);
	if (r == 0)
		r = change(d,
		    "UPDATE task SET state = 1, recoveries = recoveries + 1, "
		    "flags = flags | CASE WHEN recoveries >= " RECOVERIES_MAX
		    " THEN 1 ELSE 0 "
		    "END, mail = CASE WHEN mail = 2 THEN 1 ELSE mail END, "
		    "ready_ms = ?1 WHERE state = 2",
		    store_db_now(d), &found->n_recovered);
	return r < 0 ? r : heal_keys(d);
}

static int
read_limits(struct store_db *d)
{
	int64_t id = 0, seq = 0;
	int r;

	r = store_meta_get(d, "last_id", &id);
	if (r == 0 || r == -ENOENT)
		r = store_meta_get(d, "last_seq", &seq);
	if (r < 0 && r != -ENOENT)
		return r;
	d->next_id_limit = (uint64_t)id;
	d->next_seq_limit = (uint64_t)seq;
	return 0;
}

static int
recover(struct store_db *d, bool resume,
    const struct store_sqlite_limits *limits, struct store_found *found)
{
	int r;

	r = set_clock(d);
	if (r == 0)
		r = read_limits(d);
	if (r == 0 && !resume)
		r = heal(d, limits, found);
	return r < 0 ? r : store_found_fill(d, found);
}

static int
recover_in_one(struct store_db *d, bool resume,
    const struct store_sqlite_limits *limits, struct store_found *found)
{
	int r;

	r = store_db_begin(d);
	if (r < 0)
		return r;
	r = recover(d, resume, limits, found);
	if (r == 0)
		return store_db_commit(d);
	store_db_rollback(d);
	return r;
}

int
store_recover(struct store_db *d, bool resume,
    const struct store_sqlite_limits *limits, struct store_found *found)
{
	int r;

	r = recover_in_one(d, resume, limits, found);
	/* A log that was left behind may be what fills the disk. */
	if (store_db_is_full(r) && store_db_checkpoint(d) == 0) {
		store_found_done(found);
		r = recover_in_one(d, resume, limits, found);
	}
	if (r < 0)
		return r;
	store_db_note_files(d);
	d->counts.commits = 0;
	found->last_id = d->id_limit;
	found->last_seq = d->seq_limit;
	found->steady_ms = d->steady_ms;
	/* What is over already goes in the first step. */
	d->due_ms = store_db_now(d);
	return store_write_measure(d);
}
