/* SPDX-License-Identifier: ISC */
/*
 * submit.h - submits that can be sent again when their answer is lost
 */
#ifndef GANGER_CLIENT_SUBMIT_H
#define GANGER_CLIENT_SUBMIT_H

#include <jansson.h>
#include <stdbool.h>

/*
 * True when the daemon's death does not lose the task, and when sent twice it
 * is entered once.
 */
bool submit_is_lasting(const json_t *task);

#endif
