/* SPDX-License-Identifier: ISC */
/*
 * errors.c - the last errors of a task, as a JSON array
 *
 * Entries are written here and nowhere else, without white space in them, and
 * parted by SEPARATOR.  A quote inside a string is escaped, so that this can't
 * be within an entry, and the text needs no parser.
 */
#include "master/broker/errors.h"

#include <stdlib.h>
#include <string.h>

#include "ipc/buf.h"
#include "ipc/clock.h"
#include "ipc/json.h"

#define SEPARATOR "}, {\""

/* Behind the bracket, or the separator's `}, `. */
static const char *
next_entry(const char *entry)
{
	const char *end = strstr(entry, SEPARATOR);

	return end == NULL ? NULL : end + 3;
}

static unsigned
count(const char *errors)
{
	const char *entry;
	unsigned n;

	if (errors == NULL)
		return 0;
	for (n = 0, entry = errors; entry != NULL; n++)
		entry = next_entry(entry);
	return n;
}

/* The entries of old that stay, without its brackets. */
static void
add_old(struct buf *out, const char *old)
{
	const char *first = old + 1;
	unsigned n;

	for (n = count(old); n >= ERRORS_MAX; n--)
		first = next_entry(first);
	buf_add(out, first, strlen(first) - 1);
	buf_adds(out, ", ");
}

/* How much of a text of n bytes fits: no character is broken. */
static size_t
fitting(const char *text, size_t n)
{
	if (n <= ERRORS_MESSAGE_MAX)
		return n;
	n = ERRORS_MESSAGE_MAX;
	while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	return n;
}

static void
add_message(struct buf *out, const char *message)
{
	size_t len = strlen(message), n = fitting(message, len);

	buf_add_key(out, "message");
	buf_add_json_str(out, message, n);
	if (n < len) {
		buf_add_key(out, "message_bytes");
		buf_add_uint(out, len);
	}
}

static void
add_data(struct buf *out, const json_t *data)
{
	size_t n = 0;
	char *text;

	if (data == NULL)
		return;
	text = json_text(data, SIZE_MAX, &n);
	if (text != NULL && n <= ERRORS_DATA_MAX) {
		buf_add_key(out, "data");
		buf_adds(out, text);
	} else {
		buf_add_key(out, "data_bytes");
		buf_add_uint(out, n);
	}
	free(text);
}

char *
errors_add(const char *old, const struct errors_entry *e)
{
	char at[WALL_SIZE], *text;
	struct buf out;

	wall_format(e->at_ms, at);
	buf_init(&out, SIZE_MAX);
	buf_addc(&out, '[');
	if (old != NULL)
		add_old(&out, old);
	buf_adds(&out, "{\"attempt\":");
	buf_add_uint(&out, e->attempt);
	buf_printf(&out, ",\"at\":\"%s\",\"code\":", at);
	buf_add_int(&out, e->code);
	add_message(&out, e->message);
	add_data(&out, e->data);
	buf_adds(&out, "}]");
	text = buf_steal(&out, NULL);
	buf_done(&out);
	return text;
}

bool
errors_are_several(const char *errors)
{
	return errors != NULL && next_entry(errors) != NULL;
}
