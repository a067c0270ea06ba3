/* SPDX-License-Identifier: ISC */
/*
 * await.h - wait for tasks, with their progress on a terminal
 */
#ifndef GANGER_CLI_AWAIT_H
#define GANGER_CLI_AWAIT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/client/cli/cli.h"

struct await {
	const uint64_t *ids; /* borrowed */
	size_t n;
	bool any;           /* the first that ends is enough */
	int64_t timeout_ms; /* negative: none */
	bool cancel;        /* an interrupt cancels them */
};

/*
 * Wait.  0, and task.wait's {"done", "pending"} in *result_out: "pending" is
 * not empty when the time was over.  Else the exit status, which after an
 * interrupt is the signal's.
 */
int await_tasks(struct cli *cli, const struct await *spec, json_t **result_out);

/*
 * Wait for one task, and lend it out of *result_out, which the caller owns.
 * Without an end of its own in time: EX_TEMPFAIL, said on stderr.
 */
int await_task(struct cli *cli, uint64_t id, int64_t timeout_ms, bool cancel,
    json_t **result_out, json_t **task_out);

#endif
