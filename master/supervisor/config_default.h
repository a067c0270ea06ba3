/* SPDX-License-Identifier: ISC */
/*
 * config_default.h - defaults that depend on the machine
 */
#ifndef GANGER_SUPERVISOR_CONFIG_DEFAULT_H
#define GANGER_SUPERVISOR_CONFIG_DEFAULT_H

/* The processors that this process may run on, at least 1. */
unsigned config_default_processes(void);

#endif
