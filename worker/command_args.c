/* SPDX-License-Identifier: ISC */
/*
 * command_args.c - fill the {args.x} places of a command's argv
 *
 * All strings are written one behind the other into one block of memory, which
 * the first element of the result points to.
 */
#include "worker/command_args.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/json.h"

#define PLACE "{args"

/*
 * The place that s begins with, or 0: its length.  *path_out is then what
 * stands between "{args" and "}": empty, or ".NAME.NAME".
 */
static size_t
place_length(const char *s, const char **path_out, size_t *path_len_out)
{
	const char *p;
	size_t n;

	if (strncmp(s, PLACE, strlen(PLACE)) != 0)
		return 0;
	p = s + strlen(PLACE);
	while (*p == '.') {
		n = strcspn(p + 1, ".{}");
		if (n == 0)
			return 0;
		p += 1 + n;
	}
	if (*p != '}')
		return 0;
	*path_out = s + strlen(PLACE);
	*path_len_out = (size_t)(p - *path_out);
	return (size_t)(p + 1 - s);
}

/* The member of v that path (".NAME.NAME", len bytes) names, or NULL. */
static const json_t *
find_member(const json_t *v, const char *path, size_t len)
{
	size_t n;

	while (len > 0 && v != NULL) {
		path++;
		len--;
		for (n = 0; n < len && path[n] != '.'; n++)
			continue;
		v = json_object_getn(v, path, n);
		path += n;
		len -= n;
	}
	return v;
}

static void
add_value(struct buf *b, const json_t *v)
{
	if (json_is_string(v))
		buf_add(b, json_string_value(v), json_string_length(v));
	else
		buf_add_json(b, v);
}

/* Append one element and its NUL. */
static int
fill_one(struct buf *b, const char *s, const json_t *args, struct buf *missing)
{
	const json_t *v;
	const char *path;
	size_t n, path_len;

	while (*s != '\0') {
		n = place_length(s, &path, &path_len);
		if (n == 0) {
			buf_addc(b, *s++);
			continue;
		}
		v = find_member(args, path, path_len);
		if (v == NULL) {
			buf_add(missing, s, n);
			return -ENOENT;
		}
		add_value(b, v);
		s += n;
	}
	buf_addc(b, '\0');
	return 0;
}

int
command_args_fill(char *const argv[], const json_t *args, char ***argv_out,
    struct buf *missing_out)
{
	struct buf b;
	char **filled, *text;
	size_t i, n;
	int r;

	buf_init(&b, SIZE_MAX);
	for (n = 0; argv[n] != NULL; n++) {
		r = fill_one(&b, argv[n], args, missing_out);
		if (r < 0)
			goto err_text;
	}
	r = -ENOMEM;
	filled = calloc(n + 1, sizeof(*filled));
	if (filled == NULL)
		goto err_text;
	text = buf_steal(&b, NULL);
	if (text == NULL)
		goto err_filled;
	for (i = 0; i < n; i++) {
		filled[i] = text;
		text += strlen(text) + 1;
	}
	*argv_out = filled;
	return 0;

err_filled:
	free(filled);
err_text:
	buf_done(&b);
	return r;
}

void
command_args_free(char **argv)
{
	if (argv == NULL)
		return;
	free(argv[0]);
	free(argv);
}
