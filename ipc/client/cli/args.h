/* SPDX-License-Identifier: ISC */
/*
 * args.h - a task's arguments, as they stand on a command line
 *
 * They are one JSON text, or any number of KEY=VALUE, which make an object.  A
 * VALUE that is JSON stands for itself, any other one is a string.
 */
#ifndef GANGER_CLI_ARGS_H
#define GANGER_CLI_ARGS_H

#include <jansson.h>
#include <stddef.h>

#include "ipc/buf.h"

/*
 * Make a value of n words, n at least 1.  The caller owns *out.  -EINVAL: why
 * (appended, without a newline) says what is wrong and where.  -ENOMEM.
 */
int args_parse(char *const *words, size_t n, struct buf *why, json_t **out);

/* The same of one JSON text, len bytes; `what` names it in why. */
int args_parse_text(const char *text, size_t len, const char *what,
    struct buf *why, json_t **out);

#endif
