/* SPDX-License-Identifier: ISC */
/*
 * handover_client.h - the clients and what they wait for, as records
 */
#ifndef GANGER_BROKER_HANDOVER_CLIENT_H
#define GANGER_BROKER_HANDOVER_CLIENT_H

#include "master/broker/broker.h"
#include "master/broker/conn.h"
#include "master/broker/handover_in.h"
#include "master/broker/handover_out.h"

/* Write the "conn"s with their "batch"es and "call"s, and lone "call"s. */
void handover_client_save(struct broker *b, struct handover_out *o);

/* Where the loading is. */
struct handover_clients {
	struct conn *conn;      /* borrowed; NULL before the first */
	struct batch **batches; /* owned array of those of conn */
	size_t n_batches;
	struct task_store_tree loose; /* ended tasks that calls wait for */
};

void handover_clients_init(struct handover_clients *at);

/* All were loaded: let the last one go on.  Nothing may be missing. */
void handover_clients_done(struct handover_clients *at);

/* Take up such a record; the tasks are there already.  0 or -errno. */
int handover_client_load_conn(struct broker *b, const struct handover_in *in,
    struct handover_clients *at);
int handover_client_load_batch(struct broker *b, const struct handover_in *in,
    struct handover_clients *at);
int handover_client_load_call(struct broker *b, const struct handover_in *in,
    struct handover_clients *at);
int handover_client_load_loose(struct broker *b, const struct handover_in *in,
    struct handover_clients *at);

#endif
