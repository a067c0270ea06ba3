/* SPDX-License-Identifier: ISC */
/*
 * worker_proc.c - a worker process at the end of a socket pair
 */
#include "tests/lib/worker_proc.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/log.h"
#include "ipc/sock.h"
#include "worker/runtime.h"

_Noreturn static void
be_worker(const struct worker_settings *s, int fd, const char *log_path)
{
	struct worker_settings mine = *s;
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setpgid(0, 0);
	if (log_open(log_path) < 0)
		_exit(99);
	mine.fd = fd;
	/* Not _exit: a leak checker looks at the end of the process. */
	exit(worker_run(&mine));
}

void
worker_proc_start(struct worker_proc *w, const struct worker_settings *s,
    const char *log_path)
{
	int fds[2];

	assert_int_equal(sock_pair(SOCK_STREAM, fds), 0);
	fflush(stdout);
	fflush(stderr);
	w->pid = fork();
	assert_true(w->pid >= 0);
	if (w->pid == 0) {
		close(fds[0]);
		be_worker(s, fds[1], log_path);
	}
	close(fds[1]);
	w->fd = fds[0];
	buf_init(&w->in, SIZE_MAX);
}

void
worker_proc_start_ready(struct worker_proc *w, const struct worker_settings *s,
    const char *log_path)
{
	worker_proc_start(w, s, log_path);
	json_decref(worker_proc_note(w, "worker.hello"));
}

/* Wait until fd is ready for events; false: it took too long. */
static bool
await(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, WORKER_PROC_WAIT_MS) == 1;
}

void
worker_proc_write(struct worker_proc *w, const char *data, size_t n)
{
	ssize_t sent;

	while (n > 0) {
		assert_true(await(w->fd, POLLOUT));
		sent = send(w->fd, data, n, MSG_NOSIGNAL);
		if (sent < 0 && errno == EAGAIN)
			continue;
		assert_true(sent > 0);
		data += sent;
		n -= (size_t)sent;
	}
}

void
worker_proc_send(struct worker_proc *w, const char *fmt, ...)
{
	struct buf b;
	va_list ap;

	buf_init(&b, SIZE_MAX);
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	buf_addc(&b, '\n');
	assert_int_equal(buf_error(&b), 0);
	worker_proc_write(w, buf_head(&b), buf_len(&b));
	buf_done(&b);
}

void
worker_proc_run(
    struct worker_proc *w, int id, const char *name, const char *args)
{
	worker_proc_send(w,
	    "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"task.run\",\"params\":"
	    "{\"id\":%d,\"run\":1,\"name\":\"%s\",\"args\":%s,\"attempt\":1,"
	    "\"timeout_ms\":0}}",
	    id + 1000, id, name, args);
}

void
worker_proc_cancel(struct worker_proc *w, int id, int run)
{
	worker_proc_send(w,
	    "{\"jsonrpc\":\"2.0\",\"method\":\"task.cancel\",\"params\":"
	    "{\"id\":%d,\"run\":%d}}",
	    id, run);
}

void
worker_proc_begin(struct worker_proc *w, int id, const char *name)
{
	worker_proc_run(w, id, name, "null");
	json_decref(worker_proc_note(w, "task.progress"));
}

void
worker_proc_pill(struct worker_proc *w)
{
	worker_proc_send(w,
	    "{\"jsonrpc\":\"2.0\",\"method\":\"worker.stop\",\"params\":{}}");
}

/* Read more; false at end of file. */
static bool
read_more(struct worker_proc *w)
{
	char data[65536];
	ssize_t n;

	assert_true(await(w->fd, POLLIN));
	n = read(w->fd, data, sizeof(data));
	/* A worker that dies with input unread resets the connection. */
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return false;
	assert_true(n > 0);
	buf_add(&w->in, data, (size_t)n);
	return true;
}

json_t *
worker_proc_next(struct worker_proc *w)
{
	const char *line, *end;
	json_t *msg;

	for (;;) {
		line = buf_head(&w->in);
		end = buf_len(&w->in) == 0
			  ? NULL
			  : memchr(line, '\n', buf_len(&w->in));
		if (end != NULL)
			break;
		assert_true(read_more(w));
	}
	msg = json_loadb(line, (size_t)(end - line), 0, NULL);
	assert_non_null(msg);
	assert_string_equal(
	    json_string_value(json_object_get(msg, "jsonrpc")), "2.0");
	buf_consume(&w->in, (size_t)(end + 1 - line));
	return msg;
}

static bool
is_progress(const json_t *msg)
{
	const char *method;

	method = json_string_value(json_object_get(msg, "method"));
	return method != NULL && strcmp(method, "task.progress") == 0;
}

/* The member of the answer to task id, a new reference. */
static json_t *
take_answer(struct worker_proc *w, int id, const char *member)
{
	json_t *msg, *value;

	while (is_progress(msg = worker_proc_next(w)))
		json_decref(msg);
	value = json_incref(json_object_get(msg, member));
	if (value == NULL)
		print_error("no %s in: %s\n", member, json_dumps(msg, 0));
	assert_non_null(value);
	assert_int_equal(
	    json_integer_value(json_object_get(msg, "id")), id + 1000);
	json_decref(msg);
	return value;
}

json_t *
worker_proc_result(struct worker_proc *w, int id)
{
	return take_answer(w, id, "result");
}

json_t *
worker_proc_error(struct worker_proc *w, int id)
{
	return take_answer(w, id, "error");
}

json_t *
worker_proc_note(struct worker_proc *w, const char *method)
{
	json_t *msg, *params;

	msg = worker_proc_next(w);
	assert_null(json_object_get(msg, "id"));
	assert_string_equal(
	    json_string_value(json_object_get(msg, "method")), method);
	params = json_incref(json_object_get(msg, "params"));
	json_decref(msg);
	return params;
}

void
worker_proc_expect_result(struct worker_proc *w, int id, const char *want_text)
{
	json_t *value, *want;

	value = worker_proc_result(w, id);
	want = json_loads(want_text, JSON_DECODE_ANY, NULL);
	assert_non_null(want);
	if (!json_equal(value, want))
		fail_msg("not %s: %s", want_text,
		    json_dumps(value, JSON_ENCODE_ANY));
	json_decref(want);
	json_decref(value);
}

void
worker_proc_expect_error(struct worker_proc *w, int id, int code)
{
	json_t *error;

	error = worker_proc_error(w, id);
	assert_int_equal(
	    json_integer_value(json_object_get(error, "code")), code);
	assert_true(json_is_boolean(
	    json_object_get(json_object_get(error, "data"), "retryable")));
	json_decref(error);
}

void
worker_proc_expect_snooze(struct worker_proc *w, int id, int delay_ms)
{
	json_t *params, *want;

	params = worker_proc_note(w, "task.snooze");
	want = json_pack(
	    "{s:i,s:i,s:i}", "id", id, "run", 1, "delay_ms", delay_ms);
	assert_true(json_equal(params, want));
	json_decref(want);
	json_decref(params);
}

void
worker_proc_expect_cut(struct worker_proc *w, int id)
{
	json_t *params, *want;

	params = worker_proc_note(w, "task.snooze");
	want = json_pack(
	    "{s:i,s:i,s:i,s:b}", "id", id, "run", 1, "delay_ms", 0, "cut", 1);
	assert_true(json_equal(params, want));
	json_decref(want);
	json_decref(params);
}

void
worker_proc_expect_eof(struct worker_proc *w)
{
	while (read_more(w))
		continue;
	assert_int_equal(buf_len(&w->in), 0);
}

void
worker_proc_close(struct worker_proc *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

int
worker_proc_wait(struct worker_proc *w)
{
	int status, pidfd;

	pidfd = pidfd_open(w->pid, 0);
	assert_true(pidfd >= 0);
	if (!await(pidfd, POLLIN)) {
		kill(w->pid, SIGKILL);
		fail_msg("the worker does not end");
	}
	close(pidfd);
	assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
	worker_proc_close(w);
	buf_done(&w->in);
	return status;
}

void
worker_proc_finish(struct worker_proc *w)
{
	worker_proc_pill(w);
	worker_proc_expect_eof(w);
	assert_int_equal(worker_proc_wait(w), 0);
}
