/* SPDX-License-Identifier: ISC */
/* LINK: master/broker/crew.c master/broker/shift.c master/broker/skills.c
 *	master/broker/settings.c master/broker/rate.c
 *	master/broker/catalog.c master/broker/ready.c
 *	master/broker/task.c master/broker/delay.c ipc/clock.c ipc/buf.c
 *	ipc/json.c */
/*
 * test_crew.c - turns between a pool's queues, and which worker is next
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "master/broker/chan.h"
#include "master/broker/crew.h"

static const char text[] =
    "{\"queues\":[{\"name\":\"a\"},{\"name\":\"b\"}],\"pools\":["
    "{\"name\":\"p\",\"names\":[\"echo\"],\"queues\":["
    "{\"queue\":\"a\",\"weight\":3},{\"queue\":\"b\",\"weight\":1}]}]}";

struct fixture {
	struct broker_settings *settings;
	struct catalog catalog;
	struct crew *crew;
	struct shift *shift;
	uint64_t seq;
	struct mono now;
};

/* A crew of one shift, which knows echo and takes from both queues. */
static void
make_crew(struct fixture *f)
{
	const struct broker_pool_settings *p = &f->settings->pools[0];
	struct skills *skills =
	    skills_new(p->names, p->n_names, p->commands, p->n_commands);
	unsigned i;

	f->crew = crew_new(NULL, p->name);
	f->crew->settings = p;
	f->shift = f->crew->main = shift_new(f->crew, 0, skills);
	skills_unref(skills);
	TAILQ_INSERT_TAIL(&f->crew->shifts, f->shift, entry);
	f->crew->sources = calloc(p->n_refs, sizeof(*f->crew->sources));
	f->crew->n_sources = p->n_refs;
	for (i = 0; i < p->n_refs; i++) {
		f->crew->sources[i].queue = f->catalog.queues[i];
		f->crew->sources[i].weight = p->refs[i].weight;
		f->crew->sources[i].run_us = CREW_RUN_US;
		f->catalog.queues[i]->next_shifts = SHIFT_BIT(0);
	}
	f->catalog.kinds[0]->next_shifts = SHIFT_BIT(0);
	f->catalog.next_main = SHIFT_BIT(0);
	catalog_commit_next(&f->catalog);
}

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char why[SETTINGS_WHY_SIZE];
	struct catalog_stage st;

	*state = f;
	f->now.ns = INT64_C(1000) * 1000000000;
	catalog_init(&f->catalog);
	if (settings_load(text, sizeof(text) - 1, &f->settings, why) < 0 ||
	    catalog_stage(&f->catalog, f->settings, &st) < 0)
		return -1;
	catalog_commit_stage(&f->catalog, &st, f->settings, f->now);
	make_crew(f);
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;
	struct crew_source *source;
	struct task *t;

	f->now.ns += INT64_C(1000000000) * 86400;
	while ((t = crew_peek(f->shift, f->now, &source)) != NULL) {
		ready_remove(&t->lane->ready, t);
		task_unref(t);
	}
	crew_free(f->crew);
	catalog_done(&f->catalog);
	settings_unref(f->settings);
	free(f);
	return 0;
}

static void
fill(struct fixture *f, const char *queue, unsigned n)
{
	while (n-- > 0) {
		struct task *t = task_new(++f->seq);

		t->seq = f->seq;
		t->kind = catalog_find_kind(&f->catalog, "echo");
		t->queue = catalog_find_queue(&f->catalog, queue);
		assert_int_equal(
		    catalog_lane(&f->catalog, t->queue, t->kind, &t->lane), 0);
		ready_push(&t->lane->ready, t);
	}
}

/* Start the next task, which there is. */
static struct task *
start(struct fixture *f)
{
	struct crew_source *source;
	struct task *t;

	t = crew_peek(f->shift, f->now, &source);
	assert_non_null(t);
	crew_charge(f->crew, source, t, f->now);
	ready_remove(&t->lane->ready, t);
	return t;
}

/* Its run has taken us. */
static void
finish(struct fixture *f, struct task *t, int64_t us)
{
	f->now.ns = t->began.ns + us * 1000;
	crew_settle(f->crew, t, f->now);
	task_unref(t);
}

/* Run n tasks of 1 ms; returns how many were of the first queue. */
static unsigned
take(struct fixture *f, unsigned n)
{
	unsigned n_first = 0;
	struct task *t;

	while (n-- > 0) {
		t = start(f);
		n_first += t->queue == f->catalog.queues[0];
		finish(f, t, 1000);
	}
	return n_first;
}

static void
crew_shares_turns_by_weight(void **state)
{
	struct fixture *f = *state;

	fill(f, "a", 100);
	fill(f, "b", 100);
	assert_int_equal(take(f, 80), 60);
}

static void
crew_gives_all_turns_to_the_only_queue_with_work(void **state)
{
	struct fixture *f = *state;

	fill(f, "b", 10);
	assert_int_equal(take(f, 10), 0);
}

static void
crew_queue_that_was_empty_saves_up_no_turns(void **state)
{
	struct fixture *f = *state;

	fill(f, "b", 100);
	assert_int_equal(take(f, 50), 0);
	fill(f, "a", 100);
	/* 3 of 4 from now on, and not all of the next fifty. */
	assert_in_range(take(f, 40), 29, 31);
}

static void
crew_strict_order_starves_the_second_queue(void **state)
{
	struct fixture *f = *state;

	f->settings->pools[0].strict = true;
	fill(f, "b", 10);
	fill(f, "a", 10);
	assert_int_equal(take(f, 10), 10);
	assert_int_equal(take(f, 10), 0);
}

/*
 * Run n tasks on one thread, those of each queue taking that long; returns the
 * first queue's part of the time, in percent.
 */
static unsigned
share(struct fixture *f, unsigned n, int64_t a_us, int64_t b_us)
{
	int64_t spent_a = 0, spent_b = 0;
	struct task *t;

	while (n-- > 0) {
		t = start(f);
		if (t->queue == f->catalog.queues[0])
			spent_a += a_us;
		else
			spent_b += b_us;
		finish(f, t, t->queue == f->catalog.queues[0] ? a_us : b_us);
	}
	if (spent_a + spent_b == 0)
		return 0;
	return (unsigned)(spent_a * 100 / (spent_a + spent_b));
}

static void
crew_shares_run_time_by_weight_and_not_turns(void **state)
{
	struct fixture *f = *state;

	fill(f, "a", 5000);
	fill(f, "b", 5000);
	/* 3:1, whether the one has the long tasks or the other. */
	assert_in_range(share(f, 1000, 1000, 10000), 74, 76);
	assert_in_range(share(f, 1000, 10000, 1000), 74, 76);
	/* What the long tasks have left over is a lot of the short ones. */
	(void)share(f, 2000, 20, 20);
	assert_in_range(share(f, 1000, 20, 20), 74, 76);
}

static void
crew_shares_run_time_where_many_run_at_once(void **state)
{
	struct fixture *f = *state;
	struct task *running[8];
	int64_t spent[2] = {0, 0}, us;
	unsigned i, turn, of;

	fill(f, "a", 20000);
	fill(f, "b", 20000);
	for (i = 0; i < 8; i++)
		running[i] = start(f);
	/* Run times that vary, of which b's are ten times those of a. */
	for (turn = 0; turn < 10000; turn++) {
		i = turn % 8;
		of = running[i]->queue != f->catalog.queues[0];
		us = (of ? 10000 : 1000) * (1 + turn % 3);
		spent[of] += us;
		finish(f, running[i], us);
		running[i] = start(f);
	}
	for (i = 0; i < 8; i++)
		finish(f, running[i], 1);
	assert_in_range(spent[0] * 100 / (spent[0] + spent[1]), 72, 78);
}

static void
crew_estimate_follows_the_run_times(void **state)
{
	struct fixture *f = *state;
	struct crew_source *a = &f->crew->sources[0];

	fill(f, "a", 300);
	assert_int_equal(a->run_us, CREW_RUN_US);
	share(f, 100, 50000, 0);
	assert_in_range(a->run_us, 49000, 50000);
	share(f, 200, 100, 0);
	assert_in_range(a->run_us, 100, 110);
	/* A clock that stands makes no task free of charge. */
	fill(f, "a", 100);
	share(f, 99, 0, 0);
	assert_in_range(a->run_us, 1, 10);
}

static void
crew_queue_that_was_empty_is_owed_nothing_for_long_runs(void **state)
{
	struct fixture *f = *state;

	/* An hour of b alone, then both: a gets its part from now on only. */
	fill(f, "b", 400);
	assert_int_equal(share(f, 100, 0, 36000000), 0);
	fill(f, "a", 2000);
	assert_in_range(share(f, 400, 1000, 1000), 72, 78);
}

static void
crew_run_is_settled_once_and_only_if_it_was_charged(void **state)
{
	struct fixture *f = *state;
	struct crew_source *a = &f->crew->sources[0];
	struct task *t;
	uint64_t pass;

	fill(f, "a", 2);
	t = start(f);
	f->now.ns += 5000000;
	crew_settle(f->crew, t, f->now);
	pass = a->pass;
	crew_settle(f->crew, t, f->now);
	assert_int_equal(a->pass, pass);
	task_unref(t);
	/* Its queue is not the crew's any more. */
	t = start(f);
	a->queue = NULL;
	pass = a->pass;
	crew_settle(f->crew, t, f->now);
	assert_int_equal(a->pass, pass);
	a->queue = t->queue;
	task_unref(t);
}

static void
crew_passes_over_a_queue_that_is_closed(void **state)
{
	struct fixture *f = *state;
	struct queue *a = f->catalog.queues[0];

	f->settings->pools[0].strict = true;
	fill(f, "a", 2);
	fill(f, "b", 2);
	a->paused = true;
	assert_int_equal(take(f, 1), 0);
	a->paused = false;
	f->settings->queues[0].max_running = 1;
	a->count.running = 1;
	assert_int_equal(take(f, 1), 0);
	/* Neither is a matter of time. */
	assert_int_equal(f->crew->wake.ns, 0);
	a->count.running = 0;
	assert_int_equal(take(f, 2), 2);
}

static void
crew_wakes_when_a_rate_lets_a_queue_go_on(void **state)
{
	struct fixture *f = *state;
	struct queue *a = f->catalog.queues[0], *b = f->catalog.queues[1];
	struct crew_source *source;
	struct mono begin = f->now;

	rate_set(&a->rate, 2, 60000, f->now);
	rate_set(&b->rate, 1, 60000, f->now);
	/* Nothing waits: nothing to wake for. */
	rate_take(&a->rate, f->now);
	rate_take(&b->rate, f->now);
	assert_null(crew_peek(f->shift, f->now, &source));
	assert_int_equal(f->crew->wake.ns, 0);
	fill(f, "b", 1);
	assert_null(crew_peek(f->shift, f->now, &source));
	assert_int_equal(f->crew->wake.ns, begin.ns + INT64_C(60) * 1000000000);
	/* The first one counts. */
	fill(f, "a", 2);
	assert_null(crew_peek(f->shift, f->now, &source));
	assert_int_equal(f->crew->wake.ns, begin.ns + INT64_C(30) * 1000000000);
	f->now = f->crew->wake;
	assert_int_equal(take(f, 1), 1);
	assert_null(crew_peek(f->shift, f->now, &source));
}

static void
crew_has_work_that_is_held_back_but_for_a_pause(void **state)
{
	struct fixture *f = *state;
	struct queue *a = f->catalog.queues[0];

	assert_true(crew_has_no_work(f->crew));
	fill(f, "a", 1);
	rate_set(&a->rate, 1, 60000, f->now);
	rate_take(&a->rate, f->now);
	assert_false(crew_has_no_work(f->crew));
	a->paused = true;
	assert_true(crew_has_no_work(f->crew));
	a->paused = false;
}

static void
add(struct fixture *f, struct chan *c, unsigned n_running)
{
	memset(c, 0, sizeof(*c));
	c->crew = f->crew;
	c->shift = f->shift;
	c->state = CHAN_UP;
	c->threads = 2;
	c->n_running = n_running;
	TAILQ_INSERT_TAIL(&f->crew->chans, c, entry);
	shift_sort(f->shift, c);
}

static void
shift_suspect_gets_a_worker_with_no_other_task(void **state)
{
	struct fixture *f = *state;
	struct chan busy, empty, second;

	add(f, &busy, 1);
	add(f, &empty, 0);
	assert_ptr_equal(shift_lone_chan(f->shift), &empty);
	assert_true(empty.alone);
	/* Two suspects run side by side where two workers are empty. */
	add(f, &second, 0);
	empty.n_running = 1;
	assert_ptr_equal(shift_lone_chan(f->shift), &second);
	/* It is fed nothing else; the other one still is. */
	assert_ptr_equal(shift_free_chan(f->shift), &busy);
	assert_false(empty.listed);
}

static void
shift_keeps_one_worker_from_being_fed_for_a_suspect(void **state)
{
	struct fixture *f = *state;
	struct chan full, busy;

	add(f, &full, 2);
	add(f, &busy, 1);
	assert_null(shift_lone_chan(f->shift));
	assert_true(busy.alone);
	assert_null(shift_free_chan(f->shift));
	/* A second look keeps no second worker. */
	full.n_running = 1;
	assert_null(shift_lone_chan(f->shift));
	assert_false(full.alone);
	/* Once it is empty the suspect goes there. */
	busy.n_running = 0;
	assert_ptr_equal(shift_lone_chan(f->shift), &busy);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(crew_shares_turns_by_weight),
	    TEST(crew_gives_all_turns_to_the_only_queue_with_work),
	    TEST(crew_queue_that_was_empty_saves_up_no_turns),
	    TEST(crew_strict_order_starves_the_second_queue),
	    TEST(crew_shares_run_time_by_weight_and_not_turns),
	    TEST(crew_shares_run_time_where_many_run_at_once),
	    TEST(crew_estimate_follows_the_run_times),
	    TEST(crew_queue_that_was_empty_is_owed_nothing_for_long_runs),
	    TEST(crew_run_is_settled_once_and_only_if_it_was_charged),
	    TEST(crew_passes_over_a_queue_that_is_closed),
	    TEST(crew_wakes_when_a_rate_lets_a_queue_go_on),
	    TEST(crew_has_work_that_is_held_back_but_for_a_pause),
	    TEST(shift_suspect_gets_a_worker_with_no_other_task),
	    TEST(shift_keeps_one_worker_from_being_fed_for_a_suspect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
