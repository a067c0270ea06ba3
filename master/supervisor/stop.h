/* SPDX-License-Identifier: ISC */
/*
 * stop.h - the steps of a stop
 */
#ifndef GANGER_SUPERVISOR_STOP_H
#define GANGER_SUPERVISOR_STOP_H

#include "master/supervisor/supervisor.h"

void supervisor_stop_init(struct supervisor *sv);

/* End the loop if a stop is on its way and no child is left. */
void supervisor_end_if_over(struct supervisor *sv);

#endif
