/* SPDX-License-Identifier: ISC */
/*
 * supervisor.h - the master: keep the broker and the workers alive
 *
 * One loop, one thread.  It parses nothing that a client sent and blocks on
 * nothing.  struct supervisor is what the parts of the master share; it is set
 * up once by supervisor_run and passed to all of them.
 */
#ifndef GANGER_SUPERVISOR_SUPERVISOR_H
#define GANGER_SUPERVISOR_SUPERVISOR_H

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "ipc/buf.h"
#include "ipc/ctl.h"
#include "master/supervisor/config.h"
#include "master/supervisor/deadline.h"
#include "master/supervisor/files.h"
#include "master/supervisor/lock.h"
#include "master/supervisor/notify.h"
#include "master/supervisor/outage.h"
#include "master/supervisor/pool.h"
#include "master/supervisor/reload.h"
#include "master/supervisor/slot.h"
#include "master/supervisor/upgrade.h"
#include "master/supervisor/verdict.h"

/*
 * What the master needs of the rest of the program.  arg is supervisor_start's.
 */
struct supervisor_ops {
	/* What a child does; returns its exit status.  Run in the child. */
	int (*run_broker)(
	    void *arg, const struct config *c, json_t *names, int ctl_fd);
	int (*run_worker)(void *arg, const struct config *c,
	    const struct config_pool *pool, unsigned number, int channel_fd,
	    struct page *page);

	/* The descriptor of the memory that every broker inherits. */
	int (*shared_fd)(void *arg);

	/* Write what the broker is told of a configuration.  0 or -errno. */
	int (*write_settings)(
	    void *arg, const struct config *c, json_t *names, struct buf *out);

	/* Clients are served from now on; called once. */
	void (*on_serving)(void *arg);

	/*
	 * Have a child check the configuration anew, with the binary that may
	 * have taken the place of this one if `renewed`, and tell through fn.
	 * One at a time.  0 or -errno.
	 */
	int (*check_start)(void *arg, struct ev_loop *loop, bool renewed,
	    verdict_fn fn, void *fn_arg);
	/* Load what an upgrade's check has answered; the caller owns both.
	 * 0 or -errno. */
	int (*load_checked)(void *arg, const json_t *answer,
	    struct config **config_out, json_t **names_out);
	void (*check_cancel)(void *arg);
	/* True when pid was the checking child's. */
	bool (*check_reaped)(void *arg, pid_t pid, int status);

	/*
	 * Open the binary that may have taken the place of this one, for
	 * execveat.  A descriptor, or -errno.
	 */
	int (*open_binary)(void *arg);
	/* Become that binary, with the descriptor number of what is handed
	 * over.  Returns -errno, or not at all. */
	int (*exec_binary)(void *arg, int binary_fd, int handover_fd);
	/* The descriptors of the rest of the program that are handed over as
	 * well, written to an object; see upgrade.h. */
	int (*hand_over)(void *arg, json_t *state, bool keep);
};

struct dump;

enum supervisor_phase {
	SUPERVISOR_STARTING, /* the socket is not open yet */
	SUPERVISOR_SERVING,
	SUPERVISOR_GRACEFUL, /* tasks are run to their end */
	SUPERVISOR_ABORTING, /* over graceful_timeout: stragglers were aborted
			      */
	SUPERVISOR_QUICK,    /* two seconds left */
	SUPERVISOR_KILLING,  /* none left */
	SUPERVISOR_SWEEPING, /* what tasks left behind is killed */
};

struct supervisor {
	struct config *config; /* owned; what runs */
	json_t *names;         /* owned; an array of task names for each pool */
	const struct supervisor_ops *ops;
	void *arg;
	struct ev_loop *loop; /* owned */
	enum supervisor_phase phase;
	struct ctl ctl;    /* to the broker; closed while there is none */
	bool broker_ready; /* it takes orders */
	struct slot broker;
	struct pool_list pools; /* owned; those leaving as well */
	bool resting;           /* workers were drained by SIGWINCH */
	bool drained;           /* no task is left */
	json_t *rolls;          /* owned; asks that wait for rolls, answer.c */
	struct reload reload;
	struct upgrade upgrade;
	LIST_HEAD(, dump) dumps; /* asked for, not answered */

	int listen_fd;    /* owned; -1 until serving */
	bool activated;   /* it came from the service manager */
	dev_t listen_dev; /* of the socket's file */
	ino_t listen_ino;
	struct files files; /* watches it, and the pid file */
	struct outage outage;
	struct notify notify;

	int signal_fd; /* owned */
	struct ev_io signals;
	struct deadline stop;   /* the next, harder step of a stop */
	struct deadline serve;  /* serve now, though a worker is not up yet */
	struct ev_timer health; /* the next look at the workers */
	struct mono health_due;
	struct ev_timer watchdog;
	struct ev_timer sweep;
	bool workers_killed; /* by the stop; the broker is next */
	unsigned n_sweeps;
	unsigned n_int, n_quit;
	bool on_terminal;
	bool debug; /* the level of the log is not the configuration's */
	bool ended; /* the loop was told to end */
	int exit_status;
};

/* What supervisor_run starts from. */
struct supervisor_start {
	struct config *config; /* taken */
	json_t *names;         /* taken */
	struct lock *lock;     /* borrowed; held */
	int listen_fd;         /* taken; of the service manager, or -1 */
	json_t *handover;      /* borrowed; of the binary before, or NULL */
	bool debug;            /* log at the debug level throughout */
	const struct supervisor_ops *ops;
	void *arg;
};

/*
 * Run until stopped.  Returns the daemon's exit status.  All signals are
 * blocked by the caller.
 */
int supervisor_run(const struct supervisor_start *start);

/* Start, or go on to, a stop.  A softer one than the present is ignored. */
void supervisor_stop(
    struct supervisor *sv, enum supervisor_phase phase, const char *why);

/* Open the socket if all that has to be up is. */
void supervisor_serve_if_ready(struct supervisor *sv);

/* Speak with the broker over fd, which is taken. */
void supervisor_connect(struct supervisor *sv, int fd);

/* The broker is set up and takes orders. */
void supervisor_take_ready(struct supervisor *sv, bool resumed);

/* Watch the socket's file; its path is sv->config's. */
void supervisor_watch_socket(struct supervisor *sv);

/* Open the log file anew, for the broker too. */
void supervisor_reopen_logs(struct supervisor *sv);

/* Tell the service manager how the pools are. */
void supervisor_tell_status(struct supervisor *sv);

/* SIGWINCH: let the workers go, keep queueing; or let them come back. */
void supervisor_rest(struct supervisor *sv, bool resting);

#endif
