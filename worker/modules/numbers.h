/* SPDX-License-Identifier: ISC */
/*
 * numbers.h - an array of JSON numbers that compare fast
 *
 * Each number is held as a 64-bit key whose order is the numbers' order: the
 * integer itself, or, once the array has a real number in it, the bits of the
 * double, rearranged.  Integers over 2^53 beside reals lose their last digits.
 */
#ifndef GANGER_WORKER_MODULES_NUMBERS_H
#define GANGER_WORKER_MODULES_NUMBERS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct numbers {
	int64_t *keys; /* owned */
	size_t n;      /* always <= cap */
	size_t cap;
	bool real; /* the keys stand for doubles */
};

/* An empty array; release it with numbers_done(). */
void numbers_init(struct numbers *ns);
void numbers_done(struct numbers *ns);

/* Make room for n numbers in all.  -ENOMEM. */
int numbers_reserve(struct numbers *ns, size_t n);

/* -ENOMEM. */
int numbers_add_int(struct numbers *ns, int64_t v);
int numbers_add_real(struct numbers *ns, double v);

/*
 * Add what text holds: a JSON array of numbers, or numbers between white
 * space.  -EINVAL: something else is there, *bad_out bytes from its beginning.
 * -ENOMEM.
 */
int numbers_parse(struct numbers *ns, const char *text, size_t *bad_out);

/* Number i as a JSON value, a new reference; NULL: out of memory. */
json_t *numbers_get(const struct numbers *ns, size_t i);

#endif
