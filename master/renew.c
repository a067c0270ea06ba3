/* SPDX-License-Identifier: ISC */
/*
 * renew.c - become the program that is installed now, in the same process
 *
 * The path is that of the start, with its symbolic links as they are: they may
 * lead elsewhere by now, and that is the point.
 */
#include "master/renew.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/json.h"

#define STATE_ENV "GANGER_HANDOVER"
#define STATE_MAX ((off_t)1024 * 1024 * 1024)

/* Where this program's file is: as it was called, if that tells. */
static char *
find_path(const char *name)
{
	char cwd[PATH_MAX], path[PATH_MAX], *out = NULL;
	ssize_t n;

	if (name[0] == '/')
		return strdup(name);
	if (strchr(name, '/') != NULL && getcwd(cwd, sizeof(cwd)) != NULL)
		return asprintf(&out, "%s/%s", cwd, name) < 0 ? NULL : out;
	n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (n < 0)
		return NULL;
	path[n] = '\0';
	return strdup(path);
}

int
renew_init(struct renew *r, int argc, char **argv)
{
	int i;

	memset(r, 0, sizeof(*r));
	if (argc < 1)
		return -EINVAL;
	r->path = find_path(argv[0]);
	if (r->path == NULL)
		return -errno;
	r->argv = calloc((size_t)argc + 1, sizeof(*r->argv));
	if (r->argv == NULL)
		goto err;
	for (i = 0; i < argc; i++) {
		/* A new image is called by a path, wherever it stands. */
		r->argv[i] = strdup(i == 0 ? r->path : argv[i]);
		if (r->argv[i] == NULL)
			goto err;
	}
	return 0;

err:
	renew_done(r);
	return -ENOMEM;
}

void
renew_done(struct renew *r)
{
	size_t i;

	for (i = 0; r->argv != NULL && r->argv[i] != NULL; i++)
		free(r->argv[i]);
	free(r->argv);
	free(r->path);
	memset(r, 0, sizeof(*r));
}

int
renew_open(const struct renew *r)
{
	int fd = open(r->path, O_PATH | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int
renew_exec(const struct renew *r, int binary_fd, int state_fd)
{
	char number[16];
	int err;

	snprintf(number, sizeof(number), "%d", state_fd);
	if (setenv(STATE_ENV, number, 1) < 0)
		return -errno;
	(void)execveat(binary_fd, "", r->argv, environ, AT_EMPTY_PATH);
	err = errno;
	/* A script that starts the program can't be run by a descriptor. */
	if (err == ENOENT) {
		(void)execve(r->path, r->argv, environ);
		err = errno;
	}
	(void)unsetenv(STATE_ENV);
	return -err;
}

bool
renew_has_state(void)
{
	return getenv(STATE_ENV) != NULL;
}

static int
read_all(int fd, char *text, size_t size)
{
	size_t at = 0;
	ssize_t n;

	while (at < size) {
		n = pread(fd, text + at, size - at, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += (size_t)n;
	}
	return 0;
}

static int
read_state(int fd, json_t **out)
{
	struct stat st;
	char *text;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > STATE_MAX)
		return -EINVAL;
	text = malloc((size_t)st.st_size);
	if (text == NULL)
		return -ENOMEM;
	r = read_all(fd, text, (size_t)st.st_size);
	if (r == 0) {
		*out =
		    json_loadb(text, (size_t)st.st_size, JSON_READ_FLAGS, NULL);
		r = *out == NULL ? -EPROTO : 0;
	}
	free(text);
	return r;
}

int
renew_take_state(json_t **state_out)
{
	const char *text = getenv(STATE_ENV);
	int fd, r;

	if (text == NULL)
		return 0;
	fd = atoi(text);
	(void)unsetenv(STATE_ENV);
	if (fd <= STDERR_FILENO)
		return -EBADF;
	r = read_state(fd, state_out);
	close(fd);
	return r < 0 ? r : 1;
}
