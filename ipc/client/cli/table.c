/* SPDX-License-Identifier: ISC */
/*
 * table.c - aligned columns
 */
#include "ipc/client/cli/table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/client/cli/format.h"
#include "ipc/client/cli/text.h"

#define TABLE_GAP       2
#define TABLE_LAST_MIN  8
#define TABLE_CELLS_MIN 64

void
table_init(
    struct table *t, const struct table_column *columns, size_t n_columns)
{
	memset(t, 0, sizeof(*t));
	t->columns = columns;
	t->n_columns = n_columns;
	buf_init(&t->text, SIZE_MAX);
}

void
table_done(struct table *t)
{
	free(t->cells);
	buf_done(&t->text);
}

/* Start a cell at the end of the text; NULL: out of memory. */
static struct table_cell *
new_cell(struct table *t, enum term_style style)
{
	struct table_cell *cells;
	size_t cap;

	if (t->n_cells == t->cap) {
		cap = t->cap == 0 ? TABLE_CELLS_MIN : t->cap * 2;
		cells = reallocarray(t->cells, cap, sizeof(*cells));
		if (cells == NULL) {
			t->error = -ENOMEM;
			return NULL;
		}
		t->cells = cells;
		t->cap = cap;
	}
	t->cells[t->n_cells].at = buf_len(&t->text);
	t->cells[t->n_cells].style = style;
	return &t->cells[t->n_cells++];
}

void
table_add(struct table *t, enum term_style style, const char *s)
{
	struct table_cell *cell;

	cell = new_cell(t, style);
	if (cell == NULL)
		return;
	text_add_clean(&t->text, s == NULL || *s == '\0' ? "-" : s);
	buf_addc(&t->text, '\0');
	if (buf_error(&t->text) < 0)
		t->error = buf_error(&t->text);
	else
		cell->width = text_width(buf_head(&t->text) + cell->at);
}

void
table_addf(struct table *t, enum term_style style, const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0) {
		s = NULL;
		t->error = -ENOMEM;
	}
	va_end(ap);
	table_add(t, style, s);
	free(s);
}

void
table_add_count(struct table *t, enum term_style style, int64_t n)
{
	char text[FORMAT_SIZE];

	table_add(t, n == 0 ? STYLE_DIM : style, format_count(n, text));
}

static size_t
column_width(const struct table *t, size_t column)
{
	size_t i, width;

	width = strlen(t->columns[column].title);
	for (i = column; i < t->n_cells; i += t->n_columns)
		if (t->cells[i].width > width)
			width = t->cells[i].width;
	return width;
}

static void
print_blanks(FILE *out, size_t n)
{
	while (n-- > 0)
		putc(' ', out);
}

/* Print one text of `width` columns into a column of `room`. */
static void
print_cell(FILE *out, const struct table_column *column, const char *text,
    size_t width, size_t room, bool last)
{
	size_t pad;

	pad = room > width ? room - width : 0;
	if (column->right)
		print_blanks(out, pad);
	fwrite(text, 1, text_fit(text, room), out);
	if (!column->right && !last)
		print_blanks(out, pad);
}

/* Print row number `row`, or the titles for -1. */
static void
print_row(const struct table *t, FILE *out, ptrdiff_t row, bool colour,
    const size_t *rooms)
{
	const struct table_cell *cell;
	enum term_style style;
	const char *text;
	size_t i, width;

	for (i = 0; i < t->n_columns; i++) {
		if (row < 0) {
			text = t->columns[i].title;
			width = strlen(text);
			style = STYLE_TITLE;
		} else {
			cell = &t->cells[(size_t)row * t->n_columns + i];
			text = buf_head(&t->text) + cell->at;
			width = cell->width;
			style = cell->style;
		}
		if (i > 0)
			print_blanks(out, TABLE_GAP);
		fputs(term_on(style, colour), out);
		print_cell(out, &t->columns[i], text, width, rooms[i],
		    i + 1 == t->n_columns);
		fputs(term_off(style, colour), out);
	}
	putc('\n', out);
}

int
table_print(const struct table *t, FILE *out, unsigned indent, bool colour,
    size_t width)
{
	size_t *rooms;
	size_t i, used;
	ptrdiff_t row;

	if (t->error < 0)
		return t->error;
	rooms = calloc(t->n_columns, sizeof(*rooms));
	if (rooms == NULL)
		return -ENOMEM;
	used = indent;
	for (i = 0; i < t->n_columns; i++) {
		rooms[i] = column_width(t, i);
		used += rooms[i] + (i > 0 ? TABLE_GAP : 0);
	}
	if (width > 0 && used > width) {
		size_t over = used - width;
		size_t *last = &rooms[t->n_columns - 1];

		*last = *last > over + TABLE_LAST_MIN ? *last - over
						      : TABLE_LAST_MIN;
	}
	for (row = -1; row < (ptrdiff_t)(t->n_cells / t->n_columns); row++) {
		print_blanks(out, indent);
		print_row(t, out, row, colour, rooms);
	}
	free(rooms);
	return 0;
}
