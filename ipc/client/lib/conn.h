/* SPDX-License-Identifier: ISC */
/*
 * conn.h - a client's end of the socket: lines in, bytes out
 *
 * Blocks in poll only, and takes in what comes while it sends: a daemon that
 * waits for its answers to be read is never waited for in turn.  A failure of
 * the connection is sticky; lines that came before it are still handed out.
 */
#ifndef GANGER_CLIENT_CONN_H
#define GANGER_CLIENT_CONN_H

#include <stdbool.h>
#include <stddef.h>

#include "ipc/buf.h"
#include "ipc/clock.h"
#include "ipc/line.h"

/* An instant that never comes. */
#define CONN_NEVER ((struct mono){INT64_MAX})

struct conn {
	int fd;        /* owned; -1 when closed */
	int wake_fd;   /* borrowed; -1: none */
	int error;     /* 0, or why nothing more will come */
	int out_error; /* 0, or why nothing more can go */
	bool dead;     /* lines that came are not handed out either */
	struct line_reader *in;
	struct buf out; /* add to it, then conn_flush */
	char *scratch;  /* owned; one read lands here */
};

/* Connect to the socket at path.  0 or -errno. */
int conn_open(struct conn *c, const char *path);
void conn_close(struct conn *c);

/*
 * Connect anew, without waiting for room in the backlog (-EAGAIN): what was
 * queued, and what came and was not handed out, is dropped.  On failure c is as
 * before.
 */
int conn_reopen(struct conn *c, const char *path);

/* 0 while the daemon has the connection open, else why it is lost. */
int conn_probe(const struct conn *c);

/*
 * Send c->out until it is empty, `due` has come (-ETIMEDOUT), the wake
 * descriptor is readable (-EINTR), or the connection fails.  A `due` that is
 * over already sends what goes at once.
 */
int conn_flush(struct conn *c, struct mono due);

/*
 * Send what is queued, and lend the next line, valid until the next call.  The
 * same failures, and -EMSGSIZE or -ENOMEM for a line that can't be held, for
 * which the connection is given up.
 */
int conn_next(struct conn *c, struct mono due, char **line, size_t *len);

/* Give the connection up for `error`, and return it. */
int conn_kill(struct conn *c, int error);

#endif
