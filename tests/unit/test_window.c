/* SPDX-License-Identifier: ISC */
/* LINK: tests/lib/window_play.c tests/lib/window_world.c
 *	tests/lib/window_disk.c ipc/ctl.c ipc/fdpass.c ipc/peer.c ipc/line.c
 *	ipc/buf.c ipc/json.c ipc/rpc.c ipc/clock.c ipc/log.c ipc/log_line.c
 *	ipc/log_repeat.c ipc/log_sink.c ipc/sock.c libbroker.a */
/*
 * test_window.c - what is ready leaves memory, comes back in time, and is
 * started in its order all the same
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "master/broker/life.h"
#include "tests/lib/window_play.h"

/* So much as a full band of plain ones, and some more. */
static void
fill(unsigned n_more)
{
	play_submit(PLAY_MOST + n_more, (struct window_spec){0});
	window_world_settle(&w);
	assert_int_equal(w.n_fetches, 0);
	assert_int_equal(w.b.n_tasks, PLAY_MOST);
}

static void
a_band_holds_so_many_and_no_more(void **state)
{
	struct band *band;

	(void)state;
	play_submit(PLAY_MOST, (struct window_spec){0});
	band = window_world_band(&w, 0, 0);
	assert_int_equal(band->n_spilled, 0);
	assert_int_equal(play_lane(0)->ready.more, 0);
	play_submit(10, (struct window_spec){0});
	assert_int_equal(band->n_resident, PLAY_MOST);
	assert_int_equal(band->n_spilled, 10);
	assert_int_equal(band->frontier, PLAY_MOST);
	assert_int_equal(play_lane(0)->ready.limit[0], PLAY_MOST);
	assert_int_equal(play_lane(0)->ready.more, 1);
	assert_true(play_is_here(PLAY_MOST));
	assert_false(play_is_here(PLAY_MOST + 1));
	play_settle();
	assert_int_equal(w.n_fetches, 0);
}

static void
the_next_are_fetched_before_they_are_wanted(void **state)
{
	uint64_t id;

	(void)state;
	fill(1500);
	for (id = 1; id < PLAY_MOST / 2; id++)
		play_next(id);
	window_world_settle(&w);
	assert_int_equal(w.n_fetches, 0);
	play_next(id++);
	play_turn();
	assert_int_equal(w.n_fetches, 1);
	assert_int_equal(w.last.order, STORE_READY);
	assert_ptr_equal(w.last.queue, w.q);
	assert_ptr_equal(w.last.kind, w.k[0]);
	assert_int_equal(w.last.priority, 0);
	assert_int_equal(w.last.after, PLAY_MOST);
	assert_int_equal(w.last.n, PLAY_MOST / 2);
	/* Once is enough. */
	play_turn();
	assert_int_equal(w.n_fetches, 1);
	window_world_settle(&w);
	assert_int_equal(w.n_fetches, 1);
	assert_int_equal(window_world_band(&w, 0, 0)->n_resident, PLAY_MOST);
	assert_int_equal(
	    window_world_band(&w, 0, 0)->frontier, PLAY_MOST * 3 / 2);
	while (id <= PLAY_MOST + 1500) {
		play_next(id++);
		window_world_settle(&w);
	}
	assert_int_equal(w.n_fetches, 2);
	play_none();
	assert_int_equal(play_lane(0)->ready.more, 0);
	assert_int_equal(play_lane(0)->ready.limit[0], UINT64_MAX);
	play_settle();
}

static void
nothing_passes_those_that_are_on_the_disk(void **state)
{
	(void)state;
	play_fill_large(3);                              /* 1 to 7 */
	play_submit(1, (struct window_spec){.kind = 1}); /* 8: after them */
	play_submit(1, (struct window_spec){.is_volatile = true}); /* 9 */
	assert_true(play_is_here(8));
	assert_true(play_is_here(9));
	play_next_ones(1, 4);
	play_turn();
	play_none();
	/* Another lane is not theirs to hold up, nor a higher priority. */
	play_submit(1, (struct window_spec){.kind = 2});                /* 10 */
	play_submit(1, (struct window_spec){.kind = 1, .priority = 1}); /* 11 */
	play_next(11);
	play_next(10);
	play_none();
	play_settle();
	play_rest(5, 9);
	play_none();
}

static void
a_lower_priority_waits_for_the_fetch_of_a_higher_one(void **state)
{
	(void)state;
	play_submit(6, (struct window_spec){.size = PLAY_LARGE, .priority = 5});
	play_submit(2, (struct window_spec){.priority = 4}); /* 7, 8 */
	play_rest(1, 3);
	play_next(4);
	play_turn();
	play_tell();
	play_rest(5, 8);
	/* The same with ageing: what is on its way may be the oldest. */
	w.q->age_ms = 60000;
	play_submit(6, (struct window_spec){.size = PLAY_LARGE, .priority = 5});
	play_submit(1, (struct window_spec){.priority = 4}); /* 15 */
	play_next_ones(9, 12);
	play_turn();
	play_none();
	play_settle();
	play_rest(13, 15);
}

static void
bytes_bound_a_band_as_well(void **state)
{
	struct band *band;

	(void)state;
	play_submit(3, (struct window_spec){.size = PLAY_LARGE});
	play_submit(
	    2, (struct window_spec){.size = 3 * PLAY_MB - sizeof(struct task)});
	band = window_world_band(&w, 0, 0);
	/* It ends with the one that reaches the bound. */
	assert_int_equal(band->n_resident, 4);
	assert_int_equal(band->n_spilled, 1);
	play_settle();
	play_rest(1, 3);
	assert_int_equal(w.n_fetches, 0);
	play_next(4);
	play_turn();
	assert_int_equal(w.last.n, PLAY_MOST);
	assert_int_equal(w.last.max_bytes, 4 * PLAY_MB);
	play_settle();
	assert_int_equal(band->n_bytes, 3 * PLAY_MB);
	play_rest(5, 5);
	assert_int_equal(band->n_bytes, 0);
}

static void
many_bands_hold_less_each(void **state)
{
	struct window_spec spec = {.size = 2 * PLAY_MB};
	unsigned p;

	(void)state;
	/* Each of 12 gets a 12th of 32 MB. */
	for (p = 0; p < 6; p++) {
		spec.priority = p;
		spec.kind = 0;
		play_submit(3, spec);
		spec.kind = 2;
		play_submit(3, spec);
	}
	assert_int_equal(w.b.window.n_spilled_bands, 12);
	spec = (struct window_spec){.size = PLAY_LARGE, .priority = 9};
	play_submit(4, spec);
	assert_int_equal(window_world_band(&w, 0, 9)->n_resident, 3);
	/* And of 16384 small ones. */
	play_submit(1300, (struct window_spec){.kind = 3});
	assert_int_equal(window_world_band(&w, 3, 0)->n_resident, 16384 / 13);
	play_settle();
	/* Half of it is 1.3 MB. */
	play_next(37);
	play_turn();
	assert_int_equal(w.n_fetches, 0);
	play_next(38);
	play_turn();
	assert_int_equal(w.n_fetches, 1);
	assert_in_range(w.last.max_bytes, PLAY_MB, 32 * PLAY_MB / 13 - PLAY_MB);
	play_settle();
}

static void
one_that_was_spilled_since_the_fetch_is_not_passed(void **state)
{
	struct task *t;

	(void)state;
	play_fill_large(4); /* 1 to 8 */
	window_world_ask(&w, 6);
	play_settle();
	/* What a client has asked for is here, and still not before the 5th. */
	assert_true(play_is_here(6));
	assert_false(play_is_here(5));
	play_next_ones(1, 4);
	play_none();
	/* It runs, for its worker is not asked what the order is. */
	t = life_find(&w.b, 6);
	life_change(&w.b, t, TASK_EV_START);
	store_update(&w.store, t);
	play_turn(); /* the fetch will not find it among the others */
	assert_int_equal(w.n_fetches, 1);
	assert_true(w.in_flight);
	window_world_requeue(&w, t);
	assert_false(play_is_here(6));
	play_tell();
	assert_true(play_is_here(5));
	assert_false(play_is_here(7));
	assert_int_equal(window_world_band(&w, 0, 0)->frontier, 5);
	play_next(5);
	play_none();
	play_settle();
	play_rest(6, 8);
	play_none();
}

static void
all_of_a_fetch_may_be_behind_what_was_spilled_since(void **state)
{
	struct task *t;

	(void)state;
	play_fill_large(3); /* 1 to 7 */
	window_world_ask(&w, 5);
	play_settle();
	t = life_find(&w.b, 5);
	life_change(&w.b, t, TASK_EV_START);
	store_update(&w.store, t);
	play_next(1);
	play_next(2);
	play_turn();
	assert_int_equal(w.n_fetches, 1);
	window_world_requeue(&w, t);
	play_tell(); /* 6 and 7, of no use */
	assert_int_equal(w.b.n_tasks, 2);
	assert_false(window_world_band(&w, 0, 0)->missed);
	play_turn();
	assert_int_equal(w.n_fetches, 2);
	play_settle();
	play_rest(3, 7);
}

static void
a_fetch_may_bring_what_is_here_or_over(void **state)
{
	(void)state;
	play_fill_large(4);
	play_next(1);
	play_next(2);
	window_world_ask(&w, 5);
	window_world_ask(&w, 6);
	play_turn();
	/* The two are told before the fetch, which has them as well. */
	assert_false(play_is_here(5));
	play_tell();
	assert_true(play_is_here(6));
	assert_in_range(window_world_band(&w, 0, 0)->n_spilled, 1, 2);
	assert_int_equal(life_cancel(&w.b, life_find(&w.b, 6)), 0);
	play_settle();
	play_next_ones(3, 5);
	play_settle();
	play_next(7);
	play_next(8);
	play_none();
	play_settle();
}

static void
a_fetch_that_was_overtaken_holds_up_nobody(void **state)
{
	struct band *band;

	(void)state;
	play_fill_large(3); /* 1 to 7 */
	band = window_world_band(&w, 0, 0);
	window_world_ask(&w, 5);
	window_world_ask(&w, 6);
	window_world_ask(&w, 7);
	play_turn();
	play_next(1);
	play_next(2);
	play_turn(); /* a fetch, which the disk will get next */
	assert_int_equal(w.n_fetches, 1);
	play_tell();
	assert_int_equal(band->n_spilled, 0);
	play_turn();
	play_submit(2, (struct window_spec){.size = PLAY_LARGE});
	assert_int_equal(band->n_spilled, 1);
	assert_int_equal(band->frontier, 8);
	play_tell();
	assert_int_equal(band->frontier, 8);
	play_next_ones(3, 8);
	play_none();
	play_settle();
	play_rest(9, 9);
}

static void
one_that_has_ended_since_the_fetch_is_left_out(void **state)
{
	(void)state;
	play_fill_large(3);
	window_world_ask(&w, 6);
	play_settle();
	play_next(1);
	play_next(2);
	play_turn();
	/* It is as it was, on the disk, when the fetch is told. */
	assert_int_equal(w.n_fetches, 1);
	assert_int_equal(life_cancel(&w.b, life_find(&w.b, 6)), 0);
	play_tell();
	play_settle();
	assert_int_equal(w.ended[6]->state, TASK_CANCELLED);
	play_next(3);
	play_next(4);
	play_next(5);
	play_next(7);
	play_none();
}

static void
what_comes_back_from_a_run_stays_in_its_place(void **state)
{
	struct task *t[3];
	int i;

	(void)state;
	play_fill_large(3);
	for (i = 0; i < 3; i++)
		t[i] = window_world_start(&w, 0);
	play_turn(); /* fetched meanwhile: the band is full again */
	play_tell();
	play_settle();
	assert_int_equal(window_world_band(&w, 0, 0)->n_spilled, 0);
	play_submit(1, (struct window_spec){.size = PLAY_LARGE}); /* 8 */
	assert_int_equal(window_world_band(&w, 0, 0)->n_spilled, 1);
	for (i = 0; i < 3; i++)
		window_world_requeue(&w, t[i]);
	/* They are before what is here: none of them may leave. */
	assert_true(play_is_here(1));
	assert_int_equal(window_world_band(&w, 0, 0)->n_resident, 7);
	play_settle();
	play_rest(1, 8);
}

static void
a_full_band_takes_what_is_before_its_last_one(void **state)
{
	struct task *t;

	(void)state;
	play_submit(4, (struct window_spec){.size = PLAY_LARGE});
	t = window_world_start(&w, 0);
	play_submit(1, (struct window_spec){.size = PLAY_LARGE});
	assert_int_equal(window_world_band(&w, 0, 0)->n_resident, 4);
	window_world_requeue(&w, t);
	assert_int_equal(window_world_band(&w, 0, 0)->n_spilled, 0);
	assert_int_equal(window_world_band(&w, 0, 0)->n_resident, 5);
	play_submit(1, (struct window_spec){.size = PLAY_LARGE});
	assert_int_equal(window_world_band(&w, 0, 0)->n_spilled, 1);
	play_settle();
	play_rest(1, 6);
}

static void
a_fetch_that_fails_is_made_again_later(void **state)
{
	(void)state;
	play_fill_large(2);
	play_next(1);
	play_next(2);
	w.read_err = -EIO;
	play_turn();
	play_tell();
	assert_int_equal(w.n_fetches, 1);
	play_settle();
	play_settle();
	assert_int_equal(w.n_fetches, 1);
	assert_true(window_world_timer_runs(&w));
	play_next(3);
	play_next(4);
	play_none();
	w.read_err = 0;
	play_wait(PLAY_RETRY);
	assert_int_equal(w.n_fetches, 2);
	play_rest(5, 6);
}

static void
a_fetch_that_cant_be_made_is_tried_again(void **state)
{
	(void)state;
	play_fill_large(2);
	play_next(1);
	play_next(2);
	w.refuse = 1;
	play_turn();
	assert_int_equal(w.n_fetches, 1);
	/* Though nothing else may ever happen. */
	assert_true(window_world_timer_runs(&w));
	play_wait(PLAY_RETRY);
	assert_int_equal(w.n_fetches, 2);
	play_rest(3, 6);
}

static void
one_for_which_there_is_no_memory_comes_later(void **state)
{
	(void)state;
	play_fill_large(6); /* 1 to 10 */
	/* There is room for 64 that are here. */
	play_submit(60, (struct window_spec){.kind = 3, .is_volatile = true});
	play_next(1);
	play_next(2);
	w.no_memory = true;
	play_settle();
	assert_int_equal(w.b.n_tasks, 64);
	assert_true(play_is_here(6));
	assert_false(play_is_here(7));
	play_next_ones(3, 6);
	play_none();
	w.no_memory = false;
	play_wait(PLAY_RETRY);
	play_rest(7, 10);
}

static void
what_the_disk_has_yet_to_learn_is_waited_for(void **state)
{
	struct task *t;

	(void)state;
	play_fill_large(1); /* 1 to 5 */
	t = window_world_start(&w, 0);
	play_settle();
	window_world_retry(&w, t, 1000);
	play_settle();
	w.fails = true;
	window_world_wait(&w, 1001);
	play_turn(); /* ready again, behind the 5th, which only memory knows */
	assert_false(play_is_here(1));
	assert_int_equal(window_world_band(&w, 0, 0)->n_spilled, 2);
	play_next(2);
	play_next(3);
	play_tell();
	play_turn();
	play_tell();
	assert_int_equal(w.n_fetches, 1);
	w.fails = false;
	play_wait(PLAY_RETRY);
	play_rest(4, 5);
	play_rest(1, 1);
}

/* The disk has lost these. */
static void
lose(uint64_t from, uint64_t to)
{
	for (; from <= to; from++)
		w.rows[from].kept = false;
}

static void
assert_counted(size_t n_fetches, uint64_t n_spilled)
{
	assert_int_equal(w.n_fetches, n_fetches);
	assert_int_equal(window_world_band(&w, 0, 0)->n_spilled, n_spilled);
}

static void
what_was_counted_wrongly_is_counted_anew(void **state)
{
	struct band *band;

	(void)state;
	play_fill_large(3);
	play_submit(1, (struct window_spec){.kind = 1}); /* 8 */
	play_settle();
	band = window_world_band(&w, 0, 0);
	lose(5, 7);
	play_next_ones(1, 4);
	window_world_turn(&w);
	window_world_tell(&w);
	assert_true(band->missed);
	assert_counted(1, 3);
	play_none();
	/* Not at once, and not while something may bring them. */
	window_world_turn(&w);
	assert_int_equal(w.n_fetches, 1);
	w.busy = true;
	play_wait_unchecked(PLAY_RETRY);
	assert_counted(2, 3);
	play_none();
	w.busy = false;
	play_wait_unchecked(PLAY_RETRY);
	assert_counted(3, 0);
	window_world_check(&w);
	play_next(8);
	assert_int_equal(w.q->count.ready, 0);
	play_settle();
	assert_int_equal(w.n_fetches, 3);
}

static void
a_store_that_is_never_idle_is_believed_in_the_end(void **state)
{
	int i;

	(void)state;
	play_fill_large(1);
	lose(5, 5);
	w.busy = true;
	play_next(1);
	play_next(2);
	for (i = 0; window_world_band(&w, 0, 0)->n_spilled > 0; i++) {
		assert_true(i < 100);
		play_wait_unchecked(PLAY_RETRY);
	}
	/* It was given more than a moment. */
	assert_true(i >= 10);
	window_world_check(&w);
}

static void
a_late_one_is_found_the_second_time(void **state)
{
	(void)state;
	play_fill_large(1);
	lose(5, 5);
	play_next(1);
	play_next(2);
	window_world_settle(&w);
	assert_true(window_world_band(&w, 0, 0)->missed);
	w.rows[5].kept = true;
	play_wait(PLAY_RETRY);
	play_rest(3, 5);
	/* All is as it was before. */
	play_submit(6, (struct window_spec){.size = PLAY_LARGE});
	play_settle();
	play_rest(6, 11);
}

static void
a_name_that_is_held_back_holds_up_no_other(void **state)
{
	struct holdback hb = {.breaker.state = BREAKER_OPEN};

	(void)state;
	play_fill_large(1);                              /* 1 to 5 */
	play_submit(1, (struct window_spec){.kind = 1}); /* 6 */
	play_next_ones(1, 4);
	play_none();
	hb.kind = w.k[0];
	w.k[0]->holdback = &hb;
	window_review(&w.b);
	play_next(6);
	hb.breaker.state = BREAKER_CLOSED;
	play_submit(1, (struct window_spec){.kind = 1}); /* 7 */
	window_review(&w.b);
	play_none();
	w.k[0]->holdback = NULL;
	play_settle();
	play_rest(5, 5);
	play_rest(7, 7);
}

static void
a_lane_that_is_made_later_has_its_limit(void **state)
{
	(void)state;
	play_fill_large(1);                              /* 1 to 5 */
	play_submit(1, (struct window_spec){.kind = 2}); /* 6 */
	play_settle();
	play_next_ones(1, 4);
	/* Nothing of the first name is here to be moved to its new lane. */
	window_world_reload(&w, 0, 2);
	play_submit(1, (struct window_spec){.is_volatile = true}); /* 7 */
	assert_null(window_world_start(&w, 1));
	play_settle();
	assert_int_equal(window_world_start(&w, 1)->id, 5);
	assert_int_equal(window_world_start(&w, 1)->id, 7);
	play_settle();
}

static void
suspects_are_in_no_band(void **state)
{
	(void)state;
	play_fill_large(1);
	play_submit(1, (struct window_spec){.suspect = true}); /* 6 */
	assert_true(play_is_here(6));
	assert_int_equal(window_world_band(&w, 0, 0)->n_resident, 4);
	assert_int_equal(window_world_band(&w, 0, 0)->n_spilled, 1);
	play_settle();
	window_close(&w.b);
	assert_false(play_is_here(6));
	assert_int_equal(window_world_band(&w, 0, 0)->n_spilled, 6);
	window_world_check(&w);
	play_submit(1, (struct window_spec){.suspect = true});
	assert_false(play_is_here(7));
}

static void
a_put_that_fails_is_counted_no_more(void **state)
{
	(void)state;
	w.fails = true;
	play_submit(
	    6, (struct window_spec){.size = PLAY_LARGE, .expires_ms = 60000});
	play_submit(1, (struct window_spec){.delay_ms = 1000});
	play_turn();
	play_tell();
	assert_int_equal(w.n_lost, 7);
	assert_int_equal(w.b.n_waiting, 0);
	assert_int_equal(window_world_band(&w, 0, 0)->n_resident, 0);
	assert_int_equal(window_world_band(&w, 0, 0)->n_bytes, 0);
	assert_int_equal(w.b.window.due[0].n_resident, 0);
	assert_int_equal(play_lane(0)->ready.more, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    PLAY(a_band_holds_so_many_and_no_more),
	    PLAY(the_next_are_fetched_before_they_are_wanted),
	    PLAY(nothing_passes_those_that_are_on_the_disk),
	    PLAY(a_lower_priority_waits_for_the_fetch_of_a_higher_one),
	    PLAY(bytes_bound_a_band_as_well),
	    PLAY(many_bands_hold_less_each),
	    PLAY(one_that_was_spilled_since_the_fetch_is_not_passed),
	    PLAY(all_of_a_fetch_may_be_behind_what_was_spilled_since),
	    PLAY(a_fetch_may_bring_what_is_here_or_over),
	    PLAY(a_fetch_that_was_overtaken_holds_up_nobody),
	    PLAY(one_that_has_ended_since_the_fetch_is_left_out),
	    PLAY(what_comes_back_from_a_run_stays_in_its_place),
	    PLAY(a_full_band_takes_what_is_before_its_last_one),
	    PLAY(a_fetch_that_fails_is_made_again_later),
	    PLAY(a_fetch_that_cant_be_made_is_tried_again),
	    PLAY(one_for_which_there_is_no_memory_comes_later),
	    PLAY(what_the_disk_has_yet_to_learn_is_waited_for),
	    PLAY(what_was_counted_wrongly_is_counted_anew),
	    PLAY(a_store_that_is_never_idle_is_believed_in_the_end),
	    PLAY(a_late_one_is_found_the_second_time),
	    PLAY(a_name_that_is_held_back_holds_up_no_other),
	    PLAY(a_lane_that_is_made_later_has_its_limit),
	    PLAY(suspects_are_in_no_band),
	    PLAY(a_put_that_fails_is_counted_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
