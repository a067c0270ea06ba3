/* SPDX-License-Identifier: ISC */
/*
 * buf.h - a growing byte queue: add at the end, consume from the front
 *
 * A failed add (out of memory, or over the limit) adds nothing and is
 * remembered: later adds do nothing either until buf_reset, so a caller may
 * write a whole message and look at buf_error once.  Not thread-safe.
 */
#ifndef GANGER_IPC_BUF_H
#define GANGER_IPC_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data;   /* owned; NULL while nothing was added */
	size_t start; /* first byte not consumed; always <= end */
	size_t end;   /* always <= cap */
	size_t cap;
	size_t max; /* most bytes held at once */
	int error;  /* 0, -ENOMEM, -ENOBUFS (over max), or a writer's; sticky */
};

/* Set up an empty buffer that refuses to hold over max bytes. */
void buf_init(struct buf *b, size_t max);

/* Free the memory; b is as after buf_init.  NULL-safe. */
void buf_done(struct buf *b);

/* Drop the content and the error, keep the memory. */
void buf_reset(struct buf *b);

/* Free the memory of an empty buffer that grew over keep bytes. */
void buf_trim(struct buf *b, size_t keep);

int buf_error(const struct buf *b);
size_t buf_len(const struct buf *b);

/* Lend the content, valid until the next call that takes b; may be NULL. */
const char *buf_head(const struct buf *b);

/* Drop n bytes from the front; n <= buf_len(b). */
void buf_consume(struct buf *b, size_t n);

/* Cut the content to its first n bytes (an undo); n <= buf_len(b). */
void buf_cut(struct buf *b, size_t n);

/* Make room for n more bytes: 0, -ENOMEM or -ENOBUFS. */
int buf_reserve(struct buf *b, size_t n);

void buf_add(struct buf *b, const void *data, size_t n);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_add_int(struct buf *b, int64_t v);
void buf_add_uint(struct buf *b, uint64_t v);
void buf_printf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

/*
 * Hand the content over as a NUL-terminated string, *len_out bytes long
 * without the NUL (len_out may be NULL).  The caller owns it; b is empty
 * afterwards.  NULL on error, b is then reset.
 */
char *buf_steal(struct buf *b, size_t *len_out);

#endif
