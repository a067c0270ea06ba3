/* SPDX-License-Identifier: ISC */
/* LINK: ipc/rpc.c ipc/json.c ipc/buf.c */
/*
 * test_rpc.c - JSON-RPC 2.0 is read as its specification has it
 *
 * A line is described in words, a message each: what it is, and its members
 * as compact JSON.  What is written is read back by jansson.
 */
#include "ipc/rpc.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/json.h"

static void
describe_member(struct buf *b, const char *name, const json_t *value)
{
	if (value == NULL)
		return;
	buf_printf(b, " %s=", name);
	buf_add_json(b, value);
}

static void
describe_msg(struct buf *b, const struct rpc_msg *m)
{
	static const char *const kinds[] = {
	    [RPC_REQUEST] = "request",
	    [RPC_NOTIFICATION] = "notification",
	    [RPC_RESPONSE] = "response",
	    [RPC_INVALID] = "invalid",
	};

	if (buf_len(b) > 0)
		buf_adds(b, "; ");
	buf_adds(b, kinds[m->kind]);
	if (m->kind == RPC_INVALID) {
		assert_non_null(m->reason);
		describe_member(b, "id", m->id);
		return;
	}
	if (m->method != NULL)
		buf_printf(b, " %s", m->method);
	describe_member(b, "params", m->params);
	describe_member(b, "id", m->id);
	describe_member(b, "result", m->result);
	describe_member(b, "error", m->error);
}

/* Describe a line; the caller frees the text. */
static char *
describe(const char *line, size_t len)
{
	char reason[RPC_REASON_SIZE] = "";
	struct rpc_text text;
	struct rpc_msg msg;
	struct buf b;
	size_t i;
	int r;

	buf_init(&b, SIZE_MAX);
	r = rpc_read(line, len, &text, reason);
	if (r < 0) {
		assert_true(strlen(reason) > 0);
		buf_adds(&b, r == -EINVAL   ? "no JSON"
			     : r == -ENOMSG ? "empty batch"
			     : r == -E2BIG  ? "batch too big"
					    : "another error");
		return buf_steal(&b, NULL);
	}
	assert_true(text.n >= 1);
	assert_true(text.batch || text.n == 1);
	for (i = 0; i < text.n; i++) {
		rpc_text_get(&text, i, &msg);
		describe_msg(&b, &msg);
	}
	rpc_text_done(&text);
	rpc_text_done(&text);
	return buf_steal(&b, NULL);
}

static void
assert_read_len(const char *line, size_t len, const char *expected)
{
	char *told;

	told = describe(line, len);
	if (strcmp(told, expected) != 0)
		fail_msg("%s\n  is     %s\n  not    %s", line, told, expected);
	free(told);
}

static void
assert_read(const char *line, const char *expected)
{
	assert_read_len(line, strlen(line), expected);
}

#define V "\"jsonrpc\": \"2.0\", "

static void
specification_examples_of_calls_are_read(void **state)
{
	(void)state;
	assert_read(
	    "{" V "\"method\": \"subtract\", \"params\": [42, 23], \"id\": 1}",
	    "request subtract params=[42,23] id=1");
	assert_read("{" V "\"method\": \"subtract\", \"params\": "
		    "{\"subtrahend\": 23, \"minuend\": 42}, \"id\": 3}",
	    "request subtract params={\"subtrahend\":23,\"minuend\":42} id=3");
	assert_read("{" V "\"method\": \"update\", \"params\": [1,2,3,4,5]}",
	    "notification update params=[1,2,3,4,5]");
	assert_read("{" V "\"method\": \"foobar\"}", "notification foobar");
	assert_read("{" V "\"method\": \"foobar\", \"id\": \"1\"}",
	    "request foobar id=\"1\"");
}

static void
specification_examples_of_answers_are_read(void **state)
{
	(void)state;
	assert_read(
	    "{" V "\"result\": 19, \"id\": 1}", "response id=1 result=19");
	assert_read("{" V "\"result\": [\"hello\", 5], \"id\": \"9\"}",
	    "response id=\"9\" result=[\"hello\",5]");
	assert_read("{" V "\"error\": {\"code\": -32601, \"message\": "
		    "\"Method not found\"}, \"id\": \"1\"}",
	    "response id=\"1\" error={\"code\":-32601,"
	    "\"message\":\"Method not found\"}");
	assert_read("{" V "\"error\": {\"code\": -32700, \"message\": "
		    "\"Parse error\"}, \"id\": null}",
	    "response id=null error={\"code\":-32700,"
	    "\"message\":\"Parse error\"}");
}

static void
specification_examples_of_mistakes_are_told(void **state)
{
	(void)state;
	assert_read("{" V "\"method\": \"foobar, \"params\": \"bar\", \"baz]",
	    "no JSON");
	assert_read("{" V "\"method\": 1, \"params\": \"bar\"}", "invalid");
	assert_read("[{" V "\"method\": \"sum\", \"params\": [1,2,4], "
		    "\"id\": \"1\"}, {" V "\"method\"]",
	    "no JSON");
	assert_read("[]", "empty batch");
	assert_read("[1]", "invalid");
	assert_read("[1,2,3]", "invalid; invalid; invalid");
}

static void
specification_examples_of_batches_are_read(void **state)
{
	(void)state;
	assert_read("[{" V
		    "\"method\": \"sum\", \"params\": [1,2,4], \"id\": \"1\"},"
		    "{" V "\"method\": \"notify_hello\", \"params\": [7]},"
		    "{" V "\"method\": \"subtract\", \"params\": [42,23], "
		    "\"id\": \"2\"},"
		    "{\"foo\": \"boo\"},"
		    "{" V "\"method\": \"foo.get\", \"params\": "
		    "{\"name\": \"myself\"}, \"id\": \"5\"},"
		    "{" V "\"method\": \"get_data\", \"id\": \"9\"}]",
	    "request sum params=[1,2,4] id=\"1\"; "
	    "notification notify_hello params=[7]; "
	    "request subtract params=[42,23] id=\"2\"; "
	    "invalid; "
	    "request foo.get params={\"name\":\"myself\"} id=\"5\"; "
	    "request get_data id=\"9\"");
	assert_read("[{" V "\"method\": \"notify_sum\", \"params\": [1,2,4]},"
		    "{" V "\"method\": \"notify_hello\", \"params\": [7]}]",
	    "notification notify_sum params=[1,2,4]; "
	    "notification notify_hello params=[7]");
}

static void
ids_of_every_type_are_told_apart(void **state)
{
	(void)state;
	assert_read("{" V "\"method\":\"m\",\"id\":0}", "request m id=0");
	assert_read("{" V "\"method\":\"m\",\"id\":-7}", "request m id=-7");
	assert_read("{" V "\"method\":\"m\",\"id\":1.5}", "request m id=1.5");
	assert_read("{" V "\"method\":\"m\",\"id\":9223372036854775807}",
	    "request m id=9223372036854775807");
	assert_read("{" V "\"method\":\"m\",\"id\":\"\"}", "request m id=\"\"");
	assert_read("{" V "\"method\":\"m\",\"id\":null}", "request m id=null");
	assert_read("{" V "\"method\":\"m\",\"id\":true}", "invalid");
	assert_read("{" V "\"method\":\"m\",\"id\":[1]}", "invalid");
	assert_read("{" V "\"method\":\"m\",\"id\":{}}", "invalid");
}

/* So that the error reaches the caller who made the mistake. */
static void
invalid_request_keeps_a_usable_id(void **state)
{
	(void)state;
	assert_read("{\"method\":\"m\",\"id\":1}", "invalid id=1");
	assert_read("{\"jsonrpc\":\"1.0\",\"method\":\"m\",\"id\":\"x\"}",
	    "invalid id=\"x\"");
	assert_read(
	    "{\"jsonrpc\":2.0,\"method\":\"m\",\"id\":2}", "invalid id=2");
	assert_read("{" V "\"method\":null,\"id\":3}", "invalid id=3");
	assert_read("{" V "\"method\":{},\"id\":3}", "invalid id=3");
	assert_read("{" V "\"method\":\"m\",\"params\":\"p\",\"id\":4}",
	    "invalid id=4");
	assert_read(
	    "{" V "\"method\":\"m\",\"params\":1,\"id\":5}", "invalid id=5");
	assert_read(
	    "{" V "\"method\":\"m\",\"params\":null,\"id\":6}", "invalid id=6");
	assert_read("{" V "\"id\":7}", "invalid id=7");
	assert_read("{" V "\"method\":\"m\",\"params\":1}", "invalid");
}

static void
answer_has_result_or_error_and_an_id(void **state)
{
	(void)state;
	assert_read(
	    "{" V "\"result\":null,\"id\":1}", "response id=1 result=null");
	assert_read(
	    "{" V "\"result\":1,\"error\":{},\"id\":1}", "invalid id=1");
	assert_read("{" V "\"error\":\"e\",\"id\":1}", "invalid id=1");
	assert_read("{" V "\"result\":1}", "invalid");
	assert_read("{" V "\"error\":{}}", "invalid");
	assert_read("{" V "\"result\":1,\"id\":[]}", "invalid");
}

static void
texts_that_are_no_object_are_invalid(void **state)
{
	(void)state;
	assert_read("null", "invalid");
	assert_read("true", "invalid");
	assert_read("12", "invalid");
	assert_read("\"text\"", "invalid");
	assert_read("{}", "invalid");
	assert_read("[[]]", "invalid");
	assert_read("[{},[{}]]", "invalid; invalid");
}

static void
white_space_around_a_text_is_nothing(void **state)
{
	(void)state;
	assert_read(" \t{" V "\"method\":\"m\"}\r", "notification m");
}

static void
texts_that_are_no_json_are_told(void **state)
{
	static const char nul_inside[] = "{" V "\"method\":\"m\"}\0{}";
	static const char nul_in_string[] = "{" V "\"method\":\"m\0n\"}";

	(void)state;
	assert_read("", "no JSON");
	assert_read("   ", "no JSON");
	assert_read("{", "no JSON");
	assert_read("{} {}", "no JSON");
	assert_read("{\"a\":1,\"a\":2}", "no JSON");
	assert_read("{'a':1}", "no JSON");
	assert_read("[1,]", "no JSON");
	assert_read("NaN", "no JSON");
	assert_read("[1e999]", "no JSON");
	assert_read("[\"\xff\"]", "no JSON");
	assert_read("[\"\xed\xa0\x80\"]", "no JSON");
	assert_read("[\"\\ud800\"]", "no JSON");
	assert_read("[99999999999999999999]", "no JSON");
	assert_read_len(nul_inside, sizeof(nul_inside) - 1, "no JSON");
	assert_read_len(nul_in_string, sizeof(nul_in_string) - 1, "no JSON");
}

static void
nesting_of_any_depth_is_survived(void **state)
{
	enum { DEPTH = 100000 };
	char *text;

	(void)state;
	text = malloc(2 * DEPTH);
	assert_non_null(text);
	memset(text, '[', DEPTH);
	memset(text + DEPTH, ']', DEPTH);
	assert_read_len(text, 2 * DEPTH, "no JSON");
	assert_read_len(text, DEPTH, "no JSON");
	free(text);
}

static char *
batch_of(size_t n)
{
	struct buf b;
	size_t i;

	buf_init(&b, SIZE_MAX);
	for (i = 0; i < n; i++)
		buf_adds(&b, i == 0 ? "[1" : ",1");
	buf_addc(&b, ']');
	return buf_steal(&b, NULL);
}

static void
batch_over_its_limit_is_refused_whole(void **state)
{
	char reason[RPC_REASON_SIZE];
	struct rpc_text text;
	char *line;

	(void)state;
	line = batch_of(PROTO_BATCH_MAX);
	assert_int_equal(rpc_read(line, strlen(line), &text, reason), 0);
	assert_true(text.batch);
	assert_int_equal(text.n, PROTO_BATCH_MAX);
	rpc_text_done(&text);
	free(line);
	line = batch_of(PROTO_BATCH_MAX + 1);
	assert_read(line, "batch too big");
	free(line);
}

static void
reason_says_what_is_wrong_and_where(void **state)
{
	char reason[RPC_REASON_SIZE];
	struct rpc_text text;

	(void)state;
	assert_int_equal(rpc_read("[1, x]", 6, &text, reason), -EINVAL);
	assert_non_null(strstr(reason, "at byte 5"));
	rpc_text_done(NULL);
}

/* What b holds must be one line, and jansson must read `expected` in it. */
static void
assert_written(struct buf *b, const char *expected)
{
	json_t *value, *want;
	char *line;
	size_t len;

	assert_int_equal(buf_error(b), 0);
	line = buf_steal(b, &len);
	assert_int_equal(line[len - 1], '\n');
	assert_ptr_equal(strchr(line, '\n'), line + len - 1);
	value = json_loadb(line, len, JSON_READ_FLAGS, NULL);
	want = json_loads(expected, 0, NULL);
	assert_non_null(want);
	if (!json_equal(value, want))
		fail_msg("%s  is not %s", line, expected);
	json_decref(value);
	json_decref(want);
	free(line);
}

static void
results_are_written(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, SIZE_MAX);
	rpc_open_result(&b, "\"a\"", 3);
	buf_adds(&b, "[1,2]");
	rpc_close(&b);
	assert_written(&b, "{" V "\"id\":\"a\",\"result\":[1,2]}");
	rpc_open_result(&b, "17,", 2);
	buf_adds(&b, "null");
	rpc_close(&b);
	assert_written(&b, "{" V "\"id\":17,\"result\":null}");
}

static void
errors_are_written(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, SIZE_MAX);
	rpc_write_error(&b, NULL, 0, RPC_PARSE_ERROR, "a \"bad\"\nline", NULL);
	assert_written(&b, "{" V "\"id\":null,\"error\":{\"code\":-32700,"
			   "\"message\":\"a \\\"bad\\\"\\nline\"}}");
	rpc_write_error(&b, "5", 1, RPC_NO_SUCH_TASK, "none",
	    "{\"retryable\":false,\"id\":9}");
	assert_written(&b, "{" V "\"id\":5,\"error\":{\"code\":-32012,"
			   "\"message\":\"none\",\"data\":"
			   "{\"retryable\":false,\"id\":9}}}");
}

static void
requests_and_notifications_are_written(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, SIZE_MAX);
	rpc_open_request(&b, UINT64_C(9007199254740993), "task.run");
	buf_adds(&b, "{\"id\":1}");
	rpc_close(&b);
	assert_written(&b, "{" V "\"id\":9007199254740993,"
			   "\"method\":\"task.run\",\"params\":{\"id\":1}}");
	rpc_open_notification(&b, "worker.stop");
	buf_adds(&b, "{}");
	rpc_close(&b);
	assert_written(&b, "{" V "\"method\":\"worker.stop\",\"params\":{}}");
}

static void
what_is_written_here_is_read_here(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, SIZE_MAX);
	rpc_open_request(&b, 3, "m");
	buf_adds(&b, "[]");
	rpc_close(&b);
	assert_read_len(buf_head(&b), buf_len(&b), "request m params=[] id=3");
	buf_reset(&b);
	rpc_open_notification(&b, "n");
	buf_adds(&b, "{}");
	rpc_close(&b);
	assert_read_len(buf_head(&b), buf_len(&b), "notification n params={}");
	buf_reset(&b);
	rpc_write_error(&b, "3", 1, RPC_TOO_LARGE, "x", NULL);
	assert_read_len(buf_head(&b), buf_len(&b),
	    "response id=3 error={\"code\":-32014,\"message\":\"x\"}");
	buf_done(&b);
}

static void
codes_have_the_wording_of_the_specification(void **state)
{
	(void)state;
	assert_string_equal(rpc_code_text(RPC_PARSE_ERROR), "Parse error");
	assert_string_equal(
	    rpc_code_text(RPC_INVALID_REQUEST), "Invalid Request");
	assert_string_equal(
	    rpc_code_text(RPC_METHOD_NOT_FOUND), "Method not found");
	assert_string_equal(
	    rpc_code_text(RPC_INVALID_PARAMS), "Invalid params");
	assert_string_equal(
	    rpc_code_text(RPC_INTERNAL_ERROR), "Internal error");
	assert_string_equal(rpc_code_text((enum rpc_code)1), "Error");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(specification_examples_of_calls_are_read),
	    cmocka_unit_test(specification_examples_of_answers_are_read),
	    cmocka_unit_test(specification_examples_of_mistakes_are_told),
	    cmocka_unit_test(specification_examples_of_batches_are_read),
	    cmocka_unit_test(ids_of_every_type_are_told_apart),
	    cmocka_unit_test(invalid_request_keeps_a_usable_id),
	    cmocka_unit_test(answer_has_result_or_error_and_an_id),
	    cmocka_unit_test(texts_that_are_no_object_are_invalid),
	    cmocka_unit_test(white_space_around_a_text_is_nothing),
	    cmocka_unit_test(texts_that_are_no_json_are_told),
	    cmocka_unit_test(nesting_of_any_depth_is_survived),
	    cmocka_unit_test(batch_over_its_limit_is_refused_whole),
	    cmocka_unit_test(reason_says_what_is_wrong_and_where),
	    cmocka_unit_test(results_are_written),
	    cmocka_unit_test(errors_are_written),
	    cmocka_unit_test(requests_and_notifications_are_written),
	    cmocka_unit_test(what_is_written_here_is_read_here),
	    cmocka_unit_test(codes_have_the_wording_of_the_specification),
	};

	return cmocka_run_group_tests_name("rpc", tests, NULL, NULL);
}
