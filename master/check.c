/* SPDX-License-Identifier: ISC */
/*
 * check.c - look into a configuration, and say what was found
 */
#include "master/check.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "ipc/json.h"
#include "master/probe.h"
#include "master/supervisor/config_ids.h"
#include "master/supervisor/config_print.h"

#define TEXT_MAX ((size_t)64 * 1024 * 1024)

const char *
check_path(const struct check_request *q)
{
	if (q->path != NULL)
		return q->path;
	return access(CHECK_USUAL_PATH, F_OK) == 0 ? CHECK_USUAL_PATH : NULL;
}

int
check_load(const struct check_request *q, struct config **config_out,
    json_t **names_out, struct buf *mistakes_out)
{
	const char *path;
	int r;

	path = check_path(q);
	r = config_load(
	    path, q->overrides, q->n_overrides, config_out, mistakes_out);
	if (r == 0) {
		r = probe_pools(*config_out, names_out, mistakes_out);
		if (r < 0)
			config_free(config_out);
	}
	if (r < 0 && buf_len(mistakes_out) == 0)
		buf_printf(mistakes_out, "can't check the configuration: %s\n",
		    strerror(-r));
	return r;
}

/* Append the lines of text as a JSON array. */
static void
add_lines(struct buf *out, const struct buf *text)
{
	const char *p, *end, *newline;
	char *line;
	bool first;

	buf_addc(out, '[');
	p = buf_len(text) == 0 ? "" : buf_head(text);
	end = p + buf_len(text);
	for (first = true; p < end; first = false) {
		newline = memchr(p, '\n', (size_t)(end - p));
		if (newline == NULL)
			newline = end;
		line = json_utf8(p, (size_t)(newline - p));
		if (!first)
			buf_addc(out, ',');
		buf_add_json_cstr(out, line == NULL ? "out of memory" : line);
		free(line);
		p = newline == end ? end : newline + 1;
	}
	buf_addc(out, ']');
}

static void
add_names(struct buf *out, const struct config *c, const json_t *names)
{
	size_t i;

	buf_addc(out, '{');
	for (i = 0; i < c->n_pools; i++) {
		buf_add_key(out, c->pools[i].name);
		buf_add_json(out, json_array_get(names, i));
	}
	buf_addc(out, '}');
}

static int
add_config(struct buf *out, const struct config *c, const json_t *names)
{
	struct buf text, ids;
	int r;

	buf_init(&text, TEXT_MAX);
	buf_init(&ids, TEXT_MAX);
	r = config_print(c, &text);
	if (r == 0)
		r = config_ids_print(c, &ids);
	if (r == 0) {
		buf_adds(out, ",\"config\":");
		buf_add_json_str(out, buf_head(&text), buf_len(&text));
		buf_adds(out, ",\"ids\":");
		buf_add_json_str(out, buf_head(&ids), buf_len(&ids));
		buf_adds(out, ",\"file\":");
		buf_adds(out, c->path == NULL ? "false" : "true");
		buf_adds(out, ",\"names\":");
		add_names(out, c, names);
		r = buf_error(out);
	}
	buf_done(&text);
	buf_done(&ids);
	return r;
}

/* Fill out with the answer.  Returns 0, or -errno when there is none. */
static int
make_answer(const struct check_request *q, struct buf *out)
{
	struct config *c = NULL;
	json_t *names = NULL;
	struct buf mistakes;
	int r;

	buf_init(&mistakes, TEXT_MAX);
	buf_adds(out, "{\"version\":");
	buf_add_json_cstr(out, GANGER_VERSION);
	if (check_load(q, &c, &names, &mistakes) == 0) {
		r = add_config(out, c, names);
	} else {
		buf_adds(out, ",\"mistakes\":");
		add_lines(out, &mistakes);
		r = buf_error(out);
	}
	buf_adds(out, "}\n");
	json_decref(names);
	config_free(&c);
	buf_done(&mistakes);
	return r < 0 ? r : buf_error(out);
}

static int
write_all(int fd, const char *p, size_t left)
{
	ssize_t n;

	while (left > 0) {
		n = write(fd, p, left);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		left -= (size_t)n;
	}
	return 0;
}

_Noreturn void
check_serve(const struct check_request *q, int fd)
{
	struct buf out;
	int r;

	buf_init(&out, 2 * TEXT_MAX);
	r = make_answer(q, &out);
	if (r == 0)
		r = write_all(fd, buf_head(&out), buf_len(&out));
	if (r < 0)
		_exit(EX_OSERR);
	/* The reader's SIGKILL ends this, as its death does. */
	for (;;)
		pause();
}
