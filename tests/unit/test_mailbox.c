/* SPDX-License-Identifier: ISC */
/* LINK: tests/lib/mailbox_world.c master/broker/mailbox.c
 *	master/broker/task.c master/broker/delay.c ipc/clock.c ipc/log.c
 *	ipc/buf.c ipc/json.c */
/*
 * test_mailbox.c - one of a key at a time, in order, whatever leaves memory
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ipc/log.h"
#include "tests/lib/mailbox_world.h"

/* Whatever may happen to a key, at random. */
static void
act(unsigned keys, unsigned submits)
{
	unsigned k = mailbox_world_chance(keys);
	unsigned what = mailbox_world_chance(100);

	if (mailbox_world_chance(100) < submits) {
		mailbox_world_submit(k, mailbox_world_chance(4) != 0);
	} else if (what < 70 && w.runs[k] != 0) {
		mailbox_world_finish_id(w.runs[k]);
	} else if (what < 80 && w.runs[k] != 0) {
		mailbox_world_retry(w.runs[k]);
	} else if (what < 90 && w.n_order[k] > 0) {
		mailbox_world_finish_id(
		    w.order[k][mailbox_world_chance((unsigned)w.n_order[k])]);
	}
}

static void
keys_are_held_in_the_order_of_seq(void **state)
{
	unsigned seed;
	int i;

	(void)state;
	for (seed = 1; seed <= 20; seed++) {
		mailbox_world_start(
		    seed, seed % 3 * 40, seed % 4 == 0 ? 15 : 0);
		for (i = 0; i < 1200; i++) {
			/* They pile up, are done, and pile up again. */
			act(1 + seed % MAILBOX_WORLD_KEYS,
			    i % 600 < 300 ? 80 : 10);
			if (mailbox_world_chance(3) == 0)
				mailbox_world_turn(mailbox_world_chance(3));
			if (mailbox_world_chance(20) == 0)
				mailbox_world_run_later();
			if (mailbox_world_chance(300) == 0)
				mailbox_world_hand_over();
		}
		mailbox_world_stop();
	}
}

static void
what_is_parked_far_behind_leaves_memory(void **state)
{
	uint64_t id;
	size_t n = 0;

	(void)state;
	mailbox_world_start(1, 0, 0);
	mailbox_world_submit_many(1000, 0, true);
	mailbox_world_turn(MAILBOX_WORLD_CALLS);
	for (id = 1; id <= w.last_id; id++)
		n += w.resident[id] != NULL;
	assert_int_equal(n, 65); /* with the one that runs */
	assert_int_equal(w.b.n_keyed_absent, 935);
	assert_int_equal(w.n_fetches + w.n_finds, 0);
	mailbox_world_stop();
	/* They came back by the dozen. */
	assert_in_range(w.n_fetches, 935 / 64, 60);
	assert_int_equal(w.n_finds, 0);
}

static void
volatile_ones_stay_and_keep_their_place(void **state)
{
	int i;

	(void)state;
	mailbox_world_start(1, 0, 0);
	for (i = 0; i < 600; i++)
		mailbox_world_submit(0, i % 3 == 0);
	mailbox_world_turn(MAILBOX_WORLD_CALLS);
	assert_int_equal(w.b.n_keyed_absent, 200 - 65);
	mailbox_world_stop();
}

static void
a_key_without_a_mailbox_is_looked_up(void **state)
{
	(void)state;
	mailbox_world_start(1, 100, 0);
	mailbox_world_submit(0, true); /* holds, and is on the disk only */
	mailbox_world_turn(MAILBOX_WORLD_CALLS);
	assert_int_equal(w.b.mailboxes.n, 0);
	mailbox_world_submit(0, true);
	mailbox_world_submit(1, true);
	assert_true(w.resident[2]->parked);
	assert_true(w.resident[3]->parked);
	mailbox_world_turn(MAILBOX_WORLD_CALLS);
	mailbox_world_turn(MAILBOX_WORLD_CALLS);
	/* The first key is held by what is not here, the second was free. */
	assert_int_equal(w.runs[0], 1);
	assert_int_equal(w.runs[1], 3);
	assert_int_equal(w.n_finds, 2);
	mailbox_world_stop();
}

static void
what_a_lost_holder_kept_back_goes_on(void **state)
{
	(void)state;
	mailbox_world_start(1, 100, 0);
	mailbox_world_submit(
	    0, true); /* holds, and has left memory before its commit */
	mailbox_world_submit(0, false);
	assert_int_equal(w.runs[0], 1);
	w.fails = 100;
	mailbox_world_turn(0);
	assert_int_equal(w.runs[0], 0);
	w.fails = 0;
	mailbox_world_turn(MAILBOX_WORLD_CALLS);
	mailbox_world_turn(MAILBOX_WORLD_CALLS);
	assert_int_equal(w.runs[0], 2);
	mailbox_world_stop();
}

/* The one that has the first key ends. */
static void
pass_on(void)
{
	mailbox_world_finish(w.resident[w.runs[0]]);
	mailbox_world_turn(0); /* its end is kept */
	mailbox_world_turn(0); /* the next one has the key */
}

/* 100 of a key, so many of them done that the next are being fetched. */
static void
start_fetch(void)
{
	mailbox_world_start(1, 0, 0);
	mailbox_world_submit_many(100, 0, true);
	mailbox_world_turn(MAILBOX_WORLD_CALLS);
	while (w.n_fetches == 0)
		pass_on();
	assert_int_equal(w.n_wishes, 1);
}

static void
what_is_spilled_while_a_fetch_is_open_comes_back(void **state)
{
	int i;

	(void)state;
	start_fetch();
	mailbox_world_submit_many(100, 0, true);
	mailbox_world_turn(0);
	assert_int_equal(w.n_fetches, 1);
	mailbox_world_tell(MAILBOX_WORLD_CALLS);
	/* So few are left that none has to leave for those that came. */
	for (i = 60; i < 100; i++)
		if (w.resident[i] != NULL && w.resident[i]->parked)
			mailbox_world_finish(w.resident[i]);
	mailbox_world_stop();
}

static void
a_fetch_may_bring_what_has_had_the_key_since(void **state)
{
	uint64_t id, last = 0;

	(void)state;
	start_fetch();
	for (id = w.last_id; id > 0; id--)
		if (w.resident[id] == NULL && !w.ended[id])
			last = mailbox_world_bring(id)->id;
	assert_int_equal(w.b.n_keyed_absent, 0);
	while (w.runs[0] < last) {
		w.spills = w.runs[0] + 1 == last ? 100 : 0;
		pass_on();
	}
	/* It holds the key, on the disk; the fetch has it as one that waits. */
	assert_null(w.resident[last]);
	w.spills = 0;
	mailbox_world_turn(MAILBOX_WORLD_CALLS);
	assert_null(w.resident[last]);
	assert_int_equal(w.runs[0], last);
	mailbox_world_stop();
}

static void
a_key_is_free_for_whoever_comes_first(void **state)
{
	(void)state;
	mailbox_world_start(1, 0, 0);
	mailbox_world_submit(0, false);
	mailbox_world_submit(0, false);
	mailbox_world_submit(1, true);
	assert_int_equal(w.runs[0], 1);
	assert_int_equal(w.runs[1], 3);
	mailbox_world_finish(w.resident[1]);
	mailbox_world_turn(0);
	assert_int_equal(w.runs[0], 2);
	assert_int_equal(w.n_finds + w.n_fetches, 0);
	mailbox_world_stop();
}

static void
a_durable_end_is_kept_before_the_next_begins(void **state)
{
	struct task *t;

	(void)state;
	mailbox_world_start(1, 0, 0);
	mailbox_world_submit(0, true);
	mailbox_world_submit(0, false);
	mailbox_world_turn(0);
	t = task_ref(w.resident[1]);
	mailbox_world_finish(t);
	mailbox_tidy(&w.b);
	assert_true(w.resident[2]->parked);
	mailbox_world_flush();
	mailbox_tidy(&w.b);
	assert_true(w.resident[2]->holds);
	/* A second word changes nothing. */
	mailbox_kept(&w.b, t);
	mailbox_tidy(&w.b);
	assert_true(w.resident[2]->holds);
	task_unref(t);
	mailbox_world_stop();
}

static void
what_has_no_key_is_let_through(void **state)
{
	struct task *t = task_new(1);

	(void)state;
	mailbox_world_start(1, 0, 0);
	assert_int_equal(mailbox_enter(&w.b, t), 0);
	assert_true(mailbox_admit(t));
	assert_false(t->holds);
	mailbox_spill(&w.b, t);
	assert_int_equal(mailbox_adopt(&w.b, t), 0);
	mailbox_leave(&w.b, t);
	assert_int_equal(w.b.n_keyed_absent, 0);
	task_unref(t);
	mailbox_world_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_key_is_free_for_whoever_comes_first),
	    cmocka_unit_test(a_durable_end_is_kept_before_the_next_begins),
	    cmocka_unit_test(what_has_no_key_is_let_through),
	    cmocka_unit_test(a_key_without_a_mailbox_is_looked_up),
	    cmocka_unit_test(what_is_parked_far_behind_leaves_memory),
	    cmocka_unit_test(volatile_ones_stay_and_keep_their_place),
	    cmocka_unit_test(what_a_lost_holder_kept_back_goes_on),
	    cmocka_unit_test(what_is_spilled_while_a_fetch_is_open_comes_back),
	    cmocka_unit_test(a_fetch_may_bring_what_has_had_the_key_since),
	    cmocka_unit_test(keys_are_held_in_the_order_of_seq),
	};

	(void)log_open("/dev/null");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
