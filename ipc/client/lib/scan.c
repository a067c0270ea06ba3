/* SPDX-License-Identifier: ISC */
/*
 * scan.c - find the members of a JSON object without parsing it
 *
 * Each function takes a place and the end of the text, and returns the place
 * behind what it passed over, or NULL when that is not there.
 */
#include "ipc/client/lib/scan.h"

#include <errno.h>
#include <string.h>

static const char *
skip_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r'))
		p++;
	return p;
}

/* p is at the opening quote. */
static const char *
skip_string(const char *p, const char *end)
{
	const char *quote, *b;

	for (b = ++p; (quote = memchr(b, '"', (size_t)(end - b))) != NULL;
	     b = quote + 1) {
		/* A quote is escaped behind an odd number of backslashes. */
		for (b = quote; b > p && b[-1] == '\\'; b--)
			;
		if ((quote - b) % 2 == 0)
			return quote + 1;
	}
	return NULL;
}

/* p is at an opening bracket or brace. */
static const char *
skip_nested(const char *p, const char *end)
{
	size_t depth;

	depth = 0;
	while (p < end) {
		switch (*p) {
		case '"':
			p = skip_string(p, end);
			if (p == NULL)
				return NULL;
			continue;
		case '{':
		case '[':
			depth++;
			break;
		case '}':
		case ']':
			if (--depth == 0)
				return p + 1;
			break;
		default:
			break;
		}
		p++;
	}
	return NULL;
}

static const char *
skip_value(const char *p, const char *end)
{
	const char *start = p;

	if (p == end)
		return NULL;
	if (*p == '"')
		return skip_string(p, end);
	if (*p == '{' || *p == '[')
		return skip_nested(p, end);
	while (p < end && strchr(",:]} \t\r\"{[", *p) == NULL)
		p++;
	return p == start ? NULL : p;
}

static void
note_member(const struct scan_span *key, const struct scan_span *value,
    const char *const *keys, size_t n, struct scan_span *out)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strlen(keys[i]) == key->len &&
		    memcmp(keys[i], key->at, key->len) == 0)
			out[i] = *value;
}

/* Take `"key": value` apart. */
static const char *
scan_member(const char *p, const char *end, struct scan_span *key,
    struct scan_span *value)
{
	const char *start;

	start = p = skip_blanks(p, end);
	if (p == end || *p != '"' || (p = skip_string(p, end)) == NULL)
		return NULL;
	key->at = start + 1;
	key->len = (size_t)(p - start) - 2;
	p = skip_blanks(p, end);
	if (p == end || *p != ':')
		return NULL;
	start = p = skip_blanks(p + 1, end);
	p = skip_value(p, end);
	if (p == NULL)
		return NULL;
	value->at = start;
	value->len = (size_t)(p - start);
	return skip_blanks(p, end);
}

int
scan_object(const char *text, size_t len, const char *const *keys, size_t n,
    struct scan_span *out)
{
	const char *end = text + len, *p;
	struct scan_span key, value;

	memset(out, 0, n * sizeof(*out));
	p = skip_blanks(text, end);
	if (p == end || *p != '{')
		return -EINVAL;
	p = skip_blanks(p + 1, end);
	if (p < end && *p == '}')
		return skip_blanks(p + 1, end) == end ? 0 : -EINVAL;
	for (;;) {
		p = scan_member(p, end, &key, &value);
		if (p == NULL || p == end)
			return -EINVAL;
		note_member(&key, &value, keys, n, out);
		if (*p == '}')
			return skip_blanks(p + 1, end) == end ? 0 : -EINVAL;
		if (*p++ != ',')
			return -EINVAL;
	}
}
