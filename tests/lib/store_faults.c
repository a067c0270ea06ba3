/* SPDX-License-Identifier: ISC */
/*
 * store_faults.c - a library to be preloaded that harms the writing of files
 *
 * It looks at files whose paths begin with $FAULTS_UNDER, and does what the
 * file $FAULTS_CONTROL says, which may be replaced at any time:
 *
 *	fail ERRNO	every write, truncation and sync fails so
 *	kill N		the N-th write from now on in a process writes half,
 *			and the process dies
 *
 * With $FAULTS_TRACE all changes that went well are added to that file, in a
 * struct record each, followed by `len` bytes: what was written, the path that
 * was opened or unlinked, or both paths of a rename, with a line feed between.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define N_FDS 4096

enum what { OPEN = 1, WRITE, TRUNCATE, SYNC, UNLINK, RENAME };

struct record {
	uint32_t what;
	uint32_t fd;
	int64_t offset; /* of a write; the size after a truncation */
	uint64_t len;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char ours[N_FDS]; /* files that are looked at */
static char last[64];    /* what the control file said last */
static long n_writes;    /* since it says so */

#define NEXT(type, name) \
	static type next; \
	if (next == NULL) \
	next = (type)dlsym(RTLD_NEXT, name)

typedef int (*open_fn)(const char *, int, ...);
typedef ssize_t (*write_fn)(int, const void *, size_t);
typedef ssize_t (*pwrite_fn)(int, const void *, size_t, off64_t);
typedef int (*truncate_fn)(int, off64_t);
typedef int (*fd_fn)(int);
typedef int (*path_fn)(const char *);
typedef int (*paths_fn)(const char *, const char *);

static int
real_open(const char *path, int flags, mode_t mode)
{
	NEXT(open_fn, "open64");
	return next(path, flags, mode);
}

static ssize_t
real_write(int fd, const void *data, size_t len)
{
	NEXT(write_fn, "write");
	return next(fd, data, len);
}

static int
real_close(int fd)
{
	NEXT(fd_fn, "close");
	return next(fd);
}

static int
is_ours(int fd)
{
	return fd >= 0 && fd < N_FDS && ours[fd];
}

/* Add a record; the caller holds the lock. */
static void
trace(enum what what, int fd, int64_t offset, const void *data, size_t len)
{
	struct record r = {
	    .what = what, .fd = (uint32_t)fd, .offset = offset, .len = len};
	const char *path = getenv("FAULTS_TRACE");
	char *all;
	int out;

	if (path == NULL)
		return;
	all = malloc(sizeof(r) + len);
	out = real_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (all == NULL || out < 0)
		abort();
	memcpy(all, &r, sizeof(r));
	if (len > 0)
		memcpy(all + sizeof(r), data, len);
	if (real_write(out, all, sizeof(r) + len) != (ssize_t)(sizeof(r) + len))
		abort();
	real_close(out);
	free(all);
}

/* The errno value to fail with, or 0; *dies when this write is the one. */
static int
verdict(int is_write, int *dies)
{
	const char *path = getenv("FAULTS_CONTROL");
	char words[64];
	ssize_t n = 0;
	int fd;

	*dies = 0;
	fd = path == NULL ? -1 : real_open(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd >= 0) {
		n = read(fd, words, sizeof(words) - 1);
		real_close(fd);
	}
	words[n > 0 ? n : 0] = '\0';
	if (strcmp(words, last) != 0) {
		strcpy(last, words);
		n_writes = 0;
	}
	n_writes += is_write;
	if (strncmp(words, "kill ", 5) == 0)
		*dies = is_write && n_writes == atol(words + 5);
	return strncmp(words, "fail ", 5) == 0 ? atoi(words + 5) : 0;
}

/* -1 with errno set when the change of fd is to fail; holds the lock if 0. */
static int
begin(int fd, int is_write, int *dies)
{
	int err;

	pthread_mutex_lock(&lock);
	err = is_ours(fd) ? verdict(is_write, dies) : (*dies = 0);
	if (err == 0)
		return 0;
	pthread_mutex_unlock(&lock);
	errno = err;
	return -1;
}

static int
end(void)
{
	pthread_mutex_unlock(&lock);
	return 0;
}

static int
is_under(const char *path)
{
	const char *under = getenv("FAULTS_UNDER");

	return under != NULL && strncmp(path, under, strlen(under)) == 0;
}

static int
opened(const char *path, int flags, mode_t mode)
{
	int fd;

	fd = real_open(path, flags, mode);
	if (fd < 0 || fd >= N_FDS)
		return fd;
	pthread_mutex_lock(&lock);
	ours[fd] = is_under(path) && strstr(path, "-shm") == NULL;
	if (ours[fd])
		trace(OPEN, fd, 0, path, strlen(path));
	pthread_mutex_unlock(&lock);
	return fd;
}

#define OPENS(name) \
	int name(const char *path, int flags, ...) \
	{ \
		mode_t mode = 0; \
		va_list ap; \
\
		if (flags & (O_CREAT | O_TMPFILE)) { \
			va_start(ap, flags); \
			mode = va_arg(ap, mode_t); \
			va_end(ap); \
		} \
		return opened(path, flags, mode); \
	}

OPENS(open)
OPENS(open64)

int
close(int fd)
{
	if (fd >= 0 && fd < N_FDS)
		ours[fd] = 0;
	return real_close(fd);
}

ssize_t
pwrite64(int fd, const void *data, size_t len, off64_t at)
{
	ssize_t n;
	int dies;
	NEXT(pwrite_fn, "pwrite64");

	if (!is_ours(fd))
		return next(fd, data, len, at);
	if (begin(fd, 1, &dies) < 0)
		return -1;
	if (dies) {
		(void)!next(fd, data, len / 2, at);
		kill(getpid(), SIGKILL);
		pause();
	}
	n = next(fd, data, len, at);
	if (n > 0)
		trace(WRITE, fd, at, data, (size_t)n);
	end();
	return n;
}

ssize_t
pwrite(int fd, const void *data, size_t len, off_t at)
{
	return pwrite64(fd, data, len, at);
}

ssize_t
write(int fd, const void *data, size_t len)
{
	if (!is_ours(fd))
		return real_write(fd, data, len);
	return pwrite64(fd, data, len, lseek(fd, 0, SEEK_CUR)) < 0 ? -1
	       : lseek(fd, (off_t)len, SEEK_CUR) >= 0 ? (ssize_t)len
						      : -1;
}

int
ftruncate64(int fd, off64_t size)
{
	int r, dies;
	NEXT(truncate_fn, "ftruncate64");

	if (!is_ours(fd))
		return next(fd, size);
	if (begin(fd, 0, &dies) < 0)
		return -1;
	r = next(fd, size);
	if (r == 0)
		trace(TRUNCATE, fd, size, NULL, 0);
	end();
	return r;
}

int
ftruncate(int fd, off_t size)
{
	return ftruncate64(fd, size);
}

static int
synced(int fd, fd_fn next)
{
	int r, dies;

	if (!is_ours(fd))
		return next(fd);
	if (begin(fd, 0, &dies) < 0)
		return -1;
	r = next(fd);
	if (r == 0)
		trace(SYNC, fd, 0, NULL, 0);
	end();
	return r;
}

int
fsync(int fd)
{
	NEXT(fd_fn, "fsync");
	return synced(fd, next);
}

int
fdatasync(int fd)
{
	NEXT(fd_fn, "fdatasync");
	return synced(fd, next);
}

int
unlink(const char *path)
{
	int r;
	NEXT(path_fn, "unlink");

	r = next(path);
	if (r == 0 && is_under(path)) {
		pthread_mutex_lock(&lock);
		trace(UNLINK, -1, 0, path, strlen(path));
		end();
	}
	return r;
}

int
rename(const char *from, const char *to)
{
	char both[8192];
	int r, n;
	NEXT(paths_fn, "rename");

	r = next(from, to);
	if (r == 0 && is_under(from)) {
		n = snprintf(both, sizeof(both), "%s\n%s", from, to);
		pthread_mutex_lock(&lock);
		trace(RENAME, -1, 0, both, (size_t)n);
		end();
	}
	return r;
}
