/* SPDX-License-Identifier: ISC */
/*
 * term.h - what the terminal can do
 */
#ifndef GANGER_CLI_TERM_H
#define GANGER_CLI_TERM_H

#include <stdbool.h>
#include <stddef.h>

enum term_style {
	STYLE_PLAIN,
	STYLE_TITLE,
	STYLE_DIM,
	STYLE_GOOD,
	STYLE_BUSY,
	STYLE_WAIT,
	STYLE_BAD,
};

/* True when fd is a terminal that obeys control sequences. */
bool term_is_capable(int fd);

/* The same, and its user has not set $NO_COLOR. */
bool term_has_colour(int fd);

/* Columns of the terminal at fd; 80 when it does not tell. */
size_t term_width(int fd);

/* The sequences that start and end a style; "" without colour. */
const char *term_on(enum term_style style, bool colour);
const char *term_off(enum term_style style, bool colour);

#endif
