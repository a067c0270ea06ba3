/* SPDX-License-Identifier: ISC */
/*
 * idset.c - a set of ids that are added in rising order
 *
 * A sorted array with free room in front and behind.  Answers come nearly in
 * the order of their requests, so most removals are at the front.
 */
#include "ipc/client/lib/idset.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define IDSET_MIN 16

void
idset_init(struct idset *s)
{
	memset(s, 0, sizeof(*s));
}

void
idset_done(struct idset *s)
{
	free(s->ids);
	idset_init(s);
}

int
idset_reserve(struct idset *s)
{
	uint64_t *ids;
	size_t cap;

	if (s->start + s->n < s->cap)
		return 0;
	if (s->n <= s->cap / 2 && s->cap > 0) {
		memmove(s->ids, s->ids + s->start, s->n * sizeof(*s->ids));
		s->start = 0;
		return 0;
	}
	cap = s->cap == 0 ? IDSET_MIN : s->cap * 2;
	ids = reallocarray(s->ids, cap, sizeof(*ids));
	if (ids == NULL)
		return -ENOMEM;
	s->ids = ids;
	s->cap = cap;
	return 0;
}

void
idset_push(struct idset *s, uint64_t id)
{
	assert(s->start + s->n < s->cap);
	assert(s->n == 0 || s->ids[s->start + s->n - 1] < id);
	s->ids[s->start + s->n++] = id;
}

/* The place of id, counted from start, or n when it is not there. */
static size_t
idset_find(const struct idset *s, uint64_t id)
{
	size_t low, high, mid;

	low = 0;
	high = s->n;
	while (low < high) {
		mid = low + (high - low) / 2;
		if (s->ids[s->start + mid] < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low < s->n && s->ids[s->start + low] == id ? low : s->n;
}

bool
idset_has(const struct idset *s, uint64_t id)
{
	return idset_find(s, id) < s->n;
}

bool
idset_remove(struct idset *s, uint64_t id)
{
	uint64_t *first;
	size_t i;

	i = idset_find(s, id);
	if (i == s->n)
		return false;
	first = s->ids + s->start;
	s->n--;
	if (i <= s->n / 2) {
		memmove(first + 1, first, i * sizeof(*first));
		s->start++;
	} else {
		memmove(first + i, first + i + 1, (s->n - i) * sizeof(*first));
	}
	if (s->n == 0)
		s->start = 0;
	return true;
}
