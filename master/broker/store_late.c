/* SPDX-License-Identifier: ISC */
/*
 * store_late.c - look-ups in a database that lags behind
 *
 * Runs on the broker's thread.
 */
#include "master/broker/store_late.h"

#include <errno.h>
#include <stdlib.h>

/* The tasks with news, by id. */
struct late {
	struct task **tasks; /* owned, not referenced */
	size_t n;
	bool has_spilled; /* one that only the database is to know */
};

/* Of one id, what is not to be erased comes first: it was revived. */
static int
late_cmp(const void *a, const void *b)
{
	const struct task *x = *(struct task *const *)a;
	const struct task *y = *(struct task *const *)b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return ((x->news & NEWS_ERASE) != 0) - ((y->news & NEWS_ERASE) != 0);
}

static int
collect(const struct store_news *n, struct late *out)
{
	struct task *t;
	size_t most = 0;

	*out = (struct late){0};
	STAILQ_FOREACH(t, &n->list, news_entry)
		most++;
	out->tasks = calloc(most + 1, sizeof(struct task *));
	if (out->tasks == NULL)
		return -ENOMEM;
	STAILQ_FOREACH(t, &n->list, news_entry) {
		if ((t->news & NEWS_ANY) == 0)
			continue;
		out->tasks[out->n++] = t;
		out->has_spilled = out->has_spilled || t->spilled;
	}
	qsort(out->tasks, out->n, sizeof(struct task *), late_cmp);
	return 0;
}

static struct task *
find(const struct late *l, uint64_t id)
{
	size_t low = 0, high = l->n, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (l->tasks[mid]->id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low < l->n && l->tasks[low]->id == id ? l->tasks[low] : NULL;
}

/* Let item be t, which is known to the broker. */
static void
take(struct store_item *item, struct task *t)
{
	*item = (struct store_item){.t = task_ref(t)};
}

static void
mend_get(const struct late *l, struct store_call *c)
{
	struct task *t = find(l, c->id);

	if (t == NULL || (c->err < 0 && c->err != -ENOENT))
		return;
	if ((t->news & NEWS_ERASE) != 0) {
		c->err = -ENOENT;
	} else if (c->n_items > 0) {
		task_unref(c->items[0].t);
		take(&c->items[0], t);
	} else if ((c->items = malloc(sizeof(*c->items))) == NULL) {
		c->err = -ENOMEM;
	} else {
		take(&c->items[0], t);
		c->n_items = c->cap_items = 1;
		c->err = 0;
	}
}

static void
mend_list(const struct late *l, struct store_call *c)
{
	struct task *t;
	size_t i, n = 0;

	for (i = 0; i < c->n_items; i++) {
		t = find(l, c->items[i].t->id);
		if (t != NULL) {
			task_unref(c->items[i].t);
			if ((t->news & NEWS_ERASE) != 0)
				continue;
			take(&c->items[i], t);
		}
		c->items[n++] = c->items[i];
	}
	c->n_items = n;
}

static void
mend(const struct late *l, struct store_call *c)
{
	switch (c->kind) {
	case CALL_BARRIER:
		break;
	case CALL_GET:
		mend_get(l, c);
		break;
	case CALL_LIST:
		mend_list(l, c);
		break;
	case CALL_FETCH:
		if (c->err == 0 && l->has_spilled)
			c->err = -EAGAIN;
		break;
	case CALL_FIND:
		if (c->err == 0 && l->has_spilled && c->what == STORE_BY_KEY)
			c->err = -EAGAIN;
		break;
	}
}

void
store_late_mend(const struct store_news *n, struct store_call_list *calls)
{
	struct store_call *c;
	struct late l;
	int r;

	if (STAILQ_EMPTY(calls) || STAILQ_EMPTY(&n->list))
		return;
	r = collect(n, &l);
	STAILQ_FOREACH(c, calls, entry) {
		if (r == 0)
			mend(&l, c);
		else if (c->kind != CALL_BARRIER)
			c->err = r;
	}
	free(l.tasks);
}
