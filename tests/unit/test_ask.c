/* SPDX-License-Identifier: ISC */
/* LINK: master/broker/ask.c master/broker/fault.c ipc/ctl.c ipc/fdpass.c
 *	ipc/json.c ipc/buf.c ipc/rpc.c ipc/clock.c ipc/sock.c ipc/log.c
 *	ipc/log_line.c ipc/log_repeat.c ipc/log_sink.c */
/*
 * test_ask.c - every question to the master is answered once
 *
 * The calls of clients are replaced: what they are answered is noted in
 * `answers`.
 */
#include "master/broker/ask.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/fdpass.h"
#include "ipc/log.h"
#include "ipc/sock.h"
#include "master/broker/conn.h"
#include "master/broker/method.h"

static struct broker b;
static int master_fd;
static struct buf answers;
static struct buf *const out = &answers;

static void
call_end(struct call *call)
{
	free(call->id);
	free(call);
}

struct buf *
call_open_result(struct call *call)
{
	buf_printf(out, "%s=", call->id);
	return out;
}

void
call_close_result(struct call *call)
{
	buf_adds(out, ";");
	call_end(call);
}

void
call_error(struct call *call, const struct fault *f)
{
	buf_printf(out, "%s!", call->id);
	fault_add_error(f, out);
	buf_adds(out, ";");
	call_end(call);
}

void
call_error_code(struct call *call, enum rpc_code code, bool retryable)
{
	buf_printf(out, "%s!%d%s;", call->id, code, retryable ? "" : " final");
	call_end(call);
}

void
method_no_memory(struct call *call)
{
	call_error_code(call, RPC_INTERNAL_ERROR, true);
}

static struct call *
call_new(const char *id)
{
	struct call *call = calloc(1, sizeof(*call));

	assert_non_null(call);
	call->id = strdup(id);
	assert_non_null(call->id);
	return call;
}

/* The order that the master gets next; the caller owns it. */
static json_t *
next_order(void)
{
	char text[CTL_MAX];
	ssize_t n;
	json_t *msg;
	int fd;

	n = fdpass_recv(master_fd, text, sizeof(text), &fd);
	if (n == -EAGAIN)
		return NULL;
	assert_true(n > 0);
	assert_int_equal(fd, -1);
	msg = json_loadb(text, (size_t)n, 0, NULL);
	assert_non_null(msg);
	return msg;
}

/* Ask, and return the id that the master was told. */
static json_int_t
ask(const char *id, const char *what)
{
	json_int_t told;
	json_t *msg;

	ask_send(&b, call_new(id), what, json_pack("{s:s}", "pool", "mail"));
	msg = next_order();
	assert_non_null(msg);
	assert_string_equal(
	    json_string_value(json_object_get(msg, "do")), "ask");
	assert_string_equal(
	    json_string_value(json_object_get(msg, "what")), what);
	assert_string_equal(json_string_value(json_object_get(
				json_object_get(msg, "args"), "pool")),
	    "mail");
	told = json_integer_value(json_object_get(msg, "id"));
	json_decref(msg);
	return told;
}

static void
answer(json_int_t id, const char *key, json_t *value)
{
	json_t *msg = json_pack("{s:I,s:o}", "id", id, key, value);

	assert_non_null(msg);
	ask_answer(&b, msg);
	json_decref(msg);
}

/* What was answered since the last time. */
static const char *
told(void)
{
	static char text[4096];
	size_t n = buf_len(out) < sizeof(text) ? buf_len(out) : 0;

	if (n > 0)
		memcpy(text, buf_head(out), n);
	text[n] = '\0';
	buf_reset(out);
	return text;
}

static void
on_msg(void *arg, const char *name, json_t *msg, int fd)
{
	(void)arg;
	(void)name;
	(void)msg;
	(void)fd;
}

static void
on_gone(void *arg)
{
	(void)arg;
}

static const struct ctl_ops ops = {.on_msg = on_msg, .on_gone = on_gone};

static int
set_up(void **state)
{
	int fds[2];

	(void)state;
	memset(&b, 0, sizeof(b));
	b.loop = ev_loop_new(EVFLAG_AUTO);
	if (b.loop == NULL || sock_pair(SOCK_SEQPACKET, fds) < 0)
		return -1;
	ctl_init(&b.ctl, b.loop, fds[0], &ops, NULL);
	master_fd = fds[1];
	asks_init(&b.asks);
	buf_init(&answers, SIZE_MAX);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	ask_refuse_all(&b);
	ctl_done(&b.ctl);
	close(master_fd);
	ev_loop_destroy(b.loop);
	buf_done(&answers);
	return 0;
}

static void
answers_find_who_asked(void **state)
{
	json_int_t one = ask("1", "reload"), two = ask("2", "scale");

	(void)state;
	assert_true(one > 0 && two > one);
	assert_int_equal(b.asks.n_open, 2);
	answer(two, "result", json_pack("{s:i}", "processes", 3));
	assert_string_equal(told(), "2={\"processes\":3};");
	answer(one, "result", json_object());
	assert_string_equal(told(), "1={};");
	assert_int_equal(b.asks.n_open, 0);
}

static void
second_answer_and_answer_to_nobody_are_dropped(void **state)
{
	json_int_t id = ask("1", "reload");

	(void)state;
	answer(id + 1, "result", json_object());
	answer(0, "result", json_object());
	assert_string_equal(told(), "");
	answer(id, "result", json_object());
	answer(id, "result", json_object());
	assert_string_equal(told(), "1={};");
}

static void
error_is_passed_on_with_all_its_data(void **state)
{
	json_int_t id = ask("1", "reload");

	(void)state;
	answer(id, "error",
	    json_pack("{s:i,s:s,s:{s:b,s:i,s:s,s:[s]}}", "code", -32021,
		"message", "it is \"wrong\"", "data", "retryable", 1,
		"retry_after_ms", 50, "param", "pool", "mistakes",
		"x.conf:1: no"));
	assert_string_equal(told(),
	    "1!{\"code\":-32021,\"message\":\"it is \\\"wrong\\\"\","
	    "\"data\":{\"retryable\":true,\"retry_after_ms\":50,"
	    "\"param\":\"pool\",\"mistakes\":[\"x.conf:1: no\"]}};");
}

static void
error_without_data_is_final(void **state)
{
	json_int_t id = ask("1", "dump");

	(void)state;
	answer(id, "error", json_pack("{s:i}", "code", -32021));
	assert_non_null(strstr(told(), "\"data\":{\"retryable\":false}}"));
}

static void
answer_of_nothing_is_an_internal_error(void **state)
{
	json_int_t id = ask("1", "dump");
	json_t *msg = json_pack("{s:I}", "id", id);

	(void)state;
	ask_answer(&b, msg);
	json_decref(msg);
	assert_string_equal(told(), "1!-32603 final;");
}

static void
too_many_are_refused_and_room_is_used_again(void **state)
{
	json_int_t first = ask("0", "reload");
	unsigned i;

	(void)state;
	for (i = 1; i < ASK_OPEN_MAX; i++)
		ask("1", "reload");
	ask_send(&b, call_new("x"), "reload", json_object());
	assert_non_null(strstr(told(), "x!{\"code\":-32003,"));
	assert_null(next_order());
	answer(first, "result", json_object());
	assert_string_equal(told(), "0={};");
	ask("2", "reload");
	assert_int_equal(b.asks.n_open, ASK_OPEN_MAX);
}

static void
all_are_answered_when_the_broker_leaves(void **state)
{
	const char *text;

	(void)state;
	ask("1", "reload");
	ask("2", "scale");
	ask_refuse_all(&b);
	text = told();
	assert_non_null(strstr(text, "1!{\"code\":-32015,"));
	assert_non_null(strstr(text, "2!{\"code\":-32015,"));
	assert_non_null(strstr(text, "\"retryable\":true"));
	b.phase = BROKER_LEAVING;
	ask_send(&b, call_new("3"), "reload", json_object());
	assert_non_null(strstr(told(), "3!{\"code\":-32015,"));
	assert_null(next_order());
}

static void
without_a_master_it_is_refused_at_once(void **state)
{
	(void)state;
	ctl_done(&b.ctl);
	ask_send(&b, call_new("1"), "reload", json_object());
	assert_non_null(strstr(told(), "1!{\"code\":-32015,"));
	assert_int_equal(b.asks.n_open, 0);
}

static void
without_memory_for_its_words_it_is_refused(void **state)
{
	(void)state;
	ask_send(&b, call_new("1"), "reload", NULL);
	assert_string_equal(told(), "1!-32603;");
	assert_null(next_order());
}

static void
restored_question_is_answered_and_its_id_not_given_again(void **state)
{
	uint64_t id = b.asks.last_id + 1000;

	(void)state;
	assert_int_equal(ask_restore(&b, id, "upgrade", call_new("7")), 0);
	assert_true(ask("8", "reload") == (json_int_t)id + 1);
	answer((json_int_t)id, "result", json_true());
	assert_string_equal(told(), "7=true;");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		answers_find_who_asked, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		second_answer_and_answer_to_nobody_are_dropped, set_up,
		tear_down),
	    cmocka_unit_test_setup_teardown(
		error_is_passed_on_with_all_its_data, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		error_without_data_is_final, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		answer_of_nothing_is_an_internal_error, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		too_many_are_refused_and_room_is_used_again, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		all_are_answered_when_the_broker_leaves, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		without_a_master_it_is_refused_at_once, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		without_memory_for_its_words_it_is_refused, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		restored_question_is_answered_and_its_id_not_given_again,
		set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
