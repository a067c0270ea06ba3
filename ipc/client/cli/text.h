/* SPDX-License-Identifier: ISC */
/*
 * text.h - text from elsewhere, made fit for a terminal
 *
 * What a task or a client wrote may hold escape sequences; none of it reaches
 * a terminal as such.
 */
#ifndef GANGER_CLI_TEXT_H
#define GANGER_CLI_TEXT_H

#include <stddef.h>
#include <stdio.h>

#include "ipc/buf.h"

/* Append s, UTF-8, with a blank for white space and '?' for other controls. */
void text_add_clean(struct buf *b, const char *s);

/* Print s in the same way. */
void text_print_clean(FILE *out, const char *s);

/* Columns that s takes on a terminal, as the locale has it. */
size_t text_width(const char *s);

/* Bytes of the longest start of s that takes at most `columns`. */
size_t text_fit(const char *s, size_t columns);

#endif
