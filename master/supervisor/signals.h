/* SPDX-License-Identifier: ISC */
/*
 * signals.h - the master's signals, from one descriptor
 */
#ifndef GANGER_SUPERVISOR_SIGNALS_H
#define GANGER_SUPERVISOR_SIGNALS_H

#include "master/supervisor/supervisor.h"

/* Block every signal in this process, for good: call first thing. */
void signals_block(void);

/* Take signals on sv's loop from here on.  0 or -errno. */
int signals_open(struct supervisor *sv);
void signals_close(struct supervisor *sv);

#endif
