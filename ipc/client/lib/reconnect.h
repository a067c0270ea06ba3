/* SPDX-License-Identifier: ISC */
/*
 * reconnect.h - go on with another connection when one is lost
 *
 * Only while no other request is open: those would be lost without a word.
 */
#ifndef GANGER_CLIENT_RECONNECT_H
#define GANGER_CLIENT_RECONNECT_H

#include <jansson.h>
#include <stdbool.h>

#include "ipc/client/client.h"
#include "ipc/clock.h"

/*
 * Look at the connection before anything is sent: 0, or why it is lost, if that
 * can be mended.
 */
int reconnect_check(struct ganger_client *c);

/* True when r, which a call returned, says that the connection is lost. */
bool reconnect_is_loss(int r);

/*
 * Connect again, trying for as long as the client's limit has it, and not after
 * `due`.  0: a daemon answers.  -ETIMEDOUT: `due` has come; a later call goes
 * on.  -EINTR and -ENOMEM; else why the connection was lost.
 */
int reconnect(struct ganger_client *c, struct mono due);

/*
 * The same for a client whose wait was answered with "draining": the daemon
 * is going, and the task may go on with the next one.
 */
int reconnect_to_next(struct ganger_client *c, struct mono due);

/*
 * ganger_client_request, for what may be asked twice; borrows params.  *n_out
 * (may be NULL) is how often it was asked.
 */
int reconnect_request(struct ganger_client *c, const char *method,
    const json_t *params, unsigned *n_out, json_t **result_out,
    struct ganger_error *err_out);

#endif
