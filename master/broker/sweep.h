/* SPDX-License-Identifier: ISC */
/*
 * sweep.h - change all tasks that a filter means
 *
 * The store is gone through from the newest task of the sweep's begin to the
 * oldest, a page at a time, so the loop goes on meanwhile.  What comes into the
 * filter later is not looked at again.
 */
#ifndef GANGER_BROKER_SWEEP_H
#define GANGER_BROKER_SWEEP_H

#include "master/broker/change.h"
#include "master/broker/store.h"

struct sweep_order {
	struct change change;
	struct store_filter filter;
	/* For CHANGE_CANCEL, whose filter is of what waits: */
	bool runs; /* those that run, too */
	bool only_runs;
};

/*
 * It is done, and kept; or err says why it broke off, or is not kept so far:
 * the tasks of tally, which is lent, were changed all the same.
 */
typedef void (*sweep_done_fn)(
    void *arg, int err, const struct change_tally *tally);

/*
 * Begin one; order is copied.  fn may be called from within.  -ENOMEM: it is
 * not called.
 */
int sweep_start(struct broker *b, const struct sweep_order *order,
    sweep_done_fn fn, void *arg);

#endif
