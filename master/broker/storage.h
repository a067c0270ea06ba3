/* SPDX-License-Identifier: ISC */
/*
 * storage.h - the broker and its stores
 */
#ifndef GANGER_BROKER_STORAGE_H
#define GANGER_BROKER_STORAGE_H

#include "master/broker/broker.h"
#include "master/broker/store.h"

/* Make the store of a broker: of volatile tasks alone, so far.  -ENOMEM. */
int storage_init(struct broker *b);

/*
 * Open the database that the settings name, if any, and take up what waits in
 * it.  `resume`: what runs goes on running, under this broker.  -errno, and why
 * says what is wrong.
 */
int storage_open(struct broker *b, bool resume, char why[STORE_WHY_SIZE]);

/*
 * Close the database, for an exec: all has been written, and no durable task is
 * resident but those that run.  Open it again as nothing has come of that;
 * without it the broker ends, for the next one to try.
 */
void storage_close(struct broker *b);
void storage_reopen(struct broker *b);

/* An id was given out, to whatever task: it is not to be given out again. */
void storage_note_ids(struct broker *b);

/* Limits are others now. */
void storage_set_limits(struct broker *b);

/* The part of it that is in memory, borrowed. */
struct store *storage_memory(const struct broker *b);

/* True when so much has not been written that no task should be started. */
bool storage_is_behind(const struct broker *b);

#endif
