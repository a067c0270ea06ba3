/* SPDX-License-Identifier: ISC */
/*
 * text.c - text from elsewhere, made fit for a terminal
 */
#include "ipc/client/cli/text.h"

#include <limits.h>
#include <string.h>
#include <wchar.h>

/* The bytes of a control character at s: C0, DEL, or C1 in UTF-8; or 0. */
static size_t
control_length(const char *s)
{
	unsigned char c = (unsigned char)s[0];

	if (c < 0x20 || c == 0x7f)
		return 1;
	if (c == 0xc2 && (unsigned char)s[1] >= 0x80 &&
	    (unsigned char)s[1] <= 0x9f)
		return 2;
	return 0;
}

void
text_add_clean(struct buf *b, const char *s)
{
	size_t n;

	while (*s != '\0') {
		n = control_length(s);
		if (n == 0) {
			buf_addc(b, *s++);
			continue;
		}
		buf_addc(b, strchr("\t\n\r", *s) != NULL ? ' ' : '?');
		s += n;
	}
}

void
text_print_clean(FILE *out, const char *s)
{
	struct buf b;

	buf_init(&b, SIZE_MAX);
	text_add_clean(&b, s);
	if (buf_len(&b) > 0)
		fwrite(buf_head(&b), 1, buf_len(&b), out);
	buf_done(&b);
}

/* The bytes and columns of the character at s; a byte that is none is one. */
static size_t
char_step(const char *s, mbstate_t *state, size_t *columns_out)
{
	wchar_t wc;
	size_t n;
	int w;

	n = mbrtowc(&wc, s, MB_LEN_MAX, state);
	if (n == (size_t)-1 || n == (size_t)-2 || n == 0) {
		memset(state, 0, sizeof(*state));
		*columns_out = 1;
		return 1;
	}
	w = wcwidth(wc);
	*columns_out = w < 0 ? 1 : (size_t)w;
	return n;
}

size_t
text_fit(const char *s, size_t columns)
{
	mbstate_t state;
	size_t at, n, used, w;

	memset(&state, 0, sizeof(state));
	used = 0;
	for (at = 0; s[at] != '\0'; at += n) {
		n = char_step(s + at, &state, &w);
		if (used + w > columns)
			break;
		used += w;
	}
	return at;
}

size_t
text_width(const char *s)
{
	mbstate_t state;
	size_t used, w;

	memset(&state, 0, sizeof(state));
	for (used = 0; *s != '\0'; used += w)
		s += char_step(s, &state, &w);
	return used;
}
