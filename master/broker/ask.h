/* SPDX-License-Identifier: ISC */
/*
 * ask.h - what clients want of the master
 *
 * A client's call that only the master can carry out is sent on as an order
 * `ask`, and is answered when the master's `answer` of the same id comes, maybe
 * much later.  Whatever happens in between, every call is answered once: the
 * broker does not leave with an ask open.
 */
#ifndef GANGER_BROKER_ASK_H
#define GANGER_BROKER_ASK_H

#include <jansson.h>
#include <stdint.h>

#include <bsd/sys/queue.h>

struct broker;
struct call;

/* Asks that may be open at once; more are refused. */
#define ASK_OPEN_MAX  256
#define ASK_WHAT_SIZE 16

struct ask {
	uint64_t id;
	char what[ASK_WHAT_SIZE]; /* "reload", "upgrade", … */
	struct call *call;        /* taken; its client may be gone meanwhile */
	TAILQ_ENTRY(ask) entry;
};

TAILQ_HEAD(ask_list, ask);

struct asks {
	struct ask_list open; /* oldest first; owned */
	unsigned n_open;
	uint64_t last_id; /* given to an ask */
};

/* Set up an empty list. */
void asks_init(struct asks *a);

/*
 * Ask the master.  Takes call, and args, an object (NULL is refused as want of
 * memory).
 */
void ask_send(
    struct broker *b, struct call *call, const char *what, json_t *args);

/*
 * Go on with an ask that was sent before the broker was replaced in place.
 * Takes call; -ENOMEM: the caller keeps it.
 */
int ask_restore(
    struct broker *b, uint64_t id, const char *what, struct call *call);

/* The master's order `answer`: pass it on to who asked.  msg is borrowed. */
void ask_answer(struct broker *b, const json_t *msg);

/* The master is gone, or the broker leaves: answer all that is open. */
void ask_refuse_all(struct broker *b);

#endif
