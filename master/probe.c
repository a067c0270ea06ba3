/* SPDX-License-Identifier: ISC */
/*
 * probe.c - which tasks each pool can run, found out in a child
 *
 * Runs before the master's loop does, so it may block.
 */
#include "master/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/json.h"
#include "master/roles.h"
#include "master/supervisor/slot.h"
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

/* In the child: write [{"names": […], "mistakes": "…"}, …]. */
static _Noreturn void
probe_child(const struct config *c, int fd)
{
	struct buf answer, names, mistakes;
	struct role_worker worker;
	size_t i;

	buf_init(&answer, ANSWER_MAX);
	buf_init(&names, ANSWER_MAX);
	buf_init(&mistakes, ANSWER_MAX);
	buf_addc(&answer, '[');
	for (i = 0; i < c->n_pools; i++) {
		if (role_worker_init(&worker, c, &c->pools[i], 0, -1) < 0)
			_exit(1);
		buf_reset(&names);
		buf_reset(&mistakes);
		if (worker_check(&worker.settings, &names, &mistakes) < 0) {
			buf_reset(&names);
			buf_adds(&names, "[]");
		}
		buf_adds(&answer, i == 0 ? "{\"names\":" : ",{\"names\":");
		buf_add(&answer, buf_head(&names), buf_len(&names));
		buf_adds(&answer, ",\"mistakes\":");
		add_text(&answer, &mistakes);
		buf_addc(&answer, '}');
		role_worker_done(&worker);
	}
	buf_addc(&answer, ']');
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

/* Split the child's answer into names and mistakes. */
static int
take_answer(const struct config *c, const struct buf *answer,
    json_t **names_out, struct buf *mistakes_out)
{
	json_t *root, *names, *item;
	const char *text, *end;
	bool wrong = false;
	size_t i;

	root = json_loadb(
	    buf_head(answer), buf_len(answer), JSON_READ_FLAGS, NULL);
	names = json_array();
	if (json_array_size(root) != c->n_pools || names == NULL) {
		json_decref(root);
		json_decref(names);
		return -EPROTO;
	}
	json_array_foreach(root, i, item) {
		json_array_append(names, json_object_get(item, "names"));
		text = json_string_value(json_object_get(item, "mistakes"));
		for (; text != NULL && *text != '\0'; text = end + 1) {
			wrong = true;
			end = strchrnul(text, '\n');
			buf_printf(mistakes_out, "pool \"%s\": %.*s\n",
			    c->pools[i].name, (int)(end - text), text);
			if (*end == '\0')
				break;
		}
	}
	json_decref(root);
	if (wrong) {
		json_decref(names);
		return -EINVAL;
	}
	*names_out = names;
	return 0;
}

int
probe_pools(
    const struct config *c, json_t **names_out, struct buf *mistakes_out)
{
	char text[96];
	struct buf answer;
	int fds[2], status, r;
	pid_t pid;

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
		probe_child(c, fds[1]);
	}
	close(fds[1]);
	buf_init(&answer, ANSWER_MAX);
	r = read_all(fds[0], &answer);
	close(fds[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (r == 0 && status != 0) {
		slot_describe_status(status, text, sizeof(text));
		buf_printf(mistakes_out,
		    "loading the pools' modules: the process was %s\n", text);
		r = -EINVAL;
	}
	if (r == 0)
		r = take_answer(c, &answer, names_out, mistakes_out);
	buf_done(&answer);
	return r;
}
