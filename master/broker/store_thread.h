/* SPDX-License-Identifier: ISC */
/*
 * store_thread.h - the storage thread, and how a batch gets there and back
 *
 * It carries out one batch at a time.  It has no signals: they are for the
 * broker's thread.
 */
#ifndef GANGER_BROKER_STORE_THREAD_H
#define GANGER_BROKER_STORE_THREAD_H

#include <ev.h>
#include <pthread.h>
#include <stdbool.h>

#include "master/broker/store_batch.h"
#include "master/broker/store_db.h"

struct store_thread {
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct ev_loop *loop;      /* borrowed */
	struct ev_async *done;     /* borrowed; sent when a batch is ready */
	struct store_db *db;       /* borrowed; the thread's until the stop */
	struct store_batch *batch; /* borrowed; what is to be done; or NULL */
	bool busy;                 /* it is at it */
	bool stop;
};

/* t, db, loop and done stay where they are until the stop.  -errno. */
int store_thread_start(struct store_thread *t, struct store_db *db,
    struct ev_loop *loop, struct ev_async *done);

/* Let it carry out b; it has nothing to do. */
void store_thread_give(struct store_thread *t, struct store_batch *b);

/* True when the batch, if one was given, is carried out. */
bool store_thread_is_ready(struct store_thread *t);

/* Wait until that is so. */
void store_thread_wait(struct store_thread *t);

/* Wait for what it is at, and end it; db is the caller's again. */
void store_thread_stop(struct store_thread *t);

#endif
