/* SPDX-License-Identifier: ISC */
/*
 * reap.h - children that have ended, and what they left behind
 */
#ifndef GANGER_SUPERVISOR_REAP_H
#define GANGER_SUPERVISOR_REAP_H

#include <stdbool.h>

struct supervisor;

/* What tasks leave behind becomes this process's to reap.  0 or -errno. */
int reap_adopt_orphans(void);

/* Reap all children that have ended, and deal with their ends. */
void reap_run(struct supervisor *sv);

/* Note which children are stopped, and which go on. */
void reap_note_stops(struct supervisor *sv);

/*
 * Kill every process that is left: orphans, which tasks had started and left.
 * False when there is none.
 */
bool reap_sweep(struct supervisor *sv);

#endif
