/* SPDX-License-Identifier: ISC */
/*
 * fail.h - failed calls as messages and exit statuses
 */
#ifndef GANGER_CLI_FAIL_H
#define GANGER_CLI_FAIL_H

#include "ipc/client/cli/cli.h"
#include "ipc/client/client.h"

/* Tell why cli->path could not be connected to; returns the exit status. */
int fail_connect(const struct cli *cli, int r);

/*
 * Tell of a failed call: r is what libganger returned, err what came with
 * -EREMOTEIO, which is released here; else it may be NULL.  Returns the exit
 * status.
 */
int fail_call(const struct cli *cli, int r, struct ganger_error *err);

/* The exit status that an error of the daemon stands for. */
int fail_status(const struct ganger_error *err);

#endif
