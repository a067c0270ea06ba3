/* SPDX-License-Identifier: ISC */
/*
 * limit.h - the soft time limits of the jobs in a pool
 *
 * One timer of the main thread's loop, for the limit that may be over first;
 * none runs while no job has a limit.
 */
#ifndef GANGER_WORKER_LIMIT_H
#define GANGER_WORKER_LIMIT_H

#include <ev.h>

#include "worker/pool.h"

struct limit {
	struct ev_loop *loop; /* borrowed */
	struct pool *pool;    /* borrowed */
	struct ev_timer timer;
};

void limit_init(struct limit *l, struct ev_loop *loop, struct pool *pool);

/* A job with a soft limit of so many ms comes to the pool. */
void limit_watch(struct limit *l, int64_t soft_timeout_ms);

#endif
