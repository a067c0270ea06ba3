/* SPDX-License-Identifier: ISC */
/*
 * verdict.h - what a check of a configuration has found
 *
 * The check itself is not the supervisor's: it loads modules, which only a
 * process of its own may.
 */
#ifndef GANGER_SUPERVISOR_VERDICT_H
#define GANGER_SUPERVISOR_VERDICT_H

#include <jansson.h>
#include <stdbool.h>

#include "master/supervisor/config.h"

struct verdict {
	struct config *config; /* NULL: refused; else the callee's */
	/* In place of config and names, when another program has checked: what
	 * it answered, for an image of that program to load; borrowed. */
	json_t *answer;
	json_t *names;    /* with config: an array of task names for each
			     pool; the callee's */
	json_t *mistakes; /* refused: an array of one text or more; borrowed */
	bool unchecked;   /* refused as the check itself has failed */
	/* Refused for want of memory, processes or time: by no mistake of the
	 * configuration's, as far as is known. */
	bool retryable;
	const char *version; /* of the program that checked, or ""; borrowed */
};

typedef void (*verdict_fn)(void *arg, const struct verdict *v);

#endif
