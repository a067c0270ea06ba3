/* SPDX-License-Identifier: ISC */
/*
 * autoscale.h - let the size of a pool follow its load
 *
 * scale.h decides; this feeds it and does what it says.
 */
#ifndef GANGER_SUPERVISOR_AUTOSCALE_H
#define GANGER_SUPERVISOR_AUTOSCALE_H

#include <jansson.h>
#include <stdbool.h>

struct pool;

void autoscale_init(struct pool *p);
void autoscale_stop(struct pool *p);

/*
 * The pool has a configuration, or another one, and wants n_wanted.  goes_on:
 * it followed the load before, and goes on from there.
 */
void autoscale_configure(struct pool *p, bool goes_on);

/* The broker reports {"ready", "oldest_ms", "busy", "threads"}. */
void autoscale_take_load(struct pool *p, json_t *msg);

/* There is no broker: the load is not known. */
void autoscale_forget_load(struct pool *p);

/* An operator wants n processes; gives what the pool's bounds allow. */
unsigned autoscale_move(struct pool *p, unsigned n);

#endif
