/* SPDX-License-Identifier: ISC */
/*
 * sink.c - lines of text from a signal handler
 */
#include "worker/sink.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define WAIT_MS 20 /* one look at a full descriptor */

void
sink_to_fd(struct sink *s, int fd, const char *prefix, int patience_ms)
{
	s->fd = fd;
	s->prefix = prefix;
	s->left_ms = patience_ms;
	s->memory = NULL;
	s->size = s->len = s->n = 0;
}

void
sink_to_memory(struct sink *s, char *memory, size_t size)
{
	s->fd = -1;
	s->prefix = "";
	s->left_ms = 0;
	s->memory = memory;
	s->size = size;
	s->len = s->n = 0;
}

static void
add_byte(struct sink *s, char c)
{
	if (s->n < SINK_LINE_MAX - 1)
		s->line[s->n++] = c;
}

static void
add_text(struct sink *s, const char *text)
{
	for (; *text != '\0'; text++)
		add_byte(s, *text);
}

static void
begin_line(struct sink *s)
{
	if (s->n == 0)
		add_text(s, s->prefix);
}

void
sink_str(struct sink *s, const char *text)
{
	begin_line(s);
	add_text(s, text);
}

static void
add_number(struct sink *s, uint64_t n, unsigned base)
{
	char digits[20];
	size_t i;

	i = 0;
	do
		digits[i++] = "0123456789abcdef"[n % base];
	while ((n /= base) > 0);
	while (i > 0)
		add_byte(s, digits[--i]);
}

void
sink_uint(struct sink *s, uint64_t n)
{
	begin_line(s);
	add_number(s, n, 10);
}

void
sink_hex(struct sink *s, uint64_t n)
{
	sink_str(s, "0x");
	add_number(s, n, 16);
}

void
sink_duration(struct sink *s, int64_t ns)
{
	uint64_t ms = ns < 0 ? 0 : (uint64_t)ns / 1000000;

	begin_line(s);
	add_number(s, ms / 1000, 10);
	add_byte(s, '.');
	add_byte(s, (char)('0' + ms / 100 % 10));
	add_byte(s, (char)('0' + ms / 10 % 10));
	add_byte(s, (char)('0' + ms % 10));
	sink_str(s, " s");
}

/* Wait for room; false when the patience is used up. */
static bool
wait_for_room(struct sink *s)
{
	struct pollfd p = {.fd = s->fd, .events = POLLOUT};

	if (s->left_ms <= 0)
		return false;
	if (poll(&p, 1, WAIT_MS) <= 0)
		s->left_ms -= WAIT_MS;
	else
		s->left_ms--; /* room for less than a line does not help */
	return true;
}

static void
write_line(struct sink *s)
{
	size_t at;
	ssize_t n;

	for (at = 0; at < s->n; at += (size_t)n) {
		n = write(s->fd, s->line + at, s->n - at);
		if (n >= 0)
			continue;
		n = 0;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || !wait_for_room(s))
			return;
	}
}

void
sink_end_line(struct sink *s)
{
	s->line[s->n++] = '\n'; /* add_byte left room for it */
	if (s->fd >= 0) {
		write_line(s);
	} else if (s->n <= s->size - s->len) {
		memcpy(s->memory + s->len, s->line, s->n);
		s->len += s->n;
	} else {
		s->size = s->len; /* no shorter line may follow */
	}
	s->n = 0;
}
