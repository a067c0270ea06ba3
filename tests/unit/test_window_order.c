/* SPDX-License-Identifier: ISC */
/* LINK: tests/lib/window_world.c tests/lib/window_disk.c ipc/ctl.c
 *	ipc/fdpass.c ipc/peer.c ipc/line.c ipc/buf.c ipc/json.c ipc/rpc.c
 *	ipc/clock.c ipc/log.c ipc/log_line.c ipc/log_repeat.c
 *	ipc/log_sink.c ipc/sock.c libbroker.a */
/*
 * test_window_order.c - whatever happens in which order: none is lost, none is
 * started twice, none passes another one, and of a key one runs at a time
 *
 * Tasks are so large that a few fill a band.  What is to be started next is
 * looked for among all that there are, in memory and on the disk.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "master/broker/life.h"
#include "tests/lib/window_world.h"

#define SEEDS 24
#define STEPS 3000
#define RUNS  6

static struct window_world w;

static struct {
	uint64_t live[WINDOW_WORLD_IDS]; /* ids that may not have ended */
	size_t n_live;
	uint64_t runs[RUNS];
	size_t n_runs;
	size_t n_started, n_blocked;
	bool keyed; /* some tasks have keys */
} m;

static unsigned
chance(unsigned of)
{
	return (unsigned)rand() % of;
}

static void
forget_ended(void)
{
	size_t i, n = 0;

	for (i = 0; i < m.n_live; i++)
		if (w.ended[m.live[i]] == NULL)
			m.live[n++] = m.live[i];
	m.n_live = n;
}

/* The one that is first of all that wait in a lane; NULL: none waits. */
static const struct task *
find_first(shift_set lane)
{
	const struct task *t, *best = NULL;
	size_t i;

	for (i = 0; i < m.n_live; i++) {
		t = window_world_look(&w, m.live[i]);
		if (t == NULL || t->state != TASK_READY || t->parked ||
		    t->kind->shifts != lane)
			continue;
		if (best == NULL || ready_is_before(t, best, 0))
			best = t;
	}
	return best;
}

/* Nothing that is behind another one of its lane may be started. */
static void
check_order(const struct task *t)
{
	const struct task *first;

	forget_ended();
	first = find_first(t->kind->shifts);
	assert_true(first == t);
}

/* No other one of its key has begun and not ended, or became ready before. */
static void
check_key(const struct task *t)
{
	const struct task *other;
	size_t i;

	for (i = 0; t->key != NULL && i < m.n_live; i++) {
		other = window_world_look(&w, m.live[i]);
		if (other == NULL || other == t || other->key == NULL ||
		    strcmp(other->key, t->key) != 0)
			continue;
		assert_false(other->holds);
		assert_int_not_equal(other->state, TASK_RUNNING);
		if (other->state == TASK_READY && t->run == 0)
			assert_true(other->seq > t->seq);
	}
}

static void
start(unsigned shift)
{
	const struct task *next;

	if (w.b.window.closed || m.n_runs == RUNS)
		return;
	next = queue_peek(w.q, shift);
	if (next == NULL) {
		m.n_blocked += w.q->count.ready > 0;
		return;
	}
	check_order(next);
	check_key(next);
	m.runs[m.n_runs++] = window_world_start(&w, shift)->id;
	m.n_started++;
}

static void
end_run(size_t i, unsigned how)
{
	struct task *t = life_find(&w.b, m.runs[i]);

	assert_non_null(t);
	assert_int_equal(t->state, TASK_RUNNING);
	m.runs[i] = m.runs[--m.n_runs];
	if (how < 60)
		window_world_succeed(&w, t);
	else if (how < 80)
		window_world_retry(&w, t, 1 + chance(200));
	else
		window_world_requeue(&w, t);
}

static void
submit(void)
{
	struct window_spec spec = {
	    .kind = chance(3),
	    .priority = chance(5) == 0 ? 0 : chance(3),
	    .size = (300 + chance(900)) * 1024,
	    .delay_ms = chance(4) == 0 ? 1 + chance(400) : 0,
	    .expires_ms = chance(8) == 0 ? 50 + chance(1000) : 0,
	    .wall = chance(2) == 0,
	    .is_volatile = chance(6) == 0,
	    .key = m.keyed && chance(3) == 0 ? chance(WINDOW_WORLD_KEYS) : 0,
	};

	if (w.shared.last_id + 1 < WINDOW_WORLD_IDS)
		m.live[m.n_live++] = window_world_submit(&w, &spec);
}

/* A client does something to one task. */
static void
meddle(void)
{
	struct task *t;
	uint64_t id;

	forget_ended();
	if (m.n_live == 0)
		return;
	id = m.live[chance((unsigned)m.n_live)];
	t = life_find(&w.b, id);
	if (t == NULL && w.refuse == 0)
		window_world_ask(&w, id);
	else if (t != NULL && chance(4) == 0)
		(void)life_cancel(&w.b, t);
}

/* For a while; what has a key is handed over at once, or not at all. */
static void
close_window(void)
{
	if (m.keyed && (!store_is_idle(w.b.store) || !mailbox_is_settled(&w.b)))
		return;
	window_close(&w.b);
	if (m.keyed)
		window_open(&w.b);
}

/* What an operator does, or the disk. */
static void
disturb(unsigned faults)
{
	static const shift_set shifts[] = {3, 2, 1};

	if (chance(4) == 0)
		window_world_reload(&w, chance(3), shifts[chance(3)]);
	else if (chance(3) == 0)
		close_window();
	if (faults == 0)
		return;
	if (chance(3) == 0)
		w.fails = !w.fails;
	if (chance(3) == 0)
		w.read_err = w.read_err == 0 ? -EIO : 0;
	if (chance(3) == 0)
		w.refuse = chance(3);
}

static void
act(unsigned submits, unsigned faults)
{
	unsigned what = chance(100);

	if (chance(100) < submits)
		submit();
	else if (what < 45)
		start(chance(2));
	else if (what < 80 && m.n_runs > 0)
		end_run(chance((unsigned)m.n_runs), chance(100));
	else if (what < 90)
		meddle();
	else if (what < 96)
		window_world_wait(&w, chance(40));
	else if (what < 98)
		window_open(&w.b);
	else
		disturb(faults);
}

static void
go_on(void)
{
	if (chance(3) == 0)
		window_world_turn(&w);
	if (chance(4) == 0)
		window_world_tell(&w);
	if (chance(20) == 0)
		window_world_check(&w);
}

/* All that are left are started and end. */
static void
drain(void)
{
	unsigned i, shift;

	w.fails = false;
	w.read_err = 0;
	w.refuse = 0;
	window_open(&w.b);
	for (i = 0; m.n_live > 0; i++) {
		assert_true(i < WINDOW_WORLD_IDS);
		for (shift = 0; shift < 2; shift++)
			start(shift);
		while (m.n_runs > 0)
			end_run(0, 0);
		window_world_wait(&w, 20);
		window_world_settle(&w);
		window_world_check(&w);
		forget_ended();
	}
	assert_int_equal(w.n_ended + w.n_lost, w.shared.last_id);
	assert_int_equal(w.b.n_tasks, 0);
	assert_int_equal(w.b.window.n_spilled_bands, 0);
	assert_int_equal(w.b.window.due[0].n_resident, 0);
	assert_int_equal(w.b.window.due[1].n_resident, 0);
}

static void
none_is_lost_or_passed(void **state)
{
	size_t n_started = 0, n_blocked = 0;
	unsigned seed;
	int i;

	(void)state;
	for (seed = 1; seed <= SEEDS; seed++) {
		srand(seed);
		memset(&m, 0, sizeof(m));
		m.keyed = seed % 2 == 0;
		window_world_init(&w);
		for (i = 0; i < STEPS; i++) {
			/* They pile up, are done, and pile up again. */
			act(i % 1000 < 500 ? 40 : 10, seed % 3);
			go_on();
		}
		n_started += m.n_started;
		n_blocked += m.n_blocked;
		drain();
		window_world_done(&w);
	}
	/* Much was done, and many a time what is next was on its way. */
	assert_true(n_started > SEEDS * 100);
	assert_true(n_blocked > SEEDS * 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(none_is_lost_or_passed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
