/* SPDX-License-Identifier: ISC */
/*
 * store_names.h - names of queues, kinds and pools as small numbers
 *
 * The database has each name once.  Pure but for the SQL that its callers do.
 * A name that is asked for often is found by its address, so an address must
 * mean the same name for as long as the map lives.
 */
#ifndef GANGER_BROKER_STORE_NAMES_H
#define GANGER_BROKER_STORE_NAMES_H

#include <stddef.h>
#include <stdint.h>

struct store_name {
	int64_t id;
	char *text; /* owned; stays where it is */
};

struct store_name_slot {
	const char *at; /* borrowed; NULL: free */
	int64_t id;
};

struct store_names {
	struct store_name *names; /* owned; by rising id */
	size_t n, cap;
	size_t n_kept;                 /* of them, those that are committed */
	struct store_name_slot *slots; /* owned; a hash by address */
	size_t n_slots, n_used;        /* a power of two, or 0 */
};

void store_names_done(struct store_names *s);

/* Note that a name, which is copied, has that id, above all others. -ENOMEM. */
int store_names_add(struct store_names *s, int64_t id, const char *text);

/* The id of a name by its address, or else by its text; 0: not known. */
int64_t store_names_find(struct store_names *s, const char *name);

/* The id by the text alone; 0: not known. */
int64_t store_names_look_up(const struct store_names *s, const char *name);

/* The name of an id, lent for as long as s lives; NULL: not known. */
const char *store_names_text(const struct store_names *s, int64_t id);

/* What was added is in the database now; or it is not, and forgotten. */
void store_names_keep(struct store_names *s);
void store_names_drop(struct store_names *s);

#endif
