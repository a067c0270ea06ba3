/* SPDX-License-Identifier: ISC */
/* LINK: master/broker/handover_in.c master/broker/handover_out.c
 *	master/broker/handover_field.c ipc/json.c ipc/buf.c ipc/clock.c */
/*
 * test_handover.c - records are read as they were written, or not at all
 */
#include "master/broker/handover_field.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define LARGE (3 * 1024 * 1024)

struct sample {
	bool flag;
	uint8_t small;
	unsigned number;
	int64_t signed_large;
	uint64_t large;
};

#define FIELD(m, t) HANDOVER_FIELD(sample, m, t)
#define N_FIELDS    5

static const struct handover_field fields[N_FIELDS] = {
    FIELD(flag, HANDOVER_BOOL),
    FIELD(small, HANDOVER_U8),
    FIELD(number, HANDOVER_32),
    FIELD(signed_large, HANDOVER_64),
    FIELD(large, HANDOVER_64),
};

static const struct sample samples[] = {
    {false, 0, 0, 0, 0},
    {true, 255, UINT_MAX, INT64_MIN, UINT64_MAX},
    {true, 0, 7, -1, INT64_MAX},
    {false, 9, 0, INT64_MAX, 1},
};
#define N_SAMPLES (sizeof(samples) / sizeof(samples[0]))

static void
open_out(struct handover_out *o)
{
	assert_int_equal(handover_out_open(o), 0);
}

static void
open_in(struct handover_out *o, struct handover_in *in)
{
	assert_int_equal(handover_out_finish(o), 0);
	assert_int_equal(handover_in_open(in, o->fd), 0);
}

static void
close_both(struct handover_out *o, struct handover_in *in)
{
	handover_in_done(in);
	handover_out_done(o);
}

static void
members_are_read_as_they_were_written(void **state)
{
	struct handover_out o;
	struct handover_in in;
	struct buf *out;

	(void)state;
	open_out(&o);
	out = handover_out_begin(&o, "first");
	handover_add_int(out, "most", INT64_MAX);
	handover_add_int(out, "least", INT64_MIN);
	handover_add_int(out, "zero", 0);
	handover_add_flag(out, "yes", true);
	handover_add_flag(out, "no", false);
	handover_add_str(out, "text", "a \"b\"\n");
	handover_add_str(out, "none", NULL);
	handover_out_end(&o);
	(void)handover_out_begin(&o, "second");
	handover_out_end(&o);
	open_in(&o, &in);
	assert_int_equal(handover_in_next(&in), 1);
	assert_string_equal(in.type, "first");
	assert_true(handover_in_int(&in, "most") == INT64_MAX);
	assert_true(handover_in_int(&in, "least") == INT64_MIN);
	assert_int_equal(handover_in_int(&in, "zero"), 0);
	assert_true(handover_in_flag(&in, "yes"));
	assert_false(handover_in_flag(&in, "no"));
	assert_string_equal(handover_in_str(&in, "text"), "a \"b\"\n");
	assert_null(handover_in_str(&in, "none"));
	assert_null(handover_in_raw(&in, 0).data);
	assert_int_equal(handover_in_expect(&in, "other"), -EINVAL);
	assert_string_equal(in.type, "second");
	assert_int_equal(handover_in_next(&in), 0);
	close_both(&o, &in);
}

static void
raws_hold_whatever_bytes_there_are(void **state)
{
	static const char bytes[] = "\n{\"r\":\"end\"}\n\0\xff";
	struct handover_raw raws[] = {
	    {bytes, sizeof(bytes)}, {NULL, 0}, {"", 0}, {NULL, 0}};
	struct handover_out o;
	struct handover_in in;
	char *text;
	int i;

	(void)state;
	open_out(&o);
	for (i = 0; i < 3; i++) {
		(void)handover_out_begin(&o, "raws");
		handover_out_end_raws(&o, raws, 4);
	}
	open_in(&o, &in);
	for (i = 0; i < 3; i++) {
		assert_int_equal(handover_in_expect(&in, "raws"), 0);
		assert_int_equal(handover_in_raw(&in, 0).n, sizeof(bytes));
		assert_memory_equal(
		    handover_in_raw(&in, 0).data, bytes, sizeof(bytes));
		assert_null(handover_in_raw(&in, 1).data);
		assert_int_equal(handover_in_text(&in, 2, &text), 0);
		assert_string_equal(text, "");
		free(text);
		assert_int_equal(handover_in_text(&in, 3, &text), 0);
		assert_null(text);
		assert_null(handover_in_raw(&in, 99).data);
	}
	assert_int_equal(handover_in_next(&in), 0);
	close_both(&o, &in);
}

static void
large_raws_pass_and_their_memory_is_given_back(void **state)
{
	char *large = malloc(LARGE);
	struct handover_raw raw = {large, LARGE};
	struct handover_out o;
	struct handover_in in;
	struct stat before, after;
	int i;

	(void)state;
	assert_non_null(large);
	memset(large, 'x', LARGE);
	open_out(&o);
	for (i = 0; i < 16; i++) {
		(void)handover_out_begin(&o, "large");
		handover_out_end_raws(&o, &raw, 1);
	}
	open_in(&o, &in);
	assert_int_equal(fstat(o.fd, &before), 0);
	for (i = 0; i < 16; i++) {
		assert_int_equal(handover_in_expect(&in, "large"), 0);
		assert_int_equal(handover_in_raw(&in, 0).n, LARGE);
		assert_memory_equal(handover_in_raw(&in, 0).data, large, LARGE);
	}
	assert_int_equal(handover_in_next(&in), 0);
	assert_int_equal(fstat(o.fd, &after), 0);
	assert_true(after.st_blocks < before.st_blocks / 2);
	close_both(&o, &in);
	free(large);
}

static void
fields_are_the_same_as_members_and_as_numbers(void **state)
{
	struct handover_raw raw;
	struct handover_out o;
	struct handover_in in;
	struct buf numbers;
	struct sample s;
	size_t i;

	(void)state;
	open_out(&o);
	for (i = 0; i < N_SAMPLES; i++) {
		buf_init(&numbers, SIZE_MAX);
		handover_add_numbers(&numbers, fields, N_FIELDS, &samples[i]);
		raw.data = buf_head(&numbers);
		raw.n = buf_len(&numbers);
		handover_add_fields(handover_out_begin(&o, "sample"), fields,
		    N_FIELDS, &samples[i]);
		handover_out_end_raws(&o, &raw, 1);
		buf_done(&numbers);
	}
	open_in(&o, &in);
	for (i = 0; i < N_SAMPLES; i++) {
		assert_int_equal(handover_in_expect(&in, "sample"), 0);
		memset(&s, 0, sizeof(s));
		handover_in_fields(&in, fields, N_FIELDS, &s);
		assert_memory_equal(&s, &samples[i], sizeof(s));
		memset(&s, 0, sizeof(s));
		handover_in_numbers(
		    handover_in_raw(&in, 0), fields, N_FIELDS, &s);
		assert_memory_equal(&s, &samples[i], sizeof(s));
	}
	close_both(&o, &in);
}

static void
numbers_that_are_missing_are_zero(void **state)
{
	struct handover_raw raw = {"1 2", 3}, none = {NULL, 0};
	struct sample s = {true, 1, 1, 1, 1};

	(void)state;
	handover_in_numbers(raw, fields, N_FIELDS, &s);
	assert_true(s.flag);
	assert_int_equal(s.small, 2);
	assert_int_equal(s.number, 0);
	assert_int_equal(s.large, 0);
	handover_in_numbers(none, fields, N_FIELDS, &s);
	assert_false(s.flag);
}

/* However much of the end is missing, no record is made up. */
static void
a_state_that_is_cut_short_is_refused(void **state)
{
	struct handover_raw raw = {"0123456789", 10};
	struct handover_out o;
	struct handover_in in;
	struct stat st;
	off_t n;
	int r;

	(void)state;
	open_out(&o);
	(void)handover_out_begin(&o, "a");
	handover_out_end_raws(&o, &raw, 1);
	(void)handover_out_begin(&o, "b");
	handover_out_end_raws(&o, &raw, 1);
	assert_int_equal(handover_out_finish(&o), 0);
	assert_int_equal(fstat(o.fd, &st), 0);
	for (n = st.st_size - 1; n > 0; n--) {
		assert_int_equal(ftruncate(o.fd, n), 0);
		assert_int_equal(handover_in_open(&in, o.fd), 0);
		while ((r = handover_in_next(&in)) == 1)
			assert_memory_equal(
			    handover_in_raw(&in, 0).data, "0123456789", 10);
		assert_int_equal(r, -EINVAL);
		handover_in_done(&in);
	}
	assert_int_equal(ftruncate(o.fd, 0), 0);
	assert_int_equal(handover_in_open(&in, o.fd), -EINVAL);
	handover_out_done(&o);
	assert_int_equal(handover_in_open(&in, -1), -EBADF);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(members_are_read_as_they_were_written),
	    cmocka_unit_test(raws_hold_whatever_bytes_there_are),
	    cmocka_unit_test(large_raws_pass_and_their_memory_is_given_back),
	    cmocka_unit_test(fields_are_the_same_as_members_and_as_numbers),
	    cmocka_unit_test(numbers_that_are_missing_are_zero),
	    cmocka_unit_test(a_state_that_is_cut_short_is_refused),
	};

	return cmocka_run_group_tests_name("handover", tests, NULL, NULL);
}
