/* SPDX-License-Identifier: ISC */
/* LINK: master/broker/skills.c */
/*
 * test_skills.c - two workers know the same, in whatever order they tell it
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "master/broker/skills.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static const char *const names[] = {"sort", "echo", "", "thumb"};
static const char *const again[] = {"thumb", "sort", "sort", "echo", ""};
static const char *const fewer[] = {"sort", "echo", ""};
static const char *const other[] = {"sort", "echo", "", "thumbs"};
static const char *const commands[] = {"thumb", "unknown"};

static void
skills_are_a_set(void **state)
{
	struct skills *a = skills_new(names, N(names), NULL, 0);
	struct skills *b = skills_new(again, N(again), NULL, 0);
	struct skills *c = skills_new(fewer, N(fewer), NULL, 0);
	struct skills *d = skills_new(other, N(other), NULL, 0);

	(void)state;
	assert_int_equal(a->n, 4);
	assert_string_equal(a->list[1].name, "echo");
	assert_true(skills_match(a, b));
	assert_true(skills_equal(a, b));
	assert_false(skills_match(a, c));
	assert_false(skills_match(a, d));
	skills_unref(a);
	skills_unref(b);
	skills_unref(c);
	skills_unref(d);
}

static void
skills_differ_by_what_is_a_command(void **state)
{
	struct skills *a = skills_new(names, N(names), commands, 2);
	struct skills *b = skills_new(names, N(names), NULL, 0);

	(void)state;
	assert_true(a->list[3].command);
	assert_false(a->list[2].command);
	/* A worker does not tell which are commands. */
	assert_true(skills_match(a, b));
	assert_false(skills_equal(a, b));
	skills_unref(a);
	skills_unref(b);
}

static void
skills_may_be_none(void **state)
{
	struct skills *a = skills_new(NULL, 0, NULL, 0);
	struct skills *b = skills_ref(a);

	(void)state;
	assert_int_equal(a->n, 0);
	assert_true(skills_equal(a, b));
	skills_unref(a);
	skills_unref(b);
	skills_unref(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(skills_are_a_set),
	    cmocka_unit_test(skills_differ_by_what_is_a_command),
	    cmocka_unit_test(skills_may_be_none),
	};

	return cmocka_run_group_tests_name("skills", tests, NULL, NULL);
}
