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
#define DEAF_LOOK    1.0 /* s between looks at peers that are not read */
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

/*
 * Nothing tells when a peer that is not read hangs up: look now and then.  One
 * that is paused may still have sent something, and gets a second look.
 */
static void
on_look(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct peer_group *g = w->data;
	struct peer *p, *next;

	(void)revents;
	for (p = TAILQ_FIRST(&g->deaf); p != NULL; p = next) {
		next = TAILQ_NEXT(p, deaf_entry);
		if (!has_hung_up(p->fd))
			continue;
		if (p->eof || p->hung_up)
			peer_close(p, NULL);
		p->hung_up = true;
	}
	if (TAILQ_EMPTY(&g->deaf))
		ev_timer_stop(loop, w);
}

static void
go_deaf(struct peer *p)
{
	struct peer_group *g = p->group;

	ev_io_stop(g->loop, &p->rd);
	if (p->deaf)
		return;
	p->deaf = true;
	p->hung_up = false;
	TAILQ_INSERT_TAIL(&g->deaf, p, deaf_entry);
	if (!ev_is_active(&g->look))
		ev_timer_again(g->loop, &g->look);
}

static void
hear_again(struct peer *p)
{
	if (p->deaf)
		TAILQ_REMOVE(&p->group->deaf, p, deaf_entry);
	p->deaf = false;
	ev_io_start(p->group->loop, &p->rd);
}

static void
at_eof(struct peer *p)
{
	char newline[] = "\n";

	p->eof = true;
	go_deaf(p);
	if (p->ops->take_tail && line_reader_pending(p->in) > 0 &&
	    line_reader_feed(p->in, newline, 1) == 0)
		take_lines(p);
	if (!peer_is_open(p) || p->draining)
		return;
	if (p->ops->on_eof == NULL || has_hung_up(p->fd)) {
		peer_close(p, NULL);
		return;
	}
	p->ops->on_eof(p);
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
		if (errno == EAGAIN)
			return false;
		p->reset = errno == ECONNRESET;
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
	(void)revents;
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

/* Take the frames that were left from before a pause. */
static void
serve_resumed(struct peer_group *g)
{
	struct peer *p;

	while ((p = TAILQ_FIRST(&g->resumed)) != NULL) {
		TAILQ_REMOVE(&g->resumed, p, resumed_entry);
		p->resuming = false;
		take_lines(p);
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
		serve_resumed(g);
		if (g->on_turn != NULL)
			g->on_turn(g->arg);
		send_dirty(g);
		/* An owner that goes may be what on_turn waits for. */
		again = !TAILQ_EMPTY(&g->gone);
		bury_gone(g);
	} while (again || !TAILQ_EMPTY(&g->dirty) || !TAILQ_EMPTY(&g->resumed));
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
	TAILQ_INIT(&g->resumed);
	TAILQ_INIT(&g->deaf);
	ev_timer_init(&g->look, on_look, 0., DEAF_LOOK);
	g->look.data = g;
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
	ev_timer_stop(g->loop, &g->look);
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
	go_deaf(p);
}

/* Let the frames that the reader holds be taken at the end of the turn. */
static void
take_later(struct peer *p)
{
	if (p->resuming || line_reader_pending(p->in) == 0)
		return;
	p->resuming = true;
	TAILQ_INSERT_TAIL(&p->group->resumed, p, resumed_entry);
}

void
peer_resume(struct peer *p)
{
	if (!p->paused || !peer_is_open(p))
		return;
	p->paused = false;
	if (!p->eof)
		hear_again(p);
	take_later(p);
}

void
peer_save(const struct peer *p, struct peer_state *out)
{
	out->in = line_reader_peek(p->in, &out->in_len, &out->skipping);
	out->out = buf_head(&p->out);
	out->out_len = buf_len(&p->out);
	out->paused = p->paused;
	out->eof = p->eof;
	out->reset = p->reset;
}

int
peer_restore(struct peer *p, const struct peer_state *s)
{
	int r;

	r = line_reader_restore(p->in, s->in, s->in_len, s->skipping);
	if (r < 0)
		return r;
	buf_add(&p->out, s->out, s->out_len);
	if (buf_error(&p->out) < 0)
		return buf_error(&p->out);
	p->eof = s->eof;
	p->reset = s->reset;
	if (s->eof)
		go_deaf(p);
	if (s->paused)
		peer_pause(p);
	else
		take_later(p);
	if (s->out_len > 0)
		peer_send(p);
	return 0;
}

bool
peer_group_at_rest(const struct peer_group *g)
{
	return TAILQ_EMPTY(&g->dirty) && TAILQ_EMPTY(&g->gone) &&
	       TAILQ_EMPTY(&g->resumed);
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
	if (p->resuming)
		TAILQ_REMOVE(&p->group->resumed, p, resumed_entry);
	if (p->deaf)
		TAILQ_REMOVE(&p->group->deaf, p, deaf_entry);
	p->listed = p->resuming = p->deaf = false;
	TAILQ_INSERT_TAIL(&p->group->gone, p, entry);
}
