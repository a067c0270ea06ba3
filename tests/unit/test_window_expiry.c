/* SPDX-License-Identifier: ISC */
/* LINK: tests/lib/window_play.c tests/lib/window_world.c
 *	tests/lib/window_disk.c ipc/ctl.c ipc/fdpass.c ipc/peer.c ipc/line.c
 *	ipc/buf.c ipc/json.c ipc/rpc.c ipc/clock.c ipc/log.c ipc/log_line.c
 *	ipc/log_repeat.c ipc/log_sink.c ipc/sock.c libbroker.a */
/*
 * test_window_expiry.c - what has waited too long ends so on the disk, too
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

/* So many that are ready, of which the first 4 are here. */
static void
fill_expiring(unsigned n, int64_t ms)
{
	play_submit(
	    n, (struct window_spec){.size = PLAY_LARGE, .expires_ms = ms});
	play_settle();
}

static void
spilled_ones_expire_in_their_time(void **state)
{
	uint64_t id;

	(void)state;
	fill_expiring(6, 1000);
	assert_int_equal(w.b.window.n_expiring, 2);
	play_wait(999);
	assert_int_equal(w.n_fetches, 0);
	assert_int_equal(w.n_ended, 0);
	window_world_wait(&w, 1);
	play_turn();
	assert_int_equal(w.n_fetches, 2); /* one of them for the band */
	assert_int_equal(w.last.order, STORE_READY);
	play_settle();
	assert_int_equal(w.n_ended, 6);
	for (id = 1; id <= 6; id++)
		assert_int_equal(play_state(id), TASK_EXPIRED);
	assert_int_equal(w.b.window.n_expiring, 0);
	assert_int_equal(w.b.n_waiting, 0);
}

/* What is here keeps its place, so that no fetch of the band is wanted. */
static void
fill_behind_four(unsigned n, int64_t ms)
{
	play_submit(4, (struct window_spec){.size = PLAY_LARGE});
	fill_expiring(n, ms);
	assert_int_equal(w.b.window.n_expiring, n);
}

static void
they_are_looked_for_when_the_next_one_is_due(void **state)
{
	(void)state;
	fill_behind_four(2, 5000);
	fill_expiring(1, 1000); /* 7 */
	play_wait(1000);
	assert_int_equal(w.n_fetches, 1);
	assert_int_equal(w.last.order, STORE_EXPIRED);
	assert_int_equal(w.last.until, broker_steady_now(&w.b));
	assert_int_equal(play_state(7), TASK_EXPIRED);
	assert_int_equal(w.n_ended, 1);
	play_wait(3999);
	assert_int_equal(w.n_fetches, 1);
	play_wait(1);
	assert_int_equal(w.n_fetches, 2);
	assert_int_equal(w.n_ended, 3);
	play_wait(60000);
	assert_int_equal(w.n_fetches, 2);
}

static void
one_that_was_spilled_since_the_look_is_in_time(void **state)
{
	(void)state;
	fill_behind_four(1, 1000);
	window_world_wait(&w, 1000);
	play_turn();
	assert_int_equal(w.n_fetches, 1);
	assert_true(w.in_flight);
	play_submit(
	    1, (struct window_spec){.size = PLAY_LARGE, .expires_ms = 200});
	play_tell();
	play_settle();
	play_wait(199);
	assert_int_equal(w.n_ended, 1);
	play_wait(1);
	assert_int_equal(w.n_ended, 2);
	assert_int_equal(play_state(6), TASK_EXPIRED);
}

static void
one_that_has_come_back_has_its_own_timer(void **state)
{
	(void)state;
	fill_behind_four(1, 1000);
	window_world_ask(&w, 5);
	play_settle();
	assert_int_equal(w.b.window.n_expiring, 0);
	play_wait(1000);
	assert_int_equal(play_state(5), TASK_EXPIRED);
	assert_int_equal(w.n_fetches, 0);
}

static void
one_that_runs_by_the_time_of_the_answer_goes_on(void **state)
{
	struct task *t;

	(void)state;
	fill_behind_four(2, 1000);
	window_world_ask(&w, 5);
	play_settle();
	t = life_find(&w.b, 5);
	window_world_wait(&w, 1000);
	life_change(&w.b, t, TASK_EV_START); /* just before its time */
	play_turn();                         /* the disk does not know */
	assert_int_equal(w.last.order, STORE_EXPIRED);
	play_tell();
	play_settle();
	assert_int_equal(play_state(5), TASK_RUNNING);
	assert_int_equal(play_state(6), TASK_EXPIRED);
	window_world_succeed(&w, t);
	play_settle();
}

/* A band that is full, and behind it more than a page that expires in 1 s. */
static void
fill_pages(void)
{
	play_submit(PLAY_MOST, (struct window_spec){0});
	play_submit(PLAY_MOST + 500, (struct window_spec){.expires_ms = 1000});
	play_settle();
}

static void
more_than_a_page_of_them_expire(void **state)
{
	(void)state;
	fill_pages();
	play_wait(1000);
	assert_int_equal(w.n_ended, PLAY_MOST + 500);
	assert_in_range(w.n_fetches, 2, 3);
}

static void
an_end_that_is_not_written_is_no_reason_to_look_on_and_on(void **state)
{
	int i;

	(void)state;
	fill_pages();
	w.fails = true;
	window_world_wait(&w, 1000);
	for (i = 0; i < 50; i++) {
		window_world_turn(&w);
		window_world_tell(&w);
	}
	/* The second has found the same ones, all of which have ended. */
	assert_int_equal(w.n_fetches, 2);
	assert_int_equal(w.n_ended, 0);
	for (i = 0; i < 50; i++) {
		window_world_wait(&w, 10);
		window_world_turn(&w);
		window_world_tell(&w);
	}
	assert_in_range(w.n_fetches, 3, 12);
	w.fails = false;
	play_wait(PLAY_RETRY);
	play_wait(PLAY_RETRY);
	assert_int_equal(w.n_ended, PLAY_MOST + 500);
}

static void
a_look_that_fails_is_made_again_later(void **state)
{
	(void)state;
	fill_behind_four(2, 1000);
	w.read_err = -EIO;
	play_wait(1000);
	assert_int_equal(w.n_fetches, 1);
	play_settle();
	assert_int_equal(w.n_fetches, 1);
	w.read_err = 0;
	play_wait(PLAY_RETRY);
	assert_int_equal(w.n_fetches, 2);
	assert_int_equal(w.n_ended, 2);
}

static void
a_look_that_cant_be_made_is_made_again(void **state)
{
	(void)state;
	fill_behind_four(2, 1000);
	w.refuse = 1;
	window_world_wait(&w, 1000);
	play_turn();
	assert_true(window_world_timer_runs(&w));
	play_wait(PLAY_RETRY);
	assert_int_equal(w.n_ended, 2);
}

static void
scheduled_ones_expire_as_well(void **state)
{
	(void)state;
	play_fill_huge();
	play_submit(
	    1, (struct window_spec){.delay_ms = 2500, .expires_ms = 1000});
	play_submit(
	    1, (struct window_spec){.delay_ms = 9000, .expires_ms = 1000});
	assert_true(play_is_here(7));
	assert_false(play_is_here(8));
	play_settle();
	play_wait(1000);
	assert_int_equal(play_state(7), TASK_EXPIRED);
	assert_int_equal(play_state(8), TASK_EXPIRED);
	assert_int_equal(w.n_ended, 2);
}

static void
closed_none_expires_until_it_opens(void **state)
{
	(void)state;
	fill_behind_four(2, 1000);
	window_close(&w.b);
	play_settle();
	play_wait(2000);
	assert_int_equal(w.n_fetches, 0);
	assert_int_equal(w.n_ended, 0);
	window_open(&w.b);
	play_wait(PLAY_RETRY);
	assert_int_equal(w.n_ended, 2);
}

static void
a_look_of_before_the_close_ends_nothing(void **state)
{
	(void)state;
	fill_behind_four(2, 1000);
	window_world_wait(&w, 1000);
	play_turn();
	assert_int_equal(w.n_fetches, 1);
	window_close(&w.b);
	play_tell();
	play_settle();
	assert_int_equal(w.n_ended, 0);
	assert_int_equal(w.b.window.n_expiring, 2);
	window_open(&w.b);
	play_wait(PLAY_RETRY);
	assert_int_equal(w.n_ended, 2);
}

static void
what_was_found_is_looked_for_when_it_expires(void **state)
{
	struct store_band bands[] = {{"q", "a", 0, 1}};
	struct store_found found = {
	    .bands = bands, .n_bands = 1, .n_expiring = 1};

	(void)state;
	/* Enough of its band is here that it is not fetched. */
	play_submit(4, (struct window_spec){.size = PLAY_LARGE});
	play_settle();
	w.shared.last_id = 5;
	play_put_ready(5, 0, 99);
	w.rows[5].image.expires_ms = broker_steady_now(&w.b) + 5000;
	assert_int_equal(window_load(&w.b, &found), 0);
	play_wait(PLAY_RETRY);
	assert_int_equal(w.n_fetches, 1);
	assert_int_equal(w.last.order, STORE_EXPIRED);
	play_wait(5000 - PLAY_RETRY - 1);
	assert_int_equal(w.n_fetches, 1);
	assert_int_equal(w.n_ended, 0);
	play_wait(1);
	assert_int_equal(play_state(5), TASK_EXPIRED);
}

static void
what_was_found_expires_too(void **state)
{
	struct store_band bands[] = {{"q", "a", 0, 2}};
	struct store_found found = {
	    .bands = bands, .n_bands = 1, .n_expiring = 2};
	int64_t now = broker_steady_now(&w.b);
	uint64_t id;

	(void)state;
	w.shared.last_id = 2;
	for (id = 1; id <= 2; id++) {
		play_put_ready(id, 0, id);
		w.rows[id].image.expires_ms = now + 500 * (int64_t)id - 600;
	}
	play_load(&found);
	play_wait(PLAY_RETRY);
	assert_int_equal(play_state(1), TASK_EXPIRED);
	assert_int_equal(play_state(2), TASK_READY);
	play_wait(400);
	assert_int_equal(play_state(2), TASK_EXPIRED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    PLAY(spilled_ones_expire_in_their_time),
	    PLAY(they_are_looked_for_when_the_next_one_is_due),
	    PLAY(one_that_was_spilled_since_the_look_is_in_time),
	    PLAY(one_that_has_come_back_has_its_own_timer),
	    PLAY(one_that_runs_by_the_time_of_the_answer_goes_on),
	    PLAY(more_than_a_page_of_them_expire),
	    PLAY(an_end_that_is_not_written_is_no_reason_to_look_on_and_on),
	    PLAY(a_look_that_fails_is_made_again_later),
	    PLAY(a_look_that_cant_be_made_is_made_again),
	    PLAY(scheduled_ones_expire_as_well),
	    PLAY(closed_none_expires_until_it_opens),
	    PLAY(a_look_of_before_the_close_ends_nothing),
	    PLAY(what_was_found_is_looked_for_when_it_expires),
	    PLAY(what_was_found_expires_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
