/* SPDX-License-Identifier: ISC */
/*
 * mailbox_world.h - keys and the tasks that have them, a disk, and a model of
 * who may run
 *
 * The model is a list of each key's tasks in the order in which they became
 * ready, whose first alone may run; each step is checked against it.  The store
 * is played: what it reads is as it was at a flush, and is told later, in
 * order.
 */
#ifndef GANGER_TESTS_LIB_MAILBOX_WORLD_H
#define GANGER_TESTS_LIB_MAILBOX_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "master/broker/broker.h"

#define MAILBOX_WORLD_IDS   4000
#define MAILBOX_WORLD_KEYS  5
#define MAILBOX_WORLD_CALLS 4096

/* A task as the disk has it. */
struct mailbox_row {
	bool kept, live, holds, parked;
	unsigned key;
	uint64_t seq;
};

/* A call of the store that is open. */
struct mailbox_wish {
	enum { GET, FETCH, FIND } kind;
	bool read; /* its flush has been */
	void *fn, *arg;
	uint64_t id, after;
	size_t n;
	char key[16];
	int err;
	uint64_t found, cursor;
	struct task *tasks[64];
	size_t n_tasks;
};

struct mailbox_world {
	struct broker b;
	struct store store;
	struct mailbox_row rows[MAILBOX_WORLD_IDS];
	/* As of the next flush; a reference each. */
	struct task *dirty[MAILBOX_WORLD_CALLS];
	bool fresh[MAILBOX_WORLD_CALLS]; /* it is new */
	size_t n_dirty;
	struct mailbox_wish wishes[MAILBOX_WORLD_CALLS];
	size_t n_wishes;
	struct task *resident[MAILBOX_WORLD_IDS]; /* a reference each */
	bool ended[MAILBOX_WORLD_IDS];
	unsigned key_of[MAILBOX_WORLD_IDS];
	/* Of ids that have not ended. */
	uint64_t order[MAILBOX_WORLD_KEYS][MAILBOX_WORLD_IDS];
	size_t n_order[MAILBOX_WORLD_KEYS];
	uint64_t runs[MAILBOX_WORLD_KEYS]; /* who holds the key; 0: nobody */
	uint64_t last_id, seq;
	unsigned spills, fails; /* out of 100 */
	size_t n_fetches, n_finds;
};

/* The world, from mailbox_world_start until mailbox_world_stop. */
extern struct mailbox_world w;

/* A new world, where so many of 100 tasks leave memory as they get their key,
 * and so many calls of the store fail. */
void mailbox_world_start(unsigned seed, unsigned spills, unsigned fails);

/* All that is left ends, and nothing of it stays behind. */
void mailbox_world_stop(void);

/* 0 or more, less than that. */
unsigned mailbox_world_chance(unsigned of);

void mailbox_world_submit(unsigned key, bool durable);
void mailbox_world_submit_many(unsigned n, unsigned key, bool durable);

/* Lend the task of that id, brought from the disk if it is there; or NULL. */
struct task *mailbox_world_bring(uint64_t id);

/* It ends; takes the reference that the world has. */
void mailbox_world_finish(struct task *t);

/* The same, if it is here or on the disk so far. */
void mailbox_world_finish_id(uint64_t id);

/* It is tried again, and waits for that on the disk; or not, as above. */
void mailbox_world_retry(uint64_t id);

/* The end of a turn; so many calls of the store are told what was read. */
void mailbox_world_turn(size_t told);

/* The parts of it: the disk carries out what it has been given, ... */
void mailbox_world_flush(void);

/* ... and tells the first ones of what was read. */
void mailbox_world_tell(size_t n);

/* The timer of the mailboxes runs, if it is set. */
void mailbox_world_run_later(void);

/* Another broker goes on with what is resident. */
void mailbox_world_hand_over(void);

#endif
