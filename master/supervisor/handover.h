/* SPDX-License-Identifier: ISC */
/*
 * handover.h - what the master has, for the binary that takes its place
 *
 * Children and descriptors stay those of the process; this is what is known of
 * them, as JSON: the next version may know more or less than this one.
 */
#ifndef GANGER_SUPERVISOR_HANDOVER_H
#define GANGER_SUPERVISOR_HANDOVER_H

#include <jansson.h>
#include <stdbool.h>

struct supervisor;

#define HANDOVER_VERSION 1

/* A new object; NULL: out of memory. */
json_t *handover_write(struct supervisor *sv);

/* Let all descriptors that it names stay open over an exec, or not. */
void handover_keep_fds(struct supervisor *sv, bool keep);

/* Let one descriptor stay open over an exec, or not; -1 is none. */
void handover_keep_fd(int fd, bool keep);

/*
 * Take on what it says: children, pools, listener and the broker's channel.
 * sv is set up, its pools are empty, its configuration is the one that was in
 * use.  -EPROTO: it is not understood, -ENOMEM.
 */
int handover_read(struct supervisor *sv, json_t *state);

#endif
