/* SPDX-License-Identifier: ISC */
/* LINK: master/supervisor/budget.c ipc/clock.c */
/*
 * test_budget.c - so many a second, with a reserve for bursts
 */
#include "master/supervisor/budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct budget budget;
static struct mono now;

static int
set_up(void **state)
{
	(void)state;
	now = (struct mono){INT64_C(5000000000)};
	budget_init(&budget, 200, 1000, now);
	return 0;
}

static unsigned
take_all(void)
{
	unsigned n = 0;

	while (n < 100000 && budget_take(&budget, now))
		n++;
	return n;
}

static void
burst_is_allowed_once(void **state)
{
	(void)state;
	assert_int_equal(take_all(), 1000);
	assert_int_equal(take_all(), 0);
}

static void
refills_with_time_up_to_the_burst(void **state)
{
	(void)state;
	take_all();
	now = mono_add_ms(now, 1000);
	assert_int_equal(take_all(), 200);
	now = mono_add_ms(now, 4);
	assert_int_equal(take_all(), 0);
	now = mono_add_ms(now, 1);
	assert_int_equal(take_all(), 1);
	now = mono_add_ms(now, INT64_C(1000) * 3600 * 24 * 365 * 100);
	assert_int_equal(take_all(), 1000);
}

static void
small_steps_lose_nothing(void **state)
{
	unsigned i, n = 0;

	(void)state;
	take_all();
	for (i = 0; i < 10000; i++) {
		now = mono_add_ms(now, 1);
		n += take_all();
	}
	assert_int_equal(n, 2000);
}

static void
clock_that_stands_or_goes_back_gives_nothing(void **state)
{
	(void)state;
	take_all();
	now.ns -= 1000000000;
	assert_int_equal(take_all(), 0);
}

#define TEST(t) cmocka_unit_test_setup(t, set_up)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(burst_is_allowed_once),
	    TEST(refills_with_time_up_to_the_burst),
	    TEST(small_steps_lose_nothing),
	    TEST(clock_that_stands_or_goes_back_gives_nothing),
	};

	return cmocka_run_group_tests_name("budget", tests, NULL, NULL);
}
