/* SPDX-License-Identifier: ISC */
/* LINK: tests/lib/window_world.c tests/lib/window_disk.c ipc/ctl.c
 *	ipc/fdpass.c ipc/peer.c ipc/line.c ipc/buf.c ipc/json.c ipc/rpc.c
 *	ipc/clock.c ipc/log.c ipc/log_line.c ipc/log_repeat.c
 *	ipc/log_sink.c ipc/sock.c libbroker.a */
/*
 * test_window_due.c - what waits for its time leaves memory, and is back by
 * then
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "master/broker/life.h"
#include "master/broker/store_sqlite.h"
#include "tests/lib/window_world.h"

#define MOST  2048 /* of each clock, once it was more than twice as many */
#define RETRY 51   /* ms */
#define MB    ((size_t)1024 * 1024)
#define LARGE (MB - sizeof(struct task))
#define HUGE  (5 * MB)

static struct window_world w;

static int
set_up(void **state)
{
	(void)state;
	window_world_init(&w);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	window_world_done(&w);
	return 0;
}

static void
submit(unsigned n, struct window_spec spec)
{
	while (n-- > 0)
		(void)window_world_submit(&w, &spec);
}

static void
turn(void)
{
	window_world_turn(&w);
	window_world_check(&w);
}

static void
tell(void)
{
	window_world_tell(&w);
	window_world_check(&w);
}

static void
settle(void)
{
	window_world_settle(&w);
	window_world_check(&w);
}

static void
wait_ms(int64_t ms)
{
	window_world_wait(&w, ms);
	settle();
}

static bool
is_here(uint64_t id)
{
	return window_world_is_resident(&w, id);
}

static enum task_state
state_of(uint64_t id)
{
	const struct task *t = window_world_look(&w, id);

	if (t == NULL)
		t = w.ended[id];
	assert_non_null(t);
	return t->state;
}

/* One whose delay differs from all others', in no order, up to 4997 s. */
static int64_t
delay_of(uint64_t id)
{
	return (int64_t)(id * 7919 % 4999) * 1000;
}

static void
submit_mixed(unsigned n, bool wall)
{
	struct window_spec spec = {.wall = wall};

	while (n-- > 0) {
		spec.delay_ms = delay_of(w.shared.last_id + 1);
		(void)window_world_submit(&w, &spec);
	}
}

static void
only_the_first_ones_of_too_many_stay(void **state)
{
	struct due_band *d = &w.b.window.due[0];
	int64_t last = 0, first = INT64_MAX;
	const struct task *t;
	uint64_t id;

	(void)state;
	submit_mixed(2 * MOST, false);
	settle();
	assert_int_equal(d->n_resident, 2 * MOST);
	assert_int_equal(d->n_spilled, 0);
	submit_mixed(1, false);
	turn();
	assert_int_equal(d->n_resident, MOST);
	assert_int_equal(d->n_spilled, MOST + 1);
	for (id = 1; id <= w.shared.last_id; id++) {
		t = window_world_look(&w, id);
		if (is_here(id) && t->due_ms > last)
			last = t->due_ms;
		if (!is_here(id) && t->due_ms < first)
			first = t->due_ms;
	}
	assert_true(last < first);
	assert_true(d->frontier >= last && d->frontier <= first);
	settle();
	assert_int_equal(w.n_fetches, 0);
}

static void
new_ones_stay_if_they_are_before_the_spilled(void **state)
{
	(void)state;
	submit_mixed(2 * MOST + 1, false);
	settle();
	submit(1, (struct window_spec){.delay_ms = 500});
	assert_true(is_here(w.shared.last_id));
	submit(1, (struct window_spec){.delay_ms = 5000000});
	assert_false(is_here(w.shared.last_id));
	/* The other clock has a window of its own. */
	submit(1, (struct window_spec){.delay_ms = 5000000, .wall = true});
	assert_true(is_here(w.shared.last_id));
	settle();
}

static void
the_next_are_here_before_their_time(bool wall)
{
	struct due_band *d = &w.b.window.due[wall];
	uint64_t id;
	int64_t ms;

	submit_mixed(2 * MOST + 100, wall);
	settle();
	for (ms = 0; d->n_resident > MOST / 2 + 1; ms += 1000) {
		assert_true(ms < 5000000);
		window_world_wait(&w, 1000);
		window_world_settle(&w);
	}
	window_world_check(&w);
	assert_int_equal(w.n_fetches, 0);
	for (ms = 0; w.n_fetches == 0; ms += 1000) {
		assert_true(ms < 10000);
		window_world_wait(&w, 1000);
		turn();
	}
	assert_int_equal(
	    w.last.order, wall ? STORE_DUE_WALL : STORE_DUE_STEADY);
	assert_int_equal(w.last.after, d->frontier);
	assert_int_equal(w.last.after_id, d->frontier_id);
	assert_int_equal(w.last.n, MOST - d->n_resident);
	turn();
	assert_int_equal(w.n_fetches, 1);
	settle();
	assert_int_equal(d->n_resident, MOST);
	for (ms = 0; d->n_spilled > 0; ms += 10000) {
		assert_true(ms < 5000000);
		window_world_wait(&w, 10000);
		window_world_settle(&w);
	}
	assert_int_equal(w.n_fetches, 3);
	wait_ms(5000000);
	for (id = 1; id <= w.shared.last_id; id++)
		assert_int_equal(state_of(id), TASK_READY);
}

static void
the_next_are_here_before_their_delay_is_over(void **state)
{
	(void)state;
	the_next_are_here_before_their_time(false);
}

static void
the_next_are_here_before_the_clock_says_so(void **state)
{
	(void)state;
	the_next_are_here_before_their_time(true);
}

static void
those_of_one_moment_are_told_apart_by_id(void **state)
{
	struct due_band *d = &w.b.window.due[0];
	uint64_t id;

	(void)state;
	submit(2 * MOST + 200, (struct window_spec){.delay_ms = 9000});
	settle();
	assert_int_equal(d->n_resident, MOST);
	assert_int_equal(d->frontier_id, MOST);
	assert_true(is_here(MOST));
	assert_false(is_here(MOST + 1));
	/* Its id is after all of theirs. */
	submit(1, (struct window_spec){.delay_ms = 9000});
	assert_false(is_here(w.shared.last_id));
	for (id = 1; id <= MOST / 2; id++)
		assert_int_equal(life_cancel(&w.b, life_find(&w.b, id)), 0);
	settle();
	assert_int_equal(w.last.after_id, MOST);
	assert_true(is_here(MOST + MOST / 2));
	assert_false(is_here(MOST + MOST / 2 + 1));
	wait_ms(9000);
	assert_int_equal(w.q->count.ready, 2 * MOST + 201 - MOST / 2);
}

static void
they_are_few_when_they_are_large(void **state)
{
	struct due_band *d = &w.b.window.due[1];
	uint64_t id;

	(void)state;
	for (id = 1; id <= 16; id++)
		submit(1, (struct window_spec){.delay_ms = 1000 * (int64_t)id,
			      .wall = true,
			      .size = LARGE});
	turn();
	assert_int_equal(d->n_resident, 16);
	submit(1, (struct window_spec){
		      .delay_ms = 8500, .wall = true, .size = LARGE});
	turn();
	assert_int_equal(d->n_resident, 8);
	assert_true(is_here(8));
	assert_false(is_here(17));
	settle();
	wait_ms(3999);
	assert_int_equal(w.n_fetches, 0);
	window_world_wait(&w, 1);
	turn();
	assert_int_equal(w.n_fetches, 1);
	assert_int_equal(w.last.max_bytes, 4 * MB);
	settle();
	assert_true(is_here(17));
	wait_ms(60000);
	assert_int_equal(w.q->count.ready, 17);
}

static void
the_first_stays_however_large_it_is(void **state)
{
	(void)state;
	submit(3, (struct window_spec){.delay_ms = 3000, .size = 4 * HUGE});
	turn();
	assert_true(is_here(1));
	settle();
	assert_true(w.n_fetches < 3);
	wait_ms(3000);
	wait_ms(RETRY);
	assert_int_equal(w.q->count.ready, 3);
}

/* Six, due in 1 to 6 s, of which the first two are here. */
static void
fill_huge_again(void)
{
	int i;

	for (i = 1; i <= 6; i++)
		submit(1,
		    (struct window_spec){.delay_ms = 1000 * i,
			.size = i <= 2 ? MB * 4 - sizeof(struct task) : HUGE});
	settle();
	assert_int_equal(w.b.window.due[0].n_spilled, 4);
}

static void
fill_huge(void)
{
	fill_huge_again();
	assert_int_equal(w.n_fetches, 0);
}

static void
one_that_was_spilled_since_the_fetch_is_not_passed(void **state)
{
	struct task *t;

	(void)state;
	submit(1, (struct window_spec){0}); /* it will be tried again */
	t = window_world_start(&w, 0);
	fill_huge(); /* 2 to 7 */
	window_world_wait(&w, 1000);
	turn();
	assert_int_equal(w.n_fetches, 1); /* for 4 */
	window_world_retry(&w, t, 2500);
	assert_true(is_here(1) == false);
	assert_int_equal(w.b.window.due[0].spilled_from_id, 1);
	assert_int_equal(w.b.window.due[0].n_spilled, 5);
	tell();
	assert_int_equal(w.b.window.due[0].frontier_id, 4);
	settle();
	wait_ms(2499);
	assert_int_equal(state_of(1), TASK_SCHEDULED);
	wait_ms(1);
	assert_int_equal(state_of(1), TASK_READY);
	wait_ms(10000);
	assert_int_equal(w.q->count.ready, 7);
}

static void
what_a_fetch_brings_behind_one_spilled_since_is_left(void **state)
{
	struct task *t;

	(void)state;
	submit(1, (struct window_spec){0});
	t = window_world_start(&w, 0);
	fill_huge(); /* 2 to 7 */
	wait_ms(1000);
	assert_true(is_here(4));
	assert_false(is_here(5));
	wait_ms(1000);
	window_world_wait(&w, 1000);
	turn();
	assert_int_equal(w.n_fetches, 2); /* for 5 */
	window_world_retry(&w, t, 500);
	assert_int_equal(w.b.window.due[0].spilled_from_id, 1);
	tell();
	assert_false(is_here(5));
	assert_false(w.b.window.due[0].missed);
	settle();
	assert_true(is_here(5));
	wait_ms(499);
	assert_int_equal(state_of(1), TASK_SCHEDULED);
	wait_ms(1);
	assert_int_equal(state_of(1), TASK_READY);
	wait_ms(10000);
	assert_int_equal(w.q->count.ready, 7);
}

static void
one_that_a_client_asked_for_is_due_all_the_same(void **state)
{
	(void)state;
	fill_huge();
	window_world_ask(&w, 5);
	settle();
	assert_true(is_here(5));
	assert_false(is_here(4));
	assert_int_equal(w.b.window.due[0].n_resident, 2);
	assert_int_equal(life_cancel(&w.b, life_find(&w.b, 5)), 0);
	settle();
	wait_ms(3000);
	assert_int_equal(state_of(3), TASK_READY);
	wait_ms(10000);
	assert_int_equal(w.q->count.ready, 5);
}

static void
a_fetch_that_fails_is_made_again_later(void **state)
{
	(void)state;
	fill_huge();
	w.read_err = -EIO;
	wait_ms(1000);
	assert_int_equal(w.n_fetches, 1);
	settle();
	assert_int_equal(w.n_fetches, 1);
	wait_ms(RETRY);
	assert_int_equal(w.n_fetches, 2);
	w.read_err = 0;
	wait_ms(RETRY);
	assert_true(w.n_fetches >= 3);
	wait_ms(10000);
	assert_int_equal(w.q->count.ready, 6);
}

static void
a_fetch_that_cant_be_made_is_tried_again(void **state)
{
	(void)state;
	fill_huge();
	w.refuse = 1;
	window_world_wait(&w, 1000);
	turn();
	assert_int_equal(w.n_fetches, 1);
	/* Though nothing else may ever happen. */
	assert_true(window_world_timer_runs(&w));
	wait_ms(RETRY);
	assert_int_equal(w.n_fetches, 2);
	assert_true(is_here(3));
}

static void
one_for_which_there_is_no_memory_comes_later(void **state)
{
	unsigned i;

	(void)state;
	for (i = 1; i <= 17; i++)
		submit(1,
		    (struct window_spec){.delay_ms = 1000 * i, .size = LARGE});
	settle();
	assert_int_equal(w.b.window.due[0].n_spilled, 9);
	/* There is room for 64 that are here. */
	submit(54, (struct window_spec){.kind = 3, .is_volatile = true});
	w.no_memory = true;
	wait_ms(4000);
	assert_int_equal(w.b.n_tasks, 64);
	assert_true(is_here(10));
	assert_false(is_here(11));
	w.no_memory = false;
	wait_ms(60000);
	wait_ms(60000);
	assert_int_equal(w.q->count.ready, 54 + 17);
}

static void
a_fetch_that_fails_does_not_wait_for_what_comes_much_later(void **state)
{
	(void)state;
	fill_huge();
	submit(1, (struct window_spec){.delay_ms = 90000, .expires_ms = 60000});
	settle();
	w.read_err = -EIO;
	wait_ms(1000);
	w.read_err = 0;
	wait_ms(RETRY);
	assert_true(w.n_fetches >= 2);
	assert_true(is_here(3));
}

static void
a_late_one_is_found_the_second_time(void **state)
{
	uint64_t id;

	(void)state;
	fill_huge();
	for (id = 3; id <= 5; id++)
		window_world_ask(&w, id);
	settle();
	w.rows[6].kept = false;
	window_world_wait(&w, 1000);
	window_world_settle(&w);
	assert_true(w.b.window.due[0].missed);
	w.rows[6].kept = true;
	wait_ms(RETRY);
	assert_true(is_here(6));
	wait_ms(60000);
	assert_int_equal(w.q->count.ready, 6);
	/* All is as it was before. */
	fill_huge_again();
	assert_int_equal(w.b.window.due[0].n_spilled, 4);
	w.n_fetches = 0;
	wait_ms(1000);
	assert_int_equal(w.n_fetches, 1);
	assert_true(is_here(9));
	wait_ms(60000);
	assert_int_equal(w.q->count.ready, 12);
}

static void
what_was_counted_wrongly_is_counted_no_more(void **state)
{
	uint64_t id;

	(void)state;
	fill_huge();
	for (id = 3; id <= 6; id++)
		w.rows[id].kept = false;
	window_world_wait(&w, 1000);
	window_world_settle(&w);
	assert_int_equal(w.n_fetches, 1);
	assert_int_equal(w.b.window.due[0].n_spilled, 4);
	w.busy = true;
	window_world_wait(&w, RETRY);
	window_world_settle(&w);
	assert_int_equal(w.n_fetches, 2);
	assert_int_equal(w.b.window.due[0].n_spilled, 4);
	w.busy = false;
	window_world_wait(&w, RETRY);
	window_world_settle(&w);
	assert_int_equal(w.n_fetches, 3);
	assert_int_equal(w.b.window.due[0].n_spilled, 0);
	window_world_check(&w);
	window_world_wait(&w, RETRY);
	window_world_settle(&w);
	assert_int_equal(w.n_fetches, 3);
}

static void
closed_and_opened_again_none_is_late(void **state)
{
	(void)state;
	fill_huge();
	submit(1, (struct window_spec){.delay_ms = 1500, .wall = true}); /* 7 */
	settle();
	window_world_wait(&w, 1000);
	turn(); /* a fetch is made, and told after the close */
	assert_int_equal(w.n_fetches, 1);
	window_close(&w.b);
	assert_int_equal(w.b.n_tasks, 0);
	tell();
	settle();
	assert_int_equal(w.b.window.due[0].n_spilled, 5);
	assert_int_equal(w.b.window.due[1].n_spilled, 1);
	window_world_wait(&w, 100);
	window_open(&w.b);
	settle();
	assert_int_equal(state_of(7), TASK_SCHEDULED);
	wait_ms(400);
	assert_int_equal(state_of(7), TASK_READY);
	wait_ms(499);
	assert_int_equal(state_of(2), TASK_SCHEDULED);
	wait_ms(1);
	assert_int_equal(state_of(2), TASK_READY);
	wait_ms(60000);
	assert_int_equal(w.q->count.ready, 7);
}

static void
a_fetch_of_before_the_close_brings_nothing(void **state)
{
	(void)state;
	fill_huge();
	window_world_wait(&w, 2000);
	turn(); /* the first two are ready, so none is here of what waits */
	assert_int_equal(w.last.order, STORE_DUE_STEADY);
	window_close(&w.b);
	tell();
	assert_int_equal(w.b.n_tasks, 0);
	settle();
	window_open(&w.b);
	wait_ms(60000);
	assert_int_equal(w.q->count.ready, 6);
}

static void
put_on_disk(uint64_t id, int64_t due_ms, bool wall)
{
	struct task t = {.id = id,
	    .kind = w.k[0],
	    .queue = w.q,
	    .state = TASK_SCHEDULED,
	    .durable = true,
	    .run_at = wall ? due_ms : 0,
	    .due_ms = due_ms,
	    .run_at_is_wall = wall};

	w.rows[id] = (struct window_row){true, t};
}

static void
what_was_found_is_due_in_its_time(void **state)
{
	struct store_band steady[] = {{"q", NULL, 0, 2}};
	struct store_band wall[] = {{"q", NULL, 0, 2}};
	struct store_found found = {
	    .steady = steady, .n_steady = 1, .wall = wall, .n_wall = 1};
	int64_t now = broker_steady_now(&w.b);

	(void)state;
	w.shared.last_id = 4;
	put_on_disk(1, now - 5, false);
	put_on_disk(2, now + 100, false);
	put_on_disk(3, 1000, true);
	put_on_disk(4, wall_now_ms() + 200, true);
	assert_int_equal(window_load(&w.b, &found), 0);
	window_world_check(&w);
	settle();
	assert_int_equal(w.n_fetches, 2);
	turn();
	assert_int_equal(state_of(1), TASK_READY);
	assert_int_equal(state_of(3), TASK_READY);
	wait_ms(99);
	assert_int_equal(state_of(2), TASK_SCHEDULED);
	wait_ms(1);
	assert_int_equal(state_of(2), TASK_READY);
	wait_ms(100);
	assert_int_equal(state_of(4), TASK_READY);
}

static void
what_comes_back_follows_the_wall_clock(void **state)
{
	struct task *t;

	(void)state;
	submit(1, (struct window_spec){.delay_ms = 1000, .wall = true});
	t = task_ref(life_find(&w.b, 1));
	assert_true(life_spill(&w.b, t));
	/* As if the clock had been set since this was noted. */
	t->due.ns += 500000000;
	assert_ptr_equal(life_adopt(&w.b, t), t);
	assert_int_equal(t->due.ns, mono_add_ms(mono_now(), 1000).ns);
	assert_int_equal(t->timer.due.ns, t->due.ns);
	task_unref(t);
	window_world_settle(&w);
	window_world_check(&w);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(only_the_first_ones_of_too_many_stay),
	    T(new_ones_stay_if_they_are_before_the_spilled),
	    T(the_next_are_here_before_their_delay_is_over),
	    T(the_next_are_here_before_the_clock_says_so),
	    T(those_of_one_moment_are_told_apart_by_id),
	    T(they_are_few_when_they_are_large),
	    T(the_first_stays_however_large_it_is),
	    T(one_that_was_spilled_since_the_fetch_is_not_passed),
	    T(what_a_fetch_brings_behind_one_spilled_since_is_left),
	    T(one_that_a_client_asked_for_is_due_all_the_same),
	    T(a_fetch_that_fails_is_made_again_later),
	    T(a_fetch_that_cant_be_made_is_tried_again),
	    T(one_for_which_there_is_no_memory_comes_later),
	    T(a_fetch_that_fails_does_not_wait_for_what_comes_much_later),
	    T(a_late_one_is_found_the_second_time),
	    T(what_was_counted_wrongly_is_counted_no_more),
	    T(closed_and_opened_again_none_is_late),
	    T(a_fetch_of_before_the_close_brings_nothing),
	    T(what_was_found_is_due_in_its_time),
	    T(what_comes_back_follows_the_wall_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
