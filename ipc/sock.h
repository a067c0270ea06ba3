/* SPDX-License-Identifier: ISC */
/*
 * sock.h - Unix-domain sockets
 *
 * Every descriptor is close-on-exec.  0 or -errno; outputs are untouched on
 * failure.
 */
#ifndef GANGER_IPC_SOCK_H
#define GANGER_IPC_SOCK_H

#include <stdbool.h>
#include <sys/types.h>

/* Who is at the other end, as the kernel tells it (SO_PEERCRED). */
struct sock_cred {
	uid_t uid;
	gid_t gid;
	pid_t pid;
};

/*
 * Bind a stream socket to path and listen on it.  The name appears, or takes
 * the place of a stale one, in one step, and only when a connect succeeds.
 * gid (gid_t)-1 keeps the group.  The caller owns *fd_out, non-blocking.
 * -ENAMETOOLONG: the path does not fit a socket address.  -ENOTSOCK: something
 * else has that name, which is left alone.
 */
int sock_listen(const char *path, mode_t mode, gid_t gid, int *fd_out);

/* Connect, blocking.  The caller owns *fd_out, which blocks. */
int sock_connect(const char *path, int *fd_out);

/* The same, not blocking: -EAGAIN when the listener's backlog is full. */
int sock_connect_now(const char *path, int *fd_out);

/* True when somebody accepts connections at path. */
bool sock_is_live(const char *path);

/* A connected pair of `type` (SOCK_STREAM, SOCK_SEQPACKET), non-blocking. */
int sock_pair(int type, int fds_out[2]);

int sock_peer_cred(int fd, struct sock_cred *out);

/* Create the folder, its parents with it, where missing, with mode. */
int sock_make_dir(const char *path, mode_t mode);

#endif
