/* SPDX-License-Identifier: ISC */
/*
 * slot.h - the place of one child: a worker "POOL/N", or the broker
 *
 * A slot outlives its processes: it remembers how they died, which decides
 * when the next one starts.
 */
#ifndef GANGER_SUPERVISOR_SLOT_H
#define GANGER_SUPERVISOR_SLOT_H

#include <ev.h>
#include <stdbool.h>
#include <sys/types.h>

#include "ipc/buf.h"
#include "master/supervisor/config.h"
#include "master/supervisor/restart.h"

struct supervisor;

struct slot {
	struct supervisor *supervisor;  /* borrowed */
	const struct config_pool *pool; /* borrowed; NULL: the broker */
	unsigned number;                /* N of "POOL/N", from 1 */
	pid_t pid;     /* 0: no process; never after its reaping */
	bool ordered;  /* its end was ordered: it is no death */
	bool answered; /* it has said hello */
	bool over;     /* ended in a stop: no process any more */
	struct restart restart;
	struct ev_timer boot;  /* until hello */
	struct ev_timer again; /* until the next start */
	struct ev_timer prove; /* until it has proved itself */
};

/* Longest slot_name: a pool's name, a slash and a number. */
#define SLOT_NAME_SIZE 160

void slot_init(struct slot *s, struct supervisor *sv,
    const struct config_pool *pool, unsigned number);

/* Stop the slot's timers. */
void slot_quiet(struct slot *s);

/* "broker", or "worker POOL/N". */
void slot_name(const struct slot *s, char out[SLOT_NAME_SIZE]);

/* Signal its process, which has not been reaped; does nothing without one. */
void slot_kill(const struct slot *s, int signo);

/* Signal its whole process group. */
void slot_kill_group(const struct slot *s, int signo);

/* "killed by signal 9 (Killed)", "exited with status 1": a waitpid status. */
void slot_describe_status(int status, char *out, size_t size);

#endif
