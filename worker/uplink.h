/* SPDX-License-Identifier: ISC */
/*
 * uplink.h - a worker's channel to the broker
 *
 * The main thread reads orders and sends.  Task threads post whole messages,
 * which are gathered: however many come, the main thread is woken once, and
 * they leave in one write at the end of its turn.
 */
#ifndef GANGER_WORKER_UPLINK_H
#define GANGER_WORKER_UPLINK_H

#include <ev.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "ipc/buf.h"
#include "ipc/peer.h"
#include "worker/order.h"

/* Called in the main thread. */
struct uplink_ops {
	/* o is borrowed during the call. */
	void (*on_order)(void *arg, const struct order *o);
	/* At the end of each turn, before what was posted is sent. */
	void (*on_turn)(void *arg);
	/* All output was handed to the kernel. */
	void (*on_sent)(void *arg);
	/* The channel is closed; reason is static text, NULL: end of file. */
	void (*on_gone)(void *arg, const char *reason);
};

struct uplink {
	struct peer_group group;
	struct peer peer;
	const struct uplink_ops *ops;
	void *arg;
	size_t max_message;
	bool closing; /* by uplink_done: nobody is told */

	struct ev_async wake;
	atomic_bool woken;         /* wake was sent, the turn is to come */
	atomic_bool progress_told; /* a job has progress to send */

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t room;  /* unsent has become 0 */
	struct buf gathered;  /* posted, not taken by the main thread */
	size_t unsent;        /* bytes taken, but maybe not sent */
	bool lost;            /* there was no memory for a message */
};

/*
 * Watch fd, which u owns from here on (on error the caller keeps it).  -ENOMEM.
 */
int uplink_init(struct uplink *u, struct ev_loop *loop, int fd,
    size_t max_message, const struct uplink_ops *ops, void *arg);
void uplink_done(struct uplink *u);

/*
 * Any thread: send the content of b, whole messages, soon.  If there was no
 * memory for it, here or already in b, the channel is closed.
 */
void uplink_post(struct uplink *u, const struct buf *b);

/*
 * The same for what a task writes as it likes: waits while the broker is far
 * behind in reading, so that memory stays bounded.  Not for the main thread.
 */
void uplink_post_log(struct uplink *u, const struct buf *b);

/* Any thread: have a turn soon. */
void uplink_wake(struct uplink *u);

/* Any thread: a job has progress that was not sent. */
void uplink_tell_progress(struct uplink *u);

/* True once after uplink_tell_progress. */
bool uplink_take_progress(struct uplink *u);

/* The main thread: append whole messages to what is lent, then flush. */
struct buf *uplink_out(struct uplink *u);
void uplink_flush(struct uplink *u);

/* True when nothing waits to be sent; for a time when nobody posts. */
bool uplink_is_flushed(struct uplink *u);

#endif
