/* SPDX-License-Identifier: ISC */
/*
 * detach.h - go into the background, and tell the caller how the start went
 */
#ifndef GANGER_MASTER_DETACH_H
#define GANGER_MASTER_DETACH_H

#include <stdbool.h>

/*
 * Fork; the parent waits until the child calls detach_ready or ends, and exits
 * with 0 or the child's status.  Returns in the child only, or -errno.
 */
int detach(void);

/*
 * The daemon serves: let the caller go, and leave its terminal.  True if there
 * was one to leave: standard output and error lead nowhere from here on.
 */
bool detach_ready(void);

#endif
