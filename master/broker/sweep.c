/* SPDX-License-Identifier: ISC */
/*
 * sweep.c - change all tasks that a filter means
 *
 * What runs is found at the workers, at the begin and again at the end: a task
 * that waited may have been started before its page came.
 */
#include "master/broker/sweep.h"

#include <errno.h>
#include <stdlib.h>

#include "master/broker/chan.h"
#include "master/broker/filter.h"
#include "master/broker/life.h"

#define PAGE 500 /* tasks */

struct sweep {
	struct broker *broker;
	struct sweep_order order;
	struct change_tally tally;
	uint64_t below_id; /* newer ones came later */
	size_t n_open;     /* tasks of the page, and one while it is begun */
	int err;
	sweep_done_fn fn;
	void *arg;
};

static void
end(struct sweep *s, int err)
{
	s->fn(s->arg, err, &s->tally);
	change_tally_done(&s->tally);
	free(s);
}

static void
on_kept(void *arg, int err)
{
	end(arg, err);
}

/* The cancel has something to say to t, which runs: so it is said once. */
static bool
is_news(const struct sweep *s, const struct task *t)
{
	if (!t->cancelling)
		return true;
	/* It was only asked to end so far. */
	return s->order.change.force && !t->unsent && !t->timed_out &&
	       !t->outstayed && t->kill_at.ns == 0;
}

/* Of a filter without its state: t runs already. */
static bool
is_meant(const struct sweep *s, const struct task *t)
{
	struct store_filter f = s->order.filter;

	f.state = -1;
	f.waiting = false;
	return t->id < s->below_id && is_news(s, t) && filter_fits(&f, t);
}

static int next_page(struct sweep *s);

static void
sweep_runs(struct sweep *s)
{
	struct broker *b = s->broker;
	struct chan *c;
	struct task *t;
	unsigned k;
	size_t i;

	for (i = 0; i < b->n_crews; i++)
		TAILQ_FOREACH(c, &b->crews[i]->chans, entry) {
			for (k = 0; k < c->threads; k++) {
				t = c->runs[k].task;
				if (t != NULL && is_meant(s, t))
					(void)change_task(b, &s->order.change,
					    t, &s->tally, NULL, NULL);
			}
		}
}

static void
finish(struct sweep *s)
{
	if (s->order.runs || s->order.only_runs)
		sweep_runs(s);
	if (!s->tally.durable)
		end(s, 0);
	else if (store_barrier(s->broker->store, on_kept, s) < 0)
		end(s, -ENOMEM);
}

/* The page's tasks are changed: on to the next one. */
static void
go_on(struct sweep *s)
{
	if (s->err == 0 && s->order.filter.below_id == 0) {
		finish(s);
		return;
	}
	if (s->err == 0)
		s->err = next_page(s);
	if (s->err < 0)
		end(s, s->err);
}

static void
on_changed(void *arg, int err)
{
	struct sweep *s = arg;

	if (err < 0)
		s->err = err;
	if (--s->n_open == 0)
		go_on(s);
}

static void
change_page(struct sweep *s, struct task *const *tasks, size_t n)
{
	struct task *t, *page[PAGE];
	size_t i;

	/* One that ends may push another one out of the store. */
	for (i = 0; i < n; i++)
		page[i] = task_ref(tasks[i]);
	for (i = 0; i < n; i++) {
		t = life_find(s->broker, page[i]->id);
		if (t == NULL)
			t = page[i];
		/* What is out of date has ended meanwhile. */
		if (filter_fits(&s->order.filter, t) &&
		    change_task(s->broker, &s->order.change, t, &s->tally,
			on_changed, s) == 1)
			s->n_open++;
		task_unref(page[i]);
	}
}

static void
on_page(
    void *arg, int err, struct task *const *tasks, size_t n, uint64_t cursor)
{
	struct sweep *s = arg;

	s->err = err;
	s->order.filter.below_id = cursor;
	s->n_open = 1;
	if (err == 0)
		change_page(s, tasks, n);
	on_changed(s, 0);
}

static int
next_page(struct sweep *s)
{
	return store_list(s->broker->store, &s->order.filter, on_page, s);
}

int
sweep_start(struct broker *b, const struct sweep_order *order, sweep_done_fn fn,
    void *arg)
{
	struct sweep *s = calloc(1, sizeof(*s));
	int r = 0;

	if (s == NULL)
		return -ENOMEM;
	s->broker = b;
	s->order = *order;
	s->below_id = b->settings->shared->last_id + 1;
	s->order.filter.below_id = s->below_id;
	s->order.filter.limit = PAGE;
	s->fn = fn;
	s->arg = arg;
	change_tally_init(&s->tally);
	if (!order->only_runs) {
		r = next_page(s);
		if (r == 0 && order->runs)
			sweep_runs(s);
	}
	if (r < 0) {
		change_tally_done(&s->tally);
		free(s);
		return r;
	}
	if (order->only_runs)
		finish(s);
	return 0;
}
