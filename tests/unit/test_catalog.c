/* SPDX-License-Identifier: ISC */
/* LINK: master/broker/catalog.c master/broker/settings.c master/broker/rate.c
 *	master/broker/ready.c master/broker/task.c master/broker/delay.c
 *ipc/clock.c ipc/buf.c ipc/json.c */
/*
 * test_catalog.c - who may run what, and what comes next in a queue
 *
 * Pool a is shift 0 and takes from default and mail, pool b is shift 1 and
 * takes from mail alone.
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

static const char text[] =
    "{\"queues\":[{\"name\":\"mail\",\"priority\":7},{\"name\":\"default\"},"
    "{\"name\":\"other\"}],\"pools\":["
    "{\"name\":\"a\",\"names\":[\"echo\",\"sort\"]},"
    "{\"name\":\"b\",\"names\":[\"echo\",\"send\"],"
    "\"commands\":[\"send\"]}]}";

static const struct mono now = {.ns = 1000000000};

struct fixture {
	struct catalog catalog;
	struct broker_settings *settings;
};

static void
load(struct catalog *c, struct broker_settings **settings, const char *json)
{
	char why[SETTINGS_WHY_SIZE];
	struct broker_settings *s;
	struct catalog_stage st;

	assert_int_equal(settings_load(json, strlen(json), &s, why), 0);
	assert_int_equal(catalog_stage(c, s, &st), 0);
	catalog_clear_next(c, &st);
	catalog_commit_stage(c, &st, s, now);
	settings_unref(*settings);
	*settings = s;
}

/* Let the next sets say that a shift knows a name, and takes from a queue. */
static void
knows(struct catalog *c, unsigned shift, const char *name)
{
	catalog_find_kind(c, name)->next_shifts |= SHIFT_BIT(shift);
}

static void
takes(struct catalog *c, unsigned shift, const char *queue)
{
	catalog_find_any_queue(c, queue)->next_shifts |= SHIFT_BIT(shift);
}

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct catalog *c = &f->catalog;

	*state = f;
	catalog_init(c);
	load(c, &f->settings, text);
	c->next_main = SHIFT_BIT(0) | SHIFT_BIT(1);
	knows(c, 0, "echo");
	knows(c, 0, "sort");
	knows(c, 1, "echo");
	knows(c, 1, "send");
	takes(c, 0, "default");
	takes(c, 0, "mail");
	takes(c, 1, "mail");
	catalog_commit_next(c);
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	catalog_done(&f->catalog);
	settings_unref(f->settings);
	free(f);
	return 0;
}

static void
catalog_finds_names_and_queues(void **state)
{
	struct catalog *c = *state;

	assert_int_equal(c->n_kinds, 3);
	assert_string_equal(catalog_find_kind(c, "echo")->name, "echo");
	assert_null(catalog_find_kind(c, "ech"));
	assert_null(catalog_find_kind(c, ""));
	assert_int_equal(catalog_find_queue(c, "mail")->settings->priority, 7);
	assert_null(catalog_find_queue(c, "mai"));
}

static void
catalog_usual_queue_is_default_where_it_can_be(void **state)
{
	struct catalog *c = *state;

	assert_string_equal(
	    catalog_usual_queue(c, catalog_find_kind(c, "echo"))->name,
	    "default");
	assert_string_equal(
	    catalog_usual_queue(c, catalog_find_kind(c, "send"))->name, "mail");
}

static void
catalog_refuses_a_name_that_no_pool_runs_from_the_queue(void **state)
{
	struct catalog *c = *state;
	struct lane *lane = NULL;

	assert_int_equal(catalog_lane(c, catalog_find_queue(c, "default"),
			     catalog_find_kind(c, "send"), &lane),
	    -ENOENT);
	assert_int_equal(catalog_lane(c, catalog_find_queue(c, "other"),
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
	assert_int_equal(catalog_lane(c, t->queue, t->kind, &t->lane), 0);
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
queue_peek_passes_over_what_a_shift_does_not_know(void **state)
{
	struct catalog *c = *state;
	struct queue *mail = catalog_find_queue(c, "mail");
	struct task *send = enter(c, "mail", "send", 5);
	struct task *sort = enter(c, "mail", "sort", 5);
	struct task *echo = enter(c, "mail", "echo", 5);

	/* Shift 0 does not know send, 1 does not know sort. */
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

/* Stage and commit the lanes for tasks, by the next sets. */
static void
move(struct catalog *c, struct task *const *tasks, size_t n)
{
	struct catalog_stage st = catalog_as_stage(c);
	size_t i;

	assert_true(catalog_has_changed(c, &st));
	for (i = 0; i < n; i++)
		assert_int_equal(
		    catalog_stage_lane(c, tasks[i]->queue, tasks[i]->kind), 0);
	catalog_commit_next(c);
	catalog_commit_lanes(c);
	assert_false(catalog_has_changed(c, &st));
}

static void
catalog_commit_lanes_keeps_the_order(void **state)
{
	struct catalog *c = *state;
	struct queue *mail = catalog_find_queue(c, "mail");
	struct catalog_stage st = catalog_as_stage(c);
	struct task *tasks[60], *t;
	static const char *const names[] = {"echo", "sort", "send"};
	size_t i;

	for (i = 0; i < 60; i++)
		tasks[i] = enter(c, "mail", names[i % 3], (uint8_t)(i / 20));
	/* A third shift knows all of it, the others nothing any more. */
	catalog_clear_next(c, &st);
	for (i = 0; i < 3; i++)
		knows(c, 2, names[i]);
	takes(c, 2, "mail");
	move(c, tasks, 60);
	assert_null(queue_peek(mail, 0));
	assert_null(queue_peek(mail, 1));
	for (i = 0; i < 60; i++) {
		t = queue_peek(mail, 2);
		assert_ptr_equal(t, tasks[(2 - i / 20) * 20 + i % 20]);
		leave(t);
	}
}

static void
catalog_leaves_to_the_old_only_what_nobody_else_can_run(void **state)
{
	struct catalog *c = *state;
	struct queue *mail = catalog_find_queue(c, "mail");
	struct catalog_stage st = catalog_as_stage(c);
	struct task *tasks[] = {
	    enter(c, "mail", "echo", 5), enter(c, "mail", "sort", 5)};

	/* Shift 0 is of a pool that leaves. */
	catalog_clear_next(c, &st);
	c->next_main = SHIFT_BIT(1);
	c->next_leaving = SHIFT_BIT(0);
	knows(c, 0, "echo");
	knows(c, 0, "sort");
	knows(c, 1, "echo");
	takes(c, 0, "mail");
	takes(c, 1, "mail");
	move(c, tasks, 2);
	assert_ptr_equal(queue_peek(mail, 0), tasks[1]);
	assert_ptr_equal(queue_peek(mail, 1), tasks[0]);
	/* Nothing new comes for it. */
	assert_int_equal(
	    catalog_lane(c, mail, tasks[1]->kind, &tasks[1]->lane), -ENOENT);
	assert_false(catalog_has_kind(c, tasks[1]->kind));
	leave(tasks[0]);
	leave(tasks[1]);
}

static void
catalog_keeps_what_nobody_can_run_until_somebody_can(void **state)
{
	struct catalog *c = *state;
	struct queue *mail = catalog_find_queue(c, "mail");
	struct catalog_stage st = catalog_as_stage(c);
	struct task *t = enter(c, "mail", "send", 5);

	t->lane->n_live = 1;
	assert_true(catalog_needs_shift(c, 1));
	assert_false(catalog_needs_shift(c, 0));
	catalog_forget_shift(c, 1);
	assert_null(queue_peek(mail, 1));
	assert_true(c->stale);
	catalog_clear_next(c, &st);
	knows(c, 3, "send");
	takes(c, 3, "mail");
	move(c, &t, 1);
	assert_ptr_equal(queue_peek(mail, 3), t);
	leave(t);
}

static void
catalog_keeps_a_queue_that_is_gone_with_its_settings(void **state)
{
	struct fixture *f = *state;
	struct catalog *c = &f->catalog;
	struct queue *mail = catalog_find_queue(c, "mail");
	struct kind *send = catalog_find_kind(c, "send");

	mail->count.succeeded = 12;
	load(c, &f->settings, "{\"queues\":[{\"name\":\"new\"}]}");
	assert_null(catalog_find_queue(c, "mail"));
	assert_ptr_equal(catalog_find_any_queue(c, "mail"), mail);
	assert_true(mail->leaving);
	assert_string_equal(mail->settings->name, "mail");
	assert_int_equal(mail->settings->priority, 7);
	assert_ptr_equal(catalog_find_kind(c, "send"), send);
	load(c, &f->settings,
	    "{\"queues\":[{\"name\":\"mail\",\"priority\":3}]}");
	assert_ptr_equal(catalog_find_queue(c, "mail"), mail);
	assert_false(mail->leaving);
	assert_int_equal(mail->settings->priority, 3);
	assert_int_equal(mail->count.succeeded, 12);
	assert_int_equal(c->n_all_queues, 4);
}

static void
catalog_unstage_leaves_all_as_it_was(void **state)
{
	struct fixture *f = *state;
	struct catalog *c = &f->catalog;
	struct broker_settings *s = NULL;
	struct catalog_stage st;
	char why[SETTINGS_WHY_SIZE];
	static const char other[] =
	    "{\"queues\":[{\"name\":\"new\"}],\"pools\":[{\"name\":\"c\","
	    "\"names\":[\"fresh\",\"echo\"]}]}";

	assert_int_equal(settings_load(other, sizeof(other) - 1, &s, why), 0);
	assert_int_equal(catalog_stage(c, s, &st), 0);
	assert_non_null(catalog_stage_find_kind(&st, "fresh"));
	assert_int_equal(catalog_stage_lane(c, st.queues[0], st.kinds[0]), 0);
	catalog_unstage_lanes(&st);
	catalog_unstage(&st);
	settings_unref(s);
	assert_null(catalog_find_kind(c, "fresh"));
	assert_null(catalog_find_any_queue(c, "new"));
	assert_non_null(catalog_find_queue(c, "mail"));
}

static void
queue_is_closed_while_paused_or_at_its_limit(void **state)
{
	struct fixture *f = *state;
	struct queue *mail;

	load(&f->catalog, &f->settings,
	    "{\"queues\":[{\"name\":\"mail\",\"max_running\":2}]}");
	mail = catalog_find_queue(&f->catalog, "mail");
	mail->count.running = 1;
	assert_true(queue_is_open(mail));
	mail->paused = true;
	assert_false(queue_is_open(mail));
	mail->paused = false;
	mail->count.running = 2;
	assert_false(queue_is_open(mail));
	/* A reload changes it at once; without a limit it is always open. */
	load(&f->catalog, &f->settings,
	    "{\"queues\":[{\"name\":\"mail\",\"max_running\":3}]}");
	assert_true(queue_is_open(mail));
	load(&f->catalog, &f->settings, "{\"queues\":[{\"name\":\"mail\"}]}");
	mail->count.running = 1000000;
	assert_true(queue_is_open(mail));
}

static void
queue_rate_follows_the_settings(void **state)
{
	struct fixture *f = *state;
	struct queue *mail;

	load(&f->catalog, &f->settings,
	    "{\"queues\":[{\"name\":\"mail\",\"rate_count\":1,"
	    "\"rate_ms\":60000}]}");
	mail = catalog_find_queue(&f->catalog, "mail");
	rate_take(&mail->rate, now);
	assert_false(rate_take_ok(&mail->rate, now));
	/* One that leaves the settings keeps its limit. */
	load(&f->catalog, &f->settings, "{}");
	assert_false(rate_take_ok(&mail->rate, now));
	load(&f->catalog, &f->settings, "{\"queues\":[{\"name\":\"mail\"}]}");
	assert_true(rate_take_ok(&mail->rate, now));
}

static void
queue_peek_lets_tasks_age_across_lanes(void **state)
{
	struct fixture *f = *state;
	struct task *old, *urgent;
	struct queue *mail;

	mail = catalog_find_queue(&f->catalog, "mail");
	old = enter(&f->catalog, "mail", "sort", 0);
	urgent = enter(&f->catalog, "mail", "echo", 9);
	old->ready_at.ns = 0;
	urgent->ready_at.ns = 9 * INT64_C(1000000000);
	assert_ptr_equal(queue_peek(mail, 0), urgent);
	/* Nine seconds are nine priorities, and then who came first. */
	mail->age_ms = 1000;
	assert_ptr_equal(queue_peek(mail, 0), urgent);
	urgent->ready_at.ns++;
	assert_ptr_equal(queue_peek(mail, 0), old);
	leave(old);
	assert_ptr_equal(queue_peek(mail, 0), urgent);
	leave(urgent);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(catalog_finds_names_and_queues),
	    TEST(catalog_usual_queue_is_default_where_it_can_be),
	    TEST(catalog_refuses_a_name_that_no_pool_runs_from_the_queue),
	    TEST(queue_peek_passes_over_what_a_shift_does_not_know),
	    TEST(queue_peek_keeps_the_order_across_lanes),
	    TEST(queue_peek_lets_tasks_age_across_lanes),
	    TEST(queue_is_closed_while_paused_or_at_its_limit),
	    TEST(queue_rate_follows_the_settings),
	    TEST(catalog_commit_lanes_keeps_the_order),
	    TEST(catalog_leaves_to_the_old_only_what_nobody_else_can_run),
	    TEST(catalog_keeps_what_nobody_can_run_until_somebody_can),
	    TEST(catalog_keeps_a_queue_that_is_gone_with_its_settings),
	    TEST(catalog_unstage_leaves_all_as_it_was),
	};

	return cmocka_run_group_tests_name("catalog", tests, NULL, NULL);
}
