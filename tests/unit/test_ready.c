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

	assert_int_equal(ready_peek(r)->id, id);
	t = ready_pop(r);
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
	assert_null(ready_pop(&r));
	for (i = 1; i <= 5; i++)
		ready_push(&r, make(i, 5));
	for (i = 1; i <= 5; i++)
		pop_is(&r, i);
	assert_null(ready_pop(&r));
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
	assert_null(ready_peek(&r));
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
			t = ready_pop(&r);
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
		t = ready_pop(&r);
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
	    cmocka_unit_test(ready_behaves_as_the_model_under_random_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
