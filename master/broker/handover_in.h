/* SPDX-License-Identifier: ISC */
/*
 * handover_in.h - read the records that handover_out.h writes
 *
 * What is read is this daemon's own, but maybe of another version: a member
 * that is not there reads as 0, false or NULL, and lengths are checked.
 */
#ifndef GANGER_BROKER_HANDOVER_IN_H
#define GANGER_BROKER_HANDOVER_IN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "master/broker/handover_out.h"

struct handover_in {
	char *map; /* owned; NULL when the memory is empty */
	size_t size;
	size_t at;      /* where the next record begins; always <= size */
	size_t dropped; /* pages before it were given back */
	json_t *rec;    /* owned; the record */
	const char *type;
	struct handover_raw raws[HANDOVER_RAWS_MAX]; /* borrowed from map */
	size_t n_raws;
};

/* Map the memory of fd, which stays the caller's.  0 or -errno. */
int handover_in_open(struct handover_in *in, int fd);
void handover_in_done(struct handover_in *in);

/*
 * Go to the next record, whose type is in->type: 1, or 0 at the end.
 * -EINVAL: it can't be read, or the end is missing.  -ENOMEM.
 */
int handover_in_next(struct handover_in *in);

/* The same, and it must be of that type.  0, or -EINVAL. */
int handover_in_expect(struct handover_in *in, const char *type);

/* Members of the record; texts are lent until the next one. */
int64_t handover_in_int(const struct handover_in *in, const char *key);
bool handover_in_flag(const struct handover_in *in, const char *key);
const char *handover_in_str(const struct handover_in *in, const char *key);

/*
 * Take over a descriptor that a member names: it is closed at an exec again.
 * 0 or -errno: there is none.
 */
int handover_in_fd(int fd);

/* Raw i, lent until the next record; data is NULL when it is not there. */
struct handover_raw handover_in_raw(const struct handover_in *in, size_t i);

/* Copy raw i as a string into *out; NULL when it is not there.  -ENOMEM. */
int handover_in_text(const struct handover_in *in, size_t i, char **out);

#endif
