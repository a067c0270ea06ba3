/* SPDX-License-Identifier: ISC */
/* LINK: master/broker/ready.c master/broker/task.c master/broker/delay.c
 *	ipc/clock.c */
/*
 * test_ready.c - the order of tasks that wait, also against a simple model
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "master/broker/ready.h"

static uint64_t last_seq;

static struct task *
make(uint64_t id, uint8_t priority)
{
	struct task *t = task_new(id);

	assert_non_null(t);
	t->priority = priority;
	t->seq = ++last_seq;
	return t;
}

static void
pop_is(struct ready *r, uint64_t id)
{
	struct task *t;

	assert_int_equal(ready_peek(r, 0)->id, id);
	t = ready_pop(r, 0);
	assert_int_equal(t->id, id);
	assert_int_equal(t->place, TASK_NOWHERE);
	task_unref(t);
}

static void
ready_pops_in_the_order_of_pushes(void **state)
{
	struct ready r;
	uint64_t i;

	(void)state;
	ready_init(&r);
	assert_null(ready_pop(&r, 0));
	for (i = 1; i <= 5; i++)
		ready_push(&r, make(i, 5));
	for (i = 1; i <= 5; i++)
		pop_is(&r, i);
	assert_null(ready_pop(&r, 0));
	assert_int_equal(r.n, 0);
}

static void
ready_pops_higher_priorities_first(void **state)
{
	struct ready r;

	(void)state;
	ready_init(&r);
	ready_push(&r, make(1, 0));
	ready_push(&r, make(2, 9));
	ready_push(&r, make(3, 5));
	ready_push(&r, make(4, 9));
	pop_is(&r, 2);
	pop_is(&r, 4);
	pop_is(&r, 3);
	pop_is(&r, 1);
}

static void
ready_restore_puts_a_task_back_before_younger_ones(void **state)
{
	struct task *a, *b, *c;
	struct ready r;

	(void)state;
	ready_init(&r);
	a = make(1, 5);
	b = make(2, 5);
	c = make(3, 5);
	ready_push(&r, c);
	ready_restore(&r, b);
	ready_restore(&r, a);
	pop_is(&r, 1);
	pop_is(&r, 2);
	pop_is(&r, 3);
}

static void
ready_remove_takes_one_out_of_the_middle(void **state)
{
	struct task *b;
	struct ready r;

	(void)state;
	ready_init(&r);
	ready_push(&r, make(1, 5));
	b = make(2, 5);
	ready_push(&r, b);
	ready_push(&r, make(3, 5));
	ready_remove(&r, b);
	task_unref(b);
	pop_is(&r, 1);
	pop_is(&r, 3);
	assert_null(ready_peek(&r, 0));
}

#define SECOND INT64_C(1000000000)
#define AGE_MS 1000

static struct task *
make_at(uint64_t id, uint8_t priority, int64_t ready_ns)
{
	struct task *t = make(id, priority);

	t->ready_at.ns = ready_ns;
	return t;
}

static void
ready_without_ageing_ignores_who_has_waited_how_long(void **state)
{
	struct ready r;

	(void)state;
	ready_init(&r);
	ready_push(&r, make_at(1, 0, 0));
	ready_push(&r, make_at(2, 1, 1000 * SECOND));
	pop_is(&r, 2);
	pop_is(&r, 1);
}

static void
ready_waiting_is_worth_a_priority_for_each_age(void **state)
{
	struct task *t;
	struct ready r;

	(void)state;
	ready_init(&r);
	ready_push(&r, make_at(1, 4, 0));
	ready_push(&r, make_at(2, 5, SECOND - 1)); /* just ahead of 1 */
	ready_push(&r, make_at(3, 9, 5 * SECOND)); /* beside 1, but urgent */
	ready_push(&r, make_at(4, 9, 5 * SECOND + 1));
	t = ready_pop(&r, AGE_MS);
	assert_int_equal(t->id, 2);
	task_unref(t);
	t = ready_pop(&r, AGE_MS);
	assert_int_equal(t->id, 3);
	task_unref(t);
	t = ready_pop(&r, AGE_MS);
	assert_int_equal(t->id, 1);
	task_unref(t);
	t = ready_pop(&r, AGE_MS);
	assert_int_equal(t->id, 4);
	task_unref(t);
}

/* Ten urgent tasks come in a second, and ten tasks a second are run. */
static void
ready_lowest_priority_runs_in_nine_ages_under_an_endless_stream(void **state)
{
	int64_t now = 0;
	uint64_t id = 1;
	struct task *t;
	struct ready r;

	(void)state;
	ready_init(&r);
	ready_push(&r, make_at(id++, 9, now));
	ready_push(&r, make_at(1000000, 0, now));
	for (;;) {
		now += SECOND / 10;
		ready_push(&r, make_at(id++, 9, now));
		/* Strictly by priority its turn never comes. */
		assert_int_not_equal(ready_peek(&r, 0)->id, 1000000);
		t = ready_pop(&r, AGE_MS);
		if (t->id == 1000000)
			break;
		task_unref(t);
		assert_in_range(now, 0, 9 * SECOND + SECOND / 5);
	}
	/* One was before it, and one of equal age goes first. */
	assert_in_range(now, 9 * SECOND, 9 * SECOND + SECOND / 5);
	task_unref(t);
	while ((t = ready_pop(&r, AGE_MS)) != NULL)
		task_unref(t);
}

static void
ready_gives_nothing_beyond_a_limit(void **state)
{
	struct task *high, *low;
	struct ready r;

	(void)state;
	ready_init(&r);
	low = make_at(1, 0, 0);
	high = make_at(2, 9, 0);
	ready_push(&r, low);
	ready_push(&r, high);
	r.limit[9] = high->seq - 1;
	/* Nor a lower one instead. */
	assert_null(ready_peek(&r, 0));
	assert_null(ready_peek(&r, AGE_MS));
	r.limit[9] = high->seq;
	r.limit[0] = 0;
	assert_ptr_equal(ready_peek(&r, 0), high);
	assert_ptr_equal(ready_peek(&r, AGE_MS), high);
	ready_remove(&r, high);
	assert_null(ready_peek(&r, 0));
	r.limit[0] = low->seq;
	assert_ptr_equal(ready_peek(&r, 0), low);
	/* One of a higher priority is on disk. */
	r.more = 1u << 9;
	assert_null(ready_peek(&r, 0));
	assert_null(ready_peek(&r, AGE_MS));
	r.more = 1u << 0;
	assert_ptr_equal(ready_peek(&r, AGE_MS), low);
	task_unref(low);
	task_unref(high);
}

static void
ready_longest_age_does_not_overflow(void **state)
{
	struct task *a, *b;

	(void)state;
	a = make_at(1, 0, INT64_C(3650) * 86400 * SECOND);
	b = make_at(2, 9, INT64_C(3650) * 86400 * SECOND);
	assert_true(ready_is_before(b, a, READY_AGE_MAX_MS));
	assert_false(ready_is_before(a, b, READY_AGE_MAX_MS));
	task_unref(a);
	task_unref(b);
}

#define MODEL_MAX 64

/* What should come next: highest priority, then lowest seq. */
static size_t
model_next(struct task *const *model, size_t n)
{
	size_t best = 0, i;

	for (i = 1; i < n; i++)
		if (model[i]->priority > model[best]->priority ||
		    (model[i]->priority == model[best]->priority &&
			model[i]->seq < model[best]->seq))
			best = i;
	return best;
}

static void
ready_behaves_as_the_model_under_random_use(void **state)
{
	struct task *model[MODEL_MAX], *t;
	unsigned step, seed = 12345;
	struct ready r;
	size_t n = 0, at;

	(void)state;
	ready_init(&r);
	for (step = 0; step < 20000; step++) {
		seed = seed * 1103515245u + 12345u;
		switch (seed >> 16 & 3) {
		case 0:
		case 1:
			if (n == MODEL_MAX)
				break;
			model[n] = make(step + 1, (uint8_t)((seed >> 20) % 10));
			ready_push(&r, model[n++]);
			break;
		case 2:
			if (n == 0)
				break;
			at = model_next(model, n);
			t = ready_pop(&r, 0);
			assert_ptr_equal(t, model[at]);
			/* Half of them come back, as from a dead worker. */
			if (seed >> 24 & 1) {
				ready_restore(&r, t);
			} else {
				model[at] = model[--n];
				task_unref(t);
			}
			break;
		default:
			if (n == 0)
				break;
			at = (seed >> 20) % n;
			ready_remove(&r, model[at]);
			task_unref(model[at]);
			model[at] = model[--n];
		}
		assert_int_equal(r.n, n);
	}
	while (n > 0) {
		at = model_next(model, n);
		t = ready_pop(&r, 0);
		assert_ptr_equal(t, model[at]);
		model[at] = model[--n];
		task_unref(t);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ready_pops_in_the_order_of_pushes),
	    cmocka_unit_test(ready_pops_higher_priorities_first),
	    cmocka_unit_test(
		ready_restore_puts_a_task_back_before_younger_ones),
	    cmocka_unit_test(ready_remove_takes_one_out_of_the_middle),
	    cmocka_unit_test(
		ready_without_ageing_ignores_who_has_waited_how_long),
	    cmocka_unit_test(ready_waiting_is_worth_a_priority_for_each_age),
	    cmocka_unit_test(
		ready_lowest_priority_runs_in_nine_ages_under_an_endless_stream),
	    cmocka_unit_test(ready_gives_nothing_beyond_a_limit),
	    cmocka_unit_test(ready_longest_age_does_not_overflow),
	    cmocka_unit_test(ready_behaves_as_the_model_under_random_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
