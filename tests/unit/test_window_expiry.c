/* SPDX-License-Identifier: ISC */
/* LINK: tests/lib/window_world.c tests/lib/window_disk.c ipc/ctl.c
 *	ipc/fdpass.c ipc/peer.c ipc/line.c ipc/buf.c ipc/json.c ipc/rpc.c
 *	ipc/clock.c ipc/log.c ipc/log_line.c ipc/log_repeat.c
 *	ipc/log_sink.c ipc/sock.c libbroker.a */
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

/* So many that are ready, of which the first 4 are here. */
static void
fill_expiring(unsigned n, int64_t ms)
{
	submit(n, (struct window_spec){.size = LARGE, .expires_ms = ms});
	settle();
}

static void
spilled_ones_expire_in_their_time(void **state)
{
	uint64_t id;

	(void)state;
	fill_expiring(6, 1000);
	assert_int_equal(w.b.window.n_expiring, 2);
	wait_ms(999);
	assert_int_equal(w.n_fetches, 0);
	assert_int_equal(w.n_ended, 0);
	window_world_wait(&w, 1);
	turn();
	assert_int_equal(w.n_fetches, 2); /* one of them for the band */
	assert_int_equal(w.last.order, STORE_READY);
	settle();
	assert_int_equal(w.n_ended, 6);
	for (id = 1; id <= 6; id++)
		assert_int_equal(state_of(id), TASK_EXPIRED);
	assert_int_equal(w.b.window.n_expiring, 0);
	assert_int_equal(w.b.n_waiting, 0);
}

/* What is here keeps its place, so that no fetch of the band is wanted. */
static void
fill_behind_four(unsigned n, int64_t ms)
{
	submit(4, (struct window_spec){.size = LARGE});
	fill_expiring(n, ms);
	assert_int_equal(w.b.window.n_expiring, n);
}

static void
they_are_looked_for_when_the_next_one_is_due(void **state)
{
	(void)state;
	fill_behind_four(2, 5000);
	fill_expiring(1, 1000); /* 7 */
	wait_ms(1000);
	assert_int_equal(w.n_fetches, 1);
	assert_int_equal(w.last.order, STORE_EXPIRED);
	assert_int_equal(w.last.until, broker_steady_now(&w.b));
	assert_int_equal(state_of(7), TASK_EXPIRED);
	assert_int_equal(w.n_ended, 1);
	wait_ms(3999);
	assert_int_equal(w.n_fetches, 1);
	wait_ms(1);
	assert_int_equal(w.n_fetches, 2);
	assert_int_equal(w.n_ended, 3);
	wait_ms(60000);
	assert_int_equal(w.n_fetches, 2);
}

static void
one_that_was_spilled_since_the_look_is_in_time(void **state)
{
	(void)state;
	fill_behind_four(1, 1000);
	window_world_wait(&w, 1000);
	turn();
	assert_int_equal(w.n_fetches, 1);
	assert_true(w.in_flight);
	submit(1, (struct window_spec){.size = LARGE, .expires_ms = 200});
	tell();
	settle();
	wait_ms(199);
	assert_int_equal(w.n_ended, 1);
	wait_ms(1);
	assert_int_equal(w.n_ended, 2);
	assert_int_equal(state_of(6), TASK_EXPIRED);
}

static void
one_that_has_come_back_has_its_own_timer(void **state)
{
	(void)state;
	fill_behind_four(1, 1000);
	window_world_ask(&w, 5);
	settle();
	assert_int_equal(w.b.window.n_expiring, 0);
	wait_ms(1000);
	assert_int_equal(state_of(5), TASK_EXPIRED);
	assert_int_equal(w.n_fetches, 0);
}

static void
one_that_runs_by_the_time_of_the_answer_goes_on(void **state)
{
	struct task *t;

	(void)state;
	fill_behind_four(2, 1000);
	window_world_ask(&w, 5);
	settle();
	t = life_find(&w.b, 5);
	window_world_wait(&w, 1000);
	life_change(&w.b, t, TASK_EV_START); /* just before its time */
	turn();                              /* the disk does not know */
	assert_int_equal(w.last.order, STORE_EXPIRED);
	tell();
	settle();
	assert_int_equal(state_of(5), TASK_RUNNING);
	assert_int_equal(state_of(6), TASK_EXPIRED);
	window_world_succeed(&w, t);
	settle();
}

static void
more_than_a_page_of_them_expire(void **state)
{
	(void)state;
	submit(MOST, (struct window_spec){0});
	submit(MOST + 500, (struct window_spec){.expires_ms = 1000});
	settle();
	wait_ms(1000);
	assert_int_equal(w.n_ended, MOST + 500);
	assert_in_range(w.n_fetches, 2, 3);
}

static void
an_end_that_is_not_written_is_no_reason_to_look_on_and_on(void **state)
{
	int i;

	(void)state;
	submit(MOST, (struct window_spec){0});
	submit(MOST + 500, (struct window_spec){.expires_ms = 1000});
	settle();
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
	wait_ms(RETRY);
	wait_ms(RETRY);
	assert_int_equal(w.n_ended, MOST + 500);
}

static void
a_look_that_fails_is_made_again_later(void **state)
{
	(void)state;
	fill_behind_four(2, 1000);
	w.read_err = -EIO;
	wait_ms(1000);
	assert_int_equal(w.n_fetches, 1);
	settle();
	assert_int_equal(w.n_fetches, 1);
	w.read_err = 0;
	wait_ms(RETRY);
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
	turn();
	assert_true(window_world_timer_runs(&w));
	wait_ms(RETRY);
	assert_int_equal(w.n_ended, 2);
}

static void
scheduled_ones_expire_as_well(void **state)
{
	(void)state;
	fill_huge();
	submit(1, (struct window_spec){.delay_ms = 2500, .expires_ms = 1000});
	submit(1, (struct window_spec){.delay_ms = 9000, .expires_ms = 1000});
	assert_true(is_here(7));
	assert_false(is_here(8));
	settle();
	wait_ms(1000);
	assert_int_equal(state_of(7), TASK_EXPIRED);
	assert_int_equal(state_of(8), TASK_EXPIRED);
	assert_int_equal(w.n_ended, 2);
}

static void
closed_none_expires_until_it_opens(void **state)
{
	(void)state;
	fill_behind_four(2, 1000);
	window_close(&w.b);
	settle();
	wait_ms(2000);
	assert_int_equal(w.n_fetches, 0);
	assert_int_equal(w.n_ended, 0);
	window_open(&w.b);
	wait_ms(RETRY);
	assert_int_equal(w.n_ended, 2);
}

static void
a_look_of_before_the_close_ends_nothing(void **state)
{
	(void)state;
	fill_behind_four(2, 1000);
	window_world_wait(&w, 1000);
	turn();
	assert_int_equal(w.n_fetches, 1);
	window_close(&w.b);
	tell();
	settle();
	assert_int_equal(w.n_ended, 0);
	assert_int_equal(w.b.window.n_expiring, 2);
	window_open(&w.b);
	wait_ms(RETRY);
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
	submit(4, (struct window_spec){.size = LARGE});
	settle();
	w.shared.last_id = 5;
	put_on_disk(5, 0, false);
	w.rows[5].image.state = TASK_READY;
	w.rows[5].image.seq = 99;
	w.rows[5].image.expires_ms = broker_steady_now(&w.b) + 5000;
	assert_int_equal(window_load(&w.b, &found), 0);
	wait_ms(RETRY);
	assert_int_equal(w.n_fetches, 1);
	assert_int_equal(w.last.order, STORE_EXPIRED);
	wait_ms(5000 - RETRY - 1);
	assert_int_equal(w.n_fetches, 1);
	assert_int_equal(w.n_ended, 0);
	wait_ms(1);
	assert_int_equal(state_of(5), TASK_EXPIRED);
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
		put_on_disk(id, 0, false);
		w.rows[id].image.state = TASK_READY;
		w.rows[id].image.seq = id;
		w.rows[id].image.expires_ms = now + 500 * (int64_t)id - 600;
	}
	assert_int_equal(window_load(&w.b, &found), 0);
	window_world_check(&w);
	wait_ms(RETRY);
	assert_int_equal(state_of(1), TASK_EXPIRED);
	assert_int_equal(state_of(2), TASK_READY);
	wait_ms(400);
	assert_int_equal(state_of(2), TASK_EXPIRED);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(spilled_ones_expire_in_their_time),
	    T(they_are_looked_for_when_the_next_one_is_due),
	    T(one_that_was_spilled_since_the_look_is_in_time),
	    T(one_that_has_come_back_has_its_own_timer),
	    T(one_that_runs_by_the_time_of_the_answer_goes_on),
	    T(more_than_a_page_of_them_expire),
	    T(an_end_that_is_not_written_is_no_reason_to_look_on_and_on),
	    T(a_look_that_fails_is_made_again_later),
	    T(a_look_that_cant_be_made_is_made_again),
	    T(scheduled_ones_expire_as_well),
	    T(closed_none_expires_until_it_opens),
	    T(a_look_of_before_the_close_ends_nothing),
	    T(what_was_found_is_looked_for_when_it_expires),
	    T(what_was_found_expires_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
