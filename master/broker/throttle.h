/* SPDX-License-Identifier: ISC */
/*
 * throttle.h - wake up when a queue's rate lets it go on
 */
#ifndef GANGER_BROKER_THROTTLE_H
#define GANGER_BROKER_THROTTLE_H

#include <ev.h>

#include "ipc/clock.h"

struct throttle {
	struct ev_loop *loop; /* borrowed */
	struct ev_timer timer;
	struct mono wake; /* what it is set for; ns 0: not set */
};

void throttle_init(struct throttle *t, struct ev_loop *loop);
void throttle_done(struct throttle *t);

/* Let a turn of the loop begin at wake; with ns 0 at no set time. */
void throttle_arm(struct throttle *t, struct mono wake);

#endif
