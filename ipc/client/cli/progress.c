/* SPDX-License-Identifier: ISC */
/*
 * progress.c - one line that tells how far the work is
 *
 * A line is drawn with one write, so that it never mixes with other output.
 * The last column stays free: some terminals wrap there.
 */
#include "ipc/client/cli/progress.h"

#include <unistd.h>

#include "ipc/client/cli/format.h"
#include "ipc/client/cli/term.h"
#include "ipc/client/cli/text.h"

#define BAR_MIN   8
#define BAR_MAX   40
#define LINE_HEAD "\r\033[K"

/* The numbers: "12/40  3.5/s  0:08 left  1 failed  note". */
static void
add_numbers(const struct progress *p, struct buf *out)
{
	char text[FORMAT_SIZE];

	buf_adds(out, format_count((int64_t)p->done, text));
	if (p->total > 0)
		buf_printf(out, "/%s", format_count((int64_t)p->total, text));
	else
		buf_adds(out, " done");
	if (p->per_s >= 10)
		buf_printf(
		    out, "  %s/s", format_count((int64_t)p->per_s, text));
	else if (p->per_s >= 0)
		buf_printf(out, "  %.1f/s", p->per_s);
	if (p->total > 0 && p->left_ms >= 0)
		buf_printf(out, "  %s left", format_clock(p->left_ms, text));
	if (p->failed > 0)
		buf_printf(
		    out, "  %s failed", format_count((int64_t)p->failed, text));
	if (p->note != NULL && *p->note != '\0') {
		buf_adds(out, "  ");
		text_add_clean(out, p->note);
	}
	buf_addc(out, '\0');
}

static void
add_bar(const struct progress *p, size_t room, bool colour, struct buf *out)
{
	size_t full, i;

	if (p->done >= p->total)
		full = room;
	else
		full =
		    (size_t)((double)p->done / (double)p->total * (double)room);
	buf_addc(out, '[');
	buf_adds(out, term_on(p->failed > 0 ? STYLE_BAD : STYLE_BUSY, colour));
	for (i = 0; i < full; i++)
		buf_addc(out, '#');
	buf_adds(out, term_off(STYLE_BUSY, colour));
	for (; i < room; i++)
		buf_addc(out, '.');
	buf_adds(out, "] ");
}

void
progress_render(
    const struct progress *p, size_t width, bool colour, struct buf *out)
{
	struct buf numbers;
	const char *text;
	size_t used, room;

	buf_init(&numbers, SIZE_MAX);
	add_numbers(p, &numbers);
	if (buf_error(&numbers) < 0)
		goto out;
	text = buf_head(&numbers);
	used = text_width(text);
	/* Of the width: the bar's two brackets and the blank behind it. */
	if (p->total > 0 && used + 3 + BAR_MIN <= width) {
		room = width - used - 3;
		add_bar(p, room > BAR_MAX ? BAR_MAX : room, colour, out);
	}
	buf_add(out, text, text_fit(text, width));
out:
	buf_done(&numbers);
}

/* Write the line that was begun with LINE_HEAD. */
static void
draw_line(struct buf *line)
{
	if (buf_error(line) == 0)
		(void)!write(STDERR_FILENO, buf_head(line), buf_len(line));
	buf_done(line);
}

void
progress_draw(const struct progress *p, bool colour)
{
	struct buf line;

	buf_init(&line, SIZE_MAX);
	buf_adds(&line, LINE_HEAD);
	progress_render(p, term_width(STDERR_FILENO) - 1, colour, &line);
	draw_line(&line);
}

void
progress_draw_note(const char *note)
{
	struct buf line;
	size_t room = term_width(STDERR_FILENO) - 1;

	buf_init(&line, SIZE_MAX);
	buf_adds(&line, LINE_HEAD);
	buf_add(&line, note, text_fit(note, room));
	draw_line(&line);
}

void
progress_erase(void)
{
	(void)!write(STDERR_FILENO, LINE_HEAD, sizeof(LINE_HEAD) - 1);
}
