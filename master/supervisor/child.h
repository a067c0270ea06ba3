/* SPDX-License-Identifier: ISC */
/*
 * child.h - a child's life: start, hello, death, and what follows from each
 */
#ifndef GANGER_SUPERVISOR_CHILD_H
#define GANGER_SUPERVISOR_CHILD_H

#include <ev.h>
#include <sys/types.h>

#include "master/supervisor/slot.h"

/*
 * Start a process in a slot that has none, if it may have one now.  A failure
 * counts as its death.
 */
void child_start(struct slot *s);

/* The broker passed on the worker's hello, or news of its first task. */
void child_take_hello(struct slot *s);
void child_take_served(struct slot *s);

/* Give a canary's channel to the broker: it is a worker like others. */
void child_admit(struct slot *s);

/* Its process was reaped. */
void child_settle(struct slot *s, pid_t pid, int status);

/* Let the prove timer follow what the restart policy says. */
void child_watch_proving(struct slot *s);

/* A slot's timers and watchers. */
void child_on_boot_timeout(void *arg);
void child_on_grace_over(void *arg);
void child_on_restart(struct ev_loop *loop, struct ev_timer *w, int revents);
void child_on_proved(struct ev_loop *loop, struct ev_timer *w, int revents);
void child_on_trial_hello(struct ev_loop *loop, struct ev_io *w, int revents);

#endif
