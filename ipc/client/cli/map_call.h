/* SPDX-License-Identifier: ISC */
/*
 * map_call.h - lines of input as the parameters of calls
 *
 * All calls of a map are alike but for their args, so what they share is
 * written once, and a line of JSON is checked and then passed on as it stands.
 */
#ifndef GANGER_CLI_MAP_CALL_H
#define GANGER_CLI_MAP_CALL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/buf.h"

struct map_call {
	struct buf head; /* `{"name":…,"args":`, and for text `{"KEY":` */
	bool as_text;
	const char *key;   /* borrowed; see map_call_init */
	struct buf params; /* of the call that was made last */
};

/*
 * Set up for the parameters in task, an object, and the mark that each call
 * bears as its meta {"map": MARK}.  Both are borrowed.  Lines are JSON, or with
 * a key `as`, text that becomes {AS: line}.  With an idempotency key `key`,
 * borrowed as long as c, line number N has the idempotency key "KEY/N".
 * -EINVAL: as is not UTF-8.  -ENOMEM.
 */
int map_call_init(struct map_call *c, const json_t *task, const char *mark,
    const char *as, const char *key);
void map_call_done(struct map_call *c);

/*
 * Make c->params of a line, whose number is n.  -EINVAL: the line is not what
 * it should be; why is appended, without a newline.  -ENOMEM.
 */
int map_call_make(struct map_call *c, const char *line, size_t len, uint64_t n,
    struct buf *why);

#endif
