/* SPDX-License-Identifier: ISC */
/*
 * store_reserve.h - room on the disk that is kept for a start in need
 *
 * A broker that has died on a full disk has to write a little before the next
 * one is up: the log's index, and that nothing runs any more.  A file beside
 * the database holds room for that, and is given up for it.
 */
#ifndef GANGER_BROKER_STORE_RESERVE_H
#define GANGER_BROKER_STORE_RESERVE_H

#include <stdbool.h>

#include "ipc/clock.h"

#define STORE_RESERVE_SIZE (1U << 20)

struct store_reserve {
	bool there;
	bool spent; /* it was given up: the rest of its room is for the next
		       start, and nothing else is written until it is there */
	struct mono next; /* not before this is it tried to make it */
};

/*
 * See that there is one for the database at path, made when twice its size is
 * free.  Tries now and then only.  True: there is.
 */
bool store_reserve_keep(struct store_reserve *r, const char *path);

/* Give it up, if that helps against err.  False: it was not, or not there. */
bool store_reserve_give_up(struct store_reserve *r, const char *path, int err);

#endif
