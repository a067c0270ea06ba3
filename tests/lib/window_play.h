/* SPDX-License-Identifier: ISC */
/*
 * window_play.h - a window's world that is checked at each step, for tests of
 * one thing at a time
 *
 * Whatever is done here leaves all counts of the world right, unless it is said
 * to be unchecked.
 */
#ifndef GANGER_TESTS_LIB_WINDOW_PLAY_H
#define GANGER_TESTS_LIB_WINDOW_PLAY_H

#include "tests/lib/window_world.h"

/* So many are here of a full band, and of each clock's once there were more
 * than twice as many. */
#define PLAY_MOST  2048
#define PLAY_RETRY 51 /* ms */
#define PLAY_MB    ((size_t)1024 * 1024)
/* Of texts: 4 of them fill a band. */
#define PLAY_LARGE (PLAY_MB - sizeof(struct task))
#define PLAY_HUGE  (5 * PLAY_MB)

/* The world, from play_set_up until play_tear_down. */
extern struct window_world w;

int play_set_up(void **state);
int play_tear_down(void **state);

/* A test with a world of its own; cmocka.h is included before. */
#define PLAY(name) \
	cmocka_unit_test_setup_teardown(name, play_set_up, play_tear_down)

void play_submit(unsigned n, struct window_spec spec);
void play_turn(void);
void play_tell(void);
void play_settle(void);

/* Let time pass, and what is due happen. */
void play_wait(int64_t ms);
void play_wait_unchecked(int64_t ms);

/* The next one that is started is this one; it ends at once. */
void play_next(uint64_t id);

/* The next ones are these, without a turn between them. */
void play_next_ones(uint64_t from, uint64_t to);

/* These are started one after the other, whatever has to be fetched. */
void play_rest(uint64_t from, uint64_t to);

/* None can be started. */
void play_none(void);

/* The first 4 of so many more large ones are here. */
void play_fill_large(unsigned n_more);

/* Six, due in 1 to 6 s, of which the first two are here. */
void play_fill_huge(void);

/* The disk has one that no broker has seen yet. */
void play_put_ready(uint64_t id, unsigned kind, uint64_t seq);
void play_put_scheduled(uint64_t id, int64_t due_ms, bool wall);

/* And says what it has. */
void play_load(const struct store_found *found);

bool play_is_here(uint64_t id);

/* The state of a task that is known, wherever it is. */
enum task_state play_state(uint64_t id);

struct lane *play_lane(unsigned kind);

#endif
