/* SPDX-License-Identifier: ISC */
/*
 * delay.h - what falls due next: an indexed binary heap
 *
 * Pure: the caller has the clock.  A node is embedded in what it belongs to,
 * which must outlive its stay in the heap.  Insert, change and remove take
 * O(log n), a look at the earliest O(1).
 */
#ifndef GANGER_BROKER_DELAY_H
#define GANGER_BROKER_DELAY_H

#include <stdbool.h>
#include <stddef.h>

#include "ipc/clock.h"

struct delay_node {
	struct mono due;
	size_t at; /* its index in the heap plus one; 0: not in it */
};

struct delay {
	struct delay_node **heap; /* owned; the nodes are borrowed */
	size_t n, cap;
};

void delay_init(struct delay *d);
void delay_done(struct delay *d);

/* Make room for n nodes in all, so that delay_set can't fail.  -ENOMEM. */
int delay_reserve(struct delay *d, size_t n);

void delay_node_init(struct delay_node *node);

static inline bool
delay_holds(const struct delay_node *node)
{
	return node->at != 0;
}

/* Let node be due at `due`, whether it is in the heap or not.  -ENOMEM. */
int delay_set(struct delay *d, struct delay_node *node, struct mono due);

/* Take node out; does nothing when it is not in. */
void delay_remove(struct delay *d, struct delay_node *node);

/* The earliest node, or NULL. */
struct delay_node *delay_peek(const struct delay *d);

/* Take out and return the earliest node if it is due by now, else NULL. */
struct delay_node *delay_pop(struct delay *d, struct mono now);

#endif
