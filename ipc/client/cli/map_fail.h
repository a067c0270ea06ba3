/* SPDX-License-Identifier: ISC */
/*
 * map_fail.h - what goes wrong in a map: for one line, or for all
 *
 * Each function tells of it on stderr, past the progress line, and sets the
 * map's status.
 */
#ifndef GANGER_CLI_MAP_FAIL_H
#define GANGER_CLI_MAP_FAIL_H

#include "ipc/client/cli/flight.h"
#include "ipc/client/cli/map_loop.h"
#include "ipc/client/client.h"

/* Take the progress line off stderr, for whatever is printed next. */
void map_fail_erase(struct map *m);

/* The line read last can't be sent; code stands for it with --keep-going. */
void map_fail_input(struct map *m, int code, const char *why);
void map_fail_too_long(struct map *m);

/* The call for a line was answered with an error, borrowed. */
void map_fail_call(struct map *m, const struct flight_line *line,
    const struct ganger_error *err);

/* The input can't be read on: -errno. */
void map_fail_read(struct map *m, int r);

/* stdout takes nothing more: -errno. */
void map_fail_write(struct map *m, int r);

/* The connection is of no use any more: as fail_call. */
void map_fail_lost(struct map *m, int r, struct ganger_error *err);

/* Tell how many failures were not told one by one. */
void map_fail_sum(struct map *m);

/* End the loop, the first time that it is called. */
void map_fail_stop(struct map *m, enum map_stop stop, int status);

#endif
