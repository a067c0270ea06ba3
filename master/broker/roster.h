/* SPDX-License-Identifier: ISC */
/*
 * roster.h - the workers as they come and go
 *
 * The master starts and reaps them and tells so; the broker feeds them.  A
 * worker's end is known for certain only when the master has told it: until
 * then its tasks are its own.
 */
#ifndef GANGER_BROKER_ROSTER_H
#define GANGER_BROKER_ROSTER_H

#include <jansson.h>

#include "master/broker/broker.h"

/* An order of the master: worker.add (fd is taken), .gone, .retire. */
void roster_add(struct broker *b, json_t *msg, int fd);
void roster_gone(struct broker *b, json_t *msg);
void roster_retire(struct broker *b, json_t *msg);

/* Go on with a worker that was handed over; as chan_restore. */
int roster_restore(struct crew *w, int fd, const struct chan *like,
    const struct peer_state *peer, struct chan **out);

/*
 * Ask the master to kill a worker, and feed it no more.  at_fault: the worker
 * itself is to blame, and not one of its tasks.
 */
void roster_kill(
    struct broker *b, struct chan *c, const char *why, bool at_fault);

/* Ask the master to replace a worker; it works on until that is done. */
void roster_recycle(struct broker *b, struct chan *c, const char *why);

/* The worker of that pid whose end was not told yet, or NULL. */
struct chan *roster_find(const struct broker *b, pid_t pid);

/* Give the pill to every worker of a crew. */
void roster_pill_all(struct crew *w);

/* The workers of all crews whose end was not told yet. */
unsigned roster_count(const struct broker *b);

/* Forget all workers; called when the broker ends. */
void roster_clear(struct broker *b);

#endif
