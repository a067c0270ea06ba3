/* SPDX-License-Identifier: ISC */
/*
 * idset.h - a set of ids that are added in rising order
 *
 * Adding, and removing near either end, cost the same however many there are;
 * removing elsewhere moves the shorter side.
 */
#ifndef GANGER_CLIENT_IDSET_H
#define GANGER_CLIENT_IDSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct idset {
	uint64_t *ids; /* owned; rising from ids[start] on */
	size_t start, n, cap;
};

void idset_init(struct idset *s);
void idset_done(struct idset *s);

/* Make sure that the next idset_push has room.  -ENOMEM. */
int idset_reserve(struct idset *s);

/* Add an id above all others, for which there is room. */
void idset_push(struct idset *s, uint64_t id);

bool idset_has(const struct idset *s, uint64_t id);

/* Remove an id; false when it is not there. */
bool idset_remove(struct idset *s, uint64_t id);

#endif
