/* SPDX-License-Identifier: ISC */
/*
 * handlers.c - what the black-box tests let workers do
 *
 * A gate is a file that does not exist yet: a task waits behind it until the
 * test creates it, so that a test knows what is running without guessing.
 */
#include <errno.h>
#include <fcntl.h>
#include <ganger/handler.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *
text_of(const json_t *args, const char *name)
{
	const char *text;

	text = json_string_value(json_object_get(args, name));
	return text == NULL ? "" : text;
}

/* Who runs this, and as what. */
static json_t *
run_whoami(struct ganger_task *task, json_t *args)
{
	(void)args;
	return json_pack("{s:i, s:i, s:I, s:s, s:i}", "pid", (int)getpid(),
	    "tid", (int)syscall(SYS_gettid), "id",
	    (json_int_t)ganger_task_id(task), "name", ganger_task_name(task),
	    "attempt", (int)ganger_attempt(task));
}

/* {path}: wait for the gate to open. */
static json_t *
run_gate(struct ganger_task *task, json_t *args)
{
	const char *path = text_of(args, "path");

	while (access(path, F_OK) < 0) {
		if (!ganger_sleep(task, 2)) {
			ganger_fail(task, 0, false, "cancelled");
			return NULL;
		}
	}
	return run_whoami(task, args);
}

/* {path}: wait for the gate, deaf to being cancelled. */
static json_t *
run_deaf(struct ganger_task *task, json_t *args)
{
	while (access(text_of(args, "path"), F_OK) < 0)
		usleep(2000);
	return run_whoami(task, args);
}

/* {path}: the same, once it is told that it has begun. */
static json_t *
run_stuck(struct ganger_task *task, json_t *args)
{
	ganger_progress(task, 1, 1, "begun");
	return run_deaf(task, args);
}

/* {path}: likewise, and then put the task aside for a moment. */
static json_t *
run_put_aside(struct ganger_task *task, json_t *args)
{
	json_decref(run_stuck(task, args));
	ganger_snooze(task, 1);
	return NULL;
}

/* {path, text, ms}: add a line to a file, after a while. */
static json_t *
run_note(struct ganger_task *task, json_t *args)
{
	const char *path = text_of(args, "path");
	char line[256];
	int fd, n;

	ganger_sleep(task, json_integer_value(json_object_get(args, "ms")));
	n = snprintf(line, sizeof(line), "%s\n", text_of(args, "text"));
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, line, (size_t)n) != n) {
		ganger_fail(
		    task, errno, false, "%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	close(fd);
	return json_null();
}

/* {path, total, text}: report progress, then wait for the gate. */
static json_t *
run_progress(struct ganger_task *task, json_t *args)
{
	uint64_t total, i;

	total = (uint64_t)json_integer_value(json_object_get(args, "total"));
	for (i = 0; i <= total / 2; i++)
		ganger_progress(task, i, total, text_of(args, "text"));
	return run_gate(task, args);
}

/* {until}: fail in a way that is tried again, until attempt `until`. */
static json_t *
run_flaky(struct ganger_task *task, json_t *args)
{
	unsigned until;

	until = (unsigned)json_integer_value(json_object_get(args, "until"));
	if (ganger_attempt(task) >= until)
		return run_whoami(task, args);
	ganger_fail(task, (int)ganger_attempt(task), true, "attempt %u",
	    ganger_attempt(task));
	return NULL;
}

/*
 * {delay_ms, early, final}: fail at the first attempt, and name the delay,
 * before the failure when `early`, for good when `final`.
 */
static json_t *
run_later(struct ganger_task *task, json_t *args)
{
	json_int_t ms = json_integer_value(json_object_get(args, "delay_ms"));
	bool early = json_is_true(json_object_get(args, "early"));

	if (ganger_attempt(task) > 1)
		return run_whoami(task, args);
	ganger_retry_after(task, early ? ms : 60000);
	ganger_fail(
	    task, 1, !json_is_true(json_object_get(args, "final")), "not now");
	if (!early)
		ganger_retry_after(task, ms);
	return NULL;
}

/* {delay_ms}: name the delay of a retry once the soft time limit is over. */
static json_t *
run_late_later(struct ganger_task *task, json_t *args)
{
	while (ganger_sleep(task, 60000))
		;
	ganger_fail(task, 0, false, "over");
	ganger_retry_after(
	    task, json_integer_value(json_object_get(args, "delay_ms")));
	return NULL;
}

/* {path, delay_ms}: put the task aside once, then tell who ran it. */
static json_t *
run_snooze(struct ganger_task *task, json_t *args)
{
	const char *path = text_of(args, "path");

	if (access(path, F_OK) == 0)
		return run_whoami(task, args);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	ganger_snooze(
	    task, json_integer_value(json_object_get(args, "delay_ms")));
	return NULL;
}

/* Return nothing, and give no reason. */
static json_t *
run_nothing(struct ganger_task *task, json_t *args)
{
	(void)task;
	(void)args;
	return NULL;
}

static json_t *
run_log(struct ganger_task *task, json_t *args)
{
	ganger_log(task, "%s", text_of(args, "text"));
	return json_true();
}

/* {size}: a string of so many bytes. */
static json_t *
run_big(struct ganger_task *task, json_t *args)
{
	json_t *value;
	size_t size;
	char *text;

	(void)task;
	size = (size_t)json_integer_value(json_object_get(args, "size"));
	text = malloc(size + 1);
	if (text == NULL)
		return NULL;
	memset(text, 'x', size);
	text[size] = '\0';
	value = json_string(text);
	free(text);
	return value;
}

/* {cause, path, text}: abort while the cause is there; else add a line. */
static json_t *
run_shaky(struct ganger_task *task, json_t *args)
{
	if (access(text_of(args, "cause"), F_OK) == 0)
		abort();
	return run_note(task, args);
}

/* {path}: die by SIGKILL, once: the path is where that is remembered. */
static json_t *
run_die_once(struct ganger_task *task, json_t *args)
{
	int fd;

	fd = open(text_of(args, "path"), O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd >= 0)
		kill(getpid(), SIGKILL);
	return run_whoami(task, args);
}

/* The worker's end of its channel: its one connected stream socket. */
static int
find_channel(void)
{
	struct sockaddr_storage sa;
	socklen_t len;
	int fd, type;

	for (fd = 3; fd < 256; fd++) {
		len = sizeof(type);
		if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
		    type != SOCK_STREAM)
			continue;
		len = sizeof(sa);
		if (getpeername(fd, (struct sockaddr *)&sa, &len) == 0)
			return fd;
	}
	return -1;
}

/* {text, times, path}: say something of one's own to the broker, once. */
static json_t *
run_blurt(struct ganger_task *task, json_t *args)
{
	const char *text = text_of(args, "text");
	json_int_t i, times;
	size_t at, len;
	ssize_t n;
	int fd;

	fd = open(text_of(args, "path"), O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return run_whoami(task, args);
	close(fd);
	fd = find_channel();
	len = strlen(text);
	times = json_integer_value(json_object_get(args, "times"));
	for (i = 0; i < times; i++) {
		for (at = 0; at < len; at += (size_t)n) {
			n = send(fd, text + at, len - at, MSG_NOSIGNAL);
			if (n < 0 && errno == EAGAIN)
				n = 0;
			else if (n < 0)
				return json_string(strerror(errno));
		}
	}
	if (json_is_true(json_object_get(args, "die")))
		kill(getpid(), SIGKILL);
	return run_whoami(task, args);
}

/* {path}: as deaf, and also to everything that asks the process to end. */
static json_t *
run_stubborn(struct ganger_task *task, json_t *args)
{
	signal(SIGTERM, SIG_IGN);
	signal(SIGABRT, SIG_IGN);
	return run_deaf(task, args);
}

/* {path}: compute until the gate opens, without ever waiting. */
static json_t *
run_spin(struct ganger_task *task, json_t *args)
{
	static volatile unsigned turns;

	while (++turns % 100000 != 0 || access(text_of(args, "path"), F_OK) < 0)
		;
	return run_whoami(task, args);
}

/* Wait for ever; the pid goes to fd first. */
static void
linger(int fd)
{
	char line[16];
	int n;

	n = snprintf(line, sizeof(line), "%d\n", (int)getpid());
	if (write(fd, line, (size_t)n) != n)
		_exit(1);
	for (;;)
		pause();
}

/*
 * {path}: leave behind a child, a grandchild whose parent is dead, and one in
 * a session of its own; their pids are in the file.
 */
static json_t *
run_litter(struct ganger_task *task, json_t *args)
{
	int fd, kind;
	pid_t pid;

	fd = open(text_of(args, "path"), O_WRONLY | O_CREAT | O_APPEND, 0600);
	for (kind = 0; fd >= 0 && kind < 3; kind++) {
		pid = fork();
		if (pid < 0) {
			ganger_fail(task, errno, false, "fork");
			break;
		}
		if (pid > 0) {
			if (kind > 0)
				waitpid(pid, NULL, 0);
			continue;
		}
		if (kind == 2)
			setsid();
		if (kind > 0 && fork() != 0)
			_exit(0);
		linger(fd);
	}
	if (fd >= 0)
		close(fd);
	return run_whoami(task, args);
}

/* {mb}: take so much memory and never give it back. */
static json_t *
run_hog(struct ganger_task *task, json_t *args)
{
	static char *volatile taken;
	size_t size;

	size = (size_t)json_integer_value(json_object_get(args, "mb")) << 20;
	taken = malloc(size);
	if (taken != NULL)
		memset(taken, 1, size);
	return run_whoami(task, args);
}

/* {text, times}: write to standard output, whatever becomes of it. */
static json_t *
run_print(struct ganger_task *task, json_t *args)
{
	const char *text = text_of(args, "text");
	json_int_t i, times;

	(void)task;
	times = json_integer_value(json_object_get(args, "times"));
	for (i = 0; i < times; i++)
		if (write(STDOUT_FILENO, text, strlen(text)) < 0 &&
		    errno != EAGAIN)
			return json_string(strerror(errno));
	return json_true();
}

static const struct ganger_handler handlers[] = {
    {"whoami", run_whoami},
    {"gate", run_gate},
    {"deaf", run_deaf},
    {"stuck", run_stuck},
    {"put_aside", run_put_aside},
    {"note", run_note},
    {"progress", run_progress},
    {"flaky", run_flaky},
    {"later", run_later},
    {"late_later", run_late_later},
    {"snooze", run_snooze},
    {"nothing", run_nothing},
    {"log", run_log},
    {"big", run_big},
    {"shaky", run_shaky},
    {"die_once", run_die_once},
    {"blurt", run_blurt},
    {"stubborn", run_stubborn},
    {"spin", run_spin},
    {"litter", run_litter},
    {"hog", run_hog},
    {"print", run_print},
    {NULL, NULL},
};

const struct ganger_module ganger_module = {
    .abi = GANGER_MODULE_ABI,
    .name = "handlers",
    .handlers = handlers,
};
