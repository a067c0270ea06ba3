/* SPDX-License-Identifier: ISC */
/*
 * log.c - one line a message, one write a line
 *
 * Settings are made before threads start and only read afterwards, except by
 * log_reopen, which moves the new file onto the old descriptor.  What a message
 * changes is under a lock, which nobody holds for long: writing never waits.
 */
#include "ipc/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "ipc/clock.h"
#include "ipc/log_line.h"
#include "ipc/log_repeat.h"
#include "ipc/log_sink.h"

static struct {
	enum log_level level;
	enum log_format format;
	char name[64];
	char path[PATH_MAX]; /* empty: stderr */
	uid_t uid;
	gid_t gid;
} state = {
    .level = LOG_INFO, .name = "gangerd", .uid = (uid_t)-1, .gid = (gid_t)-1};

/* The lock is held for what follows it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct log_sink sink = {.fd = STDERR_FILENO, .way = LOG_POLL};
static struct log_sink echo = {.fd = STDERR_FILENO, .way = LOG_POLL};
static bool echoes;
static struct log_repeat repeat;

/* Give a file away; what is no plain file is not ours to give. */
static void
give_to_owner(int fd)
{
	struct stat st;

	if (geteuid() == 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		(void)!fchown(fd, state.uid, state.gid);
}

static int
open_path(const char *path)
{
	int fd;

	fd = open(path,
	    O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
	    0640);
	if (fd < 0)
		return -errno;
	give_to_owner(fd);
	return fd;
}

/* Log to fd, which is taken; 0 or -errno. */
static int
use_fd(int fd)
{
	int r;

	pthread_mutex_lock(&lock);
	r = log_sink_use(&sink, fd);
	pthread_mutex_unlock(&lock);
	if (r < 0)
		close(fd);
	return r;
}

void
log_set_owner(uid_t uid, gid_t gid)
{
	state.uid = uid;
	state.gid = gid;
	if (state.path[0] != '\0')
		give_to_owner(sink.fd);
}

int
log_open(const char *path)
{
	bool to_stderr = strcmp(path, "-") == 0;
	int fd, r;

	if (strlen(path) >= sizeof(state.path))
		return -ENAMETOOLONG;
	fd = to_stderr ? log_sink_stderr() : open_path(path);
	if (fd < 0)
		return fd;
	r = use_fd(fd);
	if (r == 0)
		strcpy(state.path, to_stderr ? "" : path);
	return r;
}

int
log_reopen(void)
{
	int fd;

	if (state.path[0] == '\0')
		return 0;
	fd = open_path(state.path);
	return fd < 0 ? fd : use_fd(fd);
}

int
log_detach_fd(void)
{
	int flags = fcntl(sink.fd, F_GETFD);

	if (flags >= 0)
		(void)fcntl(sink.fd, F_SETFD, flags & ~FD_CLOEXEC);
	return sink.fd;
}

int
log_adopt(int fd, const char *path)
{
	int flags = fcntl(fd, F_GETFD), r;

	if (flags < 0)
		return -errno;
	if (path != NULL && strlen(path) >= sizeof(state.path))
		return -ENAMETOOLONG;
	if (fd > STDERR_FILENO)
		(void)fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
	r = use_fd(fd);
	if (r == 0 && path != NULL)
		strcpy(state.path, strcmp(path, "-") == 0 ? "" : path);
	return r;
}

void
log_set_level(enum log_level level)
{
	state.level = level;
}

void
log_set_format(enum log_format format)
{
	state.format = format;
}

void
log_set_echo(bool on)
{
	pthread_mutex_lock(&lock);
	echoes = on && log_sink_use(&echo, STDERR_FILENO) == 0;
	pthread_mutex_unlock(&lock);
}

void
log_set_name(const char *name)
{
	snprintf(state.name, sizeof(state.name), "%s", name);
	/* A child does not tell what its parent has to. */
	pthread_mutex_lock(&lock);
	log_repeat_init(&repeat);
	sink.n_lost = 0;
	pthread_mutex_unlock(&lock);
}

void
log_save(struct log_setup *out)
{
	out->fd = sink.fd;
	out->path = state.path;
	out->level = state.level;
	out->format = state.format;
	out->uid = state.uid;
	out->gid = state.gid;
}

void
log_restore(const struct log_setup *s)
{
	(void)log_adopt(s->fd, s->path[0] == '\0' ? "-" : s->path);
	state.level = s->level;
	state.format = s->format;
	state.uid = s->uid;
	state.gid = s->gid;
}

bool
log_wants(enum log_level level)
{
	return level <= state.level;
}

int
log_fd(void)
{
	return sink.fd;
}

/* Under the lock. */

/* Does standard error lead to where the log goes? */
static bool
is_stderr(int fd)
{
	struct stat a, b;

	return state.path[0] == '\0' ||
	       (fstat(fd, &a) == 0 && fstat(STDERR_FILENO, &b) == 0 &&
		   a.st_dev == b.st_dev && a.st_ino == b.st_ino);
}

/* Write what this process has to say. */
static void
put_entry(const struct log_entry *e)
{
	struct log_line line;

	(void)log_line_format(&line, state.format, e);
	(void)log_sink_put(&sink, line.data, line.len);
	if (echoes && e->level <= LOG_WARN && !is_stderr(sink.fd))
		(void)log_sink_put(&echo, line.data, line.len);
}

/* Write a line of this process about the log itself. */
static void __attribute__((format(printf, 2, 3)))
put_own(enum log_level level, const char *fmt, ...)
{
	char text[128];
	struct log_entry e = {.level = level,
	    .when_ms = wall_now_ms(),
	    .name = state.name,
	    .pid = getpid(),
	    .text = text};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	e.len = strlen(text);
	put_entry(&e);
}

/* Tell of the lines that were lost, as soon as a line goes through again. */
static void
tell_lost(void)
{
	unsigned long n = sink.n_lost;

	if (n == 0)
		return;
	put_own(LOG_WARN, "%lu message%s lost: %s", n,
	    n == 1 ? " was" : "s were", log_sink_why(&sink));
	/* Unless it was lost itself, which is no message of anybody's. */
	sink.n_lost = sink.n_lost == n ? 0 : n;
}

static void
put_message(enum log_level level, const char *text, size_t len)
{
	struct log_verdict v;
	struct log_entry e = {.level = level,
	    .when_ms = wall_now_ms(),
	    .name = state.name,
	    .pid = getpid(),
	    .text = text,
	    .len = len};

	v = log_repeat_take(&repeat, level, text, len, mono_now());
	if (v.n_repeated == 0 && !v.write)
		return;
	tell_lost();
	if (v.n_repeated > 0)
		put_own(v.repeated, "the last message was repeated %u time%s",
		    v.n_repeated, v.n_repeated == 1 ? "" : "s");
	if (v.write)
		put_entry(&e);
}

/* Without the lock again. */

static void __attribute__((format(printf, 2, 0)))
log_va(enum log_level level, const char *fmt, va_list ap)
{
	char text[LOG_TEXT_MAX];
	int saved;

	if (level > state.level)
		return;
	saved = errno;
	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = '\0';
	pthread_mutex_lock(&lock);
	put_message(level, text, strlen(text));
	pthread_mutex_unlock(&lock);
	errno = saved;
}

void
log_write_as(const char *name, pid_t pid, enum log_level level,
    const char *text, size_t len)
{
	struct log_entry e = {.level = level,
	    .when_ms = wall_now_ms(),
	    .name = name,
	    .pid = pid,
	    .text = text,
	    .len = len};
	struct log_line line;
	size_t taken;
	int saved;

	if (level > state.level)
		return;
	saved = errno;
	pthread_mutex_lock(&lock);
	tell_lost();
	do {
		taken = log_line_format(&line, state.format, &e);
		(void)log_sink_put(&sink, line.data, line.len);
		e.text += taken;
		e.len -= taken;
	} while (taken > 0 && e.len > 0);
	pthread_mutex_unlock(&lock);
	errno = saved;
}

#define LOG_FUNCTION(name, level) \
	void name(const char *fmt, ...) \
	{ \
		va_list ap; \
\
		va_start(ap, fmt); \
		log_va(level, fmt, ap); \
		va_end(ap); \
	}

LOG_FUNCTION(log_error, LOG_ERROR)
LOG_FUNCTION(log_warn, LOG_WARN)
LOG_FUNCTION(log_info, LOG_INFO)
LOG_FUNCTION(log_debug, LOG_DEBUG)

void
log_fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_va(LOG_ERROR, fmt, ap);
	va_end(ap);
	exit(EX_SOFTWARE);
}
