/* SPDX-License-Identifier: ISC */
/* LINK: tests/lib/window_world.c tests/lib/window_disk.c ipc/ctl.c
 *	ipc/fdpass.c ipc/peer.c ipc/line.c ipc/buf.c ipc/json.c ipc/rpc.c
 *	ipc/clock.c ipc/log.c ipc/log_line.c ipc/log_repeat.c
 *	ipc/log_sink.c ipc/sock.c libbroker.a */
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
#include "tests/lib/window_world.h"

#define MOST  2048 /* that a band holds */
#define RETRY 51   /* ms */
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

/* So much as a full band of plain ones, and some more. */
static void
fill(unsigned n_more)
{
	submit(MOST + n_more, (struct window_spec){0});
	window_world_settle(&w);
	assert_int_equal(w.n_fetches, 0);
	assert_int_equal(w.b.n_tasks, MOST);
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
a_band_holds_so_many_and_no_more(void **state)
{
	struct band *band;

	(void)state;
	submit(MOST, (struct window_spec){0});
	band = window_world_band(&w, 0, 0);
	assert_int_equal(band->n_spilled, 0);
	assert_int_equal(lane_of(0)->ready.more, 0);
	submit(10, (struct window_spec){0});
	assert_int_equal(band->n_resident, MOST);
	assert_int_equal(band->n_spilled, 10);
	assert_int_equal(band->frontier, MOST);
	assert_int_equal(lane_of(0)->ready.limit[0], MOST);
	assert_int_equal(lane_of(0)->ready.more, 1);
	assert_true(window_world_is_resident(&w, MOST));
	assert_false(window_world_is_resident(&w, MOST + 1));
	settle();
	assert_int_equal(w.n_fetches, 0);
}

static void
the_next_are_fetched_before_they_are_wanted(void **state)
{
	uint64_t id;

	(void)state;
	fill(1500);
	for (id = 1; id < MOST / 2; id++)
		assert_next(id);
	window_world_settle(&w);
	assert_int_equal(w.n_fetches, 0);
	assert_next(id++);
	turn();
	assert_int_equal(w.n_fetches, 1);
	assert_int_equal(w.last.order, STORE_READY);
	assert_ptr_equal(w.last.queue, w.q);
	assert_ptr_equal(w.last.kind, w.k[0]);
	assert_int_equal(w.last.priority, 0);
	assert_int_equal(w.last.after, MOST);
	assert_int_equal(w.last.n, MOST / 2);
	/* Once is enough. */
	turn();
	assert_int_equal(w.n_fetches, 1);
	window_world_settle(&w);
	assert_int_equal(w.n_fetches, 1);
	assert_int_equal(window_world_band(&w, 0, 0)->n_resident, MOST);
	assert_int_equal(window_world_band(&w, 0, 0)->frontier, MOST * 3 / 2);
	while (id <= MOST + 1500) {
		assert_next(id++);
		window_world_settle(&w);
	}
	assert_int_equal(w.n_fetches, 2);
	assert_none();
	assert_int_equal(lane_of(0)->ready.more, 0);
	assert_int_equal(lane_of(0)->ready.limit[0], UINT64_MAX);
	settle();
}

static void
nothing_passes_those_that_are_on_the_disk(void **state)
{
	(void)state;
	fill_large(3);                              /* 1 to 7 */
	submit(1, (struct window_spec){.kind = 1}); /* 8: after them */
	submit(1, (struct window_spec){.is_volatile = true}); /* 9 */
	assert_true(window_world_is_resident(&w, 8));
	assert_true(window_world_is_resident(&w, 9));
	assert_next(1);
	assert_next(2);
	assert_next(3);
	assert_next(4);
	turn();
	assert_none();
	/* Another lane is not theirs to hold up, nor a higher priority. */
	submit(1, (struct window_spec){.kind = 2});                /* 10 */
	submit(1, (struct window_spec){.kind = 1, .priority = 1}); /* 11 */
	assert_next(11);
	assert_next(10);
	assert_none();
	settle();
	assert_rest(5, 9);
	assert_none();
}

static void
a_lower_priority_waits_for_the_fetch_of_a_higher_one(void **state)
{
	(void)state;
	submit(6, (struct window_spec){.size = LARGE, .priority = 5});
	submit(2, (struct window_spec){.priority = 4}); /* 7, 8 */
	assert_rest(1, 3);
	assert_next(4);
	turn();
	tell();
	assert_rest(5, 8);
	/* The same with ageing: what is on its way may be the oldest. */
	w.q->age_ms = 60000;
	submit(6, (struct window_spec){.size = LARGE, .priority = 5});
	submit(1, (struct window_spec){.priority = 4}); /* 15 */
	assert_next(9);
	assert_next(10);
	assert_next(11);
	assert_next(12);
	turn();
	assert_none();
	settle();
	assert_rest(13, 15);
}

static void
bytes_bound_a_band_as_well(void **state)
{
	struct band *band;

	(void)state;
	submit(3, (struct window_spec){.size = LARGE});
	submit(2, (struct window_spec){.size = 3 * MB - sizeof(struct task)});
	band = window_world_band(&w, 0, 0);
	/* It ends with the one that reaches the bound. */
	assert_int_equal(band->n_resident, 4);
	assert_int_equal(band->n_spilled, 1);
	settle();
	assert_rest(1, 3);
	assert_int_equal(w.n_fetches, 0);
	assert_next(4);
	turn();
	assert_int_equal(w.last.n, MOST);
	assert_int_equal(w.last.max_bytes, 4 * MB);
	settle();
	assert_int_equal(band->n_bytes, 3 * MB);
	assert_rest(5, 5);
	assert_int_equal(band->n_bytes, 0);
}

static void
many_bands_hold_less_each(void **state)
{
	struct window_spec spec = {.size = 2 * MB};
	unsigned p;

	(void)state;
	/* Each of 12 gets a 12th of 32 MB. */
	for (p = 0; p < 6; p++) {
		spec.priority = p;
		spec.kind = 0;
		submit(3, spec);
		spec.kind = 2;
		submit(3, spec);
	}
	assert_int_equal(w.b.window.n_spilled_bands, 12);
	spec = (struct window_spec){.size = LARGE, .priority = 9};
	submit(4, spec);
	assert_int_equal(window_world_band(&w, 0, 9)->n_resident, 3);
	/* And of 16384 small ones. */
	submit(1300, (struct window_spec){.kind = 3});
	assert_int_equal(window_world_band(&w, 3, 0)->n_resident, 16384 / 13);
	settle();
	/* Half of it is 1.3 MB. */
	assert_next(37);
	turn();
	assert_int_equal(w.n_fetches, 0);
	assert_next(38);
	turn();
	assert_int_equal(w.n_fetches, 1);
	assert_in_range(w.last.max_bytes, MB, 32 * MB / 13 - MB);
	settle();
}

static void
one_that_was_spilled_since_the_fetch_is_not_passed(void **state)
{
	struct task *t;
	uint64_t id;

	(void)state;
	fill_large(4); /* 1 to 8 */
	window_world_ask(&w, 6);
	settle();
	/* What a client has asked for is here, and still not before the 5th. */
	assert_true(window_world_is_resident(&w, 6));
	assert_false(window_world_is_resident(&w, 5));
	for (id = 1; id <= 4; id++)
		assert_next(id);
	assert_none();
	/* It runs, for its worker is not asked what the order is. */
	t = life_find(&w.b, 6);
	life_change(&w.b, t, TASK_EV_START);
	store_update(&w.store, t);
	turn(); /* the fetch will not find it among the others */
	assert_int_equal(w.n_fetches, 1);
	assert_true(w.in_flight);
	window_world_requeue(&w, t);
	assert_false(window_world_is_resident(&w, 6));
	tell();
	assert_true(window_world_is_resident(&w, 5));
	assert_false(window_world_is_resident(&w, 7));
	assert_int_equal(window_world_band(&w, 0, 0)->frontier, 5);
	assert_next(5);
	assert_none();
	settle();
	assert_rest(6, 8);
	assert_none();
}

static void
all_of_a_fetch_may_be_behind_what_was_spilled_since(void **state)
{
	struct task *t;

	(void)state;
	fill_large(3); /* 1 to 7 */
	window_world_ask(&w, 5);
	settle();
	t = life_find(&w.b, 5);
	life_change(&w.b, t, TASK_EV_START);
	store_update(&w.store, t);
	assert_next(1);
	assert_next(2);
	turn();
	assert_int_equal(w.n_fetches, 1);
	window_world_requeue(&w, t);
	tell(); /* 6 and 7, of no use */
	assert_int_equal(w.b.n_tasks, 2);
	assert_false(window_world_band(&w, 0, 0)->missed);
	turn();
	assert_int_equal(w.n_fetches, 2);
	settle();
	assert_rest(3, 7);
}

static void
a_fetch_may_bring_what_is_here_or_over(void **state)
{
	(void)state;
	fill_large(4);
	assert_next(1);
	assert_next(2);
	window_world_ask(&w, 5);
	window_world_ask(&w, 6);
	turn();
	/* The two are told before the fetch, which has them as well. */
	assert_false(window_world_is_resident(&w, 5));
	tell();
	assert_true(window_world_is_resident(&w, 6));
	assert_in_range(window_world_band(&w, 0, 0)->n_spilled, 1, 2);
	assert_int_equal(life_cancel(&w.b, life_find(&w.b, 6)), 0);
	settle();
	assert_next(3);
	assert_next(4);
	assert_next(5);
	settle();
	assert_next(7);
	assert_next(8);
	assert_none();
	settle();
}

static void
a_fetch_that_was_overtaken_holds_up_nobody(void **state)
{
	struct band *band;

	(void)state;
	fill_large(3); /* 1 to 7 */
	band = window_world_band(&w, 0, 0);
	window_world_ask(&w, 5);
	window_world_ask(&w, 6);
	window_world_ask(&w, 7);
	turn();
	assert_next(1);
	assert_next(2);
	turn(); /* a fetch, which the disk will get next */
	assert_int_equal(w.n_fetches, 1);
	tell();
	assert_int_equal(band->n_spilled, 0);
	turn();
	submit(2, (struct window_spec){.size = LARGE});
	assert_int_equal(band->n_spilled, 1);
	assert_int_equal(band->frontier, 8);
	tell();
	assert_int_equal(band->frontier, 8);
	assert_next(3);
	assert_next(4);
	assert_next(5);
	assert_next(6);
	assert_next(7);
	assert_next(8);
	assert_none();
	settle();
	assert_rest(9, 9);
}

static void
one_that_has_ended_since_the_fetch_is_left_out(void **state)
{
	(void)state;
	fill_large(3);
	window_world_ask(&w, 6);
	settle();
	assert_next(1);
	assert_next(2);
	turn();
	/* It is as it was, on the disk, when the fetch is told. */
	assert_int_equal(w.n_fetches, 1);
	assert_int_equal(life_cancel(&w.b, life_find(&w.b, 6)), 0);
	tell();
	settle();
	assert_int_equal(w.ended[6]->state, TASK_CANCELLED);
	assert_next(3);
	assert_next(4);
	assert_next(5);
	assert_next(7);
	assert_none();
}

static void
what_comes_back_from_a_run_stays_in_its_place(void **state)
{
	struct task *t[3];
	int i;

	(void)state;
	fill_large(3);
	for (i = 0; i < 3; i++)
		t[i] = window_world_start(&w, 0);
	turn(); /* fetched meanwhile: the band is full again */
	tell();
	settle();
	assert_int_equal(window_world_band(&w, 0, 0)->n_spilled, 0);
	submit(1, (struct window_spec){.size = LARGE}); /* 8 */
	assert_int_equal(window_world_band(&w, 0, 0)->n_spilled, 1);
	for (i = 0; i < 3; i++)
		window_world_requeue(&w, t[i]);
	/* They are before what is here: none of them may leave. */
	assert_true(window_world_is_resident(&w, 1));
	assert_int_equal(window_world_band(&w, 0, 0)->n_resident, 7);
	settle();
	assert_rest(1, 8);
}

static void
a_full_band_takes_what_is_before_its_last_one(void **state)
{
	struct task *t;

	(void)state;
	submit(4, (struct window_spec){.size = LARGE});
	t = window_world_start(&w, 0);
	submit(1, (struct window_spec){.size = LARGE});
	assert_int_equal(window_world_band(&w, 0, 0)->n_resident, 4);
	window_world_requeue(&w, t);
	assert_int_equal(window_world_band(&w, 0, 0)->n_spilled, 0);
	assert_int_equal(window_world_band(&w, 0, 0)->n_resident, 5);
	submit(1, (struct window_spec){.size = LARGE});
	assert_int_equal(window_world_band(&w, 0, 0)->n_spilled, 1);
	settle();
	assert_rest(1, 6);
}

static void
a_fetch_that_fails_is_made_again_later(void **state)
{
	(void)state;
	fill_large(2);
	assert_next(1);
	assert_next(2);
	w.read_err = -EIO;
	turn();
	tell();
	assert_int_equal(w.n_fetches, 1);
	settle();
	settle();
	assert_int_equal(w.n_fetches, 1);
	assert_true(window_world_timer_runs(&w));
	assert_next(3);
	assert_next(4);
	assert_none();
	w.read_err = 0;
	window_world_wait(&w, RETRY);
	settle();
	assert_int_equal(w.n_fetches, 2);
	assert_rest(5, 6);
}

static void
a_fetch_that_cant_be_made_is_tried_again(void **state)
{
	(void)state;
	fill_large(2);
	assert_next(1);
	assert_next(2);
	w.refuse = 1;
	turn();
	assert_int_equal(w.n_fetches, 1);
	/* Though nothing else may ever happen. */
	assert_true(window_world_timer_runs(&w));
	window_world_wait(&w, RETRY);
	settle();
	assert_int_equal(w.n_fetches, 2);
	assert_rest(3, 6);
}

static void
one_for_which_there_is_no_memory_comes_later(void **state)
{
	(void)state;
	fill_large(6); /* 1 to 10 */
	/* There is room for 64 that are here. */
	submit(60, (struct window_spec){.kind = 3, .is_volatile = true});
	assert_next(1);
	assert_next(2);
	w.no_memory = true;
	settle();
	assert_int_equal(w.b.n_tasks, 64);
	assert_true(window_world_is_resident(&w, 6));
	assert_false(window_world_is_resident(&w, 7));
	assert_next(3);
	assert_next(4);
	assert_next(5);
	assert_next(6);
	assert_none();
	w.no_memory = false;
	window_world_wait(&w, RETRY);
	settle();
	assert_rest(7, 10);
}

static void
what_the_disk_has_yet_to_learn_is_waited_for(void **state)
{
	struct task *t;

	(void)state;
	fill_large(1); /* 1 to 5 */
	t = window_world_start(&w, 0);
	settle();
	window_world_retry(&w, t, 1000);
	settle();
	w.fails = true;
	window_world_wait(&w, 1001);
	turn(); /* ready again, behind the 5th, which only memory knows */
	assert_false(window_world_is_resident(&w, 1));
	assert_int_equal(window_world_band(&w, 0, 0)->n_spilled, 2);
	assert_next(2);
	assert_next(3);
	tell();
	turn();
	tell();
	assert_int_equal(w.n_fetches, 1);
	w.fails = false;
	window_world_wait(&w, RETRY);
	settle();
	assert_rest(4, 5);
	assert_rest(1, 1);
}

/* The disk has lost these. */
static void
lose(uint64_t from, uint64_t to)
{
	for (; from <= to; from++)
		w.rows[from].kept = false;
}

static void
what_was_counted_wrongly_is_counted_anew(void **state)
{
	struct band *band;

	(void)state;
	fill_large(3);
	submit(1, (struct window_spec){.kind = 1}); /* 8 */
	settle();
	band = window_world_band(&w, 0, 0);
	lose(5, 7);
	assert_next(1);
	assert_next(2);
	assert_next(3);
	assert_next(4);
	window_world_turn(&w);
	window_world_tell(&w);
	assert_int_equal(w.n_fetches, 1);
	assert_true(band->missed);
	assert_int_equal(band->n_spilled, 3);
	assert_none();
	/* Not at once, and not while something may bring them. */
	window_world_turn(&w);
	assert_int_equal(w.n_fetches, 1);
	w.busy = true;
	window_world_wait(&w, RETRY);
	window_world_settle(&w);
	assert_int_equal(w.n_fetches, 2);
	assert_int_equal(band->n_spilled, 3);
	assert_none();
	w.busy = false;
	window_world_wait(&w, RETRY);
	window_world_settle(&w);
	assert_int_equal(w.n_fetches, 3);
	assert_int_equal(band->n_spilled, 0);
	window_world_check(&w);
	assert_next(8);
	assert_int_equal(w.q->count.ready, 0);
	settle();
	assert_int_equal(w.n_fetches, 3);
}

static void
a_store_that_is_never_idle_is_believed_in_the_end(void **state)
{
	int i;

	(void)state;
	fill_large(1);
	lose(5, 5);
	w.busy = true;
	assert_next(1);
	assert_next(2);
	for (i = 0; window_world_band(&w, 0, 0)->n_spilled > 0; i++) {
		assert_true(i < 100);
		window_world_wait(&w, RETRY);
		window_world_settle(&w);
	}
	/* It was given more than a moment. */
	assert_true(i >= 10);
	window_world_check(&w);
}

static void
a_late_one_is_found_the_second_time(void **state)
{
	(void)state;
	fill_large(1);
	lose(5, 5);
	assert_next(1);
	assert_next(2);
	window_world_settle(&w);
	assert_true(window_world_band(&w, 0, 0)->missed);
	w.rows[5].kept = true;
	window_world_wait(&w, RETRY);
	settle();
	assert_rest(3, 5);
	/* All is as it was before. */
	submit(6, (struct window_spec){.size = LARGE});
	settle();
	assert_rest(6, 11);
}

static void
a_name_that_is_held_back_holds_up_no_other(void **state)
{
	struct holdback hb = {.breaker.state = BREAKER_OPEN};

	(void)state;
	fill_large(1);                              /* 1 to 5 */
	submit(1, (struct window_spec){.kind = 1}); /* 6 */
	assert_next(1);
	assert_next(2);
	assert_next(3);
	assert_next(4);
	assert_none();
	hb.kind = w.k[0];
	w.k[0]->holdback = &hb;
	window_review(&w.b);
	assert_next(6);
	hb.breaker.state = BREAKER_CLOSED;
	submit(1, (struct window_spec){.kind = 1}); /* 7 */
	window_review(&w.b);
	assert_none();
	w.k[0]->holdback = NULL;
	settle();
	assert_rest(5, 5);
	assert_rest(7, 7);
}

static void
a_lane_that_is_made_later_has_its_limit(void **state)
{
	(void)state;
	fill_large(1);                              /* 1 to 5 */
	submit(1, (struct window_spec){.kind = 2}); /* 6 */
	settle();
	assert_next(1);
	assert_next(2);
	assert_next(3);
	assert_next(4);
	/* Nothing of the first name is here to be moved to its new lane. */
	window_world_reload(&w, 0, 2);
	submit(1, (struct window_spec){.is_volatile = true}); /* 7 */
	assert_null(window_world_start(&w, 1));
	settle();
	assert_int_equal(window_world_start(&w, 1)->id, 5);
	assert_int_equal(window_world_start(&w, 1)->id, 7);
	settle();
}

static void
suspects_are_in_no_band(void **state)
{
	(void)state;
	fill_large(1);
	submit(1, (struct window_spec){.suspect = true}); /* 6 */
	assert_true(window_world_is_resident(&w, 6));
	assert_int_equal(window_world_band(&w, 0, 0)->n_resident, 4);
	assert_int_equal(window_world_band(&w, 0, 0)->n_spilled, 1);
	settle();
	window_close(&w.b);
	assert_false(window_world_is_resident(&w, 6));
	assert_int_equal(window_world_band(&w, 0, 0)->n_spilled, 6);
	window_world_check(&w);
	submit(1, (struct window_spec){.suspect = true});
	assert_false(window_world_is_resident(&w, 7));
}

static void
a_put_that_fails_is_counted_no_more(void **state)
{
	(void)state;
	w.fails = true;
	submit(6, (struct window_spec){.size = LARGE, .expires_ms = 60000});
	submit(1, (struct window_spec){.delay_ms = 1000});
	turn();
	tell();
	assert_int_equal(w.n_lost, 7);
	assert_int_equal(w.b.n_waiting, 0);
	assert_int_equal(window_world_band(&w, 0, 0)->n_resident, 0);
	assert_int_equal(window_world_band(&w, 0, 0)->n_bytes, 0);
	assert_int_equal(w.b.window.due[0].n_resident, 0);
	assert_int_equal(lane_of(0)->ready.more, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_band_holds_so_many_and_no_more),
	    T(the_next_are_fetched_before_they_are_wanted),
	    T(nothing_passes_those_that_are_on_the_disk),
	    T(a_lower_priority_waits_for_the_fetch_of_a_higher_one),
	    T(bytes_bound_a_band_as_well),
	    T(many_bands_hold_less_each),
	    T(one_that_was_spilled_since_the_fetch_is_not_passed),
	    T(all_of_a_fetch_may_be_behind_what_was_spilled_since),
	    T(a_fetch_may_bring_what_is_here_or_over),
	    T(a_fetch_that_was_overtaken_holds_up_nobody),
	    T(one_that_has_ended_since_the_fetch_is_left_out),
	    T(what_comes_back_from_a_run_stays_in_its_place),
	    T(a_full_band_takes_what_is_before_its_last_one),
	    T(a_fetch_that_fails_is_made_again_later),
	    T(a_fetch_that_cant_be_made_is_tried_again),
	    T(one_for_which_there_is_no_memory_comes_later),
	    T(what_the_disk_has_yet_to_learn_is_waited_for),
	    T(what_was_counted_wrongly_is_counted_anew),
	    T(a_store_that_is_never_idle_is_believed_in_the_end),
	    T(a_late_one_is_found_the_second_time),
	    T(a_name_that_is_held_back_holds_up_no_other),
	    T(a_lane_that_is_made_later_has_its_limit),
	    T(suspects_are_in_no_band),
	    T(a_put_that_fails_is_counted_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
