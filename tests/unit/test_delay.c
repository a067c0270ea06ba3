/* SPDX-License-Identifier: ISC */
/* LINK: master/broker/delay.c ipc/clock.c */
/*
 * test_delay.c - what falls due next, on a clock that the test owns
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "master/broker/delay.h"

static struct mono
at(int64_t ns)
{
	return (struct mono){ns};
}

static void
delay_pops_nothing_before_its_time(void **state)
{
	struct delay_node node;
	struct delay d;

	(void)state;
	delay_init(&d);
	delay_node_init(&node);
	assert_null(delay_pop(&d, at(INT64_MAX)));
	assert_int_equal(delay_set(&d, &node, at(100)), 0);
	assert_true(delay_holds(&node));
	assert_null(delay_pop(&d, at(99)));
	assert_ptr_equal(delay_pop(&d, at(100)), &node);
	assert_false(delay_holds(&node));
	assert_null(delay_peek(&d));
	delay_done(&d);
}

static void
delay_set_moves_a_node_that_is_in(void **state)
{
	struct delay_node a, b;
	struct delay d;

	(void)state;
	delay_init(&d);
	delay_node_init(&a);
	delay_node_init(&b);
	delay_set(&d, &a, at(10));
	delay_set(&d, &b, at(20));
	delay_set(&d, &a, at(30));
	assert_ptr_equal(delay_pop(&d, at(50)), &b);
	delay_set(&d, &b, at(40));
	delay_set(&d, &b, at(5));
	assert_ptr_equal(delay_pop(&d, at(50)), &b);
	assert_ptr_equal(delay_pop(&d, at(50)), &a);
	delay_done(&d);
}

static void
delay_remove_is_harmless_when_not_in(void **state)
{
	struct delay_node node;
	struct delay d;

	(void)state;
	delay_init(&d);
	delay_node_init(&node);
	delay_remove(&d, &node);
	delay_set(&d, &node, at(1));
	delay_remove(&d, &node);
	delay_remove(&d, &node);
	assert_int_equal(d.n, 0);
	delay_done(&d);
}

#define N 300

static void
delay_always_gives_the_earliest_of_a_random_set(void **state)
{
	struct delay_node nodes[N];
	unsigned step, i, seed = 99;
	struct delay d;

	(void)state;
	delay_init(&d);
	assert_int_equal(delay_reserve(&d, N), 0);
	for (i = 0; i < N; i++)
		delay_node_init(&nodes[i]);
	for (step = 0; step < 30000; step++) {
		struct delay_node *first = NULL;

		seed = seed * 1103515245u + 12345u;
		i = (seed >> 8) % N;
		if (seed >> 30 == 0)
			delay_remove(&d, &nodes[i]);
		else
			delay_set(&d, &nodes[i], at((int64_t)(seed >> 4)));
		if (step % 50 != 0)
			continue;
		for (i = 0; i < N; i++)
			if (delay_holds(&nodes[i]) &&
			    (first == NULL || nodes[i].due.ns < first->due.ns))
				first = &nodes[i];
		if (first == NULL)
			assert_null(delay_peek(&d));
		else
			assert_int_equal(delay_peek(&d)->due.ns, first->due.ns);
	}
	delay_done(&d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(delay_pops_nothing_before_its_time),
	    cmocka_unit_test(delay_set_moves_a_node_that_is_in),
	    cmocka_unit_test(delay_remove_is_harmless_when_not_in),
	    cmocka_unit_test(delay_always_gives_the_earliest_of_a_random_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
