/* SPDX-License-Identifier: ISC */
/*
 * log_sink.c - write to the log's descriptor, and never wait for it
 *
 * O_NONBLOCK belongs to the open file description, which for standard error is
 * shared with whoever started us, a shell for one: it is never set there.  A
 * pipe or terminal is opened anew through /proc instead, which gives a
 * description of our own.  SIGPIPE is blocked or ignored in all processes that
 * log.
 */
#include "ipc/log_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static enum log_way
way_of(int fd)
{
	struct stat st;
	int flags;

	if (fstat(fd, &st) < 0)
		return LOG_POLL;
	if (S_ISSOCK(st.st_mode))
		return LOG_SEND;
	if (S_ISREG(st.st_mode))
		return LOG_WRITE;
	flags = fcntl(fd, F_GETFL);
	return flags >= 0 && (flags & O_NONBLOCK) != 0 ? LOG_WRITE : LOG_POLL;
}

/* Move fd to a number from 3 on; fd is closed in any case. */
static int
move_up(int fd)
{
	int up, r;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	up = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	r = up < 0 ? -errno : up;
	close(fd);
	return r;
}

int
log_sink_stderr(void)
{
	struct stat st;
	int fd = -1;

	if (fstat(STDERR_FILENO, &st) < 0)
		return -errno;
	if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode))
		fd = move_up(open("/proc/self/fd/2",
		    O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
	if (fd < 0)
		fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	return fd < 0 ? -errno : fd;
}

int
log_sink_use(struct log_sink *s, int fd)
{
	if (fd != s->fd && s->fd > STDERR_FILENO) {
		/* In one step: children know the number. */
		if (dup3(fd, s->fd, O_CLOEXEC) < 0)
			return -errno;
		close(fd);
		fd = s->fd;
	}
	s->fd = fd;
	s->way = way_of(fd);
	s->torn = false;
	return 0;
}

static ssize_t
write_once(const struct log_sink *s, const char *line, size_t len)
{
	struct pollfd p = {.fd = s->fd, .events = POLLOUT};
	ssize_t n;

	if (s->way == LOG_POLL && poll(&p, 1, 0) == 0) {
		errno = EAGAIN;
		return -1;
	}
	do
		n = s->way == LOG_SEND
			? send(s->fd, line, len, MSG_DONTWAIT | MSG_NOSIGNAL)
			: write(s->fd, line, len);
	while (n < 0 && errno == EINTR);
	return n;
}

bool
log_sink_put(struct log_sink *s, const char *line, size_t len)
{
	ssize_t n;

	/* What was torn must not run into this line. */
	if (s->torn && write_once(s, "\n", 1) == 1)
		s->torn = false;
	n = write_once(s, line, len);
	if (n == (ssize_t)len)
		return true;
	if (n > 0) {
		s->torn = true;
		errno = ENOSPC; /* what else would take a part only */
	}
	if (n < 0 && errno == EPIPE)
		return false;
	s->why = errno;
	s->n_lost++;
	return false;
}

const char *
log_sink_why(const struct log_sink *s)
{
	return s->why == EAGAIN ? "nobody reads the log" : strerror(s->why);
}
