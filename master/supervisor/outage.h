/* SPDX-License-Identifier: ISC */
/*
 * outage.h - answer clients while the broker does not stay up
 *
 * A client that connects while a broker is started again stands in the backlog
 * and is served soon.  A broker that is flapping is tried every 10 s only;
 * until then whoever connects is told so by an error that names no request, and
 * the connection is closed a second later at the latest.  What clients send is
 * not looked at.
 */
#ifndef GANGER_SUPERVISOR_OUTAGE_H
#define GANGER_SUPERVISOR_OUTAGE_H

#include <ev.h>
#include <stdbool.h>

#include "ipc/clock.h"

#define OUTAGE_CLIENTS   64   /* at a time; others stand in the backlog */
#define OUTAGE_LINGER_MS 1000 /* for a client to read it and go */

struct outage_client {
	struct outage *outage;
	struct ev_io rd; /* its descriptor is owned; idle: not active */
	struct ev_timer linger;
};

struct outage {
	struct ev_loop *loop;   /* borrowed */
	struct ev_io listener;  /* its descriptor is owned; -1: not begun */
	struct ev_timer rest;   /* after accept has failed */
	struct mono next_start; /* of the broker */
	unsigned n_clients;
	struct outage_client clients[OUTAGE_CLIENTS];
};

void outage_init(struct outage *o, struct ev_loop *loop);

/*
 * Answer those who connect to listen_fd, which stays the caller's, until
 * outage_end; the broker is started again at next_start.  Once begun, another
 * call changes only that.  A failure is logged: they wait, then.
 */
void outage_begin(struct outage *o, int listen_fd, struct mono next_start);

/* The socket was made anew: if begun, go on with that one. */
void outage_move(struct outage *o, int listen_fd);

/* Leave the listener to the broker, and close what is open. */
void outage_end(struct outage *o);

#endif
