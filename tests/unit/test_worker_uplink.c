/* SPDX-License-Identifier: ISC */
/*
 * LINK: worker/uplink.c worker/order.c worker/report.c ipc/buf.c ipc/clock.c
 * ipc/json.c ipc/line.c ipc/log.c ipc/peer.c ipc/rpc.c ipc/sock.c
 */
/*
 * test_worker_uplink.c - what threads post, and how it leaves
 */
#include "worker/uplink.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/sock.h"

#define LINE_LENGTH 1000
#define N_LINES     20000

static struct ev_loop *loop;
static struct uplink u;
static int fd; /* the broker's end */
static const char *gone_reason;

static void
on_order(void *arg, const struct order *o)
{
	(void)arg;
	(void)o;
}

static void
on_turn(void *arg)
{
	(void)arg;
}

static void
on_sent(void *arg)
{
	(void)arg;
}

static void
on_gone(void *arg, const char *reason)
{
	(void)arg;
	gone_reason = reason;
}

static const struct uplink_ops ops = {
    .on_order = on_order,
    .on_turn = on_turn,
    .on_sent = on_sent,
    .on_gone = on_gone,
};

static int
set_up(void **state)
{
	int fds[2];

	(void)state;
	gone_reason = NULL;
	loop = ev_loop_new(EVFLAG_AUTO);
	if (loop == NULL || sock_pair(SOCK_STREAM, fds) < 0)
		return -1;
	fd = fds[0];
	return uplink_init(&u, loop, fds[1], 1 << 20, &ops, NULL);
}

static int
tear_down(void **state)
{
	(void)state;
	uplink_done(&u);
	ev_loop_destroy(loop);
	close(fd);
	return 0;
}

/* Run the loop for all that is ready now. */
static void
turn(void)
{
	int i;

	/* The first takes the wake-up, the second sends for it. */
	for (i = 0; i < 2; i++)
		ev_run(loop, EVRUN_NOWAIT);
}

static void
post(const char *text)
{
	struct buf b;

	buf_init(&b, SIZE_MAX);
	buf_adds(&b, text);
	uplink_post(&u, &b);
	buf_done(&b);
}

static void
what_was_posted_leaves_in_one_piece_in_order(void **state)
{
	char data[64];

	(void)state;
	post("one\n");
	post("two\n");
	buf_adds(uplink_out(&u), "zero\n");
	uplink_flush(&u);
	assert_false(uplink_is_flushed(&u));
	turn();
	assert_true(uplink_is_flushed(&u));
	assert_int_equal(read(fd, data, sizeof(data)), 13);
	assert_memory_equal(data, "zero\none\ntwo\n", 13);
}

static void
a_post_wakes_a_sleeping_loop(void **state)
{
	char data[8];

	(void)state;
	turn();
	post("x\n");
	/* Not told to return: it has to be woken. */
	ev_run(loop, EVRUN_ONCE);
	turn();
	assert_int_equal(read(fd, data, sizeof(data)), 2);
}

static void
a_lost_message_closes_the_channel(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1);
	buf_adds(&b, "too long");
	uplink_post(&u, &b);
	buf_done(&b);
	turn();
	assert_string_equal(gone_reason, "out of memory");
}

static void
progress_is_told_once(void **state)
{
	(void)state;
	assert_false(uplink_take_progress(&u));
	uplink_tell_progress(&u);
	uplink_tell_progress(&u);
	assert_true(uplink_take_progress(&u));
	assert_false(uplink_take_progress(&u));
}

/* In a thread: post N_LINES numbered lines. */
static void *
post_logs(void *arg)
{
	char line[LINE_LENGTH + 1];
	struct buf b;
	int i;

	for (i = 0; i < N_LINES; i++) {
		snprintf(line, sizeof(line), "%-*d\n", LINE_LENGTH - 1, i);
		buf_init(&b, SIZE_MAX);
		buf_adds(&b, line);
		uplink_post_log(&u, &b);
		buf_done(&b);
	}
	return arg;
}

/* The thread must not end although it has time to. */
static void
expect_stuck(pthread_t thread)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 200 * 1000 * 1000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	assert_int_equal(pthread_timedjoin_np(thread, NULL, &until), ETIMEDOUT);
}

static void
logs_wait_until_the_broker_reads(void **state)
{
	char data[65536];
	struct buf in;
	pthread_t thread;
	ssize_t n;
	int line;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, post_logs, NULL), 0);
	expect_stuck(thread);
	turn();
	expect_stuck(thread);
	buf_init(&in, SIZE_MAX);
	for (line = 0; line < N_LINES;) {
		n = read(fd, data, sizeof(data));
		if (n < 0) {
			assert_int_equal(errno, EAGAIN);
			turn();
			continue;
		}
		buf_add(&in, data, (size_t)n);
		for (; buf_len(&in) >= LINE_LENGTH; line++) {
			assert_int_equal(atoi(buf_head(&in)), line);
			buf_consume(&in, LINE_LENGTH);
		}
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	buf_done(&in);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(what_was_posted_leaves_in_one_piece_in_order),
	    TEST(a_post_wakes_a_sleeping_loop),
	    TEST(a_lost_message_closes_the_channel),
	    TEST(progress_is_told_once),
	    TEST(logs_wait_until_the_broker_reads),
	};

	return cmocka_run_group_tests_name("worker uplink", tests, NULL, NULL);
}
