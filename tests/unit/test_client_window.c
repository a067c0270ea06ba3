/* SPDX-License-Identifier: ISC */
/* LINK: ipc/client/cli/window.c ipc/client/cli/flight.c */
/*
 * test_client_window.c - the order of results, and the calls under way
 */
#include "ipc/client/cli/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/client/cli/flight.h"

static void
put(struct window *w, uint64_t n)
{
	char text[32];

	snprintf(text, sizeof(text), "t%ju", (uintmax_t)n);
	window_put(w, n, strdup(text), strlen(text));
}

/* Pop all that is there; returns how many, each in its turn from `from` on. */
static uint64_t
pop_from(struct window *w, uint64_t from)
{
	char want[32], *text;
	size_t len;
	uint64_t n;

	for (n = from; (text = window_pop(w, &len)) != NULL; n++) {
		snprintf(want, sizeof(want), "t%ju", (uintmax_t)n);
		assert_int_equal(len, strlen(want));
		assert_memory_equal(text, want, len);
		free(text);
	}
	return n - from;
}

static void
window_gives_every_order_back_in_order(void **state)
{
	/* All orders of four, each put at the place that its digit names. */
	static const char *const orders[] = {"0123", "0132", "0213", "0231",
	    "0312", "0321", "1023", "1032", "1203", "1230", "1302", "1320",
	    "2013", "2031", "2103", "2130", "2301", "2310", "3012", "3021",
	    "3102", "3120", "3201", "3210"};
	struct window w;
	uint64_t popped;
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		assert_int_equal(window_init(&w, 4), 0);
		for (j = 0, popped = 0; j < 4; j++) {
			put(&w, (uint64_t)(orders[i][j] - '0'));
			popped += pop_from(&w, popped);
		}
		assert_int_equal(popped, 4);
		assert_int_equal(w.bytes, 0);
		window_done(&w);
	}
}

static void
window_holds_no_more_than_its_slots(void **state)
{
	struct window w;

	(void)state;
	assert_int_equal(window_init(&w, 3), 0);
	assert_true(window_has(&w, 2));
	assert_false(window_has(&w, 3));
	put(&w, 0);
	assert_int_equal(pop_from(&w, 0), 1);
	assert_true(window_has(&w, 3));
	assert_false(window_has(&w, 0));
	window_done(&w);
}

static void
window_goes_on_behind_one_that_was_passed(void **state)
{
	struct window w;

	(void)state;
	assert_int_equal(window_init(&w, 4), 0);
	put(&w, 1);
	put(&w, 2);
	assert_int_equal(pop_from(&w, 0), 0);
	window_pass(&w);
	assert_int_equal(pop_from(&w, 1), 2);
	window_done(&w);
}

static void
window_counts_and_frees_what_it_holds(void **state)
{
	struct window w;

	(void)state;
	assert_int_equal(window_init(&w, 4), 0);
	put(&w, 1);
	put(&w, 3);
	assert_int_equal(w.bytes, 4);
	window_done(&w);
}

static void
window_runs_on_for_long(void **state)
{
	struct window w;
	uint64_t n, popped;

	(void)state;
	assert_int_equal(window_init(&w, 5), 0);
	for (n = popped = 0; n < 1000; n += 2) {
		put(&w, n + 1);
		assert_int_equal(pop_from(&w, popped), 0);
		put(&w, n);
		popped += pop_from(&w, popped);
	}
	assert_int_equal(popped, 1000);
	window_done(&w);
}

static void
flight_finds_each_line_once(void **state)
{
	struct flight_line line = {0}, found;
	struct flight f;
	uint64_t id;

	(void)state;
	assert_int_equal(flight_init(&f, 50), 0);
	for (id = 1; id <= 50; id++) {
		line.seq = id * 2;
		line.number = id;
		flight_add(&f, id, &line);
	}
	assert_int_equal(f.n, f.max);
	for (id = 50; id >= 1; id--) {
		assert_true(flight_take(&f, id, &found));
		assert_int_equal(found.seq, id * 2);
		assert_int_equal(found.number, id);
		assert_false(flight_take(&f, id, &found));
	}
	assert_int_equal(f.n, 0);
	flight_done(&f);
}

static void
flight_takes_new_ones_while_one_is_stuck(void **state)
{
	struct flight_line line = {0}, found;
	struct flight f;
	uint64_t id;

	(void)state;
	assert_int_equal(flight_init(&f, 2), 0);
	flight_add(&f, 1, &line);
	for (id = 2; id < 1000; id++) {
		line.seq = id;
		flight_add(&f, id, &line);
		assert_true(flight_take(&f, id, &found));
		assert_int_equal(found.seq, id);
	}
	assert_true(flight_take(&f, 1, &found));
	assert_int_equal(found.seq, 0);
	flight_done(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(window_gives_every_order_back_in_order),
	    cmocka_unit_test(window_holds_no_more_than_its_slots),
	    cmocka_unit_test(window_goes_on_behind_one_that_was_passed),
	    cmocka_unit_test(window_counts_and_frees_what_it_holds),
	    cmocka_unit_test(window_runs_on_for_long),
	    cmocka_unit_test(flight_finds_each_line_once),
	    cmocka_unit_test(flight_takes_new_ones_while_one_is_stuck),
	};

	return cmocka_run_group_tests_name("client_window", tests, NULL, NULL);
}
