/* SPDX-License-Identifier: ISC */
/*
 * page.h - the memory that a worker shares with the master
 *
 * Made by the master before the fork, one for each worker, over a memfd: the
 * master keeps the descriptor, so the page survives the replacement of the
 * master's binary.  The worker writes, the master reads, and reads it as it
 * would anything from a process that may have gone mad: every number is
 * checked, nothing in it is a pointer.
 *
 * Pages that are not touched cost no memory.
 */
#ifndef GANGER_IPC_PAGE_H
#define GANGER_IPC_PAGE_H

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGE_SLOTS     256 /* task threads of a worker, at the most */
#define PAGE_TEXT_SIZE (64 * 1024)

/* Sent by the master to have the stacks of all threads written to the page. */
#define PAGE_DUMP_SIGNAL (SIGRTMIN + 1)

/* No task thread was at fault. */
#define PAGE_NO_SLOT (-1)

/* A task thread, written by itself: a cache line that no other writes to. */
struct page_slot {
	_Alignas(64) _Atomic uint64_t task; /* its id; 0: idle */
	_Atomic uint64_t run;               /* written before task */
	_Atomic int64_t since_ns;           /* monotonic; written before task */
	_Atomic int32_t pgid; /* of the command that it runs; 0: none */
};

struct page {
	_Atomic int64_t busy_ns; /* the main loop works since; 0: it waits */

	/* How it ended, noted by the thread that it happened in. */
	_Atomic int32_t fault_signal; /* 0: none, or exit() was called */
	_Atomic int32_t fault_slot;   /* whose task ended it; PAGE_NO_SLOT */

	/* The master raises dump_asked, then sends PAGE_DUMP_SIGNAL; the worker
	 * fills text and then sets dump_done to what dump_asked was. */
	_Atomic uint32_t dump_asked;
	_Atomic uint32_t dump_done;
	_Atomic uint32_t text_len; /* at most PAGE_TEXT_SIZE */

	struct page_slot slots[PAGE_SLOTS];
	char text[PAGE_TEXT_SIZE]; /* not NUL-terminated */
};

/*
 * Make a page, empty.  The caller owns *fd_out (close-on-exec) and the mapping
 * *out, which children inherit; release it with page_unmap.  0 or -errno.
 */
int page_new(int *fd_out, struct page **out);

/* Map the page of a descriptor, which stays the caller's.  0 or -errno. */
int page_map(int fd, struct page **out);

/* Unmap *p, which may be NULL, and set it to NULL. */
void page_unmap(struct page **p);

#endif
