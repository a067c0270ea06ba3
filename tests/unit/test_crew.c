/* SPDX-License-Identifier: ISC */
/* LINK: master/broker/crew.c master/broker/shift.c master/broker/skills.c
 *	master/broker/settings.c master/broker/catalog.c master/broker/ready.c
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
	catalog_init(&f->catalog);
	if (settings_load(text, sizeof(text) - 1, &f->settings, why) < 0 ||
	    catalog_stage(&f->catalog, f->settings, &st) < 0)
		return -1;
	catalog_commit_stage(&f->catalog, &st, f->settings);
	make_crew(f);
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;
	struct crew_source *source;
	struct task *t;

	while ((t = crew_peek(f->shift, &source)) != NULL) {
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

/* Take n tasks; returns how many were of the first queue. */
static unsigned
take(struct fixture *f, unsigned n)
{
	struct crew_source *source;
	unsigned n_first = 0;
	struct task *t;

	while (n-- > 0) {
		t = crew_peek(f->shift, &source);
		assert_non_null(t);
		crew_charge(f->crew, source);
		n_first += t->queue == f->catalog.queues[0];
		ready_remove(&t->lane->ready, t);
		task_unref(t);
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
	    TEST(shift_suspect_gets_a_worker_with_no_other_task),
	    TEST(shift_keeps_one_worker_from_being_fed_for_a_suspect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
