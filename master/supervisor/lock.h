/* SPDX-License-Identifier: ISC */
/*
 * lock.h - one daemon for each state_dir, pid file and socket
 *
 * Locks are the kernel's (flock), so those of a daemon that died are void,
 * whatever files it left behind.  They belong to descriptors, and can be handed
 * over an exec with them.
 */
#ifndef GANGER_SUPERVISOR_LOCK_H
#define GANGER_SUPERVISOR_LOCK_H

#include <limits.h>
#include <stdbool.h>

#include "ipc/buf.h"
#include "master/supervisor/config.h"

enum lock_which {
	LOCK_PIDFILE,
	LOCK_SOCKET, /* SOCKET.lock */
	LOCK_N_FILES
};

#define LOCK_N_FDS (LOCK_N_FILES + 1)

struct lock_file {
	char path[PATH_MAX];
	int fd; /* owned, locked; -1: not held */
};

struct lock {
	int dir_fd; /* owned; state_dir, locked; -1: not held */
	struct lock_file files[LOCK_N_FILES];
};

void lock_init(struct lock *l);

/*
 * Make the folders that are missing and take the locks; the socket's not if it
 * is passed in by a service manager, which made it.  What is left of a daemon
 * that was killed is given a few seconds to go.  On error nothing is held, and
 * why is put into reason: -EEXIST when another daemon has one, or the -errno of
 * what failed.
 */
int lock_take(struct lock *l, const struct config *c, bool socket_passed,
    struct buf *reason);

/* Write this process's number into the files; it may have changed by a fork. */
int lock_write(struct lock *l);

/*
 * See whether the file's name still is that of the one that is locked, and if
 * not, make and lock a new one under the name.  0: it is, or the lock is not
 * held at all.  1: a new one was made.  -EEXIST: there is one that another
 * daemon has locked, which is left alone.  Or the -errno of what failed.
 */
int lock_check(struct lock *l, enum lock_which which);

/* The path of a file, lent. */
const char *lock_path(const struct lock *l, enum lock_which which);

/* Lend the descriptors, -1 for a lock that is not held. */
void lock_fds(const struct lock *l, int fds_out[LOCK_N_FDS]);

/*
 * Go on with the locks of the image before an exec, whose lock_fds these are.
 * They are taken, and close-on-exec again.  l is as after lock_init.
 */
void lock_adopt(
    struct lock *l, const struct config *c, const int fds[LOCK_N_FDS]);

/* Remove the files, if the names are ours still, and let go.  Repeatable. */
void lock_release(struct lock *l);

#endif
