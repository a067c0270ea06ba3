/* SPDX-License-Identifier: ISC */
/*
 * ctl.h - orders between the master and the broker
 *
 * A SOCK_SEQPACKET pair; a message is one JSON object {"do": NAME, ...} of at
 * most CTL_MAX bytes and may carry a descriptor.  Sending never blocks: what
 * does not fit waits in memory, in order.
 *
 * master → broker
 *   worker.add     pool, slot, pid, again (in the place of one that has ended
 *                  or is to), and the broker's end of its channel
 *   worker.gone    pid, status (text), signal; task and run, if it is known
 *                  which one ended it; cut: the master did, for no fault of
 *                  any task's
 *   worker.retire  pid: give it no more tasks, then the pill
 *   settings       and a memfd with new settings as JSON: apply them
 *   upgrade        and the new binary: exec it, keep everything
 *   answer         id, and result (an object) or error {code, message, data}
 *   listener       the listening socket: serve
 *   stop           mode "graceful" | "abort" (workers are being aborted) |
 *                  "quick"
 *   pool.state     pool, state "up" | "flapping" | "drained", processes
 *                  (wanted)
 *   log.reopen     and the log file, opened anew
 * broker → master
 *   ready          the broker has set itself up; resumed: by an upgrade, it
 *                  still has its workers, its clients and the listener
 *   store.failed   status: the store can't be opened, and this would be the
 *                  exit status; why is in the log
 *   settings.applied  ok, or why not (nothing was changed then)
 *   upgrade.failed why; everything is as it was
 *   ask            id, what ("reload", "upgrade", "scale", "restart", "dump"),
 *                  args: answered by `answer`
 *   pool.load      pool, ready, oldest_ms, busy, threads
 *   worker.hello   pid: the worker can take tasks
 *   worker.served  pid: it has finished its first task
 *   worker.recycle pid, why: start a successor, then retire it
 *   worker.kill    pid, why, at_fault (else it is no death of the worker's)
 *   stop           mode, as a client asked
 *   drained        every worker has had its pill
 */
#ifndef GANGER_IPC_CTL_H
#define GANGER_IPC_CTL_H

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>
#include <sys/queue.h>

#define CTL_MAX (64 * 1024)

struct ctl_item;
STAILQ_HEAD(ctl_items, ctl_item);

struct ctl_ops {
	/* msg is borrowed; fd, or -1, is the callee's. */
	void (*on_msg)(void *arg, const char *name, json_t *msg, int fd);
	/* The other side is gone.  The callee may call ctl_done. */
	void (*on_gone)(void *arg);
};

struct ctl {
	struct ev_loop *loop; /* borrowed */
	const struct ctl_ops *ops;
	void *arg;
	int fd; /* owned; -1 when closed */
	struct ev_io rd, wr;
	struct ev_timer pause; /* runs: the next message needs a descriptor */
	bool told_full;        /* that there is none was logged */
	struct ctl_items waiting; /* not sent yet, oldest first */
};

/* Watch fd, which c owns from here on. */
void ctl_init(struct ctl *c, struct ev_loop *loop, int fd,
    const struct ctl_ops *ops, void *arg);

/* Take what the other side, which is gone, has left to be read. */
void ctl_catch_up(struct ctl *c);

/* Close the descriptor and drop what waits.  Safe to repeat. */
void ctl_done(struct ctl *c);

/* True when nothing waits to be sent. */
bool ctl_is_flushed(const struct ctl *c);

/*
 * Send {"do": name, ...}; fmt and what follows are json_pack's for the other
 * members ("{s:s}", …), or fmt is NULL.  fd is borrowed (a duplicate goes), -1
 * for none.  -ENOMEM, -EMSGSIZE, or -EPIPE when closed; nothing is sent then.
 */
int ctl_send(struct ctl *c, int fd, const char *name, const char *fmt, ...);

#endif
