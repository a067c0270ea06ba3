/* SPDX-License-Identifier: ISC */
/*
 * ready.h - the order of tasks that wait for a worker
 *
 * Pure.  Higher priority first, then first come, first served; or with ageing,
 * where a task that waits gains a priority for each age_ms of it, so that none
 * starves.  The tasks are borrowed; each is in at most one ready.  Every call
 * takes O(1) but ready_restore.
 */
#ifndef GANGER_BROKER_READY_H
#define GANGER_BROKER_READY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/proto.h"
#include "master/broker/task.h"

struct ready {
	struct task_list by_priority[PROTO_PRIORITIES];
	unsigned filled; /* bit p is set when by_priority[p] has a task */
	size_t n;
	/* A task whose seq is over it waits for others that are on disk; bit p
	 * of `more` is set while there are such others. */
	uint64_t limit[PROTO_PRIORITIES];
	unsigned more;
};

void ready_init(struct ready *r);

/* Put t behind all of its priority.  t->seq has been raised for it. */
void ready_push(struct ready *r, struct task *t);

/* Put t back where its seq says: in front of all that came after it. */
void ready_restore(struct ready *r, struct task *t);

/* True when a is before b; age_ms 0: no ageing, at most READY_AGE_MAX_MS. */
#define READY_AGE_MAX_MS (INT64_C(3650) * 86400 * 1000)
bool ready_is_before(
    const struct task *a, const struct task *b, int64_t age_ms);

/* Nothing of that priority beyond seq is to be started; UINT64_MAX: all may. */
void ready_set_limit(struct ready *r, unsigned priority, uint64_t seq);

/* The next task, or NULL; pop takes it out. */
struct task *ready_peek(const struct ready *r, int64_t age_ms);
struct task *ready_pop(struct ready *r, int64_t age_ms);

/* Take out t, which is in r. */
void ready_remove(struct ready *r, struct task *t);

#endif
