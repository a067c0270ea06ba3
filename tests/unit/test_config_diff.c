/* SPDX-License-Identifier: ISC */
/* LINK: master/supervisor/config.c master/supervisor/config_account.c
 * master/supervisor/config_check.c master/supervisor/config_default.c
 * master/supervisor/config_diff.c master/supervisor/config_field.c
 * master/supervisor/config_ids.c master/supervisor/config_key.c
 * master/supervisor/config_limit.c master/supervisor/config_mistake.c
 * master/supervisor/config_parse.c master/supervisor/config_pool.c
 * master/supervisor/config_print.c master/supervisor/config_read.c
 * master/supervisor/config_same.c master/supervisor/config_schema.c
 * master/supervisor/config_text.c master/supervisor/config_value.c ipc/buf.c
 * ipc/json.c ipc/place.c
 */
/*
 * test_config_diff.c - what differs between two configurations
 */
#include "master/supervisor/config_diff.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "master/supervisor/config_key.h"
#include "master/supervisor/config_print.h"

#define ARROW " \xe2\x86\x92 "

static struct config *
load(const char *text)
{
	const struct config_text t = {.text = text, .len = strlen(text)};
	struct config *c = NULL;
	struct buf told;
	int r;

	buf_init(&told, SIZE_MAX);
	r = config_load_text(&t, &c, &told);
	if (r < 0)
		print_error("%.*s", (int)buf_len(&told), buf_head(&told));
	assert_int_equal(r, 0);
	buf_done(&told);
	return c;
}

static void
add_lines(struct buf *b, const char *prefix, const char *const *list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		buf_printf(b, "%s%s\n", prefix, list[i]);
}

/* Expect those lines: changes, then "restart KEY", and fates by letter. */
static void
expect(const char *old_text, const char *new_text, const char *expected,
    const char *fates)
{
	struct config *old, *new;
	struct config_diff d;
	struct buf got;
	char *text;
	size_t i;

	old = load(old_text);
	new = load(new_text);
	assert_int_equal(config_diff(old, new, &d), 0);
	buf_init(&got, SIZE_MAX);
	add_lines(&got, "", (const char *const *)d.changes, d.n_changes);
	add_lines(&got, "restart ", d.restart, d.n_restart);
	buf_addc(&got, '\0');
	text = buf_steal(&got, NULL);
	assert_string_equal(text, expected);
	free(text);
	assert_int_equal(strlen(fates), new->n_pools);
	for (i = 0; i < new->n_pools; i++)
		assert_int_equal("scra"[d.pools[i]], fates[i]);
	config_diff_done(&d);
	config_free(&old);
	config_free(&new);
}

static void
equal_ones_differ_in_nothing(void **state)
{
	static const char text[] =
	    "pool a { modules = {/m.so} cpus = 0 rlimit_nofile = 99\n"
	    "  command c { argv = {x} } env = {'A=b'} umask = 022 }\n"
	    "queue default { priority = 3 } access { admin = {root} }\n";

	(void)state;
	expect("", "", "", "s");
	expect(text, text, "", "s");
	expect("log_level = info", "/* the same */ pool default { }", "", "s");
}

static void
changes_of_top_keys_are_told(void **state)
{
	(void)state;
	expect("", "log_level = debug graceful_timeout = 1m",
	    "log_level info" ARROW "debug\n"
	    "graceful_timeout 30s" ARROW "1m\n",
	    "r");
	expect("", "max_queued = 5", "max_queued 10000000" ARROW "5\n", "s");
	expect("sync = full", "sync = normal priority_age = 1h min_free = 1G",
	    "sync full" ARROW "normal\npriority_age 0" ARROW
	    "1h\nmin_free 64M" ARROW "1G\n",
	    "s");
	expect("", "access { admin = {root} }", "access admin changed\n", "s");
	expect("access { admin = {root} }", "access { admin = {0} }",
	    "access admin changed\n", "s");
}

static void
keys_that_need_a_restart_are_named(void **state)
{
	(void)state;
	expect("socket = /a socket_mode = 600 state_dir = /s max_message = 1M",
	    "socket = /b socket_mode = 660 state_dir = /t max_message = 2M",
	    "restart socket\nrestart socket_mode\nrestart state_dir\n"
	    "restart pidfile\nrestart max_message\n",
	    "s");
	expect("user = root socket_group = root log_file = /l",
	    "user = nobody log_file = /m",
	    "restart socket_group\nrestart user\nrestart log_file\n", "s");
}

static void
pools_and_queues_come_and_go(void **state)
{
	(void)state;
	expect("pool a { } pool b { queues = {q} }",
	    "pool c { } pool a { } queue r { } pool d { queues = {r} }",
	    "pool \"c\": added\npool \"d\": added\npool \"b\": removed\n"
	    "queue \"r\": added\nqueue \"q\": removed\n",
	    "asa");
	expect("queue default { }",
	    "queue default { priority = 7 soft_timeout = 3s }",
	    "queue \"default\": priority 5" ARROW "7\n"
	    "queue \"default\": soft_timeout 0" ARROW "3s\n",
	    "s");
}

static void
changes_that_need_no_new_process_are_told_apart(void **state)
{
	(void)state;
	expect("pool a { processes = 2 }", "pool a { processes = 4 }",
	    "pool \"a\": processes 2" ARROW "4\n", "c");
	expect("pool a { }",
	    "pool a { timeout = 9s max_memory = 1G idle_timeout = 5s }",
	    "pool \"a\": idle_timeout 1m" ARROW "5s\n"
	    "pool \"a\": timeout 0" ARROW "9s\n"
	    "pool \"a\": max_memory 0" ARROW "1G\n",
	    "c");
	expect("pool a { }", "pool a { threads = 5 }",
	    "pool \"a\": threads 4" ARROW "5\n", "r");
	expect("pool a { }", "pool a { env = {'SECRET=x'} }",
	    "pool \"a\": env changed\n", "r");
	expect("pool a { }",
	    "pool a { umask = 077 rlimit_nofile = unlimited cpus = 0 }",
	    "pool \"a\": umask \"\"" ARROW "0077\n"
	    "pool \"a\": cpus \"\"" ARROW "0\n"
	    "pool \"a\": rlimit_nofile \"\"" ARROW "unlimited\n",
	    "r");
	expect("pool a { no_new_privs = no rlimit_core = 0 }",
	    "pool a { nice = -3 rlimit_core = 1M }",
	    "pool \"a\": nice 0" ARROW "-3\n"
	    "pool \"a\": no_new_privs no" ARROW "yes\n"
	    "pool \"a\": rlimit_core 0" ARROW "1M\n",
	    "r");
}

static void
queues_of_a_pool_are_compared_by_name(void **state)
{
	(void)state;
	expect("queue x {} queue y {} pool a { queues = {x, \"y:3\"} }",
	    "queue y {} queue x {} pool a { queues = {\"y:3\", x} }",
	    "pool \"a\": queues reordered\n", "c");
	expect("pool a { queues = {x, y} } pool b { queues = {x, y, z} }",
	    "pool a { queues = {y, \"x:2\"} } pool b { queues = {x, y, z} }",
	    "pool \"a\": queues x, y" ARROW "y, x:2\n", "cs");
}

static void
commands_are_compared_by_name(void **state)
{
	(void)state;
	expect("pool a { command c { argv = {x} } command d { argv = {x} }\n"
	       "command e { argv = {x} } }",
	    "pool a { command f { argv = {x} } command c { argv = {x} }\n"
	    "command e { argv = {x, y} timeout = 3s } }",
	    "pool \"a\": command \"d\" removed\n"
	    "pool \"a\": command \"f\" added\n"
	    "pool \"a\": command \"e\" changed\n",
	    "r");
}

static void
debug_handlers_replace_every_worker(void **state)
{
	(void)state;
	expect("pool a { } pool b { }",
	    "debug_handlers = yes pool a { } pool b { } pool c { }",
	    "debug_handlers no" ARROW "yes\npool \"c\": added\n", "rra");
}

/* As if the accounts had been made anew. */
static void
ids_of_the_same_names_count(void **state)
{
	static const char text[] = "user = nobody socket_group = root\n"
				   "pool a { user = nobody }";
	struct config *old, *new;
	struct config_diff d;

	(void)state;
	old = load(text);
	new = load(text);
	new->account.uid++;
	new->socket_gid++;
	new->pools[0].account.gid++;
	assert_int_equal(config_diff(old, new, &d), 0);
	assert_int_equal(d.n_restart, 2);
	assert_string_equal(d.restart[0], "socket_group");
	assert_string_equal(d.restart[1], "user");
	assert_int_equal(d.n_changes, 1);
	assert_string_equal(
	    d.changes[0], "pool \"a\": its user or group has other ids");
	assert_int_equal(d.pools[0], CONFIG_POOL_REPLACE);
	config_diff_done(&d);
	config_free(&old);
	config_free(&new);
}

static void
texts_are_utf8_without_controls(void **state)
{
	struct config *old, *new;
	struct config_diff d;

	(void)state;
	old = load("");
	new = load("pool default { chdir = \"/a\\nb\\xff\xc3\xa4\" }");
	assert_int_equal(config_diff(old, new, &d), 0);
	assert_int_equal(d.n_changes, 1);
	assert_string_equal(d.changes[0],
	    "pool \"default\": chdir \"\"" ARROW "/a\\x0ab\\xff\xc3\xa4");
	config_diff_done(&d);
	config_free(&old);
	config_free(&new);
}

static void
kept_keys_are_those_that_need_a_restart(void **state)
{
	struct config *old, *new;
	struct config_diff d;

	(void)state;
	old = load("socket = /a socket_mode = 600 user = nobody log_file = /l\n"
		   "state_dir = /s max_message = 3M socket_group = root\n"
		   "log_level = warn");
	new = load("socket = /b pidfile = /p log_level = debug");
	assert_int_equal(config_keep(new, old), 0);
	assert_string_equal(new->socket, "/a");
	assert_string_equal(new->pidfile, "/s/gangerd.pid");
	assert_string_equal(new->account.user, "nobody");
	assert_int_equal(new->account.uid, old->account.uid);
	assert_int_equal(config_diff(old, new, &d), 0);
	assert_int_equal(d.n_restart, 0);
	assert_int_equal(d.n_changes, 1);
	assert_string_equal(d.changes[0], "log_level warn" ARROW "debug");
	config_diff_done(&d);
	config_free(&old);
	config_free(&new);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(equal_ones_differ_in_nothing),
	    cmocka_unit_test(changes_of_top_keys_are_told),
	    cmocka_unit_test(keys_that_need_a_restart_are_named),
	    cmocka_unit_test(pools_and_queues_come_and_go),
	    cmocka_unit_test(changes_that_need_no_new_process_are_told_apart),
	    cmocka_unit_test(queues_of_a_pool_are_compared_by_name),
	    cmocka_unit_test(commands_are_compared_by_name),
	    cmocka_unit_test(debug_handlers_replace_every_worker),
	    cmocka_unit_test(ids_of_the_same_names_count),
	    cmocka_unit_test(texts_are_utf8_without_controls),
	    cmocka_unit_test(kept_keys_are_those_that_need_a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
