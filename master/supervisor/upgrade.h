/* SPDX-License-Identifier: ISC */
/*
 * upgrade.h - replace the running binary, in place
 *
 *   CHECKING   a child, with the new binary, reads the configuration
 *   LEAVING    what is on its way to the broker is sent first; then the master
 *              writes down what it has and becomes the new binary
 *   BROKER     the new image has the broker do the same
 *
 * and then the workers are replaced as in a reload, a canary first.  Until the
 * exec anything that fails leaves everything as it was.
 */
#ifndef GANGER_SUPERVISOR_UPGRADE_H
#define GANGER_SUPERVISOR_UPGRADE_H

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "master/supervisor/config.h"
#include "master/supervisor/deadline.h"

struct supervisor;

enum upgrade_phase {
	UPGRADE_IDLE,
	UPGRADE_CHECKING,
	UPGRADE_LEAVING,
	UPGRADE_BROKER
};

struct upgrade {
	enum upgrade_phase phase;
	json_t *checked; /* owned; what the new binary made of the file */
	json_t *asking;  /* owned; ids of asks that wait for the outcome */
	struct ev_timer again;
	struct deadline broker; /* until it must have come back */
};

/* -ENOMEM. */
int upgrade_init(struct supervisor *sv);
void upgrade_done(struct supervisor *sv);

/* True while one is under way that a reload has to wait for. */
bool upgrade_is_busy(const struct supervisor *sv);

/* Start one; ask_id, of a client that wants to know how it went, or 0. */
void upgrade_start(struct supervisor *sv, const char *why, uint64_t ask_id);

/* In the new image, which has taken over what `state` says: go on. */
void upgrade_go_on(struct supervisor *sv, json_t *state);

/* The broker takes orders, in its new image or as a new process. */
void upgrade_take_broker(struct supervisor *sv);

/* The broker has stayed as it was. */
void upgrade_take_failed(struct supervisor *sv, const char *why);

/* A stop overrides it. */
void upgrade_cancel(struct supervisor *sv);

#endif
