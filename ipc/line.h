/* SPDX-License-Identifier: ISC */
/*
 * line.h - split a byte stream into newline-terminated frames
 *
 * A line_reader never reads a descriptor, logs, or knows the event loop: the
 * caller feeds bytes and takes frames.  Not thread-safe.  Errors are negative
 * errno values; on error no output is written.
 *
 * What is fed is borrowed, not copied: only a frame that is not complete yet
 * is kept, so a reader between two frames holds no memory.
 */
#ifndef GANGER_IPC_LINE_H
#define GANGER_IPC_LINE_H

#include <stdbool.h>
#include <stddef.h>

struct line_reader;

/*
 * Create a reader refusing frames over max_bytes (newline excluded).  The
 * caller owns *out; release it with line_reader_free().
 * -EINVAL: max_bytes is 0.  -ENOMEM: out of memory.
 */
int line_reader_new(size_t max_bytes, struct line_reader **out);
void line_reader_free(struct line_reader *r);

/*
 * Feed n bytes.  data is borrowed, and written to (frames get their NUL), until
 * line_reader_next returns 0 or line_reader_keep is called, one of which must
 * happen before data goes away.  -ENOMEM: nothing was taken.
 */
int line_reader_feed(struct line_reader *r, char *data, size_t n);

/*
 * Lend the next whole frame: 1 and *frame (NUL-terminated, *len bytes, valid
 * until the next call), or 0 when none is complete.
 * -EMSGSIZE: a frame over the limit; told once, it is skipped to its newline
 * and the reader goes on.  -ENOMEM: what was fed is lost, give the stream up.
 */
int line_reader_next(struct line_reader *r, char **frame, size_t *len);

/* Copy what has not been taken yet, so that the data fed may go away. */
int line_reader_keep(struct line_reader *r);

/* Bytes held that line_reader_next has not handed out. */
size_t line_reader_pending(const struct line_reader *r);

/*
 * Lend those bytes, *len of them, to be handed over to another reader of the
 * same stream; *skipping tells whether they are inside a frame that was
 * refused.  Valid until the next call.
 */
const char *line_reader_peek(
    const struct line_reader *r, size_t *len, bool *skipping);

/* Let a new reader go on with what another one held; data is copied. */
int line_reader_restore(
    struct line_reader *r, const char *data, size_t n, bool skipping);

#endif
