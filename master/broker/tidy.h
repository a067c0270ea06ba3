/* SPDX-License-Identifier: ISC */
/*
 * tidy.h - let shifts end, and pools leave
 */
#ifndef GANGER_BROKER_TIDY_H
#define GANGER_BROKER_TIDY_H

#include "master/broker/broker.h"

/*
 * Called at the end of a turn: shifts that have lost their workers are over,
 * and pools that leave get their pills when they have no work left.
 */
void tidy_crews(struct broker *b);

#endif
