/* SPDX-License-Identifier: ISC */
/* LINK: ipc/client/cli/map_call.c ipc/client/cli/map_input.c
   ipc/client/cli/map_output.c ipc/client/cli/window.c
   ipc/json.c ipc/line.c ipc/buf.c */
/*
 * test_client_map.c - lines in, calls made of them, results out
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/client/cli/map_call.h"
#include "ipc/client/cli/map_input.h"
#include "ipc/client/cli/map_output.h"

static char told[512];

/* Make the params of a line, and compare them with want; NULL: refused. */
static void
assert_call(struct map_call *c, const char *line, size_t len, const char *want)
{
	struct buf why;
	int r;

	buf_init(&why, sizeof(told) - 1);
	r = map_call_make(c, line, len, 12, &why);
	memcpy(told, buf_len(&why) > 0 ? buf_head(&why) : "", buf_len(&why));
	told[buf_len(&why)] = '\0';
	buf_done(&why);
	if (want == NULL) {
		assert_int_equal(r, -EINVAL);
		return;
	}
	assert_int_equal(r, 0);
	assert_int_equal(buf_len(&c->params), strlen(want));
	assert_memory_equal(buf_head(&c->params), want, strlen(want));
}

static void
call_passes_json_on_as_it_stands(void **state)
{
	json_t *task = json_pack("{s:s, s:i}", "name", "t", "priority", 9);
	struct map_call c;

	(void)state;
	assert_int_equal(map_call_init(&c, task, "m1", NULL, NULL), 0);
	assert_call(&c, "{\"a\": 0.10}", 11,
	    "{\"name\":\"t\",\"priority\":9,\"meta\":{\"map\":\"m1\"},"
	    "\"args\":{\"a\": 0.10}}");
	assert_call(&c, " 7\r", 3,
	    "{\"name\":\"t\",\"priority\":9,\"meta\":{\"map\":\"m1\"},"
	    "\"args\": 7\r}");
	map_call_done(&c);
	json_decref(task);
}

static void
call_refuses_lines_that_are_no_json(void **state)
{
	json_t *task = json_pack("{s:s}", "name", "t");
	struct map_call c;

	(void)state;
	assert_int_equal(map_call_init(&c, task, "m", NULL, NULL), 0);
	assert_call(&c, "{\"a\": x}", 8, NULL);
	assert_non_null(strstr(told, "'x'"));
	assert_non_null(strstr(told, "column"));
	assert_call(&c, "", 0, NULL);
	assert_call(&c, "1 2", 3, NULL);
	assert_call(&c, "{\"a\":1,\"a\":1}", 13, NULL);
	assert_call(&c, "\"\\u0000\"", 8, NULL);
	/* A refused line leaves nothing behind. */
	assert_call(
	    &c, "1", 1, "{\"name\":\"t\",\"meta\":{\"map\":\"m\"},\"args\":1}");
	map_call_done(&c);
	json_decref(task);
}

static void
call_quotes_text_under_its_key(void **state)
{
	json_t *task = json_pack("{s:s}", "name", "t");
	struct map_call c;

	(void)state;
	assert_int_equal(map_call_init(&c, task, "m", "the \"path\"", NULL), 0);
	assert_call(&c, "a\"b\\\tc", 6,
	    "{\"name\":\"t\",\"meta\":{\"map\":\"m\"},\"args\":{\"the "
	    "\\\"path\\\"\":\"a\\\"b\\\\\\tc\"}}");
	assert_call(&c, "", 0,
	    "{\"name\":\"t\",\"meta\":{\"map\":\"m\"},\"args\":{\"the "
	    "\\\"path\\\"\":\"\"}}");
	assert_call(&c, "\xff", 1, NULL);
	assert_call(&c, "a\0b", 3, NULL);
	map_call_done(&c);
	assert_int_equal(map_call_init(&c, task, "m", "\xff", NULL), -EINVAL);
	json_decref(task);
}

static void
call_has_a_key_of_its_line(void **state)
{
	json_t *task = json_pack("{s:s}", "name", "t");
	struct map_call c;

	(void)state;
	assert_int_equal(map_call_init(&c, task, "m", NULL, "a\"b"), 0);
	assert_call(&c, "1", 1,
	    "{\"name\":\"t\",\"meta\":{\"map\":\"m\"},\"args\":1,"
	    "\"idempotency_key\":\"a\\\"b/12\"}");
	map_call_done(&c);
	json_decref(task);
}

/* A file with this text, which removes itself from the folder. */
static char *
make_file(const char *text, size_t len)
{
	char name[] = "/tmp/test_client_map.XXXXXX";
	int fd;

	fd = mkstemp(name);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), (ssize_t)len);
	close(fd);
	return strdup(name);
}

/* Read all lines of n files into seen: "<file>:<line>=<text>;", "!" refused. */
static void
read_all(char **files, size_t n, char *seen)
{
	const char *bad;
	struct map_input in;
	char *line, *at = seen;
	size_t len, i;
	int r;

	*at = '\0';
	assert_int_equal(map_input_init(&in, files, n, 8, &bad), 0);
	for (;;) {
		r = map_input_next(&in, &line, &len);
		if (r == 0 && in.fd < 0)
			break;
		if (r == 0) {
			assert_int_equal(map_input_read(&in), 0);
			continue;
		}
		for (i = 0; i < n && in.line.file != files[i]; i++)
			;
		at += sprintf(at, "%zu:%ju=%s;", i, (uintmax_t)in.line.number,
		    r == 1 ? line : "!");
	}
	map_input_done(&in);
}

static void
input_counts_lines_in_each_file(void **state)
{
	char *files[4], seen[256];
	const char *bad;
	struct map_input in;
	size_t i;

	(void)state;
	files[0] = make_file("a\nb", 3);
	files[1] = make_file("", 0);
	files[2] = make_file("123456789\n\nc\n", 13);
	files[3] = make_file("d\n123456789", 11);
	read_all(files, 4, seen);
	assert_string_equal(seen, "0:1=a;0:2=b;2:1=!;2:2=;2:3=c;3:1=d;3:2=!;");
	assert_int_equal(map_input_count(files, 4), 7);
	for (i = 0; i < 4; i++) {
		unlink(files[i]);
		if (i > 0)
			free(files[i]);
	}
	assert_int_equal(map_input_init(&in, files, 1, 8, &bad), -ENOENT);
	assert_string_equal(bad, files[0]);
	free(files[0]);
}

static void
input_refuses_a_folder(void **state)
{
	char path[] = "/tmp", *files[] = {path};
	struct map_input in;
	const char *bad;

	(void)state;
	assert_int_equal(map_input_init(&in, files, 1, 8, &bad), -EISDIR);
}

/* What was written to the pipe so far. */
static void
assert_written(int fd, const char *want)
{
	char got[256];
	ssize_t n;

	n = read(fd, got, sizeof(got));
	if (n < 0)
		n = 0;
	assert_int_equal(n, strlen(want));
	assert_memory_equal(got, want, (size_t)n);
}

static void
put(struct map_output *o, uint64_t n, const char *text)
{
	assert_true(map_output_has_room(o, n));
	assert_int_equal(map_output_put(o, n, text, strlen(text)), 0);
	assert_int_equal(map_output_write(o), 0);
}

static void
output_keeps_the_order_of_the_input(void **state)
{
	struct map_output o;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	assert_int_equal(map_output_init(&o, fds[1], 4), 0);
	put(&o, 2, "two");
	put(&o, 1, "one");
	assert_written(fds[0], "");
	put(&o, 0, "zero");
	assert_written(fds[0], "zero\none\ntwo\n");
	assert_true(map_output_has_room(&o, 6));
	assert_false(map_output_has_room(&o, 7));
	map_output_done(&o);
	assert_int_equal(map_output_init(&o, fds[1], 0), 0);
	put(&o, 9, "nine");
	put(&o, 1, "one");
	assert_written(fds[0], "nine\none\n");
	map_output_done(&o);
	close(fds[0]);
	close(fds[1]);
}

static void
output_does_not_wait_for_a_slow_reader(void **state)
{
	enum { TEXT = 5000, N = 100 };
	char text[TEXT], got[TEXT];
	struct map_output o;
	size_t n, sum;
	int fds[2];
	ssize_t r;

	(void)state;
	memset(text, 'x', sizeof(text));
	/* The writing end blocks: writing more than there is room would hang.
	 */
	assert_int_equal(pipe(fds), 0);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	assert_int_equal(map_output_init(&o, fds[1], 0), 0);
	for (n = 0; n < N; n++) {
		assert_int_equal(map_output_put(&o, n, text, TEXT), 0);
		assert_int_equal(map_output_write(&o), 0);
	}
	assert_true(map_output_wants_write(&o));
	for (sum = 0; sum < N * (TEXT + 1); sum += (size_t)r) {
		r = read(fds[0], got, sizeof(got));
		assert_true(r > 0);
		assert_int_equal(map_output_write(&o), 0);
	}
	assert_false(map_output_wants_write(&o));
	map_output_done(&o);
	close(fds[0]);
	close(fds[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(call_passes_json_on_as_it_stands),
	    cmocka_unit_test(call_refuses_lines_that_are_no_json),
	    cmocka_unit_test(call_quotes_text_under_its_key),
	    cmocka_unit_test(call_has_a_key_of_its_line),
	    cmocka_unit_test(input_counts_lines_in_each_file),
	    cmocka_unit_test(input_refuses_a_folder),
	    cmocka_unit_test(output_keeps_the_order_of_the_input),
	    cmocka_unit_test(output_does_not_wait_for_a_slow_reader),
	};

	return cmocka_run_group_tests_name("client_map", tests, NULL, NULL);
}
