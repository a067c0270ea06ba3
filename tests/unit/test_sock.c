/* SPDX-License-Identifier: ISC */
/* LINK: ipc/sock.c */
/*
 * test_sock.c - a name in the file system leads to a socket that accepts
 */
#include "ipc/sock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define KEEP_GROUP ((gid_t)-1)

/* The tests' folder, and a name in it. */
static char dir[64];
static char path[128];

static int
set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/ganger-sock-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/s", dir);
	return 0;
}

static void
remove_tree(const char *name)
{
	char sub[512];
	struct dirent *e;
	DIR *d;

	d = opendir(name);
	while (d != NULL && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(sub, sizeof(sub), "%s/%s", name, e->d_name);
		if (unlink(sub) < 0)
			remove_tree(sub);
	}
	if (d != NULL)
		closedir(d);
	rmdir(name);
}

static int
tear_down(void **state)
{
	(void)state;
	remove_tree(dir);
	return 0;
}

static int
count_entries(void)
{
	struct dirent *e;
	DIR *d;
	int n;

	n = 0;
	d = opendir(dir);
	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.' || e->d_name[1] == 'g';
	closedir(d);
	return n;
}

static int
listen_at(const char *name, mode_t mode)
{
	int fd = -1;

	assert_int_equal(sock_listen(name, mode, KEEP_GROUP, &fd), 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	return fd;
}

static void
listener_accepts_who_connects(void **state)
{
	struct sock_cred cred;
	int fd, client, served;

	(void)state;
	fd = listen_at(path, 0600);
	assert_int_equal(sock_connect(path, &client), 0);
	assert_true(fcntl(client, F_GETFD) & FD_CLOEXEC);
	assert_false(fcntl(client, F_GETFL) & O_NONBLOCK);
	served = accept(fd, NULL, NULL);
	assert_true(served >= 0);
	assert_int_equal(sock_peer_cred(served, &cred), 0);
	assert_int_equal(cred.uid, getuid());
	assert_int_equal(cred.gid, getgid());
	assert_int_equal(cred.pid, getpid());
	close(served);
	close(client);
	close(fd);
	assert_int_equal(count_entries(), 1);
}

static void
assert_mode(mode_t mode, mode_t mask)
{
	struct stat st;
	mode_t old;
	int fd;

	old = umask(mask);
	fd = listen_at(path, mode);
	assert_int_equal(umask(old), mask);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, mode);
	close(fd);
}

static void
name_has_its_mode_whatever_the_umask(void **state)
{
	(void)state;
	assert_mode(0600, 0);
	assert_mode(0660, 077);
	assert_mode(0666, 0777);
}

static void
stale_name_is_taken_over(void **state)
{
	int old, new, client;

	(void)state;
	old = listen_at(path, 0600);
	assert_true(sock_is_live(path));
	close(old);
	assert_false(sock_is_live(path));
	new = listen_at(path, 0600);
	assert_true(sock_is_live(path));
	assert_int_equal(sock_connect(path, &client), 0);
	close(client);
	close(new);
	assert_int_equal(count_entries(), 1);
}

static void
plain_file_is_not_live(void **state)
{
	int fd;

	(void)state;
	assert_false(sock_is_live(path));
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_false(sock_is_live(path));
	assert_false(sock_is_live(dir));
}

static void
socket_with_a_full_backlog_is_live(void **state)
{
	struct sockaddr_un sa;
	int fd, clients[64], n;
	bool full;

	(void)state;
	fd = listen_at(path, 0600);
	assert_int_equal(listen(fd, 1), 0);
	memset(&sa, 0, sizeof(sa));
	sa.sun_family = AF_UNIX;
	strcpy(sa.sun_path, path);
	full = false;
	for (n = 0; n < 64 && !full; n++) {
		clients[n] = socket(
		    AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		full = connect(clients[n], (struct sockaddr *)&sa, sizeof(sa)) <
			   0 &&
		       errno == EAGAIN;
	}
	assert_true(full);
	assert_true(sock_is_live(path));
	while (n-- > 0)
		close(clients[n]);
	close(fd);
}

static atomic_bool done;

static void *
look_on_and_on(void *arg)
{
	intptr_t *dead = arg;

	while (!atomic_load(&done))
		*dead += !sock_is_live(path);
	return NULL;
}

/* Each listener takes the name from the last, which closes only at the end. */
static void
name_is_live_all_the_while_listeners_change(void **state)
{
	enum { LISTENERS = 300 };
	int fds[LISTENERS], i;
	intptr_t dead = 0;
	pthread_t thread;

	(void)state;
	fds[0] = listen_at(path, 0600);
	atomic_store(&done, false);
	assert_int_equal(
	    pthread_create(&thread, NULL, look_on_and_on, &dead), 0);
	for (i = 1; i < LISTENERS; i++)
		fds[i] = listen_at(path, 0600);
	atomic_store(&done, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	for (i = 0; i < LISTENERS; i++)
		close(fds[i]);
	assert_int_equal(dead, 0);
	assert_int_equal(count_entries(), 1);
}

static void
path_that_does_not_fit_is_refused(void **state)
{
	struct sockaddr_un sa;
	char name[300];
	int fd = 42;

	(void)state;
	memset(name, 'x', sizeof(name));
	memcpy(name, dir, strlen(dir));
	name[strlen(dir)] = '/';
	name[sizeof(sa.sun_path)] = '\0';
	assert_int_equal(
	    sock_listen(name, 0600, KEEP_GROUP, &fd), -ENAMETOOLONG);
	assert_int_equal(sock_connect(name, &fd), -ENAMETOOLONG);
	assert_false(sock_is_live(name));
	assert_int_equal(fd, 42);

	name[sizeof(sa.sun_path) - 1] = '\0';
	fd = listen_at(name, 0600);
	assert_true(sock_is_live(name));
	close(fd);
	assert_int_equal(count_entries(), 1);
}

static void
what_is_no_socket_keeps_its_name(void **state)
{
	struct stat st;
	int fd, listener = 42;

	(void)state;
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "precious", 8), 8);
	close(fd);
	assert_int_equal(
	    sock_listen(path, 0600, KEEP_GROUP, &listener), -ENOTSOCK);
	assert_int_equal(listener, 42);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 8);
	assert_int_equal(count_entries(), 1);
}

static void
failed_listen_leaves_nothing_behind(void **state)
{
	char name[256];
	int fd = 42;

	(void)state;
	assert_int_equal(mkdir(path, 0700), 0); /* a folder has the name */
	assert_true(sock_listen(path, 0600, KEEP_GROUP, &fd) < 0);
	assert_int_equal(count_entries(), 1);
	snprintf(name, sizeof(name), "%s/missing/s", dir);
	assert_int_equal(sock_listen(name, 0600, KEEP_GROUP, &fd), -ENOENT);
	assert_int_equal(fd, 42);
}

static void
connect_to_nothing_says_why(void **state)
{
	int fd = 42;

	(void)state;
	assert_int_equal(sock_connect(path, &fd), -ENOENT);
	close(listen_at(path, 0600));
	assert_int_equal(sock_connect(path, &fd), -ECONNREFUSED);
	assert_int_equal(fd, 42);
}

static void
pair_is_connected_and_does_not_block(void **state)
{
	int fds[2], i;
	char byte;

	(void)state;
	assert_int_equal(sock_pair(SOCK_STREAM, fds), 0);
	for (i = 0; i < 2; i++) {
		assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
		assert_true(fcntl(fds[i], F_GETFL) & O_NONBLOCK);
	}
	assert_int_equal(write(fds[0], "x", 1), 1);
	assert_int_equal(read(fds[1], &byte, 1), 1);
	close(fds[0]);
	close(fds[1]);
	assert_true(sock_pair(12345, fds) < 0);
}

static void
folders_are_made_with_their_parents(void **state)
{
	char name[256];
	struct stat st;
	mode_t old;

	(void)state;
	old = umask(0);
	snprintf(name, sizeof(name), "%s/a/b/c", dir);
	assert_int_equal(sock_make_dir(name, 0700), 0);
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	name[strlen(name) - 2] = '\0';
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(sock_make_dir(name, 0700), 0);
	assert_int_equal(sock_make_dir("/", 0700), 0);
	umask(old);
}

static void
folder_under_a_file_is_refused(void **state)
{
	char name[256];
	int fd;

	(void)state;
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	snprintf(name, sizeof(name), "%s/sub", path);
	assert_int_equal(sock_make_dir(name, 0700), -ENOTDIR);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(listener_accepts_who_connects),
	    TEST(name_has_its_mode_whatever_the_umask),
	    TEST(stale_name_is_taken_over),
	    TEST(plain_file_is_not_live),
	    TEST(socket_with_a_full_backlog_is_live),
	    TEST(name_is_live_all_the_while_listeners_change),
	    TEST(path_that_does_not_fit_is_refused),
	    TEST(what_is_no_socket_keeps_its_name),
	    TEST(failed_listen_leaves_nothing_behind),
	    TEST(connect_to_nothing_says_why),
	    TEST(pair_is_connected_and_does_not_block),
	    TEST(folders_are_made_with_their_parents),
	    TEST(folder_under_a_file_is_refused),
	};

	return cmocka_run_group_tests_name("sock", tests, NULL, NULL);
}
