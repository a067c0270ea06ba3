/* SPDX-License-Identifier: ISC */
/*
 * map_call.c - lines of input as the parameters of calls
 *
 * A line is checked here because the daemon can't tell, of a message that it
 * was unable to parse, which request it was.
 */
#include "ipc/client/cli/map_call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/json.h"

static int
write_head(struct buf *head, const json_t *task, const char *mark)
{
	size_t len;

	buf_add_json(head, task);
	len = buf_len(head);
	if (buf_error(head) < 0)
		return buf_error(head);
	buf_cut(head, len - 1); /* its closing brace */
	buf_add_key(head, "meta");
	buf_adds(head, "{\"map\":");
	buf_add_json_cstr(head, mark);
	buf_addc(head, '}');
	buf_add_key(head, "args");
	return buf_error(head);
}

int
map_call_init(struct map_call *c, const json_t *task, const char *mark,
    const char *as, const char *key)
{
	json_t *text;
	int r;

	c->as_text = as != NULL;
	c->key = key;
	buf_init(&c->head, SIZE_MAX);
	buf_init(&c->params, SIZE_MAX);
	r = write_head(&c->head, task, mark);
	if (r == 0 && as != NULL) {
		text = json_string(as);
		if (text == NULL)
			r = -EINVAL;
		buf_addc(&c->head, '{');
		buf_add_json_cstr(&c->head, json_string_value(text));
		buf_addc(&c->head, ':');
		json_decref(text);
	}
	if (r == 0)
		r = buf_error(&c->head);
	if (r < 0)
		map_call_done(c);
	return r;
}

void
map_call_done(struct map_call *c)
{
	buf_done(&c->head);
	buf_done(&c->params);
}

static int
add_text(struct map_call *c, const char *line, size_t len, struct buf *why)
{
	json_t *text;

	/* The daemon takes no NUL in a string. */
	text = memchr(line, '\0', len) != NULL ? NULL : json_stringn(line, len);
	if (text == NULL) {
		buf_adds(why, "not text in UTF-8");
		return -EINVAL;
	}
	json_decref(text);
	buf_add_json_str(&c->params, line, len);
	buf_addc(&c->params, '}');
	return 0;
}

static int
add_json(struct map_call *c, const char *line, size_t len, struct buf *why)
{
	json_error_t err;
	json_t *value;

	if (len == 0) {
		buf_adds(why, "an empty line, not JSON");
		return -EINVAL;
	}
	value = json_loadb(line, len, JSON_READ_FLAGS, &err);
	if (value == NULL) {
		if (json_error_code(&err) == json_error_out_of_memory)
			return -ENOMEM;
		buf_printf(why,
		    "not JSON: %s, at column %d (--as takes lines as text)",
		    err.text, err.column);
		return -EINVAL;
	}
	json_decref(value);
	buf_add(&c->params, line, len);
	return 0;
}

/* Add the line's own key. */
static int
add_key(struct map_call *c, uint64_t n)
{
	char *text;

	if (asprintf(&text, "%s/%ju", c->key, (uintmax_t)n) < 0)
		return -ENOMEM;
	buf_add_key(&c->params, "idempotency_key");
	buf_add_json_cstr(&c->params, text);
	free(text);
	return 0;
}

int
map_call_make(struct map_call *c, const char *line, size_t len, uint64_t n,
    struct buf *why)
{
	int r;

	buf_reset(&c->params);
	buf_add(&c->params, buf_head(&c->head), buf_len(&c->head));
	if (c->as_text)
		r = add_text(c, line, len, why);
	else
		r = add_json(c, line, len, why);
	if (r == 0 && c->key != NULL)
		r = add_key(c, n);
	if (r < 0)
		return r;
	buf_addc(&c->params, '}');
	return buf_error(&c->params);
}
