/* SPDX-License-Identifier: ISC */
/*
 * log_repeat.h - what is said again and again is counted, not written
 *
 * Pure: it is given the time.  Not thread-safe.
 */
#ifndef GANGER_IPC_LOG_REPEAT_H
#define GANGER_IPC_LOG_REPEAT_H

#include <stdbool.h>
#include <stddef.h>

#include "ipc/clock.h"
#include "ipc/log.h"

#define LOG_TEXT_MAX        2048 /* of a message */
#define LOG_REPEAT_AFTER_MS 5000 /* a repeat is news again */

struct log_repeat {
	bool any; /* there is a last message */
	enum log_level level;
	char text[LOG_TEXT_MAX];
	size_t len;
	struct mono since; /* it was written, or its repeats were told */
	unsigned count;    /* repeats not told yet */
};

/* What to write for a message. */
struct log_verdict {
	unsigned n_repeated;     /* first: so often was the last one repeated */
	enum log_level repeated; /* its level */
	bool write;              /* then: the message itself */
};

/* Forget the last message. */
void log_repeat_init(struct log_repeat *r);

/* Take note of a message; text has less than LOG_TEXT_MAX bytes. */
struct log_verdict log_repeat_take(struct log_repeat *r, enum log_level level,
    const char *text, size_t len, struct mono now);

#endif
