/* SPDX-License-Identifier: ISC */
/*
 * lock.c - one daemon for each state_dir, pid file and socket
 *
 * The socket has a lock of its own because connecting to it tells nothing while
 * another daemon is still on its way up.
 */
#include "master/supervisor/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <bsd/libutil.h>

#include "ipc/sock.h"

void
lock_init(struct lock *l)
{
	memset(l, 0, sizeof(*l));
	l->dir_fd = -1;
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

/* Open and lock a pid file; `what` names it in the reason. */
static int
lock_file(
    const char *path, const char *what, struct pidfh **out, struct buf *reason)
{
	struct pidfh *fh;
	pid_t other = 0;
	int r;

	r = make_parent(path, 0755, reason);
	if (r < 0)
		return r;
	fh = pidfile_open(path, 0644, &other);
	if (fh != NULL) {
		*out = fh;
		return 0;
	}
	r = -errno;
	if (r == -EEXIST && other > 0)
		buf_printf(reason, "%s: in use by another gangerd, pid %d",
		    what, (int)other);
	else if (r == -EEXIST || r == -EAGAIN)
		buf_printf(reason, "%s: in use by another gangerd", what);
	else
		buf_printf(reason, "%s: %s: %s", what, path, strerror(-r));
	return r == -EAGAIN ? -EEXIST : r;
}

int
lock_take(struct lock *l, const struct config *c, struct buf *reason)
{
	char path[PATH_MAX], what[PATH_MAX + 16];
	int r;

	snprintf(what, sizeof(what), "pidfile %s", c->pidfile);
	/* Its usual place is in there; a failure shows when it is locked. */
	(void)sock_make_dir(c->state_dir, 0750);
	/* The pid file first: it knows who the other one is. */
	r = lock_file(c->pidfile, what, &l->pidfile, reason);
	if (r < 0)
		return r;
	r = lock_dir(l, c, reason);
	if (r < 0)
		goto err;
	snprintf(path, sizeof(path), "%s.lock", c->socket);
	snprintf(what, sizeof(what), "socket %s", c->socket);
	r = lock_file(path, what, &l->socket, reason);
	if (r < 0)
		goto err;
	if (sock_is_live(c->socket)) {
		r = -EEXIST;
		buf_printf(reason, "%s: another program serves on it", what);
		goto err;
	}
	return 0;

err:
	lock_release(l);
	return r;
}

int
lock_write(struct lock *l)
{
	if (pidfile_write(l->pidfile) < 0 || pidfile_write(l->socket) < 0)
		return -errno;
	return 0;
}

void
lock_release(struct lock *l)
{
	if (l->socket != NULL)
		pidfile_remove(l->socket);
	if (l->pidfile != NULL)
		pidfile_remove(l->pidfile);
	if (l->dir_fd >= 0)
		close(l->dir_fd);
	lock_init(l);
}
