/* SPDX-License-Identifier: ISC */
/*
 * window_play.c - a window's world that is checked at each step, for tests of
 * one thing at a time
 */
#include "tests/lib/window_play.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct window_world w;

int
play_set_up(void **state)
{
	(void)state;
	window_world_init(&w);
	return 0;
}

int
play_tear_down(void **state)
{
	(void)state;
	window_world_done(&w);
	return 0;
}

void
play_submit(unsigned n, struct window_spec spec)
{
	while (n-- > 0)
		(void)window_world_submit(&w, &spec);
}

void
play_turn(void)
{
	window_world_turn(&w);
	window_world_check(&w);
}

void
play_tell(void)
{
	window_world_tell(&w);
	window_world_check(&w);
}

void
play_settle(void)
{
	window_world_settle(&w);
	window_world_check(&w);
}

void
play_wait(int64_t ms)
{
	play_wait_unchecked(ms);
	window_world_check(&w);
}

void
play_wait_unchecked(int64_t ms)
{
	window_world_wait(&w, ms);
	window_world_settle(&w);
}

void
play_next(uint64_t id)
{
	struct task *t = window_world_start(&w, 0);

	assert_non_null(t);
	assert_int_equal(t->id, id);
	window_world_succeed(&w, t);
}

void
play_next_ones(uint64_t from, uint64_t to)
{
	for (; from <= to; from++)
		play_next(from);
}

void
play_rest(uint64_t from, uint64_t to)
{
	for (; from <= to; from++) {
		play_next(from);
		play_settle();
	}
}

void
play_none(void)
{
	assert_null(window_world_start(&w, 0));
}

void
play_fill_large(unsigned n_more)
{
	play_submit(4 + n_more, (struct window_spec){.size = PLAY_LARGE});
	play_settle();
	assert_int_equal(w.n_fetches, 0);
	assert_int_equal(w.b.n_tasks, 4);
}

void
play_fill_huge(void)
{
	int i;

	for (i = 1; i <= 6; i++)
		play_submit(
		    1, (struct window_spec){.delay_ms = 1000 * i,
			   .size = i <= 2 ? 4 * PLAY_MB - sizeof(struct task)
					  : PLAY_HUGE});
	play_settle();
	assert_int_equal(w.b.window.due[0].n_spilled, 4);
	assert_int_equal(w.n_fetches, 0);
}

void
play_put_ready(uint64_t id, unsigned kind, uint64_t seq)
{
	struct task t = {.id = id,
	    .kind = w.k[kind],
	    .queue = w.q,
	    .state = TASK_READY,
	    .durable = true,
	    .seq = seq};

	w.rows[id] = (struct window_row){true, t};
}

void
play_put_scheduled(uint64_t id, int64_t due_ms, bool wall)
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

void
play_load(const struct store_found *found)
{
	assert_int_equal(window_load(&w.b, found), 0);
	window_world_check(&w);
}

bool
play_is_here(uint64_t id)
{
	return window_world_is_resident(&w, id);
}

enum task_state
play_state(uint64_t id)
{
	const struct task *t = window_world_look(&w, id);

	if (t == NULL)
		t = w.ended[id];
	assert_non_null(t);
	return t->state;
}

struct lane *
play_lane(unsigned kind)
{
	return catalog_get_lane(&w.b.catalog, w.q, w.k[kind]);
}
