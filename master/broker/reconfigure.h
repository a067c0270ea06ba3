/* SPDX-License-Identifier: ISC */
/*
 * reconfigure.h - put settings in force, at the start and at a reload
 *
 * Tasks, workers, clients and counts stay.  A pool that is gone from the
 * settings leaves: its workers go on with what no other pool can run, then get
 * their pills.  A queue that is gone takes no more tasks, and those that took
 * from it go on until it is empty.
 */
#ifndef GANGER_BROKER_RECONFIGURE_H
#define GANGER_BROKER_RECONFIGURE_H

#include <jansson.h>

#include "master/broker/broker.h"

/*
 * Put s in force; the reference is taken.  On failure it stays the caller's,
 * nothing has changed, and why says so.  -ENOMEM; -E2BIG: too many workers of
 * earlier settings are left.
 */
int reconfigure(
    struct broker *b, struct broker_settings *s, char why[SETTINGS_WHY_SIZE]);

/* The master's order settings: fd, which is taken, has them as JSON. */
void reconfigure_order(struct broker *b, int fd);

/*
 * The shift of crew w whose workers know these names; a new one if need be.
 * -ENOMEM, -E2BIG.
 */
int reconfigure_shift(struct broker *b, struct crew *w, struct skills *skills,
    struct shift **out);

/* The crew of that name, of the settings, leaving or gone, or NULL. */
struct crew *reconfigure_find_crew(const struct broker *b, const char *name);

/* The same; one that is gone is made when there is none.  -ENOMEM. */
int reconfigure_need_crew(
    struct broker *b, const char *name, struct crew **out);

#endif
