/* SPDX-License-Identifier: ISC */
/* LINK: master/supervisor/output.c master/supervisor/budget.c ipc/log.c
 * ipc/buf.c ipc/json.c ipc/clock.c */
/*
 * test_output.c - what a worker prints becomes lines of the log
 */
#include "master/supervisor/output.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/log.h"

#define LOG_MAX (4 << 20)

static char path[64];
static char content[LOG_MAX];
static struct ev_loop *loop;
static struct output output;
static int write_fd;

static int
set_up(void **state)
{
	int fd;

	(void)state;
	strcpy(path, "/tmp/ganger-output-XXXXXX");
	fd = mkstemp(path);
	if (fd < 0)
		return -1;
	close(fd);
	log_set_level(LOG_INFO);
	loop = ev_loop_new(EVFLAG_AUTO);
	output_init(&output);
	if (log_open(path) < 0 || loop == NULL ||
	    output_open(&output, loop, "worker a/1", &write_fd) < 0)
		return -1;
	output_set_pid(&output, 4711);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	output_close(&output);
	output_close(&output);
	if (write_fd >= 0)
		close(write_fd);
	ev_loop_destroy(loop);
	unlink(path);
	return log_open("/dev/null");
}

static const char *
read_log(void)
{
	size_t used = 0;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	while ((n = read(fd, content + used, sizeof(content) - 1 - used)) > 0)
		used += (size_t)n;
	close(fd);
	content[used] = '\0';
	return content;
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
print(const char *text)
{
	assert_int_equal(
	    write(write_fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void
turn(void)
{
	ev_run(loop, EVRUN_NOWAIT);
}

static void
line_says_its_level(void **state)
{
	static char text[OUTPUT_LINE_MAX + 8];

	(void)state;
	print("<3>fire\n<0>flood\n<4>smoke\n<6>calm\n<7>detail\n");
	print("<4>\n<8>eight\n<4\n<");
	print("4>in two\n");
	turn();
	read_log();
	assert_non_null(strstr(content, "error worker a/1[4711]: fire\n"));
	assert_non_null(strstr(content, "error worker a/1[4711]: flood\n"));
	assert_non_null(strstr(content, "warn  worker a/1[4711]: smoke\n"));
	assert_non_null(strstr(content, "info  worker a/1[4711]: calm\n"));
	assert_null(strstr(content, "detail"));
	assert_non_null(strstr(content, "info  worker a/1[4711]: <8>eight\n"));
	assert_non_null(strstr(content, "info  worker a/1[4711]: <4\n"));
	assert_non_null(strstr(content, "warn  worker a/1[4711]: in two\n"));
	assert_int_equal(count(content, "\n"), 7);
	/* It holds for all parts of a line, and for no other one. */
	memset(text, 'x', sizeof(text) - 1);
	memcpy(text, "<4>", 3);
	print(text);
	print("<3>\nend\n");
	turn();
	read_log();
	assert_non_null(
	    strstr(content, "warn  worker a/1[4711]: xxxxxxx<3>\n"));
	assert_non_null(strstr(content, "info  worker a/1[4711]: end\n"));
}

static void
line_that_nobody_wants_uses_up_no_budget(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 2 * OUTPUT_BURST; i++)
		print("<7>detail\n");
	print("news\n");
	turn();
	assert_int_equal(count(read_log(), "\n"), 1);
	assert_non_null(strstr(content, ": news\n"));
}

static void
line_has_the_name_of_its_worker(void **state)
{
	(void)state;
	print("hello\nwor");
	turn();
	read_log();
	assert_non_null(strstr(content, " info  worker a/1[4711]: hello\n"));
	assert_int_equal(count(content, "\n"), 1);
	print("ld\r\n\n");
	turn();
	read_log();
	assert_non_null(strstr(content, "[4711]: world\n"));
	/* Neither its end nor an empty line is a line of its own. */
	assert_int_equal(count(content, "\n"), 2);
}

static void
every_split_gives_the_same_lines(void **state)
{
	static const char text[] = "one\ntwo \xc3\xa4\n\nlast\n";
	size_t i, n = sizeof(text) - 1;

	(void)state;
	for (i = 0; i <= n; i++) {
		assert_int_equal(write(write_fd, text, i), (ssize_t)i);
		turn();
		assert_int_equal(
		    write(write_fd, text + i, n - i), (ssize_t)(n - i));
		turn();
	}
	read_log();
	assert_int_equal(count(content, "]: one\n"), n + 1);
	assert_int_equal(count(content, "]: two \xc3\xa4\n"), n + 1);
	assert_int_equal(count(content, "]: last\n"), n + 1);
	assert_int_equal(count(content, "\n"), 3 * (n + 1));
}

static void
long_line_comes_in_parts_between_characters(void **state)
{
	char text[OUTPUT_LINE_MAX + 200];
	size_t shift, i, n;

	(void)state;
	for (shift = 0; shift < 4; shift++) {
		memset(text, 'x', shift);
		for (i = shift; i + 4 < sizeof(text); i += 4)
			memcpy(text + i, "\xf0\x9f\x90\x9d", 4);
		text[i] = '\n';
		assert_int_equal(
		    write(write_fd, text, i + 1), (ssize_t)(i + 1));
		turn();
		n = count(read_log(), "\n");
		assert_int_equal(n, 2 * (shift + 1));
		assert_null(strstr(content, "\\x"));
	}
}

static void
line_that_just_fits_is_whole(void **state)
{
	char text[OUTPUT_LINE_MAX + 1];

	(void)state;
	memset(text, 'y', sizeof(text));
	text[OUTPUT_LINE_MAX] = '\n';
	assert_int_equal(
	    write(write_fd, text, sizeof(text)), (ssize_t)sizeof(text));
	turn();
	assert_int_equal(count(read_log(), "\n"), 1);
	assert_int_equal(count(content, "y"), OUTPUT_LINE_MAX);
}

static void
bytes_of_any_kind_are_shown_safely(void **state)
{
	(void)state;
	assert_int_equal(write(write_fd, "a\0b\x1b[2J\xff\xc3\n", 10), 10);
	turn();
	assert_non_null(strstr(read_log(), ": a\\x00b\\x1b[2J\\xff\\xc3\n"));
}

static void
drain_takes_what_is_left_without_an_end(void **state)
{
	(void)state;
	print("one\nno newline");
	output_drain(&output); /* write_fd is open, as of a grandchild */
	read_log();
	assert_non_null(strstr(content, "]: one\n"));
	assert_non_null(strstr(content, "]: no newline\n"));
	output_drain(&output);
	assert_int_equal(count(read_log(), "\n"), 2);
}

static void
writer_that_never_ends_does_not_hold_the_drain(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	pid = fork();
	if (pid == 0)
		for (;;)
			(void)!write(write_fd, "on and on\n", 10);
	while (count(read_log(), "\n") < 10)
		ev_run(loop, EVRUN_ONCE);
	output_drain(&output);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void
lines_over_the_budget_are_dropped_and_counted(void **state)
{
	unsigned i;
	char text[32];
	unsigned long n_dropped = 0;
	const char *p;

	(void)state;
	for (i = 0; i < 4000; i++) {
		snprintf(text, sizeof(text), "line %u\n", i);
		print(text);
		if (i % 100 == 99)
			turn();
	}
	output_drain(&output);
	read_log();
	assert_non_null(strstr(content, "]: line 999\n"));
	assert_true(count(content, "]: line ") < 2000);
	for (p = content;
	     (p = strstr(p, " lines of output were dropped\n")) != NULL; p++) {
		const char *number = p;

		while (number[-1] >= '0' && number[-1] <= '9')
			number--;
		n_dropped += strtoul(number, NULL, 10);
	}
	assert_int_equal(n_dropped + count(content, "]: line "), 4000);
}

/* Also when nothing more is printed. */
static void
dropped_lines_are_told_soon(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i <= OUTPUT_BURST + 50; i++)
		print("x\n");
	while (strstr(read_log(), "of output ") == NULL)
		ev_run(loop, EVRUN_ONCE);
	assert_non_null(strstr(content, " warn  worker a/1[4711]: "));
}

static void
stuck_log_does_not_stop_the_reading(void **state)
{
	int i;

	(void)state;
	assert_int_equal(log_open("/dev/full"), 0);
	for (i = 0; i < 100; i++) {
		print("a line that is lost\n");
		turn();
	}
	assert_int_equal(log_open(path), 0);
	print("here again\n");
	turn();
	read_log();
	assert_non_null(strstr(content, "100 messages were lost"));
	assert_non_null(strstr(content, "]: here again\n"));
}

static void
end_of_the_pipe_is_calm(void **state)
{
	(void)state;
	print("x\n");
	close(write_fd);
	write_fd = -1;
	turn();
	turn();
	assert_false(ev_is_active(&output.readable));
	assert_non_null(strstr(read_log(), "]: x\n"));
}

static void
adopted_pipe_goes_on(void **state)
{
	int fd;

	(void)state;
	fd = dup(output_fd(&output)); /* as after an exec */
	output_close(&output);
	assert_int_equal(output_fd(&output), -1);
	output_adopt(&output, loop, "worker b/2", 12, fd);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	print("new image\n");
	turn();
	assert_non_null(strstr(read_log(), " worker b/2[12]: new image\n"));
}

static void
child_prints_line_by_line_and_never_blocks(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	assert_true(fcntl(write_fd, F_GETFL) & O_NONBLOCK);
	assert_int_equal(fcntl(write_fd, F_GETFD), FD_CLOEXEC);
	(void)fflush(NULL);
	pid = fork();
	if (pid == 0) {
		if (output_redirect(write_fd) < 0)
			_exit(1);
		printf("stdout\n");
		fprintf(stderr, "stderr\n");
		_exit(0); /* without a flush */
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	turn();
	assert_non_null(strstr(read_log(), "]: stdout\n"));
	assert_non_null(strstr(content, "]: stderr\n"));
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(line_has_the_name_of_its_worker),
	    TEST(line_says_its_level),
	    TEST(line_that_nobody_wants_uses_up_no_budget),
	    TEST(every_split_gives_the_same_lines),
	    TEST(long_line_comes_in_parts_between_characters),
	    TEST(line_that_just_fits_is_whole),
	    TEST(bytes_of_any_kind_are_shown_safely),
	    TEST(drain_takes_what_is_left_without_an_end),
	    TEST(writer_that_never_ends_does_not_hold_the_drain),
	    TEST(lines_over_the_budget_are_dropped_and_counted),
	    TEST(dropped_lines_are_told_soon),
	    TEST(stuck_log_does_not_stop_the_reading),
	    TEST(end_of_the_pipe_is_calm),
	    TEST(adopted_pipe_goes_on),
	    TEST(child_prints_line_by_line_and_never_blocks),
	};

	return cmocka_run_group_tests_name("output", tests, NULL, NULL);
}
