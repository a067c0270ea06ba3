/* SPDX-License-Identifier: ISC */
/*
 * wordcount.c - an example of a task module: count lines, words and bytes
 *
 *	wordcount {path}  ->  {path, lines, words, bytes}
 *
 * It reports its progress, stops when it is cancelled, and fails with the
 * errno value of the call that failed.  A file that may be readable a moment
 * later is a retryable failure.
 *
 *	cc -shared -fPIC -o wordcount.so wordcount.c -ljansson
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ganger/handler.h>

#define CHUNK_SIZE (64 * 1024)

struct counts {
	uint64_t lines, words, bytes;
	bool in_word;
};

static void
count_chunk(struct counts *c, const char *data, size_t n)
{
	size_t i;
	bool space;

	for (i = 0; i < n; i++) {
		space = isspace((unsigned char)data[i]) != 0;
		c->lines += data[i] == '\n';
		c->words += !space && !c->in_word;
		c->in_word = !space;
	}
	c->bytes += n;
}

/* Count what fd holds.  0, or an errno value; ECANCELED: told to stop. */
static int
count_file(struct ganger_task *task, int fd, struct counts *c)
{
	char data[CHUNK_SIZE];
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return errno;
	while ((n = read(fd, data, sizeof(data))) != 0) {
		if (n < 0 && errno != EINTR)
			return errno;
		if (ganger_cancelled(task))
			return ECANCELED;
		if (n > 0)
			count_chunk(c, data, (size_t)n);
		ganger_progress(task, c->bytes, (uint64_t)st.st_size, "bytes");
	}
	return 0;
}

static json_t *
run_wordcount(struct ganger_task *task, json_t *args)
{
	struct counts c = {0};
	const char *path;
	int fd, err;

	path = json_string_value(json_object_get(args, "path"));
	if (path == NULL) {
		ganger_fail(
		    task, EINVAL, false, "wordcount wants {\"path\": FILE}");
		return NULL;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	err = fd < 0 ? errno : count_file(task, fd, &c);
	if (fd >= 0)
		close(fd);
	if (err == ECANCELED) {
		ganger_fail(task, 0, true, "cancelled");
		return NULL;
	}
	if (err != 0) {
		ganger_fail(task, err, err == EMFILE || err == ENFILE, "%s: %s",
		    path, strerror(err));
		return NULL;
	}
	ganger_log(task, "counted %s", path);
	return json_pack("{s:s, s:I, s:I, s:I}", "path", path, "lines",
	    (json_int_t)c.lines, "words", (json_int_t)c.words, "bytes",
	    (json_int_t)c.bytes);
}

static const struct ganger_handler handlers[] = {
    {"wordcount", run_wordcount},
    {NULL, NULL},
};

GANGER_PUBLIC const struct ganger_module ganger_module = {
    .abi = GANGER_MODULE_ABI,
    .name = "wordcount",
    .handlers = handlers,
};
