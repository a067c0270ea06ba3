/* SPDX-License-Identifier: ISC */
/*
 * chan.h - the channel to one worker
 *
 * Speaks the worker's protocol and knows which tasks the worker has; what its
 * news mean for a task or a pool is decided above, through chan_ops.  A chan
 * lives from the worker's start until the master has reaped it (or the broker
 * ends), so its connection may be gone before it is.
 */
#ifndef GANGER_BROKER_CHAN_H
#define GANGER_BROKER_CHAN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "ipc/peer.h"
#include "master/broker/crew.h"
#include "master/broker/task.h"

enum chan_state {
	CHAN_STARTING, /* no hello so far */
	CHAN_UP,
	CHAN_PILLED, /* has had the poison pill, behind its last task */
	CHAN_DOOMED, /* the master was asked to kill it */
	CHAN_LOST,   /* connection gone; the master has yet to reap it */
};

/* What a handler's failure says. */
struct chan_failure {
	int64_t code;
	const char *message;
	json_t *data; /* borrowed; may be NULL */
	bool retryable;
	int64_t retry_after_ms; /* -1: not named */
};

struct chan_ops {
	/* It can take tasks, and knows these names (borrowed; NULL: what its
	 * pool's settings say): chan_set_shift.  -errno: it must be replaced.
	 */
	int (*on_hello)(struct chan *c, json_t *names);
	/* The run of t is over; the slot is free already.  result is text that
	 * the callee takes. */
	void (*on_result)(struct chan *c, struct task *t, char *result);
	void (*on_failure)(
	    struct chan *c, struct task *t, const struct chan_failure *f);
	void (*on_snooze)(struct chan *c, struct task *t, int64_t delay_ms);
	/* The worker was told to end, and has cut the run. */
	void (*on_cut)(struct chan *c, struct task *t);
	/* It broke the protocol, or can't be fed: it must be replaced. */
	void (*on_broken)(struct chan *c, const char *why);
	/* Both its connection and its process are gone: free it. */
	void (*on_over)(struct chan *c);
};

struct chan_run {
	uint64_t rpc_id;   /* of the open request; low bits are the slot */
	struct task *task; /* borrowed; NULL when the slot is free */
};

struct chan {
	struct peer peer; /* first: a struct peer * is a struct chan * */
	const struct chan_ops *ops;
	struct crew *crew;   /* borrowed */
	struct shift *shift; /* borrowed; of the crew's */
	unsigned number;     /* N of "POOL/N" */
	pid_t pid;
	enum chan_state state;
	bool alone;     /* runs a suspect, or is kept empty for one */
	bool condemned; /* is fed no more, for one of its tasks will end it */
	bool listed;    /* on shift->idle */
	bool reaped;    /* the master has told so */
	bool served;    /* has finished a task */
	bool worn;      /* its replacement was asked for */
	bool buried;    /* the connection's end was told */
	unsigned threads;
	unsigned n_running;    /* always <= threads */
	struct chan_run *runs; /* owned; threads of them */
	unsigned *free_slots;  /* owned stack of threads - n_running slots */
	uint64_t n_requests;
	uint64_t n_done;
	uint64_t retire_after; /* tasks; 0: never */
	int64_t started_at;    /* wall ms */
	TAILQ_ENTRY(chan) idle_entry;
	TAILQ_ENTRY(chan) entry; /* of crew->chans */
};

/*
 * Make the channel of worker `number` over fd, which it owns from here on (on
 * error the caller keeps it).  -ENOMEM.
 */
int chan_new(struct crew *crew, struct peer_group *g, int fd, unsigned number,
    pid_t pid, size_t max_message, const struct chan_ops *ops,
    struct chan **out);
void chan_free(struct chan *c);

/*
 * Go on with a channel that was handed over.  `like` has its numbers, state and
 * flags, whose names are in chan_restore; the runs follow, one call each.  fd
 * is -1 when the connection is gone; else it is owned from here on, also on
 * error. -ENOMEM.
 */
int chan_restore(struct crew *crew, struct peer_group *g, int fd,
    size_t max_message, const struct chan_ops *ops, const struct chan *like,
    const struct peer_state *peer, struct chan **out);

/* t runs in a slot, by the open request rpc_id.  -EINVAL: it can't. */
int chan_restore_run(struct chan *c, uint64_t rpc_id, struct task *t);

/* True when it can take a task now. */
static inline bool
chan_is_free(const struct chan *c)
{
	return c->state == CHAN_UP && c->n_running < c->threads && !c->alone &&
	       !c->condemned && peer_is_open(&c->peer);
}

/* Let it be one of those that know the same.  It has no tasks. */
void chan_set_shift(struct chan *c, struct shift *s);

/* Take t, which is running from here on, into a slot; chan_is_free(c) or
 * c->alone.  The worker does not know of it before chan_send. */
void chan_take_on(struct chan *c, struct task *t);

/* Send t, which has a slot.  0: no such limit. */
void chan_send(struct chan *c, const struct task *t, int64_t timeout_ms,
    int64_t soft_timeout_ms);

/* True when a task that has a slot can still be sent. */
static inline bool
chan_can_send(const struct chan *c)
{
	return c->state == CHAN_UP && !c->condemned && peer_is_open(&c->peer);
}

/* Take back t, which has a slot and was not sent. */
void chan_take_back(struct chan *c, struct task *t);

/*
 * Ask the worker to end t, which was sent to it; a command is killed when it
 * goes on for grace_ms.
 */
void chan_cancel(struct chan *c, const struct task *t, int64_t grace_ms);

/* Feed it no more, for now; or again. */
void chan_condemn(struct chan *c, bool condemned);

/* Send the poison pill: it ends when the tasks that it has are done. */
void chan_pill(struct chan *c);

/* Give it no more tasks: it is about to be killed. */
void chan_doom(struct chan *c);

/*
 * The process was reaped: take the answers that it left behind.  The tasks it
 * still has are then the caller's, by chan_take.
 */
void chan_reaped(struct chan *c);

/* Take one task away from a worker that is gone, or NULL. */
struct task *chan_take(struct chan *c);

const char *chan_state_name(const struct chan *c);

#endif
