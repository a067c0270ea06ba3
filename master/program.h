/* SPDX-License-Identifier: ISC */
/*
 * program.h - what the supervisor needs of the rest of the program
 */
#ifndef GANGER_MASTER_PROGRAM_H
#define GANGER_MASTER_PROGRAM_H

#include <jansson.h>

#include "master/checker.h"
#include "master/renew.h"
#include "master/roles.h"
#include "master/supervisor/lock.h"
#include "master/supervisor/supervisor.h"

struct program {
	struct roles roles;
	struct checker checker;
	struct renew renew;
	struct lock lock;
	bool to_stderr; /* the log goes there */
};

/* arg of each is a struct program. */
extern const struct supervisor_ops program_ops;

/*
 * In the image after an upgrade: take over what does not concern the
 * supervisor, which is the log, the locks, and the roles' memory; and load the
 * configuration that was in use.  The caller owns both.  -errno: why was
 * logged.
 */
int program_resume(struct program *p, json_t *state, struct config **config_out,
    json_t **names_out);

#endif
