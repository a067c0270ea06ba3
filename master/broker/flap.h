/* SPDX-License-Identifier: ISC */
/*
 * flap.h - what a client is told of pools whose workers are not up
 */
#ifndef GANGER_BROKER_FLAP_H
#define GANGER_BROKER_FLAP_H

#include <stdbool.h>
#include <stddef.h>

#include "master/broker/broker.h"

#define FLAP_SIZE 256

/*
 * True when t waits, and every pool that could run it is flapping or drained,
 * or tasks of its name are held back; out then says so, in words.  Else out is
 * empty.
 */
bool flap_describe(
    const struct broker *b, const struct task *t, char out[FLAP_SIZE]);

/* The same for what waits, or is to wait, in a lane; NULL-safe. */
bool flap_describe_lane(
    const struct broker *b, const struct lane *lane, char out[FLAP_SIZE]);

#endif
