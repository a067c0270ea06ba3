/* SPDX-License-Identifier: ISC */
/*
 * line.c - split a byte stream into newline-terminated frames
 *
 * The view [in, in + in_len) is either the caller's bytes or those in `kept`.
 * `scanned` remembers how far no newline was found, so that a frame that comes
 * a byte at a time is still searched once.
 */
#include "ipc/line.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/buf.h"

struct line_reader {
	size_t max;
	struct buf kept; /* an incomplete frame, or all that is not taken */
	char *in;        /* borrowed from the caller, or from kept */
	size_t in_len;
	size_t scanned; /* always <= in_len */
	bool skipping;  /* inside a frame that was refused */
};

int
line_reader_new(size_t max_bytes, struct line_reader **out)
{
	struct line_reader *r;

	if (max_bytes == 0)
		return -EINVAL;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return -ENOMEM;
	r->max = max_bytes;
	buf_init(&r->kept, SIZE_MAX);
	*out = r;
	return 0;
}

void
line_reader_free(struct line_reader *r)
{
	if (r == NULL)
		return;
	buf_done(&r->kept);
	free(r);
}

/* Make the view what kept holds.  The reader is the only one to write to it. */
static void
view_kept(struct line_reader *r)
{
	r->in = r->kept.data == NULL ? NULL : r->kept.data + r->kept.start;
	r->in_len = buf_len(&r->kept);
}

int
line_reader_keep(struct line_reader *r)
{
	if (buf_len(&r->kept) > 0) {
		/* The view is the end of kept: drop what was taken. */
		buf_consume(&r->kept, buf_len(&r->kept) - r->in_len);
	} else {
		buf_add(&r->kept, r->in, r->in_len);
		if (buf_error(&r->kept) < 0) {
			buf_reset(&r->kept);
			return -ENOMEM;
		}
	}
	if (r->in_len == 0)
		buf_trim(&r->kept, 0);
	view_kept(r);
	return 0;
}

int
line_reader_feed(struct line_reader *r, char *data, size_t n)
{
	if (buf_len(&r->kept) == 0) {
		r->in = data;
		r->in_len = n;
		r->scanned = 0;
		return 0;
	}
	buf_add(&r->kept, data, n);
	if (buf_error(&r->kept) < 0) {
		r->kept.error = 0;
		return -ENOMEM;
	}
	view_kept(r);
	return 0;
}

/* Drop n bytes from the front of the view. */
static void
take(struct line_reader *r, size_t n)
{
	r->in += n;
	r->in_len -= n;
	r->scanned = 0;
}

/* No newline is in the view: keep it, or start skipping when it is too long. */
static int
stop_incomplete(struct line_reader *r)
{
	r->scanned = r->in_len;
	if (r->skipping || r->in_len > r->max) {
		bool told = r->skipping;

		take(r, r->in_len);
		r->skipping = true;
		if (line_reader_keep(r) < 0)
			return -ENOMEM;
		return told ? 0 : -EMSGSIZE;
	}
	return line_reader_keep(r);
}

int
line_reader_next(struct line_reader *r, char **frame, size_t *len)
{
	char *nl, *start;
	size_t n;

	for (;;) {
		nl = r->in_len == r->scanned ? NULL
					     : memchr(r->in + r->scanned, '\n',
						   r->in_len - r->scanned);
		if (nl == NULL)
			return stop_incomplete(r);
		start = r->in;
		n = (size_t)(nl - start);
		take(r, n + 1);
		if (!r->skipping)
			break;
		r->skipping = false; /* told when the skipping began */
	}
	if (n > r->max)
		return -EMSGSIZE;
	*nl = '\0';
	*frame = start;
	*len = n;
	return 1;
}

size_t
line_reader_pending(const struct line_reader *r)
{
	return r->in_len;
}

const char *
line_reader_peek(const struct line_reader *r, size_t *len, bool *skipping)
{
	*len = r->in_len;
	*skipping = r->skipping;
	return r->in;
}

int
line_reader_restore(
    struct line_reader *r, const char *data, size_t n, bool skipping)
{
	buf_add(&r->kept, data, n);
	if (buf_error(&r->kept) < 0) {
		buf_reset(&r->kept);
		return -ENOMEM;
	}
	r->scanned = 0;
	r->skipping = skipping;
	view_kept(r);
	return 0;
}
