/* SPDX-License-Identifier: ISC */
/*
 * activation.c - a listening socket from the service manager
 */
#include "master/supervisor/activation.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A whole number from 0 to max in the environment; -1: there is none. */
static long
env_number(const char *name, long max)
{
	const char *text = getenv(name);
	char *end;
	long v;

	if (text == NULL || text[0] < '0' || text[0] > '9')
		return -1;
	errno = 0;
	v = strtol(text, &end, 10);
	return errno == 0 && *end == '\0' && v <= max ? v : -1;
}

void
activation_read(struct activation *a)
{
	long pid, n;
	int fd, flags;

	pid = env_number("LISTEN_PID", INT_MAX);
	n = env_number("LISTEN_FDS", ACTIVATION_FDS_MAX);
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	a->n_fds = pid == (long)getpid() && n > 0 ? (int)n : 0;
	for (fd = ACTIVATION_FIRST_FD; fd < ACTIVATION_FIRST_FD + a->n_fds;
	     fd++) {
		flags = fcntl(fd, F_GETFL);
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
		if (flags >= 0)
			(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	}
}

static bool
has_option(int fd, int option, int value)
{
	socklen_t len = sizeof(int);
	int v;

	return getsockopt(fd, SOL_SOCKET, option, &v, &len) == 0 && v == value;
}

/* True when both names lead to one file, by whatever way. */
static bool
is_same_file(const char *a, const char *b)
{
	struct stat sa, sb;

	return strcmp(a, b) == 0 ||
	       (stat(a, &sa) == 0 && stat(b, &sb) == 0 &&
		   sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino);
}

/* 0 when fd listens on path. */
static int
check(int fd, const char *path, struct buf *reason)
{
	struct sockaddr_un sa;
	socklen_t len = sizeof(sa);
	char name[sizeof(sa.sun_path) + 1] = "";

	if (!has_option(fd, SO_DOMAIN, AF_UNIX) ||
	    !has_option(fd, SO_TYPE, SOCK_STREAM) ||
	    !has_option(fd, SO_ACCEPTCONN, 1)) {
		buf_printf(reason,
		    "socket activation: the descriptor that was passed is no "
		    "Unix stream socket that listens (socket = \"%s\")",
		    path);
		return -EINVAL;
	}
	memset(&sa, 0, sizeof(sa));
	if (getsockname(fd, (struct sockaddr *)&sa, &len) == 0 &&
	    len > offsetof(struct sockaddr_un, sun_path))
		memcpy(name, sa.sun_path,
		    len - offsetof(struct sockaddr_un, sun_path));
	if (name[0] != '\0' && is_same_file(name, path))
		return 0;
	buf_printf(reason,
	    "socket activation: the socket that was passed is \"%s\", but the "
	    "configuration says socket = \"%s\"",
	    name[0] != '\0' ? name : "(without a file)", path);
	return -EINVAL;
}

int
activation_take(
    struct activation *a, const char *path, int *fd_out, struct buf *reason)
{
	int r;

	if (a->n_fds == 0)
		return 0;
	if (a->n_fds > 1) {
		buf_printf(reason,
		    "socket activation: %d descriptors were passed, one is "
		    "wanted (socket = \"%s\")",
		    a->n_fds, path);
		return -EINVAL;
	}
	r = check(ACTIVATION_FIRST_FD, path, reason);
	if (r < 0)
		return r;
	a->n_fds = 0;
	*fd_out = ACTIVATION_FIRST_FD;
	return 1;
}

void
activation_done(struct activation *a)
{
	for (; a->n_fds > 0; a->n_fds--)
		close(ACTIVATION_FIRST_FD + a->n_fds - 1);
}
