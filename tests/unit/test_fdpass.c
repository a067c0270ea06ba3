/* SPDX-License-Identifier: ISC */
/* LINK: ipc/fdpass.c ipc/sock.c */
/*
 * test_fdpass.c - messages keep their bounds and their descriptors
 */
#include "ipc/fdpass.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/sock.h"

static int
set_up(void **state)
{
	static int pair[2];

	*state = pair;
	return sock_pair(SOCK_SEQPACKET, pair);
}

static int
tear_down(void **state)
{
	int *pair = *state;

	close(pair[0]);
	close(pair[1]);
	return 0;
}

/* The lowest descriptor that is free: what leaks shows in it. */
static int
lowest_free(void)
{
	int fd;

	fd = dup(0);
	close(fd);
	return fd;
}

static void
messages_keep_their_bounds(void **state)
{
	int *pair = *state, fd = 42;
	char got[100];

	assert_int_equal(fdpass_send(pair[0], "one", 3, -1), 0);
	assert_int_equal(fdpass_send(pair[0], "three", 5, -1), 0);
	assert_int_equal(fdpass_recv(pair[1], got, sizeof(got), &fd), 3);
	assert_memory_equal(got, "one", 3);
	assert_int_equal(fd, -1);
	assert_int_equal(fdpass_recv(pair[1], got, sizeof(got), &fd), 5);
	assert_memory_equal(got, "three", 5);
}

static void
descriptor_arrives_as_a_duplicate_that_exec_closes(void **state)
{
	int *pair = *state, pipe_fds[2], fd;
	char got[10];

	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	assert_int_equal(fdpass_send(pair[0], "fd", 2, pipe_fds[1]), 0);
	close(pipe_fds[1]);
	assert_int_equal(fdpass_recv(pair[1], got, sizeof(got), &fd), 2);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(fd, "through", 7), 7);
	close(fd);
	assert_int_equal(read(pipe_fds[0], got, sizeof(got)), 7);
	assert_int_equal(read(pipe_fds[0], got, sizeof(got)), 0);
	close(pipe_fds[0]);
}

static void
message_that_does_not_fit_is_lost_with_its_descriptor(void **state)
{
	int *pair = *state, before, fd = 42;
	char got[4];

	before = lowest_free();
	assert_int_equal(fdpass_send(pair[0], "too long", 8, 0), 0);
	assert_int_equal(fdpass_send(pair[0], "fits", 4, -1), 0);
	assert_int_equal(
	    fdpass_recv(pair[1], got, sizeof(got), &fd), -EMSGSIZE);
	assert_int_equal(fd, -1);
	assert_int_equal(lowest_free(), before);
	assert_int_equal(fdpass_recv(pair[1], got, sizeof(got), &fd), 4);
}

static void
nothing_to_read_is_eagain(void **state)
{
	int *pair = *state, fd = 42;
	char got[4];

	assert_int_equal(fdpass_recv(pair[1], got, sizeof(got), &fd), -EAGAIN);
	assert_int_equal(fd, 42);
}

static void
full_socket_is_eagain_and_nothing_is_sent(void **state)
{
	int *pair = *state, fd, n, got_n;
	char data[1000], got[1000];

	memset(data, 'x', sizeof(data));
	n = 0;
	while (fdpass_send(pair[0], data, sizeof(data), -1) == 0)
		n++;
	assert_int_equal(fdpass_send(pair[0], data, sizeof(data), 0), -EAGAIN);
	got_n = 0;
	while (fdpass_recv(pair[1], got, sizeof(got), &fd) > 0) {
		assert_int_equal(fd, -1);
		got_n++;
	}
	assert_true(n > 0);
	assert_int_equal(got_n, n);
}

static void
end_of_file_is_zero_and_sending_is_epipe(void **state)
{
	int *pair = *state, fd;
	char got[4];

	assert_int_equal(fdpass_send(pair[0], "last", 4, -1), 0);
	close(pair[0]);
	pair[0] = dup(0);
	assert_int_equal(fdpass_recv(pair[1], got, sizeof(got), &fd), 4);
	assert_int_equal(fdpass_recv(pair[1], got, sizeof(got), &fd), 0);
	assert_int_equal(fd, -1);
	assert_int_equal(fdpass_send(pair[1], "x", 1, -1), -EPIPE);
}

static void
descriptor_that_is_none_is_ebadf(void **state)
{
	int *pair = *state, fd;
	char got[4];

	assert_int_equal(fdpass_send(pair[0], "x", 1, 9999), -EBADF);
	assert_int_equal(fdpass_recv(pair[1], got, sizeof(got), &fd), -EAGAIN);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(messages_keep_their_bounds),
	    TEST(descriptor_arrives_as_a_duplicate_that_exec_closes),
	    TEST(message_that_does_not_fit_is_lost_with_its_descriptor),
	    TEST(nothing_to_read_is_eagain),
	    TEST(full_socket_is_eagain_and_nothing_is_sent),
	    TEST(end_of_file_is_zero_and_sending_is_epipe),
	    TEST(descriptor_that_is_none_is_ebadf),
	};

	return cmocka_run_group_tests_name("fdpass", tests, NULL, NULL);
}
