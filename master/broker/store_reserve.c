/* SPDX-License-Identifier: ISC */
/*
 * store_reserve.c - room on the disk that is kept for a start in need
 *
 * Runs in the thread that opens the store, and then in the storage thread.
 */
#include "master/broker/store_reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "ipc/log.h"

#define MODE     0600
#define AGAIN_MS 1000
#define SECTOR   512 /* bytes; what st_blocks counts */

/* The file's name, beside what a link leads to; false: it is too long. */
static bool
name_of(const char *path, char out[PATH_MAX])
{
	char whole[PATH_MAX];
	int n;

	if (realpath(path, whole) != NULL)
		path = whole;
	n = snprintf(out, PATH_MAX, "%s-reserve", path);

	return n > 0 && n < PATH_MAX;
}

static bool
is_whole(const char *name)
{
	struct stat st;

	return lstat(name, &st) == 0 && S_ISREG(st.st_mode) &&
	       (uint64_t)st.st_blocks * SECTOR >= STORE_RESERVE_SIZE;
}

/* What is left must not be taken from those who need it now. */
static bool
is_affordable(const char *path)
{
	struct statvfs vfs;

	return statvfs(path, &vfs) == 0 &&
	       (uint64_t)vfs.f_bavail * vfs.f_frsize >=
		   (uint64_t)2 * STORE_RESERVE_SIZE;
}

static int
make(const char *name)
{
	int fd, r;

	fd = open(name,
	    O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK,
	    MODE);
	if (fd < 0)
		return -errno;
	r = -posix_fallocate(fd, 0, STORE_RESERVE_SIZE);
	close(fd);
	if (r < 0)
		(void)unlink(name);
	return r;
}

bool
store_reserve_keep(struct store_reserve *r, const char *path)
{
	struct mono now = mono_now();
	char name[PATH_MAX];

	if (r->there || !mono_reached(now, r->next))
		return r->there;
	r->next = mono_add_ms(now, AGAIN_MS);
	if (!name_of(path, name))
		return false;
	r->there = is_whole(name) || (is_affordable(path) && make(name) == 0);
	if (r->there)
		r->spent = false;
	return r->there;
}

bool
store_reserve_give_up(struct store_reserve *r, const char *path, int err)
{
	char name[PATH_MAX];

	if (err != -ENOSPC && err != -EDQUOT)
		return false;
	r->there = false;
	if (!name_of(path, name) || unlink(name) < 0)
		return false;
	log_warn("the disk is full: the room of %s is used to go on", name);
	return true;
}
