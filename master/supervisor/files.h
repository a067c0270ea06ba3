/* SPDX-License-Identifier: ISC */
/*
 * files.h - notice when the pid file or the socket's name is deleted
 *
 * The pid file and the socket's lock are made anew here, the socket by the
 * callback.  While all is well nothing wakes up: the kernel tells of changes
 * (inotify).  What can't be made anew, or is deleted again and again, is tried
 * at once, then after 1 s, doubled up to 60 s.
 */
#ifndef GANGER_SUPERVISOR_FILES_H
#define GANGER_SUPERVISOR_FILES_H

#include <ev.h>
#include <stdbool.h>
#include <sys/types.h>

#include "ipc/clock.h"
#include "master/supervisor/lock.h"

#define FILES_RETRY_MAX_MS 60000
#define FILES_N_WATCHES    6

/*
 * The socket's name is gone or is that of a dead one: listen under it again,
 * and call files_watch_socket.  0, or -errno to be called again later.
 */
typedef int (*files_lost_fn)(void *arg);

/* Of the pid file, or of the socket with its lock. */
struct files_item {
	struct files *files;
	enum lock_which which;
	struct ev_timer again;
	unsigned tries;   /* since it was calm the last time */
	struct mono last; /* of the tries */
	bool told;        /* why it can't be made anew */
};

struct files {
	struct ev_loop *loop; /* borrowed; NULL: not open */
	struct lock *lock;    /* borrowed */
	files_lost_fn on_socket_lost;
	void *arg;
	const char *socket; /* borrowed; NULL: not ours to keep */
	dev_t dev;          /* of its file */
	ino_t ino;
	int fd; /* owned; inotify, -1: looked at every minute instead */
	struct ev_io changed;
	int watches[FILES_N_WATCHES]; /* -1: none */
	struct files_item items[LOCK_N_FILES];
};

/* Watch the files of lock, which is held.  0 or -errno (it works then too). */
int files_open(struct files *f, struct ev_loop *loop, struct lock *lock,
    files_lost_fn on_socket_lost, void *arg);

/*
 * Watch the socket at path, borrowed, too, whose file is that; NULL: no more.
 * Not for a socket that a service manager made.
 */
void files_watch_socket(
    struct files *f, const char *path, dev_t dev, ino_t ino);

/* True if the socket's name is that of the file that is watched. */
bool files_has_socket(const struct files *f);

/* Safe to repeat. */
void files_close(struct files *f);

/* How long to wait before the next try, of which there were so many. */
int64_t files_retry_ms(unsigned tries);

#endif
