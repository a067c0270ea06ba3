/* SPDX-License-Identifier: ISC */
/*
 * answer.c - the answer to a request, as it came
 */
#include "ipc/client/lib/answer.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "ipc/json.h"
#include "ipc/rpc.h"

/* The id's text as a number: 0 for null, else it must be above 0. */
static int
read_id(const struct scan_span *text, uint64_t *id_out)
{
	uint64_t id;
	size_t i;

	*id_out = 0;
	if (text->len == 4 && memcmp(text->at, "null", 4) == 0)
		return 0;
	for (i = 0, id = 0; i < text->len; i++)
		if (!isdigit((unsigned char)text->at[i]) ||
		    __builtin_mul_overflow(id, 10, &id) ||
		    __builtin_add_overflow(
			id, (uint64_t)(text->at[i] - '0'), &id))
			return -EPROTO;
	*id_out = id;
	return id == 0 ? -EPROTO : 0;
}

enum { KEY_VERSION, KEY_ID, KEY_RESULT, KEY_ERROR, KEY_METHOD, N_KEYS };

int
answer_read(const char *line, size_t len, struct answer *out)
{
	static const char *const keys[N_KEYS] = {
	    "jsonrpc", "id", "result", "error", "method"};
	struct scan_span spans[N_KEYS];
	int r;

	if (scan_object(line, len, keys, N_KEYS, spans) < 0 ||
	    spans[KEY_VERSION].len != 5 ||
	    memcmp(spans[KEY_VERSION].at, "\"2.0\"", 5) != 0)
		return -EPROTO;
	if (spans[KEY_METHOD].at != NULL)
		return 0;
	out->result = spans[KEY_RESULT];
	out->error = spans[KEY_ERROR];
	if (spans[KEY_ID].at == NULL ||
	    (out->result.at == NULL) == (out->error.at == NULL))
		return -EPROTO;
	r = read_id(&spans[KEY_ID], &out->id);
	if (r < 0 || (out->id == 0 && out->error.at == NULL))
		return -EPROTO;
	return 1;
}

int
answer_error(const struct answer *a, struct ganger_error *out)
{
	const char *message;
	json_t *error, *code;
	json_int_t n;

	error = json_loadb(a->error.at, a->error.len, JSON_READ_FLAGS, NULL);
	code = json_object_get(error, "code");
	n = json_integer_value(code);
	if (n == 0 || n < INT_MIN || n > INT_MAX) {
		json_decref(error);
		return -EPROTO;
	}
	message = json_string_value(json_object_get(error, "message"));
	if (message == NULL)
		message = rpc_code_text((enum rpc_code)n);
	out->message = strdup(message);
	if (out->message != NULL) {
		out->code = (int)n;
		out->data = json_incref(json_object_get(error, "data"));
	}
	json_decref(error);
	return out->message == NULL ? -ENOMEM : 0;
}

int
answer_reply(const struct answer *a, struct ganger_reply *out)
{
	struct ganger_reply reply = {.id = a->id};
	int r;

	if (a->error.at != NULL) {
		r = answer_error(a, &reply.error);
		if (r < 0)
			return r;
	} else {
		reply.result = json_loadb(
		    a->result.at, a->result.len, JSON_READ_FLAGS, NULL);
		if (reply.result == NULL)
			return -EPROTO;
	}
	*out = reply;
	return 0;
}

struct answer
answer_moved(const struct answer *a, const char *line, const char *copy)
{
	struct answer moved = *a;

	if (a->result.at != NULL)
		moved.result.at = copy + (a->result.at - line);
	if (a->error.at != NULL)
		moved.error.at = copy + (a->error.at - line);
	return moved;
}
