/* SPDX-License-Identifier: ISC */
/*
 * window_disk.h - the played store of a window_world
 */
#ifndef GANGER_TESTS_LIB_WINDOW_DISK_H
#define GANGER_TESTS_LIB_WINDOW_DISK_H

#include "tests/lib/window_world.h"

/* Let it be the broker's store; window_world_tell makes it speak. */
void window_disk_init(struct window_world *w);

/* The key of that number; NULL for 0. */
const char *window_disk_key(unsigned n);

#endif
