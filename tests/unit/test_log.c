/* SPDX-License-Identifier: ISC */
/* LINK: ipc/log.c ipc/buf.c ipc/json.c ipc/clock.c */
/*
 * test_log.c - a message is one line, whatever is in it
 */
#include "ipc/log.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
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
prefixed_line_is_its_level_and_the_message(void **state)
{
	(void)state;
	log_set_format(LOG_PREFIXED);
	log_error("one\n%s", "two");
	log_warn("three");
	log_info("four");
	assert_string_equal(
	    read_file(path), "\n<3>one\\x0atwo\n\n<4>three\n\n<6>four\n");
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

static size_t
count(const char *text, const char *part)
{
	size_t n = 0;

	for (; (text = strstr(text, part)) != NULL; text += strlen(part))
		n++;
	return n;
}

static void
repeats_are_told_as_a_number(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 5; i++)
		log_error("again");
	log_warn("again");
	log_info("other");
	read_file(path);
	assert_int_equal(count(content, "error unit"), 2);
	assert_int_equal(count(content, ": again\n"), 2);
	assert_non_null(
	    strstr(content, ": the last message was repeated 4 times\n"));
	assert_ends(content, ": other\n");
}

static void
bytes_that_are_no_utf8_are_shown(void **state)
{
	(void)state;
	log_info("%s", "\xc3\xa4 \xff \xc2\x9b \xe2\x82");
	assert_ends(
	    read_file(path), ": \xc3\xa4 \\xff \\xc2\\x9b \\xe2\\x82\n");
}

static void
lines_of_others_have_their_names(void **state)
{
	char text[3000];

	(void)state;
	log_write_as("worker a/1", 17, LOG_INFO, "hello\0x", 7);
	assert_ends(read_file(path), "Z info  worker a/1[17]: hello\\x00x\n");
	/* What does not fit a line is not lost, but gets another one. */
	memset(text, '\1', sizeof(text));
	log_write_as("worker a/1", 17, LOG_INFO, text, sizeof(text));
	assert_int_equal(count(read_file(path), "\\x01"), sizeof(text));
	assert_true(count(content, "worker a/1[17]: ") > 3);
	log_set_level(LOG_WARN);
	log_write_as("worker a/1", 17, LOG_INFO, "no", 2);
	assert_null(strstr(read_file(path), "no\n"));
}

static void
json_lines_of_others_are_objects(void **state)
{
	json_t *line;

	(void)state;
	log_set_format(LOG_JSON);
	log_write_as("worker a/1", 17, LOG_INFO, "a\xff\x01\"\0", 5);
	line = json_loads(read_file(path), 0, NULL);
	assert_non_null(line);
	assert_string_equal(
	    json_string_value(json_object_get(line, "process")), "worker a/1");
	assert_int_equal(json_integer_value(json_object_get(line, "pid")), 17);
	assert_string_equal(
	    json_string_value(json_object_get(line, "level")), "info");
	assert_string_equal(
	    json_string_value(json_object_get(line, "message")), "a?\x01\"?");
	json_decref(line);
}

/* Let standard error be fd for a while. */
static int
swap_stderr(int fd)
{
	int old = dup(STDERR_FILENO);

	assert_true(old >= 0);
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	return old;
}

static void
put_stderr_back(int old)
{
	assert_int_equal(dup2(old, STDERR_FILENO), STDERR_FILENO);
	close(old);
}

/* All that is in a pipe or socket now. */
static const char *
take_all(int fd)
{
	static char data[1 << 20];
	size_t used = 0;
	ssize_t n;

	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	while ((n = read(fd, data + used, sizeof(data) - 1 - used)) > 0)
		used += (size_t)n;
	data[used] = '\0';
	return data;
}

static void
echo_is_of_errors_and_warnings_and_ends(void **state)
{
	const char *text;
	int fds[2], old;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	old = swap_stderr(fds[1]);
	log_set_echo(true);
	log_error("one");
	log_warn("two");
	log_info("three");
	log_write_as("worker a/1", 17, LOG_WARN, "four", 4);
	log_set_echo(false);
	log_error("five");
	put_stderr_back(old);
	close(fds[1]);
	text = take_all(fds[0]);
	assert_int_equal(count(text, "\n"), 2);
	assert_non_null(strstr(text, ": one\n"));
	assert_ends(text, ": two\n");
	assert_int_equal(count(read_file(path), "\n"), 5);
	close(fds[0]);
}

static void
echo_is_not_written_to_the_log_itself(void **state)
{
	int fd, old;

	(void)state;
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	old = swap_stderr(fd);
	log_set_echo(true);
	log_error("to the file");
	assert_int_equal(log_open("-"), 0);
	log_error("to what it leads to");
	log_set_echo(false);
	put_stderr_back(old);
	close(fd);
	assert_int_equal(count(read_file(path), "to the file"), 1);
	assert_int_equal(count(content, "to what it leads to"), 1);
}

#define NOBODY " messages were lost: nobody reads the log\n"

static void
log_to_stderr(int fd)
{
	int old = swap_stderr(fd);

	assert_int_equal(log_open("-"), 0);
	assert_true(log_fd() > STDERR_FILENO);
	put_stderr_back(old);
}

/* Log to fds[1], which blocks; nobody reads, then somebody does. */
static void
check_stuck_reader(int fds[2], int flags)
{
	unsigned long i, n_lost;
	const char *text;
	char *end;

	for (i = 0; i < 20000; i++)
		log_info("line %lu of many", i);
	assert_int_equal(fcntl(fds[1], F_GETFL), flags);
	text = take_all(fds[0]);
	assert_non_null(strstr(text, "line 0 of many\n"));
	assert_null(strstr(text, "lost"));
	assert_ends(text, "of many\n");
	n_lost = 20000 - count(text, "of many\n");
	assert_true(n_lost > 0);
	log_info("somebody reads again");
	text = strstr(take_all(fds[0]), "]: ");
	assert_non_null(text);
	assert_int_equal(strtoul(text + 3, &end, 10), n_lost);
	assert_int_equal(strncmp(end, NOBODY, strlen(NOBODY)), 0);
	assert_ends(end, ": somebody reads again\n");
	assert_int_equal(count(end, "\n"), 2);
	assert_int_equal(log_open(path), 0);
	close(fds[0]);
	close(fds[1]);
}

static void
pipe_that_nobody_reads_blocks_nobody(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	log_to_stderr(fds[1]);
	check_stuck_reader(fds, O_WRONLY);
}

static void
socket_that_nobody_reads_blocks_nobody(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	log_to_stderr(fds[1]);
	check_stuck_reader(fds, O_RDWR);
}

/* One that can't be opened anew, for want of /proc or of the permission. */
static void
blocking_pipe_that_nobody_reads_blocks_nobody(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(log_adopt(dup(fds[1]), "-"), 0);
	check_stuck_reader(fds, O_WRONLY);
}

static void
reader_that_has_gone_is_no_harm(void **state)
{
	int fds[2];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(fds), 0);
	log_to_stderr(fds[1]);
	close(fds[0]);
	close(fds[1]);
	log_info("into the void");
	assert_int_equal(log_open(path), 0);
	log_info("here");
	assert_ends(read_file(path), ": here\n");
	assert_null(strstr(content, "lost"));
}

static void
full_disk_is_told_once_there_is_room(void **state)
{
	int i;

	(void)state;
	assert_int_equal(log_open("/dev/full"), 0);
	for (i = 0; i < 3; i++)
		log_error("message %d", i);
	assert_int_equal(log_open(path), 0);
	log_info("room");
	read_file(path);
	assert_non_null(
	    strstr(content, "3 messages were lost: No space left on device\n"));
	assert_ends(content, ": room\n");
	log_info("more");
	assert_int_equal(count(read_file(path), "lost"), 1);
}

/* What was written of a line before the disk was full. */
static void
torn_line_does_not_run_into_the_next(void **state)
{
	struct rlimit lim, old;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	lim = old;
	lim.rlim_cur = 20;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &lim), 0);
	log_info("torn");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	log_info("whole");
	read_file(path);
	assert_int_equal(strcspn(content, "\n"), 20);
	assert_ends(content, ": whole\n");
	assert_non_null(strstr(content, "1 message was lost: "));
	assert_int_equal(count(content, "\n"), 3);
}

static void
device_is_not_given_away(void **state)
{
	struct stat before, after;

	(void)state;
	assert_int_equal(stat("/dev/full", &before), 0);
	assert_int_equal(log_open("/dev/full"), 0);
	log_set_owner(12345, 12345);
	assert_int_equal(log_reopen(), 0);
	log_set_owner((uid_t)-1, (gid_t)-1);
	assert_int_equal(stat("/dev/full", &after), 0);
	assert_int_equal(before.st_uid, after.st_uid);
}

static void
descriptor_is_passed_over_an_exec(void **state)
{
	int fd;

	(void)state;
	assert_true(fcntl(log_fd(), F_GETFD) & FD_CLOEXEC);
	fd = log_detach_fd();
	assert_int_equal(fd, log_fd());
	assert_int_equal(fcntl(fd, F_GETFD), 0);
	/* The exec failed. */
	assert_int_equal(log_adopt(fd, NULL), 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	log_info("still here");
	assert_ends(read_file(path), ": still here\n");
	/* It went well: another descriptor, as far as this image knows. */
	fd = dup(fd);
	assert_int_equal(log_open("/dev/null"), 0);
	assert_int_equal(log_adopt(fd, path), 0);
	log_info("there");
	assert_ends(read_file(path), ": there\n");
	assert_int_equal(log_reopen(), 0);
	log_info("again there");
	assert_ends(read_file(path), ": again there\n");
	assert_int_equal(log_adopt(999, path), -EBADF);
}

static void *
log_much(void *arg)
{
	int i;

	for (i = 0; i < 1000; i++)
		log_info("%s %d", (const char *)arg, i / 2);
	return NULL;
}

static void
threads_log_whole_lines(void **state)
{
	static char names[][8] = {"one", "two", "three"};
	static char text[1 << 20];
	pthread_t threads[3];
	const char *line;
	size_t i, n;
	int fd;

	(void)state;
	for (i = 0; i < 3; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, log_much, names[i]), 0);
	for (i = 0; i < 3; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	log_info("end");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = (size_t)read(fd, text, sizeof(text) - 1);
	close(fd);
	assert_true(n < sizeof(text) - 1);
	text[n] = '\0';
	for (line = text; *line != '\0'; line = strchr(line, '\n') + 1)
		assert_int_equal(strncmp(line + 24, " info  unit[", 12), 0);
	/* Each is there, or counted. */
	n = count(text, "]: one ") + count(text, "]: two ") +
	    count(text, "]: three ");
	for (line = text; (line = strstr(line, "repeated ")) != NULL; line++)
		n += strtoul(line + 9, NULL, 10);
	assert_int_equal(n, 3000);
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
	    TEST(prefixed_line_is_its_level_and_the_message),
	    TEST(errno_is_kept),
	    TEST(reopened_log_leaves_the_rotated_file),
	    TEST(log_that_can_not_be_opened_changes_nothing),
	    TEST(repeats_are_told_as_a_number),
	    TEST(bytes_that_are_no_utf8_are_shown),
	    TEST(lines_of_others_have_their_names),
	    TEST(json_lines_of_others_are_objects),
	    TEST(pipe_that_nobody_reads_blocks_nobody),
	    TEST(socket_that_nobody_reads_blocks_nobody),
	    TEST(blocking_pipe_that_nobody_reads_blocks_nobody),
	    TEST(reader_that_has_gone_is_no_harm),
	    TEST(full_disk_is_told_once_there_is_room),
	    TEST(torn_line_does_not_run_into_the_next),
	    TEST(echo_is_of_errors_and_warnings_and_ends),
	    TEST(echo_is_not_written_to_the_log_itself),
	    TEST(device_is_not_given_away),
	    TEST(descriptor_is_passed_over_an_exec),
	    TEST(threads_log_whole_lines),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
