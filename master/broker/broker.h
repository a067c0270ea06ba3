/* SPDX-License-Identifier: ISC */
/*
 * broker.h - the process that owns the tasks
 *
 * One loop, one thread.  struct broker is what the parts of the broker share;
 * it is set up once by broker_run and passed to all of them.
 */
#ifndef GANGER_BROKER_BROKER_H
#define GANGER_BROKER_BROKER_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "ipc/buf.h"
#include "ipc/ctl.h"
#include "ipc/peer.h"
#include "master/broker/ask.h"
#include "master/broker/catalog.h"
#include "master/broker/crew.h"
#include "master/broker/delay.h"
#include "master/broker/handover.h"
#include "master/broker/handover_load.h"
#include "master/broker/listener.h"
#include "master/broker/settings.h"
#include "master/broker/store.h"
#include "master/broker/task.h"
#include "master/broker/wallwatch.h"

struct conn;
TAILQ_HEAD(conn_list, conn);

/* Since the broker's start. */
struct broker_stats {
	uint64_t connections, requests;
	uint64_t submitted, succeeded, failed, cancelled, expired, quarantined;
	uint64_t retried;  /* runs that failed and are tried again */
	uint64_t requeued; /* runs cut by no fault of the task */
};

enum broker_phase {
	BROKER_SERVING,
	BROKER_DRAINING, /* takes no more tasks; ends when none is left */
	BROKER_QUITTING, /* ends when the workers have, or soon */
	BROKER_LEAVING,  /* sends what is written, then ends */
};

struct broker {
	struct broker_settings *settings; /* a reference */
	struct ev_loop *loop;
	struct peer_group group;
	struct ctl ctl;
	struct asks asks; /* the master is to answer */
	struct listener listener;
	struct catalog catalog;
	/* Owned; those of the settings in their order, then those that leave,
	 * then those that are gone. */
	struct crew **crews;
	size_t n_crews;                     /* without those that are gone */
	size_t n_all_crews;                 /* with them */
	struct shift *shift_at[SHIFTS_MAX]; /* borrowed; by index */
	struct store *store;
	struct task_tree tasks; /* that have not ended; owns a reference each */
	size_t n_tasks;
	uint64_t n_bytes;   /* sum of n_charged over tasks */
	uint64_t n_waiting; /* tasks that are ready or scheduled */
	uint64_t seq;       /* last one given to a task that became ready */
	struct delay timers;
	struct wallwatch wallwatch;
	struct ev_timer timer; /* for the first of timers */
	int64_t armed_ns;      /* what it is set for; 0: not set */
	struct conn_list conns;
	unsigned n_conns;
	unsigned n_waiters;
	size_t n_links;     /* ids in them */
	struct buf discard; /* answers that nobody wants end here */
	struct broker_stats stats;
	enum broker_phase phase;
	struct handover handover;
	bool holding; /* no requests are taken for now */
	struct ev_timer leave_timer;
	struct ev_timer load_timer; /* runs: no load is told meanwhile */
	bool told_drained;
	bool cutting; /* workers are stopped with their tasks in them */
};

/*
 * Be the broker: set up, tell the master over ctl_fd (owned), serve until it is
 * told to stop or the master is gone.  The reference to settings is taken.
 * Returns the process's exit status.
 */
int broker_run(struct broker_settings *settings, int ctl_fd);

/*
 * Go on with what the image before an exec has handed over: its head was read
 * from `in` already.  shared is borrowed.  Returns the process's exit status.
 */
int broker_resume(struct handover_in *in, const struct handover_head *head,
    struct broker_shared *shared);

/* A client's answers were all sent: the last one of a broker that leaves? */
void broker_sent(struct broker *b);

#endif
