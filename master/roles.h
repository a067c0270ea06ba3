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
#include <stdbool.h>

#include "ipc/page.h"
#include "master/broker/settings.h"
#include "master/supervisor/config.h"
#include "worker/settings.h"

struct roles {
	struct broker_shared *shared; /* owned mapping */
	int shared_fd;                /* owned; of the mapping's memory */
	bool debug;                   /* log_level is debug, as by -v */
	int64_t started_at;           /* wall ms */
	pid_t master_pid;
};

/* 0 or -errno. */
int roles_init(struct roles *r);

/* Go on with the memory of the image before an exec; fd is taken. */
int roles_resume(struct roles *r, int shared_fd, int64_t started_at);
void roles_done(struct roles *r);

/* What the configuration does not say of the daemon as it is now. */
struct roles_now {
	int64_t started_at; /* wall ms */
	pid_t master_pid;
	bool debug; /* log_level is debug, whatever it says */
};

/*
 * Append the broker's settings as JSON, for settings_load: at its start, and
 * for a reload.  names is an array of task names for each pool.  0 or -errno.
 */
int roles_write_settings(const struct config *c, json_t *names,
    const struct roles_now *now, struct buf *out);

/* The life of the broker's process.  names has an array for each pool. */
int role_run_broker(
    const struct roles *r, const struct config *c, json_t *names, int ctl_fd);

/* True in the image of a broker that has replaced its binary. */
bool role_is_resumed(void);

/* The life of such a broker.  Called first of all: it owns its descriptors. */
int role_resume_broker(void);

/* The life of a worker's. */
int role_run_worker(const struct config *c, const struct config_pool *pool,
    unsigned number, int fd, struct page *page);

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
