/* SPDX-License-Identifier: ISC */
/*
 * catalog.c - the queues, and which pool can run what from which queue
 *
 * Built once from the settings.  Lanes are added as tasks come, at most one for
 * each distinct set of pools, and stay.
 */
#include "master/broker/catalog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/json.h"

static int
kind_cmp(const void *a, const void *b)
{
	const struct kind *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int
name_cmp(const void *key, const void *item)
{
	return strcmp(key, ((const struct kind *)item)->name);
}

static bool
has_name(const char *const *names, size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* Fold the sorted kinds that have the same name into one each. */
static void
merge_kinds(struct catalog *c)
{
	size_t i, n;

	for (i = n = 0; i < c->n_kinds; i++) {
		if (n > 0 &&
		    strcmp(c->kinds[n - 1].name, c->kinds[i].name) == 0) {
			c->kinds[n - 1].crews |= c->kinds[i].crews;
			c->kinds[n - 1].commands |= c->kinds[i].commands;
		} else {
			c->kinds[n++] = c->kinds[i];
		}
	}
	c->n_kinds = n;
}

static int
make_kinds(struct catalog *c, const struct broker_settings *s)
{
	size_t i, j, n;

	for (i = n = 0; i < s->n_pools; i++)
		n += s->pools[i].n_names;
	c->kinds = calloc(n + 1, sizeof(*c->kinds));
	if (c->kinds == NULL)
		return -ENOMEM;
	for (i = 0; i < s->n_pools; i++) {
		const struct broker_pool_settings *p = &s->pools[i];

		for (j = 0; j < p->n_names; j++) {
			struct kind *k = &c->kinds[c->n_kinds++];

			k->name = p->names[j];
			k->crews = UINT64_C(1) << i;
			if (has_name(p->commands, p->n_commands, k->name))
				k->commands = k->crews;
		}
	}
	qsort(c->kinds, c->n_kinds, sizeof(*c->kinds), kind_cmp);
	merge_kinds(c);
	return 0;
}

int
catalog_init(struct catalog *c, const struct broker_settings *s)
{
	size_t i, j;
	int r;

	memset(c, 0, sizeof(*c));
	c->queues = calloc(s->n_queues + 1, sizeof(*c->queues));
	if (c->queues == NULL)
		return -ENOMEM;
	c->n_queues = s->n_queues;
	for (i = 0; i < s->n_queues; i++) {
		c->queues[i].settings = &s->queues[i];
		SLIST_INIT(&c->queues[i].lanes);
	}
	for (i = 0; i < s->n_pools; i++)
		for (j = 0; j < s->pools[i].n_refs; j++)
			c->queues[s->pools[i].refs[j].queue].crews |=
			    UINT64_C(1) << i;
	r = make_kinds(c, s);
	if (r < 0)
		catalog_done(c);
	return r;
}

void
catalog_done(struct catalog *c)
{
	struct lane *lane;
	size_t i;

	for (i = 0; i < c->n_queues; i++) {
		while ((lane = SLIST_FIRST(&c->queues[i].lanes)) != NULL) {
			SLIST_REMOVE_HEAD(&c->queues[i].lanes, entry);
			free(lane);
		}
	}
	free(c->queues);
	free(c->kinds);
	memset(c, 0, sizeof(*c));
}

struct kind *
catalog_find_kind(const struct catalog *c, const char *name)
{
	return bsearch(name, c->kinds, c->n_kinds, sizeof(*c->kinds), name_cmp);
}

struct queue *
catalog_find_queue(const struct catalog *c, const char *name)
{
	size_t i;

	for (i = 0; i < c->n_queues; i++)
		if (strcmp(c->queues[i].settings->name, name) == 0)
			return &c->queues[i];
	return NULL;
}

struct queue *
catalog_usual_queue(const struct catalog *c, const struct kind *kind)
{
	struct queue *q;
	size_t i;

	q = catalog_find_queue(c, "default");
	if (q != NULL && (q->crews & kind->crews) != 0)
		return q;
	for (i = 0; i < c->n_queues; i++)
		if ((c->queues[i].crews & kind->crews) != 0)
			return &c->queues[i];
	return NULL;
}

int
catalog_lane(struct queue *q, const struct kind *kind, struct lane **out)
{
	crew_set crews = q->crews & kind->crews;
	struct lane *lane;

	if (crews == 0)
		return -ENOENT;
	SLIST_FOREACH(lane, &q->lanes, entry)
	{
		if (lane->crews == crews) {
			*out = lane;
			return 0;
		}
	}
	lane = calloc(1, sizeof(*lane));
	if (lane == NULL)
		return -ENOMEM;
	lane->queue = q;
	lane->crews = crews;
	ready_init(&lane->ready);
	SLIST_INSERT_HEAD(&q->lanes, lane, entry);
	*out = lane;
	return 0;
}

struct task *
queue_peek(const struct queue *q, unsigned crew)
{
	crew_set bit = UINT64_C(1) << crew;
	struct task *t, *best;
	struct lane *lane;

	best = NULL;
	SLIST_FOREACH(lane, &q->lanes, entry)
	{
		if ((lane->crews & bit) == 0)
			continue;
		t = ready_peek(&lane->ready);
		if (t == NULL)
			continue;
		if (best == NULL || t->priority > best->priority ||
		    (t->priority == best->priority && t->seq < best->seq))
			best = t;
	}
	return best;
}

void
catalog_add_kinds(const struct catalog *c, size_t most, struct buf *out)
{
	size_t i;

	buf_addc(out, '[');
	for (i = 0; i < c->n_kinds && i < most; i++) {
		if (i > 0)
			buf_addc(out, ',');
		buf_add_json_cstr(out, c->kinds[i].name);
	}
	buf_addc(out, ']');
}
