/* SPDX-License-Identifier: ISC */
/*
 * settings.h - what the broker is told at its start
 *
 * Everything is borrowed for the broker's life.  Pools and queues are named by
 * their index; limits are in bytes, times in milliseconds.
 */
#ifndef GANGER_BROKER_SETTINGS_H
#define GANGER_BROKER_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A worker keeps the index of a run in the low bits of its request's id. */
#define BROKER_THREADS_MAX 256
/* A set of pools is a bit mask. */
#define BROKER_POOLS_MAX 64

struct broker_queue_ref {
	unsigned queue; /* index into broker_settings.queues */
	unsigned weight;
};

struct broker_pool_settings {
	const char *name;
	unsigned n_processes;
	unsigned threads;
	bool strict; /* order of queues is strict; else weights */
	const struct broker_queue_ref *refs;
	size_t n_refs;
	const char *const *names; /* the tasks that it can run */
	size_t n_names;
	const char *const *commands; /* those of names that are commands */
	size_t n_commands;
	int64_t timeout_ms; /* 0: none */
	uint64_t max_tasks; /* a worker is retired after as many; 0: never */
	uint64_t max_tasks_jitter;
};

struct broker_queue_settings {
	const char *name;
	unsigned priority;
	unsigned retries;
	int64_t timeout_ms;  /* 0: none */
	uint64_t max_queued; /* 0: only the daemon's limit */
};

/* One entry of an access list. */
struct broker_access {
	bool anyone;
	bool is_group;
	uid_t uid; /* unless is_group */
	gid_t gid;
};

enum broker_class { CLASS_SUBMIT, CLASS_OBSERVE, CLASS_ADMIN };
#define BROKER_N_CLASSES 3

/*
 * Memory that the master maps once and every broker shares with it: task ids
 * do not start over when the broker does.
 */
struct broker_shared {
	uint64_t last_id;
};

struct broker_settings {
	const char *socket;
	size_t max_message;
	unsigned max_clients;
	uint64_t max_queued;
	uint64_t max_bytes; /* memory of tasks that have not ended */
	int64_t result_ttl_ms, failed_ttl_ms;
	uint64_t max_finished; /* bytes that ended tasks may hold */
	int64_t started_at;    /* wall time, of the daemon */
	pid_t master_pid;
	struct broker_shared *shared;
	const struct broker_pool_settings *pools;
	size_t n_pools;
	const struct broker_queue_settings *queues;
	size_t n_queues;
	const struct broker_access *access[BROKER_N_CLASSES];
	size_t n_access[BROKER_N_CLASSES];
};

#endif
