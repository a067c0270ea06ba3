/* SPDX-License-Identifier: ISC */
/*
 * handover_out.h - write records for another process to memory without a name
 *
 * A record is a line of JSON, {"r": TYPE, ...}, and behind it the bytes of its
 * raws: texts too large for JSON, or that are none.  The line's member "raw"
 * has their sizes, null for one that is not there; a newline ends them.
 *
 * A failure is remembered: what follows does nothing, handover_out_finish tells
 * it.  Integers are those of JSON, 64 bits with a sign.
 */
#ifndef GANGER_BROKER_HANDOVER_OUT_H
#define GANGER_BROKER_HANDOVER_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/buf.h"

#define HANDOVER_RAWS_MAX 8

struct handover_raw {
	const char *data; /* NULL: not there */
	size_t n;
};

struct handover_out {
	int fd;         /* owned */
	struct buf buf; /* not written yet */
	int error;
};

/* Open an empty one.  0 or -errno. */
int handover_out_open(struct handover_out *o);

/* Close and free it.  Safe to repeat. */
void handover_out_done(struct handover_out *o);

/*
 * Begin a record; the functions below add to it, or whatever appends members to
 * the buffer that is lent.  Then end it.
 */
struct buf *handover_out_begin(struct handover_out *o, const char *type);
void handover_out_end(struct handover_out *o);
void handover_out_end_raws(
    struct handover_out *o, const struct handover_raw *raws, size_t n);

/* Add a member; one that is 0, false or NULL is left out. */
void handover_add_int(struct buf *out, const char *key, int64_t value);
void handover_add_flag(struct buf *out, const char *key, bool value);
void handover_add_str(struct buf *out, const char *key, const char *value);

/* Write the end, and rewind.  0 or the first failure, -errno. */
int handover_out_finish(struct handover_out *o);

#endif
