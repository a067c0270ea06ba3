/* SPDX-License-Identifier: ISC */
/* LINK: master/supervisor/scale.c ipc/clock.c */
/*
 * test_scale.c - the scaling policy on a fake clock
 */
#include "master/supervisor/scale.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define THREADS   4
#define IDLE_MS   60000
#define REPORT_MS 500

static const struct scale_load idle = {.ready = 0};

static struct mono
at_ms(int64_t ms)
{
	return (struct mono){ms * 1000000};
}

static void
start(struct scale *s, unsigned min, unsigned max, unsigned n)
{
	const struct scale_settings settings = {.min = min,
	    .max = max,
	    .threads = THREADS,
	    .idle_timeout_ms = IDLE_MS};

	scale_init(s, &settings, n, at_ms(0));
}

/* Report at that time that tasks wait too long, all n processes being up. */
static unsigned
press(struct scale *s, int64_t ms, unsigned n)
{
	const struct scale_load load = {.ready = 100000,
	    .oldest_ms = 2000,
	    .busy = n * THREADS,
	    .threads = n * THREADS};

	scale_report(s, &load, at_ms(ms));
	return scale_target(s, at_ms(ms));
}

/* Let the time go on to until, deciding whenever it is due. */
static unsigned
run_until(struct scale *s, int64_t until)
{
	struct mono at;
	unsigned n;

	n = s->target;
	while (scale_due_at(s, &at) && at.ns <= at_ms(until).ns) {
		n = scale_target(s, at);
		assert_in_range(n, s->settings.min, s->settings.max);
	}
	return n;
}

static void
pool_grows_in_doubled_steps_a_second_apart(void **state)
{
	static const unsigned expected[] = {2, 4, 8, 16, 32, 64, 96, 128, 130};
	struct scale s;
	unsigned n = 1;
	size_t i;

	(void)state;
	start(&s, 1, 130, 1);
	for (i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		n = press(&s, (int64_t)i * 1000, n);
		assert_int_equal(n, expected[i]);
		/* Half a second later it is too early for the next. */
		assert_int_equal(press(&s, (int64_t)i * 1000 + 500, n), n);
	}
	assert_int_equal(press(&s, 20000, n), 130);
}

static void
old_report_makes_no_second_step(void **state)
{
	struct mono at;
	struct scale s;

	(void)state;
	start(&s, 1, 100, 1);
	assert_int_equal(press(&s, 0, 1), 2);
	assert_false(scale_due_at(&s, &at));
	assert_int_equal(scale_target(&s, at_ms(5000)), 2);
}

static void
report_within_the_second_counts_at_its_end(void **state)
{
	struct mono at;
	struct scale s;

	(void)state;
	start(&s, 1, 100, 1);
	assert_int_equal(press(&s, 0, 1), 2);
	assert_int_equal(press(&s, 300, 2), 2);
	assert_true(scale_due_at(&s, &at));
	assert_int_equal(at.ns, at_ms(1000).ns);
	assert_int_equal(scale_target(&s, at), 4);
}

static void
steps_start_over_when_pressure_stops(void **state)
{
	struct scale s;

	(void)state;
	start(&s, 1, 100, 1);
	press(&s, 0, 1);
	press(&s, 1000, 2);
	assert_int_equal(press(&s, 2000, 4), 8);
	scale_report(&s, &idle, at_ms(2500));
	assert_int_equal(scale_target(&s, at_ms(2500)), 8);
	assert_int_equal(press(&s, 4000, 8), 9);
}

static void
short_waiting_needs_two_full_reports(void **state)
{
	const struct scale_load full = {
	    .ready = 10, .oldest_ms = 5, .busy = 4, .threads = 4};
	const struct scale_load slack = {
	    .ready = 10, .oldest_ms = 5, .busy = 3, .threads = 4};
	struct scale s;

	(void)state;
	start(&s, 1, 10, 1);
	scale_report(&s, &full, at_ms(0));
	assert_int_equal(scale_target(&s, at_ms(0)), 1);
	scale_report(&s, &slack, at_ms(500));
	assert_int_equal(scale_target(&s, at_ms(500)), 1);
	scale_report(&s, &full, at_ms(1000));
	assert_int_equal(scale_target(&s, at_ms(1000)), 1);
	scale_report(&s, &full, at_ms(1500));
	assert_int_equal(scale_target(&s, at_ms(1500)), 2);
}

static void
few_tasks_bring_few_processes(void **state)
{
	/* Nine tasks are work for three processes of four threads. */
	const struct scale_load load = {
	    .ready = 9, .oldest_ms = 1000, .busy = 8, .threads = 8};
	struct scale s;
	int64_t ms;

	(void)state;
	start(&s, 1, 100, 2);
	for (ms = 0; ms < 20000; ms += REPORT_MS) {
		scale_report(&s, &load, at_ms(ms));
		assert_true(scale_target(&s, at_ms(ms)) <= 5);
	}
	assert_int_equal(scale_target(&s, at_ms(ms)), 5);
}

static void
processes_on_their_way_count_as_help(void **state)
{
	/* Of six processes two are up; the others will take all that waits. */
	struct scale_load load = {
	    .ready = 16, .oldest_ms = 3000, .busy = 8, .threads = 8};
	struct scale s;

	(void)state;
	start(&s, 1, 100, 6);
	scale_report(&s, &load, at_ms(0));
	assert_int_equal(scale_target(&s, at_ms(0)), 6);
	load.ready = 17;
	scale_report(&s, &load, at_ms(500));
	assert_int_equal(scale_target(&s, at_ms(500)), 7);
	load.ready = 100;
	scale_report(&s, &load, at_ms(2000));
	assert_int_equal(scale_target(&s, at_ms(2000)), 9);
	/* 32 tasks and seven on their way: one more for what is left. */
	load.ready = 32;
	scale_report(&s, &load, at_ms(4000));
	assert_int_equal(scale_target(&s, at_ms(4000)), 10);
}

static void
pool_without_any_process_up_does_not_grow(void **state)
{
	const struct scale_load load = {.ready = 500, .oldest_ms = 90000};
	struct scale s;
	int64_t ms;

	(void)state;
	start(&s, 2, 100, 2);
	for (ms = 0; ms < 20000; ms += REPORT_MS) {
		scale_report(&s, &load, at_ms(ms));
		assert_int_equal(scale_target(&s, at_ms(ms)), 2);
	}
}

static void
idle_pool_shrinks_to_min_after_idle_timeout(void **state)
{
	struct mono at;
	struct scale s;

	(void)state;
	start(&s, 2, 20, 10);
	assert_int_equal(run_until(&s, IDLE_MS - 1), 10);
	/* An eighth of the time-out is the measure's grain. */
	assert_int_equal(run_until(&s, IDLE_MS + IDLE_MS / 8 + 1000), 8);
	assert_int_equal(run_until(&s, IDLE_MS + IDLE_MS / 8 + 8000), 2);
	assert_false(scale_due_at(&s, &at));
}

static void
busy_threads_keep_their_processes(void **state)
{
	const struct scale_load load = {.busy = 9, .threads = 40};
	struct mono at;
	struct scale s;

	(void)state;
	start(&s, 1, 20, 10);
	scale_report(&s, &load, at_ms(100));
	assert_int_equal(run_until(&s, 10 * IDLE_MS), 3);
	assert_false(scale_due_at(&s, &at));
}

static void
load_that_comes_and_goes_moves_nothing(void **state)
{
	const struct scale_load high = {.busy = 40, .threads = 40};
	struct scale s;
	int64_t ms;

	(void)state;
	start(&s, 1, 20, 10);
	for (ms = 0; ms < 20 * IDLE_MS; ms += IDLE_MS / 2) {
		scale_report(&s, &high, at_ms(ms));
		assert_int_equal(run_until(&s, ms + 1000), 10);
		scale_report(&s, &idle, at_ms(ms + 1000));
		assert_int_equal(run_until(&s, ms + IDLE_MS / 2 - 1), 10);
	}
}

static void
growth_stays_for_idle_timeout(void **state)
{
	/* Tasks wait though threads are idle: more processes help no task. */
	const struct scale_load odd = {
	    .ready = 1, .oldest_ms = 500, .busy = 0, .threads = 4};
	struct scale s;

	(void)state;
	start(&s, 1, 20, 1);
	scale_report(&s, &odd, at_ms(0));
	assert_int_equal(scale_target(&s, at_ms(0)), 2);
	scale_report(&s, &idle, at_ms(600));
	assert_int_equal(run_until(&s, IDLE_MS - 1), 2);
	assert_int_equal(run_until(&s, 2 * IDLE_MS), 1);
}

static void
move_by_hand_stays_within_bounds_and_lasts(void **state)
{
	struct scale s;

	(void)state;
	start(&s, 2, 8, 2);
	assert_int_equal(scale_move(&s, 6, at_ms(1000)), 6);
	assert_int_equal(run_until(&s, IDLE_MS), 6);
	assert_int_equal(run_until(&s, 3 * IDLE_MS), 2);
	assert_int_equal(scale_move(&s, 100, at_ms(4 * IDLE_MS)), 8);
	assert_int_equal(scale_move(&s, 0, at_ms(4 * IDLE_MS)), 2);
}

static void
new_bounds_hold_at_once(void **state)
{
	struct scale_settings settings = {
	    .min = 3, .max = 5, .threads = THREADS, .idle_timeout_ms = IDLE_MS};
	struct scale s;

	(void)state;
	start(&s, 1, 10, 8);
	scale_set(&s, &settings, at_ms(10));
	assert_int_equal(scale_target(&s, at_ms(10)), 5);
	settings.min = settings.max = 7;
	scale_set(&s, &settings, at_ms(20));
	assert_int_equal(scale_target(&s, at_ms(20)), 7);
	assert_int_equal(press(&s, 5000, 7), 7);
}

static void
late_loop_shrinks_by_one_only(void **state)
{
	struct scale s;

	(void)state;
	start(&s, 1, 10, 8);
	assert_int_equal(scale_target(&s, at_ms(1000 * IDLE_MS)), 7);
	assert_int_equal(scale_target(&s, at_ms(1000 * IDLE_MS)), 7);
}

static void
zero_idle_timeout_shrinks_a_process_a_second(void **state)
{
	const struct scale_settings settings = {
	    .min = 1, .max = 8, .threads = THREADS, .idle_timeout_ms = 0};
	struct scale s;

	(void)state;
	scale_init(&s, &settings, 8, at_ms(0));
	assert_int_equal(run_until(&s, 500), 7);
	assert_int_equal(run_until(&s, 7000), 1);
}

static uint32_t
next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static void
any_load_stays_in_bounds_and_comes_to_rest(void **state)
{
	struct scale_load load;
	struct scale s;
	uint32_t seed;
	unsigned min, max, n, i;
	int64_t ms;

	(void)state;
	for (seed = 1; seed < 300; seed++) {
		uint32_t r = seed;

		min = 1 + next_random(&r) % 5;
		max = min + next_random(&r) % 60;
		start(&s, min, max, next_random(&r) % 70);
		for (i = 0, ms = 0; i < 400; i++) {
			ms += next_random(&r) % 2000;
			load.ready = next_random(&r) % 50;
			load.oldest_ms = next_random(&r) % 300;
			load.threads = next_random(&r) % 300;
			load.busy = next_random(&r) % (load.threads + 1);
			scale_report(&s, &load, at_ms(ms));
			n = scale_target(&s, at_ms(ms));
			assert_in_range(n, min, max);
			if (next_random(&r) % 30 == 0)
				n = scale_move(
				    &s, next_random(&r) % 80, at_ms(ms));
			assert_in_range(n, min, max);
		}
		scale_report(&s, &idle, at_ms(ms));
		n = run_until(&s, ms + 2 * IDLE_MS + (max - min) * 1000);
		assert_int_equal(n, min);
	}
}

static void
endless_load_reaches_max_in_bounded_time(void **state)
{
	struct scale s;
	unsigned max, n;
	int64_t ms;

	(void)state;
	for (max = 1; max <= 1024; max = max * 3 + 1) {
		start(&s, 1, max, 1);
		n = 1;
		for (ms = 0; ms <= (6 + (int64_t)max / 32) * 1000;
		     ms += REPORT_MS)
			n = press(&s, ms, n);
		assert_int_equal(n, max);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pool_grows_in_doubled_steps_a_second_apart),
	    cmocka_unit_test(old_report_makes_no_second_step),
	    cmocka_unit_test(report_within_the_second_counts_at_its_end),
	    cmocka_unit_test(steps_start_over_when_pressure_stops),
	    cmocka_unit_test(short_waiting_needs_two_full_reports),
	    cmocka_unit_test(few_tasks_bring_few_processes),
	    cmocka_unit_test(processes_on_their_way_count_as_help),
	    cmocka_unit_test(pool_without_any_process_up_does_not_grow),
	    cmocka_unit_test(idle_pool_shrinks_to_min_after_idle_timeout),
	    cmocka_unit_test(busy_threads_keep_their_processes),
	    cmocka_unit_test(load_that_comes_and_goes_moves_nothing),
	    cmocka_unit_test(growth_stays_for_idle_timeout),
	    cmocka_unit_test(move_by_hand_stays_within_bounds_and_lasts),
	    cmocka_unit_test(new_bounds_hold_at_once),
	    cmocka_unit_test(late_loop_shrinks_by_one_only),
	    cmocka_unit_test(zero_idle_timeout_shrinks_a_process_a_second),
	    cmocka_unit_test(any_load_stays_in_bounds_and_comes_to_rest),
	    cmocka_unit_test(endless_load_reaches_max_in_bounded_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
