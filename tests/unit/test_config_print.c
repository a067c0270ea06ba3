/* SPDX-License-Identifier: ISC */
/* LINK: master/supervisor/config.c master/supervisor/config_account.c
 * master/supervisor/config_check.c master/supervisor/config_default.c
 * master/supervisor/config_field.c master/supervisor/config_ids.c
 * master/supervisor/config_key.c master/supervisor/config_limit.c
 * master/supervisor/config_mistake.c
 * master/supervisor/config_parse.c master/supervisor/config_pool.c
 * master/supervisor/config_print.c master/supervisor/config_read.c
 * master/supervisor/config_schema.c master/supervisor/config_text.c
 * master/supervisor/config_value.c ipc/buf.c
 * ipc/json.c ipc/place.c
 */
/*
 * test_config_print.c - what is printed is read back as the same
 */
#include "master/supervisor/config_print.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "master/supervisor/config_ids.h"
#include "master/supervisor/config_key.h"

static struct config *
load_file(const char *path)
{
	struct config *c = NULL;
	struct buf told;

	buf_init(&told, SIZE_MAX);
	assert_int_equal(config_load(path, NULL, 0, &c, &told), 0);
	assert_int_equal(buf_len(&told), 0);
	return c;
}

/* Load the text, by way of a file. */
static struct config *
load(const char *text)
{
	char path[] = "/tmp/test_config_print.XXXXXX";
	struct config *c;
	int fd;

	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	c = load_file(path);
	unlink(path);
	return c;
}

static char *
print(const struct config *c)
{
	struct buf out;

	buf_init(&out, SIZE_MAX);
	assert_int_equal(config_print(c, &out), 0);
	return buf_steal(&out, NULL);
}

static void
printed_text_is_read_back_the_same(void **state)
{
	struct config *c, *again;
	char *a, *b;

	(void)state;
	c = load("socket = \"/x \\\"y\\\" \\\\ \\${HOME} # $ \xc3\xa4\"\n"
		 "state_dir = \"/tab\\tnewline\\nc\"\n"
		 "graceful_timeout = 90s max_message = 1025K user = root\n"
		 "socket_mode = 600 debug_handlers = on\n"
		 "access { submit = {root, \"@root\", 77} admin = {\"*\"} }\n"
		 "queue late { retries = 9 }\n"
		 "pool one { queues = {\"new:4\", late} processes = 3\n"
		 "  modules = {\"/a,b.so\", '/c\"d.so'} nice = -1\n"
		 "  env = {\"A=$B\", 'C=${D}'}\n"
		 "  command c { argv = {sh, '-c', 'echo \\$1 ${x} \\'*/'} }\n"
		 "}\n"
		 "pool two { order = strict timeout = 1d }\n");
	assert_string_equal(c->socket, "/x \"y\" \\ ${HOME} # $ \xc3\xa4");
	a = print(c);
	again = load(a);
	b = print(again);
	assert_string_equal(a, b);
	assert_string_equal(again->socket, c->socket);
	assert_string_equal(again->state_dir, "/tab\tnewline\nc");
	assert_string_equal(again->pools[0].env[1], "C=${D}");
	assert_string_equal(again->pools[0].commands[0].argv[2],
	    c->pools[0].commands[0].argv[2]);
	assert_int_equal(again->n_queues, c->n_queues);
	assert_true(again->pools[1].processes_auto);
	assert_int_equal(again->access[CONFIG_OBSERVE].n, 1);
	free(a);
	free(b);
	config_free(&again);
	config_free(&c);
}

/* Load what was printed, with those ids. */
static int
load_printed(const char *text, const char *ids, struct config **out)
{
	const struct config_text t = {
	    .path = "/given", .text = text, .len = strlen(text), .ids = ids};
	struct buf told;
	int r;

	buf_init(&told, SIZE_MAX);
	r = config_load_text(&t, out, &told);
	if (buf_len(&told) > 0)
		print_error("%.*s", (int)buf_len(&told), buf_head(&told));
	buf_done(&told);
	return r;
}

static void
limits_and_bounds_are_read_back_the_same(void **state)
{
	struct config *c, *again = NULL;
	char *a, *b;

	(void)state;
	c = load(
	    "reload_timeout = 5m queue q { soft_timeout = 250ms rate = 100/h "
	    "}\n"
	    "sync = normal max_store = 3T when_full = hold\n"
	    "pool a { min_processes = 2 max_processes = 5 umask = 000 }\n"
	    "pool b { max_processes = 3 queues = {q} cpus = \"0,0\"\n"
	    "  max_memory = 1025K heartbeat_timeout = 0 soft_timeout = 1s\n"
	    "  no_new_privs = off rlimit_cpu = 90 rlimit_as = unlimited\n"
	    "  rlimit_core = 0 rlimit_stack = 8M rlimit_nproc = 77 }\n"
	    "pool c { processes = 3 max_processes = 4 }\n"
	    "pool d { processes = auto max_processes = 1 }\n");
	assert_int_equal(c->pools[0].processes, 2);
	assert_int_equal(c->pools[1].processes, 1);
	assert_int_equal(c->pools[1].min_processes, 1);
	assert_int_equal(c->pools[2].min_processes, 3);
	assert_int_equal(c->pools[3].processes, 1);
	assert_true(c->pools[3].processes_auto);
	assert_int_equal(c->pools[0].umask, 0);
	assert_int_equal(c->pools[1].umask, CONFIG_NO_UMASK);
	assert_int_equal(c->pools[1].rlimits[CONFIG_RLIMIT_CPU].value, 90);
	assert_false(c->pools[1].rlimits[CONFIG_RLIMIT_FSIZE].set);
	assert_true(config_pool_scales(&c->pools[0]));
	assert_false(config_pool_scales(&c->pools[3]));
	a = print(c);
	assert_int_equal(load_printed(a, NULL, &again), 0);
	assert_string_equal(again->path, "/given");
	b = print(again);
	assert_string_equal(a, b);
	assert_memory_equal(c->pools[1].rlimits, again->pools[1].rlimits,
	    sizeof(c->pools[1].rlimits));
	free(a);
	free(b);
	config_free(&again);
	config_free(&c);
}

static void
any_bytes_are_read_back_the_same(void **state)
{
	char text[600] = "pool a { chdir = \"/", *printed;
	struct config *c, *again = NULL;
	size_t n;
	int i;

	(void)state;
	n = strlen(text);
	for (i = 1; i < 256; i++) {
		if (strchr("\"\\$", i) != NULL)
			text[n++] = '\\';
		text[n++] = (char)i;
	}
	strcpy(text + n, "\xc3\xa4\xc3\" }");
	c = load(text);
	assert_int_equal(strlen(c->pools[0].chdir), 259);
	printed = print(c);
	/* It can be passed on as JSON. */
	assert_non_null(strstr(printed, "\xc3\xa4\\xc3\""));
	assert_int_equal(load_printed(printed, NULL, &again), 0);
	assert_string_equal(again->pools[0].chdir, c->pools[0].chdir);
	free(printed);
	config_free(&again);
	config_free(&c);
}

static void
ids_are_taken_without_a_look_at_the_accounts(void **state)
{
	struct config *c, *again = NULL;
	struct buf ids;
	char *text, *numbers;

	(void)state;
	c = load("user = root socket_group = root\n"
		 "access { submit = {root, \"@root\", 77} }\n"
		 "pool a { user = root } pool b { }\n");
	/* What no account database says. */
	c->account.uid = 4000000000;
	c->socket_gid = 7;
	c->access[CONFIG_SUBMIT].list[1].gid = 8;
	c->pools[0].account.gid = 9;
	text = print(c);
	buf_init(&ids, SIZE_MAX);
	assert_int_equal(config_ids_print(c, &ids), 0);
	numbers = buf_steal(&ids, NULL);
	assert_int_equal(load_printed(text, numbers, &again), 0);
	assert_int_equal(again->account.uid, 4000000000);
	assert_int_equal(again->account.gid, c->account.gid);
	assert_int_equal(again->socket_gid, 7);
	assert_int_equal(again->access[CONFIG_SUBMIT].list[0].uid, 0);
	assert_int_equal(again->access[CONFIG_SUBMIT].list[1].gid, 8);
	assert_int_equal(again->access[CONFIG_SUBMIT].list[2].uid, 77);
	assert_int_equal(again->pools[0].account.gid, 9);
	assert_int_equal(again->pools[1].account.uid, CONFIG_NO_UID);
	config_free(&again);
	free(numbers);
	free(text);
	config_free(&c);
}

static void
ids_of_another_configuration_are_refused(void **state)
{
	static const char *const bad[] = {"", "1 2 3 ", "x", "-1 ",
	    "0 0 0 0 0 0 0 0 0 0 0 0 0 ", "99999999999 0 0 0 0 0 0 0 0 ",
	    "0 0 0 0 0 0 0 0 0", " 0 0 0 0 0 0 0 0 0 "};
	struct config *c = NULL;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(load_printed("", bad[i], &c), -EINVAL);
		assert_null(c);
	}
	assert_int_equal(load_printed("", "0 0 0 0 0 0 0 0 0 ", &c), 0);
	config_free(&c);
}

static void
expect_keys(const char *text, const struct config_key *keys)
{
	char wanted[64];

	for (; keys->name != NULL; keys++) {
		snprintf(wanted, sizeof(wanted), "%s = ", keys->name);
		assert_non_null(strstr(text, wanted));
	}
}

static void
sample_names_every_key(void **state)
{
	char text[8192];
	size_t n;
	FILE *f;

	(void)state;
	f = fopen("etc/ganger.conf", "r");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	assert_true(n > 0 && n < sizeof(text) - 1);
	fclose(f);
	text[n] = '\0';
	expect_keys(text, config_keys_top);
	expect_keys(text, config_keys_access);
	expect_keys(text, config_keys_pool);
	expect_keys(text, config_keys_command);
	expect_keys(text, config_keys_queue);
}

/* The page names those keys, and no others, that a reload leaves. */
static void
page_names_keys_that_need_a_restart(void **state)
{
	const struct config_key *k;
	char text[65536], wanted[64];
	const char *start;
	char *end;
	size_t n;
	FILE *f;

	(void)state;
	f = fopen("etc/man/ganger.conf.5", "r");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	assert_true(n > 0 && n < sizeof(text) - 1);
	fclose(f);
	text[n] = '\0';
	start = strstr(text, "which keep their values until");
	assert_non_null(start);
	end = strstr(start, ".Sh ");
	assert_non_null(end);
	*end = '\0';
	for (k = config_keys_top; k->name != NULL; k++) {
		snprintf(wanted, sizeof(wanted), ".Ic %s", k->name);
		n = strlen(wanted);
		for (end = strstr(start, wanted);
		     end != NULL && end[n] != ' ' && end[n] != '\n';)
			end = strstr(end + n, wanted);
		assert_int_equal(end != NULL, k->needs_restart);
	}
}

static void
sample_changes_no_default(void **state)
{
	struct config *none, *sample;
	char *a, *b;

	(void)state;
	none = load_file(NULL);
	sample = load_file("etc/ganger.conf");
	a = print(none);
	b = print(sample);
	assert_string_equal(a, b);
	free(a);
	free(b);
	config_free(&none);
	config_free(&sample);
}

static void
empty_file_is_as_none(void **state)
{
	static const char *const texts[] = {"", "\n", "# a comment"};
	struct config *c;
	char *a, *b;
	size_t i;

	(void)state;
	c = load_file(NULL);
	a = print(c);
	config_free(&c);
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		c = load(texts[i]);
		b = print(c);
		assert_string_equal(a, b);
		free(b);
		config_free(&c);
	}
	free(a);
}

static void
full_buffer_is_an_error(void **state)
{
	struct config *c;
	struct buf out;

	(void)state;
	c = load_file(NULL);
	buf_init(&out, 100);
	assert_int_equal(config_print(c, &out), -ENOBUFS);
	buf_done(&out);
	config_free(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(printed_text_is_read_back_the_same),
	    cmocka_unit_test(limits_and_bounds_are_read_back_the_same),
	    cmocka_unit_test(any_bytes_are_read_back_the_same),
	    cmocka_unit_test(ids_are_taken_without_a_look_at_the_accounts),
	    cmocka_unit_test(ids_of_another_configuration_are_refused),
	    cmocka_unit_test(sample_names_every_key),
	    cmocka_unit_test(page_names_keys_that_need_a_restart),
	    cmocka_unit_test(sample_changes_no_default),
	    cmocka_unit_test(empty_file_is_as_none),
	    cmocka_unit_test(full_buffer_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
