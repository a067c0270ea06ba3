/* SPDX-License-Identifier: ISC */
/*
 * config.h - the daemon's configuration, read and checked
 *
 * A struct config is a tree that is not changed once it is loaded; every
 * pointer in it is owned by it, and users and groups are resolved to numbers.
 * ganger.conf(5) describes the keys.  Nothing here logs or prints: mistakes are
 * handed to the caller as text.
 */
#ifndef GANGER_SUPERVISOR_CONFIG_H
#define GANGER_SUPERVISOR_CONFIG_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "ipc/buf.h"
#include "ipc/log.h"

#define CONFIG_POOLS_MAX  64
#define CONFIG_QUEUES_MAX 1024

/* An id that is not set. */
#define CONFIG_NO_UID ((uid_t)-1)
#define CONFIG_NO_GID ((gid_t)-1)

/* A umask that is not set: the process keeps the master's. */
#define CONFIG_NO_UMASK ((mode_t)-1)

enum config_drain { CONFIG_DRAIN_RUNNING, CONFIG_DRAIN_ALL };
enum config_sync { CONFIG_SYNC_FULL, CONFIG_SYNC_NORMAL };
enum config_full { CONFIG_FULL_REFUSE, CONFIG_FULL_HOLD };
enum config_order { CONFIG_ORDER_WEIGHTS, CONFIG_ORDER_STRICT };

/* The classes of methods, as in rpc.discover. */
enum config_class {
	CONFIG_SUBMIT,
	CONFIG_OBSERVE,
	CONFIG_ADMIN,
	CONFIG_N_CLASSES
};

enum config_who_kind { CONFIG_WHO_ALL, CONFIG_WHO_USER, CONFIG_WHO_GROUP };

/* One entry of an access list. */
struct config_who {
	enum config_who_kind kind;
	uid_t uid;  /* of a user */
	gid_t gid;  /* of a group */
	char *text; /* as it was written: "*", "name", "1000", "@group" */
};

struct config_access {
	struct config_who *list;
	size_t n;
};

/* An account that a process takes on. */
struct config_account {
	char *user;  /* NULL: the process keeps its user */
	char *group; /* NULL: the user's own group */
	uid_t uid;   /* CONFIG_NO_UID when user is NULL */
	gid_t gid;   /* CONFIG_NO_GID when both are NULL */
};

struct config_command {
	char *name;
	char **argv; /* ended by NULL; at least one, argv[0] not empty */
	size_t n_argv;
	int64_t timeout_ms; /* 0: the pool's */
};

/* A queue as a pool takes it. */
struct config_take {
	unsigned queue;  /* index into config.queues */
	unsigned weight; /* 1 to 1000 */
};

/* The resource limits that a pool can set. */
enum config_rlimit_kind {
	CONFIG_RLIMIT_AS,
	CONFIG_RLIMIT_CORE,
	CONFIG_RLIMIT_CPU,
	CONFIG_RLIMIT_DATA,
	CONFIG_RLIMIT_FSIZE,
	CONFIG_RLIMIT_MEMLOCK,
	CONFIG_RLIMIT_NOFILE,
	CONFIG_RLIMIT_NPROC,
	CONFIG_RLIMIT_STACK,
	CONFIG_N_RLIMITS
};

/* Soft and hard limit alike. */
struct config_rlimit {
	bool set;     /* false: the process keeps the master's */
	rlim_t value; /* of set: bytes, a count, seconds; or RLIM_INFINITY */
};

/* The processors that a process may run on. */
struct config_cpus {
	cpu_set_t set;
	unsigned n; /* in the set; 0: as the master */
};

struct config_pool {
	char *name;
	unsigned processes; /* at least 1; "auto" is counted already */
	bool processes_auto;
	/* Both 0: always `processes`.  Else 1 <= min <= processes <= max, and
	 * that many are kept as the load asks for. */
	unsigned min_processes, max_processes;
	int64_t idle_timeout_ms;  /* without need of a process: one fewer */
	unsigned threads;         /* of each process; at least 1 */
	struct config_take *take; /* in file order, which is that of strict */
	size_t n_take;            /* at least 1 */
	enum config_order order;
	char **modules; /* absolute paths, ended by NULL */
	size_t n_modules;
	struct config_command *commands;
	size_t n_commands;
	char *chdir; /* NULL: stay */
	char **env;  /* "K=V", ended by NULL */
	size_t n_env;
	int nice;
	/* With no user of its own, that of the whole daemon. */
	struct config_account account;
	int64_t boot_timeout_ms;      /* from fork to hello; 0: none */
	int64_t heartbeat_timeout_ms; /* of a main loop that works; 0: none */
	int64_t timeout_ms;           /* of a task that names none; 0: none */
	int64_t soft_timeout_ms;      /* likewise; at most timeout_ms if set */
	uint64_t max_tasks; /* a worker retires after so many; 0: never */
	uint64_t max_tasks_jitter; /* and up to so many more */
	uint64_t
	    max_memory; /* resident bytes; over them it retires; 0: never */
	mode_t umask;   /* CONFIG_NO_UMASK: the master's */
	struct config_cpus cpus;
	bool no_new_privs;
	struct config_rlimit rlimits[CONFIG_N_RLIMITS];
};

/* So many in so long. */
struct config_rate {
	uint64_t count; /* 0: no limit */
	int64_t per_ms; /* a second, a minute or an hour */
};

struct config_queue {
	char *name;
	unsigned priority;       /* 0 to 9, of a task that names none */
	unsigned retries;        /* of a task that names none */
	int64_t timeout_ms;      /* of a task that names none; 0: the pool's */
	int64_t soft_timeout_ms; /* likewise; at most timeout_ms if set */
	uint64_t max_queued;     /* 0: only the limit of all queues */
	bool durable;            /* of a task that does not say */
	uint64_t max_running;    /* of its tasks at once; 0: no limit */
	struct config_rate rate; /* of its tasks' starts */
};

struct config {
	char *path;  /* the file that was read; NULL: none */
	bool lookup; /* names of accounts are looked up while it is loaded */
	char *socket;
	mode_t socket_mode;
	char *socket_group; /* NULL: as the process's group makes it */
	gid_t socket_gid;
	char *state_dir;
	char *pidfile;
	enum log_level log_level;
	enum log_format log_format;
	char *log_file; /* "-": standard error */
	int64_t graceful_timeout_ms;
	/* A worker that a reload replaces has so long for its tasks; 0: as long
	 * as they take. */
	int64_t reload_timeout_ms;
	enum config_drain drain;
	enum config_sync sync;
	int64_t cancel_grace_ms; /* for who shares a process to be killed */
	int64_t priority_age_ms; /* a wait that is worth a priority; 0: none */
	uint64_t max_message;    /* bytes of a line */
	unsigned max_clients;
	uint64_t max_queued;
	uint64_t max_bytes; /* memory of tasks that have not ended */
	uint64_t max_store; /* bytes of the database; 0: no limit */
	uint64_t min_free;  /* bytes that stay free on its disk; 0: none */
	enum config_full when_full;
	int64_t result_ttl_ms;
	int64_t failed_ttl_ms;
	uint64_t max_finished; /* bytes that finished volatile ones may hold */
	bool debug_handlers;
	struct config_access access[CONFIG_N_CLASSES];
	/* Of the broker and of workers; only root's daemon can take it on. */
	struct config_account account;
	struct config_pool *pools; /* in file order */
	size_t n_pools;            /* 1 to CONFIG_POOLS_MAX */
	/* In file order, then those that only a pool names. */
	struct config_queue *queues;
	size_t n_queues; /* 1 to CONFIG_QUEUES_MAX */
};

/*
 * Read the file at path (NULL: none, all keys have their defaults), lay the
 * overrides ("KEY=VALUE", top-level keys that are no sections) over it, and
 * check all of it.  The caller owns *out; release it with config_free.
 *
 * What is wrong is added to mistakes_out, a line each, "FILE:LINE: message" or
 * "-p KEY=VALUE: message"; it says nothing on success.  Mistakes in values are
 * told all at once, after a mistake of syntax nothing more is.
 *
 * -EINVAL: there are mistakes.  -ENOMEM; but libConfuse's lexer ends the
 * process when it gets no memory.  Else the -errno of a file that can't be
 * read, which mistakes_out names.
 */
int config_load(const char *path, const char *const *overrides,
    size_t n_overrides, struct config **out, struct buf *mistakes_out);

/* A configuration as text, which may have been made by another process. */
struct config_text {
	const char *path; /* becomes that of the configuration; may be NULL */
	const char *text; /* of config_print */
	size_t len;
	const char *ids; /* of config_ids_print; NULL: look the names up */
};

/*
 * The same from text: loading it gives a configuration equal to the one that
 * was printed.  With ids, nothing is asked of the system's account databases,
 * which may take their time.  -EINVAL as above, and when the ids are not those
 * of the text.
 */
int config_load_text(const struct config_text *text, struct config **out,
    struct buf *mistakes_out);

/* Free *cp and set it to NULL.  *cp may be NULL. */
void config_free(struct config **cp);

/* Lend the pool or queue of that name, or NULL. */
const struct config_pool *config_find_pool(
    const struct config *c, const char *name);
const struct config_queue *config_find_queue(
    const struct config *c, const char *name);

/* True when the number of the pool's processes follows the load. */
bool config_pool_scales(const struct config_pool *pool);

/*
 * The account of a pool's workers, or with NULL of the broker: the pool's own
 * where it has one, else the daemon's.  A uid or gid that is not set means to
 * stay.  The strings are borrowed from c.
 */
struct config_account config_account_of(
    const struct config *c, const struct config_pool *pool);

#endif
