/* SPDX-License-Identifier: ISC */
/*
 * json.c - JSON text between jansson and struct buf
 *
 * jansson parses and dumps values; only object frames and strings are written
 * here, because a dump can't splice in a payload that is text already.
 */
#include "ipc/json.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int
on_dump(const char *text, size_t len, void *arg)
{
	struct buf *b = arg;

	buf_add(b, text, len);
	return buf_error(b) < 0 ? -1 : 0;
}

void
buf_add_json(struct buf *b, const json_t *value)
{
	if (json_dump_callback(
		value, on_dump, b, JSON_COMPACT | JSON_ENCODE_ANY) < 0 &&
	    b->error == 0)
		b->error = -ENOMEM;
}

/* Append the escape of a byte that may not stand in a JSON string. */
static void
add_escape(struct buf *b, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	char text[] = "\\u0000";

	switch (c) {
	case '"':
		buf_add(b, "\\\"", 2);
		break;
	case '\\':
		buf_add(b, "\\\\", 2);
		break;
	case '\n':
		buf_add(b, "\\n", 2);
		break;
	case '\r':
		buf_add(b, "\\r", 2);
		break;
	case '\t':
		buf_add(b, "\\t", 2);
		break;
	default:
		text[4] = hex[c >> 4];
		text[5] = hex[c & 15];
		buf_add(b, text, 6);
	}
}

void
buf_add_json_str(struct buf *b, const char *s, size_t len)
{
	size_t i, from;
	unsigned char c;

	buf_addc(b, '"');
	for (i = from = 0; i < len; i++) {
		c = (unsigned char)s[i];
		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		buf_add(b, s + from, i - from);
		add_escape(b, c);
		from = i + 1;
	}
	buf_add(b, s + from, len - from);
	buf_addc(b, '"');
}

void
buf_add_json_cstr(struct buf *b, const char *s)
{
	if (s == NULL)
		buf_add(b, "null", 4);
	else
		buf_add_json_str(b, s, strlen(s));
}

void
buf_add_key(struct buf *b, const char *key)
{
	size_t len;

	len = buf_len(b);
	if (len > 0 && buf_head(b)[len - 1] != '{')
		buf_addc(b, ',');
	buf_addc(b, '"');
	buf_adds(b, key);
	buf_add(b, "\":", 2);
}

char *
json_text(const json_t *value, size_t max, size_t *len_out)
{
	struct buf b;
	char *text;

	buf_init(&b, max);
	buf_add_json(&b, value);
	text = buf_steal(&b, len_out);
	buf_done(&b);
	return text;
}

/* The length of the UTF-8 sequence at s, or 0 when it is none (RFC 3629). */
static size_t
utf8_length(const unsigned char *s, size_t left)
{
	size_t n, i;

	if (s[0] < 0x80)
		return s[0] != 0;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		n = 2;
	else if ((s[0] & 0xf0) == 0xe0)
		n = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (n > left)
		return 0;
	for (i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

char *
json_utf8(const char *s, size_t len)
{
	const unsigned char *u = (const unsigned char *)s;
	char *out;
	size_t i, n;

	out = malloc(len + 1);
	if (out == NULL)
		return NULL;
	for (i = 0; i < len; i += n) {
		n = utf8_length(u + i, len - i);
		if (n == 0) {
			out[i] = '?';
			n = 1;
		} else {
			memcpy(out + i, s + i, n);
		}
	}
	out[len] = '\0';
	return out;
}
