/* SPDX-License-Identifier: ISC */
/*
 * listener.c - accept clients
 *
 * The socket is the master's: when this process dies, clients wait in its
 * backlog for the next one.
 */
#include "master/broker/listener.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/buf.h"
#include "ipc/log.h"
#include "ipc/rpc.h"
#include "master/broker/broker.h"
#include "master/broker/conn.h"

#define ACCEPT_MAX 64   /* clients taken in one turn */
#define PAUSE      0.25 /* s without accepting after a failure */
#define SPARE_FDS  64   /* descriptors for all but clients and workers */

static void
refuse(struct listener *l, int fd)
{
	struct buf out;

	if (!l->told_full)
		log_warn("over %u clients (max_clients is %u): more are "
			 "refused",
		    l->max_clients, l->broker->settings->max_clients);
	l->told_full = true;
	buf_init(&out, SIZE_MAX);
	rpc_write_error(&out, NULL, 0, RPC_RATE_LIMITED, "too many clients",
	    "{\"retryable\":true}");
	if (buf_error(&out) == 0)
		(void)send(fd, buf_head(&out), buf_len(&out),
		    MSG_NOSIGNAL | MSG_DONTWAIT);
	buf_done(&out);
	close(fd);
}

static void
on_connect(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct listener *l = w->data;
	struct broker *b = l->broker;
	int fd, i;

	(void)revents;
	for (i = 0; i < ACCEPT_MAX; i++) {
		fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0) {
			if (errno == EAGAIN || errno == EINTR ||
			    errno == ECONNABORTED)
				return;
			if (!l->told_failed)
				log_error("accept: %s; tried again every %g s",
				    strerror(errno), PAUSE);
			l->told_failed = true;
			ev_io_stop(loop, &l->io);
			ev_timer_set(&l->pause, PAUSE, 0.);
			ev_timer_start(loop, &l->pause);
			return;
		}
		l->told_failed = false;
		b->stats.connections++;
		if (b->n_conns >= l->max_clients) {
			refuse(l, fd);
			continue;
		}
		l->told_full = false;
		if (conn_new(b, fd) < 0)
			log_error("a client was refused: out of memory");
	}
}

static void
on_pause_over(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct listener *l = w->data;

	(void)revents;
	if (l->fd >= 0)
		ev_io_start(loop, &l->io);
}

void
listener_init(struct listener *l, struct broker *b)
{
	memset(l, 0, sizeof(*l));
	l->broker = b;
	l->fd = -1;
	ev_timer_init(&l->pause, on_pause_over, PAUSE, 0.);
	l->pause.data = l;
}

/* Workers that there are, or are to be; twice, for each is replaced. */
static rlim_t
count_channels(const struct broker *b)
{
	rlim_t n = 0;
	size_t i;

	for (i = 0; i < b->n_crews; i++) {
		const struct crew *w = b->crews[i];

		n += 2 * (rlim_t)(w->n_chans > w->n_target ? w->n_chans
							   : w->n_target);
	}
	return n;
}

void
listener_review(struct listener *l)
{
	const struct broker *b = l->broker;
	rlim_t room, spare = count_channels(b) + SPARE_FDS;
	struct rlimit lim;

	l->max_clients = b->settings->max_clients;
	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return;
	room = lim.rlim_cur > spare ? lim.rlim_cur - spare : 1;
	if (room < l->max_clients)
		l->max_clients = (unsigned)room;
}

void
listener_open(struct listener *l, int fd)
{
	/* Who waits in the old one's backlog is not turned away. */
	if (l->fd >= 0)
		on_connect(l->broker->loop, &l->io, EV_READ);
	listener_close(l);
	l->fd = fd;
	ev_io_init(&l->io, on_connect, fd, EV_READ);
	l->io.data = l;
	ev_io_start(l->broker->loop, &l->io);
}

void
listener_close(struct listener *l)
{
	if (l->fd < 0)
		return;
	ev_io_stop(l->broker->loop, &l->io);
	ev_timer_stop(l->broker->loop, &l->pause);
	close(l->fd);
	l->fd = -1;
}
