/* SPDX-License-Identifier: ISC */
/*
 * delay.c - what falls due next: an indexed binary heap
 *
 * heap[0] is the earliest.  Each node knows its index, so that one that is
 * cancelled leaves at once instead of being carried to its time.
 */
#include "master/broker/delay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void
delay_init(struct delay *d)
{
	memset(d, 0, sizeof(*d));
}

void
delay_done(struct delay *d)
{
	free(d->heap);
	delay_init(d);
}

void
delay_node_init(struct delay_node *node)
{
	memset(node, 0, sizeof(*node));
}

static void
put(struct delay *d, size_t i, struct delay_node *node)
{
	d->heap[i] = node;
	node->at = i + 1;
}

static void
sift_up(struct delay *d, size_t i, struct delay_node *node)
{
	size_t up;

	while (i > 0) {
		up = (i - 1) / 2;
		if (d->heap[up]->due.ns <= node->due.ns)
			break;
		put(d, i, d->heap[up]);
		i = up;
	}
	put(d, i, node);
}

static void
sift_down(struct delay *d, size_t i, struct delay_node *node)
{
	size_t kid;

	for (;;) {
		kid = 2 * i + 1;
		if (kid >= d->n)
			break;
		if (kid + 1 < d->n &&
		    d->heap[kid + 1]->due.ns < d->heap[kid]->due.ns)
			kid++;
		if (node->due.ns <= d->heap[kid]->due.ns)
			break;
		put(d, i, d->heap[kid]);
		i = kid;
	}
	put(d, i, node);
}

/* Put node where it belongs, coming from index i. */
static void
sift(struct delay *d, size_t i, struct delay_node *node)
{
	if (i > 0 && node->due.ns < d->heap[(i - 1) / 2]->due.ns)
		sift_up(d, i, node);
	else
		sift_down(d, i, node);
}

int
delay_reserve(struct delay *d, size_t n)
{
	struct delay_node **heap;
	size_t cap;

	if (n <= d->cap)
		return 0;
	cap = d->cap == 0 ? 64 : d->cap * 2;
	if (cap < n)
		cap = n;
	heap = reallocarray(d->heap, cap, sizeof(struct delay_node *));
	if (heap == NULL)
		return -ENOMEM;
	d->heap = heap;
	d->cap = cap;
	return 0;
}

int
delay_set(struct delay *d, struct delay_node *node, struct mono due)
{
	if (node->at == 0) {
		if (delay_reserve(d, d->n + 1) < 0)
			return -ENOMEM;
		put(d, d->n++, node);
	}
	node->due = due;
	sift(d, node->at - 1, node);
	return 0;
}

void
delay_remove(struct delay *d, struct delay_node *node)
{
	struct delay_node *last;
	size_t i;

	if (node->at == 0)
		return;
	i = node->at - 1;
	node->at = 0;
	last = d->heap[--d->n];
	if (last != node)
		sift(d, i, last);
}

struct delay_node *
delay_peek(const struct delay *d)
{
	return d->n == 0 ? NULL : d->heap[0];
}

struct delay_node *
delay_pop(struct delay *d, struct mono now)
{
	struct delay_node *node;

	node = delay_peek(d);
	if (node == NULL || !mono_reached(now, node->due))
		return NULL;
	delay_remove(d, node);
	return node;
}
