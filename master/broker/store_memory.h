/* SPDX-License-Identifier: ISC */
/*
 * store_memory.h - a store that forgets with the broker
 */
#ifndef GANGER_BROKER_STORE_MEMORY_H
#define GANGER_BROKER_STORE_MEMORY_H

#include <ev.h>
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

#endif
