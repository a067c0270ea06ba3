/* SPDX-License-Identifier: ISC */
/*
 * ready.h - the order of tasks that wait for a worker
 *
 * Pure.  Higher priority first, then first come, first served.  The tasks are
 * borrowed; each is in at most one ready.  Every call takes O(1) but
 * ready_restore.
 */
#ifndef GANGER_BROKER_READY_H
#define GANGER_BROKER_READY_H

#include <stddef.h>

#include "ipc/proto.h"
#include "master/broker/task.h"

struct ready {
	struct task_list by_priority[PROTO_PRIORITIES];
	unsigned filled; /* bit p is set when by_priority[p] has a task */
	size_t n;
};

void ready_init(struct ready *r);

/* Put t behind all of its priority.  t->seq has been raised for it. */
void ready_push(struct ready *r, struct task *t);

/* Put t back where its seq says: in front of all that came after it. */
void ready_restore(struct ready *r, struct task *t);

/* The next task, or NULL; pop takes it out. */
struct task *ready_peek(const struct ready *r);
struct task *ready_pop(struct ready *r);

/* Take out t, which is in r. */
void ready_remove(struct ready *r, struct task *t);

#endif
