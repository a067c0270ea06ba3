/* SPDX-License-Identifier: ISC */
/*
 * LINK: worker/check.c worker/module.c worker/route.c worker/job.c
 * worker/report.c worker/uplink.c worker/order.c worker/slots.c
 * worker/modules/builtin.c worker/modules/crash.c worker/modules/echo.c
 * worker/modules/fail.c worker/modules/numbers.c worker/modules/sha512.c
 * worker/modules/sleep.c worker/modules/sort.c ipc/buf.c ipc/clock.c ipc/json.c
 * ipc/line.c ipc/log.c ipc/peer.c ipc/rpc.c tests/lib/module_build.c
 */
/*
 * test_worker_module.c - modules good and broken, and the names they give
 */
#include "worker/check.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/proto.h"
#include "tests/lib/module_build.h"
#include "worker/module.h"

#define BUILTIN_NAMES "\"echo\",\"fail\",\"sha512\",\"sleep\",\"sort\""

#define RUN \
	"static json_t *run(struct ganger_task *t, json_t *a)" \
	"{ ganger_progress(t, 1, 2, 0); return json_incref(a); }\n"

#define MODULE(names) \
	RUN "static const struct ganger_handler h[] = {" names "{0, 0}};\n" \
	    "GANGER_PUBLIC extern const struct ganger_module ganger_module;" \
	    "const struct ganger_module ganger_module =" \
	    "{.abi = GANGER_MODULE_ABI, .name = \"t\", .handlers = h};\n"

static struct buf names, mistakes;

static int
set_up(void **state)
{
	(void)state;
	buf_init(&names, SIZE_MAX);
	buf_init(&mistakes, SIZE_MAX);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	buf_done(&names);
	buf_done(&mistakes);
	return 0;
}

static void
check_text(const struct buf *b, const char *want)
{
	assert_int_equal(buf_len(b), strlen(want));
	if (want[0] != '\0')
		assert_memory_equal(buf_head(b), want, strlen(want));
}

/* Check the settings; the names must be these. */
static void
check_good(const struct worker_settings *s, const char *want)
{
	assert_int_equal(worker_check(s, &names, &mistakes), 0);
	check_text(&names, want);
	check_text(&mistakes, "");
}

/* Check one module; the mistake must contain want, after its path. */
static void
check_bad(const char *path, const char *want)
{
	const char *const paths[] = {path};
	const struct worker_settings s = {.modules = paths, .n_modules = 1};
	char *text;

	buf_reset(&mistakes);
	assert_int_equal(worker_check(&s, &names, &mistakes), -EINVAL);
	check_text(&names, "");
	text = buf_steal(&mistakes, NULL);
	assert_non_null(text);
	assert_int_equal(strncmp(text, path, strlen(path)), 0);
	assert_int_equal(text[strlen(path)], ':');
	if (strstr(text, want) == NULL)
		fail_msg("\"%s\" is not in: %s", want, text);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	free(text);
}

/* The same with source compiled. */
static void
check_bad_source(const char *name, const char *source, const char *want)
{
	char *path;

	path = module_build(name, source);
	check_bad(path, want);
	free(path);
}

static void
the_builtin_names_are_always_there(void **state)
{
	const struct worker_settings plain = {.threads = 1};
	const struct worker_settings debug = {.debug_handlers = true};

	(void)state;
	check_good(&plain, "[" BUILTIN_NAMES "]");
	buf_reset(&names);
	check_good(&debug, "[\"crash\"," BUILTIN_NAMES "]");
}

static void
names_of_modules_and_commands_are_sorted_in(void **state)
{
	char prog[] = "true";
	char *const argv[] = {prog, NULL};
	const struct worker_command commands[] = {
	    {.name = "zip", .argv = argv}, {.name = "a.b:c-D_1", .argv = argv}};
	char *path;

	(void)state;
	path = module_build("good", MODULE("{\"mine\", run}, {\"m\", run},"));
	{
		const char *const paths[] = {path};
		const struct worker_settings s = {.modules = paths,
		    .n_modules = 1,
		    .commands = commands,
		    .n_commands = 2};

		check_good(&s,
		    "[\"a.b:c-D_1\",\"echo\",\"fail\",\"m\",\"mine\","
		    "\"sha512\",\"sleep\",\"sort\",\"zip\"]");
	}
	free(path);
}

static void
a_module_that_is_none_is_told(void **state)
{
	char *path;

	(void)state;
	check_bad("/nonexistent/x.so", "cannot load: ");
	path = module_build_file("text.so", "not a shared object");
	check_bad(path, "cannot load: ");
	free(path);
	check_bad_source("nosymbol", RUN, "exports no symbol ganger_module\n");
	check_bad_source("unresolved",
	    "extern int nowhere(void);"
	    "int (*ganger_module)(void) = nowhere;\n",
	    "cannot load: ");
}

static void
a_module_of_another_abi_is_told(void **state)
{
	(void)state;
	check_bad_source("abi",
	    "GANGER_PUBLIC extern const struct ganger_module ganger_module;"
	    "const struct ganger_module ganger_module = {.abi = 2};\n",
	    "has module ABI 2, this gangerd has 1\n");
	check_bad_source("empty",
	    "GANGER_PUBLIC extern const struct ganger_module ganger_module;"
	    "const struct ganger_module ganger_module = {.abi = 1};\n",
	    "has no table of handlers\n");
}

static void
a_bad_name_is_told(void **state)
{
	char source[1024], longest[PROTO_NAME_MAX + 2];

	(void)state;
	check_bad_source("blank", MODULE("{\"a b\", run},"),
	    "task name \"a b\" has characters other than");
	check_bad_source("newline", MODULE("{\"a\\n\", run},"),
	    "task name \"a\\n\" has characters other than");
	check_bad_source(
	    "noname", MODULE("{\"\", run},"), "task name \"\" is empty\n");
	check_bad_source("nofunction", MODULE("{\"nop\", 0},"),
	    "task name \"nop\" has no function\n");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	snprintf(source, sizeof(source), MODULE("{\"%s\", run},"), longest);
	check_bad_source("long", source, "is longer than 128 bytes\n");
}

static void
a_name_given_twice_is_told(void **state)
{
	char prog[] = "true";
	char *const argv[] = {prog, NULL};
	char *const none[] = {NULL};
	const struct worker_command commands[] = {
	    {.name = "echo", .argv = argv},
	    {.name = "x", .argv = argv},
	    {.name = "x", .argv = argv},
	    {.name = "y", .argv = none},
	};
	const struct worker_settings s = {
	    .commands = commands, .n_commands = 4};

	(void)state;
	check_bad_source("twice", MODULE("{\"sort\", run},"),
	    "task name \"sort\" is already given by the built-in tasks\n");
	buf_reset(&mistakes);
	assert_int_equal(worker_check(&s, &names, &mistakes), -EINVAL);
	check_text(&mistakes,
	    "the commands: task name \"y\" has an empty argv\n"
	    "the commands: task name \"echo\" is already given by the built-in "
	    "tasks\n"
	    "the commands: task name \"x\" is already given by the commands\n");
}

static void
all_mistakes_are_told_at_once(void **state)
{
	const char *paths[3];
	struct worker_settings s = {.modules = paths, .n_modules = 3};
	const char *text;
	char *bad_name, *all;

	(void)state;
	bad_name = module_build("first", MODULE("{\"?\", run}, {\"!\", run},"));
	paths[0] = "/nonexistent/1.so";
	paths[1] = bad_name;
	paths[2] = "/nonexistent/2.so";
	assert_int_equal(worker_check(&s, &names, &mistakes), -EINVAL);
	all = buf_steal(&mistakes, NULL);
	assert_non_null(strstr(all, "/nonexistent/1.so: "));
	assert_non_null(strstr(all, "/nonexistent/2.so: "));
	assert_non_null(strstr(all, "\"?\""));
	assert_non_null(strstr(all, "\"!\""));
	for (s.n_modules = 0, text = all; *text != '\0'; text++)
		s.n_modules += *text == '\n';
	assert_int_equal(s.n_modules, 4);
	free(all);
	free(bad_name);
}

/* What the hooks of the module under test did, one letter each. */
static char hooks_done[16];

static void
note_hook(char c)
{
	size_t n;

	n = strlen(hooks_done);
	assert_true(n + 1 < sizeof(hooks_done));
	hooks_done[n] = c;
	hooks_done[n + 1] = '\0';
}

static int
init_a(void)
{
	note_hook('a');
	return 0;
}

static void
done_a(void)
{
	note_hook('A');
}

static int
init_b(void)
{
	note_hook('b');
	return 0;
}

static void
done_b(void)
{
	note_hook('B');
}

static int
init_bad(void)
{
	note_hook('x');
	return -ENOENT;
}

static void
hooks_are_undone_in_reverse_when_one_fails(void **state)
{
	const struct ganger_module a = {.init = init_a,
	    .done = done_a,
	    .thread_init = init_a,
	    .thread_done = done_a};
	const struct ganger_module b = {.init = init_b,
	    .done = done_b,
	    .thread_init = init_b,
	    .thread_done = done_b};
	const struct ganger_module none = {.abi = 1};
	const struct ganger_module bad = {
	    .init = init_bad, .thread_init = init_bad, .done = done_a};
	struct module items[] = {
	    {"a", &a}, {"none", &none}, {"b", &b}, {"bad", &bad}};
	struct modules ms = {.items = items, .n = 4};
	const struct module *failed;

	(void)state;
	hooks_done[0] = '\0';
	assert_int_equal(modules_start(&ms, &failed), -ENOENT);
	assert_string_equal(failed->origin, "bad");
	assert_string_equal(hooks_done, "abxBA");
	hooks_done[0] = '\0';
	assert_int_equal(modules_start_thread(&ms, &failed), -ENOENT);
	assert_string_equal(hooks_done, "abxBA");
	hooks_done[0] = '\0';
	ms.n = 3;
	assert_int_equal(modules_start(&ms, &failed), 0);
	modules_stop(&ms);
	assert_string_equal(hooks_done, "abBA");
}

static int
clean_up(void **state)
{
	(void)state;
	module_build_clean();
	return 0;
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(the_builtin_names_are_always_there),
	    TEST(names_of_modules_and_commands_are_sorted_in),
	    TEST(a_module_that_is_none_is_told),
	    TEST(a_module_of_another_abi_is_told),
	    TEST(a_bad_name_is_told),
	    TEST(a_name_given_twice_is_told),
	    TEST(all_mistakes_are_told_at_once),
	    TEST(hooks_are_undone_in_reverse_when_one_fails),
	};

	return cmocka_run_group_tests_name(
	    "worker module", tests, NULL, clean_up);
}
