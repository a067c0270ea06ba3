/* SPDX-License-Identifier: ISC */
/*
 * config_mistake.h - what is wrong in a configuration, in the order of its text
 *
 * Mistakes are found in the order of checks and told in that of the lines.
 */
#ifndef GANGER_SUPERVISOR_CONFIG_MISTAKE_H
#define GANGER_SUPERVISOR_CONFIG_MISTAKE_H

#include <stdarg.h>
#include <stddef.h>

#include "ipc/buf.h"

/* Where a thing stands. */
struct config_place {
	const char *file; /* borrowed; NULL: nowhere, it is a default */
	unsigned rank;    /* of the file among those that were read */
	unsigned line;    /* from 1; 0: the file as a whole */
};

struct config_mistake;

struct config_mistakes {
	struct config_mistake *list; /* owned */
	size_t n;
	int error; /* 0 or -ENOMEM; sticky */
};

void config_mistakes_init(struct config_mistakes *m);
void config_mistakes_done(struct config_mistakes *m);

/* Add one.  at is copied, but for the file's name; NULL is nowhere. */
void config_mistakes_add(struct config_mistakes *m,
    const struct config_place *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void config_mistakes_vadd(struct config_mistakes *m,
    const struct config_place *at, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

/*
 * Append all of them to out, "FILE:LINE: message" and a newline each, with
 * control bytes shown as '?'.  Sorts the list.
 */
void config_mistakes_tell(struct config_mistakes *m, struct buf *out);

#endif
