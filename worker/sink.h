/* SPDX-License-Identifier: ISC */
/*
 * sink.h - lines of text from a signal handler
 *
 * Neither allocates nor locks.  A line goes out whole, with its newline, and
 * one that is too long is cut.
 */
#ifndef GANGER_WORKER_SINK_H
#define GANGER_WORKER_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SINK_LINE_MAX 512 /* a pipe takes as much in one piece */

struct sink {
	int fd;       /* -1: into memory */
	int left_ms;  /* how long a full descriptor may still be waited for */
	char *memory; /* borrowed */
	size_t size;
	size_t len;         /* of what was written there */
	const char *prefix; /* begins each line; lent */
	char line[SINK_LINE_MAX];
	size_t n; /* bytes of the line so far, always < SINK_LINE_MAX */
};

/*
 * Write to fd, which may not block: lines that it has no room for within
 * patience_ms in all are dropped.  Each begins with prefix, which is lent, but
 * for empty ones.
 */
void sink_to_fd(struct sink *s, int fd, const char *prefix, int patience_ms);

/* Write to memory; lines that do not fit are dropped. */
void sink_to_memory(struct sink *s, char *memory, size_t size);

void sink_str(struct sink *s, const char *text);
void sink_uint(struct sink *s, uint64_t n);
void sink_hex(struct sink *s, uint64_t n); /* 0x… */

/* Nanoseconds as seconds: 1.203 s. */
void sink_duration(struct sink *s, int64_t ns);

void sink_end_line(struct sink *s);

#endif
