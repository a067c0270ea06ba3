/* SPDX-License-Identifier: ISC */
/*
 * scale.h - how many processes a pool shall have
 *
 * The policy of one pool whose number of processes follows the load.  Pure: the
 * caller gives the time and the broker's reports, and starts and retires.
 *
 * The pool is pressed while tasks wait that should not have to: the oldest for
 * over SCALE_WAIT_MS, or any in two reports in a row with no thread idle.  Then
 * it grows by 1, 2, 4 … up to SCALE_STEP_MAX processes, a step a second, until
 * it is pressed no more; after each step a new report has to say that it still
 * is.  Processes that have not come up yet count as help on its way, and a pool
 * none of whose processes is up does not grow, for its trouble is another.
 *
 * It shrinks by one, at most once a second, when for all of idle_timeout the
 * busy threads would have fitted into one process less.  A growth, and a move
 * by hand, count as if all threads had been busy at that moment: what was added
 * stays for idle_timeout at least, so a load that comes and goes in less time
 * than that moves nothing.
 */
#ifndef GANGER_SUPERVISOR_SCALE_H
#define GANGER_SUPERVISOR_SCALE_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/clock.h"

#define SCALE_WAIT_MS  100  /* a ready task may wait so long */
#define SCALE_FULL     2    /* reports in a row without an idle thread */
#define SCALE_PAUSE_MS 1000 /* between two steps in one direction */
#define SCALE_STEP_MAX 32   /* processes added at once */
#define SCALE_SPANS    8    /* that idle_timeout is measured in */

struct scale_settings {
	unsigned min, max; /* processes; 1 <= min <= max */
	unsigned threads;  /* of each process; at least 1 */
	int64_t idle_timeout_ms;
};

/* What the broker reports of a pool; all zero when it is idle or unknown. */
struct scale_load {
	uint64_t ready;    /* tasks that wait for a thread */
	int64_t oldest_ms; /* the oldest of them waits for so long */
	unsigned busy;     /* threads that run a task */
	unsigned threads;  /* of all processes that are up */
};

struct scale {
	struct scale_settings settings;
	unsigned target;        /* processes; always from min to max */
	struct scale_load load; /* as last reported: it holds until the next */
	bool fresh;             /* reported after the last step up */
	unsigned n_full;        /* reports in a row; stays at SCALE_FULL */
	unsigned step;          /* of the next growth */
	struct mono up_at;      /* no step up before, */
	struct mono down_at;    /* and none down */
	struct mono span_end;   /* of the present span */
	/* The most threads that were busy in each span; a ring. */
	uint64_t peaks[SCALE_SPANS + 1];
	unsigned span; /* index of the present one */
};

/* Begin with n processes, or as many as the settings allow. */
void scale_init(struct scale *s, const struct scale_settings *settings,
    unsigned n, struct mono now);

/* The settings changed; the target is kept as far as they allow. */
void scale_set(
    struct scale *s, const struct scale_settings *settings, struct mono now);

/* The broker reports.  Also to be called with zeros when it has died. */
void scale_report(
    struct scale *s, const struct scale_load *load, struct mono now);

/*
 * An operator wants n processes.  Returns as many of them as min and max allow,
 * which is the target from here on; the load may move it later.
 */
unsigned scale_move(struct scale *s, unsigned n, struct mono now);

/*
 * Decide: how many processes there shall be now.  To be called after each of
 * the functions above, and at the time that scale_due_at says.
 */
unsigned scale_target(struct scale *s, struct mono now);

/*
 * True when without any report the target may be another at *at_out.  False,
 * *at_out untouched: only a report can change it.
 */
bool scale_due_at(const struct scale *s, struct mono *at_out);

#endif
