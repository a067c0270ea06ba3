/* SPDX-License-Identifier: ISC */
/*
 * config_value.c - one value of the configuration, from text and to text
 *
 * Pure.
 */
#include "master/supervisor/config_value.h"

#include <bsd/stdlib.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "ipc/proto.h"

struct unit {
	const char *name;
	uint64_t factor;
};

/* From the smallest on: formatting takes the last one that divides. */
static const struct unit duration_units[] = {
    {"ms", 1},
    {"s", 1000},
    {"m", 60 * 1000},
    {"h", 60 * 60 * 1000},
    {"d", 24 * 60 * 60 * 1000},
    {NULL, 0},
};

static const struct unit size_units[] = {
    {"", 1},
    {"K", UINT64_C(1) << 10},
    {"M", UINT64_C(1) << 20},
    {"G", UINT64_C(1) << 30},
    {"T", UINT64_C(1) << 40},
    {NULL, 0},
};

static const struct unit rate_units[] = {
    {"s", 1000},
    {"m", 60 * 1000},
    {"h", 60 * 60 * 1000},
    {NULL, 0},
};

/* Read digits at *p and go behind them; saturates. */
static int
parse_digits(const char **p, uint64_t *out)
{
	uint64_t v;

	if (!isdigit((unsigned char)**p))
		return -EINVAL;
	v = 0;
	for (; isdigit((unsigned char)**p); (*p)++)
		if (__builtin_mul_overflow(v, UINT64_C(10), &v) ||
		    __builtin_add_overflow(v, (uint64_t)(**p - '0'), &v))
			v = UINT64_MAX;
	*out = v;
	return 0;
}

/* Read digits and a unit, which are all of text; saturates. */
static int
parse_scaled(const char *text, const struct unit *units, uint64_t *out)
{
	const struct unit *u;
	uint64_t v;

	if (parse_digits(&text, &v) < 0)
		return -EINVAL;
	for (u = units; u->name != NULL; u++)
		if (strcmp(text, u->name) == 0)
			break;
	if (u->name == NULL)
		return -EINVAL;
	if (__builtin_mul_overflow(v, u->factor, &v))
		v = UINT64_MAX;
	*out = v;
	return 0;
}

static void
format_scaled(uint64_t v, const struct unit *units, char *out)
{
	const struct unit *u, *best;

	best = units;
	for (u = units; v != 0 && u->name != NULL; u++)
		if (v % u->factor == 0)
			best = u;
	snprintf(out, VALUE_TEXT_SIZE, "%" PRIu64 "%s", v / best->factor,
	    v == 0 ? "" : best->name);
}

int
value_parse_duration(const char *text, int64_t max, int64_t *ms_out)
{
	uint64_t v;

	if (strcmp(text, "0") == 0)
		v = 0;
	else if (parse_scaled(text, duration_units, &v) < 0)
		return -EINVAL;
	if (v > (uint64_t)max)
		return -ERANGE;
	*ms_out = (int64_t)v;
	return 0;
}

void
value_format_duration(int64_t ms, char out[VALUE_TEXT_SIZE])
{
	format_scaled((uint64_t)ms, duration_units, out);
}

int
value_parse_size(
    const char *text, uint64_t min, uint64_t max, uint64_t *bytes_out)
{
	uint64_t v;

	if (parse_scaled(text, size_units, &v) < 0)
		return -EINVAL;
	if (v < min || v > max)
		return -ERANGE;
	*bytes_out = v;
	return 0;
}

void
value_format_size(uint64_t bytes, char out[VALUE_TEXT_SIZE])
{
	format_scaled(bytes, size_units, out);
}

int
value_parse_rate(
    const char *text, int64_t max, uint64_t *count_out, int64_t *per_ms_out)
{
	const struct unit *u;
	uint64_t v;

	if (parse_digits(&text, &v) < 0 || *text++ != '/')
		return -EINVAL;
	for (u = rate_units; u->name != NULL; u++)
		if (strcmp(text, u->name) == 0)
			break;
	if (u->name == NULL)
		return -EINVAL;
	if (v > (uint64_t)max)
		return -ERANGE;
	*count_out = v;
	*per_ms_out = (int64_t)(v == 0 ? rate_units : u)->factor;
	return 0;
}

void
value_format_rate(uint64_t count, int64_t per_ms, char out[VALUE_TEXT_SIZE])
{
	const struct unit *u;

	for (u = rate_units; u[1].name != NULL; u++)
		if (u->factor == (uint64_t)per_ms)
			break;
	snprintf(out, VALUE_TEXT_SIZE, "%" PRIu64 "/%s", count, u->name);
}

int
value_parse_number(
    const char *text, int64_t min, int64_t max, int64_t *number_out)
{
	const char *p, *error;
	long long v;

	/* strtonum itself lets blanks and a plus sign pass. */
	for (p = *text == '-' ? text + 1 : text; isdigit((unsigned char)*p);)
		p++;
	if (*p != '\0' || p == text || p[-1] == '-')
		return -EINVAL;
	v = strtonum(text, min, max, &error);
	if (error != NULL)
		return -ERANGE;
	*number_out = v;
	return 0;
}

int
value_parse_bool(const char *text, bool *out)
{
	static const char *const words[] = {
	    "no", "yes", "false", "true", "off", "on"};
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcasecmp(text, words[i]) == 0) {
			*out = i % 2 != 0;
			return 0;
		}
	}
	return -EINVAL;
}

int
value_parse_mode(const char *text, mode_t *out)
{
	mode_t mode;
	size_t i, len;

	len = strlen(text);
	if (len < 3 || len > 4 || strspn(text, "01234567") != len)
		return -EINVAL;
	mode = 0;
	for (i = 0; i < len; i++)
		mode = mode * 8 + (mode_t)(text[i] - '0');
	if (mode > 0777)
		return -ERANGE;
	*out = mode;
	return 0;
}

int
value_parse_choice(
    const char *text, const char *const *choices, unsigned *index_out)
{
	unsigned i;

	for (i = 0; choices[i] != NULL; i++) {
		if (strcmp(text, choices[i]) == 0) {
			*index_out = i;
			return 0;
		}
	}
	return -EINVAL;
}

bool
value_is_name(const char *text, size_t len, bool colon)
{
	static const char chars[] = ":.-_0123456789"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz";

	return len > 0 && len <= PROTO_NAME_MAX &&
	       strspn(text, colon ? chars : chars + 1) >= len;
}

int
value_parse_take(const char *text, size_t *len_out, unsigned *weight_out)
{
	int64_t weight;
	size_t len;
	int r;

	len = strcspn(text, ":");
	if (!value_is_name(text, len, false))
		return -EINVAL;
	weight = 1;
	if (text[len] == ':') {
		r = value_parse_number(
		    text + len + 1, 1, VALUE_WEIGHT_MAX, &weight);
		if (r < 0)
			return r;
	}
	*len_out = len;
	*weight_out = (unsigned)weight;
	return 0;
}
