/* SPDX-License-Identifier: ISC */
/*
 * once.h - tasks that run at most once: their start is kept before it is made
 */
#ifndef GANGER_BROKER_ONCE_H
#define GANGER_BROKER_ONCE_H

#include "master/broker/broker.h"
#include "master/broker/task.h"

/*
 * t, which has a worker's slot and is unsent, is sent when the store has told
 * that its start is kept; or, when that can't be any more, it is put back.
 */
void once_start(struct broker *b, struct task *t);

#endif
