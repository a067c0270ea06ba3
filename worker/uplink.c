/* SPDX-License-Identifier: ISC */
/*
 * uplink.c - a worker's channel to the broker
 *
 * What is posted is bounded: there are at most as many answers as the broker
 * asked for, progress is paced by the main thread, and logs wait for room.
 */
#include "worker/uplink.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ipc/log.h"
#include "ipc/rpc.h"
#include "worker/report.h"

/* With more than this not sent, a task that logs has to wait. */
#define UNSENT_HIGH (1024 * 1024)

#define GATHERED_KEEP (64 * 1024)

/*
 * A run order is longer than what a client may send: the numbers in it can be
 * written with more digits than the client wrote, up to 17.
 */
#define ORDER_GROWTH 8

static struct uplink *
uplink_of(struct peer *p)
{
	return (
	    struct uplink *)(void *)((char *)p - offsetof(struct uplink, peer));
}

static void
take_message(struct uplink *u, const struct rpc_msg *m)
{
	struct order o;
	struct order_fault fault;
	struct report_failure f;
	struct buf answer;

	if (order_read(m, &o, &fault) == 0) {
		u->ops->on_order(u->arg, &o);
		return;
	}
	log_warn("channel: message ignored: %s", fault.reason);
	if (!fault.answerable)
		return;
	memset(&f, 0, sizeof(f));
	f.code = fault.code;
	f.message = fault.reason;
	buf_init(&answer, SIZE_MAX);
	report_failure(&answer, fault.rpc_id, &f, u->max_message);
	uplink_post(u, &answer);
	buf_done(&answer);
}

static void
on_line(struct peer *p, char *line, size_t len)
{
	struct uplink *u = uplink_of(p);
	char reason[RPC_REASON_SIZE];
	struct rpc_text text;
	struct rpc_msg m;
	size_t i;

	if (rpc_read(line, len, &text, reason) < 0) {
		log_warn("channel: message ignored: %s", reason);
		return;
	}
	for (i = 0; i < text.n; i++) {
		rpc_text_get(&text, i, &m);
		take_message(u, &m);
	}
	rpc_text_done(&text);
}

static void
on_too_long(struct peer *p)
{
	(void)p;
	log_warn("channel: message ignored: it is too long");
}

static void
on_sent(struct peer *p)
{
	struct uplink *u = uplink_of(p);

	pthread_mutex_lock(&u->lock);
	u->unsent = 0;
	pthread_mutex_unlock(&u->lock);
	pthread_cond_broadcast(&u->room);
	u->ops->on_sent(u->arg);
}

static void
on_gone(struct peer *p, const char *reason)
{
	struct uplink *u = uplink_of(p);

	if (!u->closing)
		u->ops->on_gone(u->arg, reason);
}

static const struct peer_ops peer_ops = {
    .on_line = on_line,
    .on_too_long = on_too_long,
    .on_sent = on_sent,
    .on_gone = on_gone,
};

/* Move what was posted to the channel's output. */
static void
take_gathered(struct uplink *u)
{
	struct buf *out = &u->peer.out;

	pthread_mutex_lock(&u->lock);
	if (u->lost || buf_error(&u->gathered) < 0) {
		/* The broker must learn that there will be no answer. */
		peer_close(&u->peer, "out of memory");
	} else if (buf_len(&u->gathered) > 0 && peer_is_open(&u->peer)) {
		buf_add(out, buf_head(&u->gathered), buf_len(&u->gathered));
		buf_reset(&u->gathered);
		buf_trim(&u->gathered, GATHERED_KEEP);
		u->unsent = buf_len(out);
		peer_send(&u->peer);
	}
	pthread_mutex_unlock(&u->lock);
}

static void
on_turn(void *arg)
{
	struct uplink *u = arg;

	/* First the flag: what is posted from here on wakes us again. */
	if (atomic_exchange(&u->woken, false))
		take_gathered(u);
	u->ops->on_turn(u->arg);
}

static void
on_wake(struct ev_loop *loop, struct ev_async *w, int revents)
{
	/* The turn that follows does the work. */
	(void)loop;
	(void)w;
	(void)revents;
}

int
uplink_init(struct uplink *u, struct ev_loop *loop, int fd, size_t max_message,
    const struct uplink_ops *ops, void *arg)
{
	int r;

	memset(u, 0, sizeof(*u));
	r = peer_group_init(&u->group, loop, on_turn, u);
	if (r < 0)
		return r;
	r = peer_init(&u->peer, &u->group, fd, max_message * ORDER_GROWTH,
	    SIZE_MAX, &peer_ops);
	if (r < 0) {
		peer_group_done(&u->group);
		return r;
	}
	u->ops = ops;
	u->arg = arg;
	u->max_message = max_message;
	atomic_init(&u->woken, false);
	atomic_init(&u->progress_told, false);
	pthread_mutex_init(&u->lock, NULL);
	pthread_cond_init(&u->room, NULL);
	buf_init(&u->gathered, SIZE_MAX);
	ev_async_init(&u->wake, on_wake);
	ev_async_start(loop, &u->wake);
	return 0;
}

void
uplink_done(struct uplink *u)
{
	u->closing = true;
	ev_async_stop(u->group.loop, &u->wake);
	peer_close(&u->peer, NULL);
	peer_group_done(&u->group);
	buf_done(&u->gathered);
	pthread_cond_destroy(&u->room);
	pthread_mutex_destroy(&u->lock);
}

void
uplink_wake(struct uplink *u)
{
	if (!atomic_exchange(&u->woken, true))
		ev_async_send(u->group.loop, &u->wake);
}

void
uplink_post(struct uplink *u, const struct buf *b)
{
	pthread_mutex_lock(&u->lock);
	if (buf_error(b) < 0)
		u->lost = true;
	else
		buf_add(&u->gathered, buf_head(b), buf_len(b));
	pthread_mutex_unlock(&u->lock);
	uplink_wake(u);
}

void
uplink_post_log(struct uplink *u, const struct buf *b)
{
	pthread_mutex_lock(&u->lock);
	while (buf_len(&u->gathered) + u->unsent > UNSENT_HIGH)
		pthread_cond_wait(&u->room, &u->lock);
	buf_add(&u->gathered, buf_head(b), buf_len(b));
	pthread_mutex_unlock(&u->lock);
	uplink_wake(u);
}

void
uplink_tell_progress(struct uplink *u)
{
	atomic_store(&u->progress_told, true);
	uplink_wake(u);
}

bool
uplink_take_progress(struct uplink *u)
{
	return atomic_exchange(&u->progress_told, false);
}

struct buf *
uplink_out(struct uplink *u)
{
	return &u->peer.out;
}

void
uplink_flush(struct uplink *u)
{
	peer_send(&u->peer);
}

bool
uplink_is_flushed(struct uplink *u)
{
	bool empty;

	pthread_mutex_lock(&u->lock);
	empty = buf_len(&u->gathered) == 0;
	pthread_mutex_unlock(&u->lock);
	return empty && buf_len(&u->peer.out) == 0;
}
