/* SPDX-License-Identifier: ISC */
/*
 * store_found.c - count what is in a database
 *
 * Each statement is served by a partial index that covers it.  Runs in the
 * thread that opens the store.
 */
#include "master/broker/store_found.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int
prepare(struct store_db *d, const char *sql, sqlite3_stmt **out)
{
	if (sqlite3_prepare_v2(d->db, sql, -1, out, NULL) != SQLITE_OK)
		return store_db_error(d);
	return 0;
}

static int
number(struct store_db *d, const char *sql, uint64_t *out)
{
	int64_t n = 0;
	int r;

	r = store_db_pragma(d, sql, &n);
	if (r < 0 && r != -ENOENT)
		return r;
	*out = (uint64_t)n;
	return 0;
}

static char *
copy_name(const struct store_names *names, int64_t id)
{
	const char *text = store_names_text(names, id);

	return strdup(text == NULL ? "" : text);
}

/* Add one group of tasks: its queue, kind (or NULL), priority and number. */
static int
add_band(
    struct store_db *d, sqlite3_stmt *st, struct store_band **bands, size_t *n)
{
	bool has_kind = sqlite3_column_type(st, 1) != SQLITE_NULL;
	struct store_band *grown, *band;

	grown = reallocarray(*bands, *n + 1, sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	*bands = grown;
	band = &grown[*n];
	band->queue = copy_name(&d->queues, sqlite3_column_int64(st, 0));
	band->kind =
	    has_kind ? copy_name(&d->kinds, sqlite3_column_int64(st, 1)) : NULL;
	band->priority = (unsigned)sqlite3_column_int(st, 2);
	band->n = (uint64_t)sqlite3_column_int64(st, 3);
	++*n;
	return band->queue == NULL || (has_kind && band->kind == NULL) ? -ENOMEM
								       : 0;
}

static int
find_bands(
    struct store_db *d, const char *sql, struct store_band **bands, size_t *n)
{
	sqlite3_stmt *st;
	int r;

	r = prepare(d, sql, &st);
	while (r == 0 && (r = store_db_step(d, st)) > 0)
		r = add_band(d, st, bands, n);
	sqlite3_finalize(st);
	return r;
}

static int
find_paused(struct store_db *d, struct store_found *found)
{
	sqlite3_stmt *st;
	const char *text;
	char **names;
	int r;

	r = prepare(d, "SELECT name FROM queue WHERE paused", &st);
	while (r == 0 && (r = store_db_step(d, st)) > 0) {
		text = (const char *)sqlite3_column_text(st, 0);
		names = reallocarray(
		    found->paused, found->n_paused + 1, sizeof(*names));
		if (names != NULL)
			found->paused = names;
		if (names == NULL || text == NULL ||
		    (names[found->n_paused] = strdup(text)) == NULL) {
			r = -ENOMEM;
			break;
		}
		found->n_paused++;
		r = 0;
	}
	sqlite3_finalize(st);
	return r;
}

static int
find_waiting(struct store_db *d, struct store_found *found)
{
	int r;

	r = find_bands(d,
	    "SELECT queue, kind, priority, count(*) FROM task "
	    "WHERE state = 1 AND mail <> 2 GROUP BY queue, kind, priority",
	    &found->bands, &found->n_bands);
	if (r == 0)
		r = find_bands(d,
		    "SELECT queue, kind, 0, count(*) FROM task "
		    "WHERE key IS NOT NULL AND state < 3 AND mail = 2 "
		    "GROUP BY queue, kind",
		    &found->parked, &found->n_parked);
	if (r == 0)
		r = find_bands(d,
		    "SELECT queue, NULL, 0, count(*) FROM task "
		    "WHERE state = 0 AND wall = 0 GROUP BY queue",
		    &found->steady, &found->n_steady);
	if (r == 0)
		r = find_bands(d,
		    "SELECT queue, NULL, 0, count(*) FROM task "
		    "WHERE state = 0 AND wall = 1 GROUP BY queue",
		    &found->wall, &found->n_wall);
	return r;
}

static int
find_special(struct store_db *d, struct store_found *found)
{
	int r;

	r = number(d,
	    "SELECT count(*) FROM task WHERE state < 2 AND expires_ms > 0",
	    &found->n_expiring);
	if (r == 0)
		r = number(d,
		    "SELECT count(*) FROM task "
		    "WHERE key IS NOT NULL AND state < 3",
		    &found->n_keyed);
	if (r == 0)
		r = number(d,
		    "SELECT count(*) FROM task "
		    "WHERE unique_key IS NOT NULL AND state < 3",
		    &found->n_unique);
	return r < 0 ? r : find_paused(d, found);
}

static uint64_t
sum(const struct store_band *bands, size_t n)
{
	uint64_t total = 0;
	size_t i;

	for (i = 0; i < n; i++)
		total += bands[i].n;
	return total;
}

/* All that is kept, by what has an index. */
static int
count_all(struct store_db *d, const struct store_found *found)
{
	uint64_t ended, running;
	int r;

	r = number(
	    d, "SELECT count(*) FROM task WHERE until_ms IS NOT NULL", &ended);
	if (r == 0)
		r = number(
		    d, "SELECT count(*) FROM task WHERE state = 2", &running);
	if (r < 0)
		return r;
	d->next.n_ended = ended;
	d->next.n_tasks = ended + running + sum(found->bands, found->n_bands) +
			  sum(found->parked, found->n_parked) +
			  sum(found->steady, found->n_steady) +
			  sum(found->wall, found->n_wall);
	return 0;
}

int
store_found_fill(struct store_db *d, struct store_found *found)
{
	int r;

	r = find_waiting(d, found);
	if (r == 0)
		r = find_special(d, found);
	return r < 0 ? r : count_all(d, found);
}

static void
bands_done(struct store_band *bands, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		free((char *)(uintptr_t)bands[i].queue);
		free((char *)(uintptr_t)bands[i].kind);
	}
	free(bands);
}

void
store_found_done(struct store_found *found)
{
	size_t i;

	bands_done(found->bands, found->n_bands);
	bands_done(found->parked, found->n_parked);
	bands_done(found->steady, found->n_steady);
	bands_done(found->wall, found->n_wall);
	for (i = 0; i < found->n_paused; i++)
		free(found->paused[i]);
	free(found->paused);
	memset(found, 0, sizeof(*found));
}
