/* SPDX-License-Identifier: ISC */
/*
 * stacks.h - what each thread of this process does: its stack, as text
 *
 * Each thread, made by the daemon or not, has a line with its number, its name
 * and its task, and a line for each frame.  All but stacks_init may be called
 * from a signal handler, whatever it interrupted.
 */
#ifndef GANGER_WORKER_STACKS_H
#define GANGER_WORKER_STACKS_H

#include "worker/sink.h"

/*
 * Take the two signals that this needs, and unblock them in the calling thread
 * and those that it will make.  PAGE_DUMP_SIGNAL then writes all stacks to the
 * page.  Before any thread is made.  0 or -errno.
 */
int stacks_init(void);

/* Write the calling thread's stack; in a signal handler, what that stopped. */
void stacks_write_own(struct sink *s);

/*
 * Write the stacks of all threads, those that have a task first.  A thread
 * that lets the signal wait is named with its state instead.  For a process
 * that is about to end: a dump that is being written meanwhile is given up.
 */
void stacks_write_all(struct sink *s);

#endif
