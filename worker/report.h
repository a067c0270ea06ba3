/* SPDX-License-Identifier: ISC */
/*
 * report.h - what a worker tells the broker, written to a buffer
 *
 * Each function appends one message with its newline.  Text that is not valid
 * UTF-8 has its bad bytes replaced, and long text is cut.  Failures are sticky
 * in the buffer.
 */
#ifndef GANGER_WORKER_REPORT_H
#define GANGER_WORKER_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/buf.h"

/*
 * Bytes that a text takes in a message, its escapes counted.  A notification
 * is below 4 KiB, which the broker takes whatever max_message is.
 */
#define REPORT_TEXT_MAX 3072 /* of an error or a log line */
#define REPORT_NOTE_MAX 256  /* of progress */

/* Why a task failed. */
struct report_failure {
	int code;
	bool retryable;
	const char *message; /* borrowed; NULL for none */
	json_t *data; /* borrowed object, gets `retryable`; NULL: only that */
};

/* names is JSON text. */
void report_hello(struct buf *b, const char *names, size_t names_len,
    unsigned threads, int64_t pid);

/*
 * Answer request rpc_id.  b is empty; an answer over max bytes (newline
 * excluded) is replaced by the error RPC_TOO_LARGE, a value that JSON has no
 * text for by RPC_INTERNAL_ERROR.
 */
void report_result(
    struct buf *b, int64_t rpc_id, const json_t *value, size_t max);

/* The same for a failure; one over max loses its data and message. */
void report_failure(
    struct buf *b, int64_t rpc_id, const struct report_failure *f, size_t max);

/* note may be NULL. */
void report_progress(struct buf *b, uint64_t id, uint64_t run, uint64_t done,
    uint64_t total, const char *note);
void report_log(struct buf *b, uint64_t id, uint64_t run, const char *text);
void report_snooze(struct buf *b, uint64_t id, uint64_t run, int64_t delay_ms);

/* The worker was told to end, and the run is given back; begun: it had. */
void report_cut(struct buf *b, uint64_t id, uint64_t run, bool begun);

#endif
