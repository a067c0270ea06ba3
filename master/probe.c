/* SPDX-License-Identifier: ISC */
/*
 * probe.c - which tasks each pool can run, found out in a child
 *
 * Runs before the master's loop does, or in a process that checks, so it may
 * block.
 */
#include "master/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/json.h"
#include "master/roles.h"
#include "master/supervisor/slot.h"
#include "master/supervisor/spawn.h"
#include "worker/check.h"

#define ANSWER_MAX ((size_t)64 * 1024 * 1024)

static void
write_all(int fd, const struct buf *b)
{
	const char *p = buf_head(b);
	size_t left = buf_len(b);
	ssize_t n;

	while (left > 0) {
		n = write(fd, p, left);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(1);
		p += n;
		left -= (size_t)n;
	}
}

/* Append text, which may quote a path in any encoding, as a JSON string. */
static void
add_text(struct buf *out, const struct buf *text)
{
	char *utf8 =
	    json_utf8(buf_len(text) == 0 ? "" : buf_head(text), buf_len(text));

	buf_add_json_cstr(out, utf8 == NULL ? "out of memory" : utf8);
	free(utf8);
}

/* In the child: write {"names": [...], "mistakes": "..."}. */
static _Noreturn void
probe_child(const struct config *c, const struct config_pool *pool,
    pid_t parent, int fd)
{
	struct config_account account = config_account_of(c, pool);
	struct buf answer, names, mistakes;
	struct role_worker worker;
	int r;

	buf_init(&answer, ANSWER_MAX);
	buf_init(&names, ANSWER_MAX);
	buf_init(&mistakes, ANSWER_MAX);
	if (role_worker_init(&worker, c, pool, 0, -1) < 0)
		_exit(1);
	/* Loading runs a module's code: as the user that its pool has. */
	r = spawn_take_account(&account);
	/* After setuid, which clears it: who waits may be ended meanwhile. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	if (r < 0)
		buf_printf(
		    &mistakes, "can't become its user: %s", strerror(-r));
	else
		r = worker_check(&worker.settings, &names, &mistakes);
	buf_adds(&answer, "{\"names\":");
	if (r < 0)
		buf_adds(&answer, "[]");
	else
		buf_add(&answer, buf_head(&names), buf_len(&names));
	buf_adds(&answer, ",\"mistakes\":");
	add_text(&answer, &mistakes);
	buf_addc(&answer, '}');
	if (buf_error(&answer) < 0)
		_exit(1);
	write_all(fd, &answer);
	_exit(0);
}

static int
read_all(int fd, struct buf *out)
{
	char part[4096];
	ssize_t n;

	for (;;) {
		n = read(fd, part, sizeof(part));
		if (n == 0)
			return buf_error(out);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		buf_add(out, part, (size_t)n);
	}
}

/* Append the child's mistakes, a line each, with the place in front. */
static void
add_mistakes(const struct config *c, const struct config_pool *pool,
    const char *text, struct buf *out)
{
	const char *end;

	while (*text != '\0') {
		end = strchrnul(text, '\n');
		buf_printf(out, "%s%spool \"%s\": %.*s\n",
		    c->path == NULL ? "" : c->path, c->path == NULL ? "" : ": ",
		    pool->name, (int)(end - text), text);
		text = *end == '\0' ? end : end + 1;
	}
}

/* Take the child's answer apart: add the names, or the mistakes. */
static int
take_answer(const struct config *c, const struct config_pool *pool,
    const struct buf *answer, json_t *names, struct buf *mistakes_out)
{
	const char *mistakes;
	json_t *root, *list;
	int r;

	root = json_loadb(
	    buf_head(answer), buf_len(answer), JSON_READ_FLAGS, NULL);
	list = json_object_get(root, "names");
	mistakes = json_string_value(json_object_get(root, "mistakes"));
	if (!json_is_array(list) || mistakes == NULL) {
		r = -EPROTO;
	} else if (mistakes[0] != '\0') {
		add_mistakes(c, pool, mistakes, mistakes_out);
		r = -EINVAL;
	} else {
		r = json_array_append(names, list) < 0 ? -ENOMEM : 0;
	}
	json_decref(root);
	return r;
}

/* Run the child for one pool and read what it says, and its status. */
static int
ask_child(const struct config *c, const struct config_pool *pool,
    struct buf *answer, int *status_out)
{
	pid_t parent = getpid(), pid;
	int fds[2], r;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	(void)fflush(NULL);
	pid = fork();
	if (pid < 0) {
		r = -errno;
		close(fds[0]);
		close(fds[1]);
		return r;
	}
	if (pid == 0) {
		close(fds[0]);
		probe_child(c, pool, parent, fds[1]);
	}
	close(fds[1]);
	r = read_all(fds[0], answer);
	close(fds[0]);
	while (waitpid(pid, status_out, 0) < 0 && errno == EINTR)
		continue;
	return r;
}

static int
probe_pool(const struct config *c, const struct config_pool *pool,
    json_t *names, struct buf *mistakes_out)
{
	char text[96];
	struct buf answer;
	int status = 0, r;

	buf_init(&answer, ANSWER_MAX);
	r = ask_child(c, pool, &answer, &status);
	if (r == 0 && status != 0) {
		slot_describe_status(status, text, sizeof(text));
		add_mistakes(c, pool, "loading its modules: the process was",
		    mistakes_out);
		buf_cut(mistakes_out, buf_len(mistakes_out) - 1);
		buf_printf(mistakes_out, " %s\n", text);
		r = -EINVAL;
	}
	if (r == 0)
		r = take_answer(c, pool, &answer, names, mistakes_out);
	buf_done(&answer);
	return r;
}

int
probe_pools(
    const struct config *c, json_t **names_out, struct buf *mistakes_out)
{
	json_t *names;
	size_t i;
	int r, first;

	names = json_array();
	if (names == NULL)
		return -ENOMEM;
	for (i = 0, first = 0; i < c->n_pools; i++) {
		r = probe_pool(c, &c->pools[i], names, mistakes_out);
		if (r < 0 && first == 0)
			first = r;
	}
	if (first < 0) {
		json_decref(names);
		return first;
	}
	*names_out = names;
	return 0;
}
