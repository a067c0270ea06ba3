/* SPDX-License-Identifier: ISC */
/*
 * config_text.c - make a file's text fit for libConfuse
 *
 * The scanner knows as much of the syntax as it takes to tell comments from
 * strings and words, by the rules of libConfuse 3.3: '#' starts a comment
 * anywhere but in a string, "//" only where a word could start, and "${" skips
 * to its '}' outside of words and inside double quotes.
 */
#include "master/supervisor/config_text.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

struct scanner {
	char *p;
	char *end;
	unsigned line;                          /* of *p, from 1 */
	unsigned opened[CONFIG_TEXT_DEPTH_MAX]; /* the line of each open '{' */
	size_t depth;
	bool in_word; /* the byte before *p belongs to a bare word */
	struct config_flaw *flaw;
};

static int
scanner_fail(struct scanner *s, unsigned line, const char *what)
{
	s->flaw->line = line;
	s->flaw->what = what;
	return -EINVAL;
}

static bool
starts_with(const struct scanner *s, const char *prefix)
{
	size_t n;

	n = strlen(prefix);
	return (size_t)(s->end - s->p) >= n && memcmp(s->p, prefix, n) == 0;
}

/* Go on by n bytes, which are there. */
static void
skip(struct scanner *s, size_t n)
{
	for (; n > 0; n--, s->p++)
		if (*s->p == '\n')
			s->line++;
}

static void
blank_line(struct scanner *s)
{
	for (; s->p < s->end && *s->p != '\n'; s->p++)
		*s->p = ' ';
}

static int
blank_block(struct scanner *s)
{
	unsigned line;

	line = s->line;
	memset(s->p, ' ', 2);
	s->p += 2;
	while (s->p < s->end && !starts_with(s, "*/")) {
		if (*s->p == '\n')
			s->line++;
		else
			*s->p = ' ';
		s->p++;
	}
	if (s->p == s->end)
		return scanner_fail(s, line, "this comment is never closed");
	memset(s->p, ' ', 2);
	s->p += 2;
	return 0;
}

/* Skip "${NAME}", which must be on one line. */
static int
skip_variable(struct scanner *s)
{
	while (s->p < s->end && *s->p != '}' && *s->p != '\n')
		s->p++;
	if (s->p == s->end || *s->p == '\n')
		return scanner_fail(s, s->line, "\"${\" is never closed");
	s->p++;
	return 0;
}

/* True when the string that ends before *p is given a value. */
static bool
is_assigned(const struct scanner *s)
{
	const char *p;

	for (p = s->p; p < s->end && strchr(" \t\r\n", *p) != NULL;)
		p++;
	return p < s->end && (*p == '=' || *p == '+');
}

static int
skip_string(struct scanner *s)
{
	const char *start;
	unsigned line;
	char quote;

	line = s->line;
	quote = *s->p++;
	start = s->p;
	while (s->p < s->end && *s->p != quote) {
		if (quote == '"' && starts_with(s, "${")) {
			if (skip_variable(s) < 0)
				return -EINVAL;
			continue;
		}
		skip(s, *s->p == '\\' && s->p + 1 < s->end ? 2 : 1);
	}
	if (s->p == s->end)
		return scanner_fail(s, line, "this string is never closed");
	s->p++;
	if (s->p == start + 1 && is_assigned(s))
		return scanner_fail(s, line, "a key has an empty name");
	return 0;
}

static int
take_brace(struct scanner *s)
{
	if (*s->p == '{') {
		if (s->depth == CONFIG_TEXT_DEPTH_MAX)
			return scanner_fail(s, s->line, "\"{\" nests too deep");
		s->opened[s->depth++] = s->line;
	} else {
		if (s->depth == 0)
			return scanner_fail(s, s->line, "\"}\" closes nothing");
		s->depth--;
	}
	s->p++;
	return 0;
}

/* Take the byte at *p, which starts no comment, string or variable. */
static int
take_byte(struct scanner *s)
{
	switch (*s->p) {
	case '\0':
		return scanner_fail(s, s->line, "a NUL byte");
	case '*':
		return scanner_fail(s, s->line, "\"*\" has to stand in quotes");
	case '+':
		if (!starts_with(s, "+="))
			return scanner_fail(
			    s, s->line, "\"+\" has to stand in quotes");
		break;
	case ';':
		return scanner_fail(s, s->line, "\";\" has to stand in quotes");
	case '{':
	case '}':
		return take_brace(s);
	default:
		break;
	}
	s->in_word = strchr(" \t\r\n=(),+", *s->p) == NULL;
	skip(s, 1);
	return 0;
}

static int
take_next(struct scanner *s)
{
	bool in_word;

	in_word = s->in_word;
	s->in_word = false;
	if (*s->p == '#' || (!in_word && starts_with(s, "//"))) {
		blank_line(s);
		return 0;
	}
	if (starts_with(s, "/*"))
		return blank_block(s);
	if (*s->p == '"' || *s->p == '\'')
		return skip_string(s);
	if (!in_word && starts_with(s, "${"))
		return skip_variable(s);
	return take_byte(s);
}

int
config_text_clean(char *text, size_t len, struct config_flaw *flaw_out)
{
	struct scanner s;

	memset(&s, 0, sizeof(s));
	s.p = text;
	s.end = text + len;
	s.line = 1;
	s.flaw = flaw_out;
	while (s.p < s.end)
		if (take_next(&s) < 0)
			return -EINVAL;
	if (s.depth > 0)
		return scanner_fail(
		    &s, s.opened[s.depth - 1], "this \"{\" is never closed");
	return 0;
}
