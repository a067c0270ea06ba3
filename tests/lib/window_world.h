/* SPDX-License-Identifier: ISC */
/*
 * window_world.h - tasks that wait, the disk that most of them are on, and no
 * time but the test's
 *
 * The broker's window and the life of tasks are the real ones.  The store is
 * played: what is handed to it at the end of a turn is carried out when the
 * test says so, writes before reads, and told in order.  Time stands still but
 * for window_world_wait.
 */
#ifndef GANGER_TESTS_LIB_WINDOW_WORLD_H
#define GANGER_TESTS_LIB_WINDOW_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/buf.h"
#include "master/broker/broker.h"

#define WINDOW_WORLD_IDS   8192
#define WINDOW_WORLD_KINDS 4
#define WINDOW_WORLD_KEYS  5 /* with that for none */

/* A task as the disk has it. */
struct window_row {
	bool kept;
	struct task image; /* without texts, but for the key, which stays */
};

/* A call of the store that is open. */
struct window_wish {
	bool taken; /* it goes with the batch that is on its way */
	uint64_t id;
	struct store_range range;
	const char *key;
	store_task_fn on_task; /* one of the three */
	store_list_fn on_list;
	store_found_fn on_found;
	void *arg;
};

struct window_world {
	struct broker b;
	struct broker_settings settings;
	struct broker_shared shared;
	struct store store;
	struct queue *q;
	/* The first two are in one lane, the third in another; the last nobody
	 * can run. */
	struct kind *k[WINDOW_WORLD_KINDS];
	struct window_row rows[WINDOW_WORLD_IDS];
	struct task *listed[WINDOW_WORLD_IDS]; /* a reference each */
	size_t n_listed;
	struct task *flying[WINDOW_WORLD_IDS];
	struct task images[WINDOW_WORLD_IDS]; /* of them, at the hand-over */
	size_t n_flying;
	bool in_flight; /* a batch is on its way, maybe of calls alone */
	struct window_wish wishes[64];
	size_t n_wishes;
	struct task *ended[WINDOW_WORLD_IDS]; /* a reference each; by id */
	size_t n_ended, n_lost;
	/* What the store has been asked, and what it is to say. */
	size_t n_fetches;
	struct store_range last; /* of the last fetch */
	unsigned refuse;         /* so many calls, with -ENOMEM */
	int read_err;            /* of what is read from now on */
	bool fails;              /* writes do */
	bool busy;               /* it is never idle */
	bool no_memory;          /* for arrays that grow */
};

/* What a new task is; all 0: durable, ready, of kind and priority 0. */
struct window_spec {
	unsigned kind, priority;
	unsigned key; /* 1, 2, ...; 0: none */
	size_t size;  /* of its texts, as it says; none are there */
	int64_t delay_ms, expires_ms;
	bool wall; /* its time is one of the wall clock */
	bool is_volatile;
	bool suspect;
};

void window_world_init(struct window_world *w);
void window_world_done(struct window_world *w);

/* A new task; its id. */
uint64_t window_world_submit(
    struct window_world *w, const struct window_spec *spec);

/* What is due happens, then the end of a turn. */
void window_world_turn(struct window_world *w);

/* The disk has carried out what it has been given, and tells. */
void window_world_tell(struct window_world *w);

/* Turns, and what comes of them, until nothing is on its way. */
void window_world_settle(struct window_world *w);

/* Let time pass. */
void window_world_wait(struct window_world *w, int64_t ms);

/* Start the next one that a worker of that shift can run; NULL: there is none.
 */
struct task *window_world_start(struct window_world *w, unsigned shift);

/* A run's outcome. */
void window_world_succeed(struct window_world *w, struct task *t);
void window_world_retry(struct window_world *w, struct task *t, int64_t ms);
void window_world_requeue(struct window_world *w, struct task *t);

/* A client asks for a task: what the disk has of it will be resident. */
void window_world_ask(struct window_world *w, uint64_t id);

/* A reload: from now on these shifts know the kind. */
void window_world_reload(
    struct window_world *w, unsigned kind, shift_set shifts);

/* The task of that id as it is, wherever that is; NULL: it is no more. */
const struct task *window_world_look(struct window_world *w, uint64_t id);

bool window_world_is_resident(struct window_world *w, uint64_t id);

/* The band of a kind and priority; NULL: there is none so far. */
struct band *window_world_band(
    struct window_world *w, unsigned kind, unsigned priority);

/* The window's timer is set. */
bool window_world_timer_runs(const struct window_world *w);

/* All that is counted is so. */
void window_world_check(struct window_world *w);

#endif
