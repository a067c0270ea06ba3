/* SPDX-License-Identifier: ISC */
/*
 * ctl.c - orders between the master and the broker
 *
 * Runs in both, on the loop's thread.  Messages are few (a handful for each
 * worker's life), so they are sent at once and queued only when the socket is
 * full, with a duplicate of their descriptor.
 */
#include "ipc/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/fdpass.h"
#include "ipc/json.h"
#include "ipc/log.h"

#define FDS_WAIT 0.1 /* s until the next look for room for a descriptor */

struct ctl_item {
	char *text; /* owned */
	size_t len;
	int fd; /* owned; -1 for none */
	STAILQ_ENTRY(ctl_item) entry;
};

static void
item_free(struct ctl_item *it)
{
	if (it->fd >= 0)
		close(it->fd);
	free(it->text);
	free(it);
}

/* Handle one message that arrived. */
static void
take_msg(struct ctl *c, const char *text, size_t len, int fd)
{
	json_error_t err;
	const char *name;
	json_t *msg;

	msg = json_loadb(text, len, JSON_READ_FLAGS, &err);
	name = json_string_value(json_object_get(msg, "do"));
	if (name == NULL) {
		log_error(
		    "control channel: not an order: %.*s", (int)len, text);
		if (fd >= 0)
			close(fd);
	} else {
		c->ops->on_msg(c->arg, name, msg, fd);
	}
	json_decref(msg);
}

/* The next message brings a descriptor: read on when there may be room. */
static void
wait_for_fds(struct ctl *c)
{
	if (!c->told_full)
		log_error("control channel: %s; tried again every %g s",
		    strerror(EMFILE), FDS_WAIT);
	c->told_full = true;
	ev_io_stop(c->loop, &c->rd);
	ev_timer_set(&c->pause, FDS_WAIT, 0.);
	ev_timer_start(c->loop, &c->pause);
}

static void
on_pause_over(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct ctl *c = w->data;

	(void)revents;
	ev_io_start(loop, &c->rd);
}

static void
on_readable(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct ctl *c = w->data;
	char text[CTL_MAX];
	ssize_t n;
	int fd;

	(void)loop;
	(void)revents;
	while (c->fd >= 0) {
		n = fdpass_recv(c->fd, text, sizeof(text), &fd);
		if (n == -EAGAIN)
			return;
		if (n == -EMSGSIZE) {
			log_error("control channel: %s", strerror((int)-n));
			continue;
		}
		if (n == -EMFILE) {
			wait_for_fds(c);
			return;
		}
		if (n <= 0) {
			ev_io_stop(c->loop, &c->rd);
			c->ops->on_gone(c->arg);
			return;
		}
		c->told_full = false;
		take_msg(c, text, (size_t)n, fd);
	}
}

void
ctl_catch_up(struct ctl *c)
{
	if (c->fd >= 0)
		on_readable(c->loop, &c->rd, EV_READ);
}

static void
on_writable(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct ctl *c = w->data;
	struct ctl_item *it;
	int r;

	(void)revents;
	while ((it = STAILQ_FIRST(&c->waiting)) != NULL) {
		r = fdpass_send(c->fd, it->text, it->len, it->fd);
		if (r == -EAGAIN || r == -ETOOMANYREFS)
			return;
		if (r < 0)
			log_error("control channel: %s", strerror(-r));
		STAILQ_REMOVE_HEAD(&c->waiting, entry);
		item_free(it);
	}
	ev_io_stop(loop, w);
}

/* The socket has to hold more than one message of the largest size. */
static void
make_room(int fd)
{
	int size = 0, least = 2 * CTL_MAX;
	socklen_t len = sizeof(size);

	if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &len) == 0 &&
	    size < least)
		(void)setsockopt(
		    fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
}

void
ctl_init(struct ctl *c, struct ev_loop *loop, int fd, const struct ctl_ops *ops,
    void *arg)
{
	memset(c, 0, sizeof(*c));
	c->loop = loop;
	c->ops = ops;
	c->arg = arg;
	c->fd = fd;
	STAILQ_INIT(&c->waiting);
	ev_io_init(&c->rd, on_readable, fd, EV_READ);
	ev_io_init(&c->wr, on_writable, fd, EV_WRITE);
	ev_timer_init(&c->pause, on_pause_over, FDS_WAIT, 0.);
	c->rd.data = c->wr.data = c->pause.data = c;
	make_room(fd);
	ev_io_start(loop, &c->rd);
}

void
ctl_done(struct ctl *c)
{
	struct ctl_item *it;

	if (c->fd < 0)
		return;
	ev_io_stop(c->loop, &c->rd);
	ev_io_stop(c->loop, &c->wr);
	ev_timer_stop(c->loop, &c->pause);
	close(c->fd);
	c->fd = -1;
	while ((it = STAILQ_FIRST(&c->waiting)) != NULL) {
		STAILQ_REMOVE_HEAD(&c->waiting, entry);
		item_free(it);
	}
}

/* Queue text, which is taken over in any case. */
static int
wait_for_room(struct ctl *c, char *text, size_t len, int fd)
{
	struct ctl_item *it;

	it = malloc(sizeof(*it));
	if (it == NULL) {
		free(text);
		return -ENOMEM;
	}
	it->text = text;
	it->len = len;
	it->fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (fd >= 0 && it->fd < 0) {
		int r = -errno;

		item_free(it);
		return r;
	}
	STAILQ_INSERT_TAIL(&c->waiting, it, entry);
	ev_io_start(c->loop, &c->wr);
	return 0;
}

bool
ctl_is_flushed(const struct ctl *c)
{
	return STAILQ_EMPTY(&c->waiting);
}

int
ctl_send(struct ctl *c, int fd, const char *name, const char *fmt, ...)
{
	va_list ap;
	json_t *msg;
	char *text;
	size_t len;
	int r;

	if (c->fd < 0)
		return -EPIPE;
	if (fmt == NULL) {
		msg = json_object();
	} else {
		va_start(ap, fmt);
		msg = json_vpack_ex(NULL, 0, fmt, ap);
		va_end(ap);
	}
	if (msg == NULL ||
	    json_object_set_new(msg, "do", json_string(name)) < 0) {
		json_decref(msg);
		return -ENOMEM;
	}
	text = json_text(msg, CTL_MAX, &len);
	json_decref(msg);
	if (text == NULL)
		return -EMSGSIZE;
	if (STAILQ_EMPTY(&c->waiting)) {
		r = fdpass_send(c->fd, text, len, fd);
		if (r != -EAGAIN && r != -ETOOMANYREFS) {
			free(text);
			return r;
		}
	}
	return wait_for_room(c, text, len, fd);
}
