/* SPDX-License-Identifier: ISC */
/*
 * command.c - run a task that is a program
 *
 * The task thread waits in poll(2) for the program's pipes, for its end (a
 * pidfd), for the job being stopped, and for the time limit.
 */
#include "worker/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "ipc/clock.h"
#include "ipc/json.h"
#include "worker/command_args.h"
#include "worker/command_spawn.h"

#define READ_SIZE (64 * 1024)

enum ending { RUNNING, EXITED, TIMED_OUT, STOPPED, TOO_LARGE, NO_MEMORY };

/* The last bytes of a stream. */
struct tail {
	char data[COMMAND_STDERR_MAX];
	size_t len;
};

struct run {
	struct ganger_task *task;
	const struct worker_command *cmd;
	struct command_child child;
	char *input; /* owned */
	size_t input_len, input_sent;
	struct buf out;
	struct tail err;
	int64_t limit_ms; /* 0: none */
	struct mono due;  /* when there is a limit */
	enum ending ending;
	int status; /* as of waitpid; once ended */
};

static void
tail_add(struct tail *t, const char *data, size_t n)
{
	size_t keep;

	if (n > sizeof(t->data)) {
		data += n - sizeof(t->data);
		n = sizeof(t->data);
	}
	keep = t->len < sizeof(t->data) - n ? t->len : sizeof(t->data) - n;
	memmove(t->data, t->data + t->len - keep, keep);
	memcpy(t->data + keep, data, n);
	t->len = keep + n;
}

/* The last line of s that is not empty; *len_out bytes. */
static const char *
last_line(const char *s, size_t *len_out)
{
	size_t end, begin;

	end = strlen(s);
	while (end > 0 && strchr("\r\n \t", s[end - 1]) != NULL)
		end--;
	begin = end;
	while (begin > 0 && s[begin - 1] != '\n')
		begin--;
	*len_out = end - begin;
	return s + begin;
}

static void
close_end(int *fd)
{
	close(*fd);
	*fd = -1;
}

/* Give the program what its stdin has room for. */
static void
feed(struct run *r)
{
	ssize_t n;

	n = write(r->child.in, r->input + r->input_sent,
	    r->input_len - r->input_sent);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		r->input_sent += (size_t)n;
	/* EPIPE: it does not read its stdin, which is no fault. */
	if (n < 0 || r->input_sent == r->input_len)
		close_end(&r->child.in);
}

/* Read a pipe once into data; 0 when there is nothing. */
static size_t
read_pipe(int *fd, char data[READ_SIZE])
{
	ssize_t n;

	if (*fd < 0)
		return 0;
	n = read(*fd, data, READ_SIZE);
	if (n > 0)
		return (size_t)n;
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		close_end(fd);
	return 0;
}

static void
take_stdout(struct run *r)
{
	char data[READ_SIZE];

	buf_add(&r->out, data, read_pipe(&r->child.out, data));
	if (buf_error(&r->out) < 0)
		r->ending =
		    buf_error(&r->out) == -ENOBUFS ? TOO_LARGE : NO_MEMORY;
}

static void
take_stderr(struct run *r)
{
	char data[READ_SIZE];

	tail_add(&r->err, data, read_pipe(&r->child.err, data));
}

/*
 * Take what the pipe at *fd holds: what the program wrote, now that it has
 * ended.  The pipe's size bounds it, since others may go on writing there.
 */
static void
take_rest_of(struct run *r, int *fd, void (*take)(struct run *r))
{
	int left;

	left = *fd < 0 ? 0 : fcntl(*fd, F_GETPIPE_SZ);
	for (; left > 0 && *fd >= 0; left -= READ_SIZE)
		take(r);
}

static void
take_rest(struct run *r)
{
	r->ending = EXITED;
	take_rest_of(r, &r->child.err, take_stderr);
	take_rest_of(r, &r->child.out, take_stdout);
}

/* Milliseconds until `due`, at most `most`; -1 is forever. */
static int
sooner_ms(struct mono due, int most)
{
	int64_t left_ms;

	left_ms = mono_until_ms(mono_now(), due);
	if (left_ms < 0)
		return 0;
	if (left_ms > INT32_MAX)
		left_ms = INT32_MAX;
	return most >= 0 && left_ms > most ? most : (int)left_ms;
}

/* Milliseconds for poll until it is to be killed; -1: never so far. */
static int
poll_ms(const struct run *r)
{
	struct mono kill_at = job_kill_time(r->task);
	int ms = -1;

	if (r->limit_ms > 0)
		ms = sooner_ms(r->due, ms);
	if (kill_at.ns != 0)
		ms = sooner_ms(kill_at, ms);
	return ms;
}

/* True when it has to end now, by order: it had its time to do so itself. */
static bool
is_stopped(const struct run *r)
{
	struct mono kill_at = job_kill_time(r->task);

	return job_stopped(r->task) == JOB_CUT ||
	       (kill_at.ns != 0 && mono_reached(mono_now(), kill_at));
}

/* Wait once and do what there is to do. */
static void
step(struct run *r)
{
	struct pollfd fds[] = {
	    {.fd = r->child.pidfd, .events = POLLIN},
	    {.fd = r->task->wake_fd, .events = POLLIN},
	    {.fd = r->child.out, .events = POLLIN},
	    {.fd = r->child.err, .events = POLLIN},
	    {.fd = r->child.in, .events = POLLOUT},
	};
	int n;

	n = poll(fds, sizeof(fds) / sizeof(fds[0]), poll_ms(r));
	if (n < 0)
		return;
	if (fds[1].revents != 0)
		job_take_wake(r->task);
	if (fds[0].revents != 0 && job_stopped(r->task) != JOB_CUT) {
		take_rest(r);
	} else if (is_stopped(r)) {
		r->ending = STOPPED;
	} else if (r->limit_ms > 0 && mono_reached(mono_now(), r->due)) {
		r->ending = TIMED_OUT;
	} else {
		if (fds[4].revents != 0)
			feed(r);
		if (fds[3].revents != 0)
			take_stderr(r);
		if (fds[2].revents != 0)
			take_stdout(r);
	}
}

static json_t *
make_result(const struct buf *out)
{
	json_t *value;
	const char *text;
	size_t len;
	char *utf8;

	text = buf_len(out) == 0 ? "" : buf_head(out);
	len = buf_len(out);
	value = json_loadb(text, len, JSON_READ_FLAGS, NULL);
	if (value != NULL)
		return value;
	if (len > 0 && text[len - 1] == '\n')
		len--;
	utf8 = json_utf8(text, len);
	value = utf8 == NULL ? NULL : json_string_nocheck(utf8);
	free(utf8);
	return value;
}

/* Fail the job: "NAME: what: last line of stderr", and data with key: value. */
static void
fail(struct run *r, int code, bool retryable, const char *what, const char *key,
    int value)
{
	json_t *data;
	char *utf8;
	const char *line;
	size_t len;

	utf8 = json_utf8(r->err.data, r->err.len);
	line = last_line(utf8 == NULL ? "" : utf8, &len);
	data = json_object();
	if (key != NULL)
		json_object_set_new(data, key, json_integer(value));
	if (utf8 != NULL && utf8[0] != '\0')
		json_object_set_new(data, "stderr", json_string_nocheck(utf8));
	job_fail(r->task, code, retryable, data, "%s: %s%s%.*s", r->cmd->name,
	    what, len > 0 ? ": " : "", (int)len, line);
	free(utf8);
}

static void
fail_signalled(struct run *r)
{
	char what[64];
	const char *name;
	int sig;

	sig = WTERMSIG(r->status);
	name = sigabbrev_np(sig);
	snprintf(what, sizeof(what), "killed by signal %d (%s)", sig,
	    name == NULL ? "?" : name);
	fail(r, 128 + sig, true, what, "signal", sig);
}

static json_t *
finish_exited(struct run *r)
{
	char what[64];
	json_t *value;
	int status;

	if (WIFSIGNALED(r->status)) {
		if (job_stopped(r->task) == JOB_CANCELLED)
			fail(r, 0, true, "cancelled", NULL, 0);
		else
			fail_signalled(r);
		return NULL;
	}
	status = WEXITSTATUS(r->status);
	if (status != 0) {
		snprintf(what, sizeof(what), "exit status %d", status);
		fail(r, status, status == EX_TEMPFAIL, what, "status", status);
		return NULL;
	}
	value = make_result(&r->out);
	if (value == NULL)
		fail(r, EX_OSERR, true, "out of memory", NULL, 0);
	return value;
}

static json_t *
finish(struct run *r)
{
	char what[64];

	switch (r->ending) {
	case TIMED_OUT:
		r->task->over_limit = true;
		snprintf(what, sizeof(what), "over its time limit of %lld ms",
		    (long long)r->limit_ms);
		fail(r, 128 + SIGKILL, true, what, "signal", SIGKILL);
		return NULL;
	case STOPPED:
		fail(r, 0, true, "cancelled", NULL, 0);
		return NULL;
	case TOO_LARGE:
		fail(r, RPC_TOO_LARGE, false, "result too large", NULL, 0);
		return NULL;
	case NO_MEMORY:
		fail(r, EX_OSERR, true, "out of memory", NULL, 0);
		return NULL;
	case RUNNING:
	case EXITED:
		break;
	}
	return finish_exited(r);
}

/* The shorter of two limits, of which 0 is none. */
static int64_t
shorter_limit(int64_t a, int64_t b)
{
	if (a == 0 || b == 0)
		return a == 0 ? b : a;
	return a < b ? a : b;
}

/* The program's argv with its places filled; NULL: the job was failed. */
static char **
make_argv(struct run *r)
{
	struct buf missing;
	char **argv;
	int err;

	buf_init(&missing, SIZE_MAX);
	err = command_args_fill(r->cmd->argv, r->task->args, &argv, &missing);
	if (err == -ENOENT)
		job_fail(r->task, RPC_INVALID_PARAMS, false, NULL,
		    "%s: args have nothing for %.*s", r->cmd->name,
		    (int)buf_len(&missing), buf_head(&missing));
	else if (err < 0)
		job_fail(r->task, EX_OSERR, true, NULL, "%s: %s", r->cmd->name,
		    strerrordesc_np(-err));
	buf_done(&missing);
	return err < 0 ? NULL : argv;
}

/* Start the program; false: the job was failed. */
static bool
start(struct run *r)
{
	char **argv;
	bool program;
	int err, code;

	argv = make_argv(r);
	if (argv == NULL)
		return false;
	err = command_spawn(r->task, argv, &r->child, &program);
	if (err == -ECANCELED) {
		job_fail(r->task, 0, true, NULL, "%s: cancelled", r->cmd->name);
	} else if (err < 0) {
		code = EX_OSERR;
		if (program) /* as a shell would say it */
			code = err == -ENOENT ? 127 : 126;
		job_fail(r->task, code, !program, NULL, "%s: cannot run %s: %s",
		    r->cmd->name, argv[0], strerrordesc_np(-err));
	}
	command_args_free(argv);
	return err == 0;
}

/* The arguments as one line for stdin; false: the job was failed. */
static bool
make_input(struct run *r)
{
	struct buf b;

	buf_init(&b, SIZE_MAX);
	buf_add_json(&b, r->task->args);
	buf_addc(&b, '\n');
	r->input = buf_steal(&b, &r->input_len);
	if (r->input != NULL)
		return true;
	job_fail(
	    r->task, EX_OSERR, true, NULL, "%s: out of memory", r->cmd->name);
	return false;
}

json_t *
command_run(
    struct ganger_task *t, const struct worker_command *cmd, size_t max_message)
{
	struct run r;
	json_t *value;

	memset(&r, 0, sizeof(r));
	r.task = t;
	r.cmd = cmd;
	buf_init(&r.out, max_message + 1); /* a newline may end it */
	value = NULL;
	if (make_input(&r) && start(&r)) {
		r.limit_ms = shorter_limit(cmd->timeout_ms, t->timeout_ms);
		r.due = mono_add_ms(mono_now(), r.limit_ms);
		while (r.ending == RUNNING)
			step(&r);
		r.status = command_child_end(t, &r.child);
		value = finish(&r);
	}
	free(r.input);
	buf_done(&r.out);
	return value;
}
