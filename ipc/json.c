/* SPDX-License-Identifier: ISC */
/*
 * json.c - JSON text between jansson and struct buf
 *
 * jansson parses; the writing is done here, because its dump can't splice in a
 * payload that is text already, and gives a number like 0.1 seventeen digits.
 */
#include "ipc/json.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* RFC 3629. */
size_t
json_utf8_char(const char *text, size_t left)
{
	const unsigned char *s = (const unsigned char *)text;
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

/* True when s is UTF-8 that every reader takes: without a NUL. */
static bool
is_utf8(const char *s, size_t len)
{
	size_t i, n;

	for (i = 0; i < len; i += n) {
		n = json_utf8_char(s + i, len - i);
		if (n == 0)
			return false;
	}
	return true;
}

/* A handler can make a string of any bytes, which no reader would take. */
static void
add_checked_str(struct buf *b, const char *s, size_t len)
{
	if (is_utf8(s, len))
		buf_add_json_str(b, s, len);
	else if (b->error == 0)
		b->error = -EILSEQ;
}

/*
 * Append the shortest of 15 to 17 significant digits that reads back as v, with
 * a mark of being real where it would look like an integer.
 */
static void
add_real(struct buf *b, double v)
{
	char text[40], *point;
	int digits;

	for (digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	/* A module may have set a locale that has another point. */
	point = strchr(text, ',');
	if (point != NULL)
		*point = '.';
	buf_adds(b, text);
	if (strpbrk(text, ".e") == NULL)
		buf_adds(b, ".0");
}

static void add_value(struct buf *b, json_t *v, unsigned depth);

static void
add_array(struct buf *b, json_t *array, unsigned depth)
{
	json_t *item;
	size_t i;

	buf_addc(b, '[');
	json_array_foreach(array, i, item) {
		if (i > 0)
			buf_addc(b, ',');
		add_value(b, item, depth);
	}
	buf_addc(b, ']');
}

static void
add_object(struct buf *b, json_t *object, unsigned depth)
{
	const char *key, *comma = "";
	json_t *member;

	buf_addc(b, '{');
	json_object_foreach(object, key, member) {
		buf_adds(b, comma);
		add_checked_str(b, key, strlen(key));
		buf_addc(b, ':');
		add_value(b, member, depth);
		comma = ",";
	}
	buf_addc(b, '}');
}

static void
add_value(struct buf *b, json_t *v, unsigned depth)
{
	if (depth == JSON_DEPTH_MAX) {
		if (b->error == 0)
			b->error = -ENOBUFS;
		return;
	}
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		add_object(b, v, depth + 1);
		break;
	case JSON_ARRAY:
		add_array(b, v, depth + 1);
		break;
	case JSON_STRING:
		add_checked_str(b, json_string_value(v), json_string_length(v));
		break;
	case JSON_INTEGER:
		buf_add_int(b, json_integer_value(v));
		break;
	case JSON_REAL:
		add_real(b, json_real_value(v));
		break;
	case JSON_TRUE:
		buf_adds(b, "true");
		break;
	case JSON_FALSE:
		buf_adds(b, "false");
		break;
	case JSON_NULL:
		buf_adds(b, "null");
		break;
	}
}

void
buf_add_json(struct buf *b, const json_t *value)
{
	/* jansson walks a value without const, and changes nothing. */
	add_value(b, (json_t *)(uintptr_t)value, 0);
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

void
buf_add_key_cstr(struct buf *b, const char *key, const char *value)
{
	buf_add_key(b, key);
	buf_add_json_cstr(b, value);
}

void
buf_add_key_uint(struct buf *b, const char *key, uint64_t value)
{
	buf_add_key(b, key);
	buf_add_uint(b, value);
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

char *
json_utf8(const char *s, size_t len)
{
	char *out;
	size_t i, n;

	out = malloc(len + 1);
	if (out == NULL)
		return NULL;
	for (i = 0; i < len; i += n) {
		n = json_utf8_char(s + i, len - i);
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
