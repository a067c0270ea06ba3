/* SPDX-License-Identifier: ISC */
/*
 * state_dir.c - the folder that the broker keeps the task store in
 *
 * Runs in the master, before it has any other child.  Only what nobody but root
 * could have put there is given away: in a folder that somebody else can write
 * to, a file by the store's name may be a link to any other.
 */
#include "master/supervisor/state_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/log.h"
#include "master/supervisor/spawn.h"

#define OTHERS_WRITE (S_IWGRP | S_IWOTH)

static bool
is_of_store(const char *name)
{
	return strncmp(name, STATE_DIR_STORE, sizeof(STATE_DIR_STORE) - 1) == 0;
}

/* True when path is that of a file `name` with `ending` in the folder. */
static bool
is_path(const struct config *c, const char *name, const char *path,
    const char *ending)
{
	size_t dir = strlen(c->state_dir), len = strlen(name);
	size_t tail = strlen(ending);

	return strncmp(path, c->state_dir, dir) == 0 && path[dir] == '/' &&
	       len >= tail && strcmp(name + len - tail, ending) == 0 &&
	       strlen(path + dir + 1) == len - tail &&
	       strncmp(path + dir + 1, name, len - tail) == 0;
}

/* True for what the daemon itself puts there. */
static bool
is_ours(const struct config *c, const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
	       is_of_store(name) || is_path(c, name, c->pidfile, "") ||
	       is_path(c, name, c->socket, "") ||
	       is_path(c, name, c->socket, ".lock") ||
	       is_path(c, name, c->log_file, "");
}

static int
give_file(int dir_fd, const char *name, const struct config_account *a)
{
	int fd, r = 0;

	fd = openat(dir_fd, name,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fchown(fd, a->uid, a->gid) < 0)
		r = -errno;
	close(fd);
	return r;
}

/* Look for somebody else's files, or else give away those of the store. */
static int
walk(const struct config *c, const struct config_account *a, int dir_fd,
    bool give, struct buf *reason)
{
	struct dirent *e;
	int fd, r = 0;
	DIR *d;

	fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (d == NULL) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		buf_adds(reason, strerror(-r));
		return r;
	}
	while (r == 0 && (e = readdir(d)) != NULL) {
		if (!give && !is_ours(c, e->d_name)) {
			r = -EPERM;
			buf_printf(reason,
			    "it is root's, and is not given to %s for there "
			    "are other files in it, such as %s",
			    a->user, e->d_name);
		} else if (give && is_of_store(e->d_name)) {
			r = give_file(dir_fd, e->d_name, a);
			if (r < 0)
				buf_printf(
				    reason, "%s: %s", e->d_name, strerror(-r));
		}
	}
	closedir(d);
	return r;
}

/* Give a folder of root's, which nobody else writes to, to the account. */
static int
give_dir(const struct config *c, const struct config_account *a, int dir_fd,
    mode_t mode, struct buf *reason)
{
	int r;

	r = walk(c, a, dir_fd, false, reason);
	if (r == 0)
		r = walk(c, a, dir_fd, true, reason);
	if (r < 0)
		return r;
	if (fchown(dir_fd, a->uid, a->gid) < 0 ||
	    fchmod(dir_fd, (mode & 07777) | S_IRWXU) < 0) {
		r = -errno;
		buf_adds(reason, strerror(-r));
		return r;
	}
	log_info("state_dir %s now belongs to %s", c->state_dir, a->user);
	return 0;
}

/* Become that user, and try; ends the process with errno, or 0. */
static void __attribute__((noreturn))
try_now(const struct config *c, const struct config_account *a)
{
	struct dirent *e;
	DIR *d;

	if (spawn_take_account(a) < 0)
		_exit(EPERM);
	/* By its path, as the broker will. */
	d = opendir(c->state_dir);
	if (d == NULL || faccessat(dirfd(d), ".", W_OK | X_OK, 0) < 0)
		_exit(errno);
	while ((e = readdir(d)) != NULL) {
		if (is_of_store(e->d_name) &&
		    faccessat(dirfd(d), e->d_name, R_OK | W_OK, 0) < 0)
			_exit(errno);
	}
	_exit(0);
}

/* Try it out, for groups, parents and access lists count as well. */
static int
try_as(const struct config *c, const struct config_account *a)
{
	int status;
	pid_t pid;

	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		try_now(c, a);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

/* The same with a reason. */
static int
check(const struct config *c, const struct config_account *a,
    const struct stat *st, struct buf *reason)
{
	int r;

	r = try_as(c, a);
	if (r == 0)
		return 0;
	if (buf_len(reason) == 0 && st->st_uid == 0 &&
	    (st->st_mode & OTHERS_WRITE) != 0)
		buf_printf(reason,
		    "it is root's, and is not given to %s for others can "
		    "write to it",
		    a->user);
	if (buf_len(reason) > 0)
		buf_adds(reason, "; ");
	buf_printf(reason, "%s can't write in it: %s", a->user, strerror(-r));
	return r;
}

int
state_dir_prepare(const struct config *c, struct buf *reason)
{
	struct config_account a = config_account_of(c, NULL);
	struct buf why;
	struct stat st;
	int fd, r = 0;

	if (geteuid() != 0 || a.uid == CONFIG_NO_UID || a.uid == 0)
		return 0;
	buf_init(&why, 4096);
	fd = open(c->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		r = -errno;
		buf_adds(&why, strerror(-r));
	} else {
		/* It matters only if it turns out that it was needed. */
		if (st.st_uid == 0 && (st.st_mode & OTHERS_WRITE) == 0)
			(void)give_dir(c, &a, fd, st.st_mode, &why);
		r = check(c, &a, &st, &why);
	}
	if (r < 0)
		buf_printf(reason, "state_dir %s: %.*s", c->state_dir,
		    (int)buf_len(&why), buf_head(&why));
	if (fd >= 0)
		close(fd);
	buf_done(&why);
	return r;
}
