/* SPDX-License-Identifier: ISC */
/* LINK: master/broker/errors.c ipc/buf.c ipc/json.c ipc/clock.c */
/*
 * test_errors.c - the last errors of a task
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "master/broker/errors.h"

#define AT INT64_C(1790000000123) /* 2026-09-21T14:13:20.123Z */

/* Add an error to *errors, which is freed. */
static void
add(char **errors, uint32_t attempt, const char *message, const json_t *data)
{
	struct errors_entry e = {attempt, AT, 7, message, data};
	char *text;

	text = errors_add(*errors, &e);
	assert_non_null(text);
	free(*errors);
	*errors = text;
}

static json_t *
parse(const char *errors)
{
	json_t *list = json_loads(errors, 0, NULL);

	assert_true(json_is_array(list));
	return list;
}

static void
an_entry_tells_attempt_time_and_error(void **state)
{
	char *errors = NULL;

	(void)state;
	add(&errors, 3, "no \"luck\"", NULL);
	assert_string_equal(errors,
	    "[{\"attempt\":3,\"at\":\"2026-09-21T14:13:20.123Z\",\"code\":7,"
	    "\"message\":\"no \\\"luck\\\"\"}]");
	free(errors);
}

static void
several_are_more_than_one(void **state)
{
	char *errors = NULL;

	(void)state;
	assert_false(errors_are_several(NULL));
	add(&errors, 1, "a", NULL);
	assert_false(errors_are_several(errors));
	add(&errors, 2, "b", NULL);
	assert_true(errors_are_several(errors));
	free(errors);
}

static void
only_the_last_ones_are_kept(void **state)
{
	char *errors = NULL;
	json_t *list;
	uint32_t i;
	size_t at, n;

	(void)state;
	for (i = 1; i <= 3 * ERRORS_MAX; i++) {
		add(&errors, i, "x", NULL);
		list = parse(errors);
		n = i < ERRORS_MAX ? i : ERRORS_MAX;
		assert_int_equal(json_array_size(list), n);
		for (at = 0; at < n; at++)
			assert_int_equal(
			    json_integer_value(json_object_get(
				json_array_get(list, at), "attempt")),
			    i - n + 1 + at);
		json_decref(list);
	}
	free(errors);
}

/* What a handler says may look like the end of an entry. */
static void
no_text_passes_for_an_entry(void **state)
{
	static const char trap[] = "}, {\"attempt\":9}, {\\\"";
	json_t *data = json_pack("{s:s,s:[{s:i},{s:i}]}", trap, trap, "list",
	    "attempt", 1, "attempt", 2);
	char *errors = NULL;
	json_t *list, *entry;
	uint32_t i;

	(void)state;
	for (i = 1; i <= ERRORS_MAX + 2; i++)
		add(&errors, i, trap, data);
	list = parse(errors);
	assert_int_equal(json_array_size(list), ERRORS_MAX);
	entry = json_array_get(list, 0);
	assert_int_equal(
	    json_integer_value(json_object_get(entry, "attempt")), 3);
	assert_string_equal(
	    json_string_value(json_object_get(entry, "message")), trap);
	assert_true(json_equal(json_object_get(entry, "data"), data));
	json_decref(list);
	json_decref(data);
	free(errors);
}

static void
a_long_message_is_cut_between_characters(void **state)
{
	char *errors = NULL, text[2 * ERRORS_MESSAGE_MAX + 2];
	const char *message;
	json_t *list, *entry;
	size_t i;

	(void)state;
	/* One byte, then characters of two: the limit is within one. */
	text[0] = 'x';
	for (i = 1; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xa9", 2);
	text[i] = '\0';
	add(&errors, 1, text, NULL);
	list = parse(errors);
	entry = json_array_get(list, 0);
	message = json_string_value(json_object_get(entry, "message"));
	assert_int_equal(strlen(message), ERRORS_MESSAGE_MAX - 1);
	assert_int_equal(strncmp(message, text, strlen(message)), 0);
	assert_int_equal(
	    json_integer_value(json_object_get(entry, "message_bytes")),
	    strlen(text));
	json_decref(list);
	free(errors);
}

static void
long_data_is_left_out_and_its_length_told(void **state)
{
	char *errors = NULL, text[ERRORS_DATA_MAX + 1];
	json_t *data, *list, *entry;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	data = json_string(text);
	add(&errors, 1, "m", data);
	list = parse(errors);
	entry = json_array_get(list, 0);
	assert_null(json_object_get(entry, "data"));
	assert_int_equal(
	    json_integer_value(json_object_get(entry, "data_bytes")),
	    sizeof(text) + 1);
	json_decref(list);
	json_decref(data);
	free(errors);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_entry_tells_attempt_time_and_error),
	    cmocka_unit_test(several_are_more_than_one),
	    cmocka_unit_test(only_the_last_ones_are_kept),
	    cmocka_unit_test(no_text_passes_for_an_entry),
	    cmocka_unit_test(a_long_message_is_cut_between_characters),
	    cmocka_unit_test(long_data_is_left_out_and_its_length_told),
	};

	return cmocka_run_group_tests_name("errors", tests, NULL, NULL);
}
