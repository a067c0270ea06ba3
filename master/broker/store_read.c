/* SPDX-License-Identifier: ISC */
/*
 * store_read.c - carry out what a batch asks for
 *
 * Each call takes a bounded time: a list looks at so many rows and says where
 * it goes on, a fetch is served by an index.
 *
 * Runs in the storage thread.
 */
#include "master/broker/store_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/clock.h"
#include "ipc/log.h"
#include "master/broker/store_row.h"

#define SCAN_MAX   20000 /* rows that one list looks at, ... */
#define SCAN_MS    5     /* ... and how long */
#define SCAN_CHECK 256

static void
bind_int(sqlite3_stmt *st, int at, int64_t v)
{
	(void)sqlite3_bind_int64(st, at, v);
}

static void
bind_text(sqlite3_stmt *st, int at, const char *text)
{
	(void)sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC);
}

/* Keep the task of the row that st is at. */
static int
take_item(struct store_db *d, sqlite3_stmt *st, struct store_call *c)
{
	struct store_item *items;
	size_t cap;
	int r;

	if (c->n_items == c->cap_items) {
		cap = c->cap_items == 0 ? 4 : 2 * c->cap_items;
		items = reallocarray(c->items, cap, sizeof(*items));
		if (items == NULL)
			return -ENOMEM;
		c->items = items;
		c->cap_items = cap;
	}
	r = store_row_read(d, st, &c->items[c->n_items]);
	if (r == 0)
		c->n_items++;
	return r;
}

/* The same for one of several: a row that makes no sense is passed over. */
static int
take_next(struct store_db *d, sqlite3_stmt *st, struct store_call *c)
{
	int r = take_item(d, st, c);

	if (r != -EUCLEAN)
		return r;
	log_error("the store's row of task %lld makes no sense: passed over",
	    (long long)sqlite3_column_int64(st, COL_ID));
	return 0;
}

static int
get(struct store_db *d, struct store_call *c)
{
	sqlite3_stmt *st = store_db_stmt(d, SQL_GET);
	int r;

	if (st == NULL)
		return store_db_error(d);
	bind_int(st, 1, (int64_t)c->id);
	r = store_db_step(d, st);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	r = take_item(d, st, c);
	(void)sqlite3_reset(st);
	return r;
}

struct wanted {
	const struct store_filter *filter;
	int64_t queue, kind; /* 0: any */
};

static bool
fits(const struct wanted *w, sqlite3_stmt *st)
{
	const struct store_filter *f = w->filter;
	int state = sqlite3_column_int(st, COL_STATE);
	int64_t at;

	if ((f->state >= 0 && state != f->state) ||
	    (f->waiting && state > TASK_READY) ||
	    (f->ended && !task_state_is_final((enum task_state)state)))
		return false;
	if ((w->queue != 0 &&
		sqlite3_column_int64(st, COL_QUEUE) != w->queue) ||
	    (w->kind != 0 && sqlite3_column_int64(st, COL_KIND) != w->kind))
		return false;
	if (f->since_ms == 0 && f->until_ms == 0)
		return true;
	at = sqlite3_column_int64(st, COL_SUBMITTED);
	return at >= f->since_ms && (f->until_ms == 0 || at < f->until_ms);
}

/* The ids of the names that are filtered by; false: nothing can fit. */
static bool
find_wanted(
    const struct store_db *d, const struct store_call *c, struct wanted *out)
{
	out->filter = &c->filter;
	out->queue = out->kind = 0;
	if (c->queue_name != NULL) {
		out->queue = store_names_look_up(&d->queues, c->queue_name);
		if (out->queue == 0)
			return false;
	}
	if (c->kind_name != NULL) {
		out->kind = store_names_look_up(&d->kinds, c->kind_name);
		if (out->kind == 0)
			return false;
	}
	return true;
}

/* Go through the rows; 1: the list goes on below c->cursor. */
static int
scan(struct store_db *d, struct store_call *c, sqlite3_stmt *st,
    const struct wanted *w)
{
	struct mono until = mono_add_ms(mono_now(), SCAN_MS);
	size_t seen = 0;
	int r;

	while ((r = store_db_step(d, st)) > 0) {
		if (c->n_items == c->filter.limit || seen == SCAN_MAX ||
		    (seen > 0 && seen % SCAN_CHECK == 0 &&
			mono_reached(mono_now(), until)))
			return 1;
		c->cursor = (uint64_t)sqlite3_column_int64(st, COL_ID);
		seen++;
		if (!fits(w, st))
			continue;
		r = take_next(d, st, c);
		if (r < 0)
			break;
	}
	return r;
}

static int
list(struct store_db *d, struct store_call *c)
{
	const struct store_filter *f = &c->filter;
	struct wanted w;
	sqlite3_stmt *st;
	int r;

	if (!find_wanted(d, c, &w))
		return 0;
	st = store_db_stmt(
	    d, f->state == TASK_RUNNING ? SQL_LIST_RUNNING : SQL_LIST);
	if (st == NULL)
		return store_db_error(d);
	bind_int(st, 1,
	    f->below_id == 0 || f->below_id > INT64_MAX ? INT64_MAX
							: (int64_t)f->below_id);
	r = scan(d, c, st, &w);
	(void)sqlite3_reset(st);
	if (r <= 0)
		c->cursor = 0;
	return r < 0 ? r : 0;
}

/* The statement of a range with its values; NULL: see *r_out, 0 for nothing. */
static sqlite3_stmt *
range_stmt(struct store_db *d, const struct store_call *c, int *r_out)
{
	static const enum store_sql sql[] = {
	    [STORE_READY] = SQL_FETCH_READY,
	    [STORE_KEY] = SQL_FETCH_KEY,
	    [STORE_DUE_STEADY] = SQL_FETCH_DUE,
	    [STORE_DUE_WALL] = SQL_FETCH_DUE,
	    [STORE_EXPIRED] = SQL_FETCH_EXPIRED,
	};
	const struct store_range *range = &c->range;
	sqlite3_stmt *st = store_db_stmt(d, sql[range->order]);

	if (st == NULL) {
		*r_out = store_db_error(d);
		return NULL;
	}
	*r_out = 0;
	switch (range->order) {
	case STORE_READY:
		bind_int(st, 1, store_names_look_up(&d->queues, c->queue_name));
		bind_int(st, 2, store_names_look_up(&d->kinds, c->kind_name));
		bind_int(st, 3, range->priority);
		bind_int(st, 4, range->after);
		break;
	case STORE_KEY:
		bind_text(st, 1, c->text);
		bind_int(st, 2, range->after);
		break;
	case STORE_DUE_STEADY:
	case STORE_DUE_WALL:
		bind_int(st, 1, range->order == STORE_DUE_WALL);
		bind_int(st, 2, range->after);
		bind_int(st, 3, (int64_t)range->after_id);
		break;
	case STORE_EXPIRED:
		bind_int(st, 1, range->after);
		bind_int(st, 2, (int64_t)range->after_id);
		bind_int(st, 3, range->until);
		break;
	}
	return st;
}

/* Where the order goes on after t; not 0. */
static uint64_t
cursor_after(enum store_order order, const struct task *t)
{
	int64_t at;

	switch (order) {
	case STORE_READY:
	case STORE_KEY:
		at = (int64_t)t->seq;
		break;
	case STORE_EXPIRED:
		at = t->expires_ms;
		break;
	default:
		at = t->due_ms;
		break;
	}
	return at > 0 ? (uint64_t)at : 1;
}

static int
next_expires(struct store_db *d, int64_t until, uint64_t *out)
{
	sqlite3_stmt *st = store_db_stmt(d, SQL_NEXT_EXPIRES);
	int64_t at = 0;
	int r;

	if (st == NULL)
		return store_db_error(d);
	bind_int(st, 1, until);
	r = store_db_number(d, st, &at);
	if (r < 0 && r != -ENOENT)
		return r;
	*out = (uint64_t)at;
	return 0;
}

static int
fetch(struct store_db *d, struct store_call *c)
{
	const struct store_range *range = &c->range;
	size_t n, bytes = 0;
	sqlite3_stmt *st;
	int r;

	st = range_stmt(d, c, &r);
	if (st == NULL)
		return r;
	while ((r = store_db_step(d, st)) > 0) {
		if (c->n_items == range->n ||
		    (range->max_bytes != 0 && bytes >= range->max_bytes)) {
			c->cursor = c->n_items == 0
					? 1
					: cursor_after(range->order,
					      c->items[c->n_items - 1].t);
			break;
		}
		n = c->n_items;
		r = take_next(d, st, c);
		if (r < 0)
			break;
		if (c->n_items > n)
			bytes += c->items[n].t->n_bytes;
	}
	(void)sqlite3_reset(st);
	if (r == 0 && range->order == STORE_EXPIRED)
		r = next_expires(d, range->until, &c->cursor);
	return r < 0 ? r : 0;
}

static sqlite3_stmt *
find_stmt(struct store_db *d, const struct store_call *c)
{
	static const enum store_sql sql[] = {
	    [STORE_BY_UNIQUE] = SQL_FIND_UNIQUE,
	    [STORE_BY_KEY] = SQL_FIND_KEY,
	    [STORE_BY_IDEMPOTENCY] = SQL_FIND_IDEMPOTENCY,
	};
	sqlite3_stmt *st = store_db_stmt(d, sql[c->what]);

	if (st == NULL)
		return NULL;
	bind_text(st, 1, c->text);
	if (c->what == STORE_BY_UNIQUE) {
		bind_int(st, 2, store_names_look_up(&d->kinds, c->kind_name));
		bind_int(st, 3, store_names_look_up(&d->queues, c->queue_name));
	} else if (c->what == STORE_BY_IDEMPOTENCY) {
		bind_int(st, 2, store_db_now(d));
	}
	return st;
}

static int
find(struct store_db *d, struct store_call *c)
{
	sqlite3_stmt *st = find_stmt(d, c);
	int r;

	c->found_state = -1;
	if (st == NULL)
		return store_db_error(d);
	r = store_db_step(d, st);
	if (r <= 0)
		return r;
	c->found_id = (uint64_t)sqlite3_column_int64(st, 0);
	if (sqlite3_column_type(st, 1) != SQLITE_NULL)
		c->found_state = sqlite3_column_int(st, 1);
	(void)sqlite3_reset(st);
	return 0;
}

void
store_read(struct store_db *d, struct store_call *c)
{
	switch (c->kind) {
	case CALL_BARRIER:
		break;
	case CALL_GET:
		c->err = get(d, c);
		break;
	case CALL_LIST:
		c->err = list(d, c);
		break;
	case CALL_FETCH:
		c->err = fetch(d, c);
		break;
	case CALL_FIND:
		c->err = find(d, c);
		break;
	}
}
