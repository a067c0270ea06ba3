/* SPDX-License-Identifier: ISC */
/* LINK: master/supervisor/config_limit.c master/supervisor/config_value.c
 * ipc/buf.c
 */
/*
 * test_config_limit.c - limits of processes, from text and to text
 */
#include "master/supervisor/config_limit.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct config_key size_key = {
    .type = KEY_LIMIT_SIZE, .min = 1024, .max = 1 << 30};
static const struct config_key count_key = {
    .type = KEY_LIMIT_COUNT, .min = 16, .max = 1000};
static const struct config_key time_key = {
    .type = KEY_LIMIT_TIME, .min = 1, .max = 86400};

/* What the text of cpus is written as; NULL: the parser's error is in *r. */
static char *
cpus(const char *text, int *r)
{
	struct config_cpus parsed;
	struct buf out;

	memset(&parsed, 0x55, sizeof(parsed));
	*r = config_limit_parse_cpus(text, &parsed);
	if (*r < 0) {
		assert_int_equal(parsed.n, 0x55555555);
		return NULL;
	}
	assert_int_equal(parsed.n, CPU_COUNT(&parsed.set));
	buf_init(&out, SIZE_MAX);
	config_limit_format_cpus(&parsed, &out);
	if (buf_len(&out) == 0)
		return strdup("");
	return buf_steal(&out, NULL);
}

static void
cpus_are_numbers_and_ranges(void **state)
{
	static const char *const pairs[][2] = {
	    {"", ""},
	    {"0", "0"},
	    {"0-3,6", "0-3,6"},
	    {"6,3,2,1,0", "0-3,6"},
	    {"1,1-2,2-4", "1-4"},
	    {"5-5", "5"},
	    {"1023", "1023"},
	    {"0-1023", "0-1023"},
	    {"007", "7"},
	};
	char *text;
	size_t i;
	int r;

	(void)state;
	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		text = cpus(pairs[i][0], &r);
		assert_int_equal(r, 0);
		assert_string_equal(text, pairs[i][1]);
		free(text);
	}
}

static void
what_is_no_list_of_cpus_is_refused(void **state)
{
	static const char *const bad[] = {",", "0,", ",0", "0,,1", "-", "0-",
	    "-3", "3-1", "a", "0 ", " 0", "0, 1", "0-1-2", "+1", "0x1", "0;1"};
	size_t i;
	int r;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_null(cpus(bad[i], &r));
		assert_int_equal(r, -EINVAL);
	}
	assert_null(cpus("1024", &r));
	assert_int_equal(r, -ERANGE);
	assert_null(cpus("0-99999999999999999999", &r));
	assert_int_equal(r, -ERANGE);
}

/* Parse text by the key, and expect it to be written as `expected`. */
static void
expect(const struct config_key *k, const char *text, rlim_t value,
    const char *expected)
{
	struct config_rlimit limit = {.set = false};
	char out[VALUE_TEXT_SIZE];

	assert_int_equal(config_limit_parse(k, text, &limit), 0);
	assert_int_equal(limit.set, *text != '\0');
	assert_int_equal(limit.value, value);
	config_limit_format(k, &limit, out);
	assert_string_equal(out, expected);
}

static void
refuse(const struct config_key *k, const char *text, int error)
{
	struct config_rlimit limit = {.set = true, .value = 77};

	assert_int_equal(config_limit_parse(k, text, &limit), error);
	assert_true(limit.set);
	assert_int_equal(limit.value, 77);
}

static void
limits_are_sizes_counts_or_seconds(void **state)
{
	(void)state;
	expect(&size_key, "", 0, "");
	expect(&size_key, "unlimited", RLIM_INFINITY, "unlimited");
	expect(&size_key, "4096", 4096, "4K");
	expect(&size_key, "64M", 64 << 20, "64M");
	expect(&count_key, "16", 16, "16");
	expect(&count_key, "unlimited", RLIM_INFINITY, "unlimited");
	expect(&time_key, "", 0, "");
	expect(&time_key, "90", 90, "90s");
	expect(&time_key, "90s", 90, "90s");
	expect(&time_key, "5m", 300, "5m");
	expect(&time_key, "3000ms", 3, "3s");
	expect(&time_key, "86400", 86400, "1d");
}

static void
what_is_no_limit_is_refused(void **state)
{
	(void)state;
	refuse(&size_key, "1", -ERANGE);
	refuse(&size_key, "2G", -ERANGE);
	refuse(&size_key, "many", -EINVAL);
	refuse(&size_key, "Unlimited", -EINVAL);
	refuse(&count_key, "1K", -EINVAL);
	refuse(&count_key, "15", -ERANGE);
	refuse(&count_key, "-1", -ERANGE);
	refuse(&time_key, "0", -ERANGE);
	refuse(&time_key, "0s", -ERANGE);
	refuse(&time_key, "1500ms", -EINVAL);
	refuse(&time_key, "2d", -ERANGE);
	refuse(&time_key, "86401", -ERANGE);
	refuse(&time_key, "soon", -EINVAL);
}

static void
umask_is_a_mode_or_none(void **state)
{
	char out[VALUE_TEXT_SIZE];
	mode_t mode = 7;

	(void)state;
	assert_int_equal(config_limit_parse_umask("077", &mode), 0);
	assert_int_equal(mode, 077);
	config_limit_format_umask(mode, out);
	assert_string_equal(out, "0077");
	assert_int_equal(config_limit_parse_umask("99", &mode), -EINVAL);
	assert_int_equal(config_limit_parse_umask("1777", &mode), -ERANGE);
	assert_int_equal(mode, 077);
	assert_int_equal(config_limit_parse_umask("", &mode), 0);
	assert_int_equal(mode, CONFIG_NO_UMASK);
	config_limit_format_umask(mode, out);
	assert_string_equal(out, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(cpus_are_numbers_and_ranges),
	    cmocka_unit_test(what_is_no_list_of_cpus_is_refused),
	    cmocka_unit_test(limits_are_sizes_counts_or_seconds),
	    cmocka_unit_test(what_is_no_limit_is_refused),
	    cmocka_unit_test(umask_is_a_mode_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
