/* SPDX-License-Identifier: ISC */
/*
 * ready.c - the order of tasks that wait for a worker
 *
 * A list for each priority and a bitmap of those that are not empty.
 */
#include "master/broker/ready.h"

void
ready_init(struct ready *r)
{
	unsigned i;

	for (i = 0; i < PROTO_PRIORITIES; i++)
		TAILQ_INIT(&r->by_priority[i]);
	r->filled = 0;
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

struct task *
ready_peek(const struct ready *r)
{
	int p;

	if (r->filled == 0)
		return NULL;
	p = 31 - __builtin_clz(r->filled);
	return TAILQ_FIRST(&r->by_priority[p]);
}

struct task *
ready_pop(struct ready *r)
{
	struct task *t;

	t = ready_peek(r);
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
