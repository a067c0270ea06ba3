/* SPDX-License-Identifier: ISC */
/*
 * roles.c - what the master's children become
 *
 * Runs in the child after the fork, except for roles_init.
 */
#include "master/roles.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "ipc/clock.h"
#include "ipc/json.h"
#include "ipc/log.h"
#include "master/broker/broker.h"
#include "master/supervisor/state_dir.h"
#include "master/supervisor/title.h"
#include "worker/runtime.h"

#define SPARE_FDS 1024 /* descriptors of the broker besides clients */

/* Map what the master and every broker share. */
static int
map_shared(struct roles *r, int fd)
{
	struct stat st;
	void *page;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < (off_t)sizeof(struct broker_shared) &&
	    ftruncate(fd, sizeof(struct broker_shared)) < 0)
		return -errno;
	page = mmap(NULL, sizeof(struct broker_shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return -errno;
	r->shared = page;
	r->shared_fd = fd;
	r->master_pid = getpid();
	return 0;
}

int
roles_init(struct roles *r)
{
	int fd, res;

	memset(r, 0, sizeof(*r));
	r->started_at = wall_now_ms();
	fd = memfd_create("ganger-shared", MFD_CLOEXEC);
	res = fd < 0 ? -errno : map_shared(r, fd);
	if (res < 0 && fd >= 0)
		close(fd);
	return res;
}

int
roles_resume(struct roles *r, int shared_fd, int64_t started_at)
{
	int res;

	memset(r, 0, sizeof(*r));
	r->started_at = started_at;
	res = map_shared(r, shared_fd);
	if (res < 0)
		close(shared_fd);
	return res;
}

void
roles_done(struct roles *r)
{
	if (r->shared == NULL)
		return;
	(void)munmap(r->shared, sizeof(*r->shared));
	close(r->shared_fd);
	memset(r, 0, sizeof(*r));
}

/* Append "key":value. */
static void
add_number(struct buf *out, const char *key, uint64_t value)
{
	buf_add_key(out, key);
	buf_add_uint(out, value < INT64_MAX ? value : INT64_MAX);
}

static void
add_flag(struct buf *out, const char *key, bool value)
{
	buf_add_key(out, key);
	buf_adds(out, value ? "true" : "false");
}

static void
add_string(struct buf *out, const char *key, const char *value)
{
	buf_add_key(out, key);
	buf_add_json_cstr(out, value);
}

/* A comma before every item of an array but the first. */
static void
add_comma(struct buf *out, size_t i)
{
	if (i > 0)
		buf_addc(out, ',');
}

static void
write_takes(
    const struct config *c, const struct config_pool *pool, struct buf *out)
{
	size_t i;

	buf_add_key(out, "queues");
	buf_addc(out, '[');
	for (i = 0; i < pool->n_take; i++) {
		add_comma(out, i);
		buf_adds(out, "{\"queue\":");
		buf_add_json_cstr(out, c->queues[pool->take[i].queue].name);
		add_number(out, "weight", pool->take[i].weight);
		buf_addc(out, '}');
	}
	buf_addc(out, ']');
}

static void
write_names(const struct config_pool *pool, json_t *names, struct buf *out)
{
	size_t i;

	buf_add_key(out, "names");
	buf_add_json(out, names);
	buf_add_key(out, "commands");
	buf_addc(out, '[');
	for (i = 0; i < pool->n_commands; i++) {
		add_comma(out, i);
		buf_add_json_cstr(out, pool->commands[i].name);
	}
	buf_addc(out, ']');
}

static void
write_pool(const struct config *c, size_t i, json_t *names, struct buf *out)
{
	const struct config_pool *pool = &c->pools[i];

	buf_adds(out, "{\"name\":");
	buf_add_json_cstr(out, pool->name);
	add_number(out, "processes", pool->processes);
	add_number(out, "threads", pool->threads);
	add_flag(out, "strict", pool->order == CONFIG_ORDER_STRICT);
	add_flag(out, "scales", config_pool_scales(pool));
	add_number(out, "timeout_ms", (uint64_t)pool->timeout_ms);
	add_number(out, "soft_timeout_ms", (uint64_t)pool->soft_timeout_ms);
	add_number(out, "max_tasks", pool->max_tasks);
	add_number(out, "max_tasks_jitter", pool->max_tasks_jitter);
	write_takes(c, pool, out);
	write_names(pool, json_array_get(names, i), out);
	buf_addc(out, '}');
}

static void
write_queue(const struct config_queue *q, struct buf *out)
{
	buf_adds(out, "{\"name\":");
	buf_add_json_cstr(out, q->name);
	add_number(out, "priority", q->priority);
	add_number(out, "retries", q->retries);
	add_number(out, "timeout_ms", (uint64_t)q->timeout_ms);
	add_number(out, "soft_timeout_ms", (uint64_t)q->soft_timeout_ms);
	add_number(out, "max_queued", q->max_queued);
	add_flag(out, "durable", q->durable);
	add_number(out, "max_running", q->max_running);
	add_number(out, "rate_count", q->rate.count);
	add_number(out, "rate_ms", (uint64_t)q->rate.per_ms);
	buf_addc(out, '}');
}

static void
write_access(const struct config_access *a, const char *key, struct buf *out)
{
	size_t i;

	buf_adds(out, key);
	buf_adds(out, ":[");
	for (i = 0; i < a->n; i++) {
		add_comma(out, i);
		if (a->list[i].kind == CONFIG_WHO_ALL)
			buf_adds(out, "{\"anyone\":true}");
		else if (a->list[i].kind == CONFIG_WHO_GROUP)
			buf_printf(out, "{\"gid\":%llu}",
			    (unsigned long long)a->list[i].gid);
		else
			buf_printf(out, "{\"uid\":%llu}",
			    (unsigned long long)a->list[i].uid);
	}
	buf_addc(out, ']');
}

/* Where durable tasks are kept, and what bounds them. */
static void
write_store(const struct config *c, struct buf *out)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/" STATE_DIR_STORE, c->state_dir);
	add_string(out, "store_path", path);
	add_flag(out, "full_sync", c->sync == CONFIG_SYNC_FULL);
	add_number(out, "max_store", c->max_store);
	add_number(out, "min_free", c->min_free);
	add_flag(out, "hold_when_full", c->when_full == CONFIG_FULL_HOLD);
}

/* All that is neither a pool nor a queue. */
static void
write_top(const struct config *c, const struct roles_now *now, struct buf *out)
{
	static const char *const levels[] = {
	    [LOG_ERROR] = "error",
	    [LOG_WARN] = "warn",
	    [LOG_INFO] = "info",
	    [LOG_DEBUG] = "debug",
	};

	buf_adds(out, "{\"socket\":");
	buf_add_json_cstr(out, c->socket);
	add_number(out, "max_message", c->max_message);
	add_number(out, "max_clients", c->max_clients);
	add_number(out, "max_queued", c->max_queued);
	add_number(out, "max_bytes", c->max_bytes);
	add_number(out, "result_ttl_ms", (uint64_t)c->result_ttl_ms);
	add_number(out, "failed_ttl_ms", (uint64_t)c->failed_ttl_ms);
	add_number(out, "max_finished", c->max_finished);
	add_number(out, "priority_age_ms", (uint64_t)c->priority_age_ms);
	add_number(out, "cancel_grace_ms", (uint64_t)c->cancel_grace_ms);
	add_flag(out, "drain_all", c->drain == CONFIG_DRAIN_ALL);
	write_store(c, out);
	add_number(out, "started_at", (uint64_t)now->started_at);
	add_number(out, "master_pid", (uint64_t)now->master_pid);
	add_string(
	    out, "log_level", levels[now->debug ? LOG_DEBUG : c->log_level]);
	add_string(
	    out, "log_format", c->log_format == LOG_JSON ? "json" : "text");
	buf_adds(out, ",\"access\":{");
	write_access(&c->access[CONFIG_SUBMIT], "\"submit\"", out);
	write_access(&c->access[CONFIG_OBSERVE], ",\"observe\"", out);
	write_access(&c->access[CONFIG_ADMIN], ",\"admin\"", out);
	buf_addc(out, '}');
}

int
roles_write_settings(const struct config *c, json_t *names,
    const struct roles_now *now, struct buf *out)
{
	size_t i;

	write_top(c, now, out);
	buf_adds(out, ",\"queues\":[");
	for (i = 0; i < c->n_queues; i++) {
		add_comma(out, i);
		write_queue(&c->queues[i], out);
	}
	buf_adds(out, "],\"pools\":[");
	for (i = 0; i < c->n_pools; i++) {
		add_comma(out, i);
		write_pool(c, i, names, out);
	}
	buf_adds(out, "]}");
	return buf_error(out);
}

/* Let the broker have a descriptor for each client that it may serve. */
static void
raise_fd_limit(unsigned max_clients)
{
	struct rlimit lim;
	rlim_t want = (rlim_t)max_clients + SPARE_FDS;

	if (getrlimit(RLIMIT_NOFILE, &lim) < 0 || lim.rlim_cur >= want)
		return;
	lim.rlim_cur = want < lim.rlim_max ? want : lim.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &lim) < 0 || lim.rlim_cur < want)
		log_warn("%llu open files are allowed: fewer clients than "
			 "max_clients (%u) can be served",
		    (unsigned long long)lim.rlim_cur, max_clients);
}

/*
 * SIGTERM comes when the master has died.  The closed control channel says so
 * too, and ends the broker in order; this sees to it that it ends.  From
 * anybody else it means nothing: a stop is the master's to order.
 */
static pid_t watched_pid;

static void
on_orphaned(int signo)
{
	(void)signo;
	if (getppid() != watched_pid)
		alarm(1);
}

static void
watch_master(pid_t master_pid)
{
	struct sigaction sa;
	sigset_t set;

	watched_pid = master_pid;
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_orphaned;
	sa.sa_flags = SA_RESTART;
	sigaction(SIGTERM, &sa, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* The settings of a broker that is to begin; it ends if it can't. */
static struct broker_settings *
make_settings(const struct roles *r, const struct config *c, json_t *names)
{
	struct roles_now now = {
	    .started_at = r->started_at,
	    .master_pid = r->master_pid,
	    .debug = r->debug,
	};
	struct broker_settings *s;
	char why[SETTINGS_WHY_SIZE];
	struct buf text;

	buf_init(&text, SIZE_MAX);
	if (roles_write_settings(c, names, &now, &text) < 0)
		log_fatal("can't write the broker's settings");
	if (settings_load(buf_head(&text), buf_len(&text), &s, why) < 0)
		log_fatal("can't read the broker's settings: %s", why);
	buf_done(&text);
	s->shared = r->shared;
	s->shared_fd = r->shared_fd;
	return s;
}

int
role_run_broker(
    const struct roles *r, const struct config *c, json_t *names, int ctl_fd)
{
	watch_master(r->master_pid);
	raise_fd_limit(c->max_clients);
	return broker_run(make_settings(r, c, names), ctl_fd);
}

bool
role_is_resumed(void)
{
	return getenv(HANDOVER_ENV) != NULL;
}

/* Open the state that the environment names, and read its head. */
static int
open_state(struct handover_in *in, struct handover_head *head)
{
	const char *number = getenv(HANDOVER_ENV);
	int fd, r;

	fd = number == NULL ? -1 : atoi(number);
	(void)unsetenv(HANDOVER_ENV);
	r = handover_in_open(in, fd);
	if (r < 0)
		return r;
	close(fd);
	r = handover_load_head(in, head);
	if (r < 0)
		handover_in_done(in);
	return r;
}

int
role_resume_broker(void)
{
	struct handover_head head;
	struct handover_in in;
	struct roles r;
	int res;

	title_set("broker");
	log_set_name("broker");
	/* It would be the number of the descriptor that was executed. */
	(void)prctl(PR_SET_NAME, "gangerd");
	res = open_state(&in, &head);
	if (res < 0) {
		log_error("the state of the broker before: %s",
		    res == -EPROTO ? "it is of a version that this one can't "
				     "read"
				   : strerror(-res));
		return EX_SOFTWARE;
	}
	watch_master(head.master_pid);
	raise_fd_limit(head.max_clients);
	res = roles_resume(&r, head.shared_fd, 0);
	if (res < 0) {
		log_error(
		    "the memory shared with the master: %s", strerror(-res));
		return EX_SOFTWARE;
	}
	return broker_resume(&in, &head, r.shared);
}

int
role_worker_init(struct role_worker *w, const struct config *c,
    const struct config_pool *pool, unsigned number, int fd)
{
	size_t i;

	memset(w, 0, sizeof(*w));
	w->commands = calloc(pool->n_commands + 1, sizeof(*w->commands));
	if (w->commands == NULL)
		return -ENOMEM;
	for (i = 0; i < pool->n_commands; i++) {
		w->commands[i].name = pool->commands[i].name;
		w->commands[i].argv = pool->commands[i].argv;
		w->commands[i].timeout_ms = pool->commands[i].timeout_ms;
	}
	snprintf(w->label, sizeof(w->label), "%s/%u", pool->name, number);
	w->settings = (struct worker_settings){
	    .label = w->label,
	    .fd = fd,
	    .threads = pool->threads,
	    .max_message = (size_t)c->max_message,
	    .modules = (const char *const *)pool->modules,
	    .n_modules = pool->n_modules,
	    .commands = w->commands,
	    .n_commands = pool->n_commands,
	    .debug_handlers = c->debug_handlers,
	};
	return 0;
}

void
role_worker_done(struct role_worker *w)
{
	free(w->commands);
	w->commands = NULL;
}

/* What a pool says of its processes' surroundings. */
static int
take_surroundings(const struct config_pool *pool)
{
	size_t i;

	for (i = 0; i < pool->n_env; i++)
		if (putenv(pool->env[i]) != 0)
			return -ENOMEM;
	if (pool->chdir != NULL && chdir(pool->chdir) < 0) {
		log_error("chdir %s: %s", pool->chdir, strerror(errno));
		return -errno;
	}
	return 0;
}

int
role_run_worker(const struct config *c, const struct config_pool *pool,
    unsigned number, int fd, struct page *page)
{
	struct role_worker w;
	int status;

	if (take_surroundings(pool) < 0 ||
	    role_worker_init(&w, c, pool, number, fd) < 0)
		return EX_OSERR;
	w.settings.page = page;
	status = worker_run(&w.settings);
	role_worker_done(&w);
	return status;
}
