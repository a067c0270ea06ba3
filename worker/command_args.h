/* SPDX-License-Identifier: ISC */
/*
 * command_args.h - fill the {args.x} places of a command's argv
 *
 * A place is `{args}`, the whole value, or `{args.NAME.NAME...}`, a member of
 * it.  A string stands as it is, any other value as compact JSON.  What is no
 * place stays: `{}`, `{x}`, `{args` have no meaning here.  One element stays
 * one element whatever is filled in; no shell sees it.
 */
#ifndef GANGER_WORKER_COMMAND_ARGS_H
#define GANGER_WORKER_COMMAND_ARGS_H

#include <jansson.h>

#include "ipc/buf.h"

/*
 * Fill argv, which is borrowed, with values from args.  The caller owns
 * *argv_out; release it with command_args_free().  -ENOENT: a place names a
 * member that is not there, and missing_out gets `{args.x}`.  -ENOMEM.
 */
int command_args_fill(char *const argv[], const json_t *args, char ***argv_out,
    struct buf *missing_out);
void command_args_free(char **argv);

#endif
