/* SPDX-License-Identifier: ISC */
/*
 * roles.h - what the master's children become
 *
 * The supervisor knows the configuration, the broker and the workers know what
 * they are told; this translates.
 */
#ifndef GANGER_MASTER_ROLES_H
#define GANGER_MASTER_ROLES_H

#include <jansson.h>

#include "master/broker/settings.h"
#include "master/supervisor/config.h"
#include "worker/settings.h"

struct roles {
	const struct config *config; /* borrowed */
	json_t *names; /* owned; an array of task names for each pool */
	struct broker_shared *shared; /* owned mapping */
	int64_t started_at;           /* wall ms */
	pid_t master_pid;
};

/* names is taken.  0 or -errno. */
int roles_init(struct roles *r, const struct config *c, json_t *names);
void roles_done(struct roles *r);

/* The life of a child; for struct supervisor_ops, with a struct roles. */
int role_run_broker(void *arg, int ctl_fd);
int role_run_worker(
    void *arg, const struct config_pool *pool, unsigned number, int fd);

/* A worker's settings and what they borrow. */
struct role_worker {
	struct worker_settings settings;
	struct worker_command *commands; /* owned */
	char label[160];
};

/* -ENOMEM. */
int role_worker_init(struct role_worker *w, const struct config *c,
    const struct config_pool *pool, unsigned number, int fd);
void role_worker_done(struct role_worker *w);

#endif
