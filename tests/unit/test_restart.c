/* SPDX-License-Identifier: ISC */
/* LINK: master/supervisor/restart.c ipc/clock.c */
/*
 * test_restart.c - the restart policy on a fake clock
 */
#include "master/supervisor/restart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RANDOM_MIN 0
#define RANDOM_MAX UINT32_MAX

static struct mono
at_ms(int64_t ms)
{
	return (struct mono){ms * 1000000};
}

/* A process that starts at `now`, and dies without a hello as long after. */
static int64_t
die_early(struct restart *r, int64_t now, int64_t life, uint32_t random)
{
	restart_started(r);
	return restart_died(r, at_ms(now + life), random);
}

/* A process that says hello at once, serves nothing, and dies. */
static int64_t
die_idle(struct restart *r, int64_t now, int64_t life, uint32_t random)
{
	restart_started(r);
	restart_hello(r, at_ms(now));
	return restart_died(r, at_ms(now + life), random);
}

static void
make_flapping(struct restart *r)
{
	unsigned i;

	restart_init(r);
	for (i = 0; i < RESTART_FLAPPING_AT; i++)
		die_early(r, 0, 1, 0);
	assert_true(restart_is_flapping(r));
}

static void
restart_is_at_once_after_proved_process(void **state)
{
	struct restart r;
	int i;

	(void)state;
	restart_init(&r);
	for (i = 0; i < 100; i++) {
		assert_int_equal(die_idle(&r, 0, 10000, RANDOM_MAX), 0);
		assert_false(restart_is_flapping(&r));
	}
}

static void
restart_is_at_once_after_first_quick_death(void **state)
{
	struct restart r;

	(void)state;
	restart_init(&r);
	assert_int_equal(die_early(&r, 0, 1, RANDOM_MAX), 0);
	assert_true(die_early(&r, 0, 1, RANDOM_MAX) > 0);
}

static void
restart_delay_doubles_with_jitter(void **state)
{
	static const int64_t full[] = {0, 100, 200, 400};
	struct restart low, high;
	int64_t d;
	uint32_t random;
	size_t i;

	(void)state;
	restart_init(&low);
	for (i = 0; i < 4; i++) {
		high = low;
		assert_int_equal(
		    die_early(&high, 0, 1, (uint32_t)full[i] / 2), full[i]);
		for (random = 0; random < 5000; random++) {
			high = low;
			d = die_early(&high, 0, 1, random * 858993);
			assert_in_range(d, full[i] / 2, full[i]);
		}
		assert_int_equal(
		    die_early(&low, 0, 1, RANDOM_MIN), full[i] / 2);
		assert_false(restart_is_flapping(&low));
	}
}

static void
restart_probes_after_five_quick_deaths(void **state)
{
	struct restart r;
	int i;

	(void)state;
	restart_init(&r);
	for (i = 1; i <= 4; i++) {
		die_early(&r, 0, 1, RANDOM_MAX);
		assert_false(restart_is_flapping(&r));
	}
	for (i = 5; i < 1000; i++) {
		assert_int_equal(
		    die_early(&r, 0, 1, (uint32_t)i * 7919), RESTART_PROBE_MS);
		assert_true(restart_is_flapping(&r));
	}
}

static void
death_before_hello_is_quick_however_late(void **state)
{
	struct restart r;

	(void)state;
	restart_init(&r);
	assert_int_equal(die_early(&r, 0, 3600000, 0), 0);
	assert_true(die_early(&r, 0, 3600000, 0) > 0);
}

static void
idle_process_proves_itself_in_ten_seconds(void **state)
{
	struct restart r;

	(void)state;
	restart_init(&r);
	die_early(&r, 0, 1, 0);
	assert_true(die_idle(&r, 0, 9999, 0) > 0);
	assert_int_equal(die_idle(&r, 0, 10000, 0), 0);
	/* The row of quick deaths starts anew. */
	assert_int_equal(die_early(&r, 0, 1, 0), 0);
	assert_true(die_early(&r, 0, 1, 0) > 0);
}

static void
boot_time_proves_nothing(void **state)
{
	struct restart r;

	(void)state;
	restart_init(&r);
	die_early(&r, 0, 1, 0);
	restart_started(&r);
	restart_hello(&r, at_ms(60000));
	assert_true(restart_died(&r, at_ms(60001), 0) > 0);
}

static void
serving_process_proves_itself_in_a_second(void **state)
{
	struct restart r;

	(void)state;
	restart_init(&r);
	die_early(&r, 0, 1, 0);
	restart_started(&r);
	restart_hello(&r, at_ms(5));
	restart_served(&r, at_ms(10));
	assert_true(restart_died(&r, at_ms(1009), 0) > 0);
	restart_started(&r);
	restart_hello(&r, at_ms(5));
	restart_served(&r, at_ms(10));
	restart_served(&r, at_ms(900)); /* a second task changes nothing */
	restart_hello(&r, at_ms(900));
	assert_int_equal(restart_died(&r, at_ms(1010), 0), 0);
}

static void
late_first_task_does_not_put_proof_off(void **state)
{
	struct mono due;
	struct restart r;

	(void)state;
	restart_init(&r);
	restart_started(&r);
	restart_hello(&r, at_ms(0));
	restart_served(&r, at_ms(9500));
	assert_true(restart_proves_at(&r, &due));
	assert_int_equal(due.ns, at_ms(10000).ns);
}

static void
proof_is_announced_and_ends_flapping(void **state)
{
	struct mono due = {77};
	struct restart r;

	(void)state;
	make_flapping(&r);
	restart_started(&r);
	assert_false(restart_proves_at(&r, &due));
	assert_int_equal(due.ns, 77);
	assert_false(restart_check(&r, at_ms(100000)));
	restart_hello(&r, at_ms(100));
	assert_true(restart_proves_at(&r, &due));
	assert_int_equal(due.ns, at_ms(10100).ns);
	restart_served(&r, at_ms(200));
	assert_true(restart_proves_at(&r, &due));
	assert_int_equal(due.ns, at_ms(1200).ns);
	assert_false(restart_check(&r, at_ms(1199)));
	assert_true(restart_is_flapping(&r));
	assert_true(restart_check(&r, due));
	assert_false(restart_is_flapping(&r));
	assert_false(restart_check(&r, at_ms(5000))); /* told once */
	assert_false(restart_proves_at(&r, &due));
	assert_int_equal(restart_died(&r, at_ms(1201), 0), 0);
}

static void
proof_without_flapping_is_not_told(void **state)
{
	struct restart r;

	(void)state;
	restart_init(&r);
	restart_started(&r);
	restart_hello(&r, at_ms(0));
	assert_false(restart_check(&r, at_ms(10000)));
}

static void
flapping_process_that_proves_itself_unwatched_clears_it(void **state)
{
	struct restart r;

	(void)state;
	make_flapping(&r);
	assert_int_equal(die_idle(&r, 0, 10000, 0), 0);
	assert_false(restart_is_flapping(&r));
}

static void
proof_of_one_process_is_not_that_of_the_next(void **state)
{
	struct mono due;
	struct restart r;

	(void)state;
	restart_init(&r);
	assert_int_equal(die_idle(&r, 0, 20000, 0), 0);
	restart_started(&r);
	assert_false(restart_proves_at(&r, &due));
	restart_served(&r, at_ms(20001)); /* without a hello: ignored */
	assert_false(restart_proves_at(&r, &due));
	assert_int_equal(restart_died(&r, at_ms(90000), 0), 0);
	assert_true(restart_died(&r, at_ms(90000), 0) > 0);
}

static void
failed_start_counts_as_quick_death(void **state)
{
	struct mono due;
	struct restart r;

	(void)state;
	restart_init(&r);
	assert_int_equal(die_idle(&r, 0, 20000, 0), 0);
	/* The dead process is forgotten before the next one is started. */
	assert_false(restart_proves_at(&r, &due));
	assert_int_equal(restart_died(&r, at_ms(20000), 0), 0);
	assert_int_equal(restart_died(&r, at_ms(20000), 0), 50);
}

/*
 * Lives and deaths by chance: a delay never leaves its bounds, it is 0 exactly
 * after a proof or a first quick death, and the upper bound never falls as long
 * as nothing proves itself.
 */
static void
delays_keep_their_bounds_whatever_happens(void **state)
{
	static const int64_t low[] = {0, 0, 50, 100, 200, 10000};
	static const int64_t high[] = {0, 0, 100, 200, 400, 10000};
	struct restart r;
	uint64_t x = 88172645463325252u;
	int64_t hello, served, death, now, d;
	unsigned n = 0;
	bool proved;
	int i;

	(void)state;
	restart_init(&r);
	now = 0;
	for (i = 0; i < 200000; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		hello = (int64_t)(x % 3000);
		served = hello + (int64_t)(x >> 16) % 12000;
		death = (int64_t)((x >> 32) % (i % 50 == 0 ? 20000 : 2500));
		restart_started(&r);
		if (hello <= death)
			restart_hello(&r, at_ms(now + hello));
		if (served <= death)
			restart_served(&r, at_ms(now + served));
		proved = death >= hello + 10000 || death >= served + 1000;
		d = restart_died(&r, at_ms(now + death), (uint32_t)(x >> 24));
		n = proved ? 0 : n < 5 ? n + 1 : 5;
		assert_in_range(d, low[n], high[n]);
		assert_int_equal(restart_is_flapping(&r), n == 5);
		now += death + d;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(restart_is_at_once_after_proved_process),
	    cmocka_unit_test(restart_is_at_once_after_first_quick_death),
	    cmocka_unit_test(restart_delay_doubles_with_jitter),
	    cmocka_unit_test(restart_probes_after_five_quick_deaths),
	    cmocka_unit_test(death_before_hello_is_quick_however_late),
	    cmocka_unit_test(idle_process_proves_itself_in_ten_seconds),
	    cmocka_unit_test(boot_time_proves_nothing),
	    cmocka_unit_test(serving_process_proves_itself_in_a_second),
	    cmocka_unit_test(late_first_task_does_not_put_proof_off),
	    cmocka_unit_test(proof_is_announced_and_ends_flapping),
	    cmocka_unit_test(proof_without_flapping_is_not_told),
	    cmocka_unit_test(
		flapping_process_that_proves_itself_unwatched_clears_it),
	    cmocka_unit_test(proof_of_one_process_is_not_that_of_the_next),
	    cmocka_unit_test(failed_start_counts_as_quick_death),
	    cmocka_unit_test(delays_keep_their_bounds_whatever_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
