/* SPDX-License-Identifier: ISC */
/*
 * activation.h - a listening socket from the service manager
 *
 * The protocol of sd_listen_fds(3): $LISTEN_FDS descriptors from 3 on, for the
 * process $LISTEN_PID.  Such a socket's file is the manager's: it is neither
 * unlinked nor made anew here.
 */
#ifndef GANGER_SUPERVISOR_ACTIVATION_H
#define GANGER_SUPERVISOR_ACTIVATION_H

#include "ipc/buf.h"

#define ACTIVATION_FIRST_FD 3
#define ACTIVATION_FDS_MAX  64

struct activation {
	int n_fds; /* owned; ACTIVATION_FIRST_FD and those after it */
};

/*
 * Look what was passed, make it close-on-exec and non-blocking, and take the
 * variables from the environment.  To be called first thing: the number of the
 * process, and of the descriptors, must still be those that were told.
 */
void activation_read(struct activation *a);

/*
 * Take the one descriptor that was passed, which must listen on `path`; the
 * caller owns *fd_out.  1; 0 if nothing was passed.  -EINVAL: it is not what
 * is wanted, and reason says how.
 */
int activation_take(
    struct activation *a, const char *path, int *fd_out, struct buf *reason);

/* Close what was not taken. */
void activation_done(struct activation *a);

#endif
