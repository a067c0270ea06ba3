/* SPDX-License-Identifier: ISC */
/* LINK: ipc/client/lib/client.c ipc/client/lib/task.c ipc/client/lib/answer.c
   ipc/client/lib/conn.c ipc/client/lib/idset.c ipc/client/lib/scan.c
   ipc/client/lib/submit.c ipc/client/lib/call.c ipc/client/lib/reconnect.c
   ipc/client/lib/backoff.c
   ipc/sock.c ipc/rpc.c ipc/json.c ipc/line.c ipc/clock.c ipc/buf.c
   ipc/place.c */
/*
 * test_client_lib.c - libganger against a daemon that the test plays
 *
 * The daemon's side is a socket in the same thread: what it has to say is
 * written before the client waits for it.  Only where both sides must move at
 * once does it have a thread.
 */
#include "ipc/client/client.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/sock.h"

struct stage {
	char dir[40], path[60];
	int listener;
	int peer; /* the daemon's end; -1 when closed */
	struct ganger_client *c;
};

static int
setup(void **state)
{
	struct stage *s;

	s = calloc(1, sizeof(*s));
	strcpy(s->dir, "/tmp/test_client_lib.XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->path, sizeof(s->path), "%s/s", s->dir);
	assert_int_equal(
	    sock_listen(s->path, 0600, (gid_t)-1, &s->listener), 0);
	assert_int_equal(ganger_client_open(s->path, &s->c), 0);
	s->peer = accept(s->listener, NULL, NULL);
	assert_true(s->peer >= 0);
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	struct stage *s = *state;

	ganger_client_close(s->c);
	if (s->peer >= 0)
		close(s->peer);
	close(s->listener);
	unlink(s->path);
	rmdir(s->dir);
	free(s);
	return 0;
}

static void
say(struct stage *s, const char *line)
{
	assert_int_equal(
	    write(s->peer, line, strlen(line)), (ssize_t)strlen(line));
	assert_int_equal(write(s->peer, "\n", 1), 1);
}

static void
say_result(struct stage *s, unsigned id, const char *result)
{
	char line[256];

	snprintf(line, sizeof(line),
	    "{\"jsonrpc\":\"2.0\",\"id\":%u,\"result\":%s}", id, result);
	say(s, line);
}

static void
hang_up(struct stage *s)
{
	close(s->peer);
	s->peer = -1;
}

/* All that the client has sent so far. */
static void
assert_heard(struct stage *s, const char *want)
{
	char got[1024];
	ssize_t n;

	n = recv(s->peer, got, sizeof(got), MSG_DONTWAIT);
	if (n < 0)
		n = 0;
	assert_int_equal(n, strlen(want));
	assert_memory_equal(got, want, (size_t)n);
}

static uint64_t
send_ping(struct stage *s)
{
	json_t *params = json_object();
	uint64_t id;

	assert_int_equal(
	    ganger_client_send(s->c, "server.ping", params, &id), 0);
	json_decref(params);
	return id;
}

static void
assert_next(struct stage *s, uint64_t id, int result)
{
	struct ganger_reply reply;

	assert_int_equal(ganger_client_next(s->c, 0, &reply), 0);
	assert_int_equal(reply.id, id);
	assert_int_equal(json_integer_value(reply.result), result);
	ganger_reply_done(&reply);
}

static void
requests_gather_until_they_are_flushed(void **state)
{
	struct stage *s = *state;

	assert_int_equal(send_ping(s), 1);
	assert_int_equal(ganger_client_send_text(
			     s->c, "task.call", "{\"name\":\"x\"}", 12, NULL),
	    0);
	assert_heard(s, "");
	assert_int_equal(ganger_client_events(s->c), POLLIN | POLLOUT);
	assert_int_equal(ganger_client_flush(s->c, -1), 0);
	assert_int_equal(ganger_client_events(s->c), POLLIN);
	assert_heard(s,
	    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server.ping\","
	    "\"params\":{}}\n"
	    "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"task.call\","
	    "\"params\":{\"name\":\"x\"}}\n");
}

static void
answers_are_taken_in_any_order(void **state)
{
	struct ganger_reply reply;
	struct stage *s = *state;
	int i;

	for (i = 0; i < 4; i++)
		send_ping(s);
	say_result(s, 3, "30");
	say_result(s, 1, "10");
	say_result(s, 4, "40");
	say_result(s, 2, "20");
	assert_int_equal(ganger_client_take(s->c, 4, -1, &reply), 0);
	assert_int_equal(json_integer_value(reply.result), 40);
	ganger_reply_done(&reply);
	/* What came before it was kept, in its order. */
	assert_next(s, 3, 30);
	assert_int_equal(ganger_client_take(s->c, 2, -1, &reply), 0);
	ganger_reply_done(&reply);
	assert_int_equal(ganger_client_take(s->c, 2, -1, &reply), -ENOMSG);
	assert_next(s, 1, 10);
	assert_int_equal(ganger_client_next(s->c, -1, &reply), -ENOMSG);
}

static void
results_are_lent_as_they_were_written(void **state)
{
	struct stage *s = *state;
	struct ganger_reply reply;
	struct ganger_text text;

	send_ping(s);
	send_ping(s);
	say_result(s, 1, "{\"a\": 0.10}");
	say_result(s, 2, "2");
	assert_int_equal(ganger_client_take(s->c, 2, -1, &reply), 0);
	ganger_reply_done(&reply);
	assert_int_equal(ganger_client_next_text(s->c, 0, &text), 0);
	assert_int_equal(text.id, 1);
	assert_int_equal(text.len, 11);
	assert_memory_equal(text.result, "{\"a\": 0.10}", 11);
	ganger_error_done(&text.error);
}

static void
request_tells_the_daemons_error(void **state)
{
	struct stage *s = *state;
	struct ganger_error err;
	json_t *result = NULL;

	say(s, "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32012,"
	       "\"message\":\"no task 7\",\"data\":{\"id\":7}}}");
	assert_int_equal(ganger_client_get(s->c, 7, &result, &err), -EREMOTEIO);
	assert_null(result);
	assert_int_equal(err.code, -32012);
	assert_string_equal(err.message, "no task 7");
	assert_int_equal(
	    json_integer_value(json_object_get(err.data, "id")), 7);
	ganger_error_done(&err);
	ganger_error_done(&err);
}

static void
error_without_id_reaches_the_only_one_who_waits(void **state)
{
	static const char *const line =
	    "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,"
	    "\"message\":\"m\"}}";
	struct stage *s = *state;
	struct ganger_reply reply;

	send_ping(s);
	say(s, line);
	assert_int_equal(ganger_client_next(s->c, 0, &reply), 0);
	assert_int_equal(reply.id, 1);
	ganger_reply_done(&reply);
	send_ping(s);
	send_ping(s);
	say(s, line);
	assert_int_equal(ganger_client_next(s->c, 0, &reply), 0);
	assert_int_equal(reply.id, 0);
	assert_int_equal(reply.error.code, -32700);
	ganger_reply_done(&reply);
}

static void
answers_nobody_wants_are_dropped(void **state)
{
	struct stage *s = *state;
	struct ganger_reply reply;

	send_ping(s);
	send_ping(s);
	assert_int_equal(ganger_client_forget(s->c, 1), 0);
	assert_int_equal(ganger_client_forget(s->c, 1), -ENOMSG);
	say_result(s, 1, "10");
	say_result(s, 99, "990");
	say(s, "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{}}");
	say_result(s, 2, "20");
	say_result(s, 2, "21");
	assert_next(s, 2, 20);
	assert_int_equal(ganger_client_next(s->c, 0, &reply), -ENOMSG);
}

static void
wait_ends_when_its_time_is_over(void **state)
{
	struct stage *s = *state;
	struct ganger_reply reply;

	send_ping(s);
	assert_int_equal(ganger_client_next(s->c, 0, &reply), -ETIMEDOUT);
	assert_int_equal(ganger_client_next(s->c, 20, &reply), -ETIMEDOUT);
	say_result(s, 1, "1");
	assert_next(s, 1, 1);
}

static void
wait_ends_when_the_wake_descriptor_says_so(void **state)
{
	struct stage *s = *state;
	struct ganger_reply reply;
	json_t *result;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "", 1), 1);
	ganger_client_set_wake_fd(s->c, fds[0]);
	assert_int_equal(ganger_client_get(s->c, 1, &result, NULL), -EINTR);
	/* Its answer, which comes late, is not taken for the next one's. */
	ganger_client_set_wake_fd(s->c, -1);
	say_result(s, 1, "{\"id\":1}");
	say_result(s, 2, "{\"id\":2}");
	assert_int_equal(ganger_client_get(s->c, 2, &result, NULL), 0);
	assert_int_equal(json_integer_value(json_object_get(result, "id")), 2);
	json_decref(result);
	assert_int_equal(ganger_client_next(s->c, 0, &reply), -ENOMSG);
	close(fds[0]);
	close(fds[1]);
}

static void
lost_connection_is_told_after_what_came_before(void **state)
{
	struct stage *s = *state;
	struct ganger_reply reply;
	uint64_t id;

	send_ping(s);
	send_ping(s);
	assert_int_equal(ganger_client_flush(s->c, -1), 0);
	say_result(s, 2, "20");
	hang_up(s);
	assert_next(s, 2, 20);
	assert_int_equal(ganger_client_next(s->c, -1, &reply), -ECONNRESET);
	assert_int_equal(ganger_client_next(s->c, -1, &reply), -ECONNRESET);
	assert_int_equal(
	    ganger_client_send_text(s->c, "server.ping", "{}", 2, &id),
	    -ECONNRESET);
}

static void
sending_to_nobody_fails_without_a_signal(void **state)
{
	struct stage *s = *state;
	uint64_t id;

	hang_up(s);
	send_ping(s);
	assert_int_equal(ganger_client_flush(s->c, -1), -EPIPE);
	assert_int_equal(ganger_client_flush(s->c, -1), -EPIPE);
	assert_int_equal(
	    ganger_client_send_text(s->c, "server.ping", "{}", 2, &id), -EPIPE);
}

static void
what_is_no_protocol_ends_the_connection(void **state)
{
	struct stage *s = *state;
	struct ganger_reply reply;

	send_ping(s);
	say(s, "HTTP/1.1 400 Bad Request");
	say_result(s, 1, "1");
	assert_int_equal(ganger_client_next(s->c, 0, &reply), -EPROTO);
	assert_int_equal(ganger_client_next(s->c, 0, &reply), -EPROTO);
}

static void
wrong_arguments_are_refused_before_anything_is_sent(void **state)
{
	struct stage *s = *state;
	uint64_t id = 42, huge = UINT64_MAX;

	assert_int_equal(
	    ganger_client_request(s->c, "x", NULL, NULL, NULL), -EINVAL);
	assert_int_equal(
	    ganger_client_request(s->c, "x", json_integer(1), NULL, NULL),
	    -EINVAL);
	assert_int_equal(
	    ganger_client_request(s->c, "x\"y", json_object(), NULL, NULL),
	    -EINVAL);
	assert_int_equal(ganger_client_submit(s->c, NULL, &id, NULL), -EINVAL);
	assert_int_equal(
	    ganger_client_submit_many(s->c, NULL, NULL, NULL), -EINVAL);
	assert_int_equal(
	    ganger_client_wait(s->c, &huge, 1, -1, NULL, NULL), -EINVAL);
	assert_int_equal(id, 42);
	assert_int_equal(ganger_client_flush(s->c, -1), 0);
	assert_heard(s, "");
}

static void
request_over_the_limit_is_not_sent(void **state)
{
	struct stage *s = *state;
	static const char start[] = "{\"jsonrpc\":\"2.0\",\"id\":1,"
				    "\"method\":\"a\",\"params\":{}}";

	ganger_client_set_max_message(s->c, sizeof(start) - 2);
	assert_int_equal(
	    ganger_client_send_text(s->c, "a", "{}", 2, NULL), -EMSGSIZE);
	ganger_client_set_max_message(s->c, sizeof(start) - 1);
	assert_int_equal(ganger_client_send_text(s->c, "a", "{}", 2, NULL), 0);
	assert_int_equal(ganger_client_flush(s->c, -1), 0);
	assert_heard(s,
	    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":{}}\n");
}

static void
tasks_go_as_the_methods_have_it(void **state)
{
	static const uint64_t ids[] = {3, 4};
	struct stage *s = *state;
	json_t *result;
	uint64_t id;

	say_result(s, 1, "{\"id\":8,\"state\":\"ready\"}");
	assert_int_equal(
	    ganger_client_submit(s->c,
		json_pack("{s:s, s:i}", "name", "t", "args", 1), &id, NULL),
	    0);
	assert_int_equal(id, 8);
	say_result(s, 2, "{\"id\":9,\"state\":\"succeeded\",\"result\":[7]}");
	assert_int_equal(ganger_client_call(s->c,
			     json_pack("{s:s}", "name", "t"), &result, NULL),
	    0);
	assert_int_equal(json_integer_value(json_array_get(result, 0)), 7);
	json_decref(result);
	say_result(s, 3, "{\"done\":[],\"pending\":[3,4]}");
	assert_int_equal(
	    ganger_client_wait(s->c, ids, 2, 50, &result, NULL), 0);
	json_decref(result);
	say_result(s, 4, "{\"count\":2,\"skipped\":[]}");
	assert_int_equal(ganger_client_cancel(s->c, ids, 2, NULL, NULL), 0);
	assert_heard(s,
	    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"task.submit\","
	    "\"params\":{\"name\":\"t\",\"args\":1}}\n"
	    "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"task.call\","
	    "\"params\":{\"name\":\"t\"}}\n"
	    "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"task.wait\","
	    "\"params\":{\"ids\":[3,4],\"timeout_ms\":50}}\n"
	    "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"task.cancel\","
	    "\"params\":{\"ids\":[3,4]}}\n");
}

/* Echo each line back, reading no further before it is taken. */
static void *
echo_lines(void *arg)
{
	struct stage *s = arg;
	char line[70000], out[70100];
	FILE *f = fdopen(dup(s->peer), "r");
	unsigned id = 0;
	int n;

	while (fgets(line, sizeof(line), f) != NULL) {
		n = snprintf(out, sizeof(out),
		    "{\"jsonrpc\":\"2.0\",\"id\":%u,\"result\":\"%.*s\"}\n",
		    ++id, 60000, strstr(line, "zzz"));
		if (send(s->peer, out, (size_t)n, MSG_NOSIGNAL) < 0)
			break;
	}
	fclose(f);
	return NULL;
}

static void
sending_much_does_not_wait_for_a_daemon_that_waits(void **state)
{
	enum { N = 100 };
	struct stage *s = *state;
	struct ganger_reply reply;
	pthread_t thread;
	char *params;
	int i;

	/* Far more than the buffers of both directions hold. */
	params = malloc(60200);
	memset(params, 'z', 60200);
	memcpy(params, "{\"a\":\"", 6);
	memcpy(params + 60100, "\"}", 2);
	assert_int_equal(pthread_create(&thread, NULL, echo_lines, s), 0);
	for (i = 0; i < N; i++)
		assert_int_equal(
		    ganger_client_send_text(s->c, "a", params, 60102, NULL), 0);
	assert_int_equal(ganger_client_flush(s->c, -1), 0);
	for (i = 0; i < N; i++) {
		assert_int_equal(ganger_client_next(s->c, -1, &reply), 0);
		assert_int_equal(reply.id, i + 1);
		assert_int_equal(json_string_length(reply.result), 60000);
		ganger_reply_done(&reply);
	}
	shutdown(s->peer, SHUT_RDWR);
	pthread_join(thread, NULL);
	free(params);
}

static void
path_comes_from_the_environment(void **state)
{
	char path[32];

	(void)state;
	setenv("GANGER_SOCKET", "/x/y", 1);
	assert_int_equal(ganger_client_default_path(path, sizeof(path)), 0);
	assert_string_equal(path, "/x/y");
	assert_int_equal(ganger_client_default_path(path, 4), -ENAMETOOLONG);
	assert_int_equal(ganger_client_default_path(path, 5), 0);
	setenv("GANGER_SOCKET", "", 1);
	if (geteuid() == 0)
		return;
	setenv("XDG_RUNTIME_DIR", "/run/user/5", 1);
	assert_int_equal(
	    ganger_client_default_path(path, sizeof(path)), -ENAMETOOLONG);
	unsetenv("XDG_RUNTIME_DIR");
	assert_int_equal(
	    ganger_client_default_path(path, sizeof(path)), -EDESTADDRREQ);
}

static void
nobody_at_the_path_is_told(void **state)
{
	struct ganger_client *c = NULL;

	(void)state;
	assert_int_equal(ganger_client_open("/nonexistent/s", &c), -ENOENT);
	assert_null(c);
	ganger_client_close(NULL);
}

#define ON_STAGE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    ON_STAGE(requests_gather_until_they_are_flushed),
	    ON_STAGE(answers_are_taken_in_any_order),
	    ON_STAGE(results_are_lent_as_they_were_written),
	    ON_STAGE(request_tells_the_daemons_error),
	    ON_STAGE(error_without_id_reaches_the_only_one_who_waits),
	    ON_STAGE(answers_nobody_wants_are_dropped),
	    ON_STAGE(wait_ends_when_its_time_is_over),
	    ON_STAGE(wait_ends_when_the_wake_descriptor_says_so),
	    ON_STAGE(lost_connection_is_told_after_what_came_before),
	    ON_STAGE(sending_to_nobody_fails_without_a_signal),
	    ON_STAGE(what_is_no_protocol_ends_the_connection),
	    ON_STAGE(wrong_arguments_are_refused_before_anything_is_sent),
	    ON_STAGE(request_over_the_limit_is_not_sent),
	    ON_STAGE(tasks_go_as_the_methods_have_it),
	    ON_STAGE(sending_much_does_not_wait_for_a_daemon_that_waits),
	    cmocka_unit_test(path_comes_from_the_environment),
	    cmocka_unit_test(nobody_at_the_path_is_told),
	};

	return cmocka_run_group_tests_name("client_lib", tests, NULL, NULL);
}
