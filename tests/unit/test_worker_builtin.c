/* SPDX-License-Identifier: ISC */
/*
 * LINK: worker/runtime.c worker/module.c worker/route.c worker/job.c
 * worker/pool.c worker/perform.c worker/command.c worker/command_args.c
 * worker/command_spawn.c worker/report.c worker/uplink.c worker/order.c
 * worker/fault.c worker/limit.c worker/sink.c worker/slots.c worker/stacks.c
 * worker/symbol.c worker/modules/builtin.c worker/modules/crash.c
 * worker/modules/echo.c worker/modules/fail.c worker/modules/numbers.c
 * worker/modules/sha512.c worker/modules/sleep.c worker/modules/sort.c
 * ipc/buf.c ipc/clock.c ipc/json.c ipc/line.c ipc/log.c ipc/peer.c ipc/rpc.c
 * ipc/sock.c tests/lib/module_build.c tests/lib/worker_proc.c
 */
/*
 * test_worker_builtin.c - the tasks that ship with ganger
 */
#include "worker/modules/builtin.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/module_build.h"
#include "tests/lib/worker_proc.h"
#include "worker/modules/sort.h"

/* FIPS 180-2: the digests of "abc" and of nothing. */
#define SHA_ABC \
	"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" \
	"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
#define SHA_EMPTY \
	"cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce" \
	"47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"
/* And of a million times "a". */
#define SHA_MILLION \
	"e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973eb" \
	"de0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b"

static struct worker_proc w;

static int
set_up(void **state)
{
	const struct worker_settings s = {
	    .label = "test/1", .threads = 1, .max_message = 1024 * 1024};
	char *log_path;

	(void)state;
	log_path = module_build_file("log", "");
	worker_proc_start_ready(&w, &s, log_path);
	free(log_path);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	worker_proc_finish(&w);
	return 0;
}

static int
clean_up(void **state)
{
	(void)state;
	module_build_clean();
	return 0;
}

/* Run a task to its result, which is a new reference. */
static json_t *
call(const char *name, const char *args)
{
	worker_proc_run(&w, 1, name, args);
	return worker_proc_result(&w, 1);
}

static void
expect(const char *name, const char *args, const char *want)
{
	worker_proc_run(&w, 1, name, args);
	worker_proc_expect_result(&w, 1, want);
}

static void
expect_code(const char *name, const char *args, int code)
{
	worker_proc_run(&w, 1, name, args);
	worker_proc_expect_error(&w, 1, code);
}

/* {"path": path} as text; the caller frees it. */
static char *
path_args(const char *path)
{
	char *args;

	assert_true(asprintf(&args, "{\"path\":\"%s\"}", path) > 0);
	return args;
}

static void
fail_fails_as_told(void **state)
{
	json_t *error, *want;

	(void)state;
	worker_proc_run(&w, 1, "fail", "null");
	error = worker_proc_error(&w, 1);
	want = json_pack("{s:i,s:s,s:{s:b}}", "code", 1, "message",
	    "failed as asked", "data", "retryable", 0);
	assert_true(json_equal(error, want));
	json_decref(want);
	json_decref(error);
	worker_proc_run(&w, 2, "fail",
	    "{\"message\":\"100%s\",\"code\":-9,\"retryable\":true}");
	error = worker_proc_error(&w, 2);
	want = json_pack("{s:i,s:s,s:{s:b}}", "code", -9, "message", "100%s",
	    "data", "retryable", 1);
	assert_true(json_equal(error, want));
	json_decref(want);
	json_decref(error);
}

static void
sleep_takes_ms_or_seconds(void **state)
{
	(void)state;
	expect("sleep", "{\"ms\":3}", "{\"slept_ms\":3}");
	expect("sleep", "{\"seconds\":0.002}", "{\"slept_ms\":2}");
	expect("sleep", "0.001", "{\"slept_ms\":1}");
	expect("sleep", "0", "{\"slept_ms\":0}");
	expect_code("sleep", "null", EINVAL);
	expect_code("sleep", "-1", EINVAL);
	expect_code("sleep", "{\"ms\":\"5\"}", EINVAL);
	expect_code("sleep", "{\"seconds\":1e300}", EINVAL);
	expect_code("sleep", "[1]", EINVAL);
}

static void
sha512_of_text_is_known(void **state)
{
	(void)state;
	expect("sha512", "{\"text\":\"abc\"}",
	    "{\"sha512\":\"" SHA_ABC "\",\"bytes\":3}");
	expect("sha512", "{\"text\":\"\"}",
	    "{\"sha512\":\"" SHA_EMPTY "\",\"bytes\":0}");
}

static void
sha512_of_a_file_is_known(void **state)
{
	char *path, *args, *text, *want;

	(void)state;
	text = malloc(1000001);
	assert_non_null(text);
	memset(text, 'a', 1000000);
	text[1000000] = '\0';
	path = module_build_file("million", text);
	args = path_args(path);
	assert_true(asprintf(&want,
			"{\"sha512\":\"" SHA_MILLION
			"\",\"bytes\":1000000,\"path\":\"%s\"}",
			path) > 0);
	expect("sha512", args, want);
	free(want);
	free(args);
	free(path);
	free(text);
}

static void
sha512_tells_its_progress_in_a_large_file(void **state)
{
	enum { SIZE = 64 * 1024 * 1024 };
	json_t *msg, *params;
	json_int_t done, last;
	char *path, *args;

	(void)state;
	path = module_build_file("large", "");
	assert_int_equal(truncate(path, SIZE), 0);
	args = path_args(path);
	worker_proc_run(&w, 1, "sha512", args);
	last = 0;
	for (;;) {
		msg = worker_proc_next(&w);
		params = json_object_get(msg, "params");
		if (params == NULL)
			break;
		done = json_integer_value(json_object_get(params, "done"));
		assert_true(done > last);
		assert_int_equal(
		    json_integer_value(json_object_get(params, "total")), SIZE);
		last = done;
		json_decref(msg);
	}
	assert_int_equal(last, SIZE);
	json_decref(msg);
	free(args);
	free(path);
}

static void
sha512_refuses_what_is_no_file(void **state)
{
	char *path, *args;

	(void)state;
	expect_code("sha512", "{\"path\":\"/nonexistent\"}", ENOENT);
	expect_code("sha512", "{\"path\":\"/\"}", EISDIR);
	expect_code("sha512", "{\"path\":\"/dev/zero\"}", EINVAL);
	expect_code("sha512", "{\"path\":\"/\",\"text\":\"\"}", EINVAL);
	expect_code("sha512", "{\"path\":1}", EINVAL);
	expect_code("sha512", "null", EINVAL);
	path = module_build_file("fifo", "");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	args = path_args(path);
	expect_code("sha512", args, EINVAL);
	expect_code("sort", args, EINVAL);
	free(args);
	free(path);
}

/* The member of a sort's result must be this. */
static void
expect_member(json_t *result, const char *key, const char *want_text)
{
	json_t *want;

	want = json_loads(want_text, JSON_DECODE_ANY, NULL);
	assert_non_null(want);
	assert_true(json_equal(json_object_get(result, key), want));
	json_decref(want);
}

static void
sort_sorts_numbers(void **state)
{
	json_t *r;

	(void)state;
	r = call("sort", "{\"numbers\":[3,-1,2,3]}");
	expect_member(r, "sorted", "[-1,2,3,3]");
	expect_member(r, "count", "4");
	expect_member(r, "min", "-1");
	expect_member(r, "max", "3");
	json_decref(r);
	r = call("sort", "{\"numbers\":[1,0.5,-1e3]}");
	expect_member(r, "sorted", "[-1000.0,0.5,1.0]");
	json_decref(r);
	r = call("sort", "{\"numbers\":[]}");
	expect_member(r, "sorted", "[]");
	expect_member(r, "min", "null");
	json_decref(r);
	expect_code("sort", "{\"numbers\":[1,\"2\"]}", EINVAL);
	expect_code("sort", "{\"count\":-1}", EINVAL);
	expect_code("sort", "{\"count\":50000001}", EINVAL);
	expect_code("sort", "null", EINVAL);
}

static void
sort_reads_files(void **state)
{
	json_t *r, *same;
	char *path, *args;

	(void)state;
	path = module_build_file("list", "3\n1\n2\n");
	args = path_args(path);
	r = call("sort", args);
	expect_member(r, "sorted", "[1,2,3]");
	free(args);
	free(path);
	path = module_build_file("array", "[2, 3,\n1]\n");
	args = path_args(path);
	same = call("sort", args);
	assert_true(json_equal(r, same));
	json_decref(same);
	json_decref(r);
	free(args);
	free(path);
	path = module_build_file("words", "1\ntwo\n");
	args = path_args(path);
	expect_code("sort", args, EINVAL);
	free(args);
	free(path);
	expect_code("sort", "{\"path\":\"/nonexistent\"}", ENOENT);
}

/* Over several runs and an odd rest, so that every merge has its part. */
static void
sort_of_generated_numbers_is_that_of_the_same_in_a_file(void **state)
{
	enum { N = 300001 };
	json_t *a, *b;
	char *path, *args;
	FILE *f;
	int i;

	(void)state;
	a = call("sort", "{\"count\":300001,\"seed\":5}");
	assert_null(json_object_get(a, "sorted"));
	b = call("sort", "{\"count\":300001,\"seed\":5}");
	assert_true(json_equal(a, b));
	json_decref(b);
	b = call("sort", "{\"count\":300001,\"seed\":6}");
	assert_false(json_equal(a, b));
	json_decref(b);
	json_decref(a);
	/* A list whose order is known: descending, as against ascending. */
	path = module_build_file("down", "");
	args = path_args(path);
	f = fopen(path, "w");
	assert_non_null(f);
	for (i = N; i > 0; i--)
		fprintf(f, "%d\n", i);
	fclose(f);
	a = call("sort", args);
	f = fopen(path, "w");
	assert_non_null(f);
	for (i = 1; i <= N; i++)
		fprintf(f, "%d\n", i);
	fclose(f);
	b = call("sort", args);
	assert_true(json_equal(a, b));
	expect_member(a, "max", "300001");
	assert_null(json_object_get(a, "sorted"));
	json_decref(a);
	json_decref(b);
	free(args);
	free(path);
}

static void
a_long_sort_can_be_cancelled(void **state)
{
	json_t *msg;

	(void)state;
	worker_proc_run(&w, 1, "sort", "{\"count\":20000000}");
	worker_proc_cancel(&w, 1, 1);
	/* It may have told its progress before. */
	while (json_object_get(msg = worker_proc_next(&w), "id") == NULL)
		json_decref(msg);
	assert_int_equal(json_integer_value(json_object_get(
			     json_object_get(msg, "error"), "code")),
	    0);
	json_decref(msg);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(fail_fails_as_told),
	    TEST(sleep_takes_ms_or_seconds),
	    TEST(sha512_of_text_is_known),
	    TEST(sha512_of_a_file_is_known),
	    TEST(sha512_tells_its_progress_in_a_large_file),
	    TEST(sha512_refuses_what_is_no_file),
	    TEST(sort_sorts_numbers),
	    TEST(sort_reads_files),
	    TEST(sort_of_generated_numbers_is_that_of_the_same_in_a_file),
	    TEST(a_long_sort_can_be_cancelled),
	};

	return cmocka_run_group_tests_name(
	    "worker builtin", tests, NULL, clean_up);
}
