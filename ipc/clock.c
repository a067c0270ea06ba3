/* SPDX-License-Identifier: ISC */
/*
 * clock.c - the only place that reads a clock
 *
 * Pure modules are given the time by their caller.  Any thread may call these.
 */
#include "ipc/clock.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS_PER_MS 1000000

struct mono
mono_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (struct mono){ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec};
}

struct mono
mono_add_ms(struct mono t, int64_t ms)
{
	int64_t ns;

	if (__builtin_mul_overflow(ms, (int64_t)NS_PER_MS, &ns) ||
	    __builtin_add_overflow(t.ns, ns, &ns))
		ns = ms < 0 ? INT64_MIN : INT64_MAX;
	return (struct mono){ns};
}

int64_t
mono_until_ms(struct mono from, struct mono to)
{
	int64_t ns;

	if (__builtin_sub_overflow(to.ns, from.ns, &ns))
		return to.ns < from.ns ? INT64_MIN : INT64_MAX;
	/* Division truncates towards zero, which is up for a negative one. */
	return ns / NS_PER_MS + (ns > 0 && ns % NS_PER_MS != 0);
}

bool
mono_reached(struct mono now, struct mono due)
{
	return due.ns <= now.ns;
}

int64_t
wall_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / NS_PER_MS;
}

void
wall_format(int64_t ms, char out[WALL_SIZE])
{
	struct tm tm;
	time_t s;
	int64_t rest;
	size_t n;

	s = (time_t)(ms / 1000);
	rest = ms % 1000;
	if (rest < 0) {
		rest += 1000;
		s--;
	}
	memset(&tm, 0, sizeof(tm));
	gmtime_r(&s, &tm);
	/* strftime's %Y does not fill up a year of three digits. */
	n = (size_t)snprintf(out, WALL_SIZE, "%04d", tm.tm_year + 1900);
	n += strftime(out + n, WALL_SIZE - n, "-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, WALL_SIZE - n, ".%03dZ", (int)rest);
}

/*
 * Parse numbers of a fixed width at *p, which moves behind them: a digit in
 * form stands for a number of so many digits, another byte for itself.
 */
static int
parse_fields(const char **p, const char *form, int *out)
{
	int n;

	for (; *form != '\0'; form++) {
		if (!isdigit((unsigned char)*form)) {
			if (*(*p)++ != *form)
				return -EINVAL;
			continue;
		}
		*out = 0;
		for (n = *form - '0'; n > 0; n--, (*p)++) {
			if (!isdigit((unsigned char)**p))
				return -EINVAL;
			*out = *out * 10 + (**p - '0');
		}
		out++;
	}
	return 0;
}

/* Parse "[.fff…]" at *p into milliseconds; digits past the third are dropped.
 */
static int
parse_fraction(const char **p, int *ms_out)
{
	int weight;

	*ms_out = 0;
	if (**p != '.')
		return 0;
	(*p)++;
	if (!isdigit((unsigned char)**p))
		return -EINVAL;
	for (weight = 100; isdigit((unsigned char)**p); (*p)++) {
		*ms_out += (**p - '0') * weight;
		weight /= 10;
	}
	return 0;
}

/* Parse "Z" or "+hh:mm" at p, which must end the text. */
static int
parse_zone(const char *p, int *minutes_out)
{
	int hm[2];
	char sign;

	sign = *p++;
	if (sign == 'Z' || sign == 'z') {
		hm[0] = hm[1] = 0;
	} else if ((sign != '+' && sign != '-') ||
		   parse_fields(&p, "2:2", hm) < 0 || hm[0] > 23 ||
		   hm[1] > 59) {
		return -EINVAL;
	}
	if (*p != '\0')
		return -EINVAL;
	*minutes_out = (hm[0] * 60 + hm[1]) * (sign == '-' ? -1 : 1);
	return 0;
}

/* Seconds since 1970 of a date and a time; -EINVAL: there is no such day. */
static int
join_fields(const int date[3], const int hms[3], int64_t *s_out)
{
	struct tm tm;
	time_t day;

	if (hms[0] > 23 || hms[1] > 59 || hms[2] > 60)
		return -EINVAL;
	memset(&tm, 0, sizeof(tm));
	tm.tm_year = date[0] - 1900;
	tm.tm_mon = date[1] - 1;
	tm.tm_mday = date[2];
	day = timegm(&tm); /* makes 31 April the 1st of May */
	if (tm.tm_mon != date[1] - 1 || tm.tm_mday != date[2])
		return -EINVAL;
	*s_out = (int64_t)day + hms[0] * 3600 + hms[1] * 60 + hms[2];
	return 0;
}

int
wall_parse(const char *text, int64_t *ms_out)
{
	int date[3], hms[3], ms, zone;
	int64_t s;

	if (parse_fields(&text, "4-2-2", date) < 0)
		return -EINVAL;
	if (*text != 'T' && *text != 't' && *text != ' ')
		return -EINVAL;
	text++;
	if (parse_fields(&text, "2:2:2", hms) < 0 ||
	    parse_fraction(&text, &ms) < 0 || parse_zone(text, &zone) < 0 ||
	    join_fields(date, hms, &s) < 0)
		return -EINVAL;
	*ms_out = (s - zone * 60) * 1000 + ms;
	return 0;
}
