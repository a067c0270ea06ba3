/* SPDX-License-Identifier: ISC */
/*
 * spawn.h - fork a child and make it independent of the master
 */
#ifndef GANGER_SUPERVISOR_SPAWN_H
#define GANGER_SUPERVISOR_SPAWN_H

#include <sys/types.h>

#include "master/supervisor/config.h"

struct spawn {
	const char *title; /* of the process, and its name in the log */
	int keep_fd;      /* its channel: all else but 0-2 and the log closes */
	int shared_fd;    /* and this one, which it inherits; 0: none */
	int out_fd;       /* becomes its standard output and error; 0: none */
	int death_signal; /* sent to it when the master dies */
	/* Whose limits it gets; NULL: the broker's. */
	const struct config_pool *pool;
	/* Who it becomes, when the master is root; may be NULL. */
	const struct config_account *account;
	int (*run)(void *arg); /* its life; returns the exit status */
	void *arg;
};

/*
 * Let this process become that account, which may be NULL; only root can, for
 * others nothing changes.  0 or -errno.
 */
int spawn_take_account(const struct config_account *a);

/*
 * Fork.  The child has a process group of its own and all signals blocked as
 * the master has them.  Returns its pid, or -errno.
 */
pid_t spawn_child(const struct spawn *s);

#endif
