/* SPDX-License-Identifier: ISC */
/*
 * slots.c - what each task thread does now, on the page shared with the master
 *
 * A slot's task is stored last when a run begins and first when it ends, each
 * with release order: whoever reads a task reads its own run and time.  No
 * store waits for another thread, and a slot shares its cache line with none.
 */
#include "worker/slots.h"

#include <unistd.h>

/* Where slots are when no master looks at them; untouched, it costs nothing. */
static struct page unshared;
static struct page *used = &unshared;

/* By slot; 0: not bound. */
static _Atomic pid_t tids[PAGE_SLOTS];

/* In the initial-exec model reading it never allocates. */
static _Thread_local struct page_slot *mine
    __attribute__((tls_model("initial-exec")));

void
slots_init(struct page *page)
{
	used = page == NULL ? &unshared : page;
	if (page == NULL)
		atomic_store(&used->fault_slot, PAGE_NO_SLOT);
}

struct page *
slots_page(void)
{
	return used;
}

void
slots_bind(unsigned i)
{
	if (i >= PAGE_SLOTS)
		return;
	mine = &used->slots[i];
	atomic_store(&tids[i], gettid());
}

void
slots_unbind(void)
{
	if (mine != NULL)
		atomic_store(&tids[mine - used->slots], 0);
	mine = NULL;
}

void
slots_begin(uint64_t task, uint64_t run, struct mono now)
{
	if (mine == NULL)
		return;
	atomic_store_explicit(&mine->run, run, memory_order_release);
	atomic_store_explicit(&mine->since_ns, now.ns, memory_order_release);
	atomic_store_explicit(&mine->task, task, memory_order_release);
}

void
slots_end(void)
{
	if (mine != NULL)
		atomic_store_explicit(&mine->task, 0, memory_order_release);
}

void
slots_set_group(pid_t pgid)
{
	if (mine != NULL)
		atomic_store(&mine->pgid, pgid);
}

int
slots_mine(void)
{
	if (mine == NULL || atomic_load(&mine->task) == 0)
		return PAGE_NO_SLOT;
	return (int)(mine - used->slots);
}

int
slots_find(pid_t tid)
{
	int i;

	for (i = 0; i < PAGE_SLOTS; i++)
		if (atomic_load(&tids[i]) == tid)
			return i;
	return PAGE_NO_SLOT;
}
