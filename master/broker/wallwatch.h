/* SPDX-License-Identifier: ISC */
/*
 * wallwatch.h - notice that the wall clock was set
 *
 * Timers run on the monotonic clock; tasks for a time of the wall clock have to
 * follow when that jumps.
 */
#ifndef GANGER_BROKER_WALLWATCH_H
#define GANGER_BROKER_WALLWATCH_H

#include <ev.h>
#include <stdint.h>

struct broker;

struct wallwatch {
	struct ev_io io; /* of a timerfd that is cancelled by a jump */
	int fd;          /* owned; -1: none */
	int64_t
	    offset_ms; /* wall time minus monotonic time, at the last look */
};

/* Begin.  Without a descriptor a jump is noticed with the next event. */
void wallwatch_start(struct broker *b);
void wallwatch_stop(struct broker *b);

/* Look once in a turn, and let tasks follow a jump. */
void wallwatch_look(struct broker *b);

#endif
