/* SPDX-License-Identifier: ISC */
/* LINK: master/broker/catalog.c master/broker/ready.c master/broker/task.c
 *	master/broker/delay.c ipc/clock.c ipc/buf.c ipc/json.c */
/*
 * test_catalog.c - which pool may run what, and what comes next in a queue
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "master/broker/catalog.h"

static const struct broker_queue_settings queues[] = {
    {"mail", 5, 3, 0, 0}, {"default", 5, 3, 0, 0}, {"other", 5, 3, 0, 0}};
static const struct broker_queue_ref both_refs[] = {{1, 1}, {0, 2}};
static const struct broker_queue_ref mail_refs[] = {{0, 1}};
static const char *const names_a[] = {"echo", "sort"};
static const char *const names_b[] = {"echo", "send"};
static const char *const commands_b[] = {"send"};
static const struct broker_pool_settings pools[] = {
    {.name = "a",
	.refs = both_refs,
	.n_refs = 2,
	.names = names_a,
	.n_names = 2},
    {.name = "b",
	.refs = mail_refs,
	.n_refs = 1,
	.names = names_b,
	.n_names = 2,
	.commands = commands_b,
	.n_commands = 1},
};
static const struct broker_settings settings = {
    .pools = pools, .n_pools = 2, .queues = queues, .n_queues = 3};

static int
set_up(void **state)
{
	struct catalog *c = calloc(1, sizeof(*c));

	*state = c;
	return catalog_init(c, &settings);
}

static int
tear_down(void **state)
{
	catalog_done(*state);
	free(*state);
	return 0;
}

static void
catalog_knows_who_runs_a_name(void **state)
{
	struct catalog *c = *state;

	assert_int_equal(c->n_kinds, 3);
	assert_int_equal(catalog_find_kind(c, "echo")->crews, 3);
	assert_int_equal(catalog_find_kind(c, "sort")->crews, 1);
	assert_int_equal(catalog_find_kind(c, "send")->crews, 2);
	assert_int_equal(catalog_find_kind(c, "send")->commands, 2);
	assert_int_equal(catalog_find_kind(c, "echo")->commands, 0);
	assert_null(catalog_find_kind(c, "ech"));
	assert_null(catalog_find_kind(c, ""));
}

static void
catalog_usual_queue_is_default_where_it_can_be(void **state)
{
	struct catalog *c = *state;

	assert_string_equal(catalog_usual_queue(c, catalog_find_kind(c, "echo"))
				->settings->name,
	    "default");
	assert_string_equal(catalog_usual_queue(c, catalog_find_kind(c, "send"))
				->settings->name,
	    "mail");
}

static void
catalog_refuses_a_name_that_no_pool_runs_from_the_queue(void **state)
{
	struct catalog *c = *state;
	struct lane *lane = NULL;

	assert_int_equal(catalog_lane(catalog_find_queue(c, "default"),
			     catalog_find_kind(c, "send"), &lane),
	    -ENOENT);
	assert_int_equal(catalog_lane(catalog_find_queue(c, "other"),
			     catalog_find_kind(c, "echo"), &lane),
	    -ENOENT);
	assert_null(lane);
}

static struct task *
enter(struct catalog *c, const char *queue, const char *name, uint8_t priority)
{
	static uint64_t seq;
	struct task *t = task_new(++seq);

	t->kind = catalog_find_kind(c, name);
	t->queue = catalog_find_queue(c, queue);
	t->priority = priority;
	t->seq = seq;
	assert_int_equal(catalog_lane(t->queue, t->kind, &t->lane), 0);
	ready_push(&t->lane->ready, t);
	return t;
}

static void
leave(struct task *t)
{
	ready_remove(&t->lane->ready, t);
	task_unref(t);
}

static void
queue_peek_passes_over_what_a_pool_does_not_know(void **state)
{
	struct catalog *c = *state;
	struct queue *mail = catalog_find_queue(c, "mail");
	struct task *send = enter(c, "mail", "send", 5);
	struct task *sort = enter(c, "mail", "sort", 5);
	struct task *echo = enter(c, "mail", "echo", 5);

	/* Pool a (0) does not know send, pool b (1) does not know sort. */
	assert_ptr_equal(queue_peek(mail, 0), sort);
	assert_ptr_equal(queue_peek(mail, 1), send);
	leave(send);
	assert_ptr_equal(queue_peek(mail, 1), echo);
	leave(sort);
	assert_ptr_equal(queue_peek(mail, 0), echo);
	leave(echo);
	assert_null(queue_peek(mail, 0));
}

static void
queue_peek_keeps_the_order_across_lanes(void **state)
{
	struct catalog *c = *state;
	struct queue *mail = catalog_find_queue(c, "mail");
	struct task *first = enter(c, "mail", "echo", 5);
	struct task *second = enter(c, "mail", "sort", 5);
	struct task *urgent = enter(c, "mail", "sort", 6);

	assert_ptr_equal(queue_peek(mail, 0), urgent);
	leave(urgent);
	assert_ptr_equal(queue_peek(mail, 0), first);
	leave(first);
	assert_ptr_equal(queue_peek(mail, 0), second);
	leave(second);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(catalog_knows_who_runs_a_name),
	    TEST(catalog_usual_queue_is_default_where_it_can_be),
	    TEST(catalog_refuses_a_name_that_no_pool_runs_from_the_queue),
	    TEST(queue_peek_passes_over_what_a_pool_does_not_know),
	    TEST(queue_peek_keeps_the_order_across_lanes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
