/* SPDX-License-Identifier: ISC */
/*
 * slot.h - the place of one child: a worker "POOL/N", or the broker
 *
 * A slot outlives its processes: it remembers how they died, which decides
 * when the next one starts.  A process that is to be replaced gets a successor
 * in a slot of its own, which takes the place over when it has said hello.
 */
#ifndef GANGER_SUPERVISOR_SLOT_H
#define GANGER_SUPERVISOR_SLOT_H

#include <ev.h>
#include <stdbool.h>
#include <sys/types.h>

#include <bsd/sys/queue.h>

#include "ipc/clock.h"
#include "ipc/page.h"
#include "master/supervisor/config.h"
#include "master/supervisor/deadline.h"
#include "master/supervisor/output.h"
#include "master/supervisor/restart.h"

struct supervisor;
struct pool;

struct slot {
	struct supervisor *supervisor; /* borrowed */
	struct pool *pool;             /* borrowed; NULL: the broker */
	unsigned number;               /* N of "POOL/N", from 1 */
	unsigned generation; /* pool->generation when it was started */
	pid_t pid;           /* 0: no process; never after its reaping */
	bool ordered;        /* its end was ordered: it is no death */
	bool answered;       /* it has said hello */
	bool filled;         /* had a process that this one comes in place of */
	bool over;           /* ended in a stop: no process any more */
	bool stale;          /* wants a successor, whatever its generation */
	bool leaving;        /* was told to retire, and is not started again */
	bool cut;            /* is being ended by no fault of any task of its */
	struct mono stopped_since; /* by a signal; 0: it goes on */
	struct slot *replaces;     /* borrowed; until this one has said hello */

	/* Of a canary: what it is started with, and the channel that the
	 * broker has not got yet; NULL and -1 for others. */
	const struct config *trial; /* borrowed */
	int channel_fd;             /* owned */
	struct ev_io hello;         /* something came on the channel */

	struct page *page; /* owned, with page_fd; NULL without a process */
	int page_fd;
	struct output output; /* of a worker; open while it may write */

	struct restart restart;
	struct deadline boot;    /* until hello */
	struct deadline grace;   /* for its last tasks */
	struct deadline kill;    /* from SIGABRT to SIGKILL */
	struct ev_timer again;   /* until the next start */
	struct ev_timer prove;   /* until it has proved itself */
	TAILQ_ENTRY(slot) entry; /* of pool->slots */
};

TAILQ_HEAD(slot_list, slot);

/* Longest slot_name: a pool's name, a slash and a number. */
#define SLOT_NAME_SIZE 160

void slot_init(
    struct slot *s, struct supervisor *sv, struct pool *pool, unsigned number);

/* Let go of all that belongs to its process, which is gone. */
void slot_clear(struct slot *s);

/* Stop the slot's timers. */
void slot_quiet(struct slot *s);

/* "broker", or "worker POOL/N". */
void slot_name(const struct slot *s, char out[SLOT_NAME_SIZE]);

/* Signal its process, which has not been reaped; does nothing without one. */
void slot_kill(const struct slot *s, int signo);

/* Likewise, that it ends: one that is stopped is let go on, to take it. */
void slot_end(const struct slot *s, int signo);

/* Signal its whole process group. */
void slot_kill_group(const struct slot *s, int signo);

/*
 * End a worker by no fault of its tasks: SIGABRT, which has it log where its
 * threads are, and SIGKILL to its group a second later.  One that is stopped
 * goes on for that.
 */
void slot_abort(struct slot *s, const char *why);

/* "killed by signal 9 (Killed)", "exited with status 1": a waitpid status. */
void slot_describe_status(int status, char *out, size_t size);

#endif
