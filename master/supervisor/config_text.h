/* SPDX-License-Identifier: ISC */
/*
 * config_text.h - make a file's text fit for libConfuse
 *
 * libConfuse loses count of lines at block and // comments, refuses comments
 * inside lists, and lets a section or a comment that is never closed, and stray
 * characters, pass in silence.  So comments are blanked and those mistakes
 * found before it reads the text.  Pure.
 */
#ifndef GANGER_SUPERVISOR_CONFIG_TEXT_H
#define GANGER_SUPERVISOR_CONFIG_TEXT_H

#include <stddef.h>

/* Sections and lists inside one another; the deepest valid file needs 3. */
#define CONFIG_TEXT_DEPTH_MAX 16

struct config_flaw {
	unsigned line;
	const char *what; /* static text */
};

/*
 * Blank the comments in text, len bytes, in place; newlines stay where they
 * are.  -EINVAL: *flaw_out says what is wrong; text may be blanked in part.
 */
int config_text_clean(char *text, size_t len, struct config_flaw *flaw_out);

#endif
