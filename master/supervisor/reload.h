/* SPDX-License-Identifier: ISC */
/*
 * reload.h - take on a new configuration while everything goes on
 *
 *   CHECKING  a child reads the file and loads the modules
 *   TRYING    a canary of each pool, started with the new configuration, must
 *             say hello and stay up; nothing else has changed so far
 *   APPLYING  the broker takes on its part
 *
 * and then the pools are rolled, by pool_adjust.  Whatever fails before that
 * leaves everything as it was.
 */
#ifndef GANGER_SUPERVISOR_RELOAD_H
#define GANGER_SUPERVISOR_RELOAD_H

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "ipc/buf.h"
#include "master/supervisor/config.h"

struct supervisor;
struct slot;

enum reload_phase {
	RELOAD_IDLE,
	RELOAD_CHECKING,
	RELOAD_TRYING,
	RELOAD_APPLYING
};

struct reload {
	enum reload_phase phase;
	bool again;           /* another one was asked for meanwhile */
	bool renewed;         /* to a binary that was replaced */
	struct config *next;  /* owned */
	json_t *names;        /* owned; of next, an array for each pool */
	json_t *changed;      /* owned; what differs, as texts */
	json_t *held_back;    /* owned; keys that need a restart */
	json_t *asking;       /* owned; ids of asks that wait for the outcome */
	json_t *next_asking;  /* owned; for the one after this */
	char *broken;         /* owned; why it is about to fail, or NULL */
	struct ev_timer stay; /* until the canaries have stayed */
};

/* -ENOMEM. */
int reload_init(struct supervisor *sv);
void reload_done(struct supervisor *sv);

/* Start one; ask_id, of a client that wants to know how it went, or 0. */
void reload_start(struct supervisor *sv, const char *why, uint64_t ask_id);

/*
 * After an upgrade: go on from a configuration that was checked by then, for
 * the asks that wait for it.  next and names are taken, asking is borrowed.
 */
void reload_try(
    struct supervisor *sv, struct config *next, json_t *names, json_t *asking);

/*
 * What was asked for during an upgrade, for the new image: written to an
 * object, -ENOMEM; and read from it.
 */
int reload_hand_over(const struct supervisor *sv, json_t *state);
void reload_take_over(struct supervisor *sv, const json_t *state);

/* An upgrade, or the start, is over: start what was asked for meanwhile. */
void reload_resume(struct supervisor *sv);

/* Have it fail soon, and for this reason. */
void reload_break(struct supervisor *sv, const char *why);

/* A stop overrides it. */
void reload_cancel(struct supervisor *sv);

/* A canary said hello, or died; its slot is then gone. */
void reload_take_hello(struct supervisor *sv);
void reload_lost_canary(struct slot *s, const char *status);

/* The broker has taken on the settings, or why not. */
void reload_take_applied(struct supervisor *sv, bool ok, const char *why);

/* A new broker takes orders: it may have missed the settings. */
void reload_take_broker(struct supervisor *sv);

#endif
