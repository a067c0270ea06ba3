/* SPDX-License-Identifier: ISC */
/*
 * handover_load.h - a broker from the records of the one before it
 */
#ifndef GANGER_BROKER_HANDOVER_LOAD_H
#define GANGER_BROKER_HANDOVER_LOAD_H

#include <sys/types.h>

#include "master/broker/handover_in.h"
#include "master/broker/settings.h"

struct broker;

/* What a process needs to know before it can be the broker. */
struct handover_head {
	int ctl_fd, listener_fd, shared_fd; /* -1: none */
	pid_t master_pid;
	unsigned max_clients;
};

/*
 * Read the head, and log from here on as it says.  -EINVAL: it is no such
 * state.  -EPROTO: one of another version.
 */
int handover_load_head(struct handover_in *in, struct handover_head *out);

/*
 * Read all that follows into b, which is set up and empty.  `shared` is the
 * memory of head->shared_fd.  0 or -errno, b is then fit for nothing.
 */
int handover_load(struct broker *b, struct handover_in *in,
    const struct handover_head *head, struct broker_shared *shared);

#endif
