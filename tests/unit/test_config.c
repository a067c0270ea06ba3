/* SPDX-License-Identifier: ISC */
/* LINK: master/supervisor/config.c master/supervisor/config_account.c
 * master/supervisor/config_check.c master/supervisor/config_default.c
 * master/supervisor/config_field.c master/supervisor/config_ids.c
 * master/supervisor/config_key.c master/supervisor/config_limit.c
 * master/supervisor/config_mistake.c
 * master/supervisor/config_parse.c master/supervisor/config_pool.c
 * master/supervisor/config_read.c master/supervisor/config_schema.c
 * master/supervisor/config_text.c master/supervisor/config_value.c ipc/buf.c
 * ipc/place.c
 */
/*
 * test_config.c - files become a struct config, or mistakes with their lines
 *
 * Every test has a folder of its own; "@" in an expected text stands for it.
 */
#include "master/supervisor/config.h"

#include <errno.h>
#include <fcntl.h>
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

#include "ipc/place.h"
#include "master/supervisor/config_default.h"

#define ABSENT "no-such-name-here"

static char folder[] = "/tmp/test_config.XXXXXX";

static const char *
path_of(const char *name)
{
	static char path[sizeof(folder) + 64];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void
write_file(const char *name, const char *text)
{
	FILE *f;

	f = fopen(path_of(name), "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* Put the folder's name for each "@/" of text. */
static char *
with_folder(const char *text)
{
	struct buf b;

	buf_init(&b, SIZE_MAX);
	for (; *text != '\0'; text++) {
		if (text[0] == '@' && text[1] == '/')
			buf_adds(&b, folder);
		else
			buf_addc(&b, *text);
	}
	return buf_steal(&b, NULL);
}

/* Load the text, expecting no mistake. */
static struct config *
load(const char *text)
{
	struct config *c = NULL;
	struct buf told;
	int r;

	write_file("main", text);
	buf_init(&told, SIZE_MAX);
	r = config_load(path_of("main"), NULL, 0, &c, &told);
	if (r != 0)
		print_error("%.*s", (int)buf_len(&told), buf_head(&told));
	assert_int_equal(r, 0);
	assert_int_equal(buf_len(&told), 0);
	assert_non_null(c);
	buf_done(&told);
	return c;
}

static void
expect_told(const char *path, const char *const *overrides, size_t n_overrides,
    int error, const char *expected)
{
	struct config *c = NULL;
	char *want, *got;
	struct buf told;

	want = with_folder(expected);
	buf_init(&told, SIZE_MAX);
	assert_int_equal(
	    config_load(path, overrides, n_overrides, &c, &told), error);
	assert_null(c);
	got = buf_steal(&told, NULL);
	assert_string_equal(got, want);
	free(got);
	free(want);
}

static void
expect_mistakes(const char *text, const char *expected)
{
	write_file("main", text);
	expect_told(path_of("main"), NULL, 0, -EINVAL, expected);
}

static void
no_file_gives_all_defaults(void **state)
{
	const struct config_pool *p;
	struct config *c = NULL;
	struct buf told;

	(void)state;
	buf_init(&told, SIZE_MAX);
	assert_int_equal(config_load(NULL, NULL, 0, &c, &told), 0);
	assert_null(c->path);
	assert_int_equal(c->socket_mode, 0660);
	assert_null(c->socket_group);
	assert_int_equal(c->socket_gid, CONFIG_NO_GID);
	assert_int_equal(c->log_level, LOG_INFO);
	assert_string_equal(c->log_file, "-");
	assert_int_equal(c->graceful_timeout_ms, 30000);
	assert_int_equal(c->max_message, 1048576);
	assert_int_equal(c->max_clients, 10000);
	assert_int_equal(c->max_queued, 10000000);
	assert_int_equal(c->result_ttl_ms, 3600000);
	assert_int_equal(c->failed_ttl_ms, 604800000);
	assert_int_equal(c->max_finished, 67108864);
	assert_int_equal(c->sync, CONFIG_SYNC_FULL);
	assert_int_equal(c->priority_age_ms, 0);
	assert_int_equal(c->cancel_grace_ms, 10000);
	assert_int_equal(c->max_store, 0);
	assert_int_equal(c->min_free, 67108864);
	assert_int_equal(c->when_full, CONFIG_FULL_REFUSE);
	assert_false(c->debug_handlers);
	assert_int_equal(c->access[CONFIG_SUBMIT].n, 1);
	assert_int_equal(c->access[CONFIG_SUBMIT].list[0].kind, CONFIG_WHO_ALL);
	assert_int_equal(c->access[CONFIG_OBSERVE].n, 1);
	assert_int_equal(c->access[CONFIG_ADMIN].n, 0);
	assert_int_equal(c->n_pools, 1);
	p = config_find_pool(c, "default");
	assert_non_null(p);
	assert_true(p->processes_auto);
	assert_int_equal(p->processes, config_default_processes());
	assert_int_equal(p->threads, 4);
	assert_int_equal(p->boot_timeout_ms, 10000);
	assert_int_equal(p->account.uid, CONFIG_NO_UID);
	assert_int_equal(p->n_take, 1);
	assert_int_equal(p->take[0].weight, 1);
	assert_int_equal(c->n_queues, 1);
	assert_string_equal(c->queues[0].name, "default");
	assert_int_equal(c->queues[0].priority, 5);
	assert_int_equal(c->queues[0].retries, 3);
	assert_true(c->queues[0].durable);
	assert_int_equal(c->queues[0].max_running, 0);
	assert_int_equal(c->queues[0].rate.count, 0);
	assert_int_equal(c->queues[0].rate.per_ms, 1000);
	config_free(&c);
	assert_null(c);
	config_free(&c);
}

static void
top_level_keys_are_read(void **state)
{
	struct config *c;

	(void)state;
	c = load("socket = \"/run/x/y.sock\" socket_mode = 0600\n"
		 "socket_group = root\n"
		 "state_dir = '/var/lib/x'\n"
		 "log_level = debug log_file = /var/log/x log_format = json\n"
		 "graceful_timeout = \"250ms\" drain = all user = root\n"
		 "max_message = 64K max_clients = 7 max_queued = 8\n"
		 "result_ttl = 0 failed_ttl = 2d max_finished = 1M\n"
		 "sync = normal priority_age = 5m cancel_grace = 0\n"
		 "max_store = 10G min_free = 0 when_full = hold\n"
		 "debug_handlers = yes\n"
		 "access { submit = {root, 12345, \"@root\"} observe = {}\n"
		 "  admin = {\"*\"} }\n");
	assert_string_equal(c->path, path_of("main"));
	assert_string_equal(c->socket, "/run/x/y.sock");
	assert_int_equal(c->socket_mode, 0600);
	assert_int_equal(c->socket_gid, 0);
	assert_string_equal(c->pidfile, "/var/lib/x/gangerd.pid");
	assert_int_equal(c->log_level, LOG_DEBUG);
	assert_int_equal(c->log_format, LOG_JSON);
	assert_string_equal(c->log_file, "/var/log/x");
	assert_int_equal(c->graceful_timeout_ms, 250);
	assert_int_equal(c->drain, CONFIG_DRAIN_ALL);
	assert_string_equal(c->account.user, "root");
	assert_int_equal(c->account.uid, 0);
	assert_int_equal(c->account.gid, 0);
	assert_int_equal(c->max_message, 65536);
	assert_int_equal(c->max_clients, 7);
	assert_int_equal(c->max_queued, 8);
	assert_int_equal(c->result_ttl_ms, 0);
	assert_int_equal(c->failed_ttl_ms, 172800000);
	assert_int_equal(c->max_finished, 1048576);
	assert_int_equal(c->sync, CONFIG_SYNC_NORMAL);
	assert_int_equal(c->priority_age_ms, 300000);
	assert_int_equal(c->cancel_grace_ms, 0);
	assert_int_equal(c->max_store, UINT64_C(10) << 30);
	assert_int_equal(c->min_free, 0);
	assert_int_equal(c->when_full, CONFIG_FULL_HOLD);
	assert_true(c->debug_handlers);
	assert_int_equal(c->access[CONFIG_SUBMIT].n, 3);
	assert_int_equal(
	    c->access[CONFIG_SUBMIT].list[0].kind, CONFIG_WHO_USER);
	assert_int_equal(c->access[CONFIG_SUBMIT].list[0].uid, 0);
	assert_int_equal(c->access[CONFIG_SUBMIT].list[1].uid, 12345);
	assert_int_equal(
	    c->access[CONFIG_SUBMIT].list[2].kind, CONFIG_WHO_GROUP);
	assert_int_equal(c->access[CONFIG_SUBMIT].list[2].gid, 0);
	assert_int_equal(c->access[CONFIG_OBSERVE].n, 0);
	assert_int_equal(c->access[CONFIG_ADMIN].n, 1);
	config_free(&c);
}

static void
pools_and_queues_keep_their_order(void **state)
{
	const struct config_pool *p;
	struct config *c;

	(void)state;
	c = load("queue mail { priority = 9 retries = 0 timeout = 5s\n"
		 "  max_queued = 100 durable = no max_running = 3\n"
		 "  rate = 5/m }\n"
		 "pool b { processes = 2 threads = 1 order = strict\n"
		 "  queues = {\"new:3\", mail} }\n"
		 "pool a { queues = {\"mail:7\", other} }\n"
		 "queue other { }\n");
	assert_int_equal(c->n_pools, 2);
	assert_string_equal(c->pools[0].name, "b");
	assert_string_equal(c->pools[1].name, "a");
	assert_int_equal(c->n_queues, 3);
	assert_string_equal(c->queues[0].name, "mail");
	assert_string_equal(c->queues[1].name, "other");
	assert_string_equal(c->queues[2].name, "new");
	assert_int_equal(c->queues[0].priority, 9);
	assert_int_equal(c->queues[0].retries, 0);
	assert_int_equal(c->queues[0].timeout_ms, 5000);
	assert_int_equal(c->queues[0].max_queued, 100);
	assert_false(c->queues[0].durable);
	assert_int_equal(c->queues[0].max_running, 3);
	assert_int_equal(c->queues[0].rate.count, 5);
	assert_int_equal(c->queues[0].rate.per_ms, 60000);
	assert_int_equal(c->queues[2].priority, 5);
	p = &c->pools[0];
	assert_int_equal(p->processes, 2);
	assert_false(p->processes_auto);
	assert_int_equal(p->order, CONFIG_ORDER_STRICT);
	assert_int_equal(p->n_take, 2);
	assert_int_equal(p->take[0].queue, 2);
	assert_int_equal(p->take[0].weight, 3);
	assert_int_equal(p->take[1].queue, 0);
	assert_int_equal(p->take[1].weight, 1);
	assert_int_equal(c->pools[1].take[0].weight, 7);
	assert_ptr_equal(config_find_queue(c, "other"), &c->queues[1]);
	assert_null(config_find_queue(c, "othe"));
	assert_null(config_find_pool(c, "c"));
	config_free(&c);
}

static void
pool_keys_are_read(void **state)
{
	const struct config_pool *p;
	struct config *c;

	(void)state;
	c = load("pool p {\n"
		 "  modules = {\"/a.so\", \"/b.so\"} chdir = / nice = -5\n"
		 "  env = {\"A=1\", \"B=\"} group = root\n"
		 "  boot_timeout = 0 timeout = 1m max_tasks = 10\n"
		 "  max_tasks_jitter = 3\n"
		 "  command one { argv = {\"echo\", \"{args.x}\", \"\"} }\n"
		 "  command \"my:two\" { argv = {true} timeout = 30s }\n"
		 "}\n");
	p = &c->pools[0];
	assert_int_equal(p->n_modules, 2);
	assert_string_equal(p->modules[1], "/b.so");
	assert_null(p->modules[2]);
	assert_string_equal(p->chdir, "/");
	assert_int_equal(p->nice, -5);
	assert_int_equal(p->n_env, 2);
	assert_string_equal(p->env[1], "B=");
	assert_null(p->account.user);
	assert_int_equal(p->account.uid, CONFIG_NO_UID);
	assert_int_equal(p->account.gid, 0);
	assert_int_equal(p->boot_timeout_ms, 0);
	assert_int_equal(p->timeout_ms, 60000);
	assert_int_equal(p->max_tasks, 10);
	assert_int_equal(p->max_tasks_jitter, 3);
	assert_int_equal(p->n_commands, 2);
	assert_string_equal(p->commands[0].name, "one");
	assert_int_equal(p->commands[0].n_argv, 3);
	assert_string_equal(p->commands[0].argv[1], "{args.x}");
	assert_string_equal(p->commands[0].argv[2], "");
	assert_null(p->commands[0].argv[3]);
	assert_int_equal(p->commands[0].timeout_ms, 0);
	assert_string_equal(p->commands[1].name, "my:two");
	assert_int_equal(p->commands[1].timeout_ms, 30000);
	config_free(&c);
}

static void
pool_account_falls_back_to_the_daemon(void **state)
{
	struct config_account a;
	struct config *c;

	(void)state;
	c = load("user = root\n"
		 "pool none { }\n"
		 "pool user { user = daemon queues = {u} }\n"
		 "pool group { group = daemon queues = {g} }\n");
	a = config_account_of(c, NULL);
	assert_int_equal(a.uid, 0);
	assert_int_equal(a.gid, 0);
	a = config_account_of(c, &c->pools[0]);
	assert_int_equal(a.uid, 0);
	assert_string_equal(a.user, "root");
	a = config_account_of(c, &c->pools[1]);
	assert_string_equal(a.user, "daemon");
	assert_int_equal(a.uid, c->pools[1].account.uid);
	assert_int_not_equal(a.uid, 0);
	assert_int_not_equal(a.gid, 0);
	a = config_account_of(c, &c->pools[2]);
	assert_int_equal(a.uid, 0);
	assert_string_equal(a.group, "daemon");
	assert_int_not_equal(a.gid, 0);
	config_free(&c);
}

static void
places_for_arguments_have_to_be_whole(void **state)
{
	(void)state;
	expect_mistakes(
	    "pool p {\n"
	    "  command good { argv = {a, \"{args}{args.x.y}-{args.z}\",\n"
	    "    \"{argsx {print} {\", \"}{\"} }\n"
	    "  command bad { argv = {\"x{args\", \"{args.in\",\n"
	    "    \"a {args.x{args.y} b\", \"{args.x\" ,\"}\"} }\n"
	    "}\n",
	    "@/main:4: argv: \"{args\": a \"}\" is missing\n"
	    "@/main:4: argv: \"{args.in\": a \"}\" is missing\n"
	    "@/main:5: argv: \"{args.x{args.y} b\": a \"}\" is missing\n"
	    "@/main:5: argv: \"{args.x\": a \"}\" is missing\n");
}

static void
every_mistake_in_values_is_told_at_once(void **state)
{
	(void)state;
	expect_mistakes(
	    "/* two\n lines */\n"
	    "socket = rel.sock\n"
	    "socket_mode = 999 # comment\n"
	    "log_level = \"loud\" // comment\n"
	    "graceful_timeout = 30\n"
	    "max_message = 100M\n"
	    "debug_handlers = 2\n"
	    "max_clients =\n\n  0\n"
	    "pidfile = \"\"\n"
	    "access { submit = {\"*\", /* inside */\n\"4294967295\"} }\n"
	    "pool p {\n"
	    "  processes = 0\n"
	    "  queues = {a, # inside\n    \"a:2\", \"c/d\", \"b:0\"}\n"
	    "  modules = {rel.so}\n"
	    "  command one { timeout = soon }\n"
	    "  command two { argv = {\"\"} }\n"
	    "}\n"
	    "pool q {\n  queues = {}\n}\n"
	    "queue z { priority = 10 }\n",
	    "@/main:3: socket: \"rel.sock\" is not an absolute path\n"
	    "@/main:4: socket_mode: \"999\" is not a mode like \"0660\"\n"
	    "@/main:5: log_level: \"loud\" is none of error, warn, info, "
	    "debug\n"
	    "@/main:6: graceful_timeout: \"30\" is not a duration like "
	    "\"250ms\", \"30s\", \"5m\", \"1h\", \"7d\"\n"
	    "@/main:7: max_message: \"100M\" is not from 1K to 64M\n"
	    "@/main:8: debug_handlers: \"2\" is neither yes nor no\n"
	    "@/main:11: max_clients: \"0\" is not a number from 1 to 1000000\n"
	    "@/main:12: pidfile: \"\" is not an absolute path\n"
	    "@/main:14: submit: no such user \"4294967295\"\n"
	    "@/main:16: processes: \"0\" is neither \"auto\" nor a number "
	    "from 1 to 1024\n"
	    "@/main:18: queues: \"a\" is there twice\n"
	    "@/main:18: queues: \"c/d\" is neither NAME nor NAME:WEIGHT\n"
	    "@/main:18: queues: \"b:0\": a weight is from 1 to 1000\n"
	    "@/main:19: modules: \"rel.so\" is not an absolute path\n"
	    "@/main:20: timeout: \"soon\" is not a duration like \"250ms\", "
	    "\"30s\", \"5m\", \"1h\", \"7d\"\n"
	    "@/main:20: command \"one\": argv: needs at least a program\n"
	    "@/main:21: argv: \"\" is not a program\n"
	    "@/main:23: pool \"q\": queues: needs at least one\n"
	    "@/main:26: priority: \"10\" is not a number from 0 to 9\n"
	    "@/main:26: queue \"z\": no pool takes it\n");
}

static void
absent_users_and_groups_are_mistakes(void **state)
{
	(void)state;
	expect_mistakes("user = " ABSENT "\nsocket_group = " ABSENT "\n"
			"access {\n submit = {" ABSENT ",\n\"@" ABSENT "\"} }\n"
			"pool p {\n user = " ABSENT "\n group = " ABSENT "\n}",
	    "@/main:1: user: no such user \"" ABSENT "\"\n"
	    "@/main:2: socket_group: no such group \"" ABSENT "\"\n"
	    "@/main:4: submit: no such user \"" ABSENT "\"\n"
	    "@/main:5: submit: no such group \"@" ABSENT "\"\n"
	    "@/main:7: user: no such user \"" ABSENT "\"\n"
	    "@/main:8: group: no such group \"" ABSENT "\"\n");
}

static void
bad_names_are_mistakes(void **state)
{
	(void)state;
	expect_mistakes("pool \"a:b\" { queues = {x}\n"
			"command \"a b\" { argv = {true} } }\n"
			"queue \"\"\n{ }\n",
	    "@/main:1: pool \"a:b\": a name is 1 to 128 of "
	    "A-Z a-z 0-9 _ . -\n"
	    "@/main:2: command \"a b\": a name is 1 to 128 of "
	    "A-Z a-z 0-9 _ . - :\n"
	    "@/main:4: queue \"\": a name is 1 to 128 of "
	    "A-Z a-z 0-9 _ . -\n"
	    "@/main:4: queue \"\": no pool takes it\n");
}

static void
socket_path_has_to_fit(void **state)
{
	char text[256], path[108], *expected;

	(void)state;
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[50] = '/';
	path[107] = '\0';
	snprintf(text, sizeof(text), "socket = \"%s\"", path);
	config_free(&(struct config *){load(text)});
	snprintf(text, sizeof(text), "socket = \"%sx\"", path);
	assert_true(asprintf(&expected,
			"@/main:1: socket: \"%sx\" is too long for a "
			"socket, which takes 107 bytes\n",
			path) > 0);
	expect_mistakes(text, expected);
	free(expected);
	expect_mistakes(
	    "\nsocket = /run/", "@/main:2: socket: \"/run/\" is a folder\n");
}

static void
mistakes_of_syntax_name_their_line(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
	    {"\nbogus = 1\n", "@/main:2: unknown key \"bogus\"\n"},
	    {"pool p {\n\n  socket = /x\n}",
		"@/main:3: unknown key \"socket\"\n"},
	    {"a|b = 1", "@/main:1: unknown key \"a\"\n"},
	    {"pool p {\n\"\" = 1 }", "@/main:2: a key has an empty name\n"},
	    {"pool p { \"\" { } }", "@/main: a key has an empty name\n"},
	    {"pool p { opened = 1 }", "@/main:1: unknown key \"opened\"\n"},
	    {"\nsocket /x", "@/main:2: \"=\" is missing after \"socket\"\n"},
	    {"socket = {/x}", "@/main:1: \"{\" is out of place\n"},
	    {"drain = all,", "@/main:1: \",\" is out of place\n"},
	    {"socket =", "@/main:1: the file ends inside a setting\n"},
	    {"socket += /x",
		"@/main:1: \"socket\" is no list and takes no \"+=\"\n"},
	    {"pool { }", "@/main:1: section \"pool\" needs a name\n"},
	    {"pool p = 1",
		"@/main:1: \"{\" is missing after section \"pool\"\n"},
	    {"pool p {}\n/*\n*/\npool p {}\n",
		"@/main:4: there is a section \"p\" already\n"},
	    {"pool p {\ncommand c { argv = {a} }\ncommand c { } }",
		"@/main:3: there is a section \"c\" already\n"},
	    {"queue p {}\nqueue p {}\n",
		"@/main:2: there is a section \"p\" already\n"},
	    {"access { }\n\naccess { }\n",
		"@/main:3: there is a section \"access\" already\n"},
	    {"\npool p {\n", "@/main:2: this \"{\" is never closed\n"},
	    {"\n}\n", "@/main:2: \"}\" closes nothing\n"},
	    {"a = \"\n", "@/main:1: this string is never closed\n"},
	    {"access { submit = {*} }",
		"@/main:1: \"*\" has to stand in quotes\n"},
	    {"include \"x\"", "@/main:1: \"(\" is missing after \"include\"\n"},
	    {"include(a, b)", "@/main:1: include: takes one file\n"},
	    {"include()", "@/main:1: include: takes one file\n"},
	    {"socket = \"\\777\"", "@/main:1: invalid octal number '\\777'\n"},
	    {"bog \"x\" = 1", "@/main:1: unknown key \"bog\"\n"},
	    {"\"a\nb\" = 2", "@/main:2: unknown key \"a?b\"\n"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect_mistakes(rows[i].text, rows[i].expected);
	/* None of them spoils what is read afterwards. */
	config_free(&(struct config *){load("socket = /x")});
}

static void
includes_are_read_beside_their_file(void **state)
{
	struct config *c;

	(void)state;
	write_file("one", "max_clients = 1\npool a { threads = 1 }\n");
	write_file("two", "threads = 2\ninclude(three)");
	write_file("three", "nice = 3");
	c = load("max_clients = 9\ninclude(\"one\")\nmax_queued = 9\n"
		 "pool b {\n include(\"two\") processes = 5 }\n");
	assert_int_equal(c->max_clients, 1);
	assert_int_equal(c->max_queued, 9);
	assert_int_equal(c->pools[0].threads, 1);
	assert_int_equal(c->pools[1].threads, 2);
	assert_int_equal(c->pools[1].nice, 3);
	assert_int_equal(c->pools[1].processes, 5);
	config_free(&c);
}

static void
mistakes_name_the_included_file(void **state)
{
	(void)state;
	write_file("one", "\nmax_clients = 0\nqueue z { }\n");
	expect_mistakes("max_queued = x\ninclude(one)\nlog_level = x\n"
			"pool p {\n threads = 0 }\n",
	    "@/main:1: max_queued: \"x\" is not a number from 1 to "
	    "1000000000000\n"
	    "@/main:3: log_level: \"x\" is none of error, warn, info, debug\n"
	    "@/main:5: threads: \"0\" is not a number from 1 to 256\n"
	    "@/one:2: max_clients: \"0\" is not a number from 1 to 1000000\n"
	    "@/one:3: queue \"z\": no pool takes it\n");
	write_file("one", "\nbogus = 0\n");
	expect_mistakes("include(one)\n", "@/one:2: unknown key \"bogus\"\n");
	write_file("one", "\npool p {\n");
	expect_mistakes(
	    "include(one)\n", "@/one:2: this \"{\" is never closed\n");
	expect_mistakes("\ninclude(absent)\n",
	    "@/main:2: include: \"@/absent\": No such file or directory\n");
}

static void
included_mistakes_use_nothing_up(void **state)
{
	int fd, again, i;

	(void)state;
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	close(fd);
	write_file("one", "\nbogus = 0\n");
	for (i = 0; i < 3 * 10; i++)
		expect_mistakes(
		    "include(one)\n", "@/one:2: unknown key \"bogus\"\n");
	again = open("/dev/null", O_RDONLY | O_CLOEXEC);
	close(again);
	assert_int_equal(fd, again);
}

static void
includes_that_never_end_are_refused(void **state)
{
	(void)state;
	expect_mistakes("\ninclude(\"main\")\n",
	    "@/main:2: include: \"main\": over 10 files inside one another\n");
}

static void
ten_files_may_be_inside_one_another(void **state)
{
	char name[16], text[32];
	struct config *c;
	int i;

	(void)state;
	for (i = 1; i <= 9; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		snprintf(text, sizeof(text), "include(f%d)", i + 1);
		write_file(name, i < 9 ? text : "max_clients = 10");
	}
	c = load("include(f1)");
	assert_int_equal(c->max_clients, 10);
	config_free(&c);
	write_file("f9", "include(main)");
	expect_mistakes("include(f1)",
	    "@/f9:1: include: \"main\": over 10 files inside one another\n");
	for (i = 1; i <= 9; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		unlink(path_of(name));
	}
}

static void
unreadable_file_is_told(void **state)
{
	static char big[1100000];

	(void)state;
	expect_told(path_of("absent"), NULL, 0, -ENOENT,
	    "@/absent: No such file or directory\n");
	expect_told("/", NULL, 0, -EISDIR, "/: Is a directory\n");
	memset(big, '\n', sizeof(big) - 1);
	write_file("big", big);
	expect_told(path_of("big"), NULL, 0, -EFBIG, "@/big: File too large\n");
}

static void
overrides_win_over_the_file(void **state)
{
	static const char *const overrides[] = {"max_clients=5",
	    "socket=/x=y/z", "max_clients=6", "log_level=warn"};
	struct config *c = NULL;
	struct buf told;

	(void)state;
	write_file("main", "max_clients = nonsense\nmax_queued = 3");
	buf_init(&told, SIZE_MAX);
	assert_int_equal(
	    config_load(path_of("main"), overrides, 4, &c, &told), 0);
	assert_int_equal(c->max_clients, 6);
	assert_int_equal(c->max_queued, 3);
	assert_string_equal(c->socket, "/x=y/z");
	config_free(&c);
	assert_int_equal(config_load(NULL, overrides, 4, &c, &told), 0);
	assert_int_equal(c->log_level, LOG_WARN);
	config_free(&c);
}

static void
mistakes_in_overrides_are_told(void **state)
{
	static const char *const overrides[] = {"bogus=1", "pool=x",
	    "max_clients=0", "threads", "=", "socket=x\ny"};

	(void)state;
	write_file("main", "max_queued = 0");
	expect_told(path_of("main"), overrides, 6, -EINVAL,
	    "@/main:1: max_queued: \"0\" is not a number from 1 to "
	    "1000000000000\n"
	    "-p bogus=1: no top-level key \"bogus\"\n"
	    "-p pool=x: no top-level key \"pool\"\n"
	    "-p max_clients=0: max_clients: \"0\" is not a number from 1 to "
	    "1000000\n"
	    "-p threads: not of the form KEY=VALUE\n"
	    "-p =: no top-level key \"\"\n"
	    "-p socket=x?y: socket: \"x?y\" is not an absolute path\n");
}

static void
pools_and_queues_are_limited(void **state)
{
	struct config *c;
	struct buf b;
	char *text;
	int i;

	(void)state;
	buf_init(&b, SIZE_MAX);
	for (i = 0; i < 64; i++)
		buf_printf(&b, "pool p%d { queues = {q%d} }\n", i, i);
	text = buf_steal(&b, NULL);
	c = load(text);
	assert_int_equal(c->n_pools, 64);
	config_free(&c);
	buf_printf(&b, "%spool last { queues = {q} }\n", text);
	free(text);
	text = buf_steal(&b, NULL);
	expect_mistakes(
	    text, "@/main:65: pool \"last\": there are over 64 pools\n");
	free(text);
	buf_adds(&b, "pool p { queues = {\n");
	for (i = 0; i < 1024; i++)
		buf_printf(&b, "q%d,\n", i);
	buf_adds(&b, "last} }\n");
	text = buf_steal(&b, NULL);
	expect_mistakes(text,
	    "@/main:1026: queues: \"last\": there are over 1024 queues\n");
	free(text);
}

static void
check_path(int (*make)(bool, char **), bool root, const char *expected)
{
	char *path = NULL;

	assert_int_equal(make(root, &path), 0);
	assert_string_equal(path, expected);
	free(path);
}

static void
default_paths_follow_the_user(void **state)
{
	(void)state;
	setenv("HOME", "/home/u", 1);
	unsetenv("XDG_RUNTIME_DIR");
	unsetenv("XDG_STATE_HOME");
	check_path(place_socket, true, RUNDIR "/ganger/ganger.sock");
	check_path(place_state_dir, true, LOCALSTATEDIR "/lib/ganger");
	check_path(place_state_dir, false, "/home/u/.local/state/ganger");
	check_path(
	    place_socket, false, "/home/u/.local/state/ganger/ganger.sock");
	setenv("XDG_STATE_HOME", "/state", 1);
	check_path(place_state_dir, false, "/state/ganger");
	check_path(place_socket, false, "/state/ganger/ganger.sock");
	setenv("XDG_RUNTIME_DIR", "relative", 1);
	check_path(place_socket, false, "/state/ganger/ganger.sock");
	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	check_path(place_socket, false, "/run/user/7/ganger/ganger.sock");
	assert_true(config_default_processes() >= 1);
}

static int
make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) == NULL ? -1 : 0;
}

static int
remove_folder(void **state)
{
	static const char *const names[] = {
	    "main", "one", "two", "three", "big"};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(path_of(names[i]));
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_file_gives_all_defaults),
	    cmocka_unit_test(top_level_keys_are_read),
	    cmocka_unit_test(pools_and_queues_keep_their_order),
	    cmocka_unit_test(pool_keys_are_read),
	    cmocka_unit_test(pool_account_falls_back_to_the_daemon),
	    cmocka_unit_test(places_for_arguments_have_to_be_whole),
	    cmocka_unit_test(every_mistake_in_values_is_told_at_once),
	    cmocka_unit_test(absent_users_and_groups_are_mistakes),
	    cmocka_unit_test(bad_names_are_mistakes),
	    cmocka_unit_test(socket_path_has_to_fit),
	    cmocka_unit_test(mistakes_of_syntax_name_their_line),
	    cmocka_unit_test(includes_are_read_beside_their_file),
	    cmocka_unit_test(mistakes_name_the_included_file),
	    cmocka_unit_test(included_mistakes_use_nothing_up),
	    cmocka_unit_test(includes_that_never_end_are_refused),
	    cmocka_unit_test(ten_files_may_be_inside_one_another),
	    cmocka_unit_test(unreadable_file_is_told),
	    cmocka_unit_test(overrides_win_over_the_file),
	    cmocka_unit_test(mistakes_in_overrides_are_told),
	    cmocka_unit_test(pools_and_queues_are_limited),
	    cmocka_unit_test(default_paths_follow_the_user),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
