/* SPDX-License-Identifier: ISC */
/*
 * store_calls.h - what is asked of the database, and how the outcome is told
 */
#ifndef GANGER_BROKER_STORE_CALLS_H
#define GANGER_BROKER_STORE_CALLS_H

#include "master/broker/store_batch.h"

struct store_calls {
	struct store_call_list list; /* for the next batches */
	size_t n_open;               /* those whose outcome is not told */
};

/*
 * As the calls of store.h, to be carried out when `after` tasks with news have
 * been handed over.
 */
int store_calls_barrier(
    struct store_calls *l, uint64_t after, store_done_fn fn, void *arg);
int store_calls_get(struct store_calls *l, uint64_t after, uint64_t id,
    store_task_fn fn, void *arg);
int store_calls_list(struct store_calls *l, uint64_t after,
    const struct store_filter *f, store_list_fn fn, void *arg);
int store_calls_fetch(struct store_calls *l, uint64_t after,
    const struct store_range *range, store_list_fn fn, void *arg);
int store_calls_find(struct store_calls *l, uint64_t after,
    enum store_what what, const struct queue *q, const struct kind *kind,
    const char *text, store_found_fn fn, void *arg);

/*
 * Take those whose turn it is to the batch; if `late`, all look-ups: they are
 * told what is right in spite of it.
 */
void store_calls_hand_over(
    struct store_calls *l, uint64_t n_handed, bool late, struct store_batch *b);

/* Move all barriers to the end of `list`, to be told err. */
void store_calls_fail_barriers(
    struct store_calls *l, int err, struct store_call_list *list);

/* Is there a look-up, and a barrier whose turn comes with n_handed? */
bool store_calls_has_look(const struct store_calls *l);
bool store_calls_has_barrier(const struct store_calls *l, uint64_t n_handed);

/*
 * Tell what has come of those on the list, which are l's, and forget them; err,
 * if it is not 0, in the place of their own.
 */
void store_calls_tell(struct store_calls *l, const struct store_hooks *hooks,
    struct store_call_list *list, int err);

#endif
