/* SPDX-License-Identifier: ISC */
/*
 * flight.c - the requests under way
 */
#include "ipc/client/cli/flight.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int
compare(const struct flight_entry *a, const struct flight_entry *b)
{
	return a->id < b->id ? -1 : a->id > b->id;
}

RB_PROTOTYPE(flight_tree, flight_entry, entry, compare)
RB_GENERATE(flight_tree, flight_entry, entry, compare)

int
flight_init(struct flight *f, size_t max)
{
	size_t i;

	memset(f, 0, sizeof(*f));
	f->entries = calloc(max, sizeof(*f->entries));
	if (f->entries == NULL)
		return -ENOMEM;
	f->max = max;
	for (i = 0; i < max; i++) {
		f->entries[i].next_free = f->free;
		f->free = &f->entries[i];
	}
	RB_INIT(&f->by_id);
	return 0;
}

void
flight_done(struct flight *f)
{
	free(f->entries);
	memset(f, 0, sizeof(*f));
}

void
flight_add(struct flight *f, uint64_t id, const struct flight_line *line)
{
	struct flight_entry *e = f->free;

	assert(e != NULL);
	f->free = e->next_free;
	e->id = id;
	e->line = *line;
	RB_INSERT(flight_tree, &f->by_id, e);
	f->n++;
}

bool
flight_take(struct flight *f, uint64_t id, struct flight_line *line_out)
{
	struct flight_entry key = {.id = id}, *e;

	e = RB_FIND(flight_tree, &f->by_id, &key);
	if (e == NULL)
		return false;
	*line_out = e->line;
	RB_REMOVE(flight_tree, &f->by_id, e);
	e->next_free = f->free;
	f->free = e;
	f->n--;
	return true;
}
