/* SPDX-License-Identifier: ISC */
/*
 * log.h - one line a message, one write a line
 *
 * The log's descriptor is shared by every process of the daemon; a line is
 * written whole, so lines of different processes do not mix.  Any thread may
 * log.  Logging keeps errno.
 */
#ifndef GANGER_IPC_LOG_H
#define GANGER_IPC_LOG_H

#include <stdbool.h>
#include <sys/types.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

/*
 * Log to the file at path, appending; "-" is stderr.  0 or -errno, the log is
 * then as before.  path is copied.
 */
int log_open(const char *path);

/*
 * Give the file to a user, now and whenever root opens it anew, so that
 * processes that have become that user can do so as well.  -1: leave as it is.
 */
void log_set_owner(uid_t uid, gid_t gid);

/* Open the file anew (after a rotation); on failure the old one stays. */
int log_reopen(void);

void log_set_level(enum log_level level);
void log_set_format(enum log_format format);

/* Name this process in its lines ("master", "worker default/1").  Copied. */
void log_set_name(const char *name);

bool log_wants(enum log_level level);

/* The log's descriptor: 2, or the file's.  Borrowed. */
int log_fd(void);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Log an error that breaks an invariant and exit with 70 (EX_SOFTWARE). */
_Noreturn void log_fatal(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

#endif
