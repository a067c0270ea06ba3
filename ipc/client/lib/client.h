/* SPDX-License-Identifier: ISC */
/*
 * client.h - what a client is made of, for the other files of the library
 */
#ifndef GANGER_CLIENT_LIB_CLIENT_H
#define GANGER_CLIENT_LIB_CLIENT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "ipc/client/client.h"
#include "ipc/client/lib/backoff.h"
#include "ipc/client/lib/conn.h"
#include "ipc/client/lib/idset.h"

struct kept;

struct ganger_client {
	struct conn conn;
	char *path;             /* owned; of the daemon's socket */
	struct backoff backoff; /* for when the connection is lost */
	size_t max_message;     /* 0: no limit */
	uint64_t last_id;
	struct idset open;        /* ids that an answer may still come for */
	STAILQ_HEAD(, kept) kept; /* answers that nobody has taken yet */
	struct kept *lent; /* owned; what the text handed out last stands in */
};

/* ganger_client_request on the connection as it is; borrows params. */
int client_ask(struct ganger_client *c, const char *method,
    const json_t *params, json_t **result_out, struct ganger_error *err_out);

#endif
