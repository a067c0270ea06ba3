/* SPDX-License-Identifier: ISC */
/*
 * program.c - what the supervisor needs of the rest of the program
 */
#include "master/program.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "ipc/log.h"
#include "master/detach.h"

static int
run_broker(void *arg, const struct config *c, json_t *names, int ctl_fd)
{
	const struct program *p = arg;

	return role_run_broker(&p->roles, c, names, ctl_fd);
}

static int
run_worker(void *arg, const struct config *c, const struct config_pool *pool,
    unsigned number, int channel_fd, struct page *page)
{
	(void)arg;
	return role_run_worker(c, pool, number, channel_fd, page);
}

static int
shared_fd(void *arg)
{
	const struct program *p = arg;

	return p->roles.shared_fd;
}

static int
write_settings(
    void *arg, const struct config *c, json_t *names, struct buf *out)
{
	const struct program *p = arg;
	struct roles_now now = {
	    .started_at = p->roles.started_at,
	    .master_pid = p->roles.master_pid,
	    .debug = p->roles.debug,
	};

	return roles_write_settings(c, names, &now, out);
}

static void
on_serving(void *arg)
{
	const struct program *p = arg;

	log_set_echo(false);
	/* The log would hold on to the pipe that the caller has left. */
	if (detach_ready() && p->to_stderr)
		(void)log_open("-");
}

static int
check_start(
    void *arg, struct ev_loop *loop, bool renewed, verdict_fn fn, void *fn_arg)
{
	struct program *p = arg;

	return checker_start(
	    &p->checker, loop, renewed ? p->renew.path : NULL, fn, fn_arg);
}

static int
load_checked(void *arg, const json_t *answer, struct config **config_out,
    json_t **names_out)
{
	const struct program *p = arg;

	return checker_load(&p->checker, answer, config_out, names_out);
}

static void
check_cancel(void *arg)
{
	struct program *p = arg;

	checker_cancel(&p->checker);
}

static bool
check_reaped(void *arg, pid_t pid, int status)
{
	struct program *p = arg;

	return checker_reaped(&p->checker, pid, status);
}

static int
open_binary(void *arg)
{
	const struct program *p = arg;

	return renew_open(&p->renew);
}

static int
exec_binary(void *arg, int binary_fd, int handover_fd)
{
	const struct program *p = arg;

	return renew_exec(&p->renew, binary_fd, handover_fd);
}

/* Let a descriptor stay open over an exec, or not. */
static void
keep(int fd, bool keep_it)
{
	if (fd >= 0)
		(void)fcntl(fd, F_SETFD, keep_it ? 0 : FD_CLOEXEC);
}

static int
hand_over(void *arg, json_t *state, bool keep_fds)
{
	const struct program *p = arg;
	struct log_setup log;
	int fds[LOCK_N_FDS], i, r = 0;
	json_t *locks;

	lock_fds(&p->lock, fds);
	for (i = 0; i < LOCK_N_FDS; i++)
		keep(fds[i], keep_fds);
	keep(p->roles.shared_fd, keep_fds);
	log_save(&log);
	keep(log.fd, keep_fds);
	if (state == NULL)
		return 0;
	locks = json_array();
	for (i = 0; i < LOCK_N_FDS; i++)
		(void)json_array_append_new(locks, json_integer(fds[i]));
	r |= json_object_set_new(state, "locks", locks);
	r |= json_object_set_new(
	    state, "shared", json_integer(p->roles.shared_fd));
	r |= json_object_set_new(
	    state, "started_at", json_integer(p->roles.started_at));
	r |= json_object_set_new(state, "log_fd", json_integer(log.fd));
	return r < 0 ? -ENOMEM : 0;
}

const struct supervisor_ops program_ops = {
    .run_broker = run_broker,
    .run_worker = run_worker,
    .shared_fd = shared_fd,
    .write_settings = write_settings,
    .on_serving = on_serving,
    .check_start = check_start,
    .load_checked = load_checked,
    .check_cancel = check_cancel,
    .check_reaped = check_reaped,
    .open_binary = open_binary,
    .exec_binary = exec_binary,
    .hand_over = hand_over,
};

/* A descriptor of the image before; -1: none. */
static int
get_fd(const json_t *v)
{
	int fd = json_is_integer(v) ? (int)json_integer_value(v) : -1;

	return fd >= 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? fd : -1;
}

/* Log where the image before did. */
static void
resume_log(const struct config *c, int fd)
{
	log_set_level(c->log_level);
	log_set_format(c->log_format);
	log_set_owner(c->account.uid, c->account.gid);
	if (fd < 0 || log_adopt(fd, c->log_file) < 0)
		(void)log_open(c->log_file);
}

/* Load the configuration that was in use, or else the one that was checked. */
static int
load(const struct program *p, json_t *state, struct config **config_out,
    json_t **names_out)
{
	struct config_text text = {
	    .path = json_string_value(json_object_get(state, "path")),
	    .text = json_string_value(json_object_get(state, "config")),
	    .ids = json_string_value(json_object_get(state, "ids")),
	};
	struct buf mistakes;
	int r;

	buf_init(&mistakes, SIZE_MAX);
	r = -EPROTO;
	if (text.text != NULL) {
		text.len = strlen(text.text);
		r = config_load_text(&text, config_out, &mistakes);
	}
	buf_done(&mistakes);
	if (r == 0) {
		*names_out = json_incref(json_object_get(state, "names"));
		return 0;
	}
	return checker_load(
	    &p->checker, json_object_get(state, "next"), config_out, names_out);
}

int
program_resume(struct program *p, json_t *state, struct config **config_out,
    json_t **names_out)
{
	int fds[LOCK_N_FDS], i, r;
	json_t *locks;

	r = load(p, state, config_out, names_out);
	if (r < 0) {
		log_error("upgrade: can't read what was handed over: %s",
		    strerror(-r));
		return r;
	}
	resume_log(*config_out, get_fd(json_object_get(state, "log_fd")));
	p->to_stderr = strcmp((*config_out)->log_file, "-") == 0;
	locks = json_object_get(state, "locks");
	for (i = 0; i < LOCK_N_FDS; i++)
		fds[i] = get_fd(json_array_get(locks, (size_t)i));
	lock_adopt(&p->lock, *config_out, fds);
	r = roles_resume(&p->roles, get_fd(json_object_get(state, "shared")),
	    json_integer_value(json_object_get(state, "started_at")));
	if (r < 0)
		log_error("upgrade: can't map what was handed over: %s",
		    strerror(-r));
	return r;
}
