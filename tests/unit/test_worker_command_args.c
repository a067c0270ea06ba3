/* SPDX-License-Identifier: ISC */
/* LINK: worker/command_args.c ipc/json.c ipc/buf.c */
/*
 * test_worker_command_args.c - filling the {args.x} places
 */
#include "worker/command_args.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ARGS \
	"{\"s\":\"a b\",\"n\":7,\"o\":{\"t\":true,\"deep\":{\"x\":\"y\"}}," \
	"\"l\":[1, 2],\"e\":\"\",\"z\":null,\"brace\":\"{args.n}\"}"

static json_t *args;
static struct buf missing;

static int
set_up(void **state)
{
	(void)state;
	buf_init(&missing, SIZE_MAX);
	args = json_loads(ARGS, 0, NULL);
	return args == NULL ? -1 : 0;
}

static int
tear_down(void **state)
{
	(void)state;
	json_decref(args);
	buf_done(&missing);
	return 0;
}

static char *
copy(const char *s)
{
	char *c;

	c = strdup(s);
	assert_non_null(c);
	return c;
}

/* Fill the one element s and compare. */
static void
expect(const char *s, const char *want)
{
	char *program = copy("prog"), *element = copy(s);
	char *const argv[] = {program, element, NULL};
	char **filled;

	assert_int_equal(command_args_fill(argv, args, &filled, &missing), 0);
	assert_string_equal(filled[0], "prog");
	assert_string_equal(filled[1], want);
	assert_null(filled[2]);
	command_args_free(filled);
	free(element);
	free(program);
}

static void
expect_missing(const char *s, const char *place)
{
	char *element = copy(s);
	char *const argv[] = {element, NULL};
	char **filled;

	assert_int_equal(
	    command_args_fill(argv, args, &filled, &missing), -ENOENT);
	assert_int_equal(buf_len(&missing), strlen(place));
	assert_memory_equal(buf_head(&missing), place, strlen(place));
	buf_reset(&missing);
	free(element);
}

static void
a_string_stands_as_it_is(void **state)
{
	(void)state;
	expect("{args.s}", "a b");
	expect("--in={args.s}!", "--in=a b!");
	expect("{args.e}", "");
}

static void
other_values_stand_as_compact_json(void **state)
{
	(void)state;
	expect("{args.n}", "7");
	expect("{args.z}", "null");
	expect("{args.l}", "[1,2]");
	expect("{args.o}", "{\"t\":true,\"deep\":{\"x\":\"y\"}}");
}

static void
members_of_members_are_found(void **state)
{
	(void)state;
	expect("{args.o.t}", "true");
	expect("{args.o.deep.x}", "y");
	expect("{args.n}{args.n}x{args.o.deep.x}", "77xy");
}

static void
the_whole_value_has_a_place(void **state)
{
	json_t *whole = args;

	(void)state;
	args = json_string("plain");
	expect("<{args}>", "<plain>");
	json_decref(args);
	args = json_pack("[i]", 1);
	expect("{args}", "[1]");
	json_decref(args);
	args = whole;
}

static void
what_is_filled_in_is_not_filled_again(void **state)
{
	(void)state;
	expect("{args.brace}", "{args.n}");
}

static void
what_is_no_place_stays(void **state)
{
	(void)state;
	expect("", "");
	expect("{}", "{}");
	expect("{x}", "{x}");
	expect("{args", "{args");
	expect("{args.n", "{args.n");
	expect("{args.}", "{args.}");
	expect("{args..n}", "{args..n}");
	expect("{argsn}", "{argsn}");
	expect("{args.{args.n}}", "{args.7}");
	expect("awk '{print}'", "awk '{print}'");
}

static void
a_missing_member_is_named(void **state)
{
	(void)state;
	expect_missing("{args.nope}", "{args.nope}");
	expect_missing("x{args.n}{args.o.nope}y", "{args.o.nope}");
	expect_missing("{args.n.x}", "{args.n.x}");
	expect_missing("{args.l.0}", "{args.l.0}");
	expect_missing("{args.S}", "{args.S}");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(a_string_stands_as_it_is),
	    TEST(other_values_stand_as_compact_json),
	    TEST(members_of_members_are_found),
	    TEST(the_whole_value_has_a_place),
	    TEST(what_is_filled_in_is_not_filled_again),
	    TEST(what_is_no_place_stays),
	    TEST(a_missing_member_is_named),
	};

	return cmocka_run_group_tests_name(
	    "worker command args", tests, NULL, NULL);
}
