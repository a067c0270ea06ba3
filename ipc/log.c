/* SPDX-License-Identifier: ISC */
/*
 * log.c - one line a message, one write a line
 *
 * State is set up before threads start and only read afterwards, except by
 * log_reopen, which moves the new file onto the old descriptor.  Control bytes
 * in a message are shown as \xNN: what a client sent can't forge a line.
 */
#include "ipc/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "ipc/buf.h"
#include "ipc/clock.h"
#include "ipc/json.h"

#define LINE_SIZE 2048

static struct {
	int fd;
	enum log_level level;
	enum log_format format;
	char name[64];
	char path[PATH_MAX]; /* empty: stderr */
	uid_t uid;
	gid_t gid;
} state = {.fd = STDERR_FILENO,
    .level = LOG_INFO,
    .name = "gangerd",
    .uid = (uid_t)-1,
    .gid = (gid_t)-1};

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static int
open_path(const char *path)
{
	int fd;

	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (fd < 0)
		return -errno;
	if (geteuid() == 0)
		(void)!fchown(fd, state.uid, state.gid);
	return fd;
}

void
log_set_owner(uid_t uid, gid_t gid)
{
	state.uid = uid;
	state.gid = gid;
	if (state.path[0] != '\0' && geteuid() == 0)
		(void)!fchown(state.fd, uid, gid);
}

int
log_open(const char *path)
{
	int fd;

	if (strcmp(path, "-") == 0) {
		if (state.fd != STDERR_FILENO)
			close(state.fd);
		state.fd = STDERR_FILENO;
		state.path[0] = '\0';
		return 0;
	}
	if (strlen(path) >= sizeof(state.path))
		return -ENAMETOOLONG;
	fd = open_path(path);
	if (fd < 0)
		return fd;
	if (state.fd != STDERR_FILENO)
		close(state.fd);
	state.fd = fd;
	strcpy(state.path, path);
	return 0;
}

int
log_reopen(void)
{
	int fd, r;

	if (state.path[0] == '\0')
		return 0;
	fd = open_path(state.path);
	if (fd < 0)
		return fd;
	/* In one step: another thread may be about to write. */
	r = dup3(fd, state.fd, O_CLOEXEC) < 0 ? -errno : 0;
	close(fd);
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
log_set_name(const char *name)
{
	snprintf(state.name, sizeof(state.name), "%s", name);
}

bool
log_wants(enum log_level level)
{
	return level <= state.level;
}

int
log_fd(void)
{
	return state.fd;
}

/* Copy text with its control bytes made visible; returns the new length. */
static size_t
add_visible(char *out, size_t size, const char *text)
{
	size_t n;

	for (n = 0; *text != '\0' && n + 5 < size; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= 0x20 && c != 0x7f)
			out[n++] = (char)c;
		else
			n += (size_t)snprintf(out + n, size - n, "\\x%02x", c);
	}
	return n;
}

static void
write_text(enum log_level level, const char *when, const char *msg)
{
	char line[LINE_SIZE * 2];
	int head;
	size_t n;

	head = snprintf(line, sizeof(line), "%s %-5s %s[%d]: ", when,
	    level_names[level], state.name, (int)getpid());
	if (head < 0 || (size_t)head >= sizeof(line))
		return;
	n = (size_t)head;
	n += add_visible(line + n, sizeof(line) - n - 1, msg);
	line[n++] = '\n';
	(void)!write(state.fd, line, n);
}

static void
write_json(enum log_level level, const char *when, const char *msg)
{
	struct buf b;
	char *utf8;

	utf8 = json_utf8(msg, strlen(msg));
	buf_init(&b, LINE_SIZE * 8);
	buf_printf(&b, "{\"time\":\"%s\",\"level\":\"%s\",\"process\":", when,
	    level_names[level]);
	buf_add_json_cstr(&b, state.name);
	buf_printf(&b, ",\"pid\":%d,\"message\":", (int)getpid());
	buf_add_json_cstr(&b, utf8);
	buf_adds(&b, "}\n");
	if (buf_error(&b) == 0)
		(void)!write(state.fd, buf_head(&b), buf_len(&b));
	buf_done(&b);
	free(utf8);
}

static void __attribute__((format(printf, 2, 0)))
log_va(enum log_level level, const char *fmt, va_list ap)
{
	char msg[LINE_SIZE], when[WALL_SIZE];
	int saved;

	if (level > state.level)
		return;
	saved = errno;
	vsnprintf(msg, sizeof(msg), fmt, ap);
	wall_format(wall_now_ms(), when);
	if (state.format == LOG_JSON)
		write_json(level, when, msg);
	else
		write_text(level, when, msg);
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
