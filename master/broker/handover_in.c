/* SPDX-License-Identifier: ISC */
/*
 * handover_in.c - read the records that handover_out.h writes
 *
 * The memory that was read is given back on the way: the state of a broker may
 * be large, and what is made of it needs as much again.
 */
#include "master/broker/handover_in.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define DROP_SIZE ((size_t)16 * 1024 * 1024) /* a multiple of the page size */

int
handover_in_open(struct handover_in *in, int fd)
{
	struct stat st;
	void *map;

	memset(in, 0, sizeof(*in));
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size <= 0)
		return -EINVAL;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED,
	    fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	in->map = map;
	in->size = (size_t)st.st_size;
	return 0;
}

void
handover_in_done(struct handover_in *in)
{
	json_decref(in->rec);
	if (in->map != NULL)
		(void)munmap(in->map, in->size);
	memset(in, 0, sizeof(*in));
}

/* Give back what lies before the record that is read now. */
static void
drop_read(struct handover_in *in)
{
	size_t upto = in->at - in->at % DROP_SIZE;

	if (upto == in->dropped)
		return;
	/* Best effort: all of it goes in the end. */
	(void)madvise(in->map + in->dropped, upto - in->dropped, MADV_REMOVE);
	in->dropped = upto;
}

/* Find the raws, whose sizes the line told. */
static int
read_raws(struct handover_in *in)
{
	json_t *size, *sizes = json_object_get(in->rec, "raw");
	json_int_t n;
	size_t i;

	in->n_raws = json_array_size(sizes);
	if (in->n_raws == 0)
		return 0;
	if (in->n_raws > HANDOVER_RAWS_MAX)
		return -EINVAL;
	json_array_foreach(sizes, i, size) {
		n = json_integer_value(size);
		if (n < 0 || (uint64_t)n > in->size - in->at)
			return -EINVAL;
		in->raws[i].data = json_is_null(size) ? NULL : in->map + in->at;
		in->raws[i].n = (size_t)n;
		in->at += (size_t)n;
	}
	if (in->at == in->size || in->map[in->at++] != '\n')
		return -EINVAL;
	return 0;
}

int
handover_in_next(struct handover_in *in)
{
	const char *line = in->map + in->at, *end;
	int r;

	json_decref(in->rec);
	in->rec = NULL;
	in->n_raws = 0;
	drop_read(in);
	end = in->at == in->size ? NULL : memchr(line, '\n', in->size - in->at);
	if (end == NULL)
		return -EINVAL;
	in->rec = json_loadb(line, (size_t)(end - line), 0, NULL);
	in->type = json_string_value(json_object_get(in->rec, "r"));
	if (in->type == NULL)
		return -EINVAL;
	in->at += (size_t)(end - line) + 1;
	r = read_raws(in);
	if (r < 0)
		return r;
	return strcmp(in->type, "end") != 0;
}

int
handover_in_expect(struct handover_in *in, const char *type)
{
	int r = handover_in_next(in);

	if (r < 0)
		return r;
	return strcmp(in->type, type) == 0 ? 0 : -EINVAL;
}

int64_t
handover_in_int(const struct handover_in *in, const char *key)
{
	return json_integer_value(json_object_get(in->rec, key));
}

bool
handover_in_flag(const struct handover_in *in, const char *key)
{
	return json_is_true(json_object_get(in->rec, key));
}

const char *
handover_in_str(const struct handover_in *in, const char *key)
{
	return json_string_value(json_object_get(in->rec, key));
}

int
handover_in_fd(int fd)
{
	return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
}

struct handover_raw
handover_in_raw(const struct handover_in *in, size_t i)
{
	struct handover_raw none = {NULL, 0};

	return i < in->n_raws ? in->raws[i] : none;
}

int
handover_in_text(const struct handover_in *in, size_t i, char **out)
{
	struct handover_raw raw = handover_in_raw(in, i);
	char *text;

	*out = NULL;
	if (raw.data == NULL)
		return 0;
	text = malloc(raw.n + 1);
	if (text == NULL)
		return -ENOMEM;
	memcpy(text, raw.data, raw.n);
	text[raw.n] = '\0';
	*out = text;
	return 0;
}
