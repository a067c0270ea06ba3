/* SPDX-License-Identifier: ISC */
/*
 * config_key.c - the keys of each section, as tables
 */
#include "master/supervisor/config_key.h"

#include <string.h>

#include "ipc/proto.h"
#include "master/supervisor/config.h"

#define DAY_MS       INT64_C(86400000)
#define DURATION_MAX (3650 * DAY_MS)
#define COUNT_MAX    INT64_C(1000000000000)
#define KIB          INT64_C(1024)
#define MIB          (KIB * KIB)

#define PROCESSES_MAX 1024
#define RATE_MAX      1000000
#define BYTES_MAX     (KIB * MIB * MIB)

/* A row with the field of struct s; further members follow. */
#define ROW(s, key, kind, field, ...) \
	{ \
		.name = key, .type = kind, \
		.offset = offsetof(struct s, field), __VA_ARGS__ \
	}

/* A row of struct config_pool's rlimits. */
#define RLIMIT_ROW(key, kind, which, least, most) \
	ROW(config_pool, key, kind, rlimits[CONFIG_RLIMIT_##which], \
	    .fallback = "", .min = (least), .max = (most), .in_worker = true)

static const char *const log_levels[] = {
    "error", "warn", "info", "debug", NULL};
static const char *const log_formats[] = {"text", "json", NULL};
static const char *const drains[] = {"running", "all", NULL};
static const char *const syncs[] = {"full", "normal", NULL};
static const char *const fulls[] = {"refuse", "hold", NULL};
static const char *const orders[] = {"weights", "strict", NULL};

static const char *
check_path(const char *text)
{
	return *text == '/' ? NULL : "is not an absolute path";
}

static const char *
check_path_or_none(const char *text)
{
	return *text == '\0' ? NULL : check_path(text);
}

static const char *
check_log_file(const char *text)
{
	if (strcmp(text, "-") == 0 || *text == '/')
		return NULL;
	return "is neither an absolute path nor \"-\"";
}

static const char *
check_env(const char *text)
{
	const char *equals;

	equals = strchr(text, '=');
	return equals == NULL || equals == text ? "is not NAME=VALUE" : NULL;
}

const struct config_key config_keys_top[] = {
    ROW(config, "socket", KEY_TEXT, socket, .check = check_path,
	.needs_restart = true),
    ROW(config, "socket_mode", KEY_MODE, socket_mode, .fallback = "0660",
	.needs_restart = true),
    ROW(config, "socket_group", KEY_TEXT, socket_group, .fallback = "",
	.needs_restart = true),
    ROW(config, "state_dir", KEY_TEXT, state_dir, .check = check_path,
	.needs_restart = true),
    ROW(config, "pidfile", KEY_TEXT, pidfile, .check = check_path,
	.needs_restart = true),
    ROW(config, "user", KEY_TEXT, account.user, .fallback = "",
	.needs_restart = true),
    ROW(config, "log_level", KEY_CHOICE, log_level, .fallback = "info",
	.choices = log_levels, .in_worker = true),
    ROW(config, "log_file", KEY_TEXT, log_file, .fallback = "-",
	.check = check_log_file, .needs_restart = true),
    ROW(config, "log_format", KEY_CHOICE, log_format, .fallback = "text",
	.choices = log_formats, .in_worker = true),
    ROW(config, "graceful_timeout", KEY_DURATION, graceful_timeout_ms,
	.fallback = "30s", .max = DURATION_MAX),
    ROW(config, "reload_timeout", KEY_DURATION, reload_timeout_ms,
	.fallback = "0", .max = DURATION_MAX),
    ROW(config, "drain", KEY_CHOICE, drain, .fallback = "running",
	.choices = drains),
    ROW(config, "sync", KEY_CHOICE, sync, .fallback = "full", .choices = syncs),
    ROW(config, "cancel_grace", KEY_DURATION, cancel_grace_ms,
	.fallback = "10s", .max = DURATION_MAX),
    ROW(config, "priority_age", KEY_DURATION, priority_age_ms, .fallback = "0",
	.max = DURATION_MAX),
    ROW(config, "max_message", KEY_SIZE, max_message, .fallback = "1M",
	.min = KIB, .max = 64 * KIB * KIB, .needs_restart = true),
    ROW(config, "max_clients", KEY_UNSIGNED, max_clients, .fallback = "10000",
	.min = 1, .max = 1000000),
    ROW(config, "max_queued", KEY_UINT64, max_queued, .fallback = "10000000",
	.min = 1, .max = COUNT_MAX),
    ROW(config, "max_bytes", KEY_SIZE, max_bytes, .fallback = "1G",
	.min = KIB * KIB, .max = KIB * KIB * KIB * KIB),
    ROW(config, "max_store", KEY_SIZE, max_store, .fallback = "0",
	.max = BYTES_MAX),
    ROW(config, "min_free", KEY_SIZE, min_free, .fallback = "64M",
	.max = BYTES_MAX),
    ROW(config, "when_full", KEY_CHOICE, when_full, .fallback = "refuse",
	.choices = fulls),
    ROW(config, "result_ttl", KEY_DURATION, result_ttl_ms, .fallback = "1h",
	.max = DURATION_MAX),
    ROW(config, "failed_ttl", KEY_DURATION, failed_ttl_ms, .fallback = "7d",
	.max = DURATION_MAX),
    ROW(config, "max_finished", KEY_SIZE, max_finished, .fallback = "64M",
	.min = KIB * KIB, .max = KIB * KIB * KIB * KIB),
    ROW(config, "debug_handlers", KEY_BOOL, debug_handlers, .fallback = "no",
	.in_worker = true),
    {.name = NULL},
};

const struct config_key config_keys_access[] = {
    ROW(config, "submit", KEY_OTHER, access[CONFIG_SUBMIT], .fallback = "*"),
    ROW(config, "observe", KEY_OTHER, access[CONFIG_OBSERVE], .fallback = "*"),
    ROW(config, "admin", KEY_OTHER, access[CONFIG_ADMIN], .fallback = NULL),
    {.name = NULL},
};

const struct config_key config_keys_pool[] = {
    ROW(config_pool, "processes", KEY_COUNT, processes, .fallback = "auto",
	.min = 1, .max = PROCESSES_MAX),
    ROW(config_pool, "min_processes", KEY_UNSIGNED, min_processes,
	.fallback = "0", .max = PROCESSES_MAX),
    ROW(config_pool, "max_processes", KEY_UNSIGNED, max_processes,
	.fallback = "0", .max = PROCESSES_MAX),
    ROW(config_pool, "idle_timeout", KEY_DURATION, idle_timeout_ms,
	.fallback = "60s", .max = DURATION_MAX),
    ROW(config_pool, "threads", KEY_UNSIGNED, threads, .fallback = "4",
	.min = 1, .max = 256, .in_worker = true),
    ROW(config_pool, "queues", KEY_OTHER, take, .fallback = "default"),
    ROW(config_pool, "order", KEY_CHOICE, order, .fallback = "weights",
	.choices = orders),
    ROW(config_pool, "modules", KEY_WORDS, modules,
	.n_offset = offsetof(struct config_pool, n_modules),
	.check = check_path, .in_worker = true),
    ROW(config_pool, "chdir", KEY_TEXT, chdir, .fallback = "",
	.check = check_path_or_none, .in_worker = true),
    ROW(config_pool, "env", KEY_WORDS, env,
	.n_offset = offsetof(struct config_pool, n_env), .check = check_env,
	.in_worker = true),
    ROW(config_pool, "nice", KEY_INT, nice, .fallback = "0", .min = -20,
	.max = 19, .in_worker = true),
    ROW(config_pool, "user", KEY_TEXT, account.user, .fallback = "",
	.in_worker = true),
    ROW(config_pool, "group", KEY_TEXT, account.group, .fallback = "",
	.in_worker = true),
    ROW(config_pool, "boot_timeout", KEY_DURATION, boot_timeout_ms,
	.fallback = "10s", .max = DURATION_MAX),
    ROW(config_pool, "heartbeat_timeout", KEY_DURATION, heartbeat_timeout_ms,
	.fallback = "60s", .max = DURATION_MAX),
    ROW(config_pool, "timeout", KEY_DURATION, timeout_ms, .fallback = "0",
	.max = DURATION_MAX),
    ROW(config_pool, "soft_timeout", KEY_DURATION, soft_timeout_ms,
	.fallback = "0", .max = DURATION_MAX),
    ROW(config_pool, "max_tasks", KEY_UINT64, max_tasks, .fallback = "0",
	.max = COUNT_MAX),
    ROW(config_pool, "max_tasks_jitter", KEY_UINT64, max_tasks_jitter,
	.fallback = "0", .max = COUNT_MAX),
    ROW(config_pool, "max_memory", KEY_SIZE, max_memory, .fallback = "0",
	.max = BYTES_MAX),
    ROW(config_pool, "umask", KEY_UMASK, umask, .fallback = "",
	.in_worker = true),
    ROW(config_pool, "cpus", KEY_CPUS, cpus, .fallback = "", .in_worker = true),
    ROW(config_pool, "no_new_privs", KEY_BOOL, no_new_privs, .fallback = "yes",
	.in_worker = true),
    RLIMIT_ROW("rlimit_as", KEY_LIMIT_SIZE, AS, MIB, BYTES_MAX),
    RLIMIT_ROW("rlimit_core", KEY_LIMIT_SIZE, CORE, 0, BYTES_MAX),
    RLIMIT_ROW("rlimit_cpu", KEY_LIMIT_TIME, CPU, 1, DURATION_MAX / 1000),
    RLIMIT_ROW("rlimit_data", KEY_LIMIT_SIZE, DATA, MIB, BYTES_MAX),
    RLIMIT_ROW("rlimit_fsize", KEY_LIMIT_SIZE, FSIZE, 0, BYTES_MAX),
    RLIMIT_ROW("rlimit_memlock", KEY_LIMIT_SIZE, MEMLOCK, 0, BYTES_MAX),
    RLIMIT_ROW("rlimit_nofile", KEY_LIMIT_COUNT, NOFILE, 16, COUNT_MAX),
    RLIMIT_ROW("rlimit_nproc", KEY_LIMIT_COUNT, NPROC, 1, COUNT_MAX),
    RLIMIT_ROW("rlimit_stack", KEY_LIMIT_SIZE, STACK, 64 * KIB, BYTES_MAX),
    {.name = NULL},
};

const struct config_key config_keys_command[] = {
    ROW(config_command, "argv", KEY_WORDS, argv,
	.n_offset = offsetof(struct config_command, n_argv), .in_worker = true),
    ROW(config_command, "timeout", KEY_DURATION, timeout_ms, .fallback = "0",
	.max = DURATION_MAX, .in_worker = true),
    {.name = NULL},
};

const struct config_key config_keys_queue[] = {
    ROW(config_queue, "priority", KEY_UNSIGNED, priority, .fallback = "5",
	.max = PROTO_PRIORITIES - 1),
    ROW(config_queue, "retries", KEY_UNSIGNED, retries, .fallback = "3",
	.max = 1000),
    ROW(config_queue, "timeout", KEY_DURATION, timeout_ms, .fallback = "0",
	.max = DURATION_MAX),
    ROW(config_queue, "soft_timeout", KEY_DURATION, soft_timeout_ms,
	.fallback = "0", .max = DURATION_MAX),
    ROW(config_queue, "max_queued", KEY_UINT64, max_queued, .fallback = "0",
	.max = COUNT_MAX),
    ROW(config_queue, "durable", KEY_BOOL, durable, .fallback = "yes"),
    ROW(config_queue, "max_running", KEY_UINT64, max_running, .fallback = "0",
	.max = COUNT_MAX),
    ROW(config_queue, "rate", KEY_RATE, rate, .fallback = "0/s",
	.max = RATE_MAX),
    {.name = NULL},
};

bool
config_key_is_limit(const struct config_key *k)
{
	return k->type == KEY_LIMIT_SIZE || k->type == KEY_LIMIT_COUNT ||
	       k->type == KEY_LIMIT_TIME;
}
