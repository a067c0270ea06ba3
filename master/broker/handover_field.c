/* SPDX-License-Identifier: ISC */
/*
 * handover_field.c - which fields of a struct are handed over, and as what
 */
#include "master/broker/handover_field.h"

#include <string.h>

static int64_t
get(const struct handover_field *f, const void *base)
{
	const char *at = (const char *)base + f->at;
	uint32_t u32;
	int64_t i64;

	switch (f->type) {
	case HANDOVER_BOOL:
		return *(const bool *)(const void *)at;
	case HANDOVER_U8:
		return (unsigned char)*at;
	case HANDOVER_32:
		memcpy(&u32, at, sizeof(u32));
		return u32;
	case HANDOVER_64:
		break;
	}
	memcpy(&i64, at, sizeof(i64));
	return i64;
}

static void
set(const struct handover_field *f, void *base, int64_t value)
{
	char *at = (char *)base + f->at;
	uint32_t u32 = (uint32_t)value;
	unsigned char u8 = (unsigned char)value;
	bool flag = value != 0;

	switch (f->type) {
	case HANDOVER_BOOL:
		memcpy(at, &flag, sizeof(flag));
		break;
	case HANDOVER_U8:
		memcpy(at, &u8, sizeof(u8));
		break;
	case HANDOVER_32:
		memcpy(at, &u32, sizeof(u32));
		break;
	case HANDOVER_64:
		memcpy(at, &value, sizeof(value));
		break;
	}
}

void
handover_add_fields(struct buf *out, const struct handover_field *fields,
    size_t n, const void *base)
{
	size_t i;

	for (i = 0; i < n; i++)
		handover_add_int(out, fields[i].key, get(&fields[i], base));
}

void
handover_in_fields(const struct handover_in *in,
    const struct handover_field *fields, size_t n, void *base)
{
	size_t i;

	for (i = 0; i < n; i++)
		set(&fields[i], base, handover_in_int(in, fields[i].key));
}

void
handover_add_numbers(struct buf *out, const struct handover_field *fields,
    size_t n, const void *base)
{
	size_t i;

	for (i = 0; i < n; i++) {
		buf_add_int(out, get(&fields[i], base));
		buf_addc(out, ' ');
	}
}

/* Read the number at *at, past the blank behind it; 0 at the end. */
static int64_t
next_number(const char **at, const char *end)
{
	const char *p = *at;
	bool minus = p < end && *p == '-';
	uint64_t value = 0;

	for (p += minus; p < end && *p >= '0' && *p <= '9'; p++)
		value = value * 10 + (uint64_t)(*p - '0');
	*at = p < end ? p + 1 : end;
	return (int64_t)(minus ? -value : value);
}

void
handover_in_numbers(struct handover_raw numbers,
    const struct handover_field *fields, size_t n, void *base)
{
	const char *at = numbers.data, *end = at + numbers.n;
	size_t i;

	for (i = 0; i < n; i++)
		set(&fields[i], base, next_number(&at, end));
}
