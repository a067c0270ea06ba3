/* SPDX-License-Identifier: ISC */
/*
 * restart.h - when a process that died is started again
 *
 * The policy of one slot: a worker's, or the broker's.  Pure: the caller gives
 * the time and the random numbers, and does the starting.
 *
 * A process has proved itself once it has finished its first task and lived a
 * second longer, or has lived 10 s from its hello on.  A death before that is
 * a quick one, a clean exit as well.  After a process that proved itself the
 * next starts at once; so it does after the first quick death in a row.  Then
 * the delay is 0.1 s, doubled each time, less up to half of it by chance.  From
 * the 5th quick death in a row on the slot is flapping: it is tried every 10 s
 * until a process proves itself.
 *
 * An exit that was ordered (stop, retire) is no death: do not report it.
 */
#ifndef GANGER_SUPERVISOR_RESTART_H
#define GANGER_SUPERVISOR_RESTART_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/clock.h"

#define RESTART_IDLE_MS     10000 /* from hello to proved, without a task */
#define RESTART_SERVED_MS   1000  /* from the first task's end to proved */
#define RESTART_DELAY_MS    100   /* before the jitter, doubled each time */
#define RESTART_PROBE_MS    10000 /* between starts while flapping */
#define RESTART_FLAPPING_AT 5     /* quick deaths in a row */

struct restart {
	unsigned n_quick; /* deaths in a row; stays at RESTART_FLAPPING_AT */
	bool greeted;     /* this process has said hello */
	bool served;      /* and finished a task */
	bool proved;      /* it has proved itself; n_quick is 0 */
	struct mono proves_at; /* valid when greeted */
};

void restart_init(struct restart *r);

/* A process was started (or is about to be). */
void restart_started(struct restart *r);

/* It said hello.  A second hello changes nothing. */
void restart_hello(struct restart *r, struct mono now);

/* It finished a task.  Only the first one counts. */
void restart_served(struct restart *r, struct mono now);

/*
 * It died, or could not be started at all.  random is any 32 random bits.
 * Returns the delay in milliseconds until the next start, 0: at once.
 */
int64_t restart_died(struct restart *r, struct mono now, uint32_t random);

/*
 * True when the process will prove itself by living on until *at_out, so that
 * the caller sets a timer and then calls restart_check.  False, *at_out
 * untouched, before hello, and when it has already.
 */
bool restart_proves_at(const struct restart *r, struct mono *at_out);

/*
 * Look whether it has proved itself by now.  True when this has ended the
 * slot's flapping.
 */
bool restart_check(struct restart *r, struct mono now);

bool restart_is_flapping(const struct restart *r);

#endif
