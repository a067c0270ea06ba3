/* SPDX-License-Identifier: ISC */
/* LINK: ipc/log.c ipc/buf.c ipc/json.c ipc/clock.c */
/*
 * test_log.c - a message is one line, whatever is in it
 */
#include "ipc/log.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FILE_MAX 65536

static char path[64];
static char content[FILE_MAX];

static int
set_up(void **state)
{
	int fd;

	(void)state;
	strcpy(path, "/tmp/ganger-log-XXXXXX");
	fd = mkstemp(path);
	if (fd < 0)
		return -1;
	close(fd);
	log_set_format(LOG_TEXT);
	log_set_level(LOG_INFO);
	log_set_name("unit");
	return log_open(path);
}

static int
tear_down(void **state)
{
	(void)state;
	unlink(path);
	return log_open("-");
}

/* What the file at `name` holds, as a string. */
static const char *
read_file(const char *name)
{
	ssize_t n;
	int fd;

	fd = open(name, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	n = read(fd, content, sizeof(content) - 1);
	assert_true(n >= 0);
	close(fd);
	content[n] = '\0';
	return content;
}

static void
assert_ends(const char *text, const char *end)
{
	assert_true(strlen(text) >= strlen(end));
	assert_string_equal(text + strlen(text) - strlen(end), end);
}

static void
line_tells_time_level_process_and_message(void **state)
{
	char process[64];

	(void)state;
	log_warn("%d of %s", 3, "four");
	snprintf(process, sizeof(process), "Z warn  unit[%d]: 3 of four\n",
	    (int)getpid());
	assert_ends(read_file(path), process);
}

static void
only_the_levels_wanted_are_written(void **state)
{
	(void)state;
	assert_true(log_wants(LOG_INFO));
	assert_false(log_wants(LOG_DEBUG));
	log_debug("no");
	assert_string_equal(read_file(path), "");
	log_set_level(LOG_ERROR);
	log_warn("no");
	assert_string_equal(read_file(path), "");
	log_error("yes");
	assert_ends(read_file(path), ": yes\n");
}

static void
control_bytes_can_not_forge_a_line(void **state)
{
	(void)state;
	log_info("%s", "a\nb\r\x1b[2J\x7f"
		       "c");
	assert_ends(read_file(path), ": a\\x0ab\\x0d\\x1b[2J\\x7fc\n");
	assert_ptr_equal(strchr(content, '\n'), content + strlen(content) - 1);
}

static void
very_long_message_is_still_one_line(void **state)
{
	static char text[20000];

	(void)state;
	memset(text, '\n', sizeof(text) - 1);
	log_info("%s", text);
	read_file(path);
	assert_ptr_equal(strchr(content, '\n'), content + strlen(content) - 1);
	memset(text, 'x', sizeof(text) - 1);
	log_info("%s", text);
	assert_ends(read_file(path), "x\n");
}

static void
json_line_is_an_object(void **state)
{
	json_t *line;
	const char *process;
	const char *message;

	(void)state;
	log_set_format(LOG_JSON);
	log_info("%s", "quote \" newline \n not utf-8 \xff.");
	line = json_loads(read_file(path), 0, NULL);
	assert_non_null(line);
	process = json_string_value(json_object_get(line, "process"));
	message = json_string_value(json_object_get(line, "message"));
	assert_string_equal(process, "unit");
	assert_string_equal(message, "quote \" newline \n not utf-8 ?.");
	assert_int_equal(
	    json_integer_value(json_object_get(line, "pid")), getpid());
	assert_string_equal(
	    json_string_value(json_object_get(line, "level")), "info");
	json_decref(line);
}

static void
errno_is_kept(void **state)
{
	(void)state;
	errno = E2BIG;
	log_info("x");
	log_debug("x");
	assert_int_equal(errno, E2BIG);
}

static void
reopened_log_leaves_the_rotated_file(void **state)
{
	char rotated[80];

	(void)state;
	log_info("before");
	snprintf(rotated, sizeof(rotated), "%s.1", path);
	assert_int_equal(rename(path, rotated), 0);
	log_info("still the old one");
	assert_int_equal(log_reopen(), 0);
	log_info("after");
	assert_ends(read_file(path), ": after\n");
	assert_ptr_equal(strchr(content, '\n'), content + strlen(content) - 1);
	assert_ends(read_file(rotated), ": still the old one\n");
	unlink(rotated);
}

static void
log_that_can_not_be_opened_changes_nothing(void **state)
{
	(void)state;
	assert_int_equal(log_open("/nonexistent/log"), -ENOENT);
	log_info("still here");
	assert_ends(read_file(path), ": still here\n");
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(line_tells_time_level_process_and_message),
	    TEST(only_the_levels_wanted_are_written),
	    TEST(control_bytes_can_not_forge_a_line),
	    TEST(very_long_message_is_still_one_line),
	    TEST(json_line_is_an_object),
	    TEST(errno_is_kept),
	    TEST(reopened_log_leaves_the_rotated_file),
	    TEST(log_that_can_not_be_opened_changes_nothing),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
