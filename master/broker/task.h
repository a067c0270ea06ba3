/* SPDX-License-Identifier: ISC */
/*
 * task.h - a task and the states that it goes through
 *
 * Pure: knows no clock, no loop and no socket.  A task is counted by reference
 * within the broker's one thread; it is freed with its last reference.
 */
#ifndef GANGER_BROKER_TASK_H
#define GANGER_BROKER_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <bsd/sys/tree.h>

#include "ipc/clock.h"
#include "master/broker/delay.h"

struct band;
struct chan;
struct crew;
struct kind;
struct lane;
struct mailbox;
struct queue;
struct shift;
struct wait_link;

enum task_state {
	TASK_SCHEDULED,
	TASK_READY,
	TASK_RUNNING,
	TASK_SUCCEEDED,
	TASK_FAILED,
	TASK_CANCELLED,
	TASK_EXPIRED,
	TASK_QUARANTINED,
};
#define TASK_N_STATES 8

enum task_event {
	TASK_EV_DUE,        /* its time to run has come */
	TASK_EV_EXPIRE,     /* it expired before a start */
	TASK_EV_CANCEL,     /* a client wants it no more */
	TASK_EV_START,      /* handed to a worker: run + 1 */
	TASK_EV_SUCCEED,    /* the handler returned a result */
	TASK_EV_RETRY,      /* failed, attempts are left: attempt + 1 */
	TASK_EV_FAIL,       /* failed for good: attempt + 1 */
	TASK_EV_SNOOZE,     /* the handler wants to be called again later */
	TASK_EV_REQUEUE,    /* the run was cut by no fault of the task */
	TASK_EV_GIVE_UP,    /* the handler gave up for a cancel */
	TASK_EV_QUARANTINE, /* proven to kill its worker: attempt + 1 */
	TASK_EV_REVIVE,     /* an operator's retry */
};
#define TASK_N_EVENTS 12

/* Which list a task that waits is on. */
enum task_place {
	TASK_NOWHERE,
	TASK_IN_LANE,
	TASK_IN_SUSPECTS,
	TASK_IN_MAILBOX, /* ready, but another task of its key comes first */
	TASK_IN_BREAKER, /* ready, but tasks of its name are held back */
};

struct task_progress {
	uint64_t done, total; /* total 0: unknown */
	char *note;           /* owned; may be NULL */
	bool told;            /* the handler said something */
};

struct task {
	uint64_t id;
	unsigned refs;
	struct kind *kind;   /* borrowed from the catalog: its name */
	struct queue *queue; /* borrowed */
	struct lane *lane;   /* borrowed; where it waits when ready */
	enum task_state state;
	enum task_state last_state; /* before the last event */
	enum task_place place;
	uint8_t priority; /* 0 to 9, 9 first */
	bool durable;
	bool suspect;      /* was in a process that died: runs alone now */
	bool timed_out;    /* its process is being killed for its time limit */
	bool answered;     /* its caller has the result */
	bool at_most_once; /* its start is kept before it is made */
	bool parked;       /* ready, and waits behind another task of its key */
	bool holds;        /* is the one of its key that may run */
	bool cancelling;   /* a client wanted it no more while it ran */
	bool outstayed;    /* and its process is being killed for it */
	bool unsent;       /* running, but its worker does not know of it yet */
	bool ending;       /* has ended, which the store has yet to keep */
	bool in_due;       /* scheduled, and counted in the window */
	bool lost;         /* the store could not keep it when it was new */
	bool spilled;      /* on disk only, but for who still looks at it */
	bool shelved;      /* on the memory store's list of ended ones */
	uint64_t seq;      /* place in the order of what became ready */

	uint32_t attempt;     /* attempts used up */
	uint32_t retries;     /* attempts allowed after the first */
	uint32_t run;         /* fencing token: raised with each start */
	uint32_t crashes;     /* workers that it is proven to have killed */
	uint32_t interrupted; /* runs that a stop or a reload has cut */
	uint32_t recoveries;  /* runs that the death of a broker has cut */
	int64_t backoff_ms;
	/* 0: the queue's or pool's, or none. */
	int64_t timeout_ms, soft_timeout_ms;
	int64_t result_ttl_ms; /* -1: the daemon's */

	/* Wall-clock times in ms; 0: not so far. */
	int64_t submitted_at, run_at, started_at, finished_at;
	bool run_at_is_wall; /* run_at was named by the client */
	/* As the store keeps them, in ms; 0: not.  Steady ms are the monotonic
	 * clock's plus broker.steady_ms, and go on over a restart. */
	int64_t due_ms;       /* of a scheduled task: run_at, or steady */
	int64_t expires_ms;   /* steady */
	struct mono expires;  /* ns 0: never */
	struct mono due;      /* of a scheduled task; a running one's limit */
	struct mono ready_at; /* since when it has been ready, if it is */
	struct mono kill_at;  /* of a running one that its process is killed
				 for; ns 0: it is not, or that was ordered */

	char *args;            /* owned JSON text; NULL: null */
	char *meta;            /* owned JSON text, or NULL */
	char *result;          /* owned JSON text once succeeded */
	char *error;           /* owned JSON text of the last error, or NULL */
	char *errors;          /* owned JSON array of the last ones, or NULL */
	char *key;             /* owned; its mailbox, or NULL */
	char *unique;          /* owned; or NULL */
	char *idempotency_key; /* owned; or NULL */
	size_t n_bytes;        /* of the texts above */
	size_t n_counted;      /* its size when the window counted it */
	size_t n_charged;      /* its size when it entered */
	struct task_progress progress;

	struct chan *chan;   /* borrowed while running */
	unsigned run_slot;   /* its place in chan->runs */
	struct crew *crew;   /* borrowed; the pool that ran it last, or NULL */
	unsigned worker;     /* number of the worker that ran it last */
	struct mono began;   /* of the run, if it was charged */
	uint64_t charged_us; /* what its queue has paid for the run; 0: not */
	struct shift *shift; /* borrowed; whose suspect it is, in its place */
	struct band *band;   /* borrowed; the window that it is in, or NULL */
	struct mailbox *mailbox; /* borrowed; of its key, once it is ready */
	/* A durable store's alone: */
	STAILQ_ENTRY(task) news_entry; /* of what has news, if it has */
	uint8_t news;                  /* what is to be written */
	uint8_t news_flying;           /* what is being written */

	struct delay_node timer; /* state decides what is due */
	LIST_HEAD(, wait_link) waiters;
	TAILQ_ENTRY(task)
	entry; /* of its place; of the store when it has ended */
	RB_ENTRY(task)
	active; /* of the broker's tasks, ending or departing ones */
	RB_ENTRY(task) stored; /* of the memory store */
};

TAILQ_HEAD(task_list, task);
RB_HEAD(task_tree, task);
RB_PROTOTYPE(task_tree, task, active, task_cmp)
RB_HEAD(task_store_tree, task);
RB_PROTOTYPE(task_store_tree, task, stored, task_cmp)

/* A task with one reference, READY, all else zero.  NULL: out of memory. */
struct task *task_new(uint64_t id);
struct task *task_ref(struct task *t);

/* Drop a reference; NULL-safe. */
void task_unref(struct task *t);

int task_cmp(const struct task *a, const struct task *b);

/* The state after ev, or -1 when ev can't happen in `from`. */
int task_next_state(enum task_state from, enum task_event ev);

/*
 * Let ev happen at wall time `now_ms`: state, attempt, run and times follow.
 * -EINVAL: it can't happen in this state; nothing is changed.
 */
int task_apply(struct task *t, enum task_event ev, int64_t now_ms);

bool task_state_is_final(enum task_state s);
static inline bool
task_is_final(const struct task *t)
{
	return task_state_is_final(t->state);
}

/* As clients see it: an end is told only when it is kept. */
static inline enum task_state
task_told_state(const struct task *t)
{
	return t->ending ? t->last_state : t->state;
}

/* True when it is ready, runs, or waits to be run again. */
static inline bool
task_is_live(const struct task *t)
{
	return t->state == TASK_READY || t->state == TASK_RUNNING ||
	       (t->state == TASK_SCHEDULED && t->run > 0);
}

/* "ready", …; and back: -1 for a word that is no state. */
const char *task_state_name(enum task_state s);
int task_state_parse(const char *word);

/*
 * True when a failed attempt now would leave another one: never for one that
 * runs at most once.
 */
bool task_has_attempts_left(const struct task *t);

/*
 * The wait before the next try once `attempt` (>= 1) attempts are used up:
 * d = min(1 h, base·2^(attempt-1)), then d/2 + uniform(0, d/2), in ms.
 */
int64_t task_retry_delay(int64_t base_ms, uint32_t attempt, uint32_t random);

/* Replace one of the owned texts, keeping n_bytes; takes text, may be NULL. */
void task_set_text(struct task *t, char **field, char *text);

/* Bytes of memory that the task holds, itself included. */
size_t task_size(const struct task *t);

#endif
