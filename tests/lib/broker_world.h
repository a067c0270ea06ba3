/* SPDX-License-Identifier: ISC */
/*
 * broker_world.h - a broker without clients, its master and its workers played
 *
 * The broker's own parts run on a real loop; the test submits tasks, gives the
 * orders of a master, and answers as a worker would.
 */
#ifndef GANGER_TESTS_BROKER_WORLD_H
#define GANGER_TESTS_BROKER_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ipc/buf.h"
#include "ipc/ctl.h"
#include "master/broker/broker.h"

#define WORKER_RUNS 16

/* A worker's side of its channel. */
struct worker {
	int fd;
	pid_t pid;
	struct buf in;
	uint64_t rpc[WORKER_RUNS]; /* open requests, oldest first */
	uint64_t ids[WORKER_RUNS]; /* and their tasks */
	unsigned n_runs;
	bool pilled;
};

struct world {
	struct broker b;
	struct broker_shared shared;
	struct ctl master;
	struct buf told;  /* the broker's orders to the master, a line each */
	struct buf ended; /* "ID:STATE " of the tasks that have ended */
	pid_t last_pid;
};

/* Start with these settings; a failure fails the test. */
void world_init(struct world *w, const char *settings);
void world_done(struct world *w);

/* A reload; 0, or what reconfigure said. */
int world_reload(struct world *w, const char *settings);

/* Let everything happen that can happen now. */
void world_turns(struct world *w);

/*
 * A worker of a pool that says hello: with these names, a JSON array, and so
 * many threads.  NULL: it does not.
 */
void world_start(struct world *w, struct worker *worker, const char *pool,
    const char *names, unsigned threads);

/* The worker reads what was sent to it. */
void world_read(struct world *w, struct worker *worker);

/* It answers its oldest run with a result, or with an error. */
void world_answer(struct world *w, struct worker *worker);
void world_fail(struct world *w, struct worker *worker);

/* Its process ends; more is the end of worker.gone's JSON: ",\"cut\":true". */
void world_reap(struct world *w, struct worker *worker, const char *status,
    int signo, const char *more);

/* A new task; NULL when no pool takes it. */
struct task *world_submit(struct world *w, const char *queue, const char *name);

/* Take the text of told, or of ended; the caller frees it. */
char *world_take(struct buf *b);

#endif
