/* SPDX-License-Identifier: ISC */
/*
 * disk.h - how much room the store's disk has left
 */
#ifndef GANGER_BROKER_DISK_H
#define GANGER_BROKER_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/clock.h"

/* What the last look told; zeroed: there was none. */
struct disk {
	struct mono looked;
	bool known;
	uint64_t free_bytes; /* to the daemon's user */
};

/*
 * True when less than min_free bytes are free where path is.  Looks at most
 * once a second; a disk that can't be looked at counts as one with room.
 */
bool disk_is_low(struct disk *d, const char *path, uint64_t min_free);

#endif
