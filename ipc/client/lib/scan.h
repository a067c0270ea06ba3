/* SPDX-License-Identifier: ISC */
/*
 * scan.h - find the members of a JSON object without parsing it
 *
 * For answers whose payload is passed on as text.  The object's own structure
 * is checked; of its values only where they end, as their brackets and quotes
 * have it.
 */
#ifndef GANGER_CLIENT_SCAN_H
#define GANGER_CLIENT_SCAN_H

#include <stddef.h>

/* A value's text, borrowed from the object's; at NULL: there is none. */
struct scan_span {
	const char *at;
	size_t len;
};

/*
 * Find the values of n keys, which are without escapes, in the object that
 * text is, len bytes.  -EINVAL: it is not an object; out is then undefined.
 */
int scan_object(const char *text, size_t len, const char *const *keys, size_t n,
    struct scan_span *out);

#endif
