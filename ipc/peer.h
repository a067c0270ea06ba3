/* SPDX-License-Identifier: ISC */
/*
 * peer.h - the other end of a stream socket that speaks lines
 *
 * A peer_group belongs to one event loop.  What is written to its peers during
 * one turn of the loop is sent in one system call each, at the end of the turn.
 * Not thread-safe: only the loop's thread calls these.
 *
 * A peer is embedded in its owner.  However its connection ends, on_gone is
 * called once, at the end of a turn, when nothing is on the stack that may
 * still use it: the owner frees itself there.
 */
#ifndef GANGER_IPC_PEER_H
#define GANGER_IPC_PEER_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "ipc/buf.h"
#include "ipc/line.h"

struct peer;
TAILQ_HEAD(peer_list, peer);

struct peer_group {
	struct ev_loop *loop; /* borrowed */
	struct ev_prepare prepare;
	struct peer_list dirty;     /* have output that was not tried yet */
	struct peer_list gone;      /* closed, on_gone is due */
	struct peer_list resumed;   /* hold frames from before a pause */
	struct peer_list deaf;      /* not read now: paused, or at their end */
	struct ev_timer look;       /* at the deaf, while there are any */
	char *scratch;              /* owned; one read lands here */
	void (*on_turn)(void *arg); /* before the output is sent; may be NULL */
	void *arg;
};

struct peer_ops {
	/* At end of file, take what no newline ended as a last frame. */
	bool take_tail;
	/* A frame; it may be written to, and is valid during the call. */
	void (*on_line)(struct peer *p, char *line, size_t len);
	/* A frame over the limit was skipped. */
	void (*on_too_long)(struct peer *p);
	/*
	 * No more input will come; output still may go.  NULL: close.  Not
	 * called when nobody is there to read any more: that closes.
	 */
	void (*on_eof)(struct peer *p);
	/* All output was handed to the kernel.  May be NULL. */
	void (*on_sent)(struct peer *p);
	/* Closed; reason is static text, NULL for an orderly close. */
	void (*on_gone)(struct peer *p, const char *reason);
};

struct peer {
	struct peer_group *group; /* borrowed */
	const struct peer_ops *ops;
	int fd; /* owned; -1 once closed */
	struct ev_io rd, wr;
	struct line_reader *in; /* owned */
	struct buf out;         /* append here, then call peer_send */
	const char *reason;
	bool paused; /* no reading until peer_resume */
	bool eof;
	bool reset;    /* the other end closed and left something unread */
	bool listed;   /* on group->dirty */
	bool draining; /* inside peer_drain: closing is left to the caller */
	bool resuming; /* on group->resumed */
	bool deaf;     /* on group->deaf */
	bool hung_up;  /* while paused, at the last look */
	TAILQ_ENTRY(peer) entry; /* of dirty, or gone */
	TAILQ_ENTRY(peer) resumed_entry, deaf_entry;
};

/*
 * Set up a group on loop.  on_turn(arg) runs at the end of each turn, before
 * output is sent.  -ENOMEM.
 */
int peer_group_init(struct peer_group *g, struct ev_loop *loop,
    void (*on_turn)(void *), void *arg);

/* Release the group; every peer is gone already. */
void peer_group_done(struct peer_group *g);

/*
 * Watch fd, a non-blocking stream socket, which p owns from here on (on error
 * the caller keeps it).  Frames over max_line bytes are skipped; a peer that
 * lets more than max_out bytes wait is closed.  -ENOMEM.
 */
int peer_init(struct peer *p, struct peer_group *g, int fd, size_t max_line,
    size_t max_out, const struct peer_ops *ops);

/* What a peer holds besides its descriptor. */
struct peer_state {
	const char *in, *out; /* bytes not handed out, and not sent */
	size_t in_len, out_len;
	bool skipping; /* a frame over the limit is being read */
	bool paused, eof, reset;
};

/*
 * Look at an open peer, at the end of a turn, so that another process can go on
 * with its descriptor; in and out are lent until the next call that takes p.
 */
void peer_save(const struct peer *p, struct peer_state *out);

/*
 * Let p, which peer_init has just made, go on from there; everything is copied.
 * -ENOMEM: close it.
 */
int peer_restore(struct peer *p, const struct peer_state *s);

/* True when nothing of this turn is left to do: no output untried, none gone.
 */
bool peer_group_at_rest(const struct peer_group *g);

/* Send what was added to p->out, at the end of this turn. */
void peer_send(struct peer *p);

/* Stop and resume taking frames: nothing more is read meanwhile. */
void peer_pause(struct peer *p);
void peer_resume(struct peer *p);

/* Read what has arrived, to the end, though paused.  Frames go to on_line. */
void peer_drain(struct peer *p);

/* Close now; on_gone follows.  Does nothing the second time. */
void peer_close(struct peer *p, const char *reason);

static inline bool
peer_is_open(const struct peer *p)
{
	return p->fd >= 0;
}

#endif
