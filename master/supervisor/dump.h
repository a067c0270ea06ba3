/* SPDX-License-Identifier: ISC */
/*
 * dump.h - what the threads of a live worker do
 */
#ifndef GANGER_SUPERVISOR_DUMP_H
#define GANGER_SUPERVISOR_DUMP_H

#include <stdint.h>

struct supervisor;

/*
 * Have the worker of that name, "POOL/N", write the stacks of its threads, and
 * answer the ask with them.  A worker that does not write them in time is
 * described from outside.
 */
void dump_start(struct supervisor *sv, uint64_t ask_id, const char *worker);

/* Answer all that is open with a refusal that may be tried again. */
void dump_refuse_all(struct supervisor *sv, const char *why);

/* Forget what was asked for; at the end. */
void dump_done(struct supervisor *sv);

#endif
