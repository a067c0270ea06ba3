/* SPDX-License-Identifier: ISC */
/* LINK: ipc/clock.c */
/*
 * test_clock.c - instants do not overflow, times survive being written down
 */
#include "ipc/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NS_PER_MS 1000000

static void
assert_mono_add(int64_t ns, int64_t ms, int64_t expected)
{
	struct mono t = {ns};

	assert_true(mono_add_ms(t, ms).ns == expected);
}

static void
assert_until(int64_t from, int64_t to, int64_t expected)
{
	assert_true(
	    mono_until_ms((struct mono){from}, (struct mono){to}) == expected);
}

static void
adding_saturates(void **state)
{
	(void)state;
	assert_mono_add(5, 0, 5);
	assert_mono_add(5, 3, 5 + 3 * NS_PER_MS);
	assert_mono_add(5, -3, 5 - 3 * NS_PER_MS);
	assert_mono_add(5, INT64_MAX, INT64_MAX);
	assert_mono_add(5, INT64_MIN, INT64_MIN);
	assert_mono_add(INT64_MAX, 1, INT64_MAX);
	assert_mono_add(INT64_MAX, -1, INT64_MAX - NS_PER_MS);
	assert_mono_add(INT64_MIN, -1, INT64_MIN);
	assert_mono_add(0, INT64_MAX / NS_PER_MS + 1, INT64_MAX);
}

static void
time_left_is_rounded_up(void **state)
{
	(void)state;
	assert_until(0, 0, 0);
	assert_until(0, 1, 1);
	assert_until(0, NS_PER_MS, 1);
	assert_until(0, NS_PER_MS + 1, 2);
	assert_until(1, 0, 0);
	assert_until(NS_PER_MS, 0, -1);
	assert_until(NS_PER_MS + 1, 0, -1);
}

static void
time_left_saturates(void **state)
{
	(void)state;
	assert_until(INT64_MIN, INT64_MAX, INT64_MAX);
	assert_until(INT64_MAX, INT64_MIN, INT64_MIN);
}

static void
instant_is_reached_at_itself(void **state)
{
	struct mono a = {10}, b = {11};

	(void)state;
	assert_true(mono_reached(a, a));
	assert_true(mono_reached(b, a));
	assert_false(mono_reached(a, b));
}

/* A timer set to what is left must find its instant reached. */
static void
waiting_what_is_left_reaches_the_instant(void **state)
{
	struct mono now, due;
	int i;

	(void)state;
	srand(2);
	for (i = 0; i < 10000; i++) {
		now.ns = rand();
		due.ns = now.ns + rand();
		assert_true(mono_reached(
		    mono_add_ms(now, mono_until_ms(now, due)), due));
	}
}

static void
monotonic_clock_never_goes_back(void **state)
{
	struct mono last, now;
	int i;

	(void)state;
	last = mono_now();
	for (i = 0; i < 1000; i++) {
		now = mono_now();
		assert_true(mono_reached(now, last));
		last = now;
	}
}

static void
assert_format(int64_t ms, const char *expected)
{
	char text[WALL_SIZE];

	wall_format(ms, text);
	assert_string_equal(text, expected);
}

static void
times_are_written_in_utc_with_milliseconds(void **state)
{
	(void)state;
	setenv("TZ", "Asia/Kolkata", 1);
	assert_format(0, "1970-01-01T00:00:00.000Z");
	assert_format(1, "1970-01-01T00:00:00.001Z");
	assert_format(-1, "1969-12-31T23:59:59.999Z");
	assert_format(-1000, "1969-12-31T23:59:59.000Z");
	assert_format(INT64_C(-55621607394020), "0207-06-04T09:30:05.980Z");
	assert_format(INT64_C(951782400123), "2000-02-29T00:00:00.123Z");
	assert_format(INT64_C(253402300799999), "9999-12-31T23:59:59.999Z");
}

static void
any_time_fits_its_buffer(void **state)
{
	char text[WALL_SIZE];

	(void)state;
	wall_format(INT64_MAX, text);
	assert_non_null(memchr(text, '\0', sizeof(text)));
	wall_format(INT64_MIN, text);
	assert_non_null(memchr(text, '\0', sizeof(text)));
}

static void
assert_parse(const char *text, int64_t expected)
{
	int64_t ms = 42;

	if (wall_parse(text, &ms) != 0 || ms != expected)
		fail_msg("%s: %lld, not %lld", text, (long long)ms,
		    (long long)expected);
}

static void
what_was_written_is_read_back(void **state)
{
	char text[WALL_SIZE];
	int64_t ms;
	int i;

	(void)state;
	srand(3);
	for (i = 0; i < 20000; i++) {
		/* From the year 0001 to the year 9999. */
		ms = (((int64_t)rand() << 31) | rand()) %
		     INT64_C(315537897599999);
		ms -= INT64_C(62135596800000);
		wall_format(ms, text);
		assert_parse(text, ms);
	}
}

static void
every_form_of_rfc_3339_is_read(void **state)
{
	const int64_t t = INT64_C(951827696000); /* 2000-02-29T12:34:56Z */

	(void)state;
	assert_parse("2000-02-29T12:34:56Z", t);
	assert_parse("2000-02-29t12:34:56z", t);
	assert_parse("2000-02-29 12:34:56Z", t);
	assert_parse("2000-02-29T12:34:56+00:00", t);
	assert_parse("2000-02-29T12:34:56-00:00", t);
	assert_parse("2000-02-29T18:04:56+05:30", t);
	assert_parse("2000-02-29T02:04:56-10:30", t);
	assert_parse("2000-03-01T12:33:56+23:59", t);
	assert_parse("2000-02-29T12:34:56.5Z", t + 500);
	assert_parse("2000-02-29T12:34:56.05Z", t + 50);
	assert_parse("2000-02-29T12:34:56.123999999999999Z", t + 123);
	assert_parse("2000-02-29T12:34:56.250-00:01", t + 60250);
	assert_parse("1998-12-31T23:59:60Z", INT64_C(915148800000));
	assert_parse("1969-12-31T23:59:59.999Z", -1);
}

static void
what_is_no_such_time_is_refused(void **state)
{
	static const char *const texts[] = {"", " ", "now", "2000-02-29",
	    "2000-02-29T12:34:56", "2000-02-29T12:34Z", "2000-02-29X12:34:56Z",
	    "2000-02-29T12:34:56ZZ", "2000-02-29T12:34:56Z ",
	    " 2000-02-29T12:34:56Z", "2000-2-29T12:34:56Z",
	    "2000-02-29T2:34:56Z", "2000-02- 9T12:34:56Z",
	    "2000-02-29T 2:34:56Z", "+200-02-29T12:34:56Z",
	    "99-02-29T12:34:56Z", "12000-02-29T12:34:56Z",
	    "2000-00-29T12:34:56Z", "2000-13-29T12:34:56Z",
	    "2000-02-00T12:34:56Z", "2000-02-30T12:34:56Z",
	    "2001-02-29T12:34:56Z", "2000-04-31T12:34:56Z",
	    "2000-02-29T24:00:00Z", "2000-02-29T12:60:56Z",
	    "2000-02-29T12:34:61Z", "2000-02-29T12:34:56.Z",
	    "2000-02-29T12:34:56,5Z", "2000-02-29T12:34:56+5:30",
	    "2000-02-29T12:34:56+0530", "2000-02-29T12:34:56+ 5:30",
	    "2000-02-29T12:34:56+05:3", "2000-02-29T12:34:56+05:300",
	    "2000-02-29T12:34:56+24:00", "2000-02-29T12:34:56+05:60",
	    "2000-02-29T12:34:56 05:30", "951827696"};
	size_t i;
	int64_t ms;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		ms = 42;
		if (wall_parse(texts[i], &ms) != -EINVAL || ms != 42)
			fail_msg("taken for a time: \"%s\"", texts[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(adding_saturates),
	    cmocka_unit_test(time_left_is_rounded_up),
	    cmocka_unit_test(time_left_saturates),
	    cmocka_unit_test(instant_is_reached_at_itself),
	    cmocka_unit_test(waiting_what_is_left_reaches_the_instant),
	    cmocka_unit_test(monotonic_clock_never_goes_back),
	    cmocka_unit_test(times_are_written_in_utc_with_milliseconds),
	    cmocka_unit_test(any_time_fits_its_buffer),
	    cmocka_unit_test(what_was_written_is_read_back),
	    cmocka_unit_test(every_form_of_rfc_3339_is_read),
	    cmocka_unit_test(what_is_no_such_time_is_refused),
	};

	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
