/* SPDX-License-Identifier: ISC */
/*
 * notify.h - tell the service manager how it goes (the protocol of sd_notify)
 *
 * Without a $NOTIFY_SOCKET nothing is done.  Nothing waits: what the manager
 * does not take at once is kept, and sent when it does.
 */
#ifndef GANGER_SUPERVISOR_NOTIFY_H
#define GANGER_SUPERVISOR_NOTIFY_H

#include <ev.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "ipc/buf.h"

struct notify {
	struct ev_loop *loop; /* borrowed */
	int fd;               /* owned; -1: nobody is told */
	struct sockaddr_un address;
	socklen_t address_len;
	struct ev_io writable;
	struct buf waiting; /* messages not sent yet, each with its NUL */
	int64_t watchdog_ms;
};

/*
 * Look for a manager in the environment, which is left as it is: the image
 * after an exec finds it there again.  0, also when there is none; or -errno,
 * and nobody is told then.
 */
int notify_open(struct notify *n, struct ev_loop *loop);
void notify_close(struct notify *n);

/* In a child: what is said to the manager is the master's alone. */
void notify_clean_env(void);

/* The start, or a reload, is over. */
void notify_ready(struct notify *n);
void notify_reloading(struct notify *n);

/* A stop begins, which may take grace_ms; 0: as long as the unit says. */
void notify_stopping(struct notify *n, int64_t grace_ms);

/* One line for whoever looks. */
void notify_status(struct notify *n, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * How long the manager waits for a notify_ping before it takes the daemon for
 * stuck; ping at least twice as often.  0: it does not watch.
 */
int64_t notify_watchdog_ms(const struct notify *n);
void notify_ping(struct notify *n);

#endif
