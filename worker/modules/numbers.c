/* SPDX-License-Identifier: ISC */
/*
 * numbers.c - an array of JSON numbers that compare fast
 *
 * The bits of a double, read as a signed integer, are in order for positive
 * numbers and in reverse for negative ones; flipping all but the sign of the
 * latter makes one order, and undoes itself.
 */
#include "worker/modules/numbers.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CAP_MIN 64

void
numbers_init(struct numbers *ns)
{
	memset(ns, 0, sizeof(*ns));
}

void
numbers_done(struct numbers *ns)
{
	if (ns == NULL)
		return;
	free(ns->keys);
	numbers_init(ns);
}

int
numbers_reserve(struct numbers *ns, size_t n)
{
	int64_t *keys;

	if (n <= ns->cap)
		return 0;
	keys = reallocarray(ns->keys, n, sizeof(*keys));
	if (keys == NULL)
		return -ENOMEM;
	ns->keys = keys;
	ns->cap = n;
	return 0;
}

static int
add_key(struct numbers *ns, int64_t key)
{
	int r;

	if (ns->n == ns->cap) {
		r = numbers_reserve(ns, ns->cap == 0 ? CAP_MIN : ns->cap * 2);
		if (r < 0)
			return r;
	}
	ns->keys[ns->n++] = key;
	return 0;
}

static int64_t
flip(int64_t bits)
{
	return bits < 0 ? bits ^ INT64_MAX : bits;
}

static int64_t
real_key(double v)
{
	int64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	return flip(bits);
}

static double
key_real(int64_t key)
{
	int64_t bits;
	double v;

	bits = flip(key);
	memcpy(&v, &bits, sizeof(v));
	return v;
}

int
numbers_add_int(struct numbers *ns, int64_t v)
{
	return add_key(ns, ns->real ? real_key((double)v) : v);
}

int
numbers_add_real(struct numbers *ns, double v)
{
	size_t i;

	if (!ns->real)
		for (i = 0; i < ns->n; i++)
			ns->keys[i] = real_key((double)ns->keys[i]);
	ns->real = true;
	return add_key(ns, real_key(v));
}

/* Add the number at *p and step over it. */
static int
parse_number(struct numbers *ns, const char **p)
{
	const char *digits;
	char *end;
	long long n;
	double d;

	/* strtod takes more than JSON does: "inf", "0x1p3". */
	digits = **p == '-' ? *p + 1 : *p;
	if (!isdigit((unsigned char)*digits))
		return -EINVAL;
	errno = 0;
	n = strtoll(*p, &end, 10);
	if (errno == 0 && *end != '.' && *end != 'e' && *end != 'E') {
		*p = end;
		return numbers_add_int(ns, n);
	}
	d = strtod(*p, &end);
	if (!isfinite(d) || isxdigit((unsigned char)*end) || *end == 'x')
		return -EINVAL;
	*p = end;
	return numbers_add_real(ns, d);
}

static const char *
skip_space(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

/* The numbers of a JSON array; *p is behind its bracket. */
static int
parse_array(struct numbers *ns, const char **p)
{
	int r;

	*p = skip_space(*p);
	if (**p != ']') {
		for (;; (*p)++) {
			*p = skip_space(*p);
			r = parse_number(ns, p);
			if (r < 0)
				return r;
			*p = skip_space(*p);
			if (**p != ',')
				break;
		}
	}
	if (**p != ']')
		return -EINVAL;
	*p = skip_space(*p + 1);
	return **p == '\0' ? 0 : -EINVAL;
}

static int
parse_list(struct numbers *ns, const char **p)
{
	const char *end;
	int r;

	for (*p = skip_space(*p); **p != '\0'; *p = end) {
		r = parse_number(ns, p);
		if (r < 0)
			return r;
		end = skip_space(*p);
		if (end == *p && *end != '\0')
			return -EINVAL;
	}
	return 0;
}

int
numbers_parse(struct numbers *ns, const char *text, size_t *bad_out)
{
	const char *p;
	int r;

	p = skip_space(text);
	if (*p == '[') {
		p++;
		r = parse_array(ns, &p);
	} else {
		r = parse_list(ns, &p);
	}
	if (r == -EINVAL)
		*bad_out = (size_t)(p - text);
	return r;
}

json_t *
numbers_get(const struct numbers *ns, size_t i)
{
	if (ns->real)
		return json_real(key_real(ns->keys[i]));
	return json_integer(ns->keys[i]);
}
