/* SPDX-License-Identifier: ISC */
/*
 * pool.h - the task threads of a worker, on one queue
 *
 * The main thread pushes jobs and, behind the last one, a pill for each
 * thread.  A thread takes jobs in order until it swallows a pill, and ends.
 */
#ifndef GANGER_WORKER_POOL_H
#define GANGER_WORKER_POOL_H

#include <pthread.h>
#include <stdbool.h>

#include "ipc/buf.h"
#include "worker/job.h"

struct pool_ops {
	/* First and last in thread i.  start returns 0 or -errno, and undoes
	 * itself then. */
	int (*start_thread)(void *arg, unsigned i);
	void (*stop_thread)(void *arg);
	/* Run the job and answer.  scratch is the thread's, and empty. */
	void (*perform)(void *arg, struct ganger_task *t, struct buf *scratch);
	/* A thread's last word to the main thread: the pool may be over. */
	void (*on_ended)(void *arg);
};

struct pool_thread;

struct pool {
	const struct pool_ops *ops;
	void *arg;
	struct pool_thread *threads; /* owned */
	unsigned n_threads;          /* that run; fixed once started */

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t work;  /* a job or a pill was put there */
	pthread_cond_t news;  /* n_started changed */
	struct job_list waiting, running;
	unsigned n_idle;    /* threads that wait for work */
	bool waking;        /* one of them is on its way to look for some */
	unsigned n_pills;   /* behind the last of waiting */
	unsigned n_started; /* threads that have come through start_thread */
	unsigned n_ended;   /* always <= n_started */
	int start_error;    /* of the first start_thread that failed */
};

/*
 * Start n threads and wait until each has come through start_thread.  0 or
 * -errno; on error no thread is left.  Each thread has the caller's blocked
 * signals.
 */
int pool_start(
    struct pool *p, unsigned n, const struct pool_ops *ops, void *arg);

/* Queue a job; the pool owns it. */
void pool_push(struct pool *p, struct ganger_task *t);

/* Queue the pills.  No job may be pushed from here on. */
void pool_push_pills(struct pool *p);

/* True once every thread has swallowed its pill. */
bool pool_is_over(struct pool *p);

/* Wait for the threads and release the pool; after pool_push_pills. */
void pool_join(struct pool *p);

/* Call fn for every job, waiting or running, under the pool's lock. */
void pool_visit(
    struct pool *p, void (*fn)(void *arg, struct ganger_task *t), void *arg);

#endif
