/* SPDX-License-Identifier: ISC */
/* LINK: worker/order.c ipc/rpc.c ipc/json.c ipc/buf.c */
/*
 * test_worker_order.c - messages from the broker, good and bad
 */
#include "worker/order.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "{\"jsonrpc\":\"2.0\","

static struct rpc_text text;

static int
read_order(const char *line, struct order *out, struct order_fault *fault)
{
	char reason[RPC_REASON_SIZE];
	struct rpc_msg m;

	assert_int_equal(rpc_read(line, strlen(line), &text, reason), 0);
	rpc_text_get(&text, 0, &m);
	return order_read(&m, out, fault);
}

static void
a_run_order_is_read_whole(void **state)
{
	struct order_fault fault;
	struct order o;
	json_t *args;

	(void)state;
	assert_int_equal(
	    read_order(HEAD
		"\"id\":77,\"method\":\"task.run\",\"params\":{\"id\":5,"
		"\"run\":2,\"name\":\"echo\",\"args\":[1],\"attempt\":3,"
		"\"timeout_ms\":400}}",
		&o, &fault),
	    0);
	assert_int_equal(o.kind, ORDER_RUN);
	assert_int_equal(o.rpc_id, 77);
	assert_int_equal(o.id, 5);
	assert_int_equal(o.run, 2);
	assert_string_equal(o.name, "echo");
	args = order_take_args(&o);
	assert_int_equal(json_array_size(args), 1);
	assert_int_equal(args->refcount, 1);
	json_decref(args);
	assert_int_equal(o.attempt, 3);
	assert_int_equal(o.timeout_ms, 400);
	rpc_text_done(&text);
}

static void
what_a_run_order_leaves_out_has_a_default(void **state)
{
	struct order_fault fault;
	struct order o;

	(void)state;
	assert_int_equal(
	    read_order(HEAD "\"id\":0,\"method\":\"task.run\",\"params\":"
			    "{\"id\":0,\"run\":0,\"name\":\"\"}}",
		&o, &fault),
	    0);
	assert_true(json_is_null(order_take_args(&o)));
	assert_int_equal(o.attempt, 1);
	assert_int_equal(o.timeout_ms, 0);
	rpc_text_done(&text);
}

static void
cancel_and_stop_are_read(void **state)
{
	struct order_fault fault;
	struct order o;

	(void)state;
	assert_int_equal(read_order(HEAD "\"method\":\"task.cancel\","
					 "\"params\":{\"id\":9,\"run\":4}}",
			     &o, &fault),
	    0);
	assert_int_equal(o.kind, ORDER_CANCEL);
	assert_int_equal(o.id, 9);
	assert_int_equal(o.run, 4);
	assert_int_equal(o.grace_ms, 0);
	rpc_text_done(&text);
	assert_int_equal(
	    read_order(HEAD "\"method\":\"task.cancel\",\"params\":{\"id\":9,"
			    "\"run\":4,\"grace_ms\":700}}",
		&o, &fault),
	    0);
	assert_int_equal(o.grace_ms, 700);
	rpc_text_done(&text);
	assert_int_equal(
	    read_order(HEAD "\"method\":\"worker.stop\"}", &o, &fault), 0);
	assert_int_equal(o.kind, ORDER_STOP);
	rpc_text_done(&text);
}

static void
bad_messages_are_refused_with_a_code(void **state)
{
	static const struct {
		const char *line;
		enum rpc_code code;
		bool answerable;
	} cases[] = {
	    {"1", RPC_INVALID_REQUEST, false},
	    {HEAD "\"id\":1,\"result\":1}", RPC_INVALID_REQUEST, false},
	    {HEAD "\"id\":1,\"method\":\"x\"}", RPC_METHOD_NOT_FOUND, true},
	    {HEAD "\"method\":\"x\"}", RPC_METHOD_NOT_FOUND, false},
	    {HEAD "\"id\":1,\"method\":\"task.run\"}", RPC_INVALID_PARAMS,
		true},
	    {HEAD "\"id\":1,\"method\":\"task.run\",\"params\":[1]}",
		RPC_INVALID_PARAMS, true},
	    {HEAD "\"id\":\"a\",\"method\":\"task.run\",\"params\":{\"id\":1,"
		  "\"run\":1,\"name\":\"x\"}}",
		RPC_INVALID_PARAMS, false},
	    {HEAD "\"method\":\"task.run\",\"params\":{\"id\":1,\"run\":1,"
		  "\"name\":\"x\"}}",
		RPC_INVALID_PARAMS, false},
	    {HEAD "\"id\":1,\"method\":\"task.run\",\"params\":{\"id\":-1,"
		  "\"run\":1,\"name\":\"x\"}}",
		RPC_INVALID_PARAMS, true},
	    {HEAD "\"id\":1,\"method\":\"task.run\",\"params\":{\"id\":1,"
		  "\"name\":\"x\"}}",
		RPC_INVALID_PARAMS, true},
	    {HEAD "\"id\":1,\"method\":\"task.run\",\"params\":{\"id\":1,"
		  "\"run\":1,\"name\":3}}",
		RPC_INVALID_PARAMS, true},
	    {HEAD "\"id\":1,\"method\":\"task.run\",\"params\":{\"id\":1,"
		  "\"run\":1,\"name\":\"x\",\"attempt\":0}}",
		RPC_INVALID_PARAMS, true},
	    {HEAD "\"id\":1,\"method\":\"task.run\",\"params\":{\"id\":1,"
		  "\"run\":1,\"name\":\"x\",\"timeout_ms\":-5}}",
		RPC_INVALID_PARAMS, true},
	    {HEAD "\"method\":\"task.cancel\",\"params\":{\"id\":1}}",
		RPC_INVALID_PARAMS, false},
	};
	struct order_fault fault;
	struct order o;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(&o, 0x5a, sizeof(o));
		assert_int_equal(
		    read_order(cases[i].line, &o, &fault), -EINVAL);
		assert_int_equal(fault.code, cases[i].code);
		assert_int_equal(fault.answerable, cases[i].answerable);
		assert_non_null(fault.reason);
		assert_int_equal(o.rpc_id, 0x5a5a5a5a5a5a5a5a);
		rpc_text_done(&text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_run_order_is_read_whole),
	    cmocka_unit_test(what_a_run_order_leaves_out_has_a_default),
	    cmocka_unit_test(cancel_and_stop_are_read),
	    cmocka_unit_test(bad_messages_are_refused_with_a_code),
	};

	return cmocka_run_group_tests_name("worker order", tests, NULL, NULL);
}
