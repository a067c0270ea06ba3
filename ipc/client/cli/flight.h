/* SPDX-License-Identifier: ISC */
/*
 * flight.h - the requests under way, and the input lines that they are for
 *
 * Holds at most as many as it was made for.  Pure.
 */
#ifndef GANGER_CLI_FLIGHT_H
#define GANGER_CLI_FLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bsd/sys/tree.h>

/* A line of the input. */
struct flight_line {
	uint64_t seq;     /* its number in the whole input, from 0 */
	const char *file; /* borrowed; NULL: standard input */
	uint64_t number;  /* in its file, from 1 */
};

struct flight_entry {
	uint64_t id; /* of the request */
	struct flight_line line;
	struct flight_entry *next_free;
	RB_ENTRY(flight_entry) entry;
};
RB_HEAD(flight_tree, flight_entry);

struct flight {
	struct flight_entry *entries; /* owned */
	struct flight_entry *free;
	struct flight_tree by_id;
	size_t n, max; /* n <= max */
};

/* -ENOMEM. */
int flight_init(struct flight *f, size_t max);
void flight_done(struct flight *f);

/* Add a request, while n < max. */
void flight_add(struct flight *f, uint64_t id, const struct flight_line *line);

/* Remove a request; false when there is none of this id. */
bool flight_take(struct flight *f, uint64_t id, struct flight_line *line_out);

#endif
