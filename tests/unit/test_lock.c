/* SPDX-License-Identifier: ISC */
/* LINK: master/supervisor/lock.c master/supervisor/files.c ipc/log.c ipc/sock.c
 * ipc/buf.c ipc/json.c ipc/clock.c */
/*
 * test_lock.c - locks, and files that are made anew when they are deleted
 */
#include "master/supervisor/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/log.h"
#include "ipc/sock.h"
#include "master/supervisor/files.h"

static char dir[64], pid_path[96], sock_path[96], lock_name[104], log_path[96];
static char state_dir[96];
static struct config config;
static struct lock lock;
static struct files files;
static struct ev_loop *loop;
static int listen_fd;
static unsigned n_lost; /* calls of on_lost */
static int fail_with;   /* of on_lost; 0: it makes the socket */

static void
take(struct lock *l)
{
	struct buf reason;

	buf_init(&reason, 4096);
	lock_init(l);
	assert_int_equal(lock_take(l, &config, false, &reason), 0);
	assert_int_equal(lock_write(l), 0);
	assert_int_equal(buf_len(&reason), 0);
}

static void
listen_again(void)
{
	struct stat st;

	if (listen_fd >= 0)
		close(listen_fd);
	assert_int_equal(
	    sock_listen(sock_path, 0600, (gid_t)-1, &listen_fd), 0);
	assert_int_equal(stat(sock_path, &st), 0);
	files_watch_socket(&files, sock_path, st.st_dev, st.st_ino);
}

static int
on_lost(void *arg)
{
	assert_ptr_equal(arg, &files);
	n_lost++;
	if (fail_with < 0)
		return fail_with;
	listen_again();
	return 0;
}

static int
set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/ganger-lock-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(pid_path, sizeof(pid_path), "%s/run/pid", dir);
	snprintf(sock_path, sizeof(sock_path), "%s/s", dir);
	snprintf(lock_name, sizeof(lock_name), "%s.lock", sock_path);
	snprintf(state_dir, sizeof(state_dir), "%s/state", dir);
	snprintf(log_path, sizeof(log_path), "%s/log", dir);
	config.pidfile = pid_path;
	config.socket = sock_path;
	config.state_dir = state_dir;
	listen_fd = -1;
	n_lost = 0;
	fail_with = 0;
	loop = ev_loop_new(EVFLAG_AUTO);
	if (loop == NULL || log_open(log_path) < 0)
		return -1;
	take(&lock);
	return 0;
}

static int
tear_down(void **state)
{
	char command[128];

	(void)state;
	files_close(&files);
	files_close(&files);
	lock_release(&lock);
	if (listen_fd >= 0)
		close(listen_fd);
	ev_loop_destroy(loop);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (system(command) != 0)
		return -1;
	return log_open("/dev/null");
}

static void
watch(void)
{
	assert_int_equal(files_open(&files, loop, &lock, on_lost, &files), 0);
	listen_again();
	ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(n_lost, 0);
}

static const char *
read_text(const char *path)
{
	static char text[65536];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return NULL;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void
assert_pid_in(const char *path)
{
	const char *text = read_text(path);

	assert_non_null(text);
	assert_int_equal(atoi(text), getpid());
}

static size_t
count_in_log(const char *part)
{
	const char *text = read_text(log_path);
	size_t n = 0;

	for (; (text = strstr(text, part)) != NULL; text++)
		n++;
	return n;
}

static void
assert_refused(const char *says)
{
	struct lock other;
	struct buf reason;

	buf_init(&reason, 4096);
	lock_init(&other);
	assert_int_equal(lock_take(&other, &config, false, &reason), -EEXIST);
	buf_addc(&reason, '\0');
	assert_non_null(strstr(buf_head(&reason), says));
	buf_done(&reason);
	lock_release(&other);
}

static void
one_daemon_holds_the_locks(void **state)
{
	char says[160];

	(void)state;
	assert_pid_in(pid_path);
	assert_pid_in(lock_name);
	snprintf(says, sizeof(says),
	    "pidfile %s: in use by another gangerd, pid %d", pid_path,
	    (int)getpid());
	assert_refused(says);
	lock_release(&lock);
	assert_null(read_text(pid_path));
	assert_null(read_text(lock_name));
	take(&lock);
}

static void
files_of_a_dead_daemon_are_taken(void **state)
{
	FILE *f;

	(void)state;
	lock_release(&lock);
	f = fopen(pid_path, "w");
	assert_non_null(f);
	fputs("1 and more than the number that comes\n", f);
	fclose(f);
	take(&lock);
	assert_pid_in(pid_path);
	assert_true(strlen(read_text(pid_path)) < 12);
}

static void
link_in_the_pid_files_place_is_not_followed(void **state)
{
	struct lock other;
	struct buf reason;
	char victim[96];
	FILE *f;

	(void)state;
	lock_release(&lock);
	snprintf(victim, sizeof(victim), "%s/victim", dir);
	f = fopen(victim, "w");
	assert_non_null(f);
	fputs("precious", f);
	fclose(f);
	assert_int_equal(symlink(victim, pid_path), 0);
	buf_init(&reason, 4096);
	lock_init(&other);
	assert_int_equal(lock_take(&other, &config, false, &reason), -ELOOP);
	buf_done(&reason);
	assert_string_equal(read_text(victim), "precious");
	assert_int_equal(unlink(pid_path), 0);
	take(&lock);
}

static void
passed_socket_has_no_lock(void **state)
{
	struct buf reason;

	(void)state;
	lock_release(&lock);
	listen_again(); /* the manager's */
	buf_init(&reason, 4096);
	assert_int_equal(lock_take(&lock, &config, true, &reason), 0);
	assert_null(read_text(lock_name));
	assert_int_equal(lock_check(&lock, LOCK_SOCKET), 0);
	assert_null(read_text(lock_name));
}

static void
deleted_file_is_made_and_locked_anew(void **state)
{
	(void)state;
	assert_int_equal(lock_check(&lock, LOCK_PIDFILE), 0);
	assert_int_equal(unlink(pid_path), 0);
	assert_int_equal(lock_check(&lock, LOCK_PIDFILE), 1);
	assert_int_equal(lock_check(&lock, LOCK_PIDFILE), 0);
	assert_pid_in(pid_path);
	assert_refused(pid_path);
	lock_release(&lock);
	assert_null(read_text(pid_path));
}

static void
file_of_another_daemon_is_left_alone(void **state)
{
	struct lock other;

	(void)state;
	assert_int_equal(unlink(pid_path), 0);
	assert_int_equal(unlink(lock_name), 0);
	state_dir[strlen(state_dir) - 1]++;
	take(&other);
	assert_int_equal(lock_check(&lock, LOCK_PIDFILE), -EEXIST);
	assert_int_equal(lock_check(&lock, LOCK_SOCKET), -EEXIST);
	lock_release(&lock);
	assert_pid_in(pid_path);
	assert_pid_in(lock_name);
	lock_release(&other);
	assert_null(read_text(pid_path));
}

static void
locks_are_handed_over_an_exec(void **state)
{
	struct lock next;
	int fds[LOCK_N_FDS], i;

	(void)state;
	lock_fds(&lock, fds);
	for (i = 0; i < LOCK_N_FDS; i++) {
		assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
		assert_int_equal(fcntl(fds[i], F_SETFD, 0), 0);
	}
	lock_init(&next);
	lock_adopt(&next, &config, fds);
	for (i = 0; i < LOCK_N_FDS; i++)
		assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
	lock_init(&lock); /* the image before is no more */
	assert_refused(pid_path);
	assert_int_equal(lock_check(&next, LOCK_PIDFILE), 0);
	assert_string_equal(lock_path(&next, LOCK_SOCKET), lock_name);
	lock_release(&next);
	assert_null(read_text(pid_path));
	assert_null(read_text(lock_name));
	take(&lock);
}

static void
retries_wait_longer_and_longer(void **state)
{
	static const int64_t expect[] = {
	    0, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(expect) / sizeof(expect[0]); i++)
		assert_int_equal(files_retry_ms(i), expect[i]);
	assert_int_equal(files_retry_ms(4000000000u), 60000);
}

static void
deleted_pid_file_comes_back(void **state)
{
	(void)state;
	watch();
	assert_int_equal(unlink(pid_path), 0);
	while (read_text(pid_path) == NULL)
		ev_run(loop, EVRUN_ONCE);
	assert_pid_in(pid_path);
	assert_int_equal(count_in_log("made anew"), 1);
	/* Once more, which has to wait for a second. */
	assert_int_equal(unlink(pid_path), 0);
	while (read_text(pid_path) == NULL)
		ev_run(loop, EVRUN_ONCE);
	assert_int_equal(n_lost, 0);
}

static void
deleted_socket_is_told(void **state)
{
	(void)state;
	watch();
	assert_true(files_has_socket(&files));
	assert_int_equal(unlink(sock_path), 0);
	assert_false(files_has_socket(&files));
	while (n_lost == 0)
		ev_run(loop, EVRUN_ONCE);
	assert_true(files_has_socket(&files));
	assert_true(sock_is_live(sock_path));
	ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(n_lost, 1);
}

static void
renamed_or_replaced_socket_is_told(void **state)
{
	char other[120];
	int fd;

	(void)state;
	watch();
	snprintf(other, sizeof(other), "%s.moved", sock_path);
	assert_int_equal(rename(sock_path, other), 0);
	while (n_lost == 0)
		ev_run(loop, EVRUN_ONCE);
	assert_true(files_has_socket(&files));
	/* By a dead one. */
	assert_int_equal(unlink(other), 0);
	assert_int_equal(sock_listen(other, 0600, (gid_t)-1, &fd), 0);
	close(fd);
	assert_int_equal(rename(other, sock_path), 0);
	while (n_lost == 1)
		ev_run(loop, EVRUN_ONCE);
	assert_true(files_has_socket(&files));
}

static void
socket_of_others_is_left_to_them(void **state)
{
	int fd;

	(void)state;
	watch();
	assert_int_equal(sock_listen(sock_path, 0600, (gid_t)-1, &fd), 0);
	while (count_in_log("another program serves there") == 0)
		ev_run(loop, EVRUN_ONCE);
	assert_int_equal(n_lost, 0);
	assert_true(sock_is_live(sock_path));
	/* Until they are gone. */
	close(fd);
	while (n_lost == 0)
		ev_run(loop, EVRUN_ONCE);
	assert_true(files_has_socket(&files));
}

static void
socket_whose_lock_another_has_is_left_to_it(void **state)
{
	struct lock other;

	(void)state;
	watch();
	assert_int_equal(unlink(sock_path), 0);
	assert_int_equal(unlink(lock_name), 0);
	assert_int_equal(unlink(pid_path), 0);
	state_dir[strlen(state_dir) - 1]++;
	take(&other);
	while (count_in_log("another gangerd has taken its place") < 2)
		ev_run(loop, EVRUN_ONCE);
	assert_int_equal(n_lost, 0);
	lock_release(&other);
	while (n_lost == 0)
		ev_run(loop, EVRUN_ONCE);
	assert_pid_in(lock_name);
}

static void
failure_is_told_once_and_tried_again_later(void **state)
{
	(void)state;
	watch();
	fail_with = -ENOSPC;
	assert_int_equal(unlink(sock_path), 0);
	while (n_lost < 2)
		ev_run(loop, EVRUN_ONCE);
	assert_int_equal(count_in_log("can't be made anew: No space"), 1);
	fail_with = 0;
	while (!files_has_socket(&files))
		ev_run(loop, EVRUN_ONCE);
	assert_int_equal(n_lost, 3);
}

/* The folder of the pid file is gone, and comes back. */
static void
deleted_folder_is_waited_for(void **state)
{
	char folder[100];

	(void)state;
	watch();
	snprintf(folder, sizeof(folder), "%s/run", dir);
	assert_int_equal(unlink(pid_path), 0);
	assert_int_equal(rmdir(folder), 0);
	while (count_in_log("can't be made anew: No such file") == 0)
		ev_run(loop, EVRUN_ONCE);
	assert_int_equal(mkdir(folder, 0755), 0);
	while (read_text(pid_path) == NULL)
		ev_run(loop, EVRUN_ONCE);
	assert_pid_in(pid_path);
}

static void
moved_folder_is_noticed(void **state)
{
	char folder[100], moved[110];

	(void)state;
	watch();
	snprintf(folder, sizeof(folder), "%s/run", dir);
	snprintf(moved, sizeof(moved), "%s.moved", folder);
	assert_int_equal(rename(folder, moved), 0);
	while (count_in_log("can't be made anew: No such file") == 0)
		ev_run(loop, EVRUN_ONCE);
}

static void
socket_that_is_not_ours_is_not_watched(void **state)
{
	(void)state;
	watch();
	files_watch_socket(&files, NULL, 0, 0);
	assert_int_equal(unlink(sock_path), 0);
	assert_int_equal(unlink(pid_path), 0);
	while (read_text(pid_path) == NULL)
		ev_run(loop, EVRUN_ONCE);
	ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(n_lost, 0);
}

/* What else happens in the folders wakes nobody. */
static void
other_files_wake_nobody(void **state)
{
	char other[120];
	int i, fd;

	(void)state;
	watch();
	/* Past what the watching itself has to tell. */
	for (i = 0; i < 3; i++)
		ev_run(loop, EVRUN_NOWAIT);
	for (i = 0; i < 10; i++) {
		snprintf(other, sizeof(other), "%s.other", sock_path);
		fd = open(other, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		assert_true(fd >= 0);
		close(fd);
		assert_int_equal(unlink(other), 0);
	}
	assert_true(read(files.fd, other, sizeof(other)) < 0);
	assert_int_equal(errno, EAGAIN);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(one_daemon_holds_the_locks),
	    TEST(files_of_a_dead_daemon_are_taken),
	    TEST(link_in_the_pid_files_place_is_not_followed),
	    TEST(passed_socket_has_no_lock),
	    TEST(deleted_file_is_made_and_locked_anew),
	    TEST(file_of_another_daemon_is_left_alone),
	    TEST(locks_are_handed_over_an_exec),
	    TEST(retries_wait_longer_and_longer),
	    TEST(deleted_pid_file_comes_back),
	    TEST(deleted_socket_is_told),
	    TEST(renamed_or_replaced_socket_is_told),
	    TEST(socket_of_others_is_left_to_them),
	    TEST(socket_whose_lock_another_has_is_left_to_it),
	    TEST(failure_is_told_once_and_tried_again_later),
	    TEST(deleted_folder_is_waited_for),
	    TEST(moved_folder_is_noticed),
	    TEST(socket_that_is_not_ours_is_not_watched),
	    TEST(other_files_wake_nobody),
	};

	return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}
