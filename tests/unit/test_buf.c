/* SPDX-License-Identifier: ISC */
/* LINK: ipc/buf.c */
/*
 * test_buf.c - a byte queue holds what was added, in order, within its limit
 */
#include "ipc/buf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
assert_content(const struct buf *b, const char *expected)
{
	assert_int_equal(buf_error(b), 0);
	assert_int_equal(buf_len(b), strlen(expected));
	if (expected[0] != '\0')
		assert_memory_equal(buf_head(b), expected, strlen(expected));
}

static void
new_buffer_is_empty_and_owns_nothing(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	assert_content(&b, "");
	assert_null(buf_head(&b));
	buf_done(&b);
	buf_done(&b);
	buf_done(NULL);
}

static void
adds_stand_behind_one_another(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	buf_adds(&b, "one");
	buf_addc(&b, ' ');
	buf_add(&b, "two three", 3);
	buf_add(&b, "", 0);
	buf_printf(&b, " %d-%s", 3, "x");
	assert_content(&b, "one two 3-x");
	buf_done(&b);
}

static void
integers_are_written_in_full(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	buf_add_int(&b, 0);
	buf_addc(&b, ' ');
	buf_add_int(&b, -1);
	buf_addc(&b, ' ');
	buf_add_int(&b, INT64_MIN);
	buf_addc(&b, ' ');
	buf_add_int(&b, INT64_MAX);
	buf_addc(&b, ' ');
	buf_add_uint(&b, UINT64_MAX);
	assert_content(&b, "0 -1 -9223372036854775808 9223372036854775807 "
			   "18446744073709551615");
	buf_done(&b);
}

static void
content_may_reach_the_limit_but_not_pass_it(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 5);
	buf_adds(&b, "12345");
	assert_content(&b, "12345");
	buf_addc(&b, '6');
	assert_int_equal(buf_error(&b), -ENOBUFS);
	assert_int_equal(buf_len(&b), 5);
	buf_done(&b);

	buf_init(&b, 5);
	assert_int_equal(buf_reserve(&b, SIZE_MAX), -ENOBUFS);
	buf_done(&b);
}

/* vsnprintf's NUL is no content: it once counted against the limit. */
static void
printf_may_reach_the_limit_but_not_pass_it(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 5);
	buf_printf(&b, "%d", 12345);
	assert_content(&b, "12345");
	buf_done(&b);

	buf_init(&b, 5);
	buf_printf(&b, "%d", 123456);
	assert_int_equal(buf_error(&b), -ENOBUFS);
	assert_int_equal(buf_len(&b), 0);
	buf_done(&b);
}

static void
error_is_kept_until_reset(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 4);
	buf_adds(&b, "12345");
	assert_int_equal(buf_error(&b), -ENOBUFS);
	buf_adds(&b, "1");
	buf_addc(&b, '1');
	buf_add_int(&b, 1);
	buf_printf(&b, "1");
	assert_int_equal(buf_len(&b), 0);
	assert_int_equal(buf_reserve(&b, 1), -ENOBUFS);
	buf_reset(&b);
	buf_adds(&b, "1234");
	assert_content(&b, "1234");
	buf_done(&b);
}

static void
consumed_room_counts_no_more_against_the_limit(void **state)
{
	struct buf b;
	int i;

	(void)state;
	buf_init(&b, 300);
	for (i = 0; i < 1000; i++) {
		buf_add(&b, "0123456789", 10);
		if (i >= 20)
			buf_consume(&b, 10);
		assert_int_equal(buf_error(&b), 0);
	}
	assert_int_equal(buf_len(&b), 200);
	assert_true(b.cap <= 1024);
	buf_done(&b);
}

/* What a queue hands out is what went in, whatever the steps of each. */
static void
random_steps_keep_the_bytes_in_order(void **state)
{
	struct buf b;
	unsigned char in, out, chunk[700];
	size_t n, i;
	int step;

	(void)state;
	srand(1);
	in = out = 0;
	buf_init(&b, 100000);
	for (step = 0; step < 20000; step++) {
		n = (size_t)rand() % (step % 100 < 50 ? 700 : 70);
		for (i = 0; i < n; i++)
			chunk[i] = in++;
		buf_add(&b, chunk, n);
		assert_int_equal(buf_error(&b), 0);
		n = (size_t)rand() % 800;
		if (n > buf_len(&b))
			n = buf_len(&b);
		for (i = 0; i < n; i++)
			assert_int_equal((unsigned char)buf_head(&b)[i], out++);
		buf_consume(&b, n);
	}
	buf_done(&b);
}

static void
cut_undoes_the_last_adds(void **state)
{
	struct buf b;
	size_t mark;

	(void)state;
	buf_init(&b, 100);
	buf_adds(&b, "drop");
	buf_adds(&b, "keep");
	buf_consume(&b, 4);
	mark = buf_len(&b);
	buf_adds(&b, "undo");
	buf_cut(&b, mark);
	assert_content(&b, "keep");
	buf_adds(&b, "!");
	assert_content(&b, "keep!");
	buf_cut(&b, 0);
	assert_content(&b, "");
	buf_done(&b);
}

static void
trim_frees_only_an_empty_buffer_that_grew(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100000);
	buf_adds(&b, "x");
	buf_trim(&b, 0);
	assert_content(&b, "x");
	buf_consume(&b, 1);
	buf_trim(&b, 100000);
	assert_non_null(b.data);
	buf_trim(&b, 0);
	assert_null(b.data);
	buf_adds(&b, "again");
	assert_content(&b, "again");
	buf_done(&b);
}

static void
steal_gives_a_string_and_leaves_an_empty_buffer(void **state)
{
	struct buf b;
	size_t len;
	char *s;

	(void)state;
	buf_init(&b, 8);
	buf_adds(&b, "xxabcdef");
	buf_consume(&b, 2);
	s = buf_steal(&b, &len);
	assert_string_equal(s, "abcdef");
	assert_int_equal(len, 6);
	free(s);
	assert_content(&b, "");

	buf_adds(&b, "12345678");
	s = buf_steal(&b, NULL);
	assert_string_equal(s, "12345678");
	free(s);

	s = buf_steal(&b, &len);
	assert_string_equal(s, "");
	assert_int_equal(len, 0);
	free(s);
	buf_done(&b);
}

static void
steal_after_an_error_gives_nothing_and_resets(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 4);
	buf_adds(&b, "abc");
	buf_adds(&b, "de");
	assert_null(buf_steal(&b, NULL));
	assert_content(&b, "");
	buf_adds(&b, "ok");
	assert_content(&b, "ok");
	buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(new_buffer_is_empty_and_owns_nothing),
	    cmocka_unit_test(adds_stand_behind_one_another),
	    cmocka_unit_test(integers_are_written_in_full),
	    cmocka_unit_test(content_may_reach_the_limit_but_not_pass_it),
	    cmocka_unit_test(printf_may_reach_the_limit_but_not_pass_it),
	    cmocka_unit_test(error_is_kept_until_reset),
	    cmocka_unit_test(consumed_room_counts_no_more_against_the_limit),
	    cmocka_unit_test(random_steps_keep_the_bytes_in_order),
	    cmocka_unit_test(cut_undoes_the_last_adds),
	    cmocka_unit_test(trim_frees_only_an_empty_buffer_that_grew),
	    cmocka_unit_test(steal_gives_a_string_and_leaves_an_empty_buffer),
	    cmocka_unit_test(steal_after_an_error_gives_nothing_and_resets),
	};

	return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
