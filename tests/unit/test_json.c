/* SPDX-License-Identifier: ISC */
/* LINK: ipc/json.c ipc/buf.c */
/*
 * test_json.c - what is written here reads back in jansson as what was meant
 */
#include "ipc/json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* s written as JSON must be one string to jansson, with the same bytes. */
static void
assert_string_reads_back(const char *s, size_t len)
{
	json_t *value;
	struct buf b;

	buf_init(&b, SIZE_MAX);
	buf_add_json_str(&b, s, len);
	assert_int_equal(buf_error(&b), 0);
	value = json_loadb(
	    buf_head(&b), buf_len(&b), JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	assert_true(json_is_string(value));
	assert_int_equal(json_string_length(value), len);
	assert_memory_equal(json_string_value(value), s, len);
	assert_null(memchr(buf_head(&b), '\n', buf_len(&b)));
	json_decref(value);
	buf_done(&b);
}

/* Append the UTF-8 form of a code point; returns its length. */
static size_t
encode(uint32_t c, char *out)
{
	unsigned char *u = (unsigned char *)out;

	if (c < 0x80) {
		u[0] = (unsigned char)c;
		return 1;
	}
	if (c < 0x800) {
		u[0] = (unsigned char)(0xc0 | c >> 6);
		u[1] = (unsigned char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		u[0] = (unsigned char)(0xe0 | c >> 12);
		u[1] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
		u[2] = (unsigned char)(0x80 | (c & 0x3f));
		return 3;
	}
	u[0] = (unsigned char)(0xf0 | c >> 18);
	u[1] = (unsigned char)(0x80 | (c >> 12 & 0x3f));
	u[2] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
	u[3] = (unsigned char)(0x80 | (c & 0x3f));
	return 4;
}

static void
every_ascii_byte_reads_back(void **state)
{
	char s[3];
	int c;

	(void)state;
	for (c = 0; c < 0x80; c++) {
		s[0] = 'a';
		s[1] = (char)c;
		s[2] = 'z';
		assert_string_reads_back(s, 3);
		assert_string_reads_back(s + 1, 1);
	}
	assert_string_reads_back("", 0);
}

static void
every_code_point_reads_back(void **state)
{
	char s[4 * 256];
	uint32_t c;
	size_t n;

	(void)state;
	n = 0;
	for (c = 0; c <= 0x10ffff; c++) {
		if (c >= 0xd800 && c <= 0xdfff)
			continue;
		n += encode(c, s + n);
		if (n > sizeof(s) - 4 || c == 0x10ffff) {
			assert_string_reads_back(s, n);
			n = 0;
		}
	}
}

static void
random_strings_read_back(void **state)
{
	char s[4 * 64];
	uint32_t c;
	size_t n;
	int i, j;

	(void)state;
	srand(4);
	for (i = 0; i < 20000; i++) {
		n = 0;
		for (j = rand() % 64; j > 0; j--) {
			c = (uint32_t)rand();
			c %= c % 3 == 0 ? 0x80 : c % 3 == 1 ? 0xd800 : 0x110000;
			if (c < 0xd800 || c > 0xdfff)
				n += encode(c, s + n);
		}
		assert_string_reads_back(s, n);
	}
}

static void
missing_string_is_null(void **state)
{
	struct buf b;
	char *text;

	(void)state;
	buf_init(&b, SIZE_MAX);
	buf_add_json_cstr(&b, NULL);
	buf_addc(&b, ' ');
	buf_add_json_cstr(&b, "a\"b");
	text = buf_steal(&b, NULL);
	assert_string_equal(text, "null \"a\\\"b\"");
	free(text);
}

static void
keys_get_their_commas(void **state)
{
	struct buf b;
	char *text;

	(void)state;
	buf_init(&b, SIZE_MAX);
	buf_addc(&b, '{');
	buf_add_key(&b, "a");
	buf_addc(&b, '{');
	buf_add_key(&b, "b");
	buf_adds(&b, "1}");
	buf_add_key(&b, "c");
	buf_adds(&b, "2}");
	text = buf_steal(&b, NULL);
	assert_string_equal(text, "{\"a\":{\"b\":1},\"c\":2}");
	free(text);
}

static void
assert_text_is_kept(const char *text)
{
	json_t *value;
	size_t len;
	char *again;

	value = json_loads(text, JSON_READ_FLAGS, NULL);
	assert_non_null(value);
	again = json_text(value, strlen(text), &len);
	assert_non_null(again);
	assert_string_equal(again, text);
	assert_int_equal(len, strlen(text));
	free(again);
	assert_null(json_text(value, strlen(text) - 1, &len));
	json_decref(value);
}

static void
values_are_dumped_whole_or_not_at_all(void **state)
{
	(void)state;
	assert_text_is_kept("null");
	assert_text_is_kept("-9223372036854775808");
	assert_text_is_kept("\"\\u0001\\\"\\\\ \xc3\xa9\"");
	assert_text_is_kept("[1,2.5,{},[],{\"a\":[true,false]}]");
}

static void
real_numbers_have_the_fewest_digits_that_read_back(void **state)
{
	unsigned i, seed = 7;
	json_t *value, *again;
	char *text;

	(void)state;
	assert_text_is_kept(
	    "[0.1,0.3,1.0,-0.0,2.5,1e+22,2.2250738585072014e-308]");
	assert_text_is_kept("[0.30000000000000004,1.7976931348623157e+308]");
	for (i = 0; i < 20000; i++) {
		seed = seed * 1103515245u + 12345u;
		value = json_real((double)seed / (double)(seed % 977 + 1));
		text = json_text(value, SIZE_MAX, NULL);
		again = json_loads(text, JSON_READ_FLAGS, NULL);
		assert_true(json_is_real(again));
		assert_true(json_real_value(again) == json_real_value(value));
		free(text);
		json_decref(value);
		json_decref(again);
	}
}

static void
value_in_a_circle_fails_instead_of_going_round(void **state)
{
	json_t *value = json_array();
	struct buf b;

	(void)state;
	json_array_append_new(value, json_array());
	json_array_append(json_array_get(value, 0), value);
	buf_init(&b, SIZE_MAX);
	buf_add_json(&b, value);
	assert_int_equal(buf_error(&b), -ENOBUFS);
	buf_done(&b);
	json_array_clear(json_array_get(value, 0));
	json_decref(value);
}

static void
dump_over_the_limit_is_told_by_the_buffer(void **state)
{
	json_t *value;
	struct buf b;

	(void)state;
	value = json_string("123456789");
	buf_init(&b, 10);
	buf_add_json(&b, value);
	assert_int_equal(buf_error(&b), -ENOBUFS);
	json_decref(value);
	buf_done(&b);
}

static void
assert_utf8(const char *s, size_t len, const char *expected)
{
	char *clean;

	clean = json_utf8(s, len);
	assert_string_equal(clean, expected);
	assert_int_equal(strlen(clean), len);
	free(clean);
}

#define assert_utf8_lit(s, expected) assert_utf8(s, sizeof(s) - 1, expected)

static void
bytes_that_are_no_utf8_become_question_marks(void **state)
{
	(void)state;
	assert_utf8_lit("", "");
	assert_utf8_lit("plain \n text", "plain \n text");
	assert_utf8_lit("a\0b", "a?b");
	assert_utf8_lit("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
	    "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	assert_utf8_lit("\x80", "?");
	assert_utf8_lit("\xff\xfe", "??");
	assert_utf8_lit("\xc3", "?");
	assert_utf8_lit("\xc3(", "?(");
	assert_utf8_lit("\xe2\x82", "??");
	assert_utf8_lit("\xe2\x82x", "??x");
	assert_utf8_lit("\xf0\x9f\x98", "???");
	assert_utf8_lit("\xc0\xaf", "??");           /* overlong */
	assert_utf8_lit("\xc1\xbf", "??");           /* overlong */
	assert_utf8_lit("\xe0\x9f\xbf", "???");      /* overlong */
	assert_utf8_lit("\xf0\x8f\xbf\xbf", "????"); /* overlong */
	assert_utf8_lit("\xed\xa0\x80", "???");      /* a surrogate */
	assert_utf8_lit("\xf4\x90\x80\x80", "????"); /* over U+10FFFF */
	assert_utf8_lit("\xf5\x80\x80\x80", "????");
	assert_utf8_lit("\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf");
	assert_utf8_lit("\xed\x9f\xbf\xee\x80\x80", "\xed\x9f\xbf\xee\x80\x80");
}

static void
random_bytes_become_text_that_jansson_takes(void **state)
{
	char s[40], *clean;
	json_t *value;
	size_t n, j;
	int i;

	(void)state;
	srand(5);
	for (i = 0; i < 100000; i++) {
		n = (size_t)rand() % sizeof(s);
		for (j = 0; j < n; j++)
			s[j] = (char)(rand() % 2 == 0 ? rand() : rand() | 0x80);
		clean = json_utf8(s, n);
		assert_non_null(clean);
		value = json_stringn(clean, n);
		assert_non_null(value);
		/* Jansson and we agree on what was good already. */
		json_decref(value);
		value = json_stringn(s, n);
		assert_int_equal(value != NULL && memchr(s, '\0', n) == NULL,
		    memcmp(s, clean, n) == 0);
		json_decref(value);
		free(clean);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_ascii_byte_reads_back),
	    cmocka_unit_test(every_code_point_reads_back),
	    cmocka_unit_test(random_strings_read_back),
	    cmocka_unit_test(missing_string_is_null),
	    cmocka_unit_test(keys_get_their_commas),
	    cmocka_unit_test(values_are_dumped_whole_or_not_at_all),
	    cmocka_unit_test(
		real_numbers_have_the_fewest_digits_that_read_back),
	    cmocka_unit_test(value_in_a_circle_fails_instead_of_going_round),
	    cmocka_unit_test(dump_over_the_limit_is_told_by_the_buffer),
	    cmocka_unit_test(bytes_that_are_no_utf8_become_question_marks),
	    cmocka_unit_test(random_bytes_become_text_that_jansson_takes),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
