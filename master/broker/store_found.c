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

static char *
copy_name(const struct store_names *names, int64_t id)
{
	const char *text = store_names_text(names, id);

	return strdup(text == NULL ? "" : text);
}

/* Tasks of a queue and kind, by their ids; kind 0: of any. */
struct group {
	int64_t queue, kind;
	uint64_t n;
};

struct groups {
	struct group *list; /* owned */
	size_t n, cap, last;
};

static int
add_band(struct store_db *d, const struct group *g, unsigned priority,
    struct store_band **bands, size_t *n)
{
	struct store_band *grown, *band;

	grown = reallocarray(*bands, *n + 1, sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	*bands = grown;
	band = &grown[*n];
	band->queue = copy_name(&d->queues, g->queue);
	band->kind = g->kind == 0 ? NULL : copy_name(&d->kinds, g->kind);
	band->priority = priority;
	band->n = g->n;
	++*n;
	return band->queue == NULL || (g->kind != 0 && band->kind == NULL)
		   ? -ENOMEM
		   : 0;
}

/* Queue, kind, priority and number are in the order of an index. */
static int
find_bands(
    struct store_db *d, const char *sql, struct store_band **bands, size_t *n)
{
	struct group g;
	sqlite3_stmt *st;
	int r;

	r = store_db_prepare(d, sql, &st);
	while (r == 0 && (r = store_db_step(d, st)) > 0) {
		g.queue = sqlite3_column_int64(st, 0);
		g.kind = sqlite3_column_int64(st, 1);
		g.n = (uint64_t)sqlite3_column_int64(st, 3);
		r = add_band(
		    d, &g, (unsigned)sqlite3_column_int(st, 2), bands, n);
	}
	sqlite3_finalize(st);
	return r;
}

static bool
is_group(const struct group *g, int64_t queue, int64_t kind)
{
	return g->queue == queue && g->kind == kind;
}

static int
count_one(struct groups *all, int64_t queue, int64_t kind)
{
	struct group *list;
	size_t cap, i = all->last;

	if (i >= all->n || !is_group(&all->list[i], queue, kind))
		for (i = 0; i < all->n; i++)
			if (is_group(&all->list[i], queue, kind))
				break;
	if (i == all->cap) {
		cap = all->cap == 0 ? 16 : 2 * all->cap;
		list = reallocarray(all->list, cap, sizeof(*list));
		if (list == NULL)
			return -ENOMEM;
		all->list = list;
		all->cap = cap;
	}
	if (i == all->n)
		all->list[all->n++] = (struct group){queue, kind, 0};
	all->list[i].n++;
	all->last = i;
	return 0;
}

/*
 * The rows, each with its queue and kind, come in any order: to sort them, as
 * GROUP BY would, takes memory for each.
 */
static int
count_bands(
    struct store_db *d, const char *sql, struct store_band **bands, size_t *n)
{
	struct groups all = {0};
	sqlite3_stmt *st;
	size_t i;
	int r;

	r = store_db_prepare(d, sql, &st);
	while (r == 0 && (r = store_db_step(d, st)) > 0)
		r = count_one(&all, sqlite3_column_int64(st, 0),
		    sqlite3_column_int64(st, 1));
	sqlite3_finalize(st);
	for (i = 0; r == 0 && i < all.n; i++)
		r = add_band(d, &all.list[i], 0, bands, n);
	free(all.list);
	return r;
}

static int
find_paused(struct store_db *d, struct store_found *found)
{
	sqlite3_stmt *st;
	const char *text;
	char **names;
	int r;

	r = store_db_prepare(d, "SELECT name FROM queue WHERE paused", &st);
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

/* The caller has what was copied also on an error. */
static int
copy_names(const struct store_names *from, char ***names_out, size_t *n_out)
{
	size_t i;

	if (from->n == 0)
		return 0;
	*names_out = calloc(from->n, sizeof(char *));
	if (*names_out == NULL)
		return -ENOMEM;
	for (i = 0; i < from->n; i++, ++*n_out) {
		(*names_out)[i] = strdup(from->names[i].text);
		if ((*names_out)[i] == NULL)
			return -ENOMEM;
	}
	return 0;
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
		r = count_bands(d,
		    "SELECT queue, kind FROM task "
		    "WHERE key IS NOT NULL AND state < 3 AND mail = 2",
		    &found->parked, &found->n_parked);
	if (r == 0)
		r = count_bands(d,
		    "SELECT queue, 0 FROM task "
		    "WHERE state = 0 AND wall = 0",
		    &found->steady, &found->n_steady);
	if (r == 0)
		r = count_bands(d,
		    "SELECT queue, 0 FROM task "
		    "WHERE state = 0 AND wall = 1",
		    &found->wall, &found->n_wall);
	return r;
}

static int
find_special(struct store_db *d, struct store_found *found)
{
	int r;

	r = store_db_count(d,
	    "SELECT count(*) FROM task WHERE state < 2 AND expires_ms > 0",
	    &found->n_expiring);
	if (r == 0)
		r = store_db_count(d,
		    "SELECT count(*) FROM task "
		    "WHERE key IS NOT NULL AND state < 3",
		    &found->n_keyed);
	if (r == 0)
		r = store_db_count(d,
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

	r = store_db_count(
	    d, "SELECT count(*) FROM task WHERE until_ms IS NOT NULL", &ended);
	if (r < 0)
		return r;
	r = store_db_count(
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

	r = copy_names(&d->queues, &found->queues, &found->n_queues);
	if (r == 0)
		r = copy_names(&d->kinds, &found->kinds, &found->n_kinds);
	if (r == 0)
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

static void
names_done(char **names, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

void
store_found_done(struct store_found *found)
{
	bands_done(found->bands, found->n_bands);
	bands_done(found->parked, found->n_parked);
	bands_done(found->steady, found->n_steady);
	bands_done(found->wall, found->n_wall);
	names_done(found->paused, found->n_paused);
	names_done(found->queues, found->n_queues);
	names_done(found->kinds, found->n_kinds);
	memset(found, 0, sizeof(*found));
}
