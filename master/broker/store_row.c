/* SPDX-License-Identifier: ISC */
/*
 * store_row.c - a task as a row of the database, and back
 *
 * Arguments that are long are in a table of their own: SQLite writes a row that
 * changes anew, whole, and they never change.
 *
 * Runs in the storage thread.
 */
#include "master/broker/store_row.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ipc/clock.h"

#define BIG_BYTES     1024              /* of arguments and meta together */
#define KEY_KEPT_MS   INT64_C(86400000) /* an idempotency key's time */
#define NAME_SQL_SIZE 96

_Static_assert(TASK_SCHEDULED == 0 && TASK_READY == 1 && TASK_RUNNING == 2 &&
		   TASK_SUCCEEDED == 3 && TASK_FAILED == 4 &&
		   TASK_CANCELLED == 5 && TASK_EXPIRED == 6 &&
		   TASK_QUARANTINED == 7,
    "these are the database's numbers too");
/* store_recover.c says these in SQL. */
_Static_assert(FLAG_SUSPECT == 1 && FLAG_AT_MOST_ONCE == 2 &&
		   FLAG_CANCELLING == 4 && MAIL_NONE == 0 && MAIL_HOLDS == 1 &&
		   MAIL_PARKED == 2 && COL_N == 38,
    "these are, too");

static void
bind_int(sqlite3_stmt *st, enum store_column col, int64_t v)
{
	(void)sqlite3_bind_int64(st, (int)col + 1, v);
}

/* 0 stands for NULL where an index leaves those out. */
static void
bind_int_or_null(sqlite3_stmt *st, enum store_column col, int64_t v)
{
	if (v == 0)
		(void)sqlite3_bind_null(st, (int)col + 1);
	else
		(void)sqlite3_bind_int64(st, (int)col + 1, v);
}

/* The text stays until the statement was carried out. */
static void
bind_text(sqlite3_stmt *st, int col, const char *text)
{
	if (text == NULL)
		(void)sqlite3_bind_null(st, col + 1);
	else
		(void)sqlite3_bind_text(st, col + 1, text, -1, SQLITE_STATIC);
}

static int
insert_name(struct store_db *d, struct store_names *names, const char *table,
    const char *name, int64_t *id_out)
{
	char sql[NAME_SQL_SIZE];
	sqlite3_stmt *st;
	int r;

	snprintf(sql, sizeof(sql), "INSERT INTO %s (name) VALUES (?1)", table);
	r = store_db_prepare(d, sql, &st);
	if (r < 0)
		return r;
	bind_text(st, 0, name);
	r = store_db_run(d, st);
	sqlite3_finalize(st);
	if (r < 0)
		return r;
	*id_out = sqlite3_last_insert_rowid(d->db);
	return store_names_add(names, *id_out, name);
}

int
store_row_name(struct store_db *d, struct store_names *names, const char *table,
    const char *name, int64_t *id_out)
{
	*id_out = store_names_find(names, name);
	return *id_out != 0 ? 0 : insert_name(d, names, table, name, id_out);
}

static bool
is_big(const struct task *t)
{
	size_t n = 0;

	if (t->n_bytes <= BIG_BYTES)
		return false;
	if (t->args != NULL)
		n += strlen(t->args);
	if (t->meta != NULL)
		n += strlen(t->meta);
	return n > BIG_BYTES;
}

static unsigned
flags_of(const struct task *t)
{
	return (t->suspect ? FLAG_SUSPECT : 0U) |
	       (t->at_most_once ? FLAG_AT_MOST_ONCE : 0U) |
	       (t->cancelling ? FLAG_CANCELLING : 0U);
}

static int64_t
mail_of(const struct task *t)
{
	if (t->parked)
		return MAIL_PARKED;
	return t->holds ? MAIL_HOLDS : MAIL_NONE;
}

/* What may change while it lives. */
static int
bind_news(struct store_db *d, sqlite3_stmt *st, const struct store_row *row)
{
	const struct task *t = &row->image;
	int64_t pool = 0;
	int r;

	if (row->pool != NULL) {
		r = store_row_name(d, &d->pools, "pool", row->pool, &pool);
		if (r < 0)
			return r;
	}
	bind_int(st, COL_ID, (int64_t)t->id);
	bind_int(st, COL_STATE, t->state);
	bind_int(st, COL_SEQ, (int64_t)t->seq);
	bind_int(st, COL_MAIL, mail_of(t));
	bind_int(st, COL_WALL, t->run_at_is_wall);
	bind_int(st, COL_DUE, t->due_ms);
	bind_int(st, COL_EXPIRES, t->expires_ms);
	bind_int(st, COL_READY, row->ready_ms);
	bind_int_or_null(st, COL_UNTIL, row->until_ms);
	bind_int(st, COL_FLAGS, flags_of(t));
	bind_int(st, COL_ATTEMPT, t->attempt);
	bind_int(st, COL_RUN, t->run);
	bind_int(st, COL_CRASHES, t->crashes);
	bind_int(st, COL_INTERRUPTED, t->interrupted);
	bind_int(st, COL_RECOVERIES, t->recoveries);
	bind_int(st, COL_RUN_AT, t->run_at);
	bind_int(st, COL_STARTED, t->started_at);
	bind_int(st, COL_FINISHED, t->finished_at);
	bind_int_or_null(st, COL_POOL, pool);
	bind_int(st, COL_WORKER, t->worker);
	bind_text(st, COL_RESULT, t->result);
	bind_text(st, COL_ERROR, t->error);
	bind_text(st, COL_ERRORS, t->errors);
	return 0;
}

static int
bind_all(
    struct store_db *d, sqlite3_stmt *st, const struct store_row *row, bool big)
{
	const struct task *t = &row->image;
	int64_t queue = 0, kind = 0;
	int r;

	r = store_row_name(d, &d->queues, "queue", row->queue, &queue);
	if (r == 0)
		r = store_row_name(d, &d->kinds, "kind", row->kind, &kind);
	if (r == 0)
		r = bind_news(d, st, row);
	if (r < 0)
		return r;
	bind_int(st, COL_QUEUE, queue);
	bind_int(st, COL_KIND, kind);
	bind_int(st, COL_PRIORITY, t->priority);
	bind_int(st, COL_BIG, big);
	bind_int(st, COL_RETRIES, t->retries);
	bind_int(st, COL_BACKOFF, t->backoff_ms);
	bind_int(st, COL_TIMEOUT, t->timeout_ms);
	bind_int(st, COL_SOFT_TIMEOUT, t->soft_timeout_ms);
	bind_int(st, COL_RESULT_TTL, t->result_ttl_ms);
	bind_int(st, COL_SUBMITTED, t->submitted_at);
	bind_text(st, COL_KEY, t->key);
	bind_text(st, COL_UNIQUE, t->unique);
	bind_text(st, COL_IDEMPOTENCY, t->idempotency_key);
	bind_text(st, COL_ARGS, big ? NULL : t->args);
	bind_text(st, COL_META, big ? NULL : t->meta);
	return 0;
}

static int
insert_payload(struct store_db *d, const struct task *t)
{
	sqlite3_stmt *st = store_db_stmt(d, SQL_INSERT_PAYLOAD);

	if (st == NULL)
		return store_db_error(d);
	(void)sqlite3_bind_int64(st, 1, (int64_t)t->id);
	bind_text(st, 1, t->args);
	bind_text(st, 2, t->meta);
	return store_db_run(d, st);
}

static int
insert_idempotency(struct store_db *d, const struct task *t)
{
	sqlite3_stmt *st = store_db_stmt(d, SQL_INSERT_IDEMPOTENCY);
	int64_t until = store_db_now(d) + KEY_KEPT_MS;

	if (st == NULL)
		return store_db_error(d);
	bind_text(st, 0, t->idempotency_key);
	(void)sqlite3_bind_int64(st, 2, (int64_t)t->id);
	(void)sqlite3_bind_int64(st, 3, until);
	if (until < d->due_ms)
		d->due_ms = until;
	return store_db_run(d, st);
}

static int
insert(struct store_db *d, const struct store_row *row)
{
	sqlite3_stmt *st = store_db_stmt(d, SQL_INSERT);
	bool big = is_big(&row->image);
	int r;

	if (st == NULL)
		return store_db_error(d);
	r = bind_all(d, st, row, big);
	if (r == 0)
		r = store_db_run(d, st);
	if (r == 0 && big)
		r = insert_payload(d, &row->image);
	if (r < 0)
		return r;
	d->next.n_tasks++;
	if (task_is_final(&row->image))
		d->next.n_ended++;
	return 0;
}

/* 1 when there was no such row. */
static int
update(struct store_db *d, const struct store_row *row)
{
	sqlite3_stmt *st = store_db_stmt(d, SQL_UPDATE);
	int r;

	if (st == NULL)
		return store_db_error(d);
	r = bind_news(d, st, row);
	if (r == 0)
		r = store_db_run(d, st);
	if (r < 0)
		return r;
	if (sqlite3_changes(d->db) == 0)
		return 1;
	if (task_is_final(&row->image) && (row->news & NEWS_WAS_ENDED) == 0)
		d->next.n_ended++;
	else if (!task_is_final(&row->image) &&
		 (row->news & NEWS_WAS_ENDED) != 0)
		d->next.n_ended--;
	return 0;
}

/* Delete a row by that statement; how many they were. */
static int
delete_row(struct store_db *d, enum store_sql sql, int64_t id, bool big)
{
	sqlite3_stmt *st = store_db_stmt(d, sql);
	int n, r;

	if (st == NULL)
		return store_db_error(d);
	(void)sqlite3_bind_int64(st, 1, id);
	r = store_db_run(d, st);
	n = sqlite3_changes(d->db);
	if (r == 0 && n > 0 && big) {
		st = store_db_stmt(d, SQL_DELETE_PAYLOAD);
		if (st == NULL)
			return store_db_error(d);
		(void)sqlite3_bind_int64(st, 1, id);
		r = store_db_run(d, st);
	}
	return r < 0 ? r : n;
}

int
store_row_delete(struct store_db *d, int64_t id, bool big)
{
	return delete_row(d, SQL_DELETE, id, big);
}

static int
erase(struct store_db *d, const struct store_row *row)
{
	bool only_erased = (row->news & NEWS_ANY) == NEWS_ERASE;
	int r;

	r = delete_row(d, only_erased ? SQL_DELETE_ENDED : SQL_DELETE,
	    (int64_t)row->image.id, is_big(&row->image));
	if (r <= 0)
		return r;
	d->next.n_tasks--;
	if ((row->news & NEWS_WAS_ENDED) != 0)
		d->next.n_ended--;
	return 0;
}

int
store_row_write(struct store_db *d, const struct store_row *row)
{
	bool gone = task_is_final(&row->image) &&
		    ((row->news & NEWS_ERASE) != 0 || row->until_ms == 0);
	int r;

	if ((row->news & NEWS_PUT) != 0 && row->image.idempotency_key != NULL) {
		r = insert_idempotency(d, &row->image);
		if (r < 0)
			return r;
	}
	if (gone)
		return (row->news & NEWS_PUT) != 0 ? 0 : erase(d, row);
	if (row->until_ms != 0 && row->until_ms < d->due_ms)
		d->due_ms = row->until_ms;
	if ((row->news & NEWS_PUT) != 0)
		return insert(d, row);
	r = update(d, row);
	return r <= 0 ? r : insert(d, row);
}

static int64_t
int_of(sqlite3_stmt *st, enum store_column col)
{
	return sqlite3_column_int64(st, (int)col);
}

static int
copy_text(sqlite3_stmt *st, int col, struct task *t, char **field)
{
	const unsigned char *text;
	char *copy;

	if (sqlite3_column_type(st, col) == SQLITE_NULL)
		return 0;
	text = sqlite3_column_text(st, col);
	copy = text == NULL ? NULL : strdup((const char *)text);
	if (copy == NULL)
		return -ENOMEM;
	task_set_text(t, field, copy);
	return 0;
}

static int
read_payload(struct store_db *d, struct task *t)
{
	sqlite3_stmt *st = store_db_stmt(d, SQL_GET_PAYLOAD);
	int r;

	if (st == NULL)
		return store_db_error(d);
	(void)sqlite3_bind_int64(st, 1, (int64_t)t->id);
	r = store_db_step(d, st);
	if (r <= 0)
		return r < 0 ? r : -EUCLEAN;
	r = copy_text(st, 0, t, &t->args);
	if (r == 0)
		r = copy_text(st, 1, t, &t->meta);
	(void)sqlite3_reset(st);
	return r;
}

static int
read_texts(struct store_db *d, sqlite3_stmt *st, struct task *t)
{
	int r;

	r = copy_text(st, COL_KEY, t, &t->key);
	if (r == 0)
		r = copy_text(st, COL_UNIQUE, t, &t->unique);
	if (r == 0)
		r = copy_text(st, COL_IDEMPOTENCY, t, &t->idempotency_key);
	if (r == 0)
		r = copy_text(st, COL_RESULT, t, &t->result);
	if (r == 0)
		r = copy_text(st, COL_ERROR, t, &t->error);
	if (r == 0)
		r = copy_text(st, COL_ERRORS, t, &t->errors);
	if (r < 0)
		return r;
	if (int_of(st, COL_BIG) != 0)
		return read_payload(d, t);
	r = copy_text(st, COL_ARGS, t, &t->args);
	return r < 0 ? r : copy_text(st, COL_META, t, &t->meta);
}

/* Steady ms as an instant; never the one that means none. */
static struct mono
to_mono(const struct store_db *d, int64_t ms)
{
	struct mono at = mono_add_ms((struct mono){0}, ms - d->steady_ms);

	if (at.ns == 0)
		at.ns = 1;
	return at;
}

static void
read_times(const struct store_db *d, sqlite3_stmt *st, struct task *t)
{
	t->submitted_at = int_of(st, COL_SUBMITTED);
	t->run_at = int_of(st, COL_RUN_AT);
	t->started_at = int_of(st, COL_STARTED);
	t->finished_at = int_of(st, COL_FINISHED);
	t->run_at_is_wall = int_of(st, COL_WALL) != 0;
	t->due_ms = int_of(st, COL_DUE);
	t->expires_ms = int_of(st, COL_EXPIRES);
	if (t->expires_ms != 0)
		t->expires = to_mono(d, t->expires_ms);
	if (t->state == TASK_SCHEDULED && t->due_ms != 0)
		t->due = t->run_at_is_wall ? mono_add_ms(mono_now(),
						 t->due_ms - wall_now_ms())
					   : to_mono(d, t->due_ms);
	if (int_of(st, COL_READY) != 0)
		t->ready_at = to_mono(d, int_of(st, COL_READY));
}

static void
read_numbers(sqlite3_stmt *st, struct task *t)
{
	int64_t flags = int_of(st, COL_FLAGS), mail = int_of(st, COL_MAIL);

	t->state = (enum task_state)int_of(st, COL_STATE);
	t->priority = (uint8_t)int_of(st, COL_PRIORITY);
	t->durable = true;
	t->suspect = (flags & FLAG_SUSPECT) != 0;
	t->at_most_once = (flags & FLAG_AT_MOST_ONCE) != 0;
	t->cancelling = (flags & FLAG_CANCELLING) != 0;
	t->holds = mail == MAIL_HOLDS;
	t->parked = mail == MAIL_PARKED;
	t->seq = (uint64_t)int_of(st, COL_SEQ);
	t->attempt = (uint32_t)int_of(st, COL_ATTEMPT);
	t->retries = (uint32_t)int_of(st, COL_RETRIES);
	t->run = (uint32_t)int_of(st, COL_RUN);
	t->crashes = (uint32_t)int_of(st, COL_CRASHES);
	t->interrupted = (uint32_t)int_of(st, COL_INTERRUPTED);
	t->recoveries = (uint32_t)int_of(st, COL_RECOVERIES);
	t->backoff_ms = int_of(st, COL_BACKOFF);
	t->timeout_ms = int_of(st, COL_TIMEOUT);
	t->soft_timeout_ms = int_of(st, COL_SOFT_TIMEOUT);
	t->result_ttl_ms = int_of(st, COL_RESULT_TTL);
	t->worker = (unsigned)int_of(st, COL_WORKER);
	if (task_is_final(t))
		t->news = NEWS_WAS_ENDED;
}

int
store_row_read(
    struct store_db *d, sqlite3_stmt *st, struct store_item *item_out)
{
	struct store_item item;
	int64_t state = int_of(st, COL_STATE);
	int r;

	item.queue = store_names_text(&d->queues, int_of(st, COL_QUEUE));
	item.kind = store_names_text(&d->kinds, int_of(st, COL_KIND));
	item.pool = store_names_text(&d->pools, int_of(st, COL_POOL));
	if (item.queue == NULL || item.kind == NULL || state < 0 ||
	    state >= TASK_N_STATES)
		return -EUCLEAN;
	item.t = task_new((uint64_t)int_of(st, COL_ID));
	if (item.t == NULL)
		return -ENOMEM;
	read_numbers(st, item.t);
	read_times(d, st, item.t);
	r = read_texts(d, st, item.t);
	if (r < 0) {
		task_unref(item.t);
		return r;
	}
	*item_out = item;
	return 0;
}
