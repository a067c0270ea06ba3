/* SPDX-License-Identifier: ISC */
/*
 * notify.c - tell the service manager how it goes (the protocol of sd_notify)
 *
 * Written after sd_notify(3), "Notes": datagrams of KEY=VALUE lines to a Unix
 * socket.  At boot the manager may be too busy to take one, and a lost READY
 * would end the daemon, so they are queued.
 */
#include "master/supervisor/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/clock.h"

#define WAITING_MAX 4096
#define MESSAGE_MAX 512
#define PING        "WATCHDOG=1"

/* A whole number in the environment; 0 when there is none. */
static int64_t
env_number(const char *name)
{
	const char *text = getenv(name);
	char *end;
	long long v;

	if (text == NULL || text[0] < '0' || text[0] > '9')
		return 0;
	errno = 0;
	v = strtoll(text, &end, 10);
	return errno == 0 && *end == '\0' ? v : 0;
}

static int
make_address(struct notify *n, const char *path)
{
	size_t len = strlen(path);

	if ((path[0] != '/' && path[0] != '@') || path[1] == '\0')
		return -EINVAL;
	if (len >= sizeof(n->address.sun_path))
		return -ENAMETOOLONG;
	memset(&n->address, 0, sizeof(n->address));
	n->address.sun_family = AF_UNIX;
	memcpy(n->address.sun_path, path, len);
	if (path[0] == '@')
		n->address.sun_path[0] = '\0';
	n->address_len =
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	return 0;
}

/*
 * Connected, poll tells when there is room.  A manager that comes later shows
 * when something is sent.
 */
static void
connect_again(struct notify *n)
{
	(void)connect(n->fd, (struct sockaddr *)&n->address, n->address_len);
}

static int
try_send(struct notify *n, const char *text)
{
	int tries;

	for (tries = 0;; tries++) {
		if (send(n->fd, text, strlen(text),
			MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		/* It has been restarted since, or was not there yet. */
		if (tries == 0 && (errno == ECONNREFUSED || errno == ENOTCONN ||
				      errno == ECONNRESET))
			connect_again(n);
		else if (errno != EINTR)
			return -errno;
	}
}

static void
on_writable(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct notify *n = w->data;

	(void)revents;
	while (buf_len(&n->waiting) > 0) {
		if (try_send(n, buf_head(&n->waiting)) == -EAGAIN)
			return;
		buf_consume(&n->waiting, strlen(buf_head(&n->waiting)) + 1);
	}
	buf_reset(&n->waiting);
	ev_io_stop(loop, w);
}

static void
say(struct notify *n, const char *text)
{
	if (n->fd < 0)
		return;
	if (buf_len(&n->waiting) == 0 && try_send(n, text) != -EAGAIN)
		return;
	/* What waits is as good a sign of life once it is read. */
	if (strcmp(text, PING) == 0 && buf_len(&n->waiting) > 0)
		return;
	buf_add(&n->waiting, text, strlen(text) + 1);
	ev_io_start(n->loop, &n->writable);
}

int
notify_open(struct notify *n, struct ev_loop *loop)
{
	const char *path = getenv("NOTIFY_SOCKET");
	int64_t pid = env_number("WATCHDOG_PID");
	int r;

	memset(n, 0, sizeof(*n));
	n->loop = loop;
	n->fd = -1;
	buf_init(&n->waiting, WAITING_MAX);
	if (path == NULL)
		return 0;
	r = make_address(n, path);
	if (r < 0)
		return r;
	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (n->fd < 0)
		return -errno;
	connect_again(n);
	ev_io_init(&n->writable, on_writable, n->fd, EV_WRITE);
	n->writable.data = n;
	if (pid == 0 || pid == getpid())
		n->watchdog_ms = env_number("WATCHDOG_USEC") / 1000;
	return 0;
}

void
notify_close(struct notify *n)
{
	if (n->fd >= 0) {
		/* The last word may still wait for room. */
		if (buf_len(&n->waiting) > 0)
			on_writable(n->loop, &n->writable, 0);
		ev_io_stop(n->loop, &n->writable);
		close(n->fd);
	}
	n->fd = -1;
	buf_done(&n->waiting);
}

void
notify_clean_env(void)
{
	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
}

void
notify_ready(struct notify *n)
{
	say(n, "READY=1");
}

void
notify_reloading(struct notify *n)
{
	char text[MESSAGE_MAX];

	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld",
	    (long long)(mono_now().ns / 1000));
	say(n, text);
}

void
notify_stopping(struct notify *n, int64_t grace_ms)
{
	char text[MESSAGE_MAX];

	if (grace_ms > 0)
		snprintf(text, sizeof(text),
		    "STOPPING=1\nEXTEND_TIMEOUT_USEC=%lld",
		    (long long)grace_ms * 1000);
	else
		snprintf(text, sizeof(text), "STOPPING=1");
	say(n, text);
}

void
notify_status(struct notify *n, const char *fmt, ...)
{
	char text[MESSAGE_MAX] = "STATUS=";
	size_t used = strlen(text), i;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + used, sizeof(text) - used, fmt, ap);
	va_end(ap);
	for (i = used; text[i] != '\0'; i++)
		if (text[i] == '\n')
			text[i] = ' ';
	say(n, text);
}

int64_t
notify_watchdog_ms(const struct notify *n)
{
	return n->watchdog_ms;
}

void
notify_ping(struct notify *n)
{
	say(n, PING);
}
