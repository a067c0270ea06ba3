/* SPDX-License-Identifier: ISC */
/* LINK: master/supervisor/config_value.c */
/*
 * test_config_value.c - single values of the configuration
 */
#include "master/supervisor/config_value.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/proto.h"

#define UNTOUCHED (-77)

static int64_t
duration(const char *text)
{
	int64_t ms = UNTOUCHED;
	int r;

	r = value_parse_duration(text, INT64_MAX, &ms);
	assert_true((r == 0) == (ms != UNTOUCHED));
	return r < 0 ? r : ms;
}

static void
durations_have_units(void **state)
{
	(void)state;
	assert_int_equal(duration("250ms"), 250);
	assert_int_equal(duration("30s"), 30000);
	assert_int_equal(duration("5m"), 300000);
	assert_int_equal(duration("1h"), 3600000);
	assert_int_equal(duration("7d"), 604800000);
	assert_int_equal(duration("0"), 0);
	assert_int_equal(duration("0s"), 0);
	assert_int_equal(duration("007s"), 7000);
	assert_int_equal(duration("9223372036854775807ms"), INT64_MAX);
}

static void
what_is_no_duration_is_refused(void **state)
{
	static const char *const bad[] = {"", "30", "00", "s", "1.5s", "-1s",
	    "+1s", " 1s", "1s ", "1 s", "1S", "1sec", "0x1s", "1h30m"};
	int64_t ms = UNTOUCHED;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(duration(bad[i]), -EINVAL);
	assert_int_equal(duration("9223372036854775808ms"), -ERANGE);
	assert_int_equal(duration("18446744073709551617ms"), -ERANGE);
	assert_int_equal(duration("18446744073709551615d"), -ERANGE);
	assert_int_equal(value_parse_duration("2s", 2000, &ms), 0);
	assert_int_equal(ms, 2000);
	assert_int_equal(value_parse_duration("2001ms", 2000, &ms), -ERANGE);
	assert_int_equal(ms, 2000);
}

static void
rates_are_counts_in_a_unit(void **state)
{
	static const struct {
		const char *text;
		uint64_t count;
		int64_t per_ms;
		const char *printed;
	} good[] = {
	    {"10/s", 10, 1000, "10/s"},
	    {"5/m", 5, 60000, "5/m"},
	    {"100/h", 100, 3600000, "100/h"},
	    {"0/s", 0, 1000, "0/s"},
	    {"0/h", 0, 1000, "0/s"},
	    {"1000/s", 1000, 1000, "1000/s"},
	};
	char text[VALUE_TEXT_SIZE];
	uint64_t count;
	int64_t per_ms;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(
		    value_parse_rate(good[i].text, 1000, &count, &per_ms), 0);
		assert_int_equal(count, good[i].count);
		assert_int_equal(per_ms, good[i].per_ms);
		value_format_rate(count, per_ms, text);
		assert_string_equal(text, good[i].printed);
	}
}

static void
what_is_no_rate_is_refused(void **state)
{
	static const char *const bad[] = {"", "10", "/s", "10/", "10/ms",
	    "10/d", "10 /s", "-1/s", "1.5/s", "10/s ", "10/sec", "s", "0"};
	uint64_t count = 77;
	int64_t per_ms = 77;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(
		    value_parse_rate(bad[i], 1000, &count, &per_ms), -EINVAL);
	assert_int_equal(
	    value_parse_rate("1001/s", 1000, &count, &per_ms), -ERANGE);
	assert_int_equal(
	    value_parse_rate("99999999999999999999/s", 1000, &count, &per_ms),
	    -ERANGE);
	assert_int_equal(count, 77);
	assert_int_equal(per_ms, 77);
}

static void
sizes_are_powers_of_1024(void **state)
{
	uint64_t v = 0;

	(void)state;
	assert_int_equal(value_parse_size("4096", 0, UINT64_MAX, &v), 0);
	assert_int_equal(v, 4096);
	assert_int_equal(value_parse_size("1K", 0, UINT64_MAX, &v), 0);
	assert_int_equal(v, 1024);
	assert_int_equal(value_parse_size("64M", 0, UINT64_MAX, &v), 0);
	assert_int_equal(v, 67108864);
	assert_int_equal(value_parse_size("3G", 0, UINT64_MAX, &v), 0);
	assert_int_equal(v, 3221225472);
	assert_int_equal(value_parse_size("2T", 0, UINT64_MAX, &v), 0);
	assert_int_equal(v, INT64_C(2199023255552));
}

static void
sizes_out_of_bounds_are_refused(void **state)
{
	uint64_t v = 77;

	(void)state;
	assert_int_equal(value_parse_size("1K", 1024, 2048, &v), 0);
	assert_int_equal(value_parse_size("2K", 1024, 2048, &v), 0);
	v = 77;
	assert_int_equal(value_parse_size("1023", 1024, 2048, &v), -ERANGE);
	assert_int_equal(value_parse_size("2049", 1024, 2048, &v), -ERANGE);
	/* 2^64 + 1024, in two ways: it must not wrap to 1024. */
	assert_int_equal(
	    value_parse_size("18446744073709552640", 1024, 2048, &v), -ERANGE);
	assert_int_equal(
	    value_parse_size("18014398509481985K", 1024, 2048, &v), -ERANGE);
	assert_int_equal(value_parse_size("1k", 0, 2048, &v), -EINVAL);
	assert_int_equal(value_parse_size("1KB", 0, 2048, &v), -EINVAL);
	assert_int_equal(value_parse_size("", 0, 2048, &v), -EINVAL);
	assert_int_equal(value_parse_size("-1", 0, 2048, &v), -EINVAL);
	assert_int_equal(v, 77);
}

static void
what_is_written_is_read_back(void **state)
{
	static const struct {
		int64_t v;
		const char *duration;
		const char *size;
	} rows[] = {
	    {0, "0", "0"},
	    {1, "1ms", "1"},
	    {1000, "1s", "1000"},
	    {1024, "1024ms", "1K"},
	    {60000, "1m", "60000"},
	    {90000, "90s", "90000"},
	    {86400000, "1d", "84375K"},
	    {1048576, "1048576ms", "1M"},
	    {INT64_MAX, "9223372036854775807ms", "9223372036854775807"},
	    {INT64_C(1) << 62, "4611686018427387904ms", "4194304T"},
	};
	char text[VALUE_TEXT_SIZE];
	int64_t ms;
	uint64_t bytes;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		value_format_duration(rows[i].v, text);
		assert_string_equal(text, rows[i].duration);
		assert_int_equal(value_parse_duration(text, INT64_MAX, &ms), 0);
		assert_int_equal(ms, rows[i].v);
		value_format_size((uint64_t)rows[i].v, text);
		assert_string_equal(text, rows[i].size);
		assert_int_equal(
		    value_parse_size(text, 0, UINT64_MAX, &bytes), 0);
		assert_int_equal(bytes, (uint64_t)rows[i].v);
	}
}

static void
numbers_keep_their_bounds(void **state)
{
	static const char *const bad[] = {"", "-", "--1", "1-", "+1", " 1",
	    "1 ", "0x1", "1.0", "1e3", "four"};
	int64_t v = UNTOUCHED;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(
		    value_parse_number(bad[i], -9, 9, &v), -EINVAL);
	assert_int_equal(value_parse_number("10", -9, 9, &v), -ERANGE);
	assert_int_equal(value_parse_number("-10", -9, 9, &v), -ERANGE);
	assert_int_equal(
	    value_parse_number("99999999999999999999", -9, 9, &v), -ERANGE);
	assert_int_equal(v, UNTOUCHED);
	assert_int_equal(value_parse_number("-9", -9, 9, &v), 0);
	assert_int_equal(v, -9);
	assert_int_equal(value_parse_number("9", -9, 9, &v), 0);
	assert_int_equal(v, 9);
	assert_int_equal(value_parse_number("010", 0, 99, &v), 0);
	assert_int_equal(v, 10);
}

static void
booleans_are_words(void **state)
{
	bool v = false;

	(void)state;
	assert_int_equal(value_parse_bool("yes", &v), 0);
	assert_true(v);
	assert_int_equal(value_parse_bool("False", &v), 0);
	assert_false(v);
	assert_int_equal(value_parse_bool("ON", &v), 0);
	assert_true(v);
	assert_int_equal(value_parse_bool("off", &v), 0);
	assert_false(v);
	assert_int_equal(value_parse_bool("true", &v), 0);
	assert_int_equal(value_parse_bool("1", &v), -EINVAL);
	assert_int_equal(value_parse_bool("", &v), -EINVAL);
	assert_int_equal(value_parse_bool("yess", &v), -EINVAL);
	assert_true(v);
}

static void
modes_are_octal(void **state)
{
	mode_t v = 0111;

	(void)state;
	assert_int_equal(value_parse_mode("0660", &v), 0);
	assert_int_equal(v, 0660);
	assert_int_equal(value_parse_mode("777", &v), 0);
	assert_int_equal(v, 0777);
	assert_int_equal(value_parse_mode("1777", &v), -ERANGE);
	assert_int_equal(value_parse_mode("0668", &v), -EINVAL);
	assert_int_equal(value_parse_mode("66", &v), -EINVAL);
	assert_int_equal(value_parse_mode("00660", &v), -EINVAL);
	assert_int_equal(value_parse_mode("", &v), -EINVAL);
	assert_int_equal(value_parse_mode("rw-r", &v), -EINVAL);
	assert_int_equal(v, 0777);
}

static void
choices_are_found_by_their_place(void **state)
{
	static const char *const choices[] = {"text", "json", NULL};
	unsigned v = 9;

	(void)state;
	assert_int_equal(value_parse_choice("json", choices, &v), 0);
	assert_int_equal(v, 1);
	assert_int_equal(value_parse_choice("text", choices, &v), 0);
	assert_int_equal(v, 0);
	v = 9;
	assert_int_equal(value_parse_choice("jso", choices, &v), -EINVAL);
	assert_int_equal(value_parse_choice("JSON", choices, &v), -EINVAL);
	assert_int_equal(value_parse_choice("", choices, &v), -EINVAL);
	assert_int_equal(v, 9);
}

static void
names_have_a_set_of_characters(void **state)
{
	char name[PROTO_NAME_MAX + 2];

	(void)state;
	assert_true(value_is_name("a", 1, false));
	assert_true(value_is_name("Az_09.-", 7, false));
	assert_false(value_is_name("", 0, false));
	assert_false(value_is_name("a:b", 3, false));
	assert_true(value_is_name("a:b", 3, true));
	assert_true(value_is_name("a:b", 1, false));
	assert_false(value_is_name("a b", 3, true));
	assert_false(value_is_name("a/b", 3, true));
	assert_false(value_is_name("\xc3\xa4", 2, true));
	memset(name, 'x', sizeof(name));
	name[PROTO_NAME_MAX + 1] = '\0';
	assert_true(value_is_name(name, PROTO_NAME_MAX, false));
	assert_false(value_is_name(name, PROTO_NAME_MAX + 1, false));
}

static void
a_queue_may_have_a_weight(void **state)
{
	unsigned weight = 77;
	size_t len = 77;

	(void)state;
	assert_int_equal(value_parse_take("mail:0", &len, &weight), -ERANGE);
	assert_int_equal(value_parse_take("mail:1001", &len, &weight), -ERANGE);
	assert_int_equal(value_parse_take("mail:", &len, &weight), -EINVAL);
	assert_int_equal(value_parse_take("mail:x", &len, &weight), -EINVAL);
	assert_int_equal(value_parse_take("mail:1:2", &len, &weight), -EINVAL);
	assert_int_equal(value_parse_take(":3", &len, &weight), -EINVAL);
	assert_int_equal(value_parse_take("", &len, &weight), -EINVAL);
	assert_int_equal(value_parse_take("a b:3", &len, &weight), -EINVAL);
	assert_int_equal(len, 77);
	assert_int_equal(weight, 77);
	assert_int_equal(value_parse_take("mail:3", &len, &weight), 0);
	assert_int_equal(len, 4);
	assert_int_equal(weight, 3);
	assert_int_equal(value_parse_take("default", &len, &weight), 0);
	assert_int_equal(len, 7);
	assert_int_equal(weight, 1);
	assert_int_equal(value_parse_take("m:1000", &len, &weight), 0);
	assert_int_equal(weight, 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(durations_have_units),
	    cmocka_unit_test(what_is_no_duration_is_refused),
	    cmocka_unit_test(rates_are_counts_in_a_unit),
	    cmocka_unit_test(what_is_no_rate_is_refused),
	    cmocka_unit_test(sizes_are_powers_of_1024),
	    cmocka_unit_test(sizes_out_of_bounds_are_refused),
	    cmocka_unit_test(what_is_written_is_read_back),
	    cmocka_unit_test(numbers_keep_their_bounds),
	    cmocka_unit_test(booleans_are_words),
	    cmocka_unit_test(modes_are_octal),
	    cmocka_unit_test(choices_are_found_by_their_place),
	    cmocka_unit_test(names_have_a_set_of_characters),
	    cmocka_unit_test(a_queue_may_have_a_weight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
