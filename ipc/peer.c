/* SPDX-License-Identifier: ISC */
/*
 * peer.c - the other end of a stream socket that speaks lines
 *
 * Input: one read a turn and peer, so that no peer starves the others.
 * Output: gathered in peer.out and sent from the group's prepare watcher, which
 * runs after the turn's callbacks and before the loop sleeps.
 */
#include "ipc/peer.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SCRATCH_SIZE (64 * 1024)
#define OUT_KEEP     (64 * 1024) /* memory that an idle peer may hold on to */

/* Hand out the frames that the reader holds, until the peer is paused. */
static void
take_lines(struct peer *p)
{
	char *line;
	size_t len;
	int r;

	while (peer_is_open(p)) {
		if (p->paused && !p->draining) {
			if (line_reader_keep(p->in) < 0)
				peer_close(p, "out of memory");
			return;
		}
		r = line_reader_next(p->in, &line, &len);
		if (r == 0)
			return;
		if (r == 1)
			p->ops->on_line(p, line, len);
		else if (r == -EMSGSIZE)
			p->ops->on_too_long(p);
		else
			peer_close(p, "out of memory");
	}
}

/* True when the other end is closed, not only for writing. */
static bool
has_hung_up(int fd)
{
	struct pollfd pfd = {.fd = fd};

	return poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLHUP) != 0;
}

static void
at_eof(struct peer *p)
{
	char newline[] = "\n";

	ev_io_stop(p->group->loop, &p->rd);
	p->eof = true;
	if (p->ops->take_tail && line_reader_pending(p->in) > 0 &&
	    line_reader_feed(p->in, newline, 1) == 0)
		take_lines(p);
	if (!peer_is_open(p) || p->draining)
		return;
	if (p->ops->on_eof != NULL && !has_hung_up(p->fd))
		p->ops->on_eof(p);
	else
		peer_close(p, NULL);
}

/* Read once.  True when more may be there. */
static bool
read_some(struct peer *p)
{
	ssize_t n;

	n = read(p->fd, p->group->scratch, SCRATCH_SIZE);
	if (n < 0) {
		if (errno == EINTR)
			return true;
		if (errno != EAGAIN)
			peer_close(p, strerror(errno));
		return false;
	}
	if (n == 0) {
		at_eof(p);
		return false;
	}
	if (line_reader_feed(p->in, p->group->scratch, (size_t)n) < 0) {
		peer_close(p, "out of memory");
		return false;
	}
	take_lines(p);
	return peer_is_open(p);
}

static void
on_readable(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct peer *p = w->data;

	(void)loop;
	if (revents & EV_CUSTOM) {
		/* Frames are left from before a pause. */
		take_lines(p);
		return;
	}
	if (!p->paused)
		(void)read_some(p);
}

/* Send what is in p->out; wait for room in the socket for the rest. */
static void
send_out(struct peer *p)
{
	ssize_t n;

	if (buf_error(&p->out) < 0) {
		peer_close(p, buf_error(&p->out) == -ENOBUFS
				  ? "does not read its answers"
				  : "out of memory");
		return;
	}
	while (buf_len(&p->out) > 0) {
		n = send(p->fd, buf_head(&p->out), buf_len(&p->out),
		    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			ev_io_start(p->group->loop, &p->wr);
			return;
		}
		if (n < 0) {
			peer_close(p, strerror(errno));
			return;
		}
		buf_consume(&p->out, (size_t)n);
	}
	buf_trim(&p->out, OUT_KEEP);
	ev_io_stop(p->group->loop, &p->wr);
	if (p->ops->on_sent != NULL)
		p->ops->on_sent(p);
}

static void
on_writable(struct ev_loop *loop, struct ev_io *w, int revents)
{
	(void)loop;
	(void)revents;
	send_out(w->data);
}

static void
send_dirty(struct peer_group *g)
{
	struct peer *p;

	while ((p = TAILQ_FIRST(&g->dirty)) != NULL) {
		TAILQ_REMOVE(&g->dirty, p, entry);
		p->listed = false;
		/* One that never reads is never writable: close it here. */
		if (!ev_is_active(&p->wr) || buf_error(&p->out) < 0)
			send_out(p);
	}
}

static void
bury_gone(struct peer_group *g)
{
	struct peer *p;

	while ((p = TAILQ_FIRST(&g->gone)) != NULL) {
		TAILQ_REMOVE(&g->gone, p, entry);
		line_reader_free(p->in);
		p->in = NULL;
		buf_done(&p->out);
		p->ops->on_gone(p, p->reason);
	}
}

/* The end of a turn. */
static void
on_prepare(struct ev_loop *loop, struct ev_prepare *w, int revents)
{
	struct peer_group *g = w->data;
	bool again;

	(void)loop;
	(void)revents;
	do {
		if (g->on_turn != NULL)
			g->on_turn(g->arg);
		send_dirty(g);
		/* An owner that goes may be what on_turn waits for. */
		again = !TAILQ_EMPTY(&g->gone);
		bury_gone(g);
	} while (again || !TAILQ_EMPTY(&g->dirty));
}

int
peer_group_init(struct peer_group *g, struct ev_loop *loop,
    void (*on_turn)(void *), void *arg)
{
	memset(g, 0, sizeof(*g));
	g->scratch = malloc(SCRATCH_SIZE);
	if (g->scratch == NULL)
		return -ENOMEM;
	g->loop = loop;
	g->on_turn = on_turn;
	g->arg = arg;
	TAILQ_INIT(&g->dirty);
	TAILQ_INIT(&g->gone);
	ev_prepare_init(&g->prepare, on_prepare);
	g->prepare.data = g;
	ev_prepare_start(loop, &g->prepare);
	return 0;
}

void
peer_group_done(struct peer_group *g)
{
	if (g == NULL || g->scratch == NULL)
		return;
	bury_gone(g);
	ev_prepare_stop(g->loop, &g->prepare);
	free(g->scratch);
	g->scratch = NULL;
}

int
peer_init(struct peer *p, struct peer_group *g, int fd, size_t max_line,
    size_t max_out, const struct peer_ops *ops)
{
	int r;

	memset(p, 0, sizeof(*p));
	p->fd = -1;
	r = line_reader_new(max_line, &p->in);
	if (r < 0)
		return r;
	buf_init(&p->out, max_out);
	p->group = g;
	p->ops = ops;
	p->fd = fd;
	ev_io_init(&p->rd, on_readable, fd, EV_READ);
	ev_io_init(&p->wr, on_writable, fd, EV_WRITE);
	p->rd.data = p->wr.data = p;
	ev_io_start(g->loop, &p->rd);
	return 0;
}

void
peer_send(struct peer *p)
{
	if (!peer_is_open(p) || p->listed)
		return;
	p->listed = true;
	TAILQ_INSERT_TAIL(&p->group->dirty, p, entry);
}

void
peer_pause(struct peer *p)
{
	if (p->paused || !peer_is_open(p))
		return;
	p->paused = true;
	ev_io_stop(p->group->loop, &p->rd);
}

void
peer_resume(struct peer *p)
{
	if (!p->paused || !peer_is_open(p))
		return;
	p->paused = false;
	if (!p->eof)
		ev_io_start(p->group->loop, &p->rd);
	if (line_reader_pending(p->in) > 0)
		ev_feed_event(p->group->loop, &p->rd, EV_CUSTOM);
}

void
peer_drain(struct peer *p)
{
	if (!peer_is_open(p))
		return;
	p->draining = true;
	take_lines(p);
	while (peer_is_open(p) && !p->eof && read_some(p))
		continue;
	p->draining = false;
}

void
peer_close(struct peer *p, const char *reason)
{
	if (!peer_is_open(p))
		return;
	ev_io_stop(p->group->loop, &p->rd);
	ev_io_stop(p->group->loop, &p->wr);
	close(p->fd);
	p->fd = -1;
	p->reason = reason;
	if (p->listed)
		TAILQ_REMOVE(&p->group->dirty, p, entry);
	p->listed = false;
	TAILQ_INSERT_TAIL(&p->group->gone, p, entry);
}
