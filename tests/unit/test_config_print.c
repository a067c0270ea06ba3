/* SPDX-License-Identifier: ISC */
/* LINK: master/supervisor/config.c master/supervisor/config_account.c
 * master/supervisor/config_default.c master/supervisor/config_field.c
 * master/supervisor/config_key.c master/supervisor/config_mistake.c
 * master/supervisor/config_parse.c master/supervisor/config_pool.c
 * master/supervisor/config_print.c master/supervisor/config_read.c
 * master/supervisor/config_schema.c master/supervisor/config_text.c
 * master/supervisor/config_value.c ipc/buf.c
 * ipc/place.c
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
	    cmocka_unit_test(sample_names_every_key),
	    cmocka_unit_test(sample_changes_no_default),
	    cmocka_unit_test(empty_file_is_as_none),
	    cmocka_unit_test(full_buffer_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
