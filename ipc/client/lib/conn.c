/* SPDX-License-Identifier: ISC */
/*
 * conn.c - a client's end of the socket
 *
 * The descriptor itself blocks; each send and recv says that it must not.  When
 * the daemon closes, sending fails first, while answers may still wait to be
 * read: so a failed send only stops the sending, and end of file ends it all.
 */
#include "ipc/client/lib/conn.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/sock.h"

#define CONN_READ_SIZE (64 * 1024)
/* A list of many tasks is far longer than any request may be. */
#define CONN_LINE_MAX ((size_t)1 << 30)
#define CONN_OUT_KEEP (256 * 1024)

int
conn_open(struct conn *c, const char *path)
{
	int r;

	memset(c, 0, sizeof(*c));
	c->fd = c->wake_fd = -1;
	buf_init(&c->out, SIZE_MAX);
	c->scratch = malloc(CONN_READ_SIZE);
	if (c->scratch == NULL)
		return -ENOMEM;
	r = line_reader_new(CONN_LINE_MAX, &c->in);
	if (r < 0)
		goto err_scratch;
	r = sock_connect(path, &c->fd);
	if (r < 0)
		goto err_reader;
	return 0;

err_reader:
	line_reader_free(c->in);
err_scratch:
	free(c->scratch);
	return r;
}

void
conn_close(struct conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	line_reader_free(c->in);
	c->in = NULL;
	buf_done(&c->out);
	free(c->scratch);
	c->scratch = NULL;
}

int
conn_reopen(struct conn *c, const char *path)
{
	struct line_reader *in;
	int fd, r;

	r = line_reader_new(CONN_LINE_MAX, &in);
	if (r < 0)
		return r;
	r = sock_connect_now(path, &fd);
	if (r < 0) {
		line_reader_free(in);
		return r;
	}
	close(c->fd);
	c->fd = fd;
	line_reader_free(c->in);
	c->in = in;
	buf_reset(&c->out);
	c->error = c->out_error = 0;
	c->dead = false;
	return 0;
}

int
conn_kill(struct conn *c, int error)
{
	c->dead = true;
	c->error = error;
	return error;
}

/* Send what goes without waiting. */
static void
conn_write(struct conn *c)
{
	ssize_t n;

	while (c->out_error == 0 && buf_len(&c->out) > 0) {
		n = send(c->fd, buf_head(&c->out), buf_len(&c->out),
		    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0)
			buf_consume(&c->out, (size_t)n);
		else if (errno == EAGAIN)
			return;
		else if (errno != EINTR)
			c->out_error = -errno;
	}
	if (c->out_error != 0)
		buf_reset(&c->out);
	buf_trim(&c->out, CONN_OUT_KEEP);
}

/* Note that nothing more will come; a failed send tells the reason better. */
static void
conn_end(struct conn *c, int error)
{
	c->error = c->out_error != 0 ? c->out_error : error;
}

/* Take in what has come, without waiting: 1, or 0 when there is nothing. */
static int
conn_read(struct conn *c)
{
	ssize_t n;

	if (c->error != 0)
		return 0;
	/* What was fed before lies in scratch, which is about to be reused. */
	if (line_reader_keep(c->in) < 0) {
		conn_kill(c, -ENOMEM);
		return 0;
	}
	do
		n = recv(c->fd, c->scratch, CONN_READ_SIZE, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		if (line_reader_feed(c->in, c->scratch, (size_t)n) == 0)
			return 1;
		conn_kill(c, -ENOMEM);
	} else if (n == 0) {
		conn_end(c, -ECONNRESET);
	} else if (errno != EAGAIN) {
		conn_end(c, -errno);
	}
	return 0;
}

int
conn_probe(const struct conn *c)
{
	struct pollfd fd = {.fd = c->fd, .events = POLLRDHUP};

	if (c->error != 0 || c->out_error != 0)
		return c->error != 0 ? c->error : c->out_error;
	return poll(&fd, 1, 0) > 0 ? -ECONNRESET : 0;
}

static int
poll_timeout(struct mono due)
{
	int64_t ms;

	if (due.ns == INT64_MAX)
		return -1;
	ms = mono_until_ms(mono_now(), due);
	if (ms <= 0)
		return 0;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

/* Wait until something can go on: 0, -ETIMEDOUT or -EINTR. */
static int
conn_wait(struct conn *c, struct mono due)
{
	struct pollfd fds[2];
	int timeout;

	timeout = poll_timeout(due);
	if (timeout == 0)
		return -ETIMEDOUT;
	fds[0].fd = c->fd;
	fds[0].events = POLLIN;
	if (c->out_error == 0 && buf_len(&c->out) > 0)
		fds[0].events |= POLLOUT;
	fds[1].fd = c->wake_fd;
	fds[1].events = POLLIN;
	fds[0].revents = fds[1].revents = 0;
	if (poll(fds, 2, timeout) < 0 && errno != EINTR)
		return -errno;
	return fds[1].revents != 0 ? -EINTR : 0;
}

int
conn_flush(struct conn *c, struct mono due)
{
	int r;

	for (;;) {
		if (c->error != 0)
			return c->error;
		conn_write(c);
		if (c->out_error != 0)
			return c->out_error;
		if (buf_len(&c->out) == 0)
			return 0;
		/* The daemon may be waiting for its answers to be taken. */
		if (conn_read(c) > 0)
			continue;
		r = c->error != 0 ? c->error : conn_wait(c, due);
		if (r < 0)
			return r;
	}
}

int
conn_next(struct conn *c, struct mono due, char **line, size_t *len)
{
	int r;

	for (;;) {
		if (c->dead)
			return c->error;
		r = line_reader_next(c->in, line, len);
		if (r > 0)
			return 0;
		if (r < 0)
			return conn_kill(c, r);
		if (c->error != 0)
			return c->error;
		conn_write(c);
		if (conn_read(c) > 0 || c->error != 0)
			continue;
		r = conn_wait(c, due);
		if (r < 0)
			return r;
	}
}
