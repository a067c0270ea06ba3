/* SPDX-License-Identifier: ISC */
/*
 * log_sink.h - write to the log's descriptor, and never wait for it
 *
 * What stands behind it may be full or stuck: a pipe that nobody reads, a
 * terminal that was stopped, a full disk.  Then a line is lost, and counted.
 * Not thread-safe.
 */
#ifndef GANGER_IPC_LOG_SINK_H
#define GANGER_IPC_LOG_SINK_H

#include <stdbool.h>
#include <stddef.h>

/* How a descriptor is written to without waiting. */
enum log_way {
	LOG_WRITE, /* as it is: a file, or it does not block */
	LOG_POLL,  /* only when poll says that there is room */
	LOG_SEND   /* a socket */
};

struct log_sink {
	int fd; /* owned unless it is 2 */
	enum log_way way;
	bool torn;            /* the last line was written in part */
	unsigned long n_lost; /* lines, not told yet */
	int why;              /* errno of the last one that was lost */
};

/*
 * A descriptor of our own, from 3 on, for what standard error leads to.  It
 * does not block where that is possible without a change to what is shared
 * with others.  Or -errno.
 */
int log_sink_stderr(void);

/*
 * Write to fd, which is taken, from now on: under the number of the old one
 * unless that is 2.  For its own descriptor only the way is looked at anew.
 * 0 or -errno, nothing is changed then.
 */
int log_sink_use(struct log_sink *s, int fd);

/*
 * Write a line of at most LOG_LINE_MAX bytes.  True if it went through; else it
 * is counted, unless the reader has gone for good.
 */
bool log_sink_put(struct log_sink *s, const char *line, size_t len);

/* Why lines were lost, for a message. */
const char *log_sink_why(const struct log_sink *s);

#endif
