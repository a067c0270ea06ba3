/* SPDX-License-Identifier: ISC */
/*
 * check.h - look into a configuration, and say what was found
 *
 * Loads the files and the modules that they name, so it takes as long as a file
 * or somebody's code takes: it runs before the daemon serves, or in a process
 * of its own, whose answer checker.h reads.
 */
#ifndef GANGER_MASTER_CHECK_H
#define GANGER_MASTER_CHECK_H

#include <jansson.h>

#include "ipc/buf.h"
#include "master/supervisor/config.h"

/* The file that is read without -c, if it is there. */
#define CHECK_USUAL_PATH SYSCONFDIR "/ganger/ganger.conf"

/* Names the descriptor that a check answers on, when it is another program. */
#define CHECK_FD_ENV "GANGER_CHECK_FD"

/* What the command line says of the configuration; all borrowed. */
struct check_request {
	const char *path; /* of -c; NULL: the usual file, if there */
	const char *const *overrides;
	size_t n_overrides;
};

/* The file that was, or would be, read; the usual one if it is there. */
const char *check_path(const struct check_request *q);

/*
 * Load and check it.  The caller owns *config_out and *names_out, an array of
 * task names for each pool.  -EINVAL, or another -errno: mistakes_out has at
 * least one line.
 */
int check_load(const struct check_request *q, struct config **config_out,
    json_t **names_out, struct buf *mistakes_out);

/*
 * Check, and write the answer to fd as one line of JSON:
 *
 *   {"version": …, "mistakes": [line …]}
 *   {"version": …, "config": text, "ids": text, "file": whether one was read,
 *    "names": {pool: [name …]}}
 *
 * Then stay until the reader ends this process, so that its process group is
 * there to be ended with it; with nobody to read, exit at once.
 */
_Noreturn void check_serve(const struct check_request *q, int fd);

#endif
