/* SPDX-License-Identifier: ISC */
/* LINK: */
/*
 * test_nomem.c - a failed allocation is told, loses nothing, leaks nothing
 *
 * The sources under test are included with their allocator replaced by one
 * that fails its nth call.  Each test is run with the first call failing, then
 * the second, and so on until a run needs no more calls.
 */
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
#include <jansson.h>

static long calls_left; /* calls that succeed; then one fails */
static bool failed;
static long live; /* blocks allocated and not freed */

static bool
fails_now(void)
{
	if (calls_left-- != 0)
		return false;
	failed = true;
	return true;
}

static void *
poor_malloc(size_t n)
{
	void *p;

	p = fails_now() ? NULL : (malloc)(n);
	live += p != NULL;
	return p;
}

static void *
poor_calloc(size_t n, size_t size)
{
	void *p;

	p = fails_now() ? NULL : (calloc)(n, size);
	live += p != NULL;
	return p;
}

static void *
poor_realloc(void *old, size_t n)
{
	void *p;

	p = fails_now() ? NULL : (realloc)(old, n);
	live += p != NULL && old == NULL;
	return p;
}

static void
poor_free(void *p)
{
	live -= p != NULL;
	(free)(p);
}

#define malloc(n)     poor_malloc(n)
#define calloc(n, m)  poor_calloc(n, m)
#define realloc(p, n) poor_realloc(p, n)
#define free(p)       poor_free(p)

#include "ipc/buf.c"
#include "ipc/json.c"
#include "ipc/line.c"
#include "ipc/rpc.c"

/* Run `scenario` with each of its allocations failing in its turn. */
static void
fail_each(bool (*scenario)(void))
{
	long n;

	for (n = 0;; n++) {
		calls_left = n;
		failed = false;
		live = 0;
		if (!scenario())
			assert_true(failed);
		assert_int_equal(live, 0);
		if (!failed)
			break;
	}
	assert_true(n > 0);
	calls_left = -1;
}

static bool
queue_grows(void)
{
	struct buf b;
	char chunk[100];
	size_t before;
	bool ok;
	int i;

	memset(chunk, 'x', sizeof(chunk));
	buf_init(&b, SIZE_MAX);
	ok = true;
	for (i = 0; i < 50 && ok; i++) {
		before = buf_len(&b);
		buf_add(&b, chunk, sizeof(chunk));
		ok = buf_error(&b) == 0;
		if (!ok) {
			assert_int_equal(buf_error(&b), -ENOMEM);
			assert_int_equal(buf_len(&b), before);
			buf_addc(&b, 'x');
			assert_int_equal(buf_len(&b), before);
		}
		if (i % 3 == 0)
			buf_consume(&b, buf_len(&b) / 2);
	}
	buf_done(&b);
	return ok;
}

static void
queue_that_can_not_grow_keeps_its_content(void **state)
{
	(void)state;
	fail_each(queue_grows);
}

/* A refused feed is repeated; a refused keep gives the stream up. */
static bool
frames_are_cut(void)
{
	static const char text[] = "one\ntwo and a half\nthr";
	char chunk[8], *frame;
	struct line_reader *r;
	size_t at, len;
	int res, n;

	res = line_reader_new(1000, &r);
	if (res < 0)
		return false;
	n = 0;
	for (at = 0; at < sizeof(text) - 1 && res == 0; at += 3) {
		size_t step =
		    at + 3 > sizeof(text) - 1 ? sizeof(text) - 1 - at : 3;

		memcpy(chunk, text + at, step);
		while (line_reader_feed(r, chunk, step) < 0)
			assert_true(failed);
		while ((res = line_reader_next(r, &frame, &len)) == 1)
			n++;
	}
	line_reader_free(r);
	if (res == 0)
		assert_int_equal(n, 2);
	else
		assert_int_equal(res, -ENOMEM);
	return res == 0;
}

static void
frames_are_told_whole_or_given_up(void **state)
{
	(void)state;
	fail_each(frames_are_cut);
}

static bool
text_is_copied(void)
{
	json_t *value;
	char *text, *utf8;
	size_t len;
	bool ok;

	value = json_pack("{s:s, s:[i, b]}", "a", "text", "b", 1, 1);
	text = value == NULL ? NULL : json_text(value, 1000, &len);
	utf8 = text == NULL ? NULL : json_utf8(text, len);
	ok = utf8 != NULL;
	if (ok)
		assert_string_equal(utf8, "{\"a\":\"text\",\"b\":[1,true]}");
	free(utf8);
	free(text);
	json_decref(value);
	return ok;
}

static void
text_is_copied_whole_or_not_at_all(void **state)
{
	(void)state;
	fail_each(text_is_copied);
}

static bool
message_is_read_and_answered(void)
{
	static const char line[] =
	    "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"},{\"x\":[1,2]}]";
	char reason[RPC_REASON_SIZE];
	struct rpc_text text;
	struct rpc_msg msg;
	struct buf b;
	bool ok;

	if (rpc_read(line, sizeof(line) - 1, &text, reason) < 0)
		return false;
	rpc_text_get(&text, 0, &msg);
	assert_int_equal(msg.kind, RPC_REQUEST);
	buf_init(&b, SIZE_MAX);
	rpc_write_error(&b, "1", 1, RPC_INTERNAL_ERROR, "x", NULL);
	ok = buf_error(&b) == 0;
	buf_done(&b);
	rpc_text_done(&text);
	return ok;
}

static void
message_that_can_not_be_read_leaks_nothing(void **state)
{
	(void)state;
	fail_each(message_is_read_and_answered);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(queue_that_can_not_grow_keeps_its_content),
	    cmocka_unit_test(frames_are_told_whole_or_given_up),
	    cmocka_unit_test(text_is_copied_whole_or_not_at_all),
	    cmocka_unit_test(message_that_can_not_be_read_leaks_nothing),
	};

	json_set_alloc_funcs(poor_malloc, poor_free);
	return cmocka_run_group_tests_name("nomem", tests, NULL, NULL);
}
