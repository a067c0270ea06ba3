/* SPDX-License-Identifier: ISC */
/*
 * fdpass.c - datagrams that may carry a descriptor (SCM_RIGHTS)
 */
#include "ipc/fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

union control {
	struct cmsghdr align;
	char space[CMSG_SPACE(sizeof(int))];
};

int
fdpass_send(int sock, const void *data, size_t n, int fd)
{
	union control control;
	struct msghdr msg;
	struct iovec iov;
	struct cmsghdr *cm;
	void *base;

	memcpy(&base, &data, sizeof(base)); /* iov_base is not const */
	iov.iov_base = base;
	iov.iov_len = n;
	memset(&msg, 0, sizeof(msg));
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	if (fd >= 0) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.space;
		msg.msg_controllen = sizeof(control.space);
		cm = CMSG_FIRSTHDR(&msg);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cm), &fd, sizeof(int));
	}
	while (sendmsg(sock, &msg, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

/* Drop the message that was looked at, with its descriptor. */
static void
drop(int sock)
{
	char byte;

	while (recv(sock, &byte, sizeof(byte), 0) < 0 && errno == EINTR)
		continue;
}

/*
 * A message is looked at first, and taken out only when its descriptor could be
 * had: the kernel would drop what there is no room for.
 */
ssize_t
fdpass_recv(int sock, void *data, size_t size, int *fd_out)
{
	union control control;
	struct msghdr msg;
	struct iovec iov;
	struct cmsghdr *cm;
	ssize_t n;
	int fd = -1;

	iov.iov_base = data;
	iov.iov_len = size;
	memset(&msg, 0, sizeof(msg));
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	msg.msg_control = control.space;
	msg.msg_controllen = sizeof(control.space);
	while ((n = recvmsg(sock, &msg, MSG_PEEK | MSG_CMSG_CLOEXEC)) < 0)
		if (errno != EINTR)
			return -errno;
	*fd_out = -1;
	if (n == 0)
		return 0;
	for (cm = CMSG_FIRSTHDR(&msg); cm != NULL; cm = CMSG_NXTHDR(&msg, cm))
		if (cm->cmsg_level == SOL_SOCKET &&
		    cm->cmsg_type == SCM_RIGHTS &&
		    cm->cmsg_len == CMSG_LEN(sizeof(int)))
			memcpy(&fd, CMSG_DATA(cm), sizeof(int));
	if (fd < 0 && (msg.msg_flags & MSG_CTRUNC) != 0)
		return -EMFILE;
	drop(sock);
	if (msg.msg_flags & MSG_TRUNC) {
		if (fd >= 0)
			close(fd);
		return -EMSGSIZE;
	}
	*fd_out = fd;
	return n;
}
