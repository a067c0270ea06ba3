/* SPDX-License-Identifier: ISC */
/*
 * lock.h - one daemon for each state_dir, pid file and socket
 *
 * Locks are the kernel's (flock), so those of a daemon that died are void,
 * whatever files it left behind.
 */
#ifndef GANGER_SUPERVISOR_LOCK_H
#define GANGER_SUPERVISOR_LOCK_H

#include "ipc/buf.h"
#include "master/supervisor/config.h"

struct pidfh;

struct lock {
	int dir_fd;            /* owned; state_dir, locked; -1: not held */
	struct pidfh *pidfile; /* owned */
	struct pidfh *socket;  /* owned; SOCKET.lock */
};

void lock_init(struct lock *l);

/*
 * Make the folders that are missing and take the locks.  On error nothing is
 * held, and why is appended to reason: -EEXIST when another daemon has one, or
 * the -errno of what failed.
 */
int lock_take(struct lock *l, const struct config *c, struct buf *reason);

/* Write this process's number into the files; it may have changed by a fork. */
int lock_write(struct lock *l);

/* Remove the files and let go.  Safe to repeat. */
void lock_release(struct lock *l);

#endif
