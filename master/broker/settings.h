/* SPDX-License-Identifier: ISC */
/*
 * settings.h - what the broker is told to be
 *
 * Read from JSON, at the start as at a reload.  Immutable once loaded, and
 * counted by reference: a pool that leaves keeps the settings that it was in.
 * Pools and queues are named by their index; limits are in bytes, times in
 * milliseconds.
 */
#ifndef GANGER_BROKER_SETTINGS_H
#define GANGER_BROKER_SETTINGS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ipc/log.h"

/* A worker keeps the index of a run in the low bits of its request's id. */
#define BROKER_THREADS_MAX 256
#define BROKER_POOLS_MAX   64

#define SETTINGS_WHY_SIZE 256

struct broker_queue_ref {
	unsigned queue; /* index into broker_settings.queues */
	unsigned weight;
};

struct broker_pool_settings {
	const char *name;
	unsigned n_processes;
	unsigned threads;
	bool strict; /* order of queues is strict; else weights */
	bool scales; /* the master follows its load */
	struct broker_queue_ref *refs;
	size_t n_refs;
	const char **names; /* the tasks that it can run */
	size_t n_names;
	const char **commands; /* those of names that are commands */
	size_t n_commands;
	int64_t timeout_ms, soft_timeout_ms; /* 0: none */
	uint64_t max_tasks; /* a worker is replaced after as many; 0: never */
	uint64_t max_tasks_jitter;
};

struct broker_queue_settings {
	const char *name;
	unsigned priority;
	unsigned retries;
	int64_t timeout_ms, soft_timeout_ms; /* 0: none */
	uint64_t max_queued;                 /* 0: only the daemon's limit */
	bool durable;         /* what a submit that does not say gets */
	uint64_t max_running; /* of its tasks at once; 0: no limit */
	/* Of its tasks may start so many ... */
	uint64_t rate_count; /* 0: no limit */
	int64_t rate_ms;     /* ... in so long; at least 1 */
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
	uint64_t max_finished;  /* bytes that ended volatile tasks may hold */
	const char *store_path; /* of the database; NULL: all is volatile */
	bool full_sync;         /* each commit is on the disk when it is told */
	/* A task that waits gains a priority in so long; 0: it does not. */
	int64_t priority_age_ms;
	uint64_t max_store;      /* bytes of the database; 0: no limit */
	uint64_t min_free;       /* bytes that its disk has to have free */
	bool hold_when_full;     /* a submit waits for room; else is refused */
	int64_t cancel_grace_ms; /* what siblings of a killed task are given */
	bool drain_all;          /* a stop lets what is ready be run too */
	int64_t started_at;      /* wall time, of the daemon */
	pid_t master_pid;
	enum log_level log_level;
	enum log_format log_format;
	struct broker_pool_settings *pools;
	size_t n_pools;
	struct broker_queue_settings *queues;
	size_t n_queues;
	struct broker_access *access[BROKER_N_CLASSES];
	size_t n_access[BROKER_N_CLASSES];
	/* Not from the JSON: set by whoever loaded it. */
	struct broker_shared *shared; /* borrowed; the memory of shared_fd */
	int shared_fd;                /* borrowed */
	json_t *root;                 /* owned; the strings above are in it */
	unsigned refs;
};

/*
 * Read settings from len bytes of JSON.  What is not there has its default.
 * The caller owns the reference *out.  -EINVAL, and why says what is wrong;
 * -ENOMEM.
 */
int settings_load(const char *text, size_t len, struct broker_settings **out,
    char why[SETTINGS_WHY_SIZE]);

struct broker_settings *settings_ref(struct broker_settings *s);

/* Drop a reference; NULL-safe. */
void settings_unref(struct broker_settings *s);

#endif
