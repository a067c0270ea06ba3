/* SPDX-License-Identifier: ISC */
/* LINK: ipc/client/lib/scan.c ipc/client/lib/answer.c ipc/client/lib/idset.c
   ipc/json.c ipc/rpc.c ipc/buf.c */
/*
 * test_client_scan.c - members found in text agree with jansson's; the answers
 * made of them, and the set of ids that they are for
 */
#include "ipc/client/lib/scan.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "ipc/client/lib/answer.h"
#include "ipc/client/lib/idset.h"

static const char *const keys[] = {"a", "bb"};

/* Released here, because the library's own is not linked. */
void
ganger_error_done(struct ganger_error *err)
{
	free(err->message);
	json_decref(err->data);
}

static int
scan(const char *text, struct scan_span out[2])
{
	return scan_object(text, strlen(text), keys, 2, out);
}

static void
assert_span(const struct scan_span *span, const char *want)
{
	assert_int_equal(span->len, strlen(want));
	assert_memory_equal(span->at, want, span->len);
}

static void
scan_finds_values_of_every_kind(void **state)
{
	static const char *const values[] = {"1", "-1.5e3", "true", "null",
	    "\"\"", "\"x\"", "\"a\\\"b\"", "\"\\\\\"", "\"\\\\\\\"\"", "[]",
	    "{}", "[1,[2,{\"a\":\"]\"}]]", "{\"a\":{\"bb\":\"}\"}}",
	    "\"{[,:\""};
	struct scan_span out[2];
	char text[200];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		snprintf(text, sizeof(text), "{\"z\":%s,\"a\":%s}", values[i],
		    values[i]);
		assert_int_equal(scan(text, out), 0);
		assert_span(&out[0], values[i]);
		assert_null(out[1].at);
		snprintf(text, sizeof(text),
		    " { \"bb\" :\t%s , \"a\" : %s } \r", values[i], values[i]);
		assert_int_equal(scan(text, out), 0);
		assert_span(&out[0], values[i]);
		assert_span(&out[1], values[i]);
	}
}

static void
scan_takes_an_object_of_nothing(void **state)
{
	struct scan_span out[2];

	(void)state;
	assert_int_equal(scan("{}", out), 0);
	assert_null(out[0].at);
	assert_int_equal(scan(" { } ", out), 0);
}

static void
scan_does_not_look_into_nested_objects(void **state)
{
	struct scan_span out[2];

	(void)state;
	assert_int_equal(scan("{\"c\":{\"a\":1},\"d\":[{\"bb\":2}]}", out), 0);
	assert_null(out[0].at);
	assert_null(out[1].at);
}

static void
scan_refuses_what_is_no_object(void **state)
{
	static const char *const texts[] = {"", " ", "1", "[]", "\"a\"", "{",
	    "{\"a\"", "{\"a\":", "{\"a\":}", "{\"a\":1", "{\"a\":1,",
	    "{\"a\":1,}", "{\"a\":1}}", "{\"a\":1} x", "{a:1}", "{\"a\" 1}",
	    "{\"a\":1 \"bb\":2}", "{\"a\":\"x}", "{\"a\":\"x\\\"}",
	    "{\"a\":[1}", "{\"a\":1\"x\"}", "{,}", "{\"a\":{\"b\":1}", "}"};
	struct scan_span out[2];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(scan(texts[i], out), -EINVAL);
}

static void
scan_stops_at_the_end_wherever_it_is(void **state)
{
	static const char text[] =
	    "{\"a\":\"q\\\"\\\\\",\"bb\":{\"x\":[1,\"]\"]}}";
	struct scan_span out[2];
	char *copy;
	size_t len;

	(void)state;
	/* Each start is in memory of its own: reading past it is found out. */
	for (len = 0; len < sizeof(text) - 1; len++) {
		copy = malloc(len + 1);
		memcpy(copy, text, len);
		assert_int_equal(scan_object(copy, len, keys, 2, out), -EINVAL);
		free(copy);
	}
	assert_int_equal(scan(text, out), 0);
}

static int
read_line(const char *line, struct answer *out)
{
	return answer_read(line, strlen(line), out);
}

static void
answer_takes_results_and_errors(void **state)
{
	struct ganger_reply reply;
	struct answer a;

	(void)state;
	assert_int_equal(
	    read_line(
		"{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"x\":1}}", &a),
	    1);
	assert_int_equal(a.id, 7);
	assert_int_equal(answer_reply(&a, &reply), 0);
	assert_int_equal(reply.id, 7);
	assert_int_equal(reply.error.code, 0);
	assert_int_equal(
	    json_integer_value(json_object_get(reply.result, "x")), 1);
	json_decref(reply.result);

	assert_int_equal(
	    read_line("{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-5,"
		      "\"message\":\"m\",\"data\":{\"id\":3}}}",
		&a),
	    1);
	assert_int_equal(a.id, 0);
	assert_int_equal(answer_reply(&a, &reply), 0);
	assert_null(reply.result);
	assert_int_equal(reply.error.code, -5);
	assert_string_equal(reply.error.message, "m");
	assert_true(json_is_object(reply.error.data));
	ganger_error_done(&reply.error);
}

static void
answer_passes_over_notifications(void **state)
{
	struct answer a;

	(void)state;
	assert_int_equal(
	    read_line("{\"jsonrpc\":\"2.0\",\"method\":\"event\"}", &a), 0);
}

static void
answer_refuses_what_is_not_the_protocol(void **state)
{
	static const char *const lines[] = {
	    "",
	    "x",
	    "[]",
	    "{}",
	    "{\"id\":1,\"result\":1}",
	    "{\"jsonrpc\":\"1.0\",\"id\":1,\"result\":1}",
	    "{\"jsonrpc\":\"2.0\",\"result\":1}",
	    "{\"jsonrpc\":\"2.0\",\"id\":1}",
	    "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1,\"error\":{}}",
	    "{\"jsonrpc\":\"2.0\",\"id\":null,\"result\":1}",
	    "{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":1}",
	    "{\"jsonrpc\":\"2.0\",\"id\":-1,\"result\":1}",
	    "{\"jsonrpc\":\"2.0\",\"id\":1.5,\"result\":1}",
	    "{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":1}",
	    "{\"jsonrpc\":\"2.0\",\"id\":99999999999999999999,\"result\":1}",
	};
	struct answer a;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_int_equal(read_line(lines[i], &a), -EPROTO);
}

static void
answer_refuses_values_that_are_no_json(void **state)
{
	static const char *const lines[] = {
	    "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":[1,2}}",
	    "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":nul}",
	    "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":\"x\"}}",
	    "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":0}}",
	    "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":7}",
	    "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":9999999999}}",
	};
	struct ganger_reply reply;
	struct answer a;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_int_equal(read_line(lines[i], &a), 1);
		assert_int_equal(answer_reply(&a, &reply), -EPROTO);
	}
}

static void
idset_holds_what_was_not_removed(void **state)
{
	static const uint64_t steps[] = {1, 7, 499, 250, 3};
	bool there[501] = {false};
	struct idset s;
	uint64_t id;
	size_t i, left;

	(void)state;
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		idset_init(&s);
		for (id = 1; id <= 500; id++) {
			assert_int_equal(idset_reserve(&s), 0);
			idset_push(&s, id);
			there[id] = true;
		}
		/* 500 and each step have no divisor in common but 1 or 2, 5. */
		for (id = 1, left = 500; left > 250; left--) {
			while (!there[id])
				id = id % 500 + 1;
			assert_true(idset_remove(&s, id));
			assert_false(idset_remove(&s, id));
			there[id] = false;
			id = (id + steps[i] - 1) % 500 + 1;
		}
		assert_int_equal(s.n, 250);
		for (id = 0; id <= 500; id++)
			assert_int_equal(
			    idset_has(&s, id), id > 0 && there[id]);
		idset_done(&s);
	}
}

static void
idset_stays_small_while_ids_come_and_go(void **state)
{
	struct idset s;
	uint64_t id;

	(void)state;
	idset_init(&s);
	for (id = 1; id < 100000; id++) {
		assert_int_equal(idset_reserve(&s), 0);
		idset_push(&s, id);
		/* The first one stays. */
		if (id > 5)
			assert_true(idset_remove(&s, id - 3));
	}
	assert_true(s.cap <= 32);
	idset_done(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(scan_finds_values_of_every_kind),
	    cmocka_unit_test(scan_takes_an_object_of_nothing),
	    cmocka_unit_test(scan_does_not_look_into_nested_objects),
	    cmocka_unit_test(scan_refuses_what_is_no_object),
	    cmocka_unit_test(scan_stops_at_the_end_wherever_it_is),
	    cmocka_unit_test(answer_takes_results_and_errors),
	    cmocka_unit_test(answer_passes_over_notifications),
	    cmocka_unit_test(answer_refuses_what_is_not_the_protocol),
	    cmocka_unit_test(answer_refuses_values_that_are_no_json),
	    cmocka_unit_test(idset_holds_what_was_not_removed),
	    cmocka_unit_test(idset_stays_small_while_ids_come_and_go),
	};

	return cmocka_run_group_tests_name("client_scan", tests, NULL, NULL);
}
