/* SPDX-License-Identifier: ISC */
/*
 * store_write.h - carry out what a batch writes
 */
#ifndef GANGER_BROKER_STORE_WRITE_H
#define GANGER_BROKER_STORE_WRITE_H

#include "master/broker/store_batch.h"
#include "master/broker/store_db.h"

/*
 * Write all that b has in one transaction.  b->err and b->why tell how that
 * went; what fails is not there at all.
 */
void store_write(struct store_db *d, struct store_batch *b);

/* Read and set the numbers and words of table meta.  -ENOENT. */
int store_meta_get(struct store_db *d, const char *name, int64_t *out);
int store_meta_set(struct store_db *d, const char *name, int64_t value);

/* Note how large the file is. */
int store_write_measure(struct store_db *d);

#endif
