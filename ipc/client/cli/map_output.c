/* SPDX-License-Identifier: ISC */
/*
 * map_output.c - results as lines
 *
 * stdout is not made non-blocking: the flag would be the other processes', too,
 * that have the same pipe or terminal.
 */
#include "ipc/client/cli/map_output.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BYTES_MAX ((size_t)64 * 1024 * 1024)

int
map_output_init(struct map_output *o, int fd, size_t slots)
{
	struct stat st;

	memset(o, 0, sizeof(*o));
	buf_init(&o->out, SIZE_MAX);
	o->fd = fd;
	o->takes_all = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	o->ordered = slots > 0;
	return o->ordered ? window_init(&o->window, slots) : 0;
}

void
map_output_done(struct map_output *o)
{
	if (o->ordered)
		window_done(&o->window);
	buf_done(&o->out);
}

bool
map_output_has_room(const struct map_output *o, uint64_t n)
{
	if (buf_len(&o->out) >= BYTES_MAX)
		return false;
	/* The one that all wait for is always let in. */
	return !o->ordered || n == o->window.head ||
	       (window_has(&o->window, n) && o->window.bytes < BYTES_MAX);
}

/* Move what is in order now to the output. */
static void
pop_all(struct map_output *o)
{
	char *text;
	size_t len;

	while ((text = window_pop(&o->window, &len)) != NULL) {
		buf_add(&o->out, text, len);
		buf_addc(&o->out, '\n');
		free(text);
	}
}

int
map_output_put(struct map_output *o, uint64_t n, const char *text, size_t len)
{
	char *copy;

	if (o->ordered && n != o->window.head) {
		copy = malloc(len + 1);
		if (copy == NULL)
			return -ENOMEM;
		memcpy(copy, text, len);
		window_put(&o->window, n, copy, len);
		return 0;
	}
	buf_add(&o->out, text, len);
	buf_addc(&o->out, '\n');
	if (o->ordered) {
		window_pass(&o->window);
		pop_all(o);
	}
	return buf_error(&o->out);
}

bool
map_output_wants_write(const struct map_output *o)
{
	return buf_len(&o->out) > 0;
}

static bool
is_writable(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLOUT};

	return poll(&pfd, 1, 0) > 0;
}

int
map_output_write(struct map_output *o)
{
	ssize_t n;
	size_t len;

	while ((len = buf_len(&o->out)) > 0) {
		if (!o->takes_all) {
			if (!is_writable(o->fd))
				return 0;
			/* As much as a writable pipe takes for sure. */
			len = len < PIPE_BUF ? len : PIPE_BUF;
		}
		n = write(o->fd, buf_head(&o->out), len);
		if (n >= 0)
			buf_consume(&o->out, (size_t)n);
		else if (errno == EINTR || errno == EAGAIN)
			return 0;
		else
			return -errno;
	}
	return 0;
}
