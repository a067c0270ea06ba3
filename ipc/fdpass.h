/* SPDX-License-Identifier: ISC */
/*
 * fdpass.h - datagrams that may carry a descriptor (SCM_RIGHTS)
 */
#ifndef GANGER_IPC_FDPASS_H
#define GANGER_IPC_FDPASS_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Send n bytes as one message on a SOCK_SEQPACKET socket, with a duplicate of
 * fd unless it is -1.  0 or -errno; -EAGAIN: nothing was sent, try later.
 */
int fdpass_send(int sock, const void *data, size_t n, int fd);

/*
 * Receive one message of at most size bytes.  Returns its length, 0 at end of
 * file, or -errno (-EMSGSIZE: it did not fit and is lost; -EMFILE: there is no
 * room for its descriptor, and it waits where it is).  *fd_out is a
 * close-on-exec descriptor that the caller owns, or -1.
 */
ssize_t fdpass_recv(int sock, void *data, size_t size, int *fd_out);

#endif
