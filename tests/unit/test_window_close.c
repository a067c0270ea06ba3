/* SPDX-License-Identifier: ISC */
/* LINK: tests/lib/window_world.c tests/lib/window_disk.c ipc/ctl.c
 *	ipc/fdpass.c ipc/peer.c ipc/line.c ipc/buf.c ipc/json.c ipc/rpc.c
 *	ipc/clock.c ipc/log.c ipc/log_line.c ipc/log_repeat.c
 *	ipc/log_sink.c ipc/sock.c libbroker.a */
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
#include "tests/lib/window_world.h"

#define RETRY 51 /* ms */
#define MB    ((size_t)1024 * 1024)
#define LARGE (MB - sizeof(struct task)) /* of texts: 4 of them fill a band */

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

/* The next one that is started is this one; it ends at once. */
static void
assert_next(uint64_t id)
{
	struct task *t = window_world_start(&w, 0);

	assert_non_null(t);
	assert_int_equal(t->id, id);
	window_world_succeed(&w, t);
}

static void
assert_none(void)
{
	assert_null(window_world_start(&w, 0));
}

/* These are started one after the other, whatever has to be fetched. */
static void
assert_rest(uint64_t from, uint64_t to)
{
	for (; from <= to; from++) {
		assert_next(from);
		settle();
	}
}

static struct lane *
lane_of(unsigned kind)
{
	return catalog_get_lane(&w.b.catalog, w.q, w.k[kind]);
}

/* A few large ones fill it, too. */
static void
fill_large(unsigned n_more)
{
	submit(4 + n_more, (struct window_spec){.size = LARGE});
	settle();
	assert_int_equal(w.n_fetches, 0);
	assert_int_equal(w.b.n_tasks, 4);
}

static void
closed_it_leaves_all_to_the_disk(void **state)
{
	struct task *t;

	(void)state;
	submit(3, (struct window_spec){0});
	submit(1, (struct window_spec){.is_volatile = true});
	submit(2, (struct window_spec){.delay_ms = 1000});
	submit(2, (struct window_spec){.delay_ms = 1000, .wall = true});
	t = window_world_start(&w, 0);
	settle();
	assert_true(window_has_work(&w.b, 1) == false);
	window_close(&w.b);
	window_close(&w.b);
	/* The volatile one and the one that runs. */
	assert_int_equal(w.b.n_tasks, 2);
	assert_int_equal(window_world_band(&w, 0, 0)->n_spilled, 2);
	assert_int_equal(window_world_band(&w, 0, 0)->n_resident, 0);
	settle();
	/* What comes back or in goes the same way. */
	window_world_requeue(&w, t);
	submit(1, (struct window_spec){0});
	submit(1, (struct window_spec){.delay_ms = 5});
	assert_int_equal(w.b.n_tasks, 1);
	settle();
	window_world_wait(&w, 10000);
	settle();
	assert_int_equal(w.n_fetches, 0);
	assert_false(window_has_work(&w.b, 1));
}

static void
opened_it_goes_on_in_order(void **state)
{
	struct task *t;

	(void)state;
	fill_large(2); /* 1 to 6 */
	t = window_world_start(&w, 0);
	settle();
	window_close(&w.b);
	settle();
	window_world_requeue(&w, t);
	settle();
	window_open(&w.b);
	assert_true(window_has_work(&w.b, 1));
	assert_true(window_has_work(&w.b, 2));
	assert_false(window_has_work(&w.b, 4));
	assert_none();
	assert_true(window_world_timer_runs(&w));
	settle();
	assert_rest(1, 6);
}

static void
a_fetch_of_before_the_close_brings_nothing(void **state)
{
	(void)state;
	fill_large(2);
	assert_next(1);
	assert_next(2);
	assert_next(3);
	assert_next(4);
	turn();
	assert_int_equal(w.n_fetches, 1);
	window_close(&w.b);
	tell();
	assert_int_equal(w.b.n_tasks, 0);
	settle();
	window_open(&w.b);
	settle();
	assert_int_equal(w.n_fetches, 2);
	assert_rest(5, 6);
}

static void
closed_it_keeps_nobody_waiting_who_stays(void **state)
{
	(void)state;
	fill_large(1);
	submit(1, (struct window_spec){.is_volatile = true}); /* 6 */
	settle();
	window_close(&w.b);
	assert_next(6);
	assert_none();
	submit(1, (struct window_spec){.is_volatile = true}); /* 7 */
	settle();
	window_open(&w.b);
	assert_none();
	settle();
	assert_rest(1, 5);
	assert_rest(7, 7);
}

static void
a_fetch_may_come_home_after_close_and_open(void **state)
{
	(void)state;
	fill_large(2);
	assert_next(1);
	assert_next(2);
	turn();
	window_close(&w.b);
	window_open(&w.b);
	/* It is about the 5th and 6th, but the 3rd and 4th left since. */
	tell();
	assert_int_equal(w.b.n_tasks, 0);
	settle();
	assert_rest(3, 6);
}

static void
a_failure_is_forgotten_when_it_opens(void **state)
{
	(void)state;
	fill_large(2);
	assert_next(1);
	assert_next(2);
	w.read_err = -EIO;
	turn();
	tell();
	window_close(&w.b);
	w.read_err = 0;
	window_world_wait(&w, RETRY);
	settle(); /* the timer has run, for nothing */
	window_open(&w.b);
	window_world_wait(&w, RETRY);
	settle();
	assert_rest(3, 6);
}

/* What a disk says that it has. */
static void
load(const struct store_found *found)
{
	assert_int_equal(window_load(&w.b, found), 0);
	window_world_check(&w);
}

static void
put_on_disk(uint64_t id, unsigned kind, uint64_t seq)
{
	struct task t = {.id = id,
	    .kind = w.k[kind],
	    .queue = w.q,
	    .state = TASK_READY,
	    .durable = true,
	    .seq = seq};

	w.rows[id] = (struct window_row){true, t};
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
	put_on_disk(5, 0, 11);
	put_on_disk(4, 1, 12);
	put_on_disk(3, 0, 13);
	put_on_disk(2, 1, 14);
	put_on_disk(1, 0, 15);
	load(&found);
	assert_int_equal(w.b.n_waiting, 5);
	assert_int_equal(lane_of(0)->ready.limit[0], 0);
	submit(1, (struct window_spec){.is_volatile = true}); /* 8 */
	assert_none();
	assert_true(window_has_work(&w.b, 2));
	settle();
	assert_rest(5, 5);
	assert_rest(4, 4);
	assert_rest(3, 3);
	assert_rest(2, 2);
	assert_rest(1, 1);
	assert_rest(8, 8);
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
	submit(6, (struct window_spec){.kind = 3, .size = LARGE});
	settle();
	assert_none();
	assert_false(window_has_work(&w.b, 3));
	window_close(&w.b);
	settle();
	window_open(&w.b);
	settle();
	assert_int_not_equal(w.b.n_tasks, 0);
	assert_none();
	/* A reload that brings the name. */
	window_world_reload(&w, 3, 3);
	assert_true(window_has_work(&w.b, 1));
	assert_rest(1, 6);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(closed_it_leaves_all_to_the_disk),
	    T(opened_it_goes_on_in_order),
	    T(a_fetch_of_before_the_close_brings_nothing),
	    T(closed_it_keeps_nobody_waiting_who_stays),
	    T(a_fetch_may_come_home_after_close_and_open),
	    T(a_failure_is_forgotten_when_it_opens),
	    T(what_was_found_is_started_in_its_order),
	    T(parked_ones_are_counted_and_left_to_their_mailbox),
	    T(what_nobody_can_run_yet_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
