/* SPDX-License-Identifier: ISC */
/*
 * config_value.h - one value of the configuration, from text and to text
 *
 * Pure.  Parsers return 0, or -EINVAL for text that is not of that form and
 * -ERANGE for a value outside of the bounds; outputs are then untouched.
 */
#ifndef GANGER_SUPERVISOR_CONFIG_VALUE_H
#define GANGER_SUPERVISOR_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Holds any text that the formatters below write. */
#define VALUE_TEXT_SIZE 32

/* Bounds of the weight in "queue:weight", which is 1 when left out. */
#define VALUE_WEIGHT_MAX 1000

/*
 * Durations: digits and one of ms, s, m, h, d; a plain "0" needs no unit.
 * The result is in milliseconds, from 0 to max.
 */
int value_parse_duration(const char *text, int64_t max, int64_t *ms_out);
void value_format_duration(int64_t ms, char out[VALUE_TEXT_SIZE]);

/* Sizes: digits, and maybe one of K, M, G, T (powers of 1024). */
int value_parse_size(
    const char *text, uint64_t min, uint64_t max, uint64_t *bytes_out);
void value_format_size(uint64_t bytes, char out[VALUE_TEXT_SIZE]);

/*
 * Rates: digits, from 0 to max, a slash, and one of s, m, h: so many a second,
 * minute or hour.  None at all is none a second, however it is written.
 */
int value_parse_rate(
    const char *text, int64_t max, uint64_t *count_out, int64_t *per_ms_out);
void value_format_rate(
    uint64_t count, int64_t per_ms, char out[VALUE_TEXT_SIZE]);

/* Decimal numbers, with a minus sign where min is negative. */
int value_parse_number(
    const char *text, int64_t min, int64_t max, int64_t *number_out);

/* yes, true, on; no, false, off; in any case. */
int value_parse_bool(const char *text, bool *out);

/* Permissions as 3 or 4 octal digits: 0 to 0777. */
int value_parse_mode(const char *text, mode_t *out);

/* The index of text in choices, a list ended by NULL; -EINVAL: none of them. */
int value_parse_choice(
    const char *text, const char *const *choices, unsigned *index_out);

/*
 * True when the first len bytes of text are a name: 1 to PROTO_NAME_MAX of
 * [A-Za-z0-9_.-], and of ':' as well where colon is set.
 */
bool value_is_name(const char *text, size_t len, bool colon);

/*
 * Split "queue" or "queue:weight": the queue's name is the first *len_out bytes
 * of text.  -EINVAL: the name or the weight is none; -ERANGE: the weight is not
 * from 1 to VALUE_WEIGHT_MAX.
 */
int value_parse_take(const char *text, size_t *len_out, unsigned *weight_out);

#endif
