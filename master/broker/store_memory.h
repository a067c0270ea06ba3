/* SPDX-License-Identifier: ISC */
/*
 * store_memory.h - a store that forgets with the broker
 */
#ifndef GANGER_BROKER_STORE_MEMORY_H
#define GANGER_BROKER_STORE_MEMORY_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "master/broker/store.h"

struct store_memory_limits {
	int64_t result_ttl_ms; /* succeeded, cancelled and expired tasks */
	int64_t failed_ttl_ms; /* failed and quarantined ones */
	uint64_t max_finished; /* bytes of ended tasks; the oldest go first */
};

/*
 * Make an empty store whose timers run on loop, which is borrowed.  The caller
 * owns *out; release it with store_free().  -ENOMEM.
 */
int store_memory_new(struct ev_loop *loop,
    const struct store_memory_limits *limits, struct store **out);

/* What holds from now on for tasks that end. */
void store_memory_set_limits(
    struct store *s, const struct store_memory_limits *limits);

/* The task of that id, ended or not, or NULL. */
struct task *store_memory_find(struct store *s, uint64_t id);

/*
 * Look at the ended tasks in the order in which they are dropped when memory is
 * short: the one after t, or the first for NULL; NULL at the end.  A task's
 * timer says until when it is kept.
 */
struct task *store_memory_next_ended(
    const struct store *s, const struct task *t);

/*
 * Keep t, an ended task of a store that was handed over, until `until`; called
 * in the order in which they were looked at.  Takes a reference of its own.
 * -ENOMEM.
 */
int store_memory_restore(struct store *s, struct task *t, struct mono until);

#endif
