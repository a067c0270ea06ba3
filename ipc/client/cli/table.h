/* SPDX-License-Identifier: ISC */
/*
 * table.h - aligned columns
 *
 * Cells are added row by row; a table is printed once.  Running out of memory
 * is told when it is printed.
 */
#ifndef GANGER_CLI_TABLE_H
#define GANGER_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ipc/buf.h"
#include "ipc/client/cli/term.h"

struct table_column {
	const char *title;
	bool right; /* numbers; else aligned at the left */
};

struct table_cell {
	size_t at; /* of its text in table.text */
	size_t width;
	enum term_style style;
};

struct table {
	const struct table_column *columns; /* borrowed */
	size_t n_columns;
	struct table_cell *cells; /* owned */
	size_t n_cells, cap;
	struct buf text; /* of all cells, each ended by a NUL */
	int error;
};

void table_init(
    struct table *t, const struct table_column *columns, size_t n_columns);
void table_done(struct table *t);

/* Add the next cell; s is cleaned (text.h), NULL stands for "-". */
void table_add(struct table *t, enum term_style style, const char *s);
void table_addf(struct table *t, enum term_style style, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A count with its thousands marked; zero is dim. */
void table_add_count(struct table *t, enum term_style style, int64_t n);

/*
 * Print the titles and all rows, each with `indent` blanks in front.  With a
 * width, that of the terminal, the last column is cut to fit; 0: as wide as it
 * is.  0 or -ENOMEM.
 */
int table_print(const struct table *t, FILE *out, unsigned indent, bool colour,
    size_t width);

#endif
