/* SPDX-License-Identifier: ISC */
/*
 * buf.c - a growing byte queue
 *
 * Memory doubles; consumed space in front is reused before it grows, so a
 * queue that is emptied as fast as it fills never moves more than a few bytes.
 */
#include "ipc/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_MIN 256

void
buf_init(struct buf *b, size_t max)
{
	memset(b, 0, sizeof(*b));
	b->max = max;
}

void
buf_done(struct buf *b)
{
	if (b == NULL)
		return;
	free(b->data);
	buf_init(b, b->max);
}

void
buf_reset(struct buf *b)
{
	b->start = b->end = 0;
	b->error = 0;
}

void
buf_trim(struct buf *b, size_t keep)
{
	if (b->start == b->end && b->cap > keep) {
		free(b->data);
		b->data = NULL;
		b->start = b->end = b->cap = 0;
	}
}

int
buf_error(const struct buf *b)
{
	return b->error;
}

size_t
buf_len(const struct buf *b)
{
	return b->end - b->start;
}

const char *
buf_head(const struct buf *b)
{
	return b->data == NULL ? NULL : b->data + b->start;
}

void
buf_consume(struct buf *b, size_t n)
{
	assert(n <= buf_len(b));
	b->start += n;
	if (b->start == b->end)
		b->start = b->end = 0;
}

void
buf_cut(struct buf *b, size_t n)
{
	assert(n <= buf_len(b));
	b->end = b->start + n;
}

int
buf_reserve(struct buf *b, size_t n)
{
	size_t len, cap;
	char *data;

	if (b->error != 0)
		return b->error;
	len = buf_len(b);
	if (n > b->max || len > b->max - n)
		return b->error = -ENOBUFS;
	if (n <= b->cap - b->end)
		return 0;
	/* Reuse the front when that frees at least half of the memory. */
	if (b->start >= b->cap / 2 && n <= b->cap - len) {
		memmove(b->data, b->data + b->start, len);
		b->start = 0;
		b->end = len;
		return 0;
	}
	cap = b->cap < BUF_MIN ? BUF_MIN : b->cap;
	while (cap - b->start < len + n)
		cap *= 2;
	data = realloc(b->data, cap);
	if (data == NULL)
		return b->error = -ENOMEM;
	b->data = data;
	b->cap = cap;
	return 0;
}

void
buf_add(struct buf *b, const void *data, size_t n)
{
	if (n == 0 || buf_reserve(b, n) < 0)
		return;
	memcpy(b->data + b->end, data, n);
	b->end += n;
}

void
buf_adds(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void
buf_addc(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void
buf_add_uint(struct buf *b, uint64_t v)
{
	char digits[20];
	size_t i;

	i = sizeof(digits);
	do {
		digits[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v != 0);
	buf_add(b, digits + i, sizeof(digits) - i);
}

void
buf_add_int(struct buf *b, int64_t v)
{
	if (v < 0) {
		buf_addc(b, '-');
		buf_add_uint(b, -(uint64_t)v);
	} else {
		buf_add_uint(b, (uint64_t)v);
	}
}

void
buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	size_t max;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0) {
		if (b->error == 0)
			b->error = -ENOMEM;
		return;
	}
	if (buf_reserve(b, (size_t)n) < 0)
		return;
	max = b->max;
	b->max = SIZE_MAX; /* vsnprintf's NUL is not content */
	(void)buf_reserve(b, (size_t)n + 1);
	b->max = max;
	if (b->error != 0)
		return;
	vsnprintf(b->data + b->end, (size_t)n + 1, fmt, ap);
	b->end += (size_t)n;
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
}

char *
buf_steal(struct buf *b, size_t *len_out)
{
	char *data;
	size_t len, max;

	max = b->max;
	b->max = SIZE_MAX; /* the NUL is not content */
	buf_addc(b, '\0');
	b->max = max;
	if (b->error != 0) {
		buf_reset(b);
		return NULL;
	}
	len = buf_len(b) - 1;
	data = b->data;
	if (b->start > 0)
		memmove(data, data + b->start, len + 1);
	b->data = NULL;
	b->start = b->end = b->cap = 0;
	if (len_out != NULL)
		*len_out = len;
	return data;
}
