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
#include "master/broker/disk.h"
#include "master/broker/handover.h"
#include "master/broker/handover_load.h"
#include "master/broker/hold.h"
#include "master/broker/holdback.h"
#include "master/broker/listener.h"
#include "master/broker/mailbox.h"
#include "master/broker/settings.h"
#include "master/broker/store.h"
#include "master/broker/task.h"
#include "master/broker/throttle.h"
#include "master/broker/unique.h"
#include "master/broker/wallwatch.h"
#include "master/broker/window.h"

struct absent;
struct conn;
TAILQ_HEAD(conn_list, conn);
RB_HEAD(absent_tree, absent);

/* Since the broker's start. */
struct broker_stats {
	uint64_t connections, requests;
	uint64_t submitted, succeeded, failed, cancelled, expired, quarantined;
	uint64_t retried;   /* runs that failed and are tried again */
	uint64_t requeued;  /* runs cut by no fault of the task */
	uint64_t recovered; /* runs cut by the death of a broker */
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
	int store_failing;      /* errno of what fails in it; 0: nothing */
	char store_why[256];    /* in words */
	char store_damage[256]; /* what of it is damaged; empty: nothing */
	int64_t steady_ms;      /* steady ms less those of the monotonic */
	struct task_tree tasks; /* resident, not ended; owns a reference each */
	struct task_tree ending; /* ended, not kept so far; likewise */
	struct task_tree
	    departing; /* spilled or deleted, not written so far; likewise */
	struct task_list departed;  /* the same, in the order of leaving */
	struct absent_tree absents; /* who waits for what is on disk only */
	struct window window;
	size_t n_tasks;
	uint64_t n_bytes;   /* sum of n_charged over tasks */
	uint64_t n_waiting; /* tasks that are ready or scheduled */
	uint64_t seq;       /* last one given to a task that became ready */
	struct mailboxes mailboxes;
	struct uniques uniques;
	/* Tasks that have not ended and are on the disk only: with a key, and
	 * with a unique text.  While 0 there is nothing to be looked up. */
	uint64_t n_keyed_absent, n_unique_absent;
	struct holdbacks holdbacks;
	struct holds holds; /* submits that wait for room */
	struct disk disk;   /* the store's */
	/* For want of room durable tasks are refused, and that was told. */
	bool store_full;
	struct ev_timer room_timer; /* looks whether it is over */
	struct delay timers;
	struct wallwatch wallwatch;
	struct throttle throttle;
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

/* The steady clock, in ms. */
int64_t broker_steady_now(const struct broker *b);

/* A client's answers were all sent: the last one of a broker that leaves? */
void broker_sent(struct broker *b);

#endif
