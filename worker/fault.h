/* SPDX-License-Identifier: ISC */
/*
 * fault.h - a worker that dies says who did it
 *
 * A fatal signal that a thread brought upon itself is noted on the page with
 * the thread's slot, its stack goes to stderr, and the process dies of that
 * signal after all, so that core and status are true.  One that another
 * process sent (the master's SIGABRT) blames nobody, and all stacks go to
 * stderr.  exit(3) in the middle of a task is noted as well.
 *
 * A module's own handlers, when it installs some, take the place of these.
 */
#ifndef GANGER_WORKER_FAULT_H
#define GANGER_WORKER_FAULT_H

/*
 * Take the fatal signals, and unblock them in the calling thread and those
 * that it will make.  After slots_init and stacks_init, in the main thread,
 * before there is another.  0 or -errno.
 */
int fault_init(void);

/*
 * Give the calling thread a stack for its handlers, so that an overflow of its
 * own one is noted too; take it away at the thread's end.  Without memory for
 * one, the thread goes on without.
 */
void fault_start_thread(void);
void fault_stop_thread(void);

#endif
