/* SPDX-License-Identifier: ISC */
/* LINK: ipc/client/lib/backoff.c ipc/clock.c */
/*
 * test_client_backoff.c - when to try again to reach a daemon that went away
 */
#include "ipc/client/lib/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct mono
at_ms(int64_t ms)
{
	return mono_add_ms((struct mono){1}, ms);
}

static void
first_attempt_is_at_once_and_the_others_wait_longer_and_longer(void **state)
{
	static const int64_t delays[] = {
	    10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000};
	struct backoff b;
	int64_t now;
	size_t i;

	(void)state;
	backoff_init(&b, 30000);
	backoff_lost(&b, at_ms(0));
	assert_true(mono_reached(at_ms(0), b.next));
	for (i = 0, now = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
		backoff_step(&b, at_ms(now));
		now += delays[i];
		assert_false(mono_reached(at_ms(now - 1), b.next));
		assert_true(mono_reached(at_ms(now), b.next));
	}
}

static void
series_ends_at_its_limit(void **state)
{
	struct backoff b;

	(void)state;
	backoff_init(&b, 3000);
	backoff_lost(&b, at_ms(100));
	backoff_step(&b, at_ms(100));
	backoff_lost(&b, at_ms(2000)); /* another call: no new time */
	assert_false(mono_reached(at_ms(109), b.next));
	assert_false(backoff_is_over(&b, at_ms(3099)));
	assert_true(backoff_is_over(&b, at_ms(3100)));
	assert_true(backoff_is_over(&b, at_ms(3101)));
	/* Who asks anew after that is given the time anew. */
	backoff_lost(&b, at_ms(60000));
	assert_false(backoff_is_over(&b, at_ms(62999)));
	assert_true(backoff_is_over(&b, at_ms(63000)));
}

static void
loss_soon_after_a_success_goes_on_with_the_series(void **state)
{
	struct backoff b;

	(void)state;
	backoff_init(&b, 10000);
	backoff_lost(&b, at_ms(0));
	backoff_step(&b, at_ms(0));
	backoff_up(&b, at_ms(1000));
	backoff_lost(&b, at_ms(1000 + BACKOFF_HELD_MS - 1));
	assert_true(backoff_is_over(&b, at_ms(10000)));

	backoff_init(&b, 10000);
	backoff_lost(&b, at_ms(0));
	backoff_step(&b, at_ms(0));
	backoff_up(&b, at_ms(1000));
	backoff_lost(&b, at_ms(1000 + BACKOFF_HELD_MS));
	assert_true(mono_reached(at_ms(1000 + BACKOFF_HELD_MS), b.next));
	assert_false(backoff_is_over(&b, at_ms(10000)));
	assert_true(backoff_is_over(&b, at_ms(11000 + BACKOFF_HELD_MS)));
}

static void
negative_limit_never_ends(void **state)
{
	struct backoff b;

	(void)state;
	backoff_init(&b, -1);
	backoff_lost(&b, at_ms(0));
	assert_false(backoff_is_over(&b, at_ms(INT64_C(1) << 40)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(
		first_attempt_is_at_once_and_the_others_wait_longer_and_longer),
	    cmocka_unit_test(series_ends_at_its_limit),
	    cmocka_unit_test(loss_soon_after_a_success_goes_on_with_the_series),
	    cmocka_unit_test(negative_limit_never_ends),
	};

	return cmocka_run_group_tests_name("client_backoff", tests, NULL, NULL);
}
