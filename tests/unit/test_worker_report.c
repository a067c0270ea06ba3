/* SPDX-License-Identifier: ISC */
/* LINK: worker/report.c ipc/rpc.c ipc/json.c ipc/buf.c */
/*
 * test_worker_report.c - what a worker says is JSON, in bounds, a line each
 */
#include "worker/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/rpc.h"

#define MAX 1000

static struct buf b;

static int
set_up(void **state)
{
	(void)state;
	buf_init(&b, SIZE_MAX);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	buf_done(&b);
	return 0;
}

/* Take the one line that b holds; a new reference. */
static json_t *
take_line(void)
{
	json_t *msg;
	size_t len;

	assert_int_equal(buf_error(&b), 0);
	len = buf_len(&b);
	assert_true(len > 0);
	assert_ptr_equal(
	    memchr(buf_head(&b), '\n', len), buf_head(&b) + len - 1);
	msg = json_loadb(buf_head(&b), len, 0, NULL);
	assert_non_null(msg);
	buf_reset(&b);
	return msg;
}

static const char *
error_text(json_t *msg)
{
	return json_string_value(
	    json_object_get(json_object_get(msg, "error"), "message"));
}

static json_int_t
error_code(json_t *msg)
{
	return json_integer_value(
	    json_object_get(json_object_get(msg, "error"), "code"));
}

/* A string whose answer is exactly len bytes long, newline excluded. */
static json_t *
string_for_answer(size_t len)
{
	char text[MAX * 2];
	size_t n;

	n = len - strlen("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"\"}");
	memset(text, 'x', n);
	return json_stringn(text, n);
}

static void
a_result_of_the_greatest_length_passes(void **state)
{
	json_t *value, *msg;

	(void)state;
	value = string_for_answer(MAX);
	report_result(&b, 1, value, MAX);
	assert_int_equal(buf_len(&b), MAX + 1);
	msg = take_line();
	assert_true(json_equal(json_object_get(msg, "result"), value));
	json_decref(msg);
	json_decref(value);
}

static void
a_longer_result_becomes_an_error(void **state)
{
	json_t *value, *msg;

	(void)state;
	value = string_for_answer(MAX + 1);
	report_result(&b, 1, value, MAX);
	msg = take_line();
	assert_null(json_object_get(msg, "result"));
	assert_int_equal(error_code(msg), RPC_TOO_LARGE);
	assert_string_equal(error_text(msg), "result too large");
	assert_int_equal(json_integer_value(json_object_get(msg, "id")), 1);
	assert_true(json_is_false(json_object_get(
	    json_object_get(json_object_get(msg, "error"), "data"),
	    "retryable")));
	json_decref(msg);
	json_decref(value);
}

static void
a_result_without_json_text_becomes_an_error(void **state)
{
	json_t *value, *msg;

	(void)state;
	value = json_pack("{s:o}", "bad", json_string_nocheck("\xff"));
	report_result(&b, 1, value, MAX);
	msg = take_line();
	assert_int_equal(error_code(msg), RPC_INTERNAL_ERROR);
	json_decref(msg);
	json_decref(value);
}

static void
a_failure_has_code_message_and_data(void **state)
{
	struct report_failure f = {
	    .code = 3, .retryable = true, .message = "no \"luck\""};
	json_t *msg, *want;

	(void)state;
	f.data = json_pack("{s:i}", "status", 3);
	report_failure(&b, -7, &f, MAX);
	msg = take_line();
	want = json_pack("{s:s,s:i,s:{s:i,s:s,s:{s:i,s:b}}}", "jsonrpc", "2.0",
	    "id", -7, "error", "code", 3, "message", "no \"luck\"", "data",
	    "status", 3, "retryable", 1);
	assert_true(json_equal(msg, want));
	json_decref(want);
	json_decref(msg);
	json_decref(f.data);
}

static void
a_failure_over_the_limit_keeps_its_code(void **state)
{
	struct report_failure f = {.code = 9, .retryable = true};
	char text[MAX * 2];
	json_t *msg;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	f.message = text;
	report_failure(&b, 1, &f, MAX);
	assert_true(buf_len(&b) <= MAX + 1);
	msg = take_line();
	assert_int_equal(error_code(msg), 9);
	assert_true(json_is_true(json_object_get(
	    json_object_get(json_object_get(msg, "error"), "data"),
	    "retryable")));
	json_decref(msg);
}

static void
text_that_is_not_utf8_is_made_so(void **state)
{
	struct report_failure f = {.code = 1, .message = "a\xff\"\n"};
	json_t *msg;

	(void)state;
	report_failure(&b, 1, &f, MAX);
	msg = take_line();
	assert_string_equal(error_text(msg), "a?\"\n");
	json_decref(msg);
}

static void
long_text_is_cut_between_characters(void **state)
{
	char text[REPORT_NOTE_MAX * 2];
	json_t *msg;
	const char *note;
	size_t i;

	(void)state;
	/* An odd byte in front: the limit falls into a character. */
	strcpy(text, "x");
	for (i = 1; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xa9", 3);
	report_progress(&b, 1, 1, 0, 0, text);
	msg = take_line();
	note = json_string_value(
	    json_object_get(json_object_get(msg, "params"), "note"));
	assert_int_equal(strlen(note), REPORT_NOTE_MAX - 1);
	assert_memory_equal(note, text, REPORT_NOTE_MAX - 1);
	json_decref(msg);
}

static void
a_notification_stays_small_whatever_its_text(void **state)
{
	char text[REPORT_TEXT_MAX * 2];
	json_t *msg;

	(void)state;
	memset(text, '\1', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	report_log(&b, INT64_MAX, INT64_MAX, text);
	assert_true(buf_len(&b) < 4096);
	msg = take_line();
	assert_int_equal(json_string_length(json_object_get(
			     json_object_get(msg, "params"), "message")),
	    REPORT_TEXT_MAX / 6);
	json_decref(msg);
}

static void
progress_fits_a_signed_number(void **state)
{
	json_t *msg, *params;

	(void)state;
	report_progress(&b, 1, 2, UINT64_MAX, UINT64_MAX, NULL);
	msg = take_line();
	params = json_object_get(msg, "params");
	assert_int_equal(
	    json_integer_value(json_object_get(params, "total")), INT64_MAX);
	assert_null(json_object_get(params, "note"));
	json_decref(msg);
}

static void
notifications_name_the_run(void **state)
{
	json_t *msg, *want;

	(void)state;
	report_log(&b, 5, 6, "a line");
	msg = take_line();
	want =
	    json_pack("{s:s,s:s,s:{s:i,s:i,s:s}}", "jsonrpc", "2.0", "method",
		"task.log", "params", "id", 5, "run", 6, "message", "a line");
	assert_true(json_equal(msg, want));
	json_decref(want);
	json_decref(msg);
	report_snooze(&b, 5, 6, 700);
	msg = take_line();
	want =
	    json_pack("{s:s,s:s,s:{s:i,s:i,s:i}}", "jsonrpc", "2.0", "method",
		"task.snooze", "params", "id", 5, "run", 6, "delay_ms", 700);
	assert_true(json_equal(msg, want));
	json_decref(want);
	json_decref(msg);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(a_result_of_the_greatest_length_passes),
	    TEST(a_longer_result_becomes_an_error),
	    TEST(a_result_without_json_text_becomes_an_error),
	    TEST(a_failure_has_code_message_and_data),
	    TEST(a_failure_over_the_limit_keeps_its_code),
	    TEST(text_that_is_not_utf8_is_made_so),
	    TEST(long_text_is_cut_between_characters),
	    TEST(a_notification_stays_small_whatever_its_text),
	    TEST(progress_fits_a_signed_number),
	    TEST(notifications_name_the_run),
	};

	return cmocka_run_group_tests_name("worker report", tests, NULL, NULL);
}
