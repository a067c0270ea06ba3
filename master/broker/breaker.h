/* SPDX-License-Identifier: ISC */
/*
 * breaker.h - when the tasks of a name are held back, and for how long
 *
 * Pure: the caller has the clock, and the tasks.  A name whose tasks kill one
 * worker after the other is held back for a while; then one of its tasks is
 * tried alone, and what becomes of that decides.
 */
#ifndef GANGER_BROKER_BREAKER_H
#define GANGER_BROKER_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/clock.h"

#define BREAKER_STRIKES     5
#define BREAKER_WAIT_MS     10000
#define BREAKER_WAIT_MAX_MS 300000

enum breaker_state {
	BREAKER_CLOSED,  /* all tasks are run */
	BREAKER_OPEN,    /* none is, until its time has come; then one is */
	BREAKER_PROBING, /* one is being run: `probe` */
};

struct breaker {
	enum breaker_state state;
	unsigned strikes; /* workers killed since the last success */
	int64_t wait_ms;  /* of this time, while it is not closed */
	struct mono until;
	uint64_t probe; /* the task that is tried; 0: none */
};

/* A task has killed its worker.  True when none of the name is run now. */
bool breaker_strike(struct breaker *k, uint64_t id, struct mono now);

/* A task has succeeded.  True when that closes it. */
bool breaker_success(struct breaker *k);

/*
 * The worker of a task has answered, though maybe not with a result.  True
 * when that closes it: it was the one that was tried.
 */
bool breaker_answer(struct breaker *k, uint64_t id);

/* Nothing will come of a task: another one can be tried, if it was that. */
void breaker_lost(struct breaker *k, uint64_t id);

/* True when one can be tried now. */
bool breaker_is_due(const struct breaker *k, struct mono now);

/* Try this one; breaker_is_due. */
void breaker_try(struct breaker *k, uint64_t id);

#endif
