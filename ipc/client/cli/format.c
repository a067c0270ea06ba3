/* SPDX-License-Identifier: ISC */
/*
 * format.c - numbers for people
 */
#include "ipc/client/cli/format.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

char *
format_count(int64_t n, char out[FORMAT_SIZE])
{
	char digits[24];
	char *p;
	int i, len;

	len = snprintf(digits, sizeof(digits), "%" PRId64, n);
	p = out;
	for (i = 0; i < len; i++) {
		*p++ = digits[i];
		if (digits[i] != '-' && (len - i) % 3 == 1 && i + 1 < len)
			*p++ = ',';
	}
	*p = '\0';
	return out;
}

char *
format_bytes(int64_t n, char out[FORMAT_SIZE])
{
	static const char units[] = "KMGTPE";
	double v;
	size_t i;

	if (n < 1024) {
		snprintf(out, FORMAT_SIZE, "%" PRId64 " B", n);
		return out;
	}
	v = (double)n / 1024;
	/* What would be rounded up to 1024.0 belongs to the next unit. */
	for (i = 0; v >= 1023.95 && units[i + 1] != '\0'; i++)
		v /= 1024;
	snprintf(out, FORMAT_SIZE, "%.1f %ciB", v, units[i]);
	return out;
}

char *
format_span(int64_t ms, char out[FORMAT_SIZE])
{
	int64_t s;

	if (ms < 0)
		ms = 0;
	s = ms / 1000;
	if (ms < 1000)
		snprintf(out, FORMAT_SIZE, "%" PRId64 " ms", ms);
	else if (s < 60)
		snprintf(out, FORMAT_SIZE, "%" PRId64 ".%" PRId64 " s", s,
		    ms % 1000 / 100);
	else if (s < 3600)
		snprintf(out, FORMAT_SIZE, "%" PRId64 "m %02" PRId64 "s",
		    s / 60, s % 60);
	else if (s < 86400)
		snprintf(out, FORMAT_SIZE, "%" PRId64 "h %02" PRId64 "m",
		    s / 3600, s / 60 % 60);
	else
		snprintf(out, FORMAT_SIZE, "%" PRId64 "d %02" PRId64 "h",
		    s / 86400, s / 3600 % 24);
	return out;
}

char *
format_clock(int64_t ms, char out[FORMAT_SIZE])
{
	int64_t s;

	s = ms <= 0 ? 0 : (ms - 1) / 1000 + 1;
	if (s < 3600)
		snprintf(
		    out, FORMAT_SIZE, "%" PRId64 ":%02" PRId64, s / 60, s % 60);
	else
		snprintf(out, FORMAT_SIZE,
		    "%" PRId64 ":%02" PRId64 ":%02" PRId64, s / 3600,
		    s / 60 % 60, s % 60);
	return out;
}
