/* SPDX-License-Identifier: ISC */
/* LINK: master/supervisor/config_text.c */
/*
 * test_config_text.c - comments are blanked, mistakes found at their line
 */
#include "master/supervisor/config_text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
expect_clean(const char *text, const char *clean)
{
	struct config_flaw flaw;
	char *copy;

	copy = strdup(text);
	assert_non_null(copy);
	assert_int_equal(config_text_clean(copy, strlen(copy), &flaw), 0);
	assert_string_equal(copy, clean);
	free(copy);
}

static void
expect_flaw(const char *text, unsigned line, const char *what)
{
	struct config_flaw flaw = {0, ""};
	size_t len;
	char *copy;

	/* Without its NUL: reading past the end is found out. */
	len = strlen(text);
	copy = malloc(len > 0 ? len : 1);
	assert_non_null(copy);
	memcpy(copy, text, len);
	assert_int_equal(config_text_clean(copy, len, &flaw), -EINVAL);
	assert_int_equal(flaw.line, line);
	assert_non_null(strstr(flaw.what, what));
	free(copy);
}

static void
text_without_comments_stays(void **state)
{
	(void)state;
	expect_clean("", "");
	expect_clean("a = b\n", "a = b\n");
	expect_clean(
	    "p \"x\" { q = {\"a\", b} }", "p \"x\" { q = {\"a\", b} }");
	expect_clean("a += {x}\r\n", "a += {x}\r\n");
}

static void
comments_are_blanked_and_lines_kept(void **state)
{
	(void)state;
	expect_clean("# one\na = b # two\n", "     \na = b      \n");
	expect_clean("a=b#c", "a=b  ");
	expect_clean("// one\na = b // two", "      \na = b       ");
	expect_clean("a={//x\nb}", "a={   \nb}");
	expect_clean("/* one\n two */a", "      \n       a");
	expect_clean("/**/a/***/", "    a     ");
	expect_clean("/* # { \" ' // */a", "                a");
	expect_clean("# /* { \" '\na", "          \na");
}

static void
strings_and_words_hold_no_comments(void **state)
{
	static const char *const same[] = {
	    "a = \"# // /* */ { } * + ;\"",
	    "a = '# // /* */ { } * + ;'",
	    "a = \"\\\" # \\\\\"",
	    "a = '\\' # '",
	    "a = '' b = \"\"",
	    "a = \"'\" b = '\"'",
	    "a = http://host//x",
	    "a = \"${B:-\"}\" c",
	    "a = ${B:-# { \"} c",
	    "a = \"\\${B\"",
	    "a = \"one\n# two\n\" b",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		expect_clean(same[i], same[i]);
	expect_clean("a = 'b'#c", "a = 'b'  ");
	expect_clean("a = \"\\\\\"#\"", "a = \"\\\\\"  ");
	expect_clean("a = x/*c*/y", "a = x     y");
}

static void
what_is_never_closed_is_told_where_it_opens(void **state)
{
	(void)state;
	expect_flaw("a\n\"b\n\n", 2, "string");
	expect_flaw("a\n'b\n\n", 2, "string");
	expect_flaw("\n'b\\'", 2, "string");
	expect_flaw("'b\\", 1, "string");
	expect_flaw("\n\n/* c\n\n*", 3, "comment");
	expect_flaw("/*/", 1, "comment");
	expect_flaw("a\n{\n{\n}\n", 2, "never closed");
	expect_flaw("a\n{\n{\n\n", 3, "never closed");
	expect_flaw("\na = ${B\n}", 2, "${");
	expect_flaw("\na = \"${B", 2, "${");
	expect_flaw("a = {\n\"}\n}", 2, "string");
}

static void
stray_bytes_are_told(void **state)
{
	char nul[] = "a\nb\0c";
	struct config_flaw flaw;

	(void)state;
	expect_flaw("a {\n}\n}\n", 3, "closes nothing");
	expect_flaw("\na = {*}", 2, "\"*\"");
	expect_flaw("\na = mail*", 2, "\"*\"");
	expect_flaw("\na = +1", 2, "\"+\"");
	expect_flaw("\na = b+", 2, "\"+\"");
	expect_flaw("\n\"\"\n\t= b", 2, "empty name");
	expect_flaw("'' += b", 1, "empty name");
	expect_flaw("\na = b;", 2, "\";\"");
	assert_int_equal(
	    config_text_clean(nul, sizeof(nul) - 1, &flaw), -EINVAL);
	assert_int_equal(flaw.line, 2);
}

static void
lines_count_through_every_kind_of_text(void **state)
{
	(void)state;
	expect_flaw("# 1\n// 2\n/* 3\n4 */\n\"5\n6\"\n'7\\\n8'\n\n}", 10,
	    "closes nothing");
}

static void
nesting_has_an_end(void **state)
{
	char text[2 * CONFIG_TEXT_DEPTH_MAX + 2];

	(void)state;
	memset(text, '{', CONFIG_TEXT_DEPTH_MAX);
	memset(text + CONFIG_TEXT_DEPTH_MAX, '}', CONFIG_TEXT_DEPTH_MAX);
	text[sizeof(text) - 2] = '\0';
	expect_clean(text, text);
	memset(text, '{', CONFIG_TEXT_DEPTH_MAX + 1);
	expect_flaw(text, 1, "too deep");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(text_without_comments_stays),
	    cmocka_unit_test(comments_are_blanked_and_lines_kept),
	    cmocka_unit_test(strings_and_words_hold_no_comments),
	    cmocka_unit_test(what_is_never_closed_is_told_where_it_opens),
	    cmocka_unit_test(stray_bytes_are_told),
	    cmocka_unit_test(lines_count_through_every_kind_of_text),
	    cmocka_unit_test(nesting_has_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
