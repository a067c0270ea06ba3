/* SPDX-License-Identifier: ISC */
/*
 * progress.h - one line that tells how far the work is
 */
#ifndef GANGER_CLI_PROGRESS_H
#define GANGER_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/buf.h"

struct progress {
	uint64_t done;
	uint64_t total; /* 0: unknown */
	uint64_t failed;
	double per_s;     /* negative: not shown */
	int64_t left_ms;  /* negative: not known */
	const char *note; /* cleaned when shown; NULL: none */
};

/*
 * Append the line, at most `width` columns, without a newline: with a total a
 * bar that takes the room that the numbers leave.
 */
void progress_render(
    const struct progress *p, size_t width, bool colour, struct buf *out);

/* Draw the line on stderr, a terminal, over the one drawn before. */
void progress_draw(const struct progress *p, bool colour);

/* Draw plain text in its place. */
void progress_draw_note(const char *note);

/* Take the line off stderr. */
void progress_erase(void);

#endif
