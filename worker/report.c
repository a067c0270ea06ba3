/* SPDX-License-Identifier: ISC */
/*
 * report.c - what a worker tells the broker, written to a buffer
 *
 * An answer is written under its limit and written again, smaller, when it
 * did not fit: the common case is dumped once and measured by nobody.
 */
#include "worker/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/json.h"
#include "ipc/rpc.h"

#define ID_SIZE 24 /* a 64-bit number in decimal */

/* The least limit for an answer: the smallest error always fits. */
#define ANSWER_MIN 256

static size_t
format_id(char out[ID_SIZE], int64_t id)
{
	return (size_t)snprintf(out, ID_SIZE, "%lld", (long long)id);
}

/* The bytes of s, valid UTF-8, whose escapes in JSON take max at most. */
static size_t
fitting_length(const char *s, size_t max)
{
	size_t i, used;
	unsigned char c;

	for (i = used = 0; (c = (unsigned char)s[i]) != '\0'; i++) {
		if (strchr("\"\\\n\r\t", c) != NULL)
			used += 2;
		else
			used += c < 0x20 ? 6 : 1;
		if (used > max)
			break;
	}
	/* Do not cut a character in two. */
	while (i > 0 && ((unsigned char)s[i] & 0xc0) == 0x80)
		i--;
	return i;
}

/* Append text as a JSON string of at most max bytes, made valid. */
static void
add_text(struct buf *b, const char *text, size_t max)
{
	char *utf8;

	utf8 = json_utf8(text, strlen(text));
	if (utf8 == NULL)
		buf_adds(b, "\"\"");
	else
		buf_add_json_str(b, utf8, fitting_length(utf8, max));
	free(utf8);
}

void
report_hello(struct buf *b, const char *names, size_t names_len,
    unsigned threads, int64_t pid)
{
	rpc_open_notification(b, "worker.hello");
	buf_adds(b, "{\"protocol\":");
	buf_add_int(b, PROTO_VERSION);
	buf_adds(b, ",\"names\":");
	buf_add(b, names, names_len);
	buf_adds(b, ",\"threads\":");
	buf_add_uint(b, threads);
	buf_adds(b, ",\"pid\":");
	buf_add_int(b, pid);
	buf_addc(b, '}');
	rpc_close(b);
}

void
report_result(struct buf *b, int64_t rpc_id, const json_t *value, size_t max)
{
	struct report_failure f;
	char id[ID_SIZE];
	size_t saved;

	saved = b->max;
	b->max = (max < ANSWER_MIN ? ANSWER_MIN : max) + 1;
	rpc_open_result(b, id, format_id(id, rpc_id));
	buf_add_json(b, value);
	rpc_close(b);
	b->max = saved;
	if (buf_error(b) == 0)
		return;
	memset(&f, 0, sizeof(f));
	if (buf_error(b) == -ENOBUFS) {
		f.code = RPC_TOO_LARGE;
		f.message = "result too large";
	} else {
		f.code = RPC_INTERNAL_ERROR;
		f.message = "the result cannot be written as JSON";
	}
	buf_reset(b);
	report_failure(b, rpc_id, &f, max);
}

/* Write the failure; brief: with what any limit has room for. */
static void
write_failure(
    struct buf *b, int64_t rpc_id, const struct report_failure *f, bool brief)
{
	char id[ID_SIZE];

	buf_adds(b, "{\"jsonrpc\":\"2.0\",\"id\":");
	buf_add(b, id, format_id(id, rpc_id));
	buf_adds(b, ",\"error\":{\"code\":");
	buf_add_int(b, f->code);
	buf_adds(b, ",\"message\":");
	add_text(b, f->message == NULL ? "" : f->message,
	    brief ? 0 : REPORT_TEXT_MAX);
	buf_adds(b, ",\"data\":");
	if (!brief && f->data != NULL)
		buf_add_json(b, f->data);
	else
		buf_adds(b, f->retryable ? "{\"retryable\":true}"
					 : "{\"retryable\":false}");
	buf_addc(b, '}');
	rpc_close(b);
}

void
report_failure(
    struct buf *b, int64_t rpc_id, const struct report_failure *f, size_t max)
{
	size_t saved;

	saved = b->max;
	b->max = (max < ANSWER_MIN ? ANSWER_MIN : max) + 1;
	if (f->data != NULL)
		json_object_set_new(
		    f->data, "retryable", json_boolean(f->retryable));
	write_failure(b, rpc_id, f, false);
	if (buf_error(b) < 0) {
		buf_reset(b);
		write_failure(b, rpc_id, f, true);
	}
	b->max = saved;
}

static void
open_note(struct buf *b, const char *method, uint64_t id, uint64_t run)
{
	rpc_open_notification(b, method);
	buf_adds(b, "{\"id\":");
	buf_add_uint(b, id);
	buf_adds(b, ",\"run\":");
	buf_add_uint(b, run);
}

static void
close_note(struct buf *b)
{
	buf_addc(b, '}');
	rpc_close(b);
}

/* Readers hold JSON's integers in 64 bits with a sign. */
static void
add_count(struct buf *b, uint64_t n)
{
	buf_add_uint(b, n > INT64_MAX ? INT64_MAX : n);
}

void
report_progress(struct buf *b, uint64_t id, uint64_t run, uint64_t done,
    uint64_t total, const char *note)
{
	open_note(b, "task.progress", id, run);
	buf_adds(b, ",\"done\":");
	add_count(b, done);
	buf_adds(b, ",\"total\":");
	add_count(b, total);
	if (note != NULL) {
		buf_adds(b, ",\"note\":");
		add_text(b, note, REPORT_NOTE_MAX);
	}
	close_note(b);
}

void
report_log(struct buf *b, uint64_t id, uint64_t run, const char *text)
{
	open_note(b, "task.log", id, run);
	buf_adds(b, ",\"message\":");
	add_text(b, text, REPORT_TEXT_MAX);
	close_note(b);
}

void
report_snooze(struct buf *b, uint64_t id, uint64_t run, int64_t delay_ms)
{
	open_note(b, "task.snooze", id, run);
	buf_adds(b, ",\"delay_ms\":");
	buf_add_int(b, delay_ms);
	close_note(b);
}

void
report_cut(struct buf *b, uint64_t id, uint64_t run, bool begun)
{
	open_note(b, "task.snooze", id, run);
	buf_adds(b, ",\"delay_ms\":0");
	if (begun)
		buf_adds(b, ",\"cut\":true");
	close_note(b);
}
