/* SPDX-License-Identifier: ISC */
/*
 * supervisor.h - the master: keep the broker and the workers alive
 *
 * One loop, one thread, never exec'd.  It parses nothing that a client sent and
 * blocks on nothing.
 */
#ifndef GANGER_SUPERVISOR_SUPERVISOR_H
#define GANGER_SUPERVISOR_SUPERVISOR_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "ipc/ctl.h"
#include "master/supervisor/config.h"
#include "master/supervisor/slot.h"

/* What the children do; each runs in the child and returns its exit status. */
struct supervisor_ops {
	int (*run_broker)(void *arg, int ctl_fd);
	int (*run_worker)(void *arg, const struct config_pool *pool,
	    unsigned number, int channel_fd);
	/* Clients are served from now on; called once, in the master. */
	void (*on_serving)(void *arg);
};

enum supervisor_phase {
	SUPERVISOR_STARTING, /* the socket is not open yet */
	SUPERVISOR_SERVING,
	SUPERVISOR_GRACEFUL, /* tasks are run to their end */
	SUPERVISOR_ABORTING, /* over graceful_timeout: stragglers were aborted
			      */
	SUPERVISOR_QUICK,    /* two seconds left */
	SUPERVISOR_KILLING,  /* none left */
};

struct supervisor {
	const struct config *config; /* borrowed */
	const struct supervisor_ops *ops;
	void *arg;
	struct ev_loop *loop; /* owned */
	enum supervisor_phase phase;
	struct ctl ctl;    /* to the broker; closed while there is none */
	bool broker_ready; /* it takes orders */
	struct slot broker;
	struct slot *workers; /* owned */
	size_t n_workers;
	bool drained;     /* no task is left */
	int listen_fd;    /* owned; -1 until serving */
	dev_t listen_dev; /* of the socket's file */
	ino_t listen_ino;
	int signal_fd; /* owned */
	struct ev_io signals;
	struct ev_timer stop;  /* the next, harder step of a stop */
	struct ev_timer serve; /* serve now, though a worker is not up yet */
	unsigned n_int, n_quit;
	bool on_terminal;
	bool ended; /* the loop was told to end */
	int exit_status;
};

/*
 * Run until stopped.  Returns the daemon's exit status.  The locks are held,
 * and all signals are blocked, by the caller.
 */
int supervisor_run(
    const struct config *config, const struct supervisor_ops *ops, void *arg);

/* The timers of a slot. */
void supervisor_on_boot_timeout(
    struct ev_loop *loop, struct ev_timer *w, int revents);
void supervisor_on_restart(
    struct ev_loop *loop, struct ev_timer *w, int revents);
void supervisor_on_proved(
    struct ev_loop *loop, struct ev_timer *w, int revents);

/* Start, or go on to, a stop.  A softer one than the present is ignored. */
void supervisor_stop(
    struct supervisor *sv, enum supervisor_phase phase, const char *why);

/* Open the socket if all that has to be up is. */
void supervisor_serve_if_ready(struct supervisor *sv);

/* Start a process in the slot, which has none. */
void supervisor_start(struct slot *s);

/* Reap all children that have ended. */
void supervisor_reap(struct supervisor *sv);

/* Log to a file that was opened anew, everywhere. */
void supervisor_reopen_logs(struct supervisor *sv);

#endif
