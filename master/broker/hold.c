/* SPDX-License-Identifier: ISC */
/*
 * hold.c - submits that wait for room instead of being refused
 *
 * There is a list for each thing that can be full.  Of its requests only the
 * first is looked at: the others want the same room.  Room is made by tasks
 * that start or end, which is seen at the end of the turn, or by nobody here,
 * which is looked for each second.
 */
#include "master/broker/hold.h"

#include <limits.h>
#include <stdlib.h>

#include "master/broker/broker.h"
#include "master/broker/conn.h"

#define LOOK     1.  /* s between looks for room that others made */
#define MOST_RUN 100 /* tries in a turn */

/* Who waits for one thing. */
struct hold_room {
	const void *thing;
	struct hold_list list;
	TAILQ_ENTRY(hold_room) entry;
};

/* What waits for its client's earlier request alone. */
static const char any_room;

static void
on_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	(void)loop;
	(void)w;
	(void)revents; /* the end of the turn does it */
}

void
hold_init(struct broker *b)
{
	TAILQ_INIT(&b->holds.rooms);
	ev_timer_init(&b->holds.timer, on_timer, LOOK, LOOK);
}

void
hold_done(struct broker *b)
{
	ev_timer_stop(b->loop, &b->holds.timer);
}

bool
hold_is_empty(const struct broker *b)
{
	return TAILQ_EMPTY(&b->holds.rooms);
}

static struct hold_room *
need_room(struct broker *b, const void *thing)
{
	struct hold_room *room;

	TAILQ_FOREACH(room, &b->holds.rooms, entry) {
		if (room->thing == thing)
			return room;
	}
	room = calloc(1, sizeof(*room));
	if (room == NULL)
		return NULL;
	room->thing = thing;
	TAILQ_INIT(&room->list);
	TAILQ_INSERT_TAIL(&b->holds.rooms, room, entry);
	ev_timer_start(b->loop, &b->holds.timer);
	return room;
}

/* One that was tried keeps its place, also among others that were. */
static void
put_back(struct hold_room *room, struct hold *h)
{
	struct hold *other;

	TAILQ_FOREACH(other, &room->list, entry) {
		if (other->ticket > h->ticket) {
			TAILQ_INSERT_BEFORE(other, h, entry);
			return;
		}
	}
	TAILQ_INSERT_TAIL(&room->list, h, entry);
}

/* Let h wait in a room.  False: out of memory. */
static bool
enroll(struct broker *b, struct hold *h, const void *thing)
{
	struct hold_room *room = need_room(b, thing);

	if (room == NULL)
		return false;
	if (h->started && !h->new_here) {
		put_back(room, h);
	} else {
		h->ticket = ++b->holds.last_ticket;
		TAILQ_INSERT_TAIL(&room->list, h, entry);
	}
	h->new_here = false;
	h->room = room;
	return true;
}

static void
leave_room(struct broker *b, struct hold *h)
{
	struct hold_room *room = h->room;

	if (room == NULL)
		return;
	TAILQ_REMOVE(&room->list, h, entry);
	h->room = NULL;
	if (!TAILQ_EMPTY(&room->list))
		return;
	TAILQ_REMOVE(&b->holds.rooms, room, entry);
	free(room);
	if (hold_is_empty(b))
		ev_timer_stop(b->loop, &b->holds.timer);
}

static void
join_conn(struct hold *h)
{
	struct conn *c = h->call->conn;

	if (h->conn != NULL)
		return;
	h->conn = c;
	h->call->hold = h;
	TAILQ_INSERT_TAIL(&c->holds, h, conn_entry);
	h->call->broker->holds.n++;
	conn_regulate(c);
}

bool
hold_add(struct broker *b, struct hold *h, const void *room)
{
	struct conn *c = h->call->conn;

	if (room == NULL || !b->settings->hold_when_full ||
	    b->phase != BROKER_SERVING || b->holding || c == NULL ||
	    !peer_is_open(&c->peer) || !enroll(b, h, room))
		return false;
	join_conn(h);
	return true;
}

bool
hold_queue(struct hold *h)
{
	struct conn *c = h->call->conn;

	if (c == NULL || TAILQ_EMPTY(&c->holds))
		return false;
	join_conn(h);
	return true;
}

void
hold_end(struct broker *b, struct hold *h)
{
	struct conn *c = h->conn;
	struct hold *next;

	leave_room(b, h);
	if (c == NULL)
		return;
	TAILQ_REMOVE(&c->holds, h, conn_entry);
	b->holds.n--;
	h->conn = NULL;
	h->call->hold = NULL;
	next = TAILQ_FIRST(&c->holds);
	if (next == NULL) {
		conn_regulate(c);
	} else if (next->room == NULL && !next->started &&
		   !enroll(b, next, &any_room)) {
		hold_drop(next);
	}
}

void
hold_drop(struct hold *h)
{
	bool waits = h->room != NULL || !h->started;

	hold_end(h->call->broker, h);
	/* What is being tried comes to its own end. */
	if (waits)
		h->drop(h);
}

/* Try the first ones of a room; returns how many. */
static unsigned
run_room(struct broker *b, struct hold_room *room, unsigned most)
{
	bool wants_any = room->thing == &any_room;
	struct hold *h, *next;
	unsigned n;

	for (n = 0, h = TAILQ_FIRST(&room->list); h != NULL && n < most;
	     h = next, n++) {
		/* What it is that one wants shows when it is tried. */
		if (b->phase == BROKER_SERVING && !wants_any && !h->fits(h))
			break;
		/* With the last one the room goes. */
		next = TAILQ_NEXT(h, entry);
		leave_room(b, h);
		h->started = true;
		h->new_here = wants_any;
		h->again(h);
		/* It got a part of what it wants, and is first again. */
		if (next != NULL && TAILQ_FIRST(&room->list) != next) {
			n++;
			break;
		}
	}
	return n;
}

/* Try the first ones of each room; returns how many. */
static unsigned
run_rooms(struct broker *b, unsigned most)
{
	struct hold_room *room, *next;
	unsigned n = 0;

	for (room = TAILQ_FIRST(&b->holds.rooms); room != NULL && n < most;
	     room = next) {
		next = TAILQ_NEXT(room, entry);
		n += run_room(b, room, most - n);
	}
	return n;
}

bool
hold_run(struct broker *b)
{
	unsigned n, left = b->phase == BROKER_SERVING ? MOST_RUN : UINT_MAX;
	unsigned most = left;

	/* One that is let in lets the next one of its client be tried. */
	do {
		n = run_rooms(b, left);
		left -= n;
	} while (n > 0 && left > 0);
	if (left > 0 || hold_is_empty(b))
		return left < most;
	/* The rest in the next turn. */
	ev_timer_stop(b->loop, &b->holds.timer);
	ev_timer_set(&b->holds.timer, 0., LOOK);
	ev_timer_start(b->loop, &b->holds.timer);
	return false;
}

void
hold_refuse_all(struct broker *b)
{
	struct hold_room *room;

	while ((room = TAILQ_FIRST(&b->holds.rooms)) != NULL)
		hold_drop(TAILQ_FIRST(&room->list));
}
