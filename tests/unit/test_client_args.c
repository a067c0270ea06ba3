/* SPDX-License-Identifier: ISC */
/* LINK: ipc/client/cli/args.c ipc/buf.c */
/*
 * test_client_args.c - a task's arguments from words of the command line
 */
#include "ipc/client/cli/args.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WORDS_MAX 4

static char dumped[256];
static char told[512];

/* Parse words up to NULL: the result, with the JSON in dumped or the reason. */
static int
parse(const char *const *words)
{
	char *copies[WORDS_MAX];
	struct buf why;
	json_t *value;
	char *text;
	size_t i, n;
	int r;

	for (n = 0; words[n] != NULL; n++)
		copies[n] = strdup(words[n]);
	buf_init(&why, sizeof(told) - 1);
	r = args_parse(copies, n, &why, &value);
	memcpy(told, buf_len(&why) > 0 ? buf_head(&why) : "", buf_len(&why));
	told[buf_len(&why)] = '\0';
	buf_done(&why);
	for (i = 0; i < n; i++)
		free(copies[i]);
	if (r < 0)
		return r;
	text =
	    json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
	assert_true(strlen(text) < sizeof(dumped));
	strcpy(dumped, text);
	free(text);
	json_decref(value);
	return 0;
}

#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})

static void
args_take_one_word_as_json(void **state)
{
	(void)state;
	assert_int_equal(PARSE("{\"a\": [1, 2]}"), 0);
	assert_string_equal(dumped, "{\"a\":[1,2]}");
	assert_int_equal(PARSE("17"), 0);
	assert_string_equal(dumped, "17");
	assert_int_equal(PARSE(" null "), 0);
	assert_string_equal(dumped, "null");
}

static void
args_keep_an_equals_sign_inside_of_json(void **state)
{
	(void)state;
	assert_int_equal(PARSE("\"a=b\""), 0);
	assert_string_equal(dumped, "\"a=b\"");
	assert_int_equal(PARSE("{\"k\":\"a=b\"}"), 0);
	assert_string_equal(dumped, "{\"k\":\"a=b\"}");
	assert_int_equal(PARSE("[\"a=b\"]"), 0);
	assert_string_equal(dumped, "[\"a=b\"]");
}

static void
args_make_an_object_of_pairs(void **state)
{
	(void)state;
	assert_int_equal(PARSE("a=1", "b=x y", "c=[true]", "d="), 0);
	assert_string_equal(
	    dumped, "{\"a\":1,\"b\":\"x y\",\"c\":[true],\"d\":\"\"}");
}

static void
args_take_values_that_are_no_json_as_strings(void **state)
{
	(void)state;
	assert_int_equal(PARSE("a=007", "b={x", "c=1e999", "d=a=b"), 0);
	assert_string_equal(dumped, "{\"a\":\"007\",\"b\":\"{x\",\"c\":"
				    "\"1e999\",\"d\":\"a=b\"}");
	assert_int_equal(PARSE("a=\"1\"", "b=null"), 0);
	assert_string_equal(dumped, "{\"a\":\"1\",\"b\":null}");
}

static void
args_tell_where_json_goes_wrong(void **state)
{
	(void)state;
	assert_int_equal(PARSE("{\"a\": hello}"), -EINVAL);
	assert_non_null(strstr(told, "ARGS is not JSON"));
	assert_non_null(strstr(told, "'hello'"));
	assert_non_null(strstr(told, "line 1, column 11"));
	assert_int_equal(PARSE("{\"a\": 1,\n \"a\": 2}"), -EINVAL);
	assert_non_null(strstr(told, "line 2"));
}

static void
args_tell_how_a_string_is_written(void **state)
{
	(void)state;
	assert_int_equal(PARSE("hello"), -EINVAL);
	assert_non_null(strstr(told, "'\"hello\"'"));
	assert_int_equal(PARSE(""), -EINVAL);
	assert_string_equal(told, "ARGS is empty");
}

static void
args_name_the_word_that_is_no_pair(void **state)
{
	(void)state;
	assert_int_equal(PARSE("a=1", "b"), -EINVAL);
	assert_string_equal(told, "argument 2 is not KEY=VALUE: b");
	assert_int_equal(PARSE("a=1", "=2"), -EINVAL);
	assert_string_equal(told, "argument 2 is not KEY=VALUE: =2");
	assert_int_equal(PARSE("a=1", "b=2", "a=3"), -EINVAL);
	assert_string_equal(told, "argument 3 names a a second time");
	assert_int_equal(PARSE("a=1", "b=\xff"), -EINVAL);
	assert_string_equal(told, "argument 2 is not UTF-8");
	assert_int_equal(PARSE("a=1", "\xff=2"), -EINVAL);
	assert_string_equal(told, "argument 2 is not UTF-8");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(args_take_one_word_as_json),
	    cmocka_unit_test(args_keep_an_equals_sign_inside_of_json),
	    cmocka_unit_test(args_make_an_object_of_pairs),
	    cmocka_unit_test(args_take_values_that_are_no_json_as_strings),
	    cmocka_unit_test(args_tell_where_json_goes_wrong),
	    cmocka_unit_test(args_tell_how_a_string_is_written),
	    cmocka_unit_test(args_name_the_word_that_is_no_pair),
	};

	return cmocka_run_group_tests_name("client_args", tests, NULL, NULL);
}
