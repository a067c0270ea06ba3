/* SPDX-License-Identifier: ISC */
/* LINK: master/broker/breaker.c ipc/clock.c */
/*
 * test_breaker.c - when the tasks of a name are held back, on a fake clock
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "master/broker/breaker.h"

static struct breaker k;
static struct mono now;

static int
set_up(void **state)
{
	(void)state;
	k = (struct breaker){.state = BREAKER_CLOSED};
	now.ns = 5000;
	return 0;
}

static void
pass_ms(int64_t ms)
{
	now = mono_add_ms(now, ms);
}

/* As many strikes as it takes. */
static void
open_it(void)
{
	uint64_t id;

	for (id = 1; id < BREAKER_STRIKES; id++)
		assert_false(breaker_strike(&k, id, now));
	assert_true(breaker_strike(&k, id, now));
	assert_int_equal(k.state, BREAKER_OPEN);
}

/* Wait until one can be tried, and try it; it may be tried no sooner. */
static void
try_after(int64_t ms, uint64_t id)
{
	pass_ms(ms - 1);
	assert_false(breaker_is_due(&k, now));
	pass_ms(1);
	assert_true(breaker_is_due(&k, now));
	breaker_try(&k, id);
	assert_false(breaker_is_due(&k, now));
}

static void
it_opens_after_five_strikes_and_not_before(void **state)
{
	(void)state;
	assert_false(breaker_is_due(&k, now));
	open_it();
	assert_false(breaker_is_due(&k, now));
}

static void
a_success_in_between_starts_the_count_anew(void **state)
{
	unsigned i;

	(void)state;
	for (i = 1; i < BREAKER_STRIKES; i++)
		(void)breaker_strike(&k, i, now);
	assert_false(breaker_success(&k));
	open_it();
}

static void
an_answer_that_is_no_success_does_not(void **state)
{
	unsigned i;

	(void)state;
	for (i = 1; i < BREAKER_STRIKES; i++) {
		(void)breaker_strike(&k, i, now);
		assert_false(breaker_answer(&k, 99));
	}
	assert_true(breaker_strike(&k, i, now));
}

static void
success_of_the_one_that_is_tried_closes_it(void **state)
{
	(void)state;
	open_it();
	try_after(BREAKER_WAIT_MS, 70);
	assert_true(breaker_success(&k));
	assert_int_equal(k.state, BREAKER_CLOSED);
	open_it();
	try_after(BREAKER_WAIT_MS, 71); /* the wait is short again */
}

static void
an_answer_of_the_one_that_is_tried_closes_it(void **state)
{
	(void)state;
	open_it();
	try_after(BREAKER_WAIT_MS, 70);
	assert_false(breaker_answer(&k, 3));
	assert_int_equal(k.state, BREAKER_PROBING);
	assert_true(breaker_answer(&k, 70));
	assert_int_equal(k.state, BREAKER_CLOSED);
	assert_int_equal(k.strikes, 0);
}

static void
each_crash_of_the_one_that_is_tried_doubles_the_wait(void **state)
{
	int64_t wait_ms = BREAKER_WAIT_MS;
	uint64_t id;

	(void)state;
	open_it();
	for (id = 70; id < 90; id++) {
		try_after(wait_ms, id);
		assert_true(breaker_strike(&k, id, now));
		wait_ms *= 2;
		if (wait_ms > BREAKER_WAIT_MAX_MS)
			wait_ms = BREAKER_WAIT_MAX_MS;
	}
	assert_int_equal(k.wait_ms, BREAKER_WAIT_MAX_MS);
}

static void
crashes_of_those_that_ran_before_change_nothing(void **state)
{
	(void)state;
	open_it();
	pass_ms(BREAKER_WAIT_MS / 2);
	assert_false(breaker_strike(&k, 50, now));
	try_after(BREAKER_WAIT_MS / 2, 70);
	assert_false(breaker_strike(&k, 51, now));
	assert_int_equal(k.state, BREAKER_PROBING);
}

static void
success_of_one_that_ran_before_closes_it(void **state)
{
	(void)state;
	open_it();
	assert_true(breaker_success(&k));
	assert_int_equal(k.state, BREAKER_CLOSED);
}

static void
when_the_one_that_is_tried_is_lost_another_one_is(void **state)
{
	(void)state;
	open_it();
	try_after(BREAKER_WAIT_MS, 70);
	breaker_lost(&k, 3);
	assert_int_equal(k.state, BREAKER_PROBING);
	breaker_lost(&k, 70);
	assert_true(breaker_is_due(&k, now));
	breaker_try(&k, 71);
	assert_true(breaker_strike(&k, 71, now));
	try_after(2 * BREAKER_WAIT_MS, 72);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
	const struct CMUnitTest tests[] = {
	    TEST(it_opens_after_five_strikes_and_not_before),
	    TEST(a_success_in_between_starts_the_count_anew),
	    TEST(an_answer_that_is_no_success_does_not),
	    TEST(success_of_the_one_that_is_tried_closes_it),
	    TEST(an_answer_of_the_one_that_is_tried_closes_it),
	    TEST(each_crash_of_the_one_that_is_tried_doubles_the_wait),
	    TEST(crashes_of_those_that_ran_before_change_nothing),
	    TEST(success_of_one_that_ran_before_closes_it),
	    TEST(when_the_one_that_is_tried_is_lost_another_one_is),
	};

	return cmocka_run_group_tests_name("breaker", tests, NULL, NULL);
}
