/* SPDX-License-Identifier: ISC */
/*
 * output.c - what a worker prints becomes lines of the log
 */
#include "master/supervisor/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ipc/clock.h"
#include "ipc/json.h"
#include "ipc/log.h"

#define CHUNK_SIZE    4096
#define CHARACTER_MAX 4 /* bytes of a character of UTF-8 */

void
output_init(struct output *o)
{
	memset(o, 0, sizeof(*o));
	o->fd = -1;
}

static void
tell_dropped(struct output *o)
{
	char text[64];
	int n;

	ev_timer_stop(o->loop, &o->tell);
	if (o->n_dropped == 0)
		return;
	n = snprintf(text, sizeof(text), "%lu line%s of output %s dropped",
	    o->n_dropped, o->n_dropped == 1 ? "" : "s",
	    o->n_dropped == 1 ? "was" : "were");
	log_write_as(o->name, o->pid, LOG_WARN, text, (size_t)n);
	o->n_dropped = 0;
}

static void
on_tell(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	tell_dropped(w->data);
}

static void
drop_line(struct output *o)
{
	o->n_dropped++;
	if (ev_is_active(&o->tell))
		return;
	ev_timer_set(&o->tell, OUTPUT_TELL_S, 0.);
	ev_timer_start(o->loop, &o->tell);
}

/* Find the level of a line; returns how many of its bytes say so. */
static size_t
read_level(const char *line, size_t len, enum log_level *level_out)
{
	static const enum log_level levels[] = {LOG_ERROR, LOG_ERROR, LOG_ERROR,
	    LOG_ERROR, LOG_WARN, LOG_INFO, LOG_INFO, LOG_DEBUG};

	*level_out = LOG_INFO;
	if (len < 3 || line[0] != '<' || line[1] < '0' || line[1] > '7' ||
	    line[2] != '>')
		return 0;
	*level_out = levels[line[1] - '0'];
	return 3;
}

/* Log the first n bytes of the line, or all of it, and keep the others. */
static void
put_line(struct output *o, size_t n, bool ends)
{
	size_t skip = 0, shown = n;

	if (!o->parted)
		skip = read_level(o->line, n, &o->level);
	o->parted = !ends;
	if (shown > skip && ends && o->line[shown - 1] == '\r')
		shown--;
	if (shown == skip || !log_wants(o->level))
		; /* an empty line tells nothing */
	else if (budget_take(&o->budget, mono_now()))
		log_write_as(
		    o->name, o->pid, o->level, o->line + skip, shown - skip);
	else
		drop_line(o);
	o->len -= n;
	memmove(o->line, o->line + n, o->len);
}

/* Where a line that is too long is cut: not inside a character. */
static size_t
cut_before_character(const char *line, size_t len)
{
	size_t back;

	for (back = 1; back < CHARACTER_MAX && back < len; back++) {
		unsigned char c = (unsigned char)line[len - back];

		if (c < 0x80)
			break;
		if (c >= 0xc0) /* its first byte */
			return json_utf8_char(line + len - back, back) == 0
				   ? len - back
				   : len;
	}
	return len;
}

static void
take_bytes(struct output *o, const char *data, size_t len)
{
	const char *newline;
	size_t n, room;

	while (len > 0) {
		newline = memchr(data, '\n', len);
		n = newline == NULL ? len : (size_t)(newline - data);
		room = sizeof(o->line) - o->len;
		if (n > room) {
			memcpy(o->line + o->len, data, room);
			o->len += room;
			data += room;
			len -= room;
			put_line(
			    o, cut_before_character(o->line, o->len), false);
			continue;
		}
		memcpy(o->line + o->len, data, n);
		o->len += n;
		data += n;
		len -= n;
		if (newline == NULL)
			continue;
		put_line(o, o->len, true);
		data++;
		len--;
	}
}

/* Read until there is nothing, or max bytes were read.  False at the end. */
static bool
read_some(struct output *o, size_t max)
{
	char data[CHUNK_SIZE];
	size_t total = 0;
	ssize_t n;

	while (total < max) {
		n = read(o->fd, data, sizeof(data));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		if (n == 0)
			return false;
		take_bytes(o, data, (size_t)n);
		total += (size_t)n;
	}
	return true;
}

static void
on_readable(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct output *o = w->data;

	(void)revents;
	if (!read_some(o, OUTPUT_TURN_MAX))
		ev_io_stop(loop, w); /* nobody can write any more */
}

static void
start(struct output *o, struct ev_loop *loop, const char *name, int fd)
{
	output_init(o);
	o->loop = loop;
	o->fd = fd;
	snprintf(o->name, sizeof(o->name), "%s", name);
	budget_init(&o->budget, OUTPUT_PER_SECOND, OUTPUT_BURST, mono_now());
	ev_timer_init(&o->tell, on_tell, OUTPUT_TELL_S, 0.);
	ev_io_init(&o->readable, on_readable, fd, EV_READ);
	/* Orders and deaths first. */
	ev_set_priority(&o->readable, EV_MINPRI);
	o->readable.data = o->tell.data = o;
	ev_io_start(loop, &o->readable);
}

int
output_open(
    struct output *o, struct ev_loop *loop, const char *name, int *write_fd_out)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	start(o, loop, name, fds[0]);
	*write_fd_out = fds[1];
	return 0;
}

void
output_adopt(
    struct output *o, struct ev_loop *loop, const char *name, pid_t pid, int fd)
{
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	start(o, loop, name, fd);
	o->pid = pid;
}

void
output_set_pid(struct output *o, pid_t pid)
{
	o->pid = pid;
}

int
output_fd(const struct output *o)
{
	return o->fd;
}

void
output_flush(struct output *o)
{
	if (o->fd < 0)
		return;
	if (o->len > 0)
		put_line(o, o->len, true);
	tell_dropped(o);
}

void
output_drain(struct output *o)
{
	if (o->fd < 0)
		return;
	(void)read_some(o, OUTPUT_DRAIN_MAX);
	output_flush(o);
}

void
output_close(struct output *o)
{
	if (o->fd < 0)
		return;
	ev_io_stop(o->loop, &o->readable);
	ev_timer_stop(o->loop, &o->tell);
	close(o->fd);
	output_init(o);
}

int
output_redirect(int write_fd)
{
	static char buffer[CHUNK_SIZE];

	if (dup2(write_fd, STDOUT_FILENO) < 0 ||
	    dup2(write_fd, STDERR_FILENO) < 0)
		return -errno;
	/* With a new buffer: one in use would stay as it is. */
	(void)setvbuf(stdout, buffer, _IOLBF, sizeof(buffer));
	return 0;
}
