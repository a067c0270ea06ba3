/* SPDX-License-Identifier: ISC */
/*
 * json.h - JSON text between jansson and struct buf
 *
 * Text that was parsed once is passed on as text: a message is put together
 * from pieces, and a payload that nobody here looks into is spliced in whole.
 * Failures are those of buf.h: sticky in the buffer.
 */
#ifndef GANGER_IPC_JSON_H
#define GANGER_IPC_JSON_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/buf.h"

/* Flags that every text from outside is read with. */
#define JSON_READ_FLAGS (JSON_REJECT_DUPLICATES | JSON_DECODE_ANY)

/* Levels of arrays and objects that are written; jansson reads 2048. */
#define JSON_DEPTH_MAX 4096

/*
 * Append value as compact JSON, real numbers with as few digits as read back
 * the same.  value is borrowed.  What is nested deeper than JSON_DEPTH_MAX, in
 * a circle for one, fails as too large; a string that is not UTF-8, or has a
 * NUL, with -EILSEQ.
 */
void buf_add_json(struct buf *b, const json_t *value);

/* Append the UTF-8 text s, len bytes, as a JSON string with its quotes. */
void buf_add_json_str(struct buf *b, const char *s, size_t len);

/* The same for a NUL-terminated string; null for NULL. */
void buf_add_json_cstr(struct buf *b, const char *s);

/* Append `"key":`, with a comma in front unless first in its object. */
void buf_add_key(struct buf *b, const char *key);

/* The same with a value: a string as above, or a number. */
void buf_add_key_cstr(struct buf *b, const char *key, const char *value);
void buf_add_key_uint(struct buf *b, const char *key, uint64_t value);

/*
 * Dump value as compact text: a new string, *len_out bytes.  NULL: out of
 * memory, or longer than max bytes.
 */
char *json_text(const json_t *value, size_t max, size_t *len_out);

/*
 * The length of the UTF-8 character that begins s, which has left bytes; 0 when
 * none does, or it is a NUL.  left is at least 1.
 */
size_t json_utf8_char(const char *s, size_t left);

/*
 * Copy s, len bytes, with every byte that is not part of valid UTF-8 replaced
 * by '?', NULs included.  The caller owns the string.  NULL: out of memory.
 */
char *json_utf8(const char *s, size_t len);

#endif
