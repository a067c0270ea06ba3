/* SPDX-License-Identifier: ISC */
/*
 * answer.h - the answer to a request, as it came
 *
 * A line is only scanned for its members; of these the result is parsed, or
 * passed on as it is.
 */
#ifndef GANGER_CLIENT_ANSWER_H
#define GANGER_CLIENT_ANSWER_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/client/client.h"
#include "ipc/client/lib/scan.h"

/* Lies in the line that it was read from. */
struct answer {
	uint64_t id;                    /* 0: an error that names no request */
	struct scan_span result, error; /* one of them is there */
};

/*
 * Take a line of len bytes apart: 1, 0 for a request or notification, -EPROTO.
 */
int answer_read(const char *line, size_t len, struct answer *out);

/* Make an error of an answer that is one.  -EPROTO or -ENOMEM. */
int answer_error(const struct answer *a, struct ganger_error *out);

/* Make a reply of an answer.  -EPROTO or -ENOMEM. */
int answer_reply(const struct answer *a, struct ganger_reply *out);

/* The answer, moved to a copy of the line that it lies in. */
struct answer answer_moved(
    const struct answer *a, const char *line, const char *copy);

#endif
