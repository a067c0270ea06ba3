/* SPDX-License-Identifier: ISC */
/* LINK: ipc/client/cli/duration.c */
/*
 * test_client_duration.c - durations on the command line
 */
#include "ipc/client/cli/duration.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
duration_knows_every_unit(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} cases[] = {
	    {"250ms", 250},
	    {"30s", 30000},
	    {"5m", 300000},
	    {"1h", 3600000},
	    {"2d", 172800000},
	    {"0", 0},
	    {"0s", 0},
	    {"007s", 7000},
	    {"9223372036854775807ms", INT64_MAX},
	};
	size_t i;
	int64_t ms;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(duration_parse(cases[i].text, &ms), 0);
		assert_int_equal(ms, cases[i].ms);
	}
}

static void
duration_refuses_what_is_none_and_leaves_the_output(void **state)
{
	static const char *const cases[] = {"", "5", "s", "-5s", "+5s", " 5s",
	    "5 s", "5s ", "1.5s", "5S", "5sec", "1h30m", "0x5s", "5w"};
	size_t i;
	int64_t ms = 42;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(duration_parse(cases[i], &ms), -EINVAL);
	assert_int_equal(ms, 42);
}

static void
duration_tells_what_is_too_long(void **state)
{
	int64_t ms = 42;

	(void)state;
	assert_int_equal(duration_parse("9223372036854775808ms", &ms), -ERANGE);
	assert_int_equal(duration_parse("9223372036854776s", &ms), -ERANGE);
	assert_int_equal(duration_parse("106751991168d", &ms), -ERANGE);
	assert_int_equal(duration_parse("106751991167d", &ms), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(duration_knows_every_unit),
	    cmocka_unit_test(
		duration_refuses_what_is_none_and_leaves_the_output),
	    cmocka_unit_test(duration_tells_what_is_too_long),
	};

	return cmocka_run_group_tests_name(
	    "client_duration", tests, NULL, NULL);
}
