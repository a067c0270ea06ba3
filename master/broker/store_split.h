/* SPDX-License-Identifier: ISC */
/*
 * store_split.h - two stores as one: durable tasks on a disk, volatile ones in
 * memory
 */
#ifndef GANGER_BROKER_STORE_SPLIT_H
#define GANGER_BROKER_STORE_SPLIT_H

#include "master/broker/store.h"

/*
 * Make a store of one in memory, which it owns from here on, and none on disk:
 * until there is one no durable task may come to it.  Release it with
 * store_free().  -ENOMEM: memory stays the caller's.
 */
int store_split_new(struct store *memory, struct store **out);

/* Its parts, borrowed. */
struct store *store_split_memory(const struct store *s);
struct store *store_split_disk(const struct store *s);

/*
 * Put a store where there is none, which is owned from here on; or take the one
 * that is there away, which is the caller's then.
 */
void store_split_set_disk(struct store *s, struct store *disk);

#endif
