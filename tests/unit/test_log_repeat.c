/* SPDX-License-Identifier: ISC */
/* LINK: ipc/log_repeat.c ipc/clock.c */
/*
 * test_log_repeat.c - what is said again and again is counted, not written
 */
#include "ipc/log_repeat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct log_repeat repeat;
static struct mono now;

static int
set_up(void **state)
{
	(void)state;
	log_repeat_init(&repeat);
	now = (struct mono){INT64_C(1000000000000)};
	return 0;
}

static void
pass(int64_t ms)
{
	now = mono_add_ms(now, ms);
}

/* Say text; it must be written or not, after so many repeats are told. */
static void
say(enum log_level level, const char *text, bool write, unsigned n_repeated)
{
	struct log_verdict v =
	    log_repeat_take(&repeat, level, text, strlen(text), now);

	assert_int_equal(v.write, write);
	assert_int_equal(v.n_repeated, n_repeated);
}

static void
different_messages_are_written(void **state)
{
	(void)state;
	say(LOG_INFO, "a", true, 0);
	say(LOG_INFO, "b", true, 0);
	say(LOG_INFO, "a", true, 0);
	say(LOG_INFO, "ab", true, 0);
	say(LOG_INFO, "", true, 0);
	say(LOG_WARN, "", true, 0);
}

static void
repeats_are_told_before_the_next_message(void **state)
{
	struct log_verdict v;

	(void)state;
	say(LOG_ERROR, "a", true, 0);
	say(LOG_ERROR, "a", false, 0);
	say(LOG_ERROR, "a", false, 0);
	v = log_repeat_take(&repeat, LOG_INFO, "b", 1, now);
	assert_true(v.write);
	assert_int_equal(v.n_repeated, 2);
	assert_int_equal(v.repeated, LOG_ERROR);
	say(LOG_INFO, "c", true, 0);
}

static void
repeats_are_told_every_five_seconds(void **state)
{
	(void)state;
	say(LOG_INFO, "a", true, 0);
	pass(4999);
	say(LOG_INFO, "a", false, 0);
	pass(1);
	say(LOG_INFO, "a", false, 2);
	pass(1);
	say(LOG_INFO, "a", false, 0);
	pass(5000);
	say(LOG_INFO, "a", false, 2);
	say(LOG_INFO, "b", true, 0);
}

static void
rare_repeat_is_news(void **state)
{
	(void)state;
	say(LOG_INFO, "a", true, 0);
	pass(5000);
	say(LOG_INFO, "a", true, 0);
	pass(10000);
	say(LOG_INFO, "a", true, 0);
	say(LOG_INFO, "a", false, 0);
}

static void
forgotten_message_is_new(void **state)
{
	(void)state;
	say(LOG_INFO, "a", true, 0);
	say(LOG_INFO, "a", false, 0);
	log_repeat_init(&repeat);
	say(LOG_INFO, "a", true, 0);
}

#define TEST(t) cmocka_unit_test_setup(t, set_up)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(different_messages_are_written),
	    TEST(repeats_are_told_before_the_next_message),
	    TEST(repeats_are_told_every_five_seconds),
	    TEST(rare_repeat_is_news),
	    TEST(forgotten_message_is_new),
	};

	return cmocka_run_group_tests_name("log_repeat", tests, NULL, NULL);
}
