/* SPDX-License-Identifier: ISC */
/*
 * dispatch.h - hand ready tasks to idle threads
 */
#ifndef GANGER_BROKER_DISPATCH_H
#define GANGER_BROKER_DISPATCH_H

#include "master/broker/broker.h"

/*
 * Feed every worker that has an idle thread.  Called once at the end of a turn,
 * so that all tasks for one worker go in one write.
 */
void dispatch_run(struct broker *b);

#endif
