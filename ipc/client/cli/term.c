/* SPDX-License-Identifier: ISC */
/*
 * term.c - what the terminal can do
 *
 * The eight ANSI colours, which every terminal has and which follow its user's
 * theme; no terminfo for so little.
 */
#include "ipc/client/cli/term.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char *const starts[] = {
    [STYLE_PLAIN] = "",
    [STYLE_TITLE] = "\033[1m",
    [STYLE_DIM] = "\033[2m",
    [STYLE_GOOD] = "\033[32m",
    [STYLE_BUSY] = "\033[36m",
    [STYLE_WAIT] = "\033[33m",
    [STYLE_BAD] = "\033[1;31m",
};

bool
term_is_capable(int fd)
{
	const char *term;

	if (!isatty(fd))
		return false;
	term = getenv("TERM");
	return term != NULL && *term != '\0' && strcmp(term, "dumb") != 0;
}

bool
term_has_colour(int fd)
{
	const char *no;

	no = getenv("NO_COLOR");
	return (no == NULL || *no == '\0') && term_is_capable(fd);
}

size_t
term_width(int fd)
{
	struct winsize ws;

	if (ioctl(fd, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0)
		return ws.ws_col;
	return 80;
}

const char *
term_on(enum term_style style, bool colour)
{
	return colour ? starts[style] : "";
}

const char *
term_off(enum term_style style, bool colour)
{
	return colour && style != STYLE_PLAIN ? "\033[0m" : "";
}
