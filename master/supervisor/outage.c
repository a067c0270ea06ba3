/* SPDX-License-Identifier: ISC */
/*
 * outage.c - answer clients while the broker does not stay up
 */
#include "master/supervisor/outage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/log.h"
#include "ipc/proto.h"

#define REST_MS     1000 /* when there are no descriptors left */
#define LINE_SIZE   512
#define ACCEPTS_MAX 16 /* in a turn of the loop */

/*
 * Tell it; what does not go at once does not go at all.  The connection stays
 * up for a while: a client may want to send its request before it reads.
 */
static void
tell(const struct outage *o, int fd)
{
	int64_t ms = mono_until_ms(mono_now(), o->next_start);
	char line[LINE_SIZE];
	int len;

	len = snprintf(line, sizeof(line),
	    "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":%d,"
	    "\"message\":\"the broker is flapping: it dies soon after its "
	    "start, the log says of what\","
	    "\"data\":{\"retryable\":true,\"retry_after_ms\":%lld}}}\n",
	    RPC_DRAINING, (long long)(ms < 0 ? 0 : ms));
	(void)send(fd, line, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void
let_go(struct outage_client *c)
{
	struct outage *o = c->outage;

	ev_io_stop(o->loop, &c->rd);
	ev_timer_stop(o->loop, &c->linger);
	close(c->rd.fd);
	if (o->n_clients-- == OUTAGE_CLIENTS && !ev_is_active(&o->rest))
		ev_io_start(o->loop, &o->listener);
}

/* Its request, which nobody reads; or it has gone. */
static void
on_client(struct ev_loop *loop, struct ev_io *w, int revents)
{
	char waste[4096];
	ssize_t n;

	(void)loop;
	(void)revents;
	n = recv(w->fd, waste, sizeof(waste), MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		let_go(w->data);
}

static void
on_linger(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	let_go(w->data);
}

static void
take_in(struct outage *o, int fd)
{
	struct outage_client *c = o->clients;

	while (ev_is_active(&c->rd))
		c++;
	tell(o, fd);
	ev_io_set(&c->rd, fd, EV_READ);
	ev_io_start(o->loop, &c->rd);
	ev_timer_set(&c->linger, OUTAGE_LINGER_MS / 1000., 0.);
	ev_timer_start(o->loop, &c->linger);
	if (++o->n_clients == OUTAGE_CLIENTS)
		ev_io_stop(o->loop, &o->listener);
}

static void
on_listener(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct outage *o = w->data;
	int fd, i;

	(void)revents;
	for (i = 0; i < ACCEPTS_MAX && o->n_clients < OUTAGE_CLIENTS; i++) {
		fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			take_in(o, fd);
			continue;
		}
		if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
			return;
		log_warn("can't accept a client: %s", strerror(errno));
		ev_io_stop(loop, w);
		ev_timer_set(&o->rest, REST_MS / 1000., 0.);
		ev_timer_start(loop, &o->rest);
		return;
	}
}

static void
on_rest(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct outage *o = w->data;

	(void)revents;
	if (o->n_clients < OUTAGE_CLIENTS)
		ev_io_start(loop, &o->listener);
}

void
outage_init(struct outage *o, struct ev_loop *loop)
{
	struct outage_client *c;

	memset(o, 0, sizeof(*o));
	o->loop = loop;
	ev_io_init(&o->listener, on_listener, -1, EV_READ);
	ev_timer_init(&o->rest, on_rest, 0., 0.);
	o->listener.data = o->rest.data = o;
	for (c = o->clients; c < o->clients + OUTAGE_CLIENTS; c++) {
		c->outage = o;
		ev_io_init(&c->rd, on_client, -1, EV_READ);
		ev_timer_init(&c->linger, on_linger, 0., 0.);
		c->rd.data = c->linger.data = c;
	}
}

void
outage_begin(struct outage *o, int listen_fd, struct mono next_start)
{
	int fd;

	o->next_start = next_start;
	if (o->listener.fd >= 0)
		return;
	fd = fcntl(listen_fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		log_error("can't watch the socket: %s", strerror(errno));
		return;
	}
	ev_io_set(&o->listener, fd, EV_READ);
	ev_io_start(o->loop, &o->listener);
}

void
outage_move(struct outage *o, int listen_fd)
{
	if (o->listener.fd < 0)
		return;
	outage_end(o);
	outage_begin(o, listen_fd, o->next_start);
}

void
outage_end(struct outage *o)
{
	struct outage_client *c;

	if (o->listener.fd < 0)
		return;
	for (c = o->clients; c < o->clients + OUTAGE_CLIENTS; c++)
		if (ev_is_active(&c->rd))
			let_go(c);
	ev_timer_stop(o->loop, &o->rest);
	ev_io_stop(o->loop, &o->listener);
	close(o->listener.fd);
	ev_io_set(&o->listener, -1, EV_READ);
}
