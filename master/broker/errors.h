/* SPDX-License-Identifier: ISC */
/*
 * errors.h - the last errors of a task, as a JSON array
 *
 * Pure.  The array is kept as text, for it is only ever passed on: one that is
 * full loses its oldest entry.
 */
#ifndef GANGER_BROKER_ERRORS_H
#define GANGER_BROKER_ERRORS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define ERRORS_MAX 5
/*
 * Bytes.  A longer message is cut, and has its length beside it as
 * "message_bytes"; of longer data there is only its length, "data_bytes".
 */
#define ERRORS_MESSAGE_MAX 1024
#define ERRORS_DATA_MAX    2048

struct errors_entry {
	uint32_t attempt; /* the attempt that failed, from 1 */
	int64_t at_ms;    /* wall */
	int64_t code;
	const char *message; /* UTF-8 */
	const json_t *data;  /* borrowed; NULL: none */
};

/*
 * The array `old`, which may be NULL, with one entry more: text that the caller
 * owns.  NULL: out of memory.
 */
char *errors_add(const char *old, const struct errors_entry *e);

/* True when the array, which may be NULL, has more than one entry. */
bool errors_are_several(const char *errors);

#endif
