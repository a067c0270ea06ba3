/* SPDX-License-Identifier: ISC */
/*
 * handover.h - the broker replaces its own binary in place
 *
 * On the master's order `upgrade` it execs the new binary under its own pid as
 * soon as a turn of the loop ends with nothing open that can't be handed over.
 * The state goes along in memory without a name, whose descriptor is named in
 * the environment; the control channel, the listener and every connection stay
 * open.  Whatever fails before the exec is done leaves everything as it was,
 * and the master is told.
 */
#ifndef GANGER_BROKER_HANDOVER_H
#define GANGER_BROKER_HANDOVER_H

#include <ev.h>
#include <stdbool.h>

/* Names the descriptor of the state; its presence makes a gangerd a broker. */
#define HANDOVER_ENV "GANGER_BROKER_STATE"

struct broker;

struct handover {
	struct broker *broker;    /* borrowed */
	int binary;               /* owned; -1: no upgrade is due */
	struct ev_prepare turn;   /* after all else of a turn's end */
	struct ev_timer patience; /* with what can't be handed over */
};

void handover_init(struct handover *h, struct broker *b);

/* Forget an upgrade that is due.  Safe to repeat. */
void handover_done(struct handover *h);

/* The order: binary, opened for the exec (O_PATH will do), is taken. */
void handover_order(struct handover *h, int binary);

#endif
