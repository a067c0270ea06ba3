/* SPDX-License-Identifier: ISC */
/*
 * submit.h - make a task of what a client asks for
 */
#ifndef GANGER_BROKER_SUBMIT_H
#define GANGER_BROKER_SUBMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "master/broker/broker.h"
#include "master/broker/params.h"

/*
 * The parameters of a task, and behind them that of task.call alone.
 */
#define SUBMIT_N_PARAMS 18
extern const struct param_def submit_params[SUBMIT_N_PARAMS + 1];

/* What a look-up told of a task that may be the same; id 0: there is none. */
struct submit_found {
	uint64_t id;
	int state; /* enum task_state; -1: its row is gone */
};

/* A task on its way in. */
struct submission {
	struct task *task; /* a reference; it has entered, or not yet */
	int64_t delay_ms;
	struct submit_found by_key, by_unique;
	/* The one that it doubles, so that it does not enter.  0: none. */
	uint64_t twin_id;
	int twin_state;
	struct task *twin; /* a reference, if the broker knew it; or NULL */
	bool refused;      /* does not enter, as one of many ... */
	char *refusal;     /* ... for this: owned JSON; NULL: out of memory */
};

/*
 * Make a task of values v, read by submit_params; is_call: of task.call, which
 * is volatile if nobody says otherwise.  The caller owns *out (submit_done).
 * -1, and *f says why (fault_done it).
 */
int submit_make(struct broker *b, const struct param *v, bool is_call,
    struct submission *out, struct fault *f);
void submit_done(struct submission *s);

/* Forget what look-ups told. */
void submit_forget(struct submission *s);

/*
 * Let s enter, once gate_look has told what is to be known of it; or find that
 * it doubles another one.  -1, and *f says why (fault_done it): draining, full,
 * no such name or queue any more, a store that fails, out of memory.
 */
int submit_enter(struct broker *b, struct submission *s, struct fault *f);

/* Is there room for t?  -1, and *f says that there is not. */
int submit_check_room(struct broker *b, const struct task *t, struct fault *f);

/* Say that the store did not keep a task, for -errno.  -1. */
int submit_refuse_unkept(const struct broker *b, int err, struct fault *f);

/*
 * Append {"id", "state", "duplicate"} of s, which has entered or has a twin,
 * and "warning" where it can't start.
 */
void submit_add_answer(
    struct broker *b, const struct submission *s, struct buf *out);

/* Say that there is no such queue or task name, and which there are.  -1. */
int submit_no_queue(const struct broker *b, const char *name, struct fault *f);
int submit_no_name(const struct broker *b, const char *name, struct fault *f);

#endif
