/* SPDX-License-Identifier: ISC */
/*
 * handover_out.c - write records for another process to memory without a name
 */
#include "master/broker/handover_out.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ipc/json.h"

#define FLUSH_SIZE ((size_t)256 * 1024) /* gathered before it is written */

int
handover_out_open(struct handover_out *o)
{
	o->error = 0;
	buf_init(&o->buf, SIZE_MAX);
	o->fd = memfd_create("ganger-broker", MFD_CLOEXEC);
	return o->fd < 0 ? -errno : 0;
}

void
handover_out_done(struct handover_out *o)
{
	if (o->fd >= 0)
		close(o->fd);
	o->fd = -1;
	buf_done(&o->buf);
}

static void
write_all(struct handover_out *o, const char *data, size_t n)
{
	ssize_t done;

	while (n > 0 && o->error == 0) {
		done = write(o->fd, data, n);
		if (done < 0 && errno != EINTR)
			o->error = -errno;
		if (done <= 0)
			continue;
		data += done;
		n -= (size_t)done;
	}
}

static void
flush(struct handover_out *o)
{
	if (o->error == 0)
		o->error = buf_error(&o->buf);
	write_all(o, buf_head(&o->buf), buf_len(&o->buf));
	buf_reset(&o->buf);
}

struct buf *
handover_out_begin(struct handover_out *o, const char *type)
{
	buf_adds(&o->buf, "{\"r\":\"");
	buf_adds(&o->buf, type);
	buf_addc(&o->buf, '"');
	return &o->buf;
}

void
handover_out_end(struct handover_out *o)
{
	buf_adds(&o->buf, "}\n");
	if (buf_len(&o->buf) >= FLUSH_SIZE)
		flush(o);
}

/* Append the bytes of a raw, past the buffer when they are many. */
static void
add_raw(struct handover_out *o, const struct handover_raw *raw)
{
	if (raw->data == NULL)
		return;
	if (raw->n < FLUSH_SIZE) {
		buf_add(&o->buf, raw->data, raw->n);
		return;
	}
	flush(o);
	write_all(o, raw->data, raw->n);
}

void
handover_out_end_raws(
    struct handover_out *o, const struct handover_raw *raws, size_t n)
{
	size_t i;

	/* What is not there at the end need not be told. */
	while (n > 1 && raws[n - 1].data == NULL)
		n--;
	buf_add_key(&o->buf, "raw");
	for (i = 0; i < n; i++) {
		buf_addc(&o->buf, i == 0 ? '[' : ',');
		if (raws[i].data == NULL)
			buf_adds(&o->buf, "null");
		else
			buf_add_uint(&o->buf, raws[i].n);
	}
	buf_adds(&o->buf, "]}\n");
	for (i = 0; i < n; i++)
		add_raw(o, &raws[i]);
	buf_addc(&o->buf, '\n');
	if (buf_len(&o->buf) >= FLUSH_SIZE)
		flush(o);
}

void
handover_add_int(struct buf *out, const char *key, int64_t value)
{
	if (value == 0)
		return;
	buf_add_key(out, key);
	buf_add_int(out, value);
}

void
handover_add_flag(struct buf *out, const char *key, bool value)
{
	if (!value)
		return;
	buf_add_key(out, key);
	buf_adds(out, "true");
}

void
handover_add_str(struct buf *out, const char *key, const char *value)
{
	if (value == NULL)
		return;
	buf_add_key(out, key);
	buf_add_json_cstr(out, value);
}

int
handover_out_finish(struct handover_out *o)
{
	(void)handover_out_begin(o, "end");
	handover_out_end(o);
	flush(o);
	if (o->error == 0 && lseek(o->fd, 0, SEEK_SET) < 0)
		o->error = -errno;
	return o->error;
}
