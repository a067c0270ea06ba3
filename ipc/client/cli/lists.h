/* SPDX-License-Identifier: ISC */
/*
 * lists.h - tables of queues, workers and pools
 *
 * Each takes what the daemon's method of the same name answered.
 */
#ifndef GANGER_CLI_LISTS_H
#define GANGER_CLI_LISTS_H

#include <jansson.h>

#include "ipc/client/cli/cli.h"

void lists_print_queues(
    const struct cli *cli, const json_t *queues, unsigned indent);
void lists_print_workers(
    const struct cli *cli, const json_t *workers, unsigned indent);
void lists_print_pools(
    const struct cli *cli, const json_t *pools, unsigned indent);

/*
 * Run a command that is a list: call the method, and print each element as a
 * line with --json, else all with fn.
 */
int lists_run(struct cli *cli, int argc, char **argv, const char *method,
    void (*fn)(const struct cli *, const json_t *, unsigned));

#endif
