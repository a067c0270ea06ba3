/* SPDX-License-Identifier: ISC */
/*
 * load.h - tell the master how busy the pools are that follow their load
 */
#ifndef GANGER_BROKER_LOAD_H
#define GANGER_BROKER_LOAD_H

#include "master/broker/broker.h"

void load_init(struct broker *b);
void load_done(struct broker *b);

/*
 * Called at the end of a turn: tell of each pool that scales and has something
 * waiting, or another load than it was told with; every half second at most.
 */
void load_tell(struct broker *b);

#endif
