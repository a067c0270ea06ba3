/* SPDX-License-Identifier: ISC */
/*
 * log_line.h - a message as a line of the log
 *
 * Pure.  Bytes that would forge a line or drive a terminal, and those that are
 * no UTF-8, are shown as \xNN in text; in JSON they are escaped, or '?'.
 */
#ifndef GANGER_IPC_LOG_LINE_H
#define GANGER_IPC_LOG_LINE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ipc/log.h"

/* With its newline; a pipe takes this much whole (PIPE_BUF). */
#define LOG_LINE_MAX 4096

struct log_entry {
	enum log_level level;
	int64_t when_ms;  /* wall clock */
	const char *name; /* of the process; under 64 bytes */
	pid_t pid;
	const char *text; /* any bytes */
	size_t len;
};

struct log_line {
	char data[LOG_LINE_MAX];
	size_t len;
};

/*
 * Write the entry, or the part of its text that fits.  Returns how many bytes
 * of the text that is, at least 1 if there is any.
 */
size_t log_line_format(
    struct log_line *l, enum log_format format, const struct log_entry *e);

#endif
