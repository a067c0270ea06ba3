/* SPDX-License-Identifier: ISC */
/* LINK: ipc/sock.c ipc/clock.c ipc/place.c */
/*
 * test_client_nomem.c - libganger without memory: an error, and no leak
 *
 * The sources are included with their allocator replaced by one that fails its
 * nth call; jansson's calls count, too.  The scene is played with the first
 * call failing, then the second, and so on until it needs no more calls.
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
#include <sys/socket.h>
#include <unistd.h>

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
	void *p = fails_now() ? NULL : (malloc)(n);

	live += p != NULL;
	return p;
}

static void *
poor_calloc(size_t n, size_t size)
{
	void *p = fails_now() ? NULL : (calloc)(n, size);

	live += p != NULL;
	return p;
}

static void *
poor_realloc(void *old, size_t n)
{
	void *p = fails_now() ? NULL : (realloc)(old, n);

	live += p != NULL && old == NULL;
	return p;
}

static void *
poor_reallocarray(void *old, size_t n, size_t size)
{
	return poor_realloc(old, n * size);
}

static char *
poor_strdup(const char *s)
{
	char *p = poor_malloc(strlen(s) + 1);

	return p == NULL ? NULL : strcpy(p, s);
}

static void
poor_free(void *p)
{
	live -= p != NULL;
	(free)(p);
}

#define malloc       poor_malloc
#define calloc       poor_calloc
#define realloc      poor_realloc
#define reallocarray poor_reallocarray
#undef strdup
#define strdup poor_strdup
#define free   poor_free

/* The tree's own includes are quoted by path, and each has its guard. */
#include "ipc/buf.c"
#include "ipc/client/lib/answer.c"
#include "ipc/client/lib/backoff.c"
#include "ipc/client/lib/call.c"
#include "ipc/client/lib/client.c"
#include "ipc/client/lib/conn.c"
#include "ipc/client/lib/idset.c"
#include "ipc/client/lib/reconnect.c"
#include "ipc/client/lib/scan.c"
#include "ipc/client/lib/submit.c"
#include "ipc/client/lib/task.c"
#include "ipc/json.c"
#include "ipc/line.c"
#include "ipc/rpc.c"

#undef malloc
#undef calloc
#undef free

static char path[64];
static int listener;

static const char answers[] =
    "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"id\":7}}\n"
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":[1,\"x\"]}\n"
    "{\"jsonrpc\":\"2.0\",\"id\":3,\"error\":{\"code\":-5,"
    "\"message\":\"m\",\"data\":{}}}\n"
    "{\"jsonrpc\":\"2.0\",\"id\":4,\"res";
static const char rest[] = "ult\":{\"result\":[]}}\n";
static const char durable[] =
    "{\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{\"id\":7}}\n"
    "{\"jsonrpc\":\"2.0\",\"id\":6,\"result\":{\"done\":[{\"id\":7,"
    "\"state\":\"failed\",\"error\":{\"message\":\"m\"}}]}}\n";

/* Every call must fail for want of memory, or not at all. */
static void
expect(int r, int other)
{
	if (r >= 0 || r == other)
		return;
	/* A value that could not be built is as wrong as any NULL. */
	assert_true(failed);
	assert_true(
	    r == -ENOMEM || r == -EINVAL || r == -EPROTO || r == -ENOMSG);
}

static void
play(struct ganger_client *c, int peer)
{
	struct ganger_error err = {0};
	struct ganger_reply reply;
	struct ganger_text text;
	json_t *result;
	uint64_t id;
	int r;

	expect(ganger_client_send_text(c, "a", "{}", 2, NULL), 0);
	assert_int_equal(
	    send(peer, answers, sizeof(answers) - 1, 0), sizeof(answers) - 1);
	r = ganger_client_submit(c, json_pack("{s:s}", "name", "t"), &id, &err);
	expect(r, -EREMOTEIO);
	ganger_error_done(&err);
	if (ganger_client_next_text(c, 0, &text) == 0)
		ganger_error_done(&text.error);
	expect(ganger_client_send_text(c, "a", "{}", 2, NULL), 0);
	r = ganger_client_next(c, 0, &reply);
	expect(r, -ETIMEDOUT);
	if (r == 0)
		ganger_reply_done(&reply);
	assert_int_equal(
	    send(peer, rest, sizeof(rest) - 1, 0), sizeof(rest) - 1);
	if (failed)
		return;
	r = ganger_client_call(
	    c, json_pack("{s:s}", "name", "t"), &result, &err);
	expect(r, -EREMOTEIO);
	if (r == 0)
		json_decref(result);
	ganger_error_done(&err);
	if (failed)
		return;
	assert_int_equal(
	    send(peer, durable, sizeof(durable) - 1, 0), sizeof(durable) - 1);
	r = ganger_client_call(c,
	    json_pack("{s:s, s:b}", "name", "t", "durable", 1), &result, &err);
	expect(r, -EREMOTEIO);
	assert_int_equal(r, failed ? r : -EREMOTEIO);
	ganger_error_done(&err);
}

static void
client_fails_cleanly_without_memory(void **state)
{
	struct ganger_client *c;
	long n;
	int peer, r;

	(void)state;
	json_set_alloc_funcs(poor_malloc, poor_free);
	for (n = 0, failed = true; failed; n++) {
		failed = false;
		live = 0;
		calls_left = n;
		r = ganger_client_open(path, &c);
		expect(r, 0);
		if (r == 0) {
			peer = accept(listener, NULL, NULL);
			play(c, peer);
			ganger_client_close(c);
			close(peer);
		}
		assert_int_equal(live, 0);
	}
	assert_true(n > 20);
	calls_left = -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(client_fails_cleanly_without_memory),
	};
	int r;

	snprintf(path, sizeof(path), "/tmp/test_client_nomem.%d", getpid());
	if (sock_listen(path, 0600, (gid_t)-1, &listener) < 0)
		return 1;
	r = cmocka_run_group_tests_name("client_nomem", tests, NULL, NULL);
	unlink(path);
	return r;
}
