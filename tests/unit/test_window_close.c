/* SPDX-License-Identifier: ISC */
/* LINK: tests/lib/window_play.c tests/lib/window_world.c
 *	tests/lib/window_disk.c ipc/ctl.c ipc/fdpass.c ipc/peer.c ipc/line.c
 *	ipc/buf.c ipc/json.c ipc/rpc.c ipc/clock.c ipc/log.c ipc/log_line.c
 *	ipc/log_repeat.c ipc/log_sink.c ipc/sock.c libbroker.a */
/*
 * test_window_close.c - all that waits is left to the disk, for another broker
 * or for this one, which goes on where it was
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "master/broker/store_sqlite.h"
#include "tests/lib/window_play.h"

static void
closed_it_leaves_all_to_the_disk(void **state)
{
	struct task *t;

	(void)state;
	play_submit(3, (struct window_spec){0});
	play_submit(1, (struct window_spec){.is_volatile = true});
	play_submit(2, (struct window_spec){.delay_ms = 1000});
	play_submit(2, (struct window_spec){.delay_ms = 1000, .wall = true});
	t = window_world_start(&w, 0);
	play_settle();
	assert_true(window_has_work(&w.b, 1) == false);
	window_close(&w.b);
	window_close(&w.b);
	/* The volatile one and the one that runs. */
	assert_int_equal(w.b.n_tasks, 2);
	assert_int_equal(window_world_band(&w, 0, 0)->n_spilled, 2);
	assert_int_equal(window_world_band(&w, 0, 0)->n_resident, 0);
	play_settle();
	/* What comes back or in goes the same way. */
	window_world_requeue(&w, t);
	play_submit(1, (struct window_spec){0});
	play_submit(1, (struct window_spec){.delay_ms = 5});
	assert_int_equal(w.b.n_tasks, 1);
	play_settle();
	play_wait(10000);
	assert_int_equal(w.n_fetches, 0);
	assert_false(window_has_work(&w.b, 1));
}

static void
opened_it_goes_on_in_order(void **state)
{
	struct task *t;

	(void)state;
	play_fill_large(2); /* 1 to 6 */
	t = window_world_start(&w, 0);
	play_settle();
	window_close(&w.b);
	play_settle();
	window_world_requeue(&w, t);
	play_settle();
	window_open(&w.b);
	assert_true(window_has_work(&w.b, 1));
	assert_true(window_has_work(&w.b, 2));
	assert_false(window_has_work(&w.b, 4));
	play_none();
	assert_true(window_world_timer_runs(&w));
	play_settle();
	play_rest(1, 6);
}

static void
a_fetch_of_before_the_close_brings_nothing(void **state)
{
	(void)state;
	play_fill_large(2);
	play_next_ones(1, 4);
	play_turn();
	assert_int_equal(w.n_fetches, 1);
	window_close(&w.b);
	play_tell();
	assert_int_equal(w.b.n_tasks, 0);
	play_settle();
	window_open(&w.b);
	play_settle();
	assert_int_equal(w.n_fetches, 2);
	play_rest(5, 6);
}

static void
closed_it_keeps_nobody_waiting_who_stays(void **state)
{
	(void)state;
	play_fill_large(1);
	play_submit(1, (struct window_spec){.is_volatile = true}); /* 6 */
	play_settle();
	window_close(&w.b);
	play_next(6);
	play_none();
	play_submit(1, (struct window_spec){.is_volatile = true}); /* 7 */
	play_settle();
	window_open(&w.b);
	play_none();
	play_settle();
	play_rest(1, 5);
	play_rest(7, 7);
}

static void
a_fetch_may_come_home_after_close_and_open(void **state)
{
	(void)state;
	play_fill_large(2);
	play_next(1);
	play_next(2);
	play_turn();
	window_close(&w.b);
	window_open(&w.b);
	/* It is about the 5th and 6th, but the 3rd and 4th left since. */
	play_tell();
	assert_int_equal(w.b.n_tasks, 0);
	play_settle();
	play_rest(3, 6);
}

static void
a_failure_is_forgotten_when_it_opens(void **state)
{
	(void)state;
	play_fill_large(2);
	play_next(1);
	play_next(2);
	w.read_err = -EIO;
	play_turn();
	play_tell();
	window_close(&w.b);
	w.read_err = 0;
	play_wait(PLAY_RETRY); /* the timer has run, for nothing */
	window_open(&w.b);
	play_wait(PLAY_RETRY);
	play_rest(3, 6);
}

static void
what_was_found_is_started_in_its_order(void **state)
{
	struct store_band bands[] = {{"q", "a", 0, 3}, {"q", "b", 0, 2}};
	struct store_band parked[] = {{"q", "a", 0, 1}};
	struct store_found found = {
	    .bands = bands, .n_bands = 2, .parked = parked, .n_parked = 0};

	(void)state;
	w.shared.last_id = 7;
	w.b.seq = 100;
	play_put_ready(5, 0, 11);
	play_put_ready(4, 1, 12);
	play_put_ready(3, 0, 13);
	play_put_ready(2, 1, 14);
	play_put_ready(1, 0, 15);
	play_load(&found);
	assert_int_equal(w.b.n_waiting, 5);
	assert_int_equal(play_lane(0)->ready.limit[0], 0);
	play_submit(1, (struct window_spec){.is_volatile = true}); /* 8 */
	play_none();
	assert_true(window_has_work(&w.b, 2));
	play_settle();
	play_rest(5, 5);
	play_rest(4, 4);
	play_rest(3, 3);
	play_rest(2, 2);
	play_rest(1, 1);
	play_rest(8, 8);
	assert_int_equal(w.n_fetches, 2);
}

static void
parked_ones_are_counted_and_left_to_their_mailbox(void **state)
{
	struct store_band parked[] = {{"q", "a", 0, 3}};
	struct store_found found = {.parked = parked, .n_parked = 1};

	(void)state;
	assert_int_equal(window_load(&w.b, &found), 0);
	assert_int_equal(w.q->count.ready, 3);
	assert_int_equal(w.b.n_waiting, 3);
	assert_null(window_world_band(&w, 0, 0));
	window_world_turn(&w);
	assert_int_equal(w.n_fetches, 0);
}

static void
what_nobody_can_run_yet_is_kept(void **state)
{
	(void)state;
	play_submit(6, (struct window_spec){.kind = 3, .size = PLAY_LARGE});
	play_settle();
	play_none();
	assert_false(window_has_work(&w.b, 3));
	window_close(&w.b);
	play_settle();
	window_open(&w.b);
	play_settle();
	assert_int_not_equal(w.b.n_tasks, 0);
	play_none();
	/* A reload that brings the name. */
	window_world_reload(&w, 3, 3);
	assert_true(window_has_work(&w.b, 1));
	play_rest(1, 6);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    PLAY(closed_it_leaves_all_to_the_disk),
	    PLAY(opened_it_goes_on_in_order),
	    PLAY(a_fetch_of_before_the_close_brings_nothing),
	    PLAY(closed_it_keeps_nobody_waiting_who_stays),
	    PLAY(a_fetch_may_come_home_after_close_and_open),
	    PLAY(a_failure_is_forgotten_when_it_opens),
	    PLAY(what_was_found_is_started_in_its_order),
	    PLAY(parked_ones_are_counted_and_left_to_their_mailbox),
	    PLAY(what_nobody_can_run_yet_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
