/* SPDX-License-Identifier: ISC */
/* LINK: ipc/client/cli/progress.c ipc/client/cli/rate.c
   ipc/client/cli/format.c ipc/client/cli/text.c ipc/client/cli/term.c
   ipc/buf.c ipc/clock.c */
/*
 * test_client_progress.c - rates on a clock of the test's own, and the line
 * that shows them
 */
#include "ipc/client/cli/progress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/client/cli/format.h"
#include "ipc/client/cli/rate.h"
#include "ipc/client/cli/text.h"

static struct mono
at(int64_t ms)
{
	return mono_add_ms((struct mono){0}, ms);
}

static void
rate_is_the_mean_at_first(void **state)
{
	struct rate r;

	(void)state;
	rate_init(&r, at(0));
	rate_update(&r, at(500), 50);
	assert_float_equal(r.per_s, 100, 0.01);
	rate_update(&r, at(1000), 150);
	assert_float_equal(r.per_s, 150, 0.01);
}

static void
rate_follows_a_change_within_seconds(void **state)
{
	struct rate r;
	uint64_t done;
	int64_t ms;

	(void)state;
	rate_init(&r, at(0));
	for (ms = 100, done = 0; ms <= 60000; ms += 100)
		rate_update(&r, at(ms), done += 100);
	assert_float_equal(r.per_s, 1000, 1);
	for (; ms <= 80000; ms += 100)
		rate_update(&r, at(ms), done += 10);
	assert_true(r.per_s > 100 && r.per_s < 130);
}

static void
rate_stands_still_with_its_clock(void **state)
{
	struct rate r;

	(void)state;
	rate_init(&r, at(100));
	rate_update(&r, at(100), 50);
	assert_float_equal(r.per_s, 0, 0);
	rate_update(&r, at(50), 60);
	assert_float_equal(r.per_s, 0, 0);
}

static void
rate_starts_anew_when_the_count_does(void **state)
{
	struct rate r;

	(void)state;
	rate_init(&r, at(0));
	rate_update(&r, at(1000), 1000);
	rate_update(&r, at(1100), 10);
	assert_float_equal(r.per_s, 0, 0);
	rate_update(&r, at(2100), 60);
	assert_float_equal(r.per_s, 50, 0.01);
}

static void
rate_tells_the_time_left(void **state)
{
	struct rate r;

	(void)state;
	rate_init(&r, at(0));
	assert_int_equal(rate_left_ms(&r, 100), -1);
	rate_update(&r, at(1000), 50);
	assert_int_equal(rate_left_ms(&r, 100), 1000);
	assert_int_equal(rate_left_ms(&r, 50), 0);
	assert_int_equal(rate_left_ms(&r, 10), 0);
	assert_int_equal(rate_left_ms(&r, UINT64_MAX), -1);
}

static char line[512];

static const char *
render(const struct progress *p, size_t width)
{
	struct buf b;

	buf_init(&b, sizeof(line) - 1);
	progress_render(p, width, false, &b);
	assert_int_equal(buf_error(&b), 0);
	memcpy(line, buf_len(&b) > 0 ? buf_head(&b) : "", buf_len(&b));
	line[buf_len(&b)] = '\0';
	buf_done(&b);
	return line;
}

static void
progress_shows_a_bar_when_the_total_is_known(void **state)
{
	struct progress p = {
	    .done = 250, .total = 1000, .per_s = 12.34, .left_ms = 61000};

	(void)state;
	assert_string_equal(
	    render(&p, 45), "[####............] 250/1,000  12/s  1:01 left");
	p.done = 1000;
	p.left_ms = 0;
	p.failed = 3;
	assert_string_equal(render(&p, 200),
	    "[########################################] 1,000/1,000  12/s  "
	    "0:00 left  3 failed");
}

static void
progress_shows_numbers_alone_without_a_total(void **state)
{
	struct progress p = {.done = 5, .per_s = 2.5, .left_ms = -1};

	(void)state;
	assert_string_equal(render(&p, 80), "5 done  2.5/s");
	p.per_s = -1;
	p.note = "half\tway \033[2J";
	assert_string_equal(render(&p, 80), "5 done  half way ?[2J");
}

static void
progress_never_takes_more_than_the_width(void **state)
{
	struct progress p = {.done = 5,
	    .total = 10,
	    .per_s = 2.5,
	    .left_ms = 1000,
	    .note = "a note"};
	size_t width;

	(void)state;
	for (width = 0; width < 120; width++)
		assert_true(strlen(render(&p, width)) <= width);
	assert_null(strchr(render(&p, 30), '['));
}

static void
format_marks_thousands(void **state)
{
	char t[FORMAT_SIZE];

	(void)state;
	assert_string_equal(format_count(0, t), "0");
	assert_string_equal(format_count(999, t), "999");
	assert_string_equal(format_count(1000, t), "1,000");
	assert_string_equal(format_count(-1234567, t), "-1,234,567");
	assert_string_equal(format_count(-123, t), "-123");
	assert_string_equal(
	    format_count(INT64_MAX, t), "9,223,372,036,854,775,807");
}

static void
format_chooses_the_unit(void **state)
{
	char t[FORMAT_SIZE];

	(void)state;
	assert_string_equal(format_bytes(1023, t), "1023 B");
	assert_string_equal(format_bytes(1536, t), "1.5 KiB");
	assert_string_equal(format_bytes(1048575, t), "1.0 MiB");
	assert_string_equal(format_bytes(INT64_MAX, t), "8.0 EiB");
	assert_string_equal(format_span(999, t), "999 ms");
	assert_string_equal(format_span(59999, t), "59.9 s");
	assert_string_equal(format_span(60000, t), "1m 00s");
	assert_string_equal(format_span(3600000, t), "1h 00m");
	assert_string_equal(format_span(90000000, t), "1d 01h");
	assert_string_equal(format_span(-5, t), "0 ms");
	assert_string_equal(format_clock(1, t), "0:01");
	assert_string_equal(format_clock(61000, t), "1:01");
	assert_string_equal(format_clock(3661000, t), "1:01:01");
}

static void
text_lets_no_control_character_through(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	text_add_clean(&b, "a\033[31mb\n\tc\x7f\xc2\x9b"
			   "d\xc2\xa0\xc3\xa9");
	buf_addc(&b, '\0');
	assert_string_equal(buf_head(&b), "a?[31mb  c??d\xc2\xa0\xc3\xa9");
	buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rate_is_the_mean_at_first),
	    cmocka_unit_test(rate_follows_a_change_within_seconds),
	    cmocka_unit_test(rate_stands_still_with_its_clock),
	    cmocka_unit_test(rate_starts_anew_when_the_count_does),
	    cmocka_unit_test(rate_tells_the_time_left),
	    cmocka_unit_test(progress_shows_a_bar_when_the_total_is_known),
	    cmocka_unit_test(progress_shows_numbers_alone_without_a_total),
	    cmocka_unit_test(progress_never_takes_more_than_the_width),
	    cmocka_unit_test(format_marks_thousands),
	    cmocka_unit_test(format_chooses_the_unit),
	    cmocka_unit_test(text_lets_no_control_character_through),
	};

	return cmocka_run_group_tests_name(
	    "client_progress", tests, NULL, NULL);
}
