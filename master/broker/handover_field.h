/* SPDX-License-Identifier: ISC */
/*
 * handover_field.h - which fields of a struct are handed over, and as what
 *
 * One table for a struct serves to write it and to read it.  A field that is 0
 * is left out; what an older version did not write reads as 0.
 */
#ifndef GANGER_BROKER_HANDOVER_FIELD_H
#define GANGER_BROKER_HANDOVER_FIELD_H

#include <stddef.h>
#include <stdint.h>

#include "master/broker/handover_in.h"
#include "master/broker/handover_out.h"

enum handover_type {
	HANDOVER_BOOL,
	HANDOVER_U8,
	HANDOVER_32, /* int, unsigned, an enum */
	HANDOVER_64, /* int64_t, uint64_t, struct mono */
};

struct handover_field {
	const char *key;
	enum handover_type type;
	size_t at; /* offset in the struct */
};

/* An entry of a table: the member m of struct s, by its own name. */
#define HANDOVER_FIELD(s, m, type) \
	{ \
#m, type, offsetof(struct s, m) \
	}

/* Add the fields of *base to a record. */
void handover_add_fields(struct buf *out, const struct handover_field *fields,
    size_t n, const void *base);

/*
 * The same as plain numbers, which are read many times faster: in the order of
 * the table, to which fields may only ever be added at its end.
 */
void handover_add_numbers(struct buf *out, const struct handover_field *fields,
    size_t n, const void *base);

/* Set the fields of *base from such numbers. */
void handover_in_numbers(struct handover_raw numbers,
    const struct handover_field *fields, size_t n, void *base);

/* Set the fields of *base from the record. */
void handover_in_fields(const struct handover_in *in,
    const struct handover_field *fields, size_t n, void *base);

#endif
