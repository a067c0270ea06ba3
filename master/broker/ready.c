/* SPDX-License-Identifier: ISC */
/*
 * ready.c - the order of tasks that wait for a worker
 *
 * A list for each priority and a bitmap of those that are not empty.
 */
#include "master/broker/ready.h"

#define MS_NS INT64_C(1000000)

void
ready_init(struct ready *r)
{
	unsigned i;

	for (i = 0; i < PROTO_PRIORITIES; i++) {
		TAILQ_INIT(&r->by_priority[i]);
		r->limit[i] = UINT64_MAX;
	}
	r->filled = r->more = 0;
	r->n = 0;
}

static void
added(struct ready *r, struct task *t)
{
	t->place = TASK_IN_LANE;
	r->filled |= 1u << t->priority;
	r->n++;
}

void
ready_push(struct ready *r, struct task *t)
{
	TAILQ_INSERT_TAIL(&r->by_priority[t->priority], t, entry);
	added(r, t);
}

void
ready_restore(struct ready *r, struct task *t)
{
	struct task_list *list = &r->by_priority[t->priority];
	struct task *other = TAILQ_LAST(list, task_list);

	if (other == NULL || other->seq < t->seq) {
		ready_push(r, t);
		return;
	}
	/* What was running is older than nearly all that waits. */
	TAILQ_FOREACH(other, list, entry) {
		if (other->seq > t->seq)
			break;
	}
	if (other == NULL)
		TAILQ_INSERT_TAIL(list, t, entry);
	else
		TAILQ_INSERT_BEFORE(other, t, entry);
	added(r, t);
}

/*
 * When a task of priority 0 would have had to become ready to be as far as
 * this one.  It does not change with time, so neither does the order.
 */
static int64_t
aged(const struct task *t, int64_t age_ms)
{
	return t->ready_at.ns - t->priority * age_ms * MS_NS;
}

bool
ready_is_before(const struct task *a, const struct task *b, int64_t age_ms)
{
	int64_t x = age_ms > 0 ? aged(a, age_ms) : 0;
	int64_t y = age_ms > 0 ? aged(b, age_ms) : 0;

	if (x != y)
		return x < y;
	if (a->priority != b->priority)
		return a->priority > b->priority;
	return a->seq < b->seq;
}

void
ready_set_limit(struct ready *r, unsigned priority, uint64_t seq)
{
	r->limit[priority] = seq;
	if (seq == UINT64_MAX)
		r->more &= ~(1u << priority);
	else
		r->more |= 1u << priority;
}

struct task *
ready_peek(const struct ready *r, int64_t age_ms)
{
	unsigned left = r->filled | r->more;
	struct task *t, *best = NULL;
	int p;

	while (left != 0) {
		p = 31 - __builtin_clz(left);
		left &= ~(1u << p);
		t = TAILQ_FIRST(&r->by_priority[p]);
		/* The next one is on its way: no lower one goes before it. */
		if (t == NULL || t->seq > r->limit[p])
			break;
		if (age_ms == 0)
			return t;
		if (best == NULL || ready_is_before(t, best, age_ms))
			best = t;
	}
	return best;
}

struct task *
ready_pop(struct ready *r, int64_t age_ms)
{
	struct task *t;

	t = ready_peek(r, age_ms);
	if (t != NULL)
		ready_remove(r, t);
	return t;
}

void
ready_remove(struct ready *r, struct task *t)
{
	struct task_list *list = &r->by_priority[t->priority];

	TAILQ_REMOVE(list, t, entry);
	if (TAILQ_EMPTY(list))
		r->filled &= ~(1u << t->priority);
	t->place = TASK_NOWHERE;
	r->n--;
}
