/* SPDX-License-Identifier: ISC */
/*
 * job.c - a task inside a worker: struct ganger_task behind handler.h
 *
 * A handler may spread its work over threads of its own, so every function of
 * handler.h can be called from several threads at once.
 */
#include "worker/job.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ipc/json.h"
#include "worker/slots.h"
#include "worker/uplink.h"

#define JOB_REASON_MAX 1024 /* bytes of what a late handler said */

struct ganger_task *
job_new(const struct order *o, const struct route *route, struct uplink *uplink)
{
	struct ganger_task *t;

	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return NULL;
	t->route = route;
	t->uplink = uplink;
	t->rpc_id = o->rpc_id;
	t->id = o->id;
	t->run = o->run;
	t->attempt = o->attempt;
	t->timeout_ms = o->timeout_ms;
	t->soft_timeout_ms = o->soft_timeout_ms;
	t->args = order_take_args(o);
	t->wake_fd = -1;
	t->retry_after_ms = -1;
	atomic_init(&t->begun_ns, 0);
	atomic_init(&t->kill_ns, 0);
	atomic_init(&t->stop, JOB_GOES_ON);
	pthread_mutex_init(&t->lock, NULL);
	return t;
}

void
job_free(struct ganger_task *t)
{
	if (t == NULL)
		return;
	json_decref(t->args);
	json_decref(t->data);
	free(t->message);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* The leader may have moved to another group: it is killed by name, too. */
static void
kill_group(const struct ganger_task *t)
{
	if (t->group > 0) {
		(void)kill(-t->group, SIGKILL);
		(void)kill(t->group, SIGKILL);
	}
}

/* Replace a lesser reason; the lock of the pool keeps others out. */
static void
set_stop(struct ganger_task *t, enum job_stop why)
{
	int now;

	now = atomic_load(&t->stop);
	if (now == JOB_GOES_ON || (now == JOB_LATE && why != JOB_LATE))
		atomic_store(&t->stop, (int)why);
}

void
job_stop(struct ganger_task *t, enum job_stop why)
{
	set_stop(t, why);
	if (t->wake_fd >= 0)
		(void)eventfd_write(t->wake_fd, 1);
	pthread_mutex_lock(&t->lock);
	if (why == JOB_CUT)
		kill_group(t);
	else if (t->group > 0)
		(void)kill(-t->group, SIGTERM);
	pthread_mutex_unlock(&t->lock);
}

void
job_cancel(struct ganger_task *t, struct mono kill_at)
{
	int64_t ns = atomic_load(&t->kill_ns);
	bool again = job_stopped(t) == JOB_CANCELLED;

	/* The lock of the pool keeps other writers out. */
	if (ns == 0 || kill_at.ns < ns)
		atomic_store(&t->kill_ns, kill_at.ns);
	if (!again)
		job_stop(t, JOB_CANCELLED);
	else if (t->wake_fd >= 0)
		(void)eventfd_write(t->wake_fd, 1);
}

void
job_begin(struct ganger_task *t, struct mono now)
{
	atomic_store_explicit(&t->begun_ns, now.ns, memory_order_relaxed);
}

int64_t
job_stop_late(struct ganger_task *t, struct mono now)
{
	struct mono begun;
	int64_t left_ms;

	if (t->soft_timeout_ms == 0 || job_stopped(t) != JOB_GOES_ON)
		return 0;
	begun.ns = atomic_load_explicit(&t->begun_ns, memory_order_relaxed);
	if (begun.ns == 0)
		begun = now;
	left_ms = mono_until_ms(now, mono_add_ms(begun, t->soft_timeout_ms));
	if (left_ms > 0)
		return left_ms;
	job_stop(t, JOB_LATE);
	return 0;
}

void
job_take_wake(struct ganger_task *t)
{
	eventfd_t ignored;

	(void)eventfd_read(t->wake_fd, &ignored);
}

enum job_stop
job_stopped(const struct ganger_task *t)
{
	return (enum job_stop)atomic_load(&t->stop);
}

struct mono
job_kill_time(const struct ganger_task *t)
{
	struct mono at = {0};

	if (job_stopped(t) == JOB_CANCELLED)
		at.ns = atomic_load(&t->kill_ns);
	return at;
}

pid_t
job_fork(struct ganger_task *t)
{
	pid_t pid;

	/* Under the lock job_stop sees either the group or no child. */
	pthread_mutex_lock(&t->lock);
	if (job_stopped(t) != JOB_GOES_ON) {
		pid = -ECANCELED;
	} else {
		pid = fork();
		if (pid == 0)
			return 0;
		if (pid < 0) {
			pid = -errno;
		} else {
			/* Both sides do it: who comes first, does not matter.
			 */
			(void)setpgid(pid, pid);
			t->group = pid;
			slots_set_group(pid);
		}
	}
	pthread_mutex_unlock(&t->lock);
	return pid;
}

void
job_end_group(struct ganger_task *t)
{
	pthread_mutex_lock(&t->lock);
	kill_group(t);
	t->group = 0;
	slots_set_group(0);
	pthread_mutex_unlock(&t->lock);
}

static void __attribute__((format(printf, 5, 0)))
set_failure(struct ganger_task *t, int code, bool retryable, json_t *data,
    const char *fmt, va_list ap)
{
	char *message;

	if (vasprintf(&message, fmt, ap) < 0)
		message = NULL;
	pthread_mutex_lock(&t->lock);
	free(t->message);
	json_decref(t->data);
	t->outcome = JOB_FAILED;
	t->code = code;
	t->retryable = retryable;
	t->message = message;
	t->data = data;
	pthread_mutex_unlock(&t->lock);
}

void
job_fail(struct ganger_task *t, int code, bool retryable, json_t *data,
    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_failure(t, code, retryable, data, fmt, ap);
	va_end(ap);
}

int64_t
job_write_progress(
    struct ganger_task *t, struct mono now, bool force, struct buf *out)
{
	struct mono due;
	int64_t left_ms;

	left_ms = 0;
	pthread_mutex_lock(&t->lock);
	if (t->has_progress) {
		due = mono_add_ms(t->progress_at, JOB_PROGRESS_MS);
		if (force || mono_reached(now, due)) {
			report_progress(out, t->id, t->run, t->done, t->total,
			    t->has_note ? t->note : NULL);
			t->progress_at = now;
			t->has_progress = false;
		} else {
			left_ms = mono_until_ms(now, due);
		}
	}
	pthread_mutex_unlock(&t->lock);
	return left_ms;
}

/* The error's data, of which there is none yet in most; may be NULL. */
static json_t *
need_data(struct ganger_task *t)
{
	if (t->data == NULL)
		t->data = json_object();
	return t->data;
}

/* Let the data of an error that is tried again have the delay. */
static void
add_delay(struct ganger_task *t)
{
	if (t->retry_after_ms >= 0)
		(void)json_object_set_new(need_data(t), "retry_after_ms",
		    json_integer(t->retry_after_ms));
}

/* What the handler said becomes the reason in the error's data. */
static void
write_late(struct ganger_task *t, size_t max_message, struct buf *out)
{
	struct report_failure f = {.code = RPC_TIMED_OUT, .retryable = true};
	char message[64], *utf8;

	snprintf(message, sizeof(message),
	    "over its soft time limit of %lld ms",
	    (long long)t->soft_timeout_ms);
	f.message = message;
	if (t->message != NULL) {
		utf8 =
		    json_utf8(t->message, strnlen(t->message, JOB_REASON_MAX));
		(void)json_object_set_new(
		    need_data(t), "reason", json_string_nocheck(utf8));
		free(utf8);
	}
	add_delay(t);
	f.data = t->data;
	report_failure(out, t->rpc_id, &f, max_message);
}

static void
write_failure(struct ganger_task *t, size_t max_message, struct buf *out)
{
	struct report_failure f;

	memset(&f, 0, sizeof(f));
	if (t->outcome == JOB_FAILED) {
		if (t->retryable)
			add_delay(t);
		f.code = t->code;
		f.retryable = t->retryable;
		f.message = t->message;
		f.data = t->data;
	} else {
		f.code = RPC_INTERNAL_ERROR;
		f.message = "the handler gave neither a result nor a reason";
	}
	report_failure(out, t->rpc_id, &f, max_message);
}

void
job_write_end(struct ganger_task *t, const json_t *value, size_t max_message,
    struct buf *out)
{
	if (value != NULL)
		report_result(out, t->rpc_id, value, max_message);
	else if (t->outcome == JOB_SNOOZED)
		report_snooze(out, t->id, t->run, t->delay_ms);
	else if (job_stopped(t) == JOB_CUT)
		report_cut(out, t->id, t->run, t->ran);
	else if (job_stopped(t) == JOB_LATE && !t->over_limit)
		write_late(t, max_message, out);
	else
		write_failure(t, max_message, out);
}

void
ganger_fail(
    struct ganger_task *task, int code, bool retryable, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_failure(task, code, retryable, NULL, fmt, ap);
	va_end(ap);
}

void
ganger_snooze(struct ganger_task *task, int64_t delay_ms)
{
	pthread_mutex_lock(&task->lock);
	task->outcome = JOB_SNOOZED;
	task->delay_ms = delay_ms < 0 ? 0 : delay_ms;
	pthread_mutex_unlock(&task->lock);
}

void
ganger_retry_after(struct ganger_task *task, int64_t delay_ms)
{
	pthread_mutex_lock(&task->lock);
	task->retry_after_ms = delay_ms < 0 ? 0 : delay_ms;
	pthread_mutex_unlock(&task->lock);
}

void
ganger_progress(
    struct ganger_task *task, uint64_t done, uint64_t total, const char *note)
{
	bool news;

	pthread_mutex_lock(&task->lock);
	news = !task->has_progress;
	task->has_progress = true;
	task->done = done;
	task->total = total;
	task->has_note = note != NULL;
	if (note != NULL)
		snprintf(task->note, sizeof(task->note), "%s", note);
	pthread_mutex_unlock(&task->lock);
	if (news)
		uplink_tell_progress(task->uplink);
}

bool
ganger_cancelled(const struct ganger_task *task)
{
	return job_stopped(task) != JOB_GOES_ON;
}

bool
ganger_sleep(struct ganger_task *task, int64_t ms)
{
	struct pollfd wake = {.fd = task->wake_fd, .events = POLLIN};
	struct mono due;
	int64_t left_ms;

	due = mono_add_ms(mono_now(), ms);
	while (!ganger_cancelled(task)) {
		left_ms = mono_until_ms(mono_now(), due);
		if (left_ms <= 0)
			return true;
		(void)poll(
		    &wake, 1, left_ms > INT32_MAX ? INT32_MAX : (int)left_ms);
	}
	return false;
}

void
ganger_log(struct ganger_task *task, const char *fmt, ...)
{
	char text[REPORT_TEXT_MAX + 4]; /* as JOB_NOTE_SIZE */
	struct buf b;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf_init(&b, SIZE_MAX);
	report_log(&b, task->id, task->run, text);
	if (buf_error(&b) == 0)
		uplink_post_log(task->uplink, &b);
	buf_done(&b);
}

uint64_t
ganger_task_id(const struct ganger_task *task)
{
	return task->id;
}

const char *
ganger_task_name(const struct ganger_task *task)
{
	return task->route->name;
}

unsigned
ganger_attempt(const struct ganger_task *task)
{
	return task->attempt;
}
