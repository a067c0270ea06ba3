/* SPDX-License-Identifier: ISC */
/*
 * slots.h - what each task thread does now, on the page shared with the master
 *
 * A thread writes its own slot, and any process or signal handler may read it
 * at any moment: the functions below are async-signal-safe but for slots_init.
 */
#ifndef GANGER_WORKER_SLOTS_H
#define GANGER_WORKER_SLOTS_H

#include <stdint.h>
#include <sys/types.h>

#include "ipc/clock.h"
#include "ipc/page.h"

/*
 * Write to page from here on, which is borrowed for the life of the process;
 * NULL: to memory that nobody else sees.  Before any thread is made.
 */
void slots_init(struct page *page);

/* The page in use, never NULL. */
struct page *slots_page(void);

/* The calling thread is task thread i from here on; and no more. */
void slots_bind(unsigned i);
void slots_unbind(void);

/* The calling task thread begins a run, at `now`; it has ended it. */
void slots_begin(uint64_t task, uint64_t run, struct mono now);
void slots_end(void);

/* The calling task thread's command leads group pgid; 0: there is none. */
void slots_set_group(pid_t pgid);

/* The calling thread's slot if it runs a task, else PAGE_NO_SLOT. */
int slots_mine(void);

/* The slot of task thread tid, or PAGE_NO_SLOT. */
int slots_find(pid_t tid);

#endif
