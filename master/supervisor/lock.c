/* SPDX-License-Identifier: ISC */
/*
 * lock.c - one daemon for each state_dir, pid file and socket
 *
 * The socket has a lock of its own because connecting to it tells nothing while
 * another daemon is still on its way up.
 *
 * A pid file may lie in a folder of an unprivileged account while root writes
 * it: a symbolic link in its place is not followed.
 */
#include "master/supervisor/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <bsd/libutil.h>

#include "ipc/clock.h"
#include "ipc/sock.h"

#define PID_TRIES   20 /* for the other one to write its pid */
#define PID_WAIT_NS (5 * 1000 * 1000)
#define LEAVE_MS    3000 /* for what is left of a daemon that was killed */

void
lock_init(struct lock *l)
{
	size_t i;

	memset(l, 0, sizeof(*l));
	l->dir_fd = -1;
	for (i = 0; i < LOCK_N_FILES; i++)
		l->files[i].fd = -1;
}

/* Make the folder that path lies in. */
static int
make_parent(const char *path, mode_t mode, struct buf *reason)
{
	char dir[PATH_MAX];
	const char *slash;
	int r;

	slash = strrchr(path, '/');
	if (slash == NULL || slash == path)
		return 0;
	if ((size_t)(slash - path) >= sizeof(dir))
		return -ENAMETOOLONG;
	memcpy(dir, path, (size_t)(slash - path));
	dir[slash - path] = '\0';
	r = sock_make_dir(dir, mode);
	if (r < 0)
		buf_printf(reason, "%s: %s", dir, strerror(-r));
	return r;
}

static int
lock_dir(struct lock *l, const struct config *c, struct buf *reason)
{
	int fd, r;

	r = sock_make_dir(c->state_dir, 0750);
	fd =
	    r < 0 ? -1 : open(c->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r == 0 && fd < 0)
		r = -errno;
	if (r < 0) {
		buf_printf(
		    reason, "state_dir %s: %s", c->state_dir, strerror(-r));
		return r;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		r = errno == EWOULDBLOCK ? -EEXIST : -errno;
		buf_printf(reason, "state_dir %s: %s", c->state_dir,
		    r == -EEXIST ? "in use by another gangerd" : strerror(-r));
		close(fd);
		return r;
	}
	l->dir_fd = fd;
	return 0;
}

/* Who wrote the file, or 0.  It may be about to. */
static pid_t
read_pid(const char *path)
{
	struct timespec wait = {.tv_nsec = PID_WAIT_NS};
	char text[32];
	ssize_t n = 0;
	int fd, tries;

	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return 0;
	for (tries = 0; tries < PID_TRIES && n <= 0; tries++) {
		if (tries > 0)
			(void)nanosleep(&wait, NULL);
		n = pread(fd, text, sizeof(text) - 1, 0);
	}
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return (pid_t)strtol(text, NULL, 10);
}

/* Open and lock a file that is, or becomes, a plain one; fd or -errno. */
static int
open_locked(const char *path)
{
	struct stat st;
	int fd, r;

	fd = flopen(
	    path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
	if (fd < 0)
		return errno == EWOULDBLOCK ? -EEXIST : -errno;
	r = fstat(fd, &st) < 0 ? -errno : 0;
	/* A second name may be that of somebody's file. */
	if (r == 0 && (!S_ISREG(st.st_mode) || st.st_nlink > 1))
		r = -EINVAL;
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

static int
write_pid(int fd)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	ssize_t done;

	if (ftruncate(fd, 0) < 0)
		return -errno;
	done = pwrite(fd, text, (size_t)n, 0);
	if (done == n)
		return 0;
	return done < 0 ? -errno : -ENOSPC;
}

/* True if path still names the file that fd is. */
static bool
is_named(const char *path, int fd)
{
	struct stat named, held;

	return lstat(path, &named) == 0 && fstat(fd, &held) == 0 &&
	       named.st_dev == held.st_dev && named.st_ino == held.st_ino;
}

/* Why open_locked has refused a file. */
static const char *
describe(int r)
{
	if (r == -ELOOP)
		return "it is a symbolic link, which is refused";
	if (r == -EINVAL)
		return "it is no plain file, or has a second name";
	return strerror(-r);
}

/* Open and lock a file of ours; kind and name are what it stands for. */
static int
lock_file(
    struct lock_file *f, const char *kind, const char *name, struct buf *reason)
{
	pid_t other;
	int r;

	r = make_parent(f->path, 0755, reason);
	if (r < 0)
		return r;
	r = open_locked(f->path);
	if (r >= 0) {
		f->fd = r;
		return 0;
	}
	other = r == -EEXIST ? read_pid(f->path) : 0;
	if (other > 0)
		buf_printf(reason, "%s %s: in use by another gangerd, pid %d",
		    kind, name, (int)other);
	else if (r == -EEXIST)
		buf_printf(
		    reason, "%s %s: in use by another gangerd", kind, name);
	else
		buf_printf(reason, "%s %s: %s", kind, f->path, describe(r));
	return r;
}

/* Where the files of that configuration are. */
static void
set_paths(struct lock *l, const struct config *c)
{
	snprintf(l->files[LOCK_PIDFILE].path, PATH_MAX, "%s", c->pidfile);
	snprintf(l->files[LOCK_SOCKET].path, PATH_MAX, "%s.lock", c->socket);
}

static int
lock_socket(struct lock *l, const struct config *c, struct buf *reason)
{
	int r;

	r = lock_file(&l->files[LOCK_SOCKET], "socket", c->socket, reason);
	if (r == 0 && sock_is_live(c->socket)) {
		r = -EEXIST;
		buf_printf(reason, "socket %s: another program serves on it",
		    c->socket);
	}
	return r;
}

static int
take_all(struct lock *l, const struct config *c, bool socket_passed,
    struct buf *reason)
{
	int r;

	/* Its usual place is in there; a failure shows when it is locked. */
	(void)sock_make_dir(c->state_dir, 0750);
	/* The pid file first: it knows who the other one is. */
	r = lock_file(&l->files[LOCK_PIDFILE], "pidfile", c->pidfile, reason);
	if (r == 0)
		r = lock_dir(l, c, reason);
	if (r == 0 && !socket_passed)
		r = lock_socket(l, c, reason);
	return r;
}

/* True if the pid file is in use by a daemon that lives. */
static bool
is_alive(const struct lock *l)
{
	pid_t other;

	if (l->files[LOCK_PIDFILE].fd >= 0)
		return false;
	other = read_pid(l->files[LOCK_PIDFILE].path);
	return other > 0 && (kill(other, 0) == 0 || errno == EPERM);
}

int
lock_take(struct lock *l, const struct config *c, bool socket_passed,
    struct buf *reason)
{
	struct timespec wait = {.tv_nsec = PID_WAIT_NS};
	struct mono end = mono_add_ms(mono_now(), LEAVE_MS);
	int r;

	set_paths(l, c);
	/* A master that was killed leaves a broker that still answers, and may
	 * leave a child that has not closed its locks so far. */
	while ((r = take_all(l, c, socket_passed, reason)) == -EEXIST) {
		if (is_alive(l) || mono_reached(mono_now(), end))
			break;
		lock_release(l);
		set_paths(l, c);
		buf_reset(reason);
		(void)nanosleep(&wait, NULL);
	}
	if (r < 0)
		lock_release(l);
	return r;
}

int
lock_write(struct lock *l)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < LOCK_N_FILES; i++)
		if (l->files[i].fd >= 0)
			r = write_pid(l->files[i].fd);
	return r;
}

int
lock_check(struct lock *l, enum lock_which which)
{
	struct lock_file *f = &l->files[which];
	int fd, r;

	if (f->fd < 0 || is_named(f->path, f->fd))
		return 0;
	fd = open_locked(f->path);
	if (fd < 0)
		return fd;
	r = write_pid(fd);
	if (r < 0) {
		(void)unlink(f->path);
		close(fd);
		return r;
	}
	close(f->fd);
	f->fd = fd;
	return 1;
}

const char *
lock_path(const struct lock *l, enum lock_which which)
{
	return l->files[which].path;
}

void
lock_fds(const struct lock *l, int fds_out[LOCK_N_FDS])
{
	size_t i;

	for (i = 0; i < LOCK_N_FILES; i++)
		fds_out[i] = l->files[i].fd;
	fds_out[LOCK_N_FILES] = l->dir_fd;
}

void
lock_adopt(struct lock *l, const struct config *c, const int fds[LOCK_N_FDS])
{
	size_t i;

	set_paths(l, c);
	for (i = 0; i < LOCK_N_FILES; i++)
		l->files[i].fd = fds[i];
	l->dir_fd = fds[LOCK_N_FILES];
	for (i = 0; i < LOCK_N_FDS; i++)
		if (fds[i] >= 0)
			(void)fcntl(fds[i], F_SETFD, FD_CLOEXEC);
}

/* Unlink before the lock goes: whoever waits for it looks at the name again. */
static void
release_file(struct lock_file *f)
{
	if (f->fd < 0)
		return;
	if (is_named(f->path, f->fd))
		(void)unlink(f->path);
	close(f->fd);
}

void
lock_release(struct lock *l)
{
	release_file(&l->files[LOCK_SOCKET]);
	release_file(&l->files[LOCK_PIDFILE]);
	if (l->dir_fd >= 0)
		close(l->dir_fd);
	lock_init(l);
}
