/* SPDX-License-Identifier: ISC */
/* LINK: master/supervisor/notify.c master/supervisor/activation.c ipc/buf.c
 * ipc/clock.c ipc/sock.c */
/*
 * test_notify.c - what passes between the master and its service manager
 */
#include "master/supervisor/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/clock.h"
#include "ipc/sock.h"
#include "master/supervisor/activation.h"

static char dir[64], path[96];
static struct ev_loop *loop;
static struct notify notify;
static int manager; /* the manager's socket */

/* Be the manager at a name; '@' in front is an abstract one. */
static void
listen_at(const char *name)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	socklen_t len;

	if (manager >= 0)
		close(manager);
	(void)unlink(name);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(manager >= 0);
	memcpy(sa.sun_path, name, strlen(name));
	if (name[0] == '@')
		sa.sun_path[0] = '\0';
	len =
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
	assert_int_equal(bind(manager, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
}

static int
set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/ganger-notify-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/notify", dir);
	manager = -1;
	loop = ev_loop_new(EVFLAG_AUTO);
	notify_clean_env();
	return loop == NULL ? -1 : 0;
}

static int
tear_down(void **state)
{
	(void)state;
	notify_close(&notify);
	notify_close(&notify);
	if (manager >= 0)
		close(manager);
	ev_loop_destroy(loop);
	(void)unlink(path);
	return rmdir(dir);
}

static const char *
hear(void)
{
	static char text[1024];
	ssize_t n = recv(manager, text, sizeof(text) - 1, 0);

	if (n < 0)
		return NULL;
	text[n] = '\0';
	return text;
}

static void
nobody_is_told_without_a_manager(void **state)
{
	(void)state;
	assert_int_equal(notify_open(&notify, loop), 0);
	notify_ready(&notify);
	notify_status(&notify, "%d", 1);
	notify_ping(&notify);
	assert_int_equal(notify_watchdog_ms(&notify), 0);
}

static void
manager_hears_how_it_goes(void **state)
{
	unsigned long long us;
	const char *text;

	(void)state;
	listen_at(path);
	assert_int_equal(notify_open(&notify, loop), 0);
	notify_ready(&notify);
	assert_string_equal(hear(), "READY=1");
	notify_status(&notify, "%d workers\nforged=1", 4);
	assert_string_equal(hear(), "STATUS=4 workers forged=1");
	us = (unsigned long long)mono_now().ns / 1000;
	notify_reloading(&notify);
	text = hear();
	assert_int_equal(strncmp(text, "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
	assert_true(strtoull(text + 27, NULL, 10) >= us);
	assert_true(strtoull(text + 27, NULL, 10) < us + 60000000);
	notify_stopping(&notify, 0);
	assert_string_equal(hear(), "STOPPING=1");
	notify_stopping(&notify, 31000);
	assert_string_equal(hear(), "STOPPING=1\nEXTEND_TIMEOUT_USEC=31000000");
	notify_ping(&notify);
	assert_string_equal(hear(), "WATCHDOG=1");
	assert_null(hear());
}

static void
abstract_name_is_understood(void **state)
{
	char name[64];

	(void)state;
	snprintf(name, sizeof(name), "@ganger-test-%d", (int)getpid());
	listen_at(name);
	assert_int_equal(notify_open(&notify, loop), 0);
	notify_ready(&notify);
	assert_string_equal(hear(), "READY=1");
}

static void
bad_address_is_an_error_and_no_harm(void **state)
{
	static const char *const bad[] = {"", "relative", "@", "/"};
	char longer[200];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		setenv("NOTIFY_SOCKET", bad[i], 1);
		assert_int_equal(notify_open(&notify, loop), -EINVAL);
		notify_ready(&notify);
	}
	memset(longer, '/', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	setenv("NOTIFY_SOCKET", longer, 1);
	assert_int_equal(notify_open(&notify, loop), -ENAMETOOLONG);
	notify_ready(&notify);
}

static void
manager_that_is_not_there_is_no_harm(void **state)
{
	(void)state;
	setenv("NOTIFY_SOCKET", path, 1);
	assert_int_equal(notify_open(&notify, loop), 0);
	notify_ready(&notify);
	/* It is, later; and again after it was restarted. */
	listen_at(path);
	notify_status(&notify, "one");
	assert_string_equal(hear(), "STATUS=one");
	listen_at(path);
	notify_status(&notify, "two");
	assert_string_equal(hear(), "STATUS=two");
}

static void
manager_that_is_busy_is_told_later_and_in_order(void **state)
{
	int i, n = 0, n_pings = 0, sent = 0;
	const char *text;
	char expect[64];

	(void)state;
	listen_at(path);
	assert_int_equal(notify_open(&notify, loop), 0);
	/* Until the queue of the kernel is full, and some more. */
	while (buf_len(&notify.waiting) == 0 && sent < 100000)
		notify_status(&notify, "%d", sent++);
	for (i = 0; i < 5; i++)
		notify_status(&notify, "%d", sent++);
	for (i = 0; i < 5; i++)
		notify_ping(&notify);
	assert_true(buf_len(&notify.waiting) > 0);
	assert_true(ev_is_active(&notify.writable));
	while (n < sent) {
		text = hear();
		if (text == NULL) {
			ev_run(loop, EVRUN_ONCE);
			continue;
		}
		if (strcmp(text, "WATCHDOG=1") == 0) {
			n_pings++;
			continue;
		}
		snprintf(expect, sizeof(expect), "STATUS=%d", n++);
		assert_string_equal(text, expect);
	}
	assert_int_equal(n_pings, 0);
	ev_run(loop, EVRUN_NOWAIT);
	assert_false(ev_is_active(&notify.writable));
	notify_ping(&notify);
	assert_string_equal(hear(), "WATCHDOG=1");
}

static void
what_waits_is_bounded(void **state)
{
	int i;

	(void)state;
	listen_at(path);
	assert_int_equal(notify_open(&notify, loop), 0);
	for (i = 0; i < 10000; i++)
		notify_status(&notify, "%d and some more text", i);
	assert_true(buf_len(&notify.waiting) <= 4096);
}

static void
watchdog_is_for_the_process_it_names(void **state)
{
	char pid[32];

	(void)state;
	listen_at(path);
	setenv("WATCHDOG_USEC", "30000000", 1);
	assert_int_equal(notify_open(&notify, loop), 0);
	assert_int_equal(notify_watchdog_ms(&notify), 30000);
	notify_close(&notify);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	assert_int_equal(notify_open(&notify, loop), 0);
	assert_int_equal(notify_watchdog_ms(&notify), 30000);
	notify_close(&notify);
	setenv("WATCHDOG_PID", "1", 1);
	assert_int_equal(notify_open(&notify, loop), 0);
	assert_int_equal(notify_watchdog_ms(&notify), 0);
	notify_close(&notify);
	setenv("WATCHDOG_PID", pid, 1);
	setenv("WATCHDOG_USEC", "30x", 1);
	assert_int_equal(notify_open(&notify, loop), 0);
	assert_int_equal(notify_watchdog_ms(&notify), 0);
	notify_clean_env();
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_null(getenv("WATCHDOG_USEC"));
	assert_null(getenv("WATCHDOG_PID"));
}

/* Socket activation: descriptors from 3 on, whatever they are in this test. */

struct passed {
	int saved[2]; /* what 3 and 4 were */
	struct activation activation;
	struct buf reason;
};

static void
pass(struct passed *p, int n, int fd0, int fd1, pid_t pid)
{
	char text[32];

	memset(p, 0, sizeof(*p));
	buf_init(&p->reason, 4096);
	p->saved[0] = fcntl(3, F_DUPFD_CLOEXEC, 10);
	p->saved[1] = fcntl(4, F_DUPFD_CLOEXEC, 10);
	if (fd0 >= 0)
		assert_int_equal(dup2(fd0, 3), 3);
	if (fd1 >= 0)
		assert_int_equal(dup2(fd1, 4), 4);
	snprintf(text, sizeof(text), "%d", (int)pid);
	setenv("LISTEN_PID", text, 1);
	snprintf(text, sizeof(text), "%d", n);
	setenv("LISTEN_FDS", text, 1);
	setenv("LISTEN_FDNAMES", "ganger.socket", 1);
	activation_read(&p->activation);
	assert_null(getenv("LISTEN_PID"));
	assert_null(getenv("LISTEN_FDS"));
	assert_null(getenv("LISTEN_FDNAMES"));
}

static void
pass_done(struct passed *p)
{
	int i;

	activation_done(&p->activation);
	buf_done(&p->reason);
	for (i = 0; i < 2; i++) {
		if (p->saved[i] < 0)
			continue;
		assert_int_equal(dup2(p->saved[i], 3 + i), 3 + i);
		close(p->saved[i]);
	}
}

static void
assert_says(struct passed *p, const char *part)
{
	buf_addc(&p->reason, '\0');
	assert_non_null(strstr(buf_head(&p->reason), part));
}

/* A listener as a manager makes it, blocking, on a high number. */
static int
high_listener(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd, up;

	memcpy(sa.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 1), 0);
	up = fcntl(fd, F_DUPFD, 20);
	close(fd);
	return up;
}

static void
passed_listener_is_taken(void **state)
{
	struct passed p;
	int listener, fd = -1;

	(void)state;
	listener = high_listener();
	pass(&p, 1, listener, -1, getpid());
	assert_int_equal(p.activation.n_fds, 1);
	assert_int_equal(fcntl(3, F_GETFD), FD_CLOEXEC);
	assert_int_equal(
	    activation_take(&p.activation, path, &fd, &p.reason), 1);
	assert_int_equal(fd, 3);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_int_equal(
	    activation_take(&p.activation, path, &fd, &p.reason), 0);
	close(3);
	pass_done(&p);
	close(listener);
}

static void
other_way_to_the_same_socket_is_fine(void **state)
{
	char link[96], other[128];
	struct passed p;
	int listener, fd = -1;

	(void)state;
	snprintf(link, sizeof(link), "%s.link", dir);
	snprintf(other, sizeof(other), "%s/notify", link);
	assert_int_equal(symlink(dir, link), 0);
	listener = high_listener();
	pass(&p, 1, listener, -1, getpid());
	assert_int_equal(
	    activation_take(&p.activation, other, &fd, &p.reason), 1);
	close(3);
	pass_done(&p);
	close(listener);
	assert_int_equal(unlink(link), 0);
}

static void
listener_of_another_name_is_refused_with_both(void **state)
{
	struct passed p;
	int listener, fd = -1;

	(void)state;
	listener = high_listener();
	pass(&p, 1, listener, -1, getpid());
	assert_int_equal(
	    activation_take(&p.activation, "/run/other/s", &fd, &p.reason),
	    -EINVAL);
	assert_int_equal(fd, -1);
	assert_says(&p, path);
	assert_non_null(strstr(buf_head(&p.reason), "/run/other/s"));
	pass_done(&p);
	close(listener);
}

static void
several_descriptors_are_refused(void **state)
{
	struct passed p;
	int listener, fd = -1;

	(void)state;
	listener = high_listener();
	pass(&p, 2, listener, listener, getpid());
	assert_int_equal(
	    activation_take(&p.activation, path, &fd, &p.reason), -EINVAL);
	assert_says(&p, "2 descriptors");
	pass_done(&p);
	close(listener);
}

static void
what_does_not_listen_is_refused(void **state)
{
	struct passed p;
	int fds[2], fd = -1;

	(void)state;
	assert_int_equal(sock_pair(SOCK_STREAM, fds), 0);
	pass(&p, 1, fds[0], -1, getpid());
	assert_int_equal(
	    activation_take(&p.activation, path, &fd, &p.reason), -EINVAL);
	assert_says(&p, "listens");
	pass_done(&p);
	close(fds[0]);
	close(fds[1]);
}

static void
descriptors_for_others_are_not_ours(void **state)
{
	struct passed p;
	int fd = -1;

	(void)state;
	pass(&p, 1, -1, -1, 1);
	assert_int_equal(p.activation.n_fds, 0);
	assert_int_equal(
	    activation_take(&p.activation, path, &fd, &p.reason), 0);
	pass_done(&p);
	pass(&p, -5, -1, -1, getpid());
	assert_int_equal(p.activation.n_fds, 0);
	pass_done(&p);
	pass(&p, 1000000, -1, -1, getpid());
	assert_int_equal(p.activation.n_fds, 0);
	pass_done(&p);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(nobody_is_told_without_a_manager),
	    TEST(manager_hears_how_it_goes),
	    TEST(abstract_name_is_understood),
	    TEST(bad_address_is_an_error_and_no_harm),
	    TEST(manager_that_is_not_there_is_no_harm),
	    TEST(manager_that_is_busy_is_told_later_and_in_order),
	    TEST(what_waits_is_bounded),
	    TEST(watchdog_is_for_the_process_it_names),
	    TEST(passed_listener_is_taken),
	    TEST(other_way_to_the_same_socket_is_fine),
	    TEST(listener_of_another_name_is_refused_with_both),
	    TEST(several_descriptors_are_refused),
	    TEST(what_does_not_listen_is_refused),
	    TEST(descriptors_for_others_are_not_ours),
	};

	return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
