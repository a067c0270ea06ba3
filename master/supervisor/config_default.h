/* SPDX-License-Identifier: ISC */
/*
 * config_default.h - defaults that depend on the machine
 */
#ifndef GANGER_SUPERVISOR_CONFIG_DEFAULT_H
#define GANGER_SUPERVISOR_CONFIG_DEFAULT_H

#include <sched.h>
#include <sys/resource.h>

#include "master/supervisor/config.h"

/* The processors that this process may run on, at least 1. */
unsigned config_default_processes(void);

/* The processors that this process may run on.  -errno: nobody knows. */
int config_default_cpus(cpu_set_t *out);

/* The hard limit that this process has.  0 or -errno. */
int config_default_rlimit(enum config_rlimit_kind kind, rlim_t *hard_out);

#endif
