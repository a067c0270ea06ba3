/* SPDX-License-Identifier: ISC */
/*
 * log.h - one line a message, one write a line
 *
 * The master and the broker share the log's descriptor; a line is written
 * whole, so lines of different processes do not mix.  What a worker logs goes
 * to the master with what it prints.  Any thread may log.  Logging keeps errno.
 *
 * Nobody waits for the log: a line that can't be written at once is lost, and
 * with the next one that can be, their number is told.  A message that repeats
 * the last one of its process is told as a number as well.
 */
#ifndef GANGER_IPC_LOG_H
#define GANGER_IPC_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format {
	LOG_TEXT,
	LOG_JSON,
	LOG_PREFIXED /* for who makes a log of it: "<4>message" */
};

/*
 * Log to the file at path, appending; "-" is what stderr leads to at this
 * moment, on a descriptor of the log's own.  0 or -errno, the log is then as
 * before.  path is copied.
 */
int log_open(const char *path);

/*
 * Give the file to a user, now and whenever root opens it anew.  -1: leave as
 * it is.
 */
void log_set_owner(uid_t uid, gid_t gid);

/* Open the file anew (after a rotation); on failure the old one stays. */
int log_reopen(void);

void log_set_level(enum log_level level);
void log_set_format(enum log_format format);

/*
 * While it is on, errors and warnings of this process, and of those that it
 * forks, go to standard error as well, unless that is the log.
 */
void log_set_echo(bool on);

/* Name this process in its lines ("master", "worker default/1").  Copied. */
void log_set_name(const char *name);

/* How this process logs, to go on in the same way after an exec. */
struct log_setup {
	int fd;           /* log_fd() */
	const char *path; /* empty: stderr */
	enum log_level level;
	enum log_format format;
	uid_t uid;
	gid_t gid;
};

/* Look at it; path is lent. */
void log_save(struct log_setup *out);

/* Log like that from here on; fd is taken, path copied. */
void log_restore(const struct log_setup *s);

bool log_wants(enum log_level level);

/* The log's descriptor: from 3 on once it was opened, before that 2.  Lent. */
int log_fd(void);

/*
 * Let the descriptor live on over an exec, and return it.  The log works on;
 * if the exec fails, log_adopt takes it back.
 */
int log_detach_fd(void);

/*
 * Go on with a descriptor that log_detach_fd gave out, in this process or in
 * the image before.  The log owns fd then.  path as for log_open; NULL: as it
 * was.  -EBADF: fd is not open.
 */
int log_adopt(int fd, const char *path);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Write a line, or as many as it takes, on behalf of another process: text, len
 * bytes of anything.  Repeats are not looked for.
 */
void log_write_as(const char *name, pid_t pid, enum log_level level,
    const char *text, size_t len);

/* Log an error that breaks an invariant and exit with 70 (EX_SOFTWARE). */
_Noreturn void log_fatal(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

#endif
