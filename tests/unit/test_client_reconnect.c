/* SPDX-License-Identifier: ISC */
/* LINK: ipc/client/lib/client.c ipc/client/lib/task.c ipc/client/lib/answer.c
   ipc/client/lib/conn.c ipc/client/lib/idset.c ipc/client/lib/scan.c
   ipc/client/lib/submit.c ipc/client/lib/call.c ipc/client/lib/reconnect.c
   ipc/client/lib/backoff.c ipc/sock.c ipc/rpc.c ipc/json.c ipc/line.c
   ipc/clock.c ipc/buf.c ipc/place.c */
/*
 * test_client_reconnect.c - libganger when the broker dies
 *
 * A thread plays brokers that follow each other on one socket: each step is a
 * request that must come, and its answer, or the broker's death of it.
 */
#include "ipc/client/client.h"

#include <errno.h>
#include <fcntl.h>
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

#define HEARD_MAX 16

/* Answers. */
#define DIES          NULL
#define RESULT(value) "\"result\":" value
#define DRAINING      "\"error\":{\"code\":-32015,\"message\":\"draining\"}"

#define TASK_7  "{\"id\":7,\"state\":\"succeeded\",\"result\":42}"
#define DONE_7  RESULT("{\"done\":[" TASK_7 "],\"pending\":[]}")
#define ENTERED RESULT("{\"id\":7,\"state\":\"ready\",\"duplicate\":false}")
#define AGAIN   RESULT("{\"id\":7,\"state\":\"ready\",\"duplicate\":true}")

struct step {
	const char *method;
	const char *answer;
};

/* Behind the last step the broker goes on answering pings, or ... */
enum ending { STAYS, IS_GONE, IS_MUTE };

struct stage {
	char dir[48], path[64];
	int listener;
	const struct step *steps;
	size_t n_steps;
	enum ending ending;
	pthread_t thread;
	bool playing;
	json_t *heard[HEARD_MAX]; /* the params that came with each step */
	size_t n_heard;
	struct ganger_client *c;
};

static void
say(FILE *out, const json_t *request, const char *answer)
{
	fprintf(out, "{\"jsonrpc\":\"2.0\",\"id\":%lld,%s}\n",
	    (long long)json_integer_value(json_object_get(request, "id")),
	    answer);
	fflush(out);
}

static void
leave(struct stage *s)
{
	unlink(s->path);
	shutdown(s->listener, SHUT_RDWR);
}

/* Take a step; false when the broker dies of it. */
static bool
take_step(struct stage *s, FILE *out, json_t *request, const char *method)
{
	const struct step *step = &s->steps[s->n_heard];

	if (s->n_heard == s->n_steps && s->ending == IS_MUTE)
		return true;
	if (s->n_heard == s->n_steps || strcmp(method, step->method) != 0) {
		fprintf(stderr, "%s came unexpected\n", method);
		return false;
	}
	s->heard[s->n_heard++] =
	    json_incref(json_object_get(request, "params"));
	if (s->n_heard == s->n_steps && s->ending == IS_GONE)
		leave(s);
	if (step->answer != NULL)
		say(out, request, step->answer);
	return step->answer != NULL;
}

/* Be the broker that this connection has reached, up to its death. */
static void
play_broker(struct stage *s, int fd)
{
	FILE *in = fdopen(fd, "r"), *out = fdopen(dup(fd), "w");
	const char *method;
	bool goes_on = true;
	json_t *request;
	char line[4096];

	while (goes_on && fgets(line, sizeof(line), in) != NULL) {
		request = json_loads(line, 0, NULL);
		method = json_string_value(json_object_get(request, "method"));
		if (strcmp(method, "server.ping") != 0)
			goes_on = take_step(s, out, request, method);
		else if (s->n_heard < s->n_steps || s->ending != IS_MUTE)
			say(out, request, RESULT("\"pong\""));
		json_decref(request);
	}
	fclose(out);
	fclose(in);
}

static void *
play(void *arg)
{
	struct stage *s = arg;
	int fd;

	while ((fd = accept(s->listener, NULL, NULL)) >= 0)
		play_broker(s, fd);
	return NULL;
}

static int
setup(void **state)
{
	struct stage *s;

	s = calloc(1, sizeof(*s));
	strcpy(s->dir, "/tmp/test_client_reconnect.XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->path, sizeof(s->path), "%s/s", s->dir);
	*state = s;
	return 0;
}

/* Connect a client, and let brokers follow n steps. */
static void
begin(struct stage *s, const struct step *steps, size_t n, enum ending ending)
{
	s->steps = steps;
	s->n_steps = n;
	s->ending = ending;
	assert_int_equal(
	    sock_listen(s->path, 0600, (gid_t)-1, &s->listener), 0);
	/* A shutdown ends an accept that blocks, but no other. */
	assert_int_equal(fcntl(s->listener, F_SETFL, 0), 0);
	assert_int_equal(ganger_client_open(s->path, &s->c), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, play, s), 0);
	s->playing = true;
}
#define BEGIN(s, steps, ending) \
	begin(s, steps, sizeof(steps) / sizeof((steps)[0]), ending)

/* End the play: what was heard can be looked at. */
static void
end(struct stage *s)
{
	if (!s->playing)
		return;
	ganger_client_close(s->c);
	leave(s);
	pthread_join(s->thread, NULL);
	close(s->listener);
	s->playing = false;
}

static int
teardown(void **state)
{
	struct stage *s = *state;
	size_t i;

	end(s);
	for (i = 0; i < s->n_heard; i++)
		json_decref(s->heard[i]);
	rmdir(s->dir);
	free(s);
	return 0;
}

static const char *
heard_text(const struct stage *s, size_t i, const char *key)
{
	const char *text;

	assert_true(i < s->n_heard);
	text = json_string_value(json_object_get(s->heard[i], key));
	return text == NULL ? "" : text;
}

static const uint64_t seven = 7;

static void
wait_goes_on_with_the_next_broker(void **state)
{
	static const struct step steps[] = {
	    {"task.wait", DIES}, {"task.wait", DIES}, {"task.wait", DONE_7}};
	struct stage *s = *state;
	json_t *result;

	BEGIN(s, steps, STAYS);
	assert_int_equal(
	    ganger_client_wait_any(s->c, &seven, 1, -1, &result, NULL), 0);
	assert_int_equal(json_array_size(json_object_get(result, "done")), 1);
	json_decref(result);
	end(s);
	assert_int_equal(s->n_heard, 3);
	assert_true(json_equal(s->heard[0], s->heard[2]));
	assert_string_equal(heard_text(s, 2, "mode"), "any");
}

static void
wait_is_as_long_as_it_was_to_be(void **state)
{
	static const struct step steps[] = {
	    {"task.wait", DIES}, {"task.wait", DONE_7}};
	struct stage *s = *state;
	json_int_t first, second;

	BEGIN(s, steps, STAYS);
	assert_int_equal(
	    ganger_client_wait(s->c, &seven, 1, 60000, NULL, NULL), 0);
	end(s);
	first = json_integer_value(json_object_get(s->heard[0], "timeout_ms"));
	second = json_integer_value(json_object_get(s->heard[1], "timeout_ms"));
	assert_true(first <= 60000 && second <= first && second > 0);
}

static void
wait_ends_in_time_while_nobody_is_there(void **state)
{
	static const struct step steps[] = {{"task.wait", DIES}};
	struct stage *s = *state;

	BEGIN(s, steps, IS_GONE);
	assert_int_equal(
	    ganger_client_wait(s->c, &seven, 1, 100, NULL, NULL), -ETIMEDOUT);
}

static void
loss_is_told_when_nobody_comes_within_the_limit(void **state)
{
	static const struct step steps[] = {{"task.wait", DIES}};
	struct stage *s = *state;

	BEGIN(s, steps, IS_GONE);
	ganger_client_set_reconnect(s->c, 60);
	assert_int_equal(
	    ganger_client_wait(s->c, &seven, 1, -1, NULL, NULL), -ECONNRESET);
	assert_int_equal(ganger_client_get(s->c, 7, NULL, NULL), -ECONNRESET);
}

static void
broker_that_never_answers_does_not_count(void **state)
{
	static const struct step steps[] = {{"task.wait", DIES}};
	struct stage *s = *state;

	BEGIN(s, steps, IS_MUTE);
	ganger_client_set_reconnect(s->c, 60);
	assert_int_equal(
	    ganger_client_wait(s->c, &seven, 1, -1, NULL, NULL), -ECONNRESET);
}

static void
without_a_limit_to_try_a_loss_is_told_at_once(void **state)
{
	static const struct step steps[] = {{"task.wait", DIES}};
	struct stage *s = *state;

	BEGIN(s, steps, STAYS);
	ganger_client_set_reconnect(s->c, 0);
	assert_int_equal(
	    ganger_client_wait(s->c, &seven, 1, -1, NULL, NULL), -ECONNRESET);
	assert_true(ganger_client_get(s->c, 7, NULL, NULL) < 0);
}

static void
wait_goes_on_behind_a_stop_of_the_daemon(void **state)
{
	static const struct step steps[] = {{"task.wait", DRAINING},
	    {"task.wait", DRAINING}, {"task.wait", DONE_7}};
	struct stage *s = *state;

	BEGIN(s, steps, STAYS);
	assert_int_equal(
	    ganger_client_wait(s->c, &seven, 1, -1, NULL, NULL), 0);
	end(s);
	assert_int_equal(s->n_heard, 3);
}

static void
stop_without_a_next_start_is_told_as_what_it_was(void **state)
{
	static const struct step steps[] = {{"task.wait", DRAINING}};
	struct stage *s = *state;
	struct ganger_error err;

	BEGIN(s, steps, IS_GONE);
	ganger_client_set_reconnect(s->c, 60);
	assert_int_equal(
	    ganger_client_wait(s->c, &seven, 1, -1, NULL, &err), -EREMOTEIO);
	assert_int_equal(err.code, -32015);
	ganger_error_done(&err);
}

static void
wake_descriptor_ends_the_search_for_a_daemon(void **state)
{
	static const struct step steps[] = {{"task.wait", DIES}};
	struct stage *s = *state;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	BEGIN(s, steps, IS_GONE);
	/* Lose the connection first, so that the search is what is ended. */
	assert_int_equal(
	    ganger_client_wait(s->c, &seven, 1, 20, NULL, NULL), -ETIMEDOUT);
	assert_int_equal(write(fds[1], "", 1), 1);
	ganger_client_set_wake_fd(s->c, fds[0]);
	assert_int_equal(
	    ganger_client_wait(s->c, &seven, 1, -1, NULL, NULL), -EINTR);
	end(s);
	close(fds[0]);
	close(fds[1]);
}

static json_t *
task_of(const char *key, json_t *value)
{
	return json_pack("{s:s, s:o}", "name", "t", key, value);
}

static void
durable_task_is_submitted_once_though_its_answer_is_lost(void **state)
{
	static const struct step steps[] = {
	    {"task.submit", DIES}, {"task.submit", AGAIN}};
	struct stage *s = *state;
	json_t *answer;

	BEGIN(s, steps, STAYS);
	assert_int_equal(ganger_client_submit_answer(s->c,
			     task_of("durable", json_true()), &answer, NULL),
	    0);
	/* The caller has submitted it once only. */
	assert_true(json_is_false(json_object_get(answer, "duplicate")));
	json_decref(answer);
	end(s);
	assert_true(json_equal(s->heard[0], s->heard[1]));
	assert_int_equal(strlen(heard_text(s, 0, "idempotency_key")), 32);
}

static void
every_task_has_a_key_of_its_own(void **state)
{
	static const struct step steps[] = {
	    {"task.submit", ENTERED}, {"task.submit", ENTERED}};
	struct stage *s = *state;
	json_t *task = task_of("durable", json_true());
	uint64_t id;

	BEGIN(s, steps, STAYS);
	assert_int_equal(
	    ganger_client_submit(s->c, json_incref(task), &id, NULL), 0);
	assert_int_equal(id, 7);
	/* The caller's own object is left as it is. */
	assert_int_equal(json_object_size(task), 2);
	assert_int_equal(ganger_client_submit(s->c, task, &id, NULL), 0);
	end(s);
	assert_string_not_equal(heard_text(s, 0, "idempotency_key"),
	    heard_text(s, 1, "idempotency_key"));
}

static void
key_of_the_callers_is_kept_and_its_duplicate_told(void **state)
{
	static const struct step steps[] = {
	    {"task.submit", DIES}, {"task.submit", AGAIN}};
	struct stage *s = *state;
	json_t *answer;

	BEGIN(s, steps, STAYS);
	assert_int_equal(
	    ganger_client_submit_answer(s->c,
		task_of("idempotency_key", json_string("k")), &answer, NULL),
	    0);
	assert_true(json_is_true(json_object_get(answer, "duplicate")));
	json_decref(answer);
	end(s);
	assert_string_equal(heard_text(s, 1, "idempotency_key"), "k");
}

static void
submit_that_might_be_made_twice_is_not_repeated(void **state)
{
	static const struct step steps[] = {
	    {"task.submit", DIES}, {"task.submit", ENTERED}};
	struct stage *s = *state;
	uint64_t id;

	BEGIN(s, steps, STAYS);
	assert_int_equal(ganger_client_submit(
			     s->c, task_of("durable", json_false()), &id, NULL),
	    -ECONNRESET);
	/* The next one finds the connection lost before it is sent. */
	assert_int_equal(ganger_client_submit(
			     s->c, task_of("durable", json_false()), &id, NULL),
	    0);
	end(s);
	assert_int_equal(s->n_heard, 2);
	assert_string_equal(heard_text(s, 0, "idempotency_key"), "");
}

static void
many_are_repeated_only_if_each_has_a_key(void **state)
{
	static const struct step steps[] = {{"task.submit_many", DIES},
	    {"task.submit_many", DIES}, {"task.submit_many", RESULT("[]")}};
	struct stage *s = *state;

	BEGIN(s, steps, STAYS);
	assert_int_equal(ganger_client_submit_many(s->c,
			     json_pack("[o, o]",
				 task_of("idempotency_key", json_string("k")),
				 task_of("durable", json_true())),
			     NULL, NULL),
	    -ECONNRESET);
	assert_int_equal(
	    ganger_client_submit_many(s->c,
		json_pack("[o]", task_of("idempotency_key", json_string("k"))),
		NULL, NULL),
	    0);
	end(s);
	assert_int_equal(s->n_heard, 3);
}

static void
durable_call_survives_the_broker_at_each_step(void **state)
{
	static const struct step steps[] = {{"task.submit", DIES},
	    {"task.submit", AGAIN}, {"task.wait", DIES}, {"task.wait", DONE_7}};
	struct stage *s = *state;
	json_t *task, *result;

	BEGIN(s, steps, STAYS);
	task = task_of("durable", json_true());
	json_object_set_new(task, "wait_ms", json_integer(60000));
	assert_int_equal(ganger_client_call(s->c, task, &result, NULL), 0);
	assert_int_equal(json_integer_value(result), 42);
	json_decref(result);
	end(s);
	assert_null(json_object_get(s->heard[0], "wait_ms"));
	assert_non_null(json_object_get(s->heard[2], "timeout_ms"));
}

static void
durable_call_tells_of_failure_as_a_call_does(void **state)
{
	static const struct step steps[] = {{"task.submit", ENTERED},
	    {"task.wait",
		RESULT("{\"done\":[{\"id\":7,\"state\":\"failed\",\"error\":"
		       "{\"code\":5,\"message\":\"no luck\"}}]}")},
	    {"task.submit", ENTERED},
	    {"task.wait",
		RESULT("{\"done\":[{\"id\":7,\"state\":\"cancelled\"}]}")},
	    {"task.submit", ENTERED},
	    {"task.wait", RESULT("{\"done\":[],\"pending\":[7]}")}};
	struct stage *s = *state;
	struct ganger_error err;
	json_t *failed, *result = NULL;

	BEGIN(s, steps, STAYS);
	assert_int_equal(ganger_client_call(s->c,
			     task_of("durable", json_true()), &result, &err),
	    -EREMOTEIO);
	assert_int_equal(err.code, -32020);
	assert_string_equal(err.message, "no luck");
	failed = json_object_get(err.data, "task");
	assert_string_equal(
	    json_string_value(json_object_get(failed, "state")), "failed");
	ganger_error_done(&err);
	assert_int_equal(ganger_client_call(s->c,
			     task_of("durable", json_true()), &result, &err),
	    -EREMOTEIO);
	assert_string_equal(err.message, "task 7 cancelled");
	ganger_error_done(&err);
	assert_int_equal(ganger_client_call(s->c,
			     task_of("durable", json_true()), &result, &err),
	    -EREMOTEIO);
	assert_int_equal(err.code, -32018);
	ganger_error_done(&err);
	assert_null(result);
}

static void
volatile_call_is_lost_and_says_so(void **state)
{
	static const struct step steps[] = {
	    {"task.call", DIES}, {"task.call", RESULT(TASK_7)}};
	struct stage *s = *state;

	BEGIN(s, steps, STAYS);
	assert_int_equal(
	    ganger_client_call(s->c, task_of("args", json_null()), NULL, NULL),
	    -ECONNRESET);
	assert_int_equal(
	    ganger_client_call(s->c, task_of("args", json_null()), NULL, NULL),
	    0);
}

static void
reconnect_forgets_what_could_not_be_sent(void **state)
{
	static const struct step steps[] = {
	    {"task.get", DIES}, {"task.get", RESULT(TASK_7)}};
	struct stage *s = *state;
	int r;

	BEGIN(s, steps, STAYS);
	do {
		r = ganger_client_send_text(
		    s->c, "task.get", "{\"id\":1}", 8, NULL);
		if (r == 0)
			r = ganger_client_flush(s->c, -1);
	} while (r == 0);
	assert_int_equal(ganger_client_reconnect(s->c), 0);
	assert_int_equal(ganger_client_get(s->c, 7, NULL, NULL), 0);
	end(s);
	assert_int_equal(
	    json_integer_value(json_object_get(s->heard[1], "id")), 7);
}

static void
open_requests_are_not_lost_without_a_word(void **state)
{
	static const struct step steps[] = {
	    {"task.get", DIES}, {"task.get", RESULT(TASK_7)}};
	struct stage *s = *state;
	struct ganger_reply reply;
	uint64_t id;

	BEGIN(s, steps, STAYS);
	assert_int_equal(
	    ganger_client_send_text(s->c, "task.get", "{\"id\":1}", 8, &id), 0);
	assert_int_equal(ganger_client_get(s->c, 7, NULL, NULL), -ECONNRESET);
	assert_int_equal(ganger_client_take(s->c, id, -1, &reply), -ECONNRESET);
	assert_int_equal(ganger_client_reconnect(s->c), 0);
	assert_int_equal(ganger_client_take(s->c, id, -1, &reply), -ENOMSG);
	assert_int_equal(ganger_client_get(s->c, 7, NULL, NULL), 0);
}

#define ON_STAGE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    ON_STAGE(wait_goes_on_with_the_next_broker),
	    ON_STAGE(wait_is_as_long_as_it_was_to_be),
	    ON_STAGE(wait_ends_in_time_while_nobody_is_there),
	    ON_STAGE(loss_is_told_when_nobody_comes_within_the_limit),
	    ON_STAGE(broker_that_never_answers_does_not_count),
	    ON_STAGE(without_a_limit_to_try_a_loss_is_told_at_once),
	    ON_STAGE(wait_goes_on_behind_a_stop_of_the_daemon),
	    ON_STAGE(stop_without_a_next_start_is_told_as_what_it_was),
	    ON_STAGE(wake_descriptor_ends_the_search_for_a_daemon),
	    ON_STAGE(durable_task_is_submitted_once_though_its_answer_is_lost),
	    ON_STAGE(every_task_has_a_key_of_its_own),
	    ON_STAGE(key_of_the_callers_is_kept_and_its_duplicate_told),
	    ON_STAGE(submit_that_might_be_made_twice_is_not_repeated),
	    ON_STAGE(many_are_repeated_only_if_each_has_a_key),
	    ON_STAGE(durable_call_survives_the_broker_at_each_step),
	    ON_STAGE(durable_call_tells_of_failure_as_a_call_does),
	    ON_STAGE(volatile_call_is_lost_and_says_so),
	    ON_STAGE(reconnect_forgets_what_could_not_be_sent),
	    ON_STAGE(open_requests_are_not_lost_without_a_word),
	};

	return cmocka_run_group_tests_name(
	    "client_reconnect", tests, NULL, NULL);
}
