/* SPDX-License-Identifier: ISC */
/*
 * checker.c - have a configuration checked by a process of its own
 *
 * Runs in the master, but for run_check.  A check is over with the newline of
 * its answer, with its time, or with its process: then the group is killed,
 * which still has its leader unless that was reaped, and the pid forgotten.
 */
#include "master/checker.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "ipc/buf.h"
#include "ipc/json.h"
#include "master/supervisor/slot.h"
#include "master/supervisor/spawn.h"

#define ANSWER_MAX ((size_t)128 * 1024 * 1024)

/* What the child needs. */
struct birth {
	const struct checker *checker;
	const char *binary;
	int fd;
};

/* In the child: answer in the place of a program that can't be run. */
static void
answer_for(const struct birth *b, int err)
{
	char reason[PATH_MAX + 64];
	struct buf out;

	snprintf(reason, sizeof(reason), "%s can't be executed: %s", b->binary,
	    strerror(err));
	buf_init(&out, SIZE_MAX);
	buf_adds(&out, "{\"failed\":");
	buf_add_json_cstr(&out, reason);
	buf_adds(&out, "}\n");
	if (buf_error(&out) == 0)
		(void)!write(b->fd, buf_head(&out), buf_len(&out));
	buf_done(&out);
}

/* In the child: ask the program at the path, which is to keep fd. */
static int
run_other(const struct birth *b)
{
	char **argv, number[16], test[] = "-t";
	size_t i, n;

	for (n = 0; b->checker->argv[n] != NULL; n++)
		continue;
	argv = calloc(n + 3, sizeof(*argv));
	snprintf(number, sizeof(number), "%d", b->fd);
	if (argv == NULL)
		return EX_OSERR;
	if (n == 0 || setenv(CHECK_FD_ENV, number, 1) < 0 ||
	    fcntl(b->fd, F_SETFD, 0) < 0) {
		free(argv);
		return EX_OSERR;
	}
	argv[0] = b->checker->argv[0];
	/* In front: behind "--" it would be no option. */
	argv[1] = test;
	for (i = 1; i < n; i++)
		argv[i + 1] = b->checker->argv[i];
	execv(b->binary, argv);
	answer_for(b, errno);
	free(argv);
	return EX_UNAVAILABLE;
}

/* In the child. */
static int
run_check(void *arg)
{
	const struct birth *b = arg;
	sigset_t none;

	/* Modules and their programs start as they would otherwise. */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (b->binary != NULL)
		return run_other(b);
	check_serve(&b->checker->request, b->fd);
}

/* Nothing runs any more; returns whom to tell. */
static verdict_fn
finish(struct checker *c)
{
	verdict_fn done;

	if (c->pid > 0)
		(void)kill(-c->pid, SIGKILL);
	c->pid = 0;
	if (c->fd >= 0) {
		ev_io_stop(c->loop, &c->rd);
		close(c->fd);
	}
	c->fd = -1;
	if (c->loop != NULL)
		ev_timer_stop(c->loop, &c->limit);
	done = c->done;
	c->done = NULL;
	return done;
}

/* The check has failed, for one reason, which may be the want of something. */
static void
refuse(struct checker *c, bool retryable, const char *mistake)
{
	struct verdict v = {
	    .unchecked = true, .retryable = retryable, .version = ""};
	verdict_fn done;

	done = finish(c);
	buf_done(&c->answer);
	v.mistakes = json_pack("[s]", mistake);
	if (v.mistakes == NULL) {
		v.mistakes = json_array();
		v.retryable = true;
	}
	done(c->arg, &v);
	json_decref(v.mistakes);
}

/* The names of each pool, in the order of the pools.  NULL: some are missing.
 */
static json_t *
order_names(const struct config *config, const json_t *by_pool)
{
	json_t *list, *names;
	size_t i;

	names = json_array();
	for (i = 0; names != NULL && i < config->n_pools; i++) {
		list = json_object_get(by_pool, config->pools[i].name);
		if (!json_is_array(list) ||
		    json_array_append(names, list) < 0) {
			json_decref(names);
			return NULL;
		}
	}
	return names;
}

/* Load what the answer says.  0, or -errno with lines in mistakes. */
static int
take_config(const struct checker *c, const json_t *answer, struct verdict *v,
    struct buf *mistakes)
{
	const json_t *text = json_object_get(answer, "config");
	struct config_text t = {
	    .text = json_string_value(text),
	    .len = json_string_length(text),
	    .ids = json_string_value(json_object_get(answer, "ids")),
	};
	int r;

	if (t.text == NULL || t.ids == NULL)
		return -EPROTO;
	if (json_is_true(json_object_get(answer, "file")))
		t.path = check_path(&c->request);
	r = config_load_text(&t, &v->config, mistakes);
	if (r < 0)
		return r;
	v->names = order_names(v->config, json_object_get(answer, "names"));
	if (v->names != NULL)
		return 0;
	config_free(&v->config);
	return -EPROTO;
}

/* The answer can't be taken, as r and maybe mistakes, which is used up, say. */
static void
refuse_answer(struct checker *c, int r, struct buf *mistakes)
{
	struct buf b;
	char *text;
	size_t n;

	n = buf_len(mistakes);
	buf_init(&b, SIZE_MAX);
	buf_printf(&b, "the answer of the check is of no use: %s%s%.*s",
	    strerror(-r), n > 0 ? ": " : "", n > 0 ? (int)n - 1 : 0,
	    n > 0 ? buf_head(mistakes) : "");
	text = buf_error(&b) < 0 ? NULL : json_utf8(buf_head(&b), buf_len(&b));
	buf_done(&b);
	buf_done(mistakes);
	refuse(c, r == -ENOMEM, text == NULL ? "out of memory" : text);
	free(text);
}

/* The answer is complete: len bytes of JSON. */
static void
take_answer(struct checker *c, size_t len)
{
	struct verdict v = {.version = NULL};
	struct buf mistakes;
	json_t *answer, *lines, *failed;
	verdict_fn done;
	int r;

	answer =
	    json_loadb(buf_head(&c->answer), len, JSON_REJECT_DUPLICATES, NULL);
	buf_done(&c->answer);
	failed = json_object_get(answer, "failed");
	if (failed != NULL) {
		refuse(c, false, json_string_value(failed));
		json_decref(answer);
		return;
	}
	buf_init(&mistakes, SIZE_MAX);
	lines = json_object_get(answer, "mistakes");
	r = 0;
	if (json_array_size(lines) > 0)
		v.mistakes = lines;
	else if (!json_is_string(json_object_get(answer, "config")))
		r = -EPROTO;
	else if (c->other)
		/* What another version prints may be more than this reads. */
		v.answer = answer;
	else
		r = take_config(c, answer, &v, &mistakes);
	if (r < 0) {
		refuse_answer(c, r, &mistakes);
		json_decref(answer);
		return;
	}
	buf_done(&mistakes);
	v.version = json_string_value(json_object_get(answer, "version"));
	if (v.version == NULL)
		v.version = "";
	done = finish(c);
	done(c->arg, &v);
	json_decref(answer);
}

/* Read what is there.  1: the answer was complete, and the check is over. */
static int
take_bytes(struct checker *c)
{
	const char *newline;
	char part[16384];
	ssize_t n;

	while ((n = read(c->fd, part, sizeof(part))) > 0) {
		buf_add(&c->answer, part, (size_t)n);
		newline = memchr(part, '\n', (size_t)n);
		if (newline == NULL)
			continue;
		if (buf_error(&c->answer) < 0)
			break;
		take_answer(
		    c, buf_len(&c->answer) - (size_t)(part + n - newline));
		return 1;
	}
	if (buf_error(&c->answer) < 0) {
		refuse(c, true, "the answer of the check is too large");
		return 1;
	}
	if (n == 0) {
		/* Its process has ended, or will be: its reaping follows. */
		ev_io_stop(c->loop, &c->rd);
		close(c->fd);
		c->fd = -1;
		if (c->pid > 0)
			(void)kill(-c->pid, SIGKILL);
	}
	return 0;
}

static void
on_readable(struct ev_loop *loop, struct ev_io *w, int revents)
{
	(void)loop;
	(void)revents;
	(void)take_bytes(w->data);
}

static void
on_limit(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	char text[96];

	(void)loop;
	(void)revents;
	snprintf(text, sizeof(text),
	    "the check was not over after %d s: a file or a module does not "
	    "come to its end",
	    CHECKER_LIMIT_MS / 1000);
	refuse(w->data, true, text);
}

void
checker_init(
    struct checker *c, const struct check_request *request, char *const *argv)
{
	memset(c, 0, sizeof(*c));
	c->request = *request;
	c->argv = argv;
	c->fd = -1;
	ev_init(&c->rd, on_readable);
	ev_timer_init(&c->limit, on_limit, 0., 0.);
	c->rd.data = c->limit.data = c;
	buf_init(&c->answer, ANSWER_MAX);
}

int
checker_load(const struct checker *c, const json_t *answer,
    struct config **config_out, json_t **names_out)
{
	struct verdict v = {.config = NULL};
	struct buf mistakes;
	int r;

	buf_init(&mistakes, SIZE_MAX);
	r = take_config(c, answer, &v, &mistakes);
	buf_done(&mistakes);
	if (r < 0)
		return r;
	*config_out = v.config;
	*names_out = v.names;
	return 0;
}

void
checker_done(struct checker *c)
{
	checker_cancel(c);
}

/* Fork the child, which answers on the pipe.  0 or -errno. */
static int
start_child(struct checker *c, const char *binary, const int fds[2])
{
	struct birth b = {.checker = c, .binary = binary, .fd = fds[1]};
	const struct spawn spawn = {
	    .title = "check",
	    .keep_fd = fds[1],
	    .death_signal = SIGKILL,
	    .run = run_check,
	    .arg = &b,
	};
	pid_t pid;

	if (fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	pid = spawn_child(&spawn);
	if (pid < 0)
		return (int)pid;
	c->pid = pid;
	return 0;
}

int
checker_start(struct checker *c, struct ev_loop *loop, const char *binary,
    verdict_fn done, void *arg)
{
	int fds[2], r;

	if (c->done != NULL)
		return -EBUSY;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	r = start_child(c, binary, fds);
	close(fds[1]);
	if (r < 0) {
		close(fds[0]);
		return r;
	}
	c->loop = loop;
	c->done = done;
	c->arg = arg;
	c->fd = fds[0];
	c->other = binary != NULL;
	buf_reset(&c->answer);
	ev_io_set(&c->rd, c->fd, EV_READ);
	ev_io_start(loop, &c->rd);
	ev_now_update(loop);
	ev_timer_set(&c->limit, CHECKER_LIMIT_MS / 1000., 0.);
	ev_timer_start(loop, &c->limit);
	return 0;
}

void
checker_cancel(struct checker *c)
{
	(void)finish(c);
	buf_done(&c->answer);
}

bool
checker_reaped(struct checker *c, pid_t pid, int status)
{
	char how[96], text[160];

	if (pid <= 0 || pid != c->pid)
		return false;
	c->pid = 0;
	/* It may have written the last bytes just now. */
	if (c->fd >= 0 && take_bytes(c) > 0)
		return true;
	slot_describe_status(status, how, sizeof(how));
	snprintf(text, sizeof(text), "%s %s%s without an answer",
	    c->other ? "the new program" : "the check",
	    WIFSIGNALED(status) ? "was " : "", how);
	refuse(c, false, text);
	return true;
}
