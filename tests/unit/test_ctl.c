/* SPDX-License-Identifier: ISC */
/* LINK: ipc/ctl.c ipc/fdpass.c ipc/json.c ipc/buf.c ipc/log.c ipc/clock.c
 *	ipc/sock.c */
/*
 * test_ctl.c - orders arrive once, in order, with their descriptors
 *
 * Both ends live on one loop.  `told` notes what the second was told.
 */
#include "ipc/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/buf.h"
#include "ipc/fdpass.h"
#include "ipc/log.h"
#include "ipc/sock.h"

#define TURNS 64

struct side {
	struct ctl ctl;
	struct buf told;
	int next; /* the number that the next order must carry */
	int last_fd;
	unsigned gone;
	bool done_in_msg;
};

static struct ev_loop *loop;
static struct side master, broker;

static void
on_msg(void *arg, const char *name, json_t *msg, int fd)
{
	struct side *side = arg;
	json_t *n;

	n = json_object_get(msg, "n");
	if (n != NULL)
		assert_int_equal(json_integer_value(n), side->next++);
	else
		buf_printf(&side->told, "<%s>", name);
	if (fd >= 0) {
		if (side->last_fd >= 0)
			close(side->last_fd);
		side->last_fd = fd;
		buf_addc(&side->told, '+');
	}
	if (side->done_in_msg)
		ctl_done(&side->ctl);
}

static void
on_gone(void *arg)
{
	struct side *side = arg;

	side->gone++;
	ctl_done(&side->ctl);
}

static const struct ctl_ops ops = {.on_msg = on_msg, .on_gone = on_gone};

static void
side_init(struct side *side, int fd)
{
	memset(side, 0, sizeof(*side));
	buf_init(&side->told, SIZE_MAX);
	side->last_fd = -1;
	ctl_init(&side->ctl, loop, fd, &ops, side);
}

static void
side_done(struct side *side)
{
	ctl_done(&side->ctl);
	ctl_done(&side->ctl);
	if (side->last_fd >= 0)
		close(side->last_fd);
	buf_done(&side->told);
}

static int
set_up(void **state)
{
	int fds[2];

	(void)state;
	if (log_open("/dev/null") < 0 || sock_pair(SOCK_SEQPACKET, fds) < 0)
		return -1;
	loop = ev_loop_new(EVFLAG_AUTO);
	side_init(&master, fds[0]);
	side_init(&broker, fds[1]);
	return loop == NULL ? -1 : 0;
}

static int
tear_down(void **state)
{
	(void)state;
	side_done(&master);
	side_done(&broker);
	ev_loop_destroy(loop);
	return 0;
}

static void
turns(void)
{
	int i;

	for (i = 0; i < TURNS; i++)
		ev_run(loop, EVRUN_NOWAIT);
}

static void
assert_told(struct side *side, const char *expected)
{
	char *told;

	told = buf_steal(&side->told, NULL);
	assert_string_equal(told, expected);
	free(told);
}

static int
lowest_free(void)
{
	int fd;

	fd = dup(0);
	close(fd);
	return fd;
}

static void
orders_go_both_ways(void **state)
{
	(void)state;
	assert_int_equal(ctl_send(&master.ctl, -1, "listener", NULL), 0);
	assert_int_equal(
	    ctl_send(&master.ctl, -1, "stop", "{s:s}", "mode", "quick"), 0);
	assert_int_equal(ctl_send(&broker.ctl, -1, "ready", NULL), 0);
	turns();
	assert_told(&broker, "<listener><stop>");
	assert_told(&master, "<ready>");
}

static void
descriptor_goes_along(void **state)
{
	int fds[2];
	char got[8];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(ctl_send(&master.ctl, fds[1], "worker.add",
			     "{s:s, s:i}", "pool", "p", "slot", 1),
	    0);
	close(fds[1]);
	turns();
	assert_told(&broker, "<worker.add>+");
	assert_int_equal(write(broker.last_fd, "through", 7), 7);
	assert_int_equal(read(fds[0], got, sizeof(got)), 7);
	close(fds[0]);
}

/* Send until far more waits than the socket holds. */
static void
send_many(int n, int fd)
{
	int i;

	for (i = 0; i < n; i++)
		assert_int_equal(
		    ctl_send(&master.ctl, fd, "order", "{s:i}", "n", i), 0);
}

static void
orders_that_find_the_socket_full_wait_in_order(void **state)
{
	(void)state;
	ev_io_stop(loop, &broker.ctl.rd);
	send_many(5000, -1);
	assert_false(STAILQ_EMPTY(&master.ctl.waiting));
	turns();
	assert_false(STAILQ_EMPTY(&master.ctl.waiting));
	ev_io_start(loop, &broker.ctl.rd);
	turns();
	assert_true(STAILQ_EMPTY(&master.ctl.waiting));
	assert_int_equal(broker.next, 5000);
	assert_int_equal(ctl_send(&master.ctl, -1, "after", NULL), 0);
	turns();
	assert_told(&broker, "<after>");
}

static void
waiting_orders_keep_their_descriptors(void **state)
{
	enum { ORDERS = 400 };
	char plus[ORDERS + 1];
	int before;

	(void)state;
	before = lowest_free();
	ev_io_stop(loop, &broker.ctl.rd);
	send_many(ORDERS, 0);
	assert_false(STAILQ_EMPTY(&master.ctl.waiting));
	ev_io_start(loop, &broker.ctl.rd);
	turns();
	assert_int_equal(broker.next, ORDERS);
	memset(plus, '+', ORDERS);
	plus[ORDERS] = '\0';
	assert_told(&broker, plus);
	close(broker.last_fd);
	broker.last_fd = -1;
	assert_int_equal(lowest_free(), before);
}

static void
closing_drops_what_waits_with_its_descriptors(void **state)
{
	int before;

	(void)state;
	before = lowest_free();
	ev_io_stop(loop, &broker.ctl.rd);
	send_many(400, 0);
	ctl_done(&master.ctl);
	ctl_done(&broker.ctl);
	assert_true(lowest_free() < before);
	assert_int_equal(ctl_send(&master.ctl, -1, "x", NULL), -EPIPE);
}

static void
order_over_the_limit_is_refused(void **state)
{
	char big[CTL_MAX + 1];

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(
	    ctl_send(&master.ctl, -1, "x", "{s:s}", "text", big), -EMSGSIZE);
	big[CTL_MAX - 64] = '\0';
	assert_int_equal(
	    ctl_send(&master.ctl, -1, "ok", "{s:s}", "text", big), 0);
	turns();
	assert_told(&broker, "<ok>");
}

static void
other_side_gone_is_told_once_behind_its_orders(void **state)
{
	(void)state;
	assert_int_equal(ctl_send(&broker.ctl, -1, "drained", NULL), 0);
	ctl_done(&broker.ctl);
	turns();
	assert_told(&master, "<drained>");
	assert_int_equal(master.gone, 1);
	assert_int_equal(ctl_send(&master.ctl, -1, "x", NULL), -EPIPE);
}

static void
sending_to_a_gone_side_is_told(void **state)
{
	(void)state;
	ctl_done(&broker.ctl);
	assert_int_equal(ctl_send(&master.ctl, -1, "x", NULL), -EPIPE);
	turns();
	assert_int_equal(master.gone, 1);
}

static void
what_is_no_order_is_passed_over_with_its_descriptor(void **state)
{
	static const char *const texts[] = {
	    "x", "[]", "{}", "{\"do\":1}", "null", "{\"do\":\"x\"} trailing"};
	int before;
	size_t i;

	(void)state;
	before = lowest_free();
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(
		    fdpass_send(master.ctl.fd, texts[i], strlen(texts[i]), 0),
		    0);
	assert_int_equal(ctl_send(&master.ctl, -1, "good", NULL), 0);
	turns();
	assert_told(&broker, "<good>");
	assert_int_equal(lowest_free(), before);
}

static void
message_that_is_too_big_is_passed_over(void **state)
{
	char big[CTL_MAX + 1];

	(void)state;
	memset(big, ' ', sizeof(big));
	assert_int_equal(fdpass_send(master.ctl.fd, big, sizeof(big), -1), 0);
	assert_int_equal(ctl_send(&master.ctl, -1, "good", NULL), 0);
	turns();
	assert_told(&broker, "<good>");
}

/* Nothing is lost between the smallest order and the largest. */
static void
orders_of_the_largest_size_go_through(void **state)
{
	static char big[CTL_MAX];
	int i;

	(void)state;
	memset(big, 'x', sizeof(big));
	big[CTL_MAX - 64] = '\0';
	ev_io_stop(loop, &broker.ctl.rd);
	for (i = 0; i < 20; i++)
		assert_int_equal(ctl_send(&master.ctl, i % 2 == 0 ? 0 : -1,
				     "order", "{s:i,s:s}", "n", i, "text", big),
		    0);
	assert_false(STAILQ_EMPTY(&master.ctl.waiting));
	ev_io_start(loop, &broker.ctl.rd);
	turns();
	assert_int_equal(broker.next, 20);
	assert_told(&broker, "++++++++++");
}

static void
socket_with_a_small_buffer_is_made_large_enough(void **state)
{
	int fds[2], small = 1;
	struct side from, to;
	static char big[CTL_MAX];

	(void)state;
	assert_int_equal(sock_pair(SOCK_SEQPACKET, fds), 0);
	assert_int_equal(
	    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)),
	    0);
	side_init(&from, fds[0]);
	side_init(&to, fds[1]);
	memset(big, 'x', sizeof(big));
	big[CTL_MAX - 64] = '\0';
	assert_int_equal(
	    ctl_send(&from.ctl, -1, "large", "{s:s}", "text", big), 0);
	turns();
	assert_told(&to, "<large>");
	side_done(&from);
	side_done(&to);
}

/* Run the loop until n orders have come. */
static void
run_until_next(struct side *side, int n)
{
	while (side->next < n)
		ev_run(loop, EVRUN_ONCE);
}

static void
order_waits_for_room_for_its_descriptor(void **state)
{
	struct rlimit before, none;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(
	    ctl_send(&master.ctl, -1, "order", "{s:i}", "n", 0), 0);
	assert_int_equal(ctl_send(&master.ctl, 0, "order", "{s:i}", "n", 1), 0);
	assert_int_equal(
	    ctl_send(&master.ctl, -1, "order", "{s:i}", "n", 2), 0);
	none = before;
	none.rlim_cur = (rlim_t)lowest_free();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	turns();
	assert_int_equal(broker.next, 1);
	assert_int_equal(broker.last_fd, -1);
	assert_false(ev_is_active(&broker.ctl.rd)); /* no busy loop */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	run_until_next(&broker, 3);
	assert_told(&broker, "+");
	assert_true(broker.last_fd >= 0);
	assert_true(ev_is_active(&broker.ctl.rd));
}

static void
closing_inside_an_order_ends_the_orders(void **state)
{
	(void)state;
	broker.done_in_msg = true;
	assert_int_equal(ctl_send(&master.ctl, -1, "one", NULL), 0);
	assert_int_equal(ctl_send(&master.ctl, -1, "two", NULL), 0);
	turns();
	assert_told(&broker, "<one>");
	assert_int_equal(broker.gone, 0);
	assert_int_equal(master.gone, 1);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(orders_go_both_ways),
	    TEST(descriptor_goes_along),
	    TEST(orders_that_find_the_socket_full_wait_in_order),
	    TEST(waiting_orders_keep_their_descriptors),
	    TEST(closing_drops_what_waits_with_its_descriptors),
	    TEST(order_over_the_limit_is_refused),
	    TEST(other_side_gone_is_told_once_behind_its_orders),
	    TEST(sending_to_a_gone_side_is_told),
	    TEST(what_is_no_order_is_passed_over_with_its_descriptor),
	    TEST(message_that_is_too_big_is_passed_over),
	    TEST(orders_of_the_largest_size_go_through),
	    TEST(socket_with_a_small_buffer_is_made_large_enough),
	    TEST(order_waits_for_room_for_its_descriptor),
	    TEST(closing_inside_an_order_ends_the_orders),
	};

	return cmocka_run_group_tests_name("ctl", tests, NULL, NULL);
}
