/* SPDX-License-Identifier: ISC */
/* LINK: tests/lib/broker_world.c ipc/ctl.c ipc/fdpass.c ipc/peer.c
 *	ipc/line.c ipc/buf.c ipc/json.c ipc/rpc.c ipc/clock.c ipc/log.c
 *	ipc/log_line.c ipc/log_repeat.c ipc/log_sink.c ipc/sock.c libbroker.a */
/*
 * test_reconfigure.c - a reload moves every task and loses none
 *
 * The main pool is "p"; its old workers know echo and sort.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "master/broker/chan.h"
#include "master/broker/life.h"
#include "master/broker/reconfigure.h"
#include "tests/lib/broker_world.h"

#define QUEUE(name)  "{\"name\":\"" name "\"}"
#define TAKES(queue) "{\"queue\":\"" queue "\"}"
#define POOL(name, takes, names) \
	"{\"name\":\"" name "\",\"processes\":2,\"queues\":[" takes \
	"],\"names\":" names "}"
#define SETTINGS(queues, pools) \
	"{\"queues\":[" queues "],\"pools\":[" pools "]}"

#define OLD "[\"echo\",\"sort\"]"
#define NEW "[\"echo\",\"send\"]"

static const char before[] = SETTINGS(QUEUE("q"), POOL("p", TAKES("q"), OLD));
static const char after[] = SETTINGS(QUEUE("q"), POOL("p", TAKES("q"), NEW));

static int
set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	*state = w;
	world_init(w, before);
	return 0;
}

static int
tear_down(void **state)
{
	world_done(*state);
	free(*state);
	return 0;
}

static void
gone(struct world *w, struct worker *worker)
{
	world_reap(w, worker, "exited", 0, "");
}

static void
assert_ended(struct world *w, const char *expected)
{
	char *text = world_take(&w->ended);

	assert_string_equal(text, expected);
	free(text);
}

static void
reload_of_the_same_changes_nothing(void **state)
{
	struct world *w = *state;
	struct crew *crew = w->b.crews[0];
	struct shift *shift = crew->main;
	struct worker one;
	struct task *t;

	world_start(w, &one, "p", OLD, 1);
	t = world_submit(w, "q", "echo");
	world_submit(w, "q", "sort");
	assert_int_equal(world_reload(w, before), 0);
	assert_ptr_equal(w->b.crews[0], crew);
	assert_ptr_equal(crew->main, shift);
	assert_ptr_equal(t->crew, crew);
	assert_int_equal(crew->n_chans, 1);
	world_read(w, &one);
	assert_int_equal(one.n_runs, 1);
	world_answer(w, &one);
	world_read(w, &one);
	world_answer(w, &one);
	assert_ended(w, "1:succeeded 2:succeeded ");
	gone(w, &one);
}

static void
old_worker_gets_no_task_that_it_does_not_know(void **state)
{
	struct world *w = *state;
	struct worker old, new;

	world_start(w, &old, "p", OLD, 4);
	assert_int_equal(world_reload(w, after), 0);
	assert_non_null(world_submit(w, "q", "send"));
	assert_non_null(world_submit(w, "q", "echo"));
	world_read(w, &old);
	assert_int_equal(old.n_runs, 1);
	assert_int_equal(old.ids[0], 2); /* not the one in front of it */
	world_start(w, &new, "p", NEW, 4);
	world_read(w, &new);
	assert_int_equal(new.n_runs, 1);
	assert_int_equal(new.ids[0], 1);
	world_answer(w, &old);
	world_answer(w, &new);
	assert_ended(w, "2:succeeded 1:succeeded ");
	gone(w, &old);
	gone(w, &new);
}

static void
name_that_is_gone_is_run_by_the_old_while_they_live(void **state)
{
	struct world *w = *state;
	struct worker old, new;

	world_start(w, &old, "p", OLD, 1);
	world_submit(w, "q", "sort"); /* runs */
	world_submit(w, "q", "sort"); /* waits */
	world_submit(w, "q", "sort"); /* and will have to wait for long */
	assert_int_equal(world_reload(w, after), 0);
	assert_null(world_submit(w, "q", "sort"));
	world_start(w, &new, "p", NEW, 4);
	world_read(w, &new);
	assert_int_equal(new.n_runs, 0);
	world_read(w, &old);
	world_answer(w, &old);
	world_read(w, &old);
	world_answer(w, &old);
	assert_ended(w, "1:succeeded 2:succeeded ");
	/* It dies with the last one: that goes back, and waits. */
	world_reap(w, &old, "cut", 9, ",\"cut\":true");
	world_read(w, &new);
	assert_int_equal(new.n_runs, 0);
	assert_int_equal(w->b.catalog.queues[0]->count.ready, 1);
	assert_int_equal(w->b.n_tasks, 1);
	/* A reload brings the name back. */
	assert_int_equal(world_reload(w, before), 0);
	world_start(w, &old, "p", OLD, 1);
	world_read(w, &old);
	assert_int_equal(old.n_runs, 1);
	assert_int_equal(old.ids[0], 4 - 1);
	world_answer(w, &old);
	gone(w, &old);
	gone(w, &new);
	assert_ended(w, "3:succeeded ");
}

static void
roll_back_finds_the_old_workers_again(void **state)
{
	struct world *w = *state;
	struct crew *crew = w->b.crews[0];
	struct shift *shift = crew->main;
	struct worker old, new;

	world_start(w, &old, "p", OLD, 1);
	assert_int_equal(world_reload(w, after), 0);
	assert_ptr_not_equal(crew->main, shift);
	world_start(w, &new, "p", NEW, 1);
	gone(w, &new);
	assert_int_equal(world_reload(w, before), 0);
	assert_ptr_equal(crew->main, shift);
	assert_ptr_equal(TAILQ_FIRST(&crew->shifts), shift);
	assert_null(TAILQ_NEXT(shift, entry));
	world_submit(w, "q", "sort");
	world_read(w, &old);
	assert_int_equal(old.n_runs, 1);
	gone(w, &old);
}

/* A canary has the new names before the settings do. */
static void
worker_that_knows_more_than_the_settings_is_given_what_it_knows(void **state)
{
	struct world *w = *state;
	struct worker canary;
	struct shift *shift;

	world_start(w, &canary, "p", NEW, 4);
	assert_null(world_submit(w, "q", "send"));
	world_submit(w, "q", "sort");
	world_submit(w, "q", "echo");
	world_read(w, &canary);
	assert_int_equal(canary.n_runs, 1);
	shift = TAILQ_LAST(&w->b.crews[0]->shifts, shift_list);
	assert_ptr_not_equal(shift, w->b.crews[0]->main);
	assert_int_equal(world_reload(w, after), 0);
	assert_ptr_equal(shift, w->b.crews[0]->main);
	world_submit(w, "q", "send");
	world_read(w, &canary);
	assert_int_equal(canary.n_runs, 2);
	gone(w, &canary);
}

static const char two_pools[] = SETTINGS(QUEUE("q") "," QUEUE("r"),
    POOL("p", TAKES("q") "," TAKES("r"), OLD) "," POOL(
	"other", TAKES("q"), "[\"echo\"]"));
static const char one_pool[] =
    SETTINGS(QUEUE("q"), POOL("other", TAKES("q"), "[\"echo\"]"));

static void
pool_leaves_with_what_no_other_can_run(void **state)
{
	struct world *w = *state;
	struct worker old, other;
	struct crew *crew = w->b.crews[0];

	assert_int_equal(world_reload(w, two_pools), 0);
	world_start(w, &old, "p", OLD, 1);
	world_submit(w, "q", "sort"); /* 1 runs */
	world_submit(w, "q", "echo"); /* 2 can go to the other */
	world_submit(w, "q", "sort"); /* 3 can't */
	world_submit(w, "r", "echo"); /* 4 neither: its queue goes as well */
	assert_int_equal(world_reload(w, one_pool), 0);
	assert_int_equal(crew->state, CREW_LEAVING);
	assert_string_equal(w->b.crews[0]->name, "other");
	assert_ptr_equal(w->b.crews[1], crew);
	assert_null(world_submit(w, "q", "sort"));
	assert_null(world_submit(w, "r", "echo"));
	world_read(w, &old);
	assert_false(old.pilled);
	world_answer(w, &old);
	world_read(w, &old);
	assert_int_equal(old.ids[0], 4); /* the queues take turns */
	world_answer(w, &old);
	world_read(w, &old);
	assert_int_equal(old.ids[0], 3);
	assert_false(old.pilled);
	/* Its pill comes behind its last task; echo waits for the other. */
	world_answer(w, &old);
	world_read(w, &old);
	assert_true(old.pilled);
	assert_int_equal(old.n_runs, 0);
	gone(w, &old);
	assert_int_equal(crew->state, CREW_GONE);
	assert_int_equal(w->b.n_crews, 1);
	world_start(w, &other, "other", "[\"echo\"]", 1);
	world_read(w, &other);
	assert_int_equal(other.ids[0], 2);
	world_answer(w, &other);
	gone(w, &other);
	assert_ended(w, "1:succeeded 4:succeeded 3:succeeded 2:succeeded ");
	/* Its name is still there for tasks that it has run, and to come back.
	 */
	assert_int_equal(world_reload(w, two_pools), 0);
	assert_ptr_equal(w->b.crews[0], crew);
	assert_int_equal(crew->state, CREW_UP);
}

static void
pool_that_leaves_waits_for_a_retry(void **state)
{
	struct world *w = *state;
	struct worker old;
	struct task *t;

	assert_int_equal(world_reload(w, two_pools), 0);
	world_start(w, &old, "p", OLD, 1);
	t = world_submit(w, "q", "sort");
	assert_int_equal(world_reload(w, one_pool), 0);
	world_read(w, &old);
	world_fail(w, &old);
	world_read(w, &old);
	assert_int_equal(t->state, TASK_SCHEDULED);
	assert_false(old.pilled);
	assert_int_equal(life_cancel(&w->b, t), 0);
	world_read(w, &old);
	assert_true(old.pilled);
	gone(w, &old);
}

static void
pool_that_leaves_with_no_work_gets_its_pills_at_once(void **state)
{
	struct world *w = *state;
	struct worker old, starting;

	assert_int_equal(world_reload(w, two_pools), 0);
	world_start(w, &old, "p", OLD, 1);
	world_start(w, &starting, "p", NULL, 0);
	assert_int_equal(world_reload(w, one_pool), 0);
	world_read(w, &old);
	world_read(w, &starting);
	assert_true(old.pilled);
	assert_true(starting.pilled);
	gone(w, &old);
	gone(w, &starting);
	assert_int_equal(w->b.n_crews, 1);
}

static void
queue_that_is_gone_is_emptied_by_its_pools(void **state)
{
	struct world *w = *state;
	struct queue *q = w->b.catalog.queues[0];
	struct worker one;

	world_start(w, &one, "p", OLD, 1);
	world_submit(w, "q", "echo");
	world_submit(w, "q", "echo");
	assert_int_equal(
	    world_reload(w, SETTINGS(QUEUE("r"), POOL("p", TAKES("r"), OLD))),
	    0);
	assert_true(q->leaving);
	assert_null(world_submit(w, "q", "echo"));
	assert_non_null(world_submit(w, "r", "echo"));
	world_read(w, &one);
	world_answer(w, &one);
	world_read(w, &one);
	world_answer(w, &one);
	world_read(w, &one);
	world_answer(w, &one);
	/* The queues take turns. */
	assert_ended(w, "1:succeeded 4:succeeded 2:succeeded ");
	assert_true(queue_is_empty(q));
	/* Once it is empty a reload forgets who took from it. */
	assert_int_equal(
	    world_reload(w, SETTINGS(QUEUE("r"), POOL("p", TAKES("r"), OLD))),
	    0);
	assert_int_equal(w->b.crews[0]->n_sources, 1);
	gone(w, &one);
}

static void
suspects_go_to_those_that_can_run_them(void **state)
{
	struct world *w = *state;
	struct worker one, new;
	struct task *a, *b;

	world_start(w, &one, "p", OLD, 2);
	a = world_submit(w, "q", "echo");
	b = world_submit(w, "q", "sort");
	world_reap(w, &one, "killed", 9, "");
	assert_int_equal(a->place, TASK_IN_SUSPECTS);
	assert_int_equal(b->place, TASK_IN_SUSPECTS);
	assert_int_equal(world_reload(w, after), 0);
	/* Nobody knows sort any more. */
	assert_int_equal(a->place, TASK_IN_SUSPECTS);
	assert_ptr_equal(a->shift, w->b.crews[0]->main);
	assert_int_equal(b->place, TASK_IN_LANE);
	world_start(w, &new, "p", NEW, 2);
	world_read(w, &new);
	assert_int_equal(new.n_runs, 1);
	world_answer(w, &new);
	assert_int_equal(world_reload(w, before), 0);
	assert_int_equal(b->place, TASK_IN_SUSPECTS);
	gone(w, &new);
}

static void
reload_is_refused_when_too_many_old_workers_are_left(void **state)
{
	static struct worker old[SHIFTS_MAX];
	struct world *w = *state;
	struct shift *main = w->b.crews[0]->main;
	char names[64];
	unsigned i;

	for (i = 0; i < SHIFTS_MAX - 1; i++) {
		snprintf(names, sizeof(names), "[\"echo\",\"n%u\"]", i);
		world_start(w, &old[i], "p", names, 1);
	}
	assert_int_equal(w->b.crews[0]->n_up, SHIFTS_MAX - 1);
	assert_int_equal(world_reload(w, after), -E2BIG);
	assert_ptr_equal(w->b.crews[0]->main, main);
	assert_non_null(world_submit(w, "q", "sort"));
	assert_null(world_submit(w, "q", "send"));
	gone(w, &old[0]);
	assert_int_equal(world_reload(w, after), 0);
	for (i = 1; i < SHIFTS_MAX - 1; i++)
		gone(w, &old[i]);
	assert_int_equal(w->b.crews[0]->n_chans, 0);
}

static void
numbers_stay_over_a_reload(void **state)
{
	struct world *w = *state;
	struct worker one;

	world_start(w, &one, "p", OLD, 1);
	world_submit(w, "q", "echo");
	world_read(w, &one);
	world_answer(w, &one);
	w->b.crews[0]->n_restarts = 5;
	assert_int_equal(world_reload(w, two_pools), 0);
	assert_int_equal(w->b.crews[0]->n_restarts, 5);
	assert_int_equal(
	    catalog_find_queue(&w->b.catalog, "q")->count.succeeded, 1);
	assert_int_equal(w->b.crews[0]->n_up, 1);
	gone(w, &one);
}

/* What must hold whatever has happened. */
static void
check(struct world *w)
{
	struct catalog *c = &w->b.catalog;
	uint64_t n_ready = 0, n_live = 0, n_counted = 0;
	const struct lane *lane;
	struct task *t;
	size_t i;

	RB_FOREACH(t, task_tree, &w->b.tasks)
	{
		n_live += task_is_live(t);
		n_ready += t->state == TASK_READY;
		assert_ptr_equal(t->lane->queue, t->queue);
		if (t->state == TASK_READY)
			assert_int_not_equal(t->place, TASK_NOWHERE);
		if (t->state == TASK_RUNNING)
			assert_ptr_equal(t->chan->crew, t->crew);
	}
	for (i = 0; i < c->n_all_queues; i++) {
		n_ready -= c->queues[i]->count.ready;
		SLIST_FOREACH(lane, &c->queues[i]->lanes, entry)
		{
			n_counted += lane->n_live;
		}
	}
	assert_int_equal(n_ready, 0);
	assert_int_equal(n_live, n_counted);
}

/* Start a worker of some pool, if that one is to have workers. */
static void
start_any(struct world *w, struct worker *worker, const char *skills)
{
	const char *pool = random() % 3 == 0 ? "other" : "p";
	const struct crew *crew = reconfigure_find_crew(&w->b, pool);

	if (crew != NULL && crew->state == CREW_UP)
		world_start(w, worker, pool, skills, 2);
}

static void
nothing_is_lost_in_a_storm_of_reloads(void **state)
{
	static const char *const all[] = {before, after, two_pools, one_pool};
	static const char *const names[] = {"echo", "sort", "send"};
	static const char *const skills[] = {OLD, NEW, "[\"echo\"]"};
	struct world *w = *state;
	struct worker workers[6] = {{0}};
	unsigned i, k, n_submitted = 0, n_ended = 0;
	char *text, *p;

	srandom(7);
	for (i = 0; i < 4000; i++) {
		struct worker *worker = &workers[random() % 6];

		switch (random() % 8) {
		case 0:
			assert_int_equal(world_reload(w, all[random() % 4]), 0);
			break;
		case 1:
			if (worker->fd == 0)
				start_any(w, worker, skills[random() % 3]);
			break;
		case 2:
			if (worker->fd != 0 && random() % 4 == 0) {
				world_reap(w, worker, "x", 9,
				    random() % 2 ? "" : ",\"cut\":true");
				memset(worker, 0, sizeof(*worker));
			}
			break;
		case 3:
		case 4:
			if (world_submit(w, random() % 4 == 0 ? "r" : "q",
				names[random() % 3]) != NULL)
				n_submitted++;
			break;
		default:
			if (worker->fd == 0 || worker->pid == 0)
				break;
			world_read(w, worker);
			if (worker->n_runs > 0)
				world_answer(w, worker);
			break;
		}
		check(w);
	}
	text = world_take(&w->ended);
	for (p = text; (p = strchr(p, ' ')) != NULL; p++)
		n_ended++;
	free(text);
	assert_true(n_ended > 100);
	assert_int_equal(n_submitted, n_ended + w->b.n_tasks);
	for (k = 0; k < 6; k++)
		if (workers[k].fd != 0)
			gone(w, &workers[k]);
	check(w);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(reload_of_the_same_changes_nothing),
	    TEST(old_worker_gets_no_task_that_it_does_not_know),
	    TEST(name_that_is_gone_is_run_by_the_old_while_they_live),
	    TEST(roll_back_finds_the_old_workers_again),
	    TEST(
		worker_that_knows_more_than_the_settings_is_given_what_it_knows),
	    TEST(pool_leaves_with_what_no_other_can_run),
	    TEST(pool_that_leaves_waits_for_a_retry),
	    TEST(pool_that_leaves_with_no_work_gets_its_pills_at_once),
	    TEST(queue_that_is_gone_is_emptied_by_its_pools),
	    TEST(suspects_go_to_those_that_can_run_them),
	    TEST(reload_is_refused_when_too_many_old_workers_are_left),
	    TEST(numbers_stay_over_a_reload),
	    TEST(nothing_is_lost_in_a_storm_of_reloads),
	};

	return cmocka_run_group_tests_name("reconfigure", tests, NULL, NULL);
}
