/* SPDX-License-Identifier: ISC */
/*
 * store_lock.h - one broker for each database
 *
 * SQLite lets any number of programs write to a file.  A broker whose master
 * was killed may still do so when the next one starts, and what it writes then
 * would undo what that one has put right.  So a broker holds a lock of the
 * kernel's (flock) on DATABASE-lock, from before it looks at the database until
 * it has closed it; that it is void with its process is what is wanted of it.
 */
#ifndef GANGER_BROKER_STORE_LOCK_H
#define GANGER_BROKER_STORE_LOCK_H

#include "master/broker/store.h"

/*
 * Wait for the lock, but not for ever: a descriptor that holds it and is the
 * caller's to close, or -errno with what is wrong in `why`; -EBUSY: somebody
 * else keeps it.
 */
int store_lock(const char *path, char why[STORE_WHY_SIZE]);

#endif
