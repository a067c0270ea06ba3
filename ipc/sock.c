/* SPDX-License-Identifier: ISC */
/*
 * sock.c - Unix-domain sockets
 *
 * A listener is bound to a name of its own beside the wanted one, made ready,
 * and renamed: a client sees either the old name, or a socket that accepts.
 */
#include "ipc/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int
make_address(const char *path, struct sockaddr_un *sa)
{
	size_t len;

	len = strlen(path);
	if (len >= sizeof(sa->sun_path))
		return -ENAMETOOLONG;
	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	memcpy(sa->sun_path, path, len + 1);
	return 0;
}

/* The name to bind before the rename: short, beside path, of this process. */
static int
make_bind_name(const char *path, struct sockaddr_un *sa)
{
	const char *slash;
	int dir, n;

	slash = strrchr(path, '/');
	dir = slash == NULL ? 0 : (int)(slash - path) + 1;
	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	n = snprintf(sa->sun_path, sizeof(sa->sun_path), "%.*s.g%x", dir, path,
	    (unsigned)getpid());
	if (n < 0 || (size_t)n >= sizeof(sa->sun_path))
		return -ENAMETOOLONG;
	return 0;
}

static int
bind_ready(int fd, const struct sockaddr_un *sa, mode_t mode, gid_t gid)
{
	if (bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0)
		return -errno;
	if ((gid != (gid_t)-1 && chown(sa->sun_path, (uid_t)-1, gid) < 0) ||
	    chmod(sa->sun_path, mode) < 0 || listen(fd, SOMAXCONN) < 0) {
		int r = -errno;

		unlink(sa->sun_path);
		return r;
	}
	return 0;
}

/* Give a bound socket the name path, which may be that of a stale one. */
static int
take_name(const char *bound, const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	return rename(bound, path) < 0 ? -errno : 0;
}

int
sock_listen(const char *path, mode_t mode, gid_t gid, int *fd_out)
{
	struct sockaddr_un sa;
	mode_t old;
	int fd, r;

	r = make_address(path, &sa);
	if (r == 0)
		r = make_bind_name(path, &sa);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	unlink(sa.sun_path); /* of a process that died with this number */
	old = umask(0177);
	r = bind_ready(fd, &sa, mode, gid);
	umask(old);
	if (r < 0)
		goto err_fd;
	r = take_name(sa.sun_path, path);
	if (r < 0) {
		unlink(sa.sun_path);
		goto err_fd;
	}
	*fd_out = fd;
	return 0;

err_fd:
	close(fd);
	return r;
}

static int
connect_to(const char *path, int flags, int *fd_out)
{
	struct sockaddr_un sa;
	int fd, r;

	r = make_address(path, &sa);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	if (fd < 0)
		return -errno;
	while (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0) {
		if (errno == EINTR)
			continue;
		r = -errno;
		close(fd);
		return r;
	}
	*fd_out = fd;
	return 0;
}

int
sock_connect(const char *path, int *fd_out)
{
	return connect_to(path, 0, fd_out);
}

int
sock_connect_now(const char *path, int *fd_out)
{
	return connect_to(path, SOCK_NONBLOCK, fd_out);
}

bool
sock_is_live(const char *path)
{
	struct sockaddr_un sa;
	bool live;
	int fd;

	if (make_address(path, &sa) < 0)
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	/* EAGAIN: its backlog is full, so somebody listens. */
	live = connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0 ||
	       errno == EAGAIN;
	close(fd);
	return live;
}

int
sock_pair(int type, int fds_out[2])
{
	int fds[2];

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) <
	    0)
		return -errno;
	fds_out[0] = fds[0];
	fds_out[1] = fds[1];
	return 0;
}

int
sock_peer_cred(int fd, struct sock_cred *out)
{
	struct ucred uc;
	socklen_t len;

	len = sizeof(uc);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &uc, &len) < 0)
		return -errno;
	out->uid = uc.uid;
	out->gid = uc.gid;
	out->pid = uc.pid;
	return 0;
}

int
sock_make_dir(const char *path, mode_t mode)
{
	char part[PATH_MAX];
	size_t i, len;

	len = strlen(path);
	if (len >= sizeof(part))
		return -ENAMETOOLONG;
	memcpy(part, path, len + 1);
	for (i = 1; i <= len; i++) {
		if (part[i] != '/' && part[i] != '\0')
			continue;
		part[i] = '\0';
		if (mkdir(part, i == len ? mode : 0755) < 0 && errno != EEXIST)
			return -errno;
		part[i] = path[i];
	}
	return 0;
}
