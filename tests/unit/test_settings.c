/* SPDX-License-Identifier: ISC */
/* LINK: master/broker/settings.c ipc/buf.c ipc/json.c */
/*
 * test_settings.c - the broker's settings are read, or refused with a reason
 */
#include "master/broker/settings.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char full[] =
    "{\"socket\":\"/run/s\",\"max_message\":4096,\"max_clients\":12,"
    "\"max_queued\":1000,\"max_bytes\":2000,\"result_ttl_ms\":3,"
    "\"failed_ttl_ms\":4,\"max_finished\":5,\"started_at\":6,"
    "\"master_pid\":77,\"log_level\":\"debug\",\"log_format\":\"json\","
    "\"store_path\":\"/s/tasks.db\",\"full_sync\":false,"
    "\"priority_age_ms\":14,\"max_store\":15,\"min_free\":16,"
    "\"hold_when_full\":true,\"cancel_grace_ms\":17,\"drain_all\":true,"
    "\"later\":[1],"
    "\"pools\":[{\"name\":\"p\",\"processes\":3,\"threads\":4,\"strict\":true,"
    "\"scales\":true,\"queues\":[{\"queue\":\"b\",\"weight\":5},"
    "{\"queue\":\"a\"}],\"names\":[\"x\",\"y\"],\"commands\":[\"y\"],"
    "\"timeout_ms\":8,\"soft_timeout_ms\":7,\"max_tasks\":9,"
    "\"max_tasks_jitter\":10}],"
    "\"queues\":[{\"name\":\"a\"},{\"name\":\"b\",\"priority\":9,\"retries\":0,"
    "\"timeout_ms\":11,\"soft_timeout_ms\":12,\"max_queued\":13,"
    "\"durable\":false,\"max_running\":18,\"rate_count\":19,"
    "\"rate_ms\":60000}],"
    "\"access\":{\"submit\":[{\"anyone\":true}],"
    "\"admin\":[{\"uid\":0},{\"gid\":50}]}}";

static struct broker_settings *
load(const char *text)
{
	char why[SETTINGS_WHY_SIZE] = "";
	struct broker_settings *s = NULL;
	int r = settings_load(text, strlen(text), &s, why);

	if (r < 0)
		fail_msg("%s", why);
	return s;
}

static void
settings_are_read(void **state)
{
	struct broker_settings *s = load(full);

	(void)state;
	assert_string_equal(s->socket, "/run/s");
	assert_int_equal(s->max_message, 4096);
	assert_int_equal(s->max_clients, 12);
	assert_int_equal(s->max_queued, 1000);
	assert_int_equal(s->max_bytes, 2000);
	assert_int_equal(s->result_ttl_ms, 3);
	assert_int_equal(s->failed_ttl_ms, 4);
	assert_int_equal(s->max_finished, 5);
	assert_int_equal(s->started_at, 6);
	assert_int_equal(s->master_pid, 77);
	assert_int_equal(s->log_level, LOG_DEBUG);
	assert_int_equal(s->log_format, LOG_JSON);
	assert_string_equal(s->store_path, "/s/tasks.db");
	assert_false(s->full_sync);
	assert_int_equal(s->priority_age_ms, 14);
	assert_int_equal(s->max_store, 15);
	assert_int_equal(s->min_free, 16);
	assert_true(s->hold_when_full);
	assert_int_equal(s->cancel_grace_ms, 17);
	assert_true(s->drain_all);
	assert_int_equal(s->n_access[CLASS_SUBMIT], 1);
	assert_true(s->access[CLASS_SUBMIT][0].anyone);
	assert_int_equal(s->n_access[CLASS_OBSERVE], 0);
	assert_int_equal(s->n_access[CLASS_ADMIN], 2);
	assert_false(s->access[CLASS_ADMIN][0].is_group);
	assert_true(s->access[CLASS_ADMIN][1].is_group);
	assert_int_equal(s->access[CLASS_ADMIN][1].gid, 50);
	settings_unref(s);
}

static void
settings_have_pools_and_queues(void **state)
{
	struct broker_settings *s = load(full);
	const struct broker_pool_settings *p = &s->pools[0];

	(void)state;
	assert_int_equal(s->n_pools, 1);
	assert_string_equal(p->name, "p");
	assert_int_equal(p->n_processes, 3);
	assert_int_equal(p->threads, 4);
	assert_true(p->strict && p->scales);
	assert_int_equal(p->n_refs, 2);
	assert_int_equal(p->refs[0].queue, 1);
	assert_int_equal(p->refs[0].weight, 5);
	assert_int_equal(p->refs[1].queue, 0);
	assert_int_equal(p->refs[1].weight, 1);
	assert_int_equal(p->n_names, 2);
	assert_string_equal(p->names[1], "y");
	assert_string_equal(p->commands[0], "y");
	assert_int_equal(p->timeout_ms, 8);
	assert_int_equal(p->soft_timeout_ms, 7);
	assert_int_equal(p->max_tasks, 9);
	assert_int_equal(p->max_tasks_jitter, 10);
	assert_int_equal(s->n_queues, 2);
	assert_int_equal(s->queues[0].priority, 5);
	assert_int_equal(s->queues[0].retries, 3);
	assert_int_equal(s->queues[1].priority, 9);
	assert_int_equal(s->queues[1].retries, 0);
	assert_int_equal(s->queues[1].soft_timeout_ms, 12);
	assert_int_equal(s->queues[1].max_queued, 13);
	assert_true(s->queues[0].durable);
	assert_int_equal(s->queues[0].max_running, 0);
	assert_int_equal(s->queues[0].rate_count, 0);
	assert_false(s->queues[1].durable);
	assert_int_equal(s->queues[1].max_running, 18);
	assert_int_equal(s->queues[1].rate_count, 19);
	assert_int_equal(s->queues[1].rate_ms, 60000);
	settings_unref(s);
}

static void
settings_that_are_not_there_have_defaults(void **state)
{
	struct broker_settings *s = load("{}");

	(void)state;
	assert_int_equal(s->n_pools, 0);
	assert_int_equal(s->n_queues, 0);
	assert_int_equal(s->max_message, 1048576);
	assert_int_equal(s->log_level, LOG_INFO);
	assert_string_equal(s->socket, "");
	assert_null(s->store_path);
	assert_true(s->full_sync);
	assert_int_equal(s->min_free, 67108864);
	assert_int_equal(s->cancel_grace_ms, 10000);
	assert_false(s->drain_all);
	settings_unref(s);
	s = load("{\"pools\":[{\"name\":\"p\"}]}");
	assert_int_equal(s->pools[0].threads, 1);
	assert_int_equal(s->pools[0].n_names, 0);
	settings_unref(s);
}

static void
settings_outlive_their_first_owner(void **state)
{
	struct broker_settings *s = load(full);

	(void)state;
	settings_ref(s);
	settings_unref(s);
	assert_string_equal(s->pools[0].name, "p");
	settings_unref(s);
	settings_unref(NULL);
}

static void
settings_that_are_wrong_are_refused_with_a_reason(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
	    {"", "settings"},
	    {"[]", "no object"},
	    {"{\"max_clients\":\"x\"}", "max_clients"},
	    {"{\"max_clients\":0}", "max_clients"},
	    {"{\"max_message\":-1}", "max_message"},
	    {"{\"max_message\":1.5}", "max_message"},
	    {"{\"log_level\":\"loud\"}", "log_level"},
	    {"{\"log_level\":1}", "log_level"},
	    {"{\"queues\":{}}", "queues"},
	    {"{\"queues\":[{}]}", "queues[0] has no \"name\""},
	    {"{\"queues\":[1]}", "queues[0]"},
	    {"{\"queues\":[{\"name\":\"a\"},{\"name\":\"a\"}]}", "queues[1]"},
	    {"{\"queues\":[{\"name\":\"a\",\"priority\":10}]}", "priority"},
	    {"{\"pools\":[{\"name\":\"\"}]}", "pools[0] has no \"name\""},
	    {"{\"pools\":[{\"name\":\"a\"},{\"name\":\"a\"}]}", "pools[1]"},
	    {"{\"pools\":[{\"name\":\"a\",\"threads\":257}]}", "threads"},
	    {"{\"pools\":[{\"name\":\"a\",\"strict\":1}]}", "strict"},
	    {"{\"pools\":[{\"name\":\"a\",\"names\":[1]}]}", "names"},
	    {"{\"pools\":[{\"name\":\"a\",\"names\":\"x\"}]}", "names"},
	    {"{\"pools\":[{\"name\":\"a\",\"queues\":[{\"queue\":\"q\"}]}]}",
		"not there: q"},
	    {"{\"pools\":[{\"name\":\"a\",\"queues\":[{}]}]}", "not there"},
	    {"{\"queues\":[{\"name\":\"q\"}],\"pools\":[{\"name\":\"a\","
	     "\"queues\":[{\"queue\":\"q\",\"weight\":0}]}]}",
		"weight"},
	    {"{\"access\":{\"submit\":[{}]}}", "access"},
	    {"{\"access\":{\"submit\":[{\"uid\":-1}]}}", "access"},
	    {"{\"access\":{\"submit\":1}}", "submit"},
	};
	char why[SETTINGS_WHY_SIZE];
	struct broker_settings *s;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		s = NULL;
		why[0] = '\0';
		assert_int_equal(
		    settings_load(bad[i].text, strlen(bad[i].text), &s, why),
		    -EINVAL);
		assert_null(s);
		if (strstr(why, bad[i].why) == NULL)
			fail_msg("%s: %s", bad[i].text, why);
	}
}

static void
settings_hold_64_pools_at_the_most(void **state)
{
	char text[8192], why[SETTINGS_WHY_SIZE];
	struct broker_settings *s;
	int i, at, n;

	(void)state;
	for (n = 64; n <= 65; n++) {
		at = snprintf(text, sizeof(text), "{\"pools\":[");
		for (i = 0; i < n; i++)
			at += snprintf(text + at, sizeof(text) - (size_t)at,
			    "%s{\"name\":\"p%d\"}", i == 0 ? "" : ",", i);
		at += snprintf(text + at, sizeof(text) - (size_t)at, "]}");
		if (n == 64) {
			s = load(text);
			assert_int_equal(s->n_pools, 64);
			settings_unref(s);
		} else {
			assert_int_equal(
			    settings_load(text, (size_t)at, &s, why), -EINVAL);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(settings_are_read),
	    cmocka_unit_test(settings_have_pools_and_queues),
	    cmocka_unit_test(settings_that_are_not_there_have_defaults),
	    cmocka_unit_test(settings_outlive_their_first_owner),
	    cmocka_unit_test(settings_that_are_wrong_are_refused_with_a_reason),
	    cmocka_unit_test(settings_hold_64_pools_at_the_most),
	};

	return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
