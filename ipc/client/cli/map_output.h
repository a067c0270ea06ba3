/* SPDX-License-Identifier: ISC */
/*
 * map_output.h - results as lines, in the order of the input or as they come
 *
 * Writing never blocks, so that a slow reader of stdout does not keep answers
 * from being taken in; has_room bounds what is held meanwhile.
 */
#ifndef GANGER_CLI_MAP_OUTPUT_H
#define GANGER_CLI_MAP_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/buf.h"
#include "ipc/client/cli/window.h"

struct map_output {
	bool ordered;
	struct window window; /* unless unordered */
	struct buf out;       /* in order, not written yet */
	int fd;               /* borrowed */
	bool takes_all;       /* fd is a file: it takes any amount at once */
};

/*
 * Write lines to fd.  With slots, in order: results may be at most that far
 * apart; 0: in any order.  -ENOMEM.
 */
int map_output_init(struct map_output *o, int fd, size_t slots);
void map_output_done(struct map_output *o);

/* True when the result of line number n could be held. */
bool map_output_has_room(const struct map_output *o, uint64_t n);

/*
 * Add the result of line number n, of which has_room was true: text of len
 * bytes, without a newline, that is copied.  With an order, a line that never
 * gets a result holds back all behind it.  -ENOMEM.
 */
int map_output_put(
    struct map_output *o, uint64_t n, const char *text, size_t len);

/* True when something can be written. */
bool map_output_wants_write(const struct map_output *o);

/* Write what goes at once.  0 or -errno. */
int map_output_write(struct map_output *o);

#endif
