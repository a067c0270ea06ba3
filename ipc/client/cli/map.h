/* SPDX-License-Identifier: ISC */
/*
 * map.h - a task for each line of the input
 *
 * Calls are pipelined: as many as `jobs` are under way.  Results that came
 * before their turn are held, but only so many, and only so many bytes of them;
 * then no more lines are taken on until the one that all wait for is done.
 */
#ifndef GANGER_CLI_MAP_H
#define GANGER_CLI_MAP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "ipc/client/cli/cli.h"

struct map_spec {
	json_t *task;       /* borrowed; parameters of all calls but args */
	char *const *files; /* borrowed; none: standard input */
	size_t n_files;
	size_t jobs;     /* 0: twice the threads of the daemon */
	const char *as;  /* borrowed; the key of the lines as text, or NULL */
	const char *key; /* borrowed; the idempotency key of all, or NULL */
	bool keep_going;
	bool unordered;
};

/* Returns the exit status. */
int map_run(struct cli *cli, const struct map_spec *spec);

#endif
