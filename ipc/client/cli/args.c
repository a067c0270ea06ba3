/* SPDX-License-Identifier: ISC */
/*
 * args.c - a task's arguments, as they stand on a command line
 *
 * No JSON text starts like KEY=: in front of the first '=' a text would have a
 * quote, a bracket or a brace, and a KEY has none of these.
 */
#include "ipc/client/cli/args.h"

#include <errno.h>
#include <string.h>

#include "ipc/json.h"

/* The '=' of KEY=VALUE, or NULL when word is none. */
static const char *
find_equals(const char *word)
{
	size_t n;

	n = strcspn(word, "=\"{}[] \t\r\n");
	return n > 0 && word[n] == '=' ? word + n : NULL;
}

int
args_parse_text(const char *text, size_t len, const char *what, struct buf *why,
    json_t **out)
{
	json_error_t err;
	json_t *value;

	value = json_loadb(text, len, JSON_READ_FLAGS, &err);
	if (value != NULL) {
		*out = value;
		return 0;
	}
	if (json_error_code(&err) == json_error_out_of_memory)
		return -ENOMEM;
	if (strspn(text, " \t\r\n") == len)
		buf_printf(why, "%s is empty", what);
	else
		buf_printf(why, "%s is not JSON: %s, at line %d, column %d",
		    what, err.text, err.line, err.column);
	return -EINVAL;
}

/* VALUE as JSON, else as a string; NULL: not UTF-8, or out of memory. */
static json_t *
parse_value(const char *value)
{
	json_t *v;

	v = json_loads(value, JSON_READ_FLAGS, NULL);
	return v != NULL ? v : json_string(value);
}

static int
add_pair(json_t *object, const char *word, size_t number, struct buf *why)
{
	const char *equals;
	size_t key_len;
	json_t *value;

	equals = find_equals(word);
	if (equals == NULL) {
		buf_printf(
		    why, "argument %zu is not KEY=VALUE: %s", number, word);
		return -EINVAL;
	}
	key_len = (size_t)(equals - word);
	if (json_object_getn(object, word, key_len) != NULL) {
		buf_printf(why, "argument %zu names %.*s a second time", number,
		    (int)key_len, word);
		return -EINVAL;
	}
	value = parse_value(equals + 1);
	if (value == NULL ||
	    json_object_setn_new(object, word, key_len, value) < 0) {
		buf_printf(why, "argument %zu is not UTF-8", number);
		return -EINVAL;
	}
	return 0;
}

/* Tell why a single word is no JSON, and how a string is written. */
static int
parse_word(const char *word, struct buf *why, json_t **out)
{
	int r;

	r = args_parse_text(word, strlen(word), "ARGS", why, out);
	if (r == -EINVAL && strpbrk(word, "{}[]\"") == NULL && *word != '\0')
		buf_printf(
		    why, " (a string is '\"%s\"', an object KEY=VALUE)", word);
	return r;
}

int
args_parse(char *const *words, size_t n, struct buf *why, json_t **out)
{
	json_t *object;
	size_t i;
	int r;

	if (n == 1 && find_equals(words[0]) == NULL)
		return parse_word(words[0], why, out);
	object = json_object();
	if (object == NULL)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		r = add_pair(object, words[i], i + 1, why);
		if (r < 0) {
			json_decref(object);
			return r;
		}
	}
	*out = object;
	return 0;
}
