/* SPDX-License-Identifier: ISC */
/*
 * log_line.c - a message as a line of the log
 *
 * Nothing is allocated: out of memory is what the log may have to tell of.
 */
#include "ipc/log_line.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "ipc/clock.h"
#include "ipc/json.h"

#define TAIL_MAX   4       /* what follows the text: "\"}\n" or "\n" */
#define ESCAPE_MAX 8 + 1   /* the longest way to show one character, and NUL */
#define SHOWN_MAX  (4 * 2) /* and of two bytes as \xNN */

static const char *const level_names[] = {"error", "warn", "info", "debug"};

/* Of sd-daemon(3). */
static const char level_digits[] = {'3', '4', '6', '7'};

/* True for the characters that a terminal may take for orders. */
static bool
is_control(const unsigned char *s, size_t n)
{
	return (n == 1 && (s[0] < 0x20 || s[0] == 0x7f)) ||
	       (n == 2 && s[0] == 0xc2 && s[1] < 0xa0);
}

/* Show n bytes as text; returns the length written, at most SHOWN_MAX. */
static size_t
show_bytes(char *out, const unsigned char *s, size_t n)
{
	size_t i, used = 0;

	for (i = 0; i < n; i++)
		used += (size_t)snprintf(
		    out + used, ESCAPE_MAX - used, "\\x%02x", s[i]);
	return used;
}

/* Write the character at s, n bytes, 0 for a byte that is none, as text. */
static size_t
put_text(char *out, const unsigned char *s, size_t n)
{
	if (n == 0)
		return show_bytes(out, s, 1);
	if (is_control(s, n))
		return show_bytes(out, s, n);
	memcpy(out, s, n);
	return n;
}

/* The same, inside a JSON string. */
static size_t
put_json(char *out, const unsigned char *s, size_t n)
{
	static const char from[] = "\"\\\n\r\t", to[] = "\"\\nrt";
	const char *p;

	if (n == 0) {
		out[0] = '?';
		return 1;
	}
	p = n == 1 ? strchr(from, s[0]) : NULL;
	if (p != NULL) {
		out[0] = '\\';
		out[1] = to[p - from];
		return 2;
	}
	if (n == 1 && s[0] < 0x20)
		return (size_t)snprintf(out, ESCAPE_MAX, "\\u%04x", s[0]);
	memcpy(out, s, n);
	return n;
}

/* Append text as far as it fits; returns how much of it was taken. */
static size_t
add_escaped(
    struct log_line *l, enum log_format format, const char *text, size_t len)
{
	char shown[ESCAPE_MAX];
	size_t i, n, used;

	for (i = 0; i < len; i += n == 0 ? 1 : n) {
		const unsigned char *s = (const unsigned char *)text + i;

		n = json_utf8_char(text + i, len - i);
		used = format == LOG_JSON ? put_json(shown, s, n)
					  : put_text(shown, s, n);
		if (l->len + used + TAIL_MAX > sizeof(l->data))
			break;
		memcpy(l->data + l->len, shown, used);
		l->len += used;
	}
	return i;
}

static void
add(struct log_line *l, const char *text)
{
	size_t n = strlen(text);

	if (l->len + n > sizeof(l->data))
		return;
	memcpy(l->data + l->len, text, n);
	l->len += n;
}

size_t
log_line_format(
    struct log_line *l, enum log_format format, const struct log_entry *e)
{
	char when[WALL_SIZE], head[128];
	size_t taken;

	l->len = 0;
	if (format == LOG_PREFIXED) {
		/* Something else may have begun a line; an empty one is no
		 * harm. */
		snprintf(head, sizeof(head), "\n<%c>", level_digits[e->level]);
		add(l, head);
		taken = add_escaped(l, format, e->text, e->len);
		add(l, "\n");
		return taken;
	}
	wall_format(e->when_ms, when);
	if (format == LOG_JSON) {
		snprintf(head, sizeof(head),
		    "{\"time\":\"%s\",\"level\":\"%s\",\"process\":\"", when,
		    level_names[e->level]);
		add(l, head);
		(void)add_escaped(l, format, e->name, strlen(e->name));
		snprintf(head, sizeof(head), "\",\"pid\":%d,\"message\":\"",
		    (int)e->pid);
		add(l, head);
		taken = add_escaped(l, format, e->text, e->len);
		add(l, "\"}\n");
		return taken;
	}
	snprintf(head, sizeof(head), "%s %-5s ", when, level_names[e->level]);
	add(l, head);
	(void)add_escaped(l, format, e->name, strlen(e->name));
	snprintf(head, sizeof(head), "[%d]: ", (int)e->pid);
	add(l, head);
	taken = add_escaped(l, format, e->text, e->len);
	add(l, "\n");
	return taken;
}
