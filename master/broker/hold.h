/* SPDX-License-Identifier: ISC */
/*
 * hold.h - submits that wait for room instead of being refused
 *
 * With when_full = "hold".  A client of which one is held is not read on, so
 * what waits is bounded by a line for each client.  Those that want the same
 * room get it in the order in which they came.
 */
#ifndef GANGER_BROKER_HOLD_H
#define GANGER_BROKER_HOLD_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct broker;
struct call;
struct conn;
struct hold_room;

/* A request that is held; its owner embeds it. */
struct hold {
	struct call *call; /* borrowed; set by the owner, as these are */
	bool (*fits)(struct hold *h); /* there is room for its next task */
	/*
	 * Try again: it ends in hold_end, or in hold_add; at once or later.
	 */
	void (*again)(struct hold *h);
	/* Refuse what is left, and free it; it is not held any more. */
	void (*drop)(struct hold *h);
	struct conn *conn;       /* borrowed; NULL: it is not held */
	struct hold_room *room;  /* NULL: it is tried, or behind another one */
	uint64_t ticket;         /* its place in its room */
	bool started;            /* it was tried before */
	bool new_here;           /* but not for want of the room it needs */
	TAILQ_ENTRY(hold) entry; /* of room */
	TAILQ_ENTRY(hold)
	conn_entry; /* of conn, in the order of the requests */
};

TAILQ_HEAD(hold_list, hold);

/* All of a broker. */
struct holds {
	TAILQ_HEAD(, hold_room) rooms;
	uint64_t last_ticket;
	uint64_t n;            /* requests that are held */
	struct ev_timer timer; /* runs while there are some */
};

void hold_init(struct broker *b);
void hold_done(struct broker *b);

/*
 * Hold h until there is room.  room, which is only compared, says for what it
 * waits; NULL: nothing could help.  False: it can't be held, refuse it.
 */
bool hold_add(struct broker *b, struct hold *h, const void *room);

/* Hold h behind the request of its client that is held.  False: none is. */
bool hold_queue(struct hold *h);

/* h was let in, or refused.  Does nothing when it was not held. */
void hold_end(struct broker *b, struct hold *h);

/* The client of h, which is held, is gone. */
void hold_drop(struct hold *h);

/*
 * Try those for which there is room, all when none is let in any more.  True:
 * some were tried, and what they brought is to be handed out in this turn.
 */
bool hold_run(struct broker *b);

/* Refuse all that wait. */
void hold_refuse_all(struct broker *b);

bool hold_is_empty(const struct broker *b);

#endif
