/* SPDX-License-Identifier: ISC */
/*
 * map_input.h - the lines of several files, one after the other
 *
 * Reads only when it is told to, so that the caller can poll the descriptor
 * first.
 */
#ifndef GANGER_CLI_MAP_INPUT_H
#define GANGER_CLI_MAP_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/client/cli/flight.h"
#include "ipc/line.h"

struct map_input {
	char *const *files; /* borrowed; not opened yet */
	size_t n_files;
	size_t max_line;
	int fd;                     /* owned unless stdin; -1: all are read */
	struct line_reader *reader; /* owned */
	char *chunk;                /* owned */
	struct flight_line line;    /* the one handed out last */
};

/*
 * Read the n files, "-" standing for standard input, which is also meant by
 * none; lines over max_line bytes are refused.  The first one is opened: -errno
 * with *file_out, borrowed, when it can't be.
 */
int map_input_init(struct map_input *in, char *const *files, size_t n,
    size_t max_line, const char **file_out);
void map_input_done(struct map_input *in);

/*
 * Lend the next line, valid until the next call: 1, and in->line tells which
 * it is.  0: map_input_read has to be called first, or, with in->fd -1, there
 * are no more.  -EMSGSIZE: a line over the limit was passed over.  -ENOMEM.
 */
int map_input_next(struct map_input *in, char **line, size_t *len);

/* Read once; goes on to the next file at the end of one.  0 or -errno. */
int map_input_read(struct map_input *in);

/* How many lines the files have; 0: not to be told without reading a pipe. */
uint64_t map_input_count(char *const *files, size_t n);

#endif
