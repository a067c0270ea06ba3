/* SPDX-License-Identifier: ISC */
/*
 * runtime.h - the whole life of a worker process
 */
#ifndef GANGER_WORKER_RUNTIME_H
#define GANGER_WORKER_RUNTIME_H

#include "worker/settings.h"

/*
 * Be a worker until the end; returns the exit status, or does not return.
 *
 * The caller has forked from a single-threaded process, with every signal
 * blocked and of default disposition, in a process group of its own; it has
 * named the log and the process, and closed the descriptors that are the
 * parent's.  Descriptors 0, 1 and 2 are open.
 *
 * 0: after the pill, or after SIGTERM.  78 (EX_CONFIG): a module or a name is
 * wrong.  71 (EX_OSERR): it could not start, or ran out of memory.  69
 * (EX_UNAVAILABLE): the channel was closed.  The reason is in the log.
 */
int worker_run(const struct worker_settings *s);

#endif
