/* SPDX-License-Identifier: ISC */
/* LINK: worker/modules/numbers.c */
/*
 * test_worker_numbers.c - numbers as keys in order, and read from text
 */
#include "worker/modules/numbers.h"

#include <errno.h>
#include <float.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
check_value(const struct numbers *ns, size_t i, double want)
{
	json_t *v;

	v = numbers_get(ns, i);
	assert_true(json_number_value(v) == want);
	assert_int_equal(json_is_real(v), ns->real);
	json_decref(v);
}

static void
keys_of_reals_are_in_their_order(void **state)
{
	static const double v[] = {-DBL_MAX, -1e10, -1.5, -1, -DBL_MIN, 0,
	    DBL_MIN, 1, 1.5, 1e10, DBL_MAX};
	struct numbers ns;
	size_t i;

	(void)state;
	numbers_init(&ns);
	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		assert_int_equal(numbers_add_real(&ns, v[i]), 0);
		check_value(&ns, i, v[i]);
		if (i > 0)
			assert_true(ns.keys[i - 1] < ns.keys[i]);
	}
	numbers_done(&ns);
}

static void
a_real_makes_reals_of_the_integers(void **state)
{
	struct numbers ns;

	(void)state;
	numbers_init(&ns);
	assert_int_equal(numbers_add_int(&ns, -3), 0);
	assert_false(ns.real);
	assert_int_equal(numbers_add_real(&ns, 0.5), 0);
	assert_int_equal(numbers_add_int(&ns, 4), 0);
	assert_true(ns.real);
	check_value(&ns, 0, -3);
	check_value(&ns, 1, 0.5);
	check_value(&ns, 2, 4);
	numbers_done(&ns);
}

static void
expect_parsed(const char *text, size_t n, double last)
{
	struct numbers ns;
	size_t bad;

	numbers_init(&ns);
	assert_int_equal(numbers_parse(&ns, text, &bad), 0);
	assert_int_equal(ns.n, n);
	if (n > 0)
		check_value(&ns, n - 1, last);
	numbers_done(&ns);
}

static void
arrays_and_lists_are_read(void **state)
{
	(void)state;
	expect_parsed("", 0, 0);
	expect_parsed(" \n", 0, 0);
	expect_parsed("[]", 0, 0);
	expect_parsed(" [ ]\n", 0, 0);
	expect_parsed("[1]", 1, 1);
	expect_parsed("[ 1 , -2,3e1 ]\n", 3, 30);
	expect_parsed("1\n2\n3\n", 3, 3);
	expect_parsed("1 -2.5", 2, -2.5);
	expect_parsed("9223372036854775807", 1, 9223372036854775807.);
	expect_parsed("9223372036854775808", 1, 9223372036854775808.);
	expect_parsed("-9223372036854775808", 1, -9223372036854775808.);
}

static void
other_text_is_refused_where_it_goes_wrong(void **state)
{
	static const struct {
		const char *text;
		size_t bad;
	} cases[] = {
	    {"x", 0},
	    {"1,2", 1},
	    {"[1 2]", 3},
	    {"[1,]", 3},
	    {"[,1]", 1},
	    {"[1", 2},
	    {"[1]]", 3},
	    {"[1,\"2\"]", 3},
	    {"1 inf", 2},
	    {"nan", 0},
	    {"0x10", 1},
	    {"1e999", 0},
	    {"- 1", 0},
	    {"--1", 0},
	    {"1-2", 1},
	};
	struct numbers ns;
	size_t i, bad;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		numbers_init(&ns);
		assert_int_equal(
		    numbers_parse(&ns, cases[i].text, &bad), -EINVAL);
		assert_int_equal(bad, cases[i].bad);
		numbers_done(&ns);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(keys_of_reals_are_in_their_order),
	    cmocka_unit_test(a_real_makes_reals_of_the_integers),
	    cmocka_unit_test(arrays_and_lists_are_read),
	    cmocka_unit_test(other_text_is_refused_where_it_goes_wrong),
	};

	return cmocka_run_group_tests_name("worker numbers", tests, NULL, NULL);
}
