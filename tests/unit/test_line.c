/* SPDX-License-Identifier: ISC */
/* LINK: ipc/line.c ipc/buf.c */
/*
 * test_line.c - frames are the same however the stream is cut into reads
 *
 * A trace writes down what a reader told: a frame as "<text>" with its bytes
 * shown, a refused one as "!".  Each chunk is fed from memory of its own that
 * is freed behind it, so a frame that outlives its bytes is found out.
 */
#include "ipc/line.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/buf.h"

#define MAX 16

static void
trace_frame(struct buf *trace, const char *frame, size_t len)
{
	size_t i;

	buf_addc(trace, '<');
	for (i = 0; i < len; i++) {
		if (frame[i] == '\r')
			buf_adds(trace, "\\r");
		else if (frame[i] == '\0')
			buf_adds(trace, "\\0");
		else
			buf_addc(trace, frame[i]);
	}
	buf_addc(trace, '>');
}

/* Take at most `most` frames; true when the reader had more to tell. */
static bool
take(struct line_reader *r, struct buf *trace, int most)
{
	char *frame;
	size_t len;
	int res;

	while (most-- > 0) {
		res = line_reader_next(r, &frame, &len);
		if (res == 0)
			return false;
		if (res == -EMSGSIZE) {
			buf_addc(trace, '!');
			continue;
		}
		assert_int_equal(res, 1);
		assert_int_equal(frame[len], '\0');
		trace_frame(trace, frame, len);
	}
	return true;
}

static void
feed(struct line_reader *r, struct buf *trace, const char *data, size_t n)
{
	char *copy;

	if (n == 0)
		return;
	copy = malloc(n);
	assert_non_null(copy);
	memcpy(copy, data, n);
	assert_int_equal(line_reader_feed(r, copy, n), 0);
	assert_false(take(r, trace, 10000));
	memset(copy, '#', n);
	free(copy);
}

static void
assert_trace(struct buf *trace, const char *expected)
{
	char *told;

	told = buf_steal(trace, NULL);
	assert_string_equal(told, expected);
	free(told);
}

static struct line_reader *
reader_new(void)
{
	struct line_reader *r;

	assert_int_equal(line_reader_new(MAX, &r), 0);
	return r;
}

static const char stream[] = "one\n"
			     "\n"
			     "two\r\n"
			     "0123456789abcdef\n"
			     "0123456789abcdef!\n"
			     "ok\n"
			     "far longer than the limit of sixteen bytes\n"
			     "this one is too long, too\n"
			     "n\0ul\n"
			     "last\n"
			     "tail";
static const char stream_trace[] =
    "<one><><two\\r><0123456789abcdef>!<ok>!!<n\\0ul><last>";

static void
zero_limit_is_refused(void **state)
{
	struct line_reader *r = NULL;

	(void)state;
	assert_int_equal(line_reader_new(0, &r), -EINVAL);
	assert_null(r);
	line_reader_free(NULL);
}

static void
frames_come_out_of_one_read(void **state)
{
	struct line_reader *r;
	struct buf trace;

	(void)state;
	buf_init(&trace, SIZE_MAX);
	r = reader_new();
	feed(r, &trace, stream, sizeof(stream) - 1);
	assert_int_equal(line_reader_pending(r), 4);
	feed(r, &trace, "\n", 1);
	assert_int_equal(line_reader_pending(r), 0);
	line_reader_free(r);
	assert_trace(&trace, "<one><><two\\r><0123456789abcdef>!<ok>!!<n\\0ul>"
			     "<last><tail>");
}

static void
frames_are_the_same_with_every_cut(void **state)
{
	struct line_reader *r;
	struct buf trace;
	size_t n, i;

	(void)state;
	n = sizeof(stream) - 1;
	buf_init(&trace, SIZE_MAX);
	for (i = 0; i <= n; i++) {
		r = reader_new();
		feed(r, &trace, stream, i);
		feed(r, &trace, stream + i, n - i);
		line_reader_free(r);
		assert_trace(&trace, stream_trace);
	}
}

static void
frames_are_the_same_with_every_pair_of_cuts(void **state)
{
	struct line_reader *r;
	struct buf trace;
	size_t n, i, j;

	(void)state;
	n = sizeof(stream) - 1;
	buf_init(&trace, SIZE_MAX);
	for (i = 0; i <= n; i++) {
		for (j = i; j <= n; j++) {
			r = reader_new();
			feed(r, &trace, stream, i);
			feed(r, &trace, stream + i, j - i);
			feed(r, &trace, stream + j, n - j);
			line_reader_free(r);
			assert_trace(&trace, stream_trace);
		}
	}
}

static void
frames_are_the_same_in_steps_of_every_size(void **state)
{
	struct line_reader *r;
	struct buf trace;
	size_t n, step, i;

	(void)state;
	n = sizeof(stream) - 1;
	buf_init(&trace, SIZE_MAX);
	for (step = 1; step <= n; step++) {
		r = reader_new();
		for (i = 0; i < n; i += step)
			feed(
			    r, &trace, stream + i, n - i < step ? n - i : step);
		line_reader_free(r);
		assert_trace(&trace, stream_trace);
	}
}

/* A pause after each count of frames, and the bytes go away meanwhile. */
static void
kept_frames_come_after_the_pause(void **state)
{
	struct line_reader *r;
	struct buf trace;
	size_t n, cut;
	char *copy;
	int most;

	(void)state;
	n = sizeof(stream) - 1;
	buf_init(&trace, SIZE_MAX);
	for (cut = 1; cut <= n; cut++) {
		for (most = 0; most < 6; most++) {
			r = reader_new();
			copy = malloc(cut);
			assert_non_null(copy);
			memcpy(copy, stream, cut);
			assert_int_equal(line_reader_feed(r, copy, cut), 0);
			if (take(r, &trace, most))
				assert_int_equal(line_reader_keep(r), 0);
			assert_int_equal(line_reader_keep(r), 0);
			memset(copy, '#', cut);
			free(copy);
			assert_false(take(r, &trace, 10000));
			feed(r, &trace, stream + cut, n - cut);
			line_reader_free(r);
			assert_trace(&trace, stream_trace);
		}
	}
}

static void
reader_goes_on_when_paused_after_each_frame(void **state)
{
	struct line_reader *r;
	struct buf trace;
	size_t n;
	char *copy;

	(void)state;
	n = sizeof(stream) - 1;
	buf_init(&trace, SIZE_MAX);
	r = reader_new();
	copy = malloc(n);
	assert_non_null(copy);
	memcpy(copy, stream, n);
	assert_int_equal(line_reader_feed(r, copy, n), 0);
	assert_int_equal(line_reader_keep(r), 0);
	free(copy);
	assert_int_equal(line_reader_pending(r), n);
	while (take(r, &trace, 1))
		assert_int_equal(line_reader_keep(r), 0);
	assert_trace(&trace, stream_trace);
	assert_int_equal(line_reader_pending(r), 4);
	line_reader_free(r);
}

static void
too_long_frame_is_told_before_its_end(void **state)
{
	struct line_reader *r;
	struct buf trace;

	(void)state;
	buf_init(&trace, SIZE_MAX);
	r = reader_new();
	feed(r, &trace, "0123456789abcdef", 16);
	assert_int_equal(buf_len(&trace), 0);
	feed(r, &trace, "g", 1);
	assert_int_equal(buf_len(&trace), 1);
	feed(r, &trace, "hijk", 4);
	feed(r, &trace, "lm\nok\n", 6);
	line_reader_free(r);
	assert_trace(&trace, "!<ok>");
}

static void
ten_megabytes_without_newline_are_not_kept(void **state)
{
	enum { LIMIT = 4096, CHUNK = 1000, CHUNKS = 10485 };
	struct line_reader *r;
	struct buf trace;
	char chunk[CHUNK];
	int i;

	(void)state;
	memset(chunk, 'x', sizeof(chunk));
	buf_init(&trace, SIZE_MAX);
	assert_int_equal(line_reader_new(LIMIT, &r), 0);
	for (i = 0; i < CHUNKS; i++) {
		feed(r, &trace, chunk, sizeof(chunk));
		assert_true(line_reader_pending(r) <= LIMIT);
	}
	feed(r, &trace, "\nok\n", 4);
	line_reader_free(r);
	assert_trace(&trace, "!<ok>");
}

/* Searching from the start each time would take a minute here. */
static void
frame_a_byte_at_a_time_is_searched_once(void **state)
{
	enum { SIZE = 1 << 20 };
	struct line_reader *r;
	char byte, *frame;
	size_t len;
	int i;

	(void)state;
	assert_int_equal(line_reader_new(SIZE, &r), 0);
	for (i = 0; i < SIZE; i++) {
		byte = 'y';
		assert_int_equal(line_reader_feed(r, &byte, 1), 0);
		assert_int_equal(line_reader_next(r, &frame, &len), 0);
	}
	byte = '\n';
	assert_int_equal(line_reader_feed(r, &byte, 1), 0);
	assert_int_equal(line_reader_next(r, &frame, &len), 1);
	assert_int_equal(len, SIZE);
	assert_int_equal(frame[SIZE - 1], 'y');
	assert_int_equal(line_reader_next(r, &frame, &len), 0);
	line_reader_free(r);
}

/* Another reader that goes on where r, which ends, was. */
static struct line_reader *
succeed(struct line_reader *r)
{
	struct line_reader *next = reader_new();
	const char *held;
	bool skipping;
	size_t n;

	held = line_reader_peek(r, &n, &skipping);
	assert_int_equal(n, line_reader_pending(r));
	assert_int_equal(line_reader_restore(next, held, n, skipping), 0);
	line_reader_free(r);
	return next;
}

static void
frames_are_the_same_when_another_reader_goes_on(void **state)
{
	struct line_reader *r;
	struct buf trace;
	size_t n, i;

	(void)state;
	n = sizeof(stream) - 1;
	buf_init(&trace, SIZE_MAX);
	for (i = 0; i <= n; i++) {
		r = reader_new();
		feed(r, &trace, stream, i);
		r = succeed(succeed(r));
		assert_false(take(r, &trace, 1));
		feed(r, &trace, stream + i, n - i);
		line_reader_free(r);
		assert_trace(&trace, stream_trace);
	}
}

static void
frames_that_were_kept_go_to_another_reader(void **state)
{
	struct line_reader *r = reader_new();
	char data[] = "one\ntwo\nthree";
	struct buf trace;

	(void)state;
	buf_init(&trace, SIZE_MAX);
	assert_int_equal(line_reader_feed(r, data, strlen(data)), 0);
	assert_true(take(r, &trace, 1));
	assert_int_equal(line_reader_keep(r), 0);
	r = succeed(r);
	feed(r, &trace, "!\n", 2);
	line_reader_free(r);
	assert_trace(&trace, "<one><two><three!>");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(zero_limit_is_refused),
	    cmocka_unit_test(frames_come_out_of_one_read),
	    cmocka_unit_test(frames_are_the_same_with_every_cut),
	    cmocka_unit_test(frames_are_the_same_with_every_pair_of_cuts),
	    cmocka_unit_test(frames_are_the_same_in_steps_of_every_size),
	    cmocka_unit_test(kept_frames_come_after_the_pause),
	    cmocka_unit_test(reader_goes_on_when_paused_after_each_frame),
	    cmocka_unit_test(too_long_frame_is_told_before_its_end),
	    cmocka_unit_test(ten_megabytes_without_newline_are_not_kept),
	    cmocka_unit_test(frame_a_byte_at_a_time_is_searched_once),
	    cmocka_unit_test(frames_are_the_same_when_another_reader_goes_on),
	    cmocka_unit_test(frames_that_were_kept_go_to_another_reader),
	};

	return cmocka_run_group_tests_name("line", tests, NULL, NULL);
}
