/* SPDX-License-Identifier: ISC */
/*
 * config_limit.c - the limits of a pool's processes, from text and to text
 *
 * Pure.
 */
#include "master/supervisor/config_limit.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int
config_limit_parse_umask(const char *text, mode_t *out)
{
	if (*text != '\0')
		return value_parse_mode(text, out);
	*out = CONFIG_NO_UMASK;
	return 0;
}

void
config_limit_format_umask(mode_t umask, char out[VALUE_TEXT_SIZE])
{
	if (umask == CONFIG_NO_UMASK)
		*out = '\0';
	else
		snprintf(out, VALUE_TEXT_SIZE, "%04o", (unsigned)umask);
}

/* Read a processor's number at *p and go behind it. */
static int
parse_cpu(const char **p, unsigned *out)
{
	unsigned v;

	if (!isdigit((unsigned char)**p))
		return -EINVAL;
	for (v = 0; isdigit((unsigned char)**p); (*p)++) {
		v = v * 10 + (unsigned)(**p - '0');
		if (v >= CPU_SETSIZE)
			return -ERANGE;
	}
	*out = v;
	return 0;
}

/* Read "N" or "N-M" at *p into set and go behind it. */
static int
parse_range(const char **p, cpu_set_t *set)
{
	unsigned first, last;
	int r;

	r = parse_cpu(p, &first);
	if (r < 0)
		return r;
	last = first;
	if (**p == '-') {
		(*p)++;
		r = parse_cpu(p, &last);
		if (r < 0)
			return r;
	}
	if (last < first)
		return -EINVAL;
	for (; first <= last; first++)
		CPU_SET(first, set);
	return 0;
}

int
config_limit_parse_cpus(const char *text, struct config_cpus *out)
{
	cpu_set_t set;
	int r;

	CPU_ZERO(&set);
	while (*text != '\0') {
		r = parse_range(&text, &set);
		if (r < 0)
			return r;
		if (*text == ',' && text[1] != '\0')
			text++;
		else if (*text != '\0')
			return -EINVAL;
	}
	out->set = set;
	out->n = (unsigned)CPU_COUNT(&set);
	return 0;
}

void
config_limit_format_cpus(const struct config_cpus *cpus, struct buf *out)
{
	unsigned first, last;
	const char *comma;

	comma = "";
	for (first = 0; first < CPU_SETSIZE; first = last + 1) {
		last = first;
		if (!CPU_ISSET(first, &cpus->set))
			continue;
		while (
		    last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, &cpus->set))
			last++;
		buf_printf(out, "%s%u", comma, first);
		if (last > first)
			buf_printf(out, "-%u", last);
		comma = ",";
	}
}

static int
parse_seconds(const struct config_key *k, const char *text, uint64_t *out)
{
	int64_t v;
	int r;

	r = value_parse_number(text, k->min, k->max, &v);
	if (r == -EINVAL) {
		r = value_parse_duration(text, k->max * 1000, &v);
		if (r == 0 && v % 1000 != 0)
			return -EINVAL;
		v = r == 0 ? v / 1000 : 0;
		if (r == 0 && v < k->min)
			return -ERANGE;
	}
	if (r == 0)
		*out = (uint64_t)v;
	return r;
}

int
config_limit_parse(
    const struct config_key *k, const char *text, struct config_rlimit *out)
{
	uint64_t v;
	int64_t count;
	int r;

	v = 0;
	r = 0;
	if (strcmp(text, "unlimited") == 0) {
		v = RLIM_INFINITY;
	} else if (*text == '\0') {
		*out = (struct config_rlimit){.set = false};
		return 0;
	} else if (k->type == KEY_LIMIT_SIZE) {
		r = value_parse_size(
		    text, (uint64_t)k->min, (uint64_t)k->max, &v);
	} else if (k->type == KEY_LIMIT_TIME) {
		r = parse_seconds(k, text, &v);
	} else {
		r = value_parse_number(text, k->min, k->max, &count);
		v = r == 0 ? (uint64_t)count : 0;
	}
	if (r == 0)
		*out = (struct config_rlimit){.set = true, .value = v};
	return r;
}

void
config_limit_format(const struct config_key *k,
    const struct config_rlimit *limit, char out[VALUE_TEXT_SIZE])
{
	if (!limit->set)
		*out = '\0';
	else if (limit->value == RLIM_INFINITY)
		snprintf(out, VALUE_TEXT_SIZE, "unlimited");
	else if (k->type == KEY_LIMIT_SIZE)
		value_format_size(limit->value, out);
	else if (k->type == KEY_LIMIT_TIME)
		value_format_duration((int64_t)limit->value * 1000, out);
	else
		snprintf(
		    out, VALUE_TEXT_SIZE, "%" PRIu64, (uint64_t)limit->value);
}
