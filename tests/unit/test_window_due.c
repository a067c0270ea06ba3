/* SPDX-License-Identifier: ISC */
/* LINK: tests/lib/window_play.c tests/lib/window_world.c
 *	tests/lib/window_disk.c ipc/ctl.c ipc/fdpass.c ipc/peer.c ipc/line.c
 *	ipc/buf.c ipc/json.c ipc/rpc.c ipc/clock.c ipc/log.c ipc/log_line.c
 *	ipc/log_repeat.c ipc/log_sink.c ipc/sock.c libbroker.a */
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
#include "tests/lib/window_play.h"

/* It is scheduled until so much time has passed, and ready then. */
static void
assert_due_in(uint64_t id, int64_t ms)
{
	play_wait(ms - 1);
	assert_int_equal(play_state(id), TASK_SCHEDULED);
	play_wait(1);
	assert_int_equal(play_state(id), TASK_READY);
}

/* In the end none is missing. */
static void
assert_ready_after(int64_t ms, uint64_t n)
{
	play_wait(ms);
	assert_int_equal(w.q->count.ready, n);
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
	submit_mixed(2 * PLAY_MOST, false);
	play_settle();
	assert_int_equal(d->n_resident, 2 * PLAY_MOST);
	assert_int_equal(d->n_spilled, 0);
	submit_mixed(1, false);
	play_turn();
	assert_int_equal(d->n_resident, PLAY_MOST);
	assert_int_equal(d->n_spilled, PLAY_MOST + 1);
	for (id = 1; id <= w.shared.last_id; id++) {
		t = window_world_look(&w, id);
		if (play_is_here(id) && t->due_ms > last)
			last = t->due_ms;
		if (!play_is_here(id) && t->due_ms < first)
			first = t->due_ms;
	}
	assert_true(last < first);
	assert_true(d->frontier >= last && d->frontier <= first);
	play_settle();
	assert_int_equal(w.n_fetches, 0);
}

static void
new_ones_stay_if_they_are_before_the_spilled(void **state)
{
	(void)state;
	submit_mixed(2 * PLAY_MOST + 1, false);
	play_settle();
	play_submit(1, (struct window_spec){.delay_ms = 500});
	assert_true(play_is_here(w.shared.last_id));
	play_submit(1, (struct window_spec){.delay_ms = 5000000});
	assert_false(play_is_here(w.shared.last_id));
	/* The other clock has a window of its own. */
	play_submit(1, (struct window_spec){.delay_ms = 5000000, .wall = true});
	assert_true(play_is_here(w.shared.last_id));
	play_settle();
}

static void
the_next_are_here_before_their_time(bool wall)
{
	struct due_band *d = &w.b.window.due[wall];
	uint64_t id;
	int64_t ms;

	submit_mixed(2 * PLAY_MOST + 100, wall);
	play_settle();
	for (ms = 0; d->n_resident > PLAY_MOST / 2 + 1; ms += 1000) {
		assert_true(ms < 5000000);
		play_wait_unchecked(1000);
	}
	window_world_check(&w);
	assert_int_equal(w.n_fetches, 0);
	for (ms = 0; w.n_fetches == 0; ms += 1000) {
		assert_true(ms < 10000);
		window_world_wait(&w, 1000);
		play_turn();
	}
	assert_int_equal(
	    w.last.order, wall ? STORE_DUE_WALL : STORE_DUE_STEADY);
	assert_int_equal(w.last.after, d->frontier);
	assert_int_equal(w.last.after_id, d->frontier_id);
	assert_int_equal(w.last.n, PLAY_MOST - d->n_resident);
	play_turn();
	assert_int_equal(w.n_fetches, 1);
	play_settle();
	assert_int_equal(d->n_resident, PLAY_MOST);
	for (ms = 0; d->n_spilled > 0; ms += 10000) {
		assert_true(ms < 5000000);
		play_wait_unchecked(10000);
	}
	assert_int_equal(w.n_fetches, 3);
	play_wait(5000000);
	for (id = 1; id <= w.shared.last_id; id++)
		assert_int_equal(play_state(id), TASK_READY);
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
	play_submit(
	    2 * PLAY_MOST + 200, (struct window_spec){.delay_ms = 9000});
	play_settle();
	assert_int_equal(d->n_resident, PLAY_MOST);
	assert_int_equal(d->frontier_id, PLAY_MOST);
	assert_true(play_is_here(PLAY_MOST));
	assert_false(play_is_here(PLAY_MOST + 1));
	/* Its id is after all of theirs. */
	play_submit(1, (struct window_spec){.delay_ms = 9000});
	assert_false(play_is_here(w.shared.last_id));
	for (id = 1; id <= PLAY_MOST / 2; id++)
		assert_int_equal(life_cancel(&w.b, life_find(&w.b, id)), 0);
	play_settle();
	assert_int_equal(w.last.after_id, PLAY_MOST);
	assert_true(play_is_here(PLAY_MOST + PLAY_MOST / 2));
	assert_false(play_is_here(PLAY_MOST + PLAY_MOST / 2 + 1));
	assert_ready_after(9000, 2 * PLAY_MOST + 201 - PLAY_MOST / 2);
}

static void
they_are_few_when_they_are_large(void **state)
{
	struct due_band *d = &w.b.window.due[1];
	uint64_t id;

	(void)state;
	for (id = 1; id <= 16; id++)
		play_submit(
		    1, (struct window_spec){.delay_ms = 1000 * (int64_t)id,
			   .wall = true,
			   .size = PLAY_LARGE});
	play_turn();
	assert_int_equal(d->n_resident, 16);
	play_submit(1, (struct window_spec){
			   .delay_ms = 8500, .wall = true, .size = PLAY_LARGE});
	play_turn();
	assert_int_equal(d->n_resident, 8);
	assert_true(play_is_here(8));
	assert_false(play_is_here(17));
	play_settle();
	play_wait(3999);
	assert_int_equal(w.n_fetches, 0);
	window_world_wait(&w, 1);
	play_turn();
	assert_int_equal(w.n_fetches, 1);
	assert_int_equal(w.last.max_bytes, 4 * PLAY_MB);
	play_settle();
	assert_true(play_is_here(17));
	assert_ready_after(60000, 17);
}

static void
the_first_stays_however_large_it_is(void **state)
{
	(void)state;
	play_submit(
	    3, (struct window_spec){.delay_ms = 3000, .size = 4 * PLAY_HUGE});
	play_turn();
	assert_true(play_is_here(1));
	play_settle();
	assert_true(w.n_fetches < 3);
	play_wait(3000);
	assert_ready_after(PLAY_RETRY, 3);
}

static void
one_that_was_spilled_since_the_fetch_is_not_passed(void **state)
{
	struct task *t;

	(void)state;
	play_submit(1, (struct window_spec){0}); /* it will be tried again */
	t = window_world_start(&w, 0);
	play_fill_huge(); /* 2 to 7 */
	window_world_wait(&w, 1000);
	play_turn();
	assert_int_equal(w.n_fetches, 1); /* for 4 */
	window_world_retry(&w, t, 2500);
	assert_true(play_is_here(1) == false);
	assert_int_equal(w.b.window.due[0].spilled_from_id, 1);
	assert_int_equal(w.b.window.due[0].n_spilled, 5);
	play_tell();
	assert_int_equal(w.b.window.due[0].frontier_id, 4);
	play_settle();
	assert_due_in(1, 2500);
	assert_ready_after(10000, 7);
}

static void
what_a_fetch_brings_behind_one_spilled_since_is_left(void **state)
{
	struct task *t;

	(void)state;
	play_submit(1, (struct window_spec){0});
	t = window_world_start(&w, 0);
	play_fill_huge(); /* 2 to 7 */
	play_wait(1000);
	assert_true(play_is_here(4));
	assert_false(play_is_here(5));
	play_wait(1000);
	window_world_wait(&w, 1000);
	play_turn();
	assert_int_equal(w.n_fetches, 2); /* for 5 */
	window_world_retry(&w, t, 500);
	assert_int_equal(w.b.window.due[0].spilled_from_id, 1);
	play_tell();
	assert_false(play_is_here(5));
	assert_false(w.b.window.due[0].missed);
	play_settle();
	assert_true(play_is_here(5));
	assert_due_in(1, 500);
	assert_ready_after(10000, 7);
}

static void
one_that_a_client_asked_for_is_due_all_the_same(void **state)
{
	(void)state;
	play_fill_huge();
	window_world_ask(&w, 5);
	play_settle();
	assert_true(play_is_here(5));
	assert_false(play_is_here(4));
	assert_int_equal(w.b.window.due[0].n_resident, 2);
	assert_int_equal(life_cancel(&w.b, life_find(&w.b, 5)), 0);
	play_settle();
	play_wait(3000);
	assert_int_equal(play_state(3), TASK_READY);
	assert_ready_after(10000, 5);
}

static void
a_fetch_that_fails_is_made_again_later(void **state)
{
	(void)state;
	play_fill_huge();
	w.read_err = -EIO;
	play_wait(1000);
	assert_int_equal(w.n_fetches, 1);
	play_settle();
	assert_int_equal(w.n_fetches, 1);
	play_wait(PLAY_RETRY);
	assert_int_equal(w.n_fetches, 2);
	w.read_err = 0;
	/* The second time it waits for twice as long. */
	play_wait(PLAY_RETRY);
	assert_int_equal(w.n_fetches, 2);
	play_wait(PLAY_RETRY);
	assert_true(w.n_fetches >= 3);
	assert_ready_after(10000, 6);
}

static void
a_fetch_that_cant_be_made_is_tried_again(void **state)
{
	(void)state;
	play_fill_huge();
	w.refuse = 1;
	window_world_wait(&w, 1000);
	play_turn();
	assert_int_equal(w.n_fetches, 1);
	/* Though nothing else may ever happen. */
	assert_true(window_world_timer_runs(&w));
	play_wait(PLAY_RETRY);
	assert_int_equal(w.n_fetches, 2);
	assert_true(play_is_here(3));
}

static void
one_for_which_there_is_no_memory_comes_later(void **state)
{
	unsigned i;

	(void)state;
	for (i = 1; i <= 17; i++)
		play_submit(1, (struct window_spec){
				   .delay_ms = 1000 * i, .size = PLAY_LARGE});
	play_settle();
	assert_int_equal(w.b.window.due[0].n_spilled, 9);
	/* There is room for 64 that are here. */
	play_submit(54, (struct window_spec){.kind = 3, .is_volatile = true});
	w.no_memory = true;
	play_wait(4000);
	assert_int_equal(w.b.n_tasks, 64);
	assert_true(play_is_here(10));
	assert_false(play_is_here(11));
	w.no_memory = false;
	play_wait(60000);
	assert_ready_after(60000, 54 + 17);
}

static void
a_fetch_that_fails_does_not_wait_for_what_comes_much_later(void **state)
{
	(void)state;
	play_fill_huge();
	play_submit(
	    1, (struct window_spec){.delay_ms = 90000, .expires_ms = 60000});
	play_settle();
	w.read_err = -EIO;
	play_wait(1000);
	w.read_err = 0;
	play_wait(PLAY_RETRY);
	assert_true(w.n_fetches >= 2);
	assert_true(play_is_here(3));
}

static void
a_late_one_is_found_the_second_time(void **state)
{
	uint64_t id;

	(void)state;
	play_fill_huge();
	for (id = 3; id <= 5; id++)
		window_world_ask(&w, id);
	play_settle();
	w.rows[6].kept = false;
	play_wait_unchecked(1000);
	assert_true(w.b.window.due[0].missed);
	w.rows[6].kept = true;
	play_wait(PLAY_RETRY);
	assert_true(play_is_here(6));
	assert_ready_after(60000, 6);
	/* All is as it was before. */
	w.n_fetches = 0;
	play_fill_huge();
	play_wait(1000);
	assert_int_equal(w.n_fetches, 1);
	assert_true(play_is_here(9));
	assert_ready_after(60000, 12);
}

static void
assert_counted(size_t n_fetches, uint64_t n_spilled)
{
	assert_int_equal(w.n_fetches, n_fetches);
	assert_int_equal(w.b.window.due[0].n_spilled, n_spilled);
}

static void
what_was_counted_wrongly_is_counted_no_more(void **state)
{
	uint64_t id;

	(void)state;
	play_fill_huge();
	for (id = 3; id <= 6; id++)
		w.rows[id].kept = false;
	play_wait_unchecked(1000);
	assert_counted(1, 4);
	w.busy = true;
	play_wait_unchecked(PLAY_RETRY);
	assert_counted(2, 4);
	w.busy = false;
	play_wait_unchecked(PLAY_RETRY);
	assert_counted(3, 0);
	window_world_check(&w);
	play_wait_unchecked(PLAY_RETRY);
	assert_int_equal(w.n_fetches, 3);
}

static void
closed_and_opened_again_none_is_late(void **state)
{
	(void)state;
	play_fill_huge();
	play_submit(
	    1, (struct window_spec){.delay_ms = 1500, .wall = true}); /* 7 */
	play_settle();
	window_world_wait(&w, 1000);
	play_turn(); /* a fetch is made, and told after the close */
	assert_int_equal(w.n_fetches, 1);
	window_close(&w.b);
	assert_int_equal(w.b.n_tasks, 0);
	play_tell();
	play_settle();
	assert_int_equal(w.b.window.due[0].n_spilled, 5);
	assert_int_equal(w.b.window.due[1].n_spilled, 1);
	window_world_wait(&w, 100);
	window_open(&w.b);
	play_settle();
	assert_int_equal(play_state(7), TASK_SCHEDULED);
	play_wait(400);
	assert_int_equal(play_state(7), TASK_READY);
	assert_due_in(2, 500);
	assert_ready_after(60000, 7);
}

static void
a_fetch_of_before_the_close_brings_nothing(void **state)
{
	(void)state;
	play_fill_huge();
	window_world_wait(&w, 2000);
	/* The first two are ready, so none is here of what waits. */
	play_turn();
	assert_int_equal(w.last.order, STORE_DUE_STEADY);
	window_close(&w.b);
	play_tell();
	assert_int_equal(w.b.n_tasks, 0);
	play_settle();
	window_open(&w.b);
	assert_ready_after(60000, 6);
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
	play_put_scheduled(1, now - 5, false);
	play_put_scheduled(2, now + 100, false);
	play_put_scheduled(3, 1000, true);
	play_put_scheduled(4, wall_now_ms() + 200, true);
	play_load(&found);
	play_settle();
	assert_int_equal(w.n_fetches, 2);
	play_turn();
	assert_int_equal(play_state(1), TASK_READY);
	assert_int_equal(play_state(3), TASK_READY);
	assert_due_in(2, 100);
	play_wait(100);
	assert_int_equal(play_state(4), TASK_READY);
}

static void
what_comes_back_follows_the_wall_clock(void **state)
{
	struct task *t;

	(void)state;
	play_submit(1, (struct window_spec){.delay_ms = 1000, .wall = true});
	t = task_ref(life_find(&w.b, 1));
	assert_true(life_spill(&w.b, t));
	/* As if the clock had been set since this was noted. */
	t->due.ns += 500000000;
	assert_ptr_equal(life_adopt(&w.b, t), t);
	assert_int_equal(t->due.ns, mono_add_ms(mono_now(), 1000).ns);
	assert_int_equal(t->timer.due.ns, t->due.ns);
	task_unref(t);
	play_settle();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    PLAY(only_the_first_ones_of_too_many_stay),
	    PLAY(new_ones_stay_if_they_are_before_the_spilled),
	    PLAY(the_next_are_here_before_their_delay_is_over),
	    PLAY(the_next_are_here_before_the_clock_says_so),
	    PLAY(those_of_one_moment_are_told_apart_by_id),
	    PLAY(they_are_few_when_they_are_large),
	    PLAY(the_first_stays_however_large_it_is),
	    PLAY(one_that_was_spilled_since_the_fetch_is_not_passed),
	    PLAY(what_a_fetch_brings_behind_one_spilled_since_is_left),
	    PLAY(one_that_a_client_asked_for_is_due_all_the_same),
	    PLAY(a_fetch_that_fails_is_made_again_later),
	    PLAY(a_fetch_that_cant_be_made_is_tried_again),
	    PLAY(one_for_which_there_is_no_memory_comes_later),
	    PLAY(a_fetch_that_fails_does_not_wait_for_what_comes_much_later),
	    PLAY(a_late_one_is_found_the_second_time),
	    PLAY(what_was_counted_wrongly_is_counted_no_more),
	    PLAY(closed_and_opened_again_none_is_late),
	    PLAY(a_fetch_of_before_the_close_brings_nothing),
	    PLAY(what_was_found_is_due_in_its_time),
	    PLAY(what_comes_back_follows_the_wall_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
