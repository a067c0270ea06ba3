/* SPDX-License-Identifier: ISC */
/*
 * catalog.c - the queues, and who can run what from which queue
 *
 * Lanes are added as tasks come, at most one for each distinct set of shifts,
 * and stay until a reload makes others.
 */
#include "master/broker/catalog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/json.h"

void
catalog_init(struct catalog *c)
{
	memset(c, 0, sizeof(*c));
}

static void
free_lanes(struct lane_list *list)
{
	struct lane *lane;

	while ((lane = SLIST_FIRST(list)) != NULL) {
		SLIST_REMOVE_HEAD(list, entry);
		free(lane);
	}
}

static void
queue_free(struct queue *q)
{
	free_lanes(&q->lanes);
	free_lanes(&q->next_lanes);
	free(q->name);
	free(q);
}

static void
kind_free(struct kind *k)
{
	free(k->name);
	free(k);
}

void
catalog_done(struct catalog *c)
{
	size_t i;

	for (i = 0; i < c->n_all_queues; i++)
		queue_free(c->queues[i]);
	for (i = 0; i < c->n_kinds; i++)
		kind_free(c->kinds[i]);
	free(c->queues);
	free(c->kinds);
	memset(c, 0, sizeof(*c));
}

static struct kind *
kind_new(const char *name)
{
	struct kind *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return NULL;
	k->fresh = true;
	k->name = strdup(name);
	if (k->name == NULL) {
		free(k);
		return NULL;
	}
	return k;
}

/* A queue that is gone from the settings, as long as nobody puts it there. */
static struct queue *
queue_new(const char *name)
{
	struct queue *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return NULL;
	q->fresh = true;
	q->name = strdup(name);
	if (q->name == NULL) {
		free(q);
		return NULL;
	}
	SLIST_INIT(&q->lanes);
	SLIST_INIT(&q->next_lanes);
	q->leaving = true;
	q->parting.name = q->name;
	q->settings = &q->parting;
	rate_init(&q->rate);
	return q;
}

static int
kind_cmp(const void *a, const void *b)
{
	const struct kind *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static int
name_cmp(const void *key, const void *item)
{
	return strcmp(key, (*(struct kind *const *)item)->name);
}

static struct kind *
find_kind(struct kind **kinds, size_t n, const char *name)
{
	struct kind **found;

	if (n == 0)
		return NULL;
	found = bsearch(name, kinds, n, sizeof(struct kind *), name_cmp);
	return found == NULL ? NULL : *found;
}

static struct queue *
find_queue(struct queue **queues, size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(queues[i]->name, name) == 0)
			return queues[i];
	return NULL;
}

/* Add a kind for each name of s that has none. */
static int
stage_kinds(const struct catalog *c, const struct broker_settings *s,
    struct catalog_stage *st)
{
	size_t i, j, n, n_sorted;

	for (i = 0, n = c->n_kinds; i < s->n_pools; i++)
		n += s->pools[i].n_names;
	st->kinds = calloc(n + 1, sizeof(struct kind *));
	if (st->kinds == NULL)
		return -ENOMEM;
	if (c->n_kinds > 0)
		memcpy(st->kinds, c->kinds, c->n_kinds * sizeof(struct kind *));
	st->n_kinds = c->n_kinds;
	for (i = 0; i < s->n_pools; i++) {
		n_sorted = st->n_kinds;
		for (j = 0; j < s->pools[i].n_names; j++) {
			const char *name = s->pools[i].names[j];
			struct kind *k;

			/* A pool has no name twice. */
			if (find_kind(st->kinds, n_sorted, name) != NULL)
				continue;
			k = kind_new(name);
			if (k == NULL)
				return -ENOMEM;
			st->kinds[st->n_kinds++] = k;
		}
		qsort(st->kinds, st->n_kinds, sizeof(struct kind *), kind_cmp);
	}
	return 0;
}

/* The queues of s in its order, and behind them all others that there are. */
static int
stage_queues(const struct catalog *c, const struct broker_settings *s,
    struct catalog_stage *st)
{
	struct queue *q;
	size_t i;

	st->queues =
	    calloc(c->n_all_queues + s->n_queues + 1, sizeof(struct queue *));
	if (st->queues == NULL)
		return -ENOMEM;
	for (i = 0; i < s->n_queues; i++) {
		q = catalog_find_any_queue(c, s->queues[i].name);
		if (q == NULL)
			q = queue_new(s->queues[i].name);
		if (q == NULL)
			return -ENOMEM;
		st->queues[st->n_all_queues++] = q;
	}
	st->n_queues = s->n_queues;
	for (i = 0; i < c->n_all_queues; i++) {
		q = c->queues[i];
		if (find_queue(st->queues, st->n_queues, q->name) == NULL)
			st->queues[st->n_all_queues++] = q;
	}
	return 0;
}

int
catalog_stage(struct catalog *c, const struct broker_settings *s,
    struct catalog_stage *out)
{
	int r;

	memset(out, 0, sizeof(*out));
	r = stage_queues(c, s, out);
	if (r == 0)
		r = stage_kinds(c, s, out);
	if (r < 0)
		catalog_unstage(out);
	return r;
}

void
catalog_unstage(struct catalog_stage *st)
{
	size_t i;

	for (i = 0; i < st->n_all_queues; i++)
		if (st->queues[i] != NULL && st->queues[i]->fresh)
			queue_free(st->queues[i]);
	for (i = 0; i < st->n_kinds; i++)
		if (st->kinds[i] != NULL && st->kinds[i]->fresh)
			kind_free(st->kinds[i]);
	free(st->queues);
	free(st->kinds);
	memset(st, 0, sizeof(*st));
}

/* q is gone from the settings: keep its own, and its tasks. */
static void
queue_leave(struct queue *q)
{
	if (q->settings != &q->parting)
		q->parting = *q->settings;
	q->parting.name = q->name;
	q->settings = &q->parting;
	q->leaving = true;
}

void
catalog_commit_stage(struct catalog *c, struct catalog_stage *st,
    const struct broker_settings *s, struct mono now)
{
	size_t i;

	free(c->queues);
	free(c->kinds);
	c->queues = st->queues;
	c->n_queues = st->n_queues;
	c->n_all_queues = st->n_all_queues;
	c->kinds = st->kinds;
	c->n_kinds = st->n_kinds;
	c->age_ms = s->priority_age_ms;
	for (i = 0; i < c->n_all_queues; i++) {
		struct queue *q = c->queues[i];

		q->fresh = false;
		if (i < s->n_queues) {
			q->settings = &s->queues[i];
			q->leaving = false;
		} else {
			queue_leave(q);
		}
		q->age_ms = c->age_ms;
		rate_set(&q->rate, q->settings->rate_count,
		    q->settings->rate_ms, now);
	}
	for (i = 0; i < c->n_kinds; i++)
		c->kinds[i]->fresh = false;
}

struct catalog_stage
catalog_as_stage(const struct catalog *c)
{
	struct catalog_stage st = {
	    .queues = c->queues,
	    .n_queues = c->n_queues,
	    .n_all_queues = c->n_all_queues,
	    .kinds = c->kinds,
	    .n_kinds = c->n_kinds,
	};

	return st;
}

struct kind *
catalog_stage_find_kind(const struct catalog_stage *st, const char *name)
{
	return find_kind(st->kinds, st->n_kinds, name);
}

void
catalog_clear_next(struct catalog *c, const struct catalog_stage *st)
{
	size_t i;

	c->next_main = c->next_leaving = 0;
	for (i = 0; i < st->n_all_queues; i++)
		st->queues[i]->next_shifts = st->queues[i]->next_past = 0;
	for (i = 0; i < st->n_kinds; i++)
		st->kinds[i]->next_shifts = st->kinds[i]->next_commands = 0;
}

bool
catalog_has_changed(const struct catalog *c, const struct catalog_stage *st)
{
	size_t i;

	if (c->stale || c->next_leaving != c->leaving)
		return true;
	for (i = 0; i < st->n_all_queues; i++) {
		const struct queue *q = st->queues[i];

		if (q->next_shifts != q->shifts || q->next_past != q->past)
			return true;
	}
	for (i = 0; i < st->n_kinds; i++)
		if (st->kinds[i]->next_shifts != st->kinds[i]->shifts)
			return true;
	return false;
}

void
catalog_commit_next(struct catalog *c)
{
	size_t i;

	c->main = c->next_main;
	c->leaving = c->next_leaving;
	for (i = 0; i < c->n_all_queues; i++) {
		c->queues[i]->shifts = c->queues[i]->next_shifts;
		c->queues[i]->past = c->queues[i]->next_past;
	}
	for (i = 0; i < c->n_kinds; i++) {
		c->kinds[i]->shifts = c->kinds[i]->next_shifts;
		c->kinds[i]->commands = c->kinds[i]->next_commands;
	}
}

/*
 * Who runs what: those that are there to stay.  Only what none of them can run
 * goes to the old workers that could when it was taken.
 */
static shift_set
choose(shift_set can, shift_set last_resort)
{
	shift_set first = can & ~last_resort;

	return first != 0 ? first : can;
}

shift_set
catalog_lane_set(
    const struct catalog *c, const struct queue *q, const struct kind *kind)
{
	return choose(q->shifts & kind->shifts, q->past | c->leaving);
}

static struct lane *
find_lane(const struct lane_list *list, shift_set set)
{
	struct lane *lane;

	SLIST_FOREACH(lane, list, entry)
	{
		if (lane->shifts == set)
			return lane;
	}
	return NULL;
}

static struct lane *
add_lane(struct lane_list *list, struct queue *q, shift_set set)
{
	struct lane *lane = calloc(1, sizeof(*lane));

	if (lane == NULL)
		return NULL;
	lane->queue = q;
	lane->shifts = set;
	ready_init(&lane->ready);
	SLIST_INSERT_HEAD(list, lane, entry);
	return lane;
}

int
catalog_stage_lane(
    const struct catalog *c, struct queue *q, const struct kind *kind)
{
	shift_set set = choose(
	    q->next_shifts & kind->next_shifts, q->next_past | c->next_leaving);

	if (find_lane(&q->next_lanes, set) != NULL)
		return 0;
	return add_lane(&q->next_lanes, q, set) == NULL ? -ENOMEM : 0;
}

void
catalog_unstage_lanes(const struct catalog_stage *st)
{
	size_t i;

	for (i = 0; i < st->n_all_queues; i++)
		free_lanes(&st->queues[i]->next_lanes);
}

/* Of the old lanes' first tasks of a priority, the one that came first. */
static struct task *
first_of(const struct lane_list *list, unsigned priority)
{
	struct task *t, *best;
	struct lane *lane;

	best = NULL;
	SLIST_FOREACH(lane, list, entry)
	{
		t = TAILQ_FIRST(&lane->ready.by_priority[priority]);
		if (t != NULL && (best == NULL || t->seq < best->seq))
			best = t;
	}
	return best;
}

static void
commit_lanes(struct catalog *c, struct queue *q)
{
	struct lane_list old = q->lanes;
	struct task *t;
	unsigned p;

	q->lanes = q->next_lanes;
	SLIST_INIT(&q->next_lanes);
	for (p = 0; p < PROTO_PRIORITIES; p++) {
		while ((t = first_of(&old, p)) != NULL) {
			ready_remove(&t->lane->ready, t);
			t->lane = catalog_get_lane(c, q, t->kind);
			ready_push(&t->lane->ready, t);
		}
	}
	free_lanes(&old);
}

void
catalog_commit_lanes(struct catalog *c)
{
	size_t i;

	for (i = 0; i < c->n_all_queues; i++)
		commit_lanes(c, c->queues[i]);
	c->stale = false;
}

struct kind *
catalog_find_kind(const struct catalog *c, const char *name)
{
	return find_kind(c->kinds, c->n_kinds, name);
}

bool
catalog_has_kind(const struct catalog *c, const struct kind *kind)
{
	return (kind->shifts & c->main) != 0;
}

struct queue *
catalog_find_queue(const struct catalog *c, const char *name)
{
	return find_queue(c->queues, c->n_queues, name);
}

struct queue *
catalog_find_any_queue(const struct catalog *c, const char *name)
{
	return find_queue(c->queues, c->n_all_queues, name);
}

int
catalog_need_kind(struct catalog *c, const char *name, struct kind **out)
{
	struct kind *k = catalog_find_kind(c, name), **kinds;

	if (k == NULL) {
		kinds = reallocarray(
		    c->kinds, c->n_kinds + 1, sizeof(struct kind *));
		if (kinds == NULL)
			return -ENOMEM;
		c->kinds = kinds;
		k = kind_new(name);
		if (k == NULL)
			return -ENOMEM;
		k->fresh = false;
		kinds[c->n_kinds++] = k;
		qsort(kinds, c->n_kinds, sizeof(struct kind *), kind_cmp);
	}
	*out = k;
	return 0;
}

int
catalog_need_queue(struct catalog *c, const char *name, struct queue **out)
{
	struct queue *q = catalog_find_any_queue(c, name), **queues;

	if (q == NULL) {
		queues = reallocarray(
		    c->queues, c->n_all_queues + 1, sizeof(struct queue *));
		if (queues == NULL)
			return -ENOMEM;
		c->queues = queues;
		q = queue_new(name);
		if (q == NULL)
			return -ENOMEM;
		q->fresh = false;
		q->age_ms = c->age_ms;
		queues[c->n_all_queues++] = q;
	}
	*out = q;
	return 0;
}

/* True when a pool of the settings takes this kind from this queue. */
static bool
is_served(
    const struct catalog *c, const struct queue *q, const struct kind *kind)
{
	return !q->leaving &&
	       (q->shifts & ~q->past & kind->shifts & c->main) != 0;
}

struct queue *
catalog_usual_queue(const struct catalog *c, const struct kind *kind)
{
	struct queue *q;
	size_t i;

	q = catalog_find_queue(c, "default");
	if (q != NULL && is_served(c, q, kind))
		return q;
	for (i = 0; i < c->n_queues; i++)
		if (is_served(c, c->queues[i], kind))
			return c->queues[i];
	return NULL;
}

int
catalog_lane(const struct catalog *c, struct queue *q, const struct kind *kind,
    struct lane **out)
{
	return is_served(c, q, kind) ? catalog_place(c, q, kind, out) : -ENOENT;
}

int
catalog_place(const struct catalog *c, struct queue *q, const struct kind *kind,
    struct lane **out)
{
	shift_set set = catalog_lane_set(c, q, kind);
	struct lane *lane = find_lane(&q->lanes, set);

	if (lane == NULL)
		lane = add_lane(&q->lanes, q, set);
	if (lane == NULL)
		return -ENOMEM;
	*out = lane;
	return 0;
}

struct lane *
catalog_get_lane(
    const struct catalog *c, struct queue *q, const struct kind *kind)
{
	return find_lane(&q->lanes, catalog_lane_set(c, q, kind));
}

void
catalog_forget_shift(struct catalog *c, unsigned index)
{
	shift_set keep = ~SHIFT_BIT(index);
	struct lane *lane;
	size_t i;

	c->main &= keep;
	c->leaving &= keep;
	for (i = 0; i < c->n_kinds; i++) {
		c->kinds[i]->shifts &= keep;
		c->kinds[i]->commands &= keep;
	}
	for (i = 0; i < c->n_all_queues; i++) {
		c->queues[i]->shifts &= keep;
		c->queues[i]->past &= keep;
		SLIST_FOREACH(lane, &c->queues[i]->lanes, entry)
		{
			if ((lane->shifts & ~keep) != 0)
				c->stale = true;
			lane->shifts &= keep;
		}
	}
}

bool
catalog_needs_shift(const struct catalog *c, unsigned index)
{
	const struct lane *lane;
	size_t i;

	for (i = 0; i < c->n_all_queues; i++)
		SLIST_FOREACH(lane, &c->queues[i]->lanes, entry)
		{
			if (lane->shifts == SHIFT_BIT(index) &&
			    lane->n_live > 0)
				return true;
		}
	return false;
}

bool
catalog_has_work(const struct catalog *c, shift_set set)
{
	const struct lane *lane;
	size_t i;

	for (i = 0; i < c->n_all_queues; i++)
		SLIST_FOREACH(lane, &c->queues[i]->lanes, entry)
		{
			if ((lane->shifts & set) != 0 && lane->n_live > 0)
				return true;
		}
	return false;
}

struct task *
queue_peek(const struct queue *q, unsigned index)
{
	struct task *t, *best;
	struct lane *lane;

	best = NULL;
	SLIST_FOREACH(lane, &q->lanes, entry)
	{
		if ((lane->shifts & SHIFT_BIT(index)) == 0)
			continue;
		t = ready_peek(&lane->ready, q->age_ms);
		if (t != NULL &&
		    (best == NULL || ready_is_before(t, best, q->age_ms)))
			best = t;
	}
	return best;
}

bool
queue_is_open(const struct queue *q)
{
	uint64_t most = q->settings->max_running;

	return !q->paused && (most == 0 || q->count.running < most);
}

void
catalog_add_kinds(const struct catalog *c, size_t most, struct buf *out)
{
	const char *comma = "";
	size_t i;

	buf_addc(out, '[');
	for (i = 0; i < c->n_kinds && most > 0; i++) {
		if (!catalog_has_kind(c, c->kinds[i]))
			continue;
		buf_adds(out, comma);
		buf_add_json_cstr(out, c->kinds[i]->name);
		comma = ",";
		most--;
	}
	buf_addc(out, ']');
}
