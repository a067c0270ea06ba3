/* SPDX-License-Identifier: ISC */
/*
 * listener.h - accept clients
 */
#ifndef GANGER_BROKER_LISTENER_H
#define GANGER_BROKER_LISTENER_H

#include <ev.h>
#include <stdbool.h>

struct broker;

struct listener {
	struct broker *broker; /* borrowed */
	int fd;                /* owned; -1: not serving */
	struct ev_io io;
	struct ev_timer pause; /* running: no accept until it is over */
	unsigned max_clients;  /* that leave room for the workers' channels */
	bool told_full;        /* too many clients was logged */
	bool told_failed;      /* so was that accept fails */
};

void listener_init(struct listener *l, struct broker *b);

/* Serve on fd, which is taken. */
void listener_open(struct listener *l, int fd);

/* Settings, workers or their number are others now: how many clients fit? */
void listener_review(struct listener *l);

/* Accept no more.  Safe to repeat. */
void listener_close(struct listener *l);

#endif
