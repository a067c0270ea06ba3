/* SPDX-License-Identifier: ISC */
/* LINK: master/broker/rate.c */
/*
 * test_rate.c - a token bucket on a clock that the test holds
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "master/broker/rate.h"

#define SECOND INT64_C(1000000000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)

static struct mono
at(int64_t ns)
{
	return (struct mono){.ns = 100 * SECOND + ns};
}

/* Take all that there is at now; returns how many. */
static unsigned
drain(struct rate *r, struct mono now)
{
	unsigned n = 0;

	while (n < 2000000 && rate_take_ok(r, now)) {
		rate_take(r, now);
		n++;
	}
	return n;
}

static void
make(struct rate *r, uint64_t count, int64_t per_ms)
{
	rate_init(r);
	rate_set(r, count, per_ms, at(0));
}

static void
rate_without_a_limit_always_gives(void **state)
{
	struct rate r;
	unsigned i;

	(void)state;
	rate_init(&r);
	for (i = 0; i < 100000; i++) {
		assert_true(rate_take_ok(&r, at(0)));
		rate_take(&r, at(0));
	}
	assert_int_equal(rate_due(&r, at(7)).ns, at(7).ns);
}

static void
rate_starts_full_and_holds_what_a_second_brings(void **state)
{
	struct rate r;

	(void)state;
	make(&r, 10, 1000);
	assert_int_equal(drain(&r, at(0)), 10);
	assert_false(rate_take_ok(&r, at(0)));
	assert_int_equal(drain(&r, at(SECOND)), 10);
	make(&r, 5, 60 * 1000);
	assert_int_equal(drain(&r, at(0)), 1);
	make(&r, 120, 60 * 1000);
	assert_int_equal(drain(&r, at(0)), 2);
}

static void
rate_long_idle_saves_up_no_more_than_a_burst(void **state)
{
	struct rate r;

	(void)state;
	make(&r, 10, 1000);
	assert_int_equal(drain(&r, at(0)), 10);
	assert_int_equal(drain(&r, at(10000 * HOUR)), 10);
	assert_int_equal(drain(&r, at(10000 * HOUR)), 0);
}

static void
rate_due_is_the_first_instant_that_gives(void **state)
{
	static const struct {
		uint64_t count;
		int64_t per_ms;
	} rates[] = {{3, 1000}, {7, 60000}, {1, 3600000}, {999983, 1000},
	    {13, 86400000}};
	struct rate r;
	struct mono due;
	size_t i;
	int n;

	(void)state;
	for (i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		make(&r, rates[i].count, rates[i].per_ms);
		due = at(0);
		drain(&r, due);
		for (n = 0; n < 1000; n++) {
			due = rate_due(&r, due);
			assert_false(
			    rate_take_ok(&r, (struct mono){.ns = due.ns - 1}));
			assert_true(rate_take_ok(&r, due));
			rate_take(&r, due);
			assert_false(rate_take_ok(&r, due));
		}
	}
}

static void
rate_over_a_long_time_is_exact(void **state)
{
	struct rate r;
	struct mono now = at(0);
	uint64_t n;

	(void)state;
	/* 7 in a minute, which no number of nanoseconds divides. */
	make(&r, 7, 60 * 1000);
	drain(&r, now);
	for (n = 0; n < 7 * 10000; n++) {
		now = rate_due(&r, now);
		rate_take(&r, now);
	}
	assert_in_range(now.ns - at(0).ns, 10000 * MINUTE, 10000 * MINUTE + 1);
}

static void
rate_clock_that_stands_gives_nothing(void **state)
{
	struct mono due;
	struct rate r;
	unsigned i;

	(void)state;
	make(&r, 10, 1000);
	drain(&r, at(SECOND));
	due = rate_due(&r, at(SECOND));
	for (i = 0; i < 1000; i++) {
		assert_false(rate_take_ok(&r, at(SECOND)));
		assert_int_equal(rate_due(&r, at(SECOND)).ns, due.ns);
	}
	assert_int_equal(due.ns, at(SECOND + SECOND / 10).ns);
}

static void
rate_clock_that_steps_back_gives_and_takes_nothing(void **state)
{
	struct rate r;

	(void)state;
	make(&r, 10, 1000);
	drain(&r, at(SECOND));
	assert_false(rate_take_ok(&r, at(0)));
	assert_int_equal(rate_due(&r, at(0)).ns, at(SECOND + SECOND / 10).ns);
	assert_int_equal(drain(&r, at(2 * SECOND)), 10);
}

static void
rate_change_keeps_the_tokens_that_are_there(void **state)
{
	struct rate r;

	(void)state;
	/* From fast to slow: none is left, so an hour has to pass. */
	make(&r, 10, 1000);
	drain(&r, at(0));
	rate_set(&r, 1, 3600 * 1000, at(0));
	assert_int_equal(rate_due(&r, at(0)).ns, at(HOUR).ns);
	/* From slow to fast: at the new pace from now on. */
	rate_set(&r, 10, 1000, at(0));
	assert_int_equal(rate_due(&r, at(0)).ns, at(SECOND / 10).ns);
	/* What there was counts, up to the new burst. */
	make(&r, 100, 1000);
	rate_set(&r, 10, 1000, at(0));
	assert_int_equal(drain(&r, at(0)), 10);
	make(&r, 100, 1000);
	drain(&r, at(0));
	rate_set(&r, 1000, 1000, at(SECOND / 20));
	assert_int_equal(drain(&r, at(SECOND / 20)), 5);
}

static void
rate_set_to_the_same_changes_nothing(void **state)
{
	struct rate r;

	(void)state;
	make(&r, 2, 1000);
	drain(&r, at(0));
	rate_set(&r, 2, 1000, at(SECOND / 4));
	assert_int_equal(rate_due(&r, at(SECOND / 4)).ns, at(SECOND / 2).ns);
}

static void
rate_limit_can_go_and_come(void **state)
{
	struct rate r;

	(void)state;
	make(&r, 1, 3600 * 1000);
	drain(&r, at(0));
	rate_set(&r, 0, 1000, at(0));
	assert_true(rate_take_ok(&r, at(0)));
	rate_set(&r, 1, 3600 * 1000, at(0));
	assert_int_equal(drain(&r, at(0)), 1);
}

static void
rate_tiny_and_huge_rates_keep_their_pace(void **state)
{
	struct rate r;

	(void)state;
	make(&r, 1, RATE_MS_MAX);
	assert_int_equal(drain(&r, at(0)), 1);
	assert_int_equal(rate_due(&r, at(0)).ns, at(24 * HOUR).ns);
	assert_int_equal(drain(&r, at(24 * HOUR - 1)), 0);
	assert_int_equal(drain(&r, at(24 * HOUR)), 1);
	make(&r, RATE_COUNT_MAX, 1000);
	assert_int_equal(drain(&r, at(0)), RATE_COUNT_MAX);
	assert_int_equal(drain(&r, at(999)), 0);
	assert_int_equal(drain(&r, at(1000)), 1);
	assert_int_equal(drain(&r, at(1000 + SECOND / 2)), RATE_COUNT_MAX / 2);
	/* The most that fits: it is a limit still, and does not overflow. */
	make(&r, RATE_COUNT_MAX, 1);
	assert_true(rate_take_ok(&r, at(0)));
	assert_int_equal(drain(&r, at(INT64_MAX / 2)), 2000000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rate_without_a_limit_always_gives),
	    cmocka_unit_test(rate_starts_full_and_holds_what_a_second_brings),
	    cmocka_unit_test(rate_long_idle_saves_up_no_more_than_a_burst),
	    cmocka_unit_test(rate_due_is_the_first_instant_that_gives),
	    cmocka_unit_test(rate_over_a_long_time_is_exact),
	    cmocka_unit_test(rate_clock_that_stands_gives_nothing),
	    cmocka_unit_test(
		rate_clock_that_steps_back_gives_and_takes_nothing),
	    cmocka_unit_test(rate_change_keeps_the_tokens_that_are_there),
	    cmocka_unit_test(rate_set_to_the_same_changes_nothing),
	    cmocka_unit_test(rate_limit_can_go_and_come),
	    cmocka_unit_test(rate_tiny_and_huge_rates_keep_their_pace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
