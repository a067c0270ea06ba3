/* SPDX-License-Identifier: ISC */
/*
 * settings.h - what a worker is told to be
 *
 * Filled by the master from the configuration before it forks.  A worker
 * borrows everything for its whole life.
 */
#ifndef GANGER_WORKER_SETTINGS_H
#define GANGER_WORKER_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct page;

/* A task that is a program to run. */
struct worker_command {
	const char *name;
	char *const *argv;  /* NULL-terminated, with its {args.x} places */
	int64_t timeout_ms; /* 0: none */
};

struct worker_settings {
	const char *label; /* "default/1" */
	int fd;            /* the channel, non-blocking; taken over */
	unsigned threads;  /* at least 1 */
	size_t max_message;
	const char *const *modules; /* paths of shared objects */
	size_t n_modules;
	const struct worker_command *commands;
	size_t n_commands;
	bool debug_handlers;
	struct page *page; /* shared with the master; NULL: none */
};

#endif
