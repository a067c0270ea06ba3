/* SPDX-License-Identifier: ISC */
/*
 * roles.c - what the master's children become
 *
 * Runs in the child after the fork, except for roles_init.
 */
#include "master/roles.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "ipc/clock.h"
#include "ipc/log.h"
#include "master/broker/broker.h"
#include "worker/runtime.h"

#define SPARE_FDS 1024 /* descriptors of the broker besides clients */

int
roles_init(struct roles *r, const struct config *c, json_t *names)
{
	void *page;

	memset(r, 0, sizeof(*r));
	page = mmap(NULL, sizeof(struct broker_shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return -errno;
	r->config = c;
	r->names = names;
	r->shared = page;
	r->started_at = wall_now_ms();
	r->master_pid = getpid();
	return 0;
}

void
roles_done(struct roles *r)
{
	json_decref(r->names);
	if (r->shared != NULL)
		(void)munmap(r->shared, sizeof(*r->shared));
	memset(r, 0, sizeof(*r));
}

/* calloc that never returns NULL: a child that can't begin ends. */
static void *
must_alloc(size_t n, size_t size)
{
	void *p = calloc(n + 1, size);

	if (p == NULL)
		log_fatal("out of memory");
	return p;
}

/* free() of what its reader may only read. */
static void
free_const(const void *p)
{
	void *owned;

	memcpy(&owned, &p, sizeof(owned));
	free(owned);
}

static void
fill_pool(
    const struct config_pool *c, json_t *names, struct broker_pool_settings *s)
{
	struct broker_queue_ref *refs = must_alloc(c->n_take, sizeof(*refs));
	const char **list = must_alloc(json_array_size(names), sizeof(*list));
	const char **commands = must_alloc(c->n_commands, sizeof(*commands));
	size_t i;

	for (i = 0; i < c->n_take; i++) {
		refs[i].queue = c->take[i].queue;
		refs[i].weight = c->take[i].weight;
	}
	for (i = 0; i < json_array_size(names); i++)
		list[i] = json_string_value(json_array_get(names, i));
	for (i = 0; i < c->n_commands; i++)
		commands[i] = c->commands[i].name;
	s->name = c->name;
	s->n_processes = c->processes;
	s->threads = c->threads;
	s->strict = c->order == CONFIG_ORDER_STRICT;
	s->refs = refs;
	s->n_refs = c->n_take;
	s->names = list;
	s->n_names = json_array_size(names);
	s->commands = commands;
	s->n_commands = c->n_commands;
	s->timeout_ms = c->timeout_ms;
	s->max_tasks = c->max_tasks;
	s->max_tasks_jitter = c->max_tasks_jitter;
}

static void
fill_pools(const struct roles *r, struct broker_settings *s)
{
	const struct config *c = r->config;
	struct broker_pool_settings *pools =
	    must_alloc(c->n_pools, sizeof(*pools));
	size_t i;

	for (i = 0; i < c->n_pools; i++)
		fill_pool(&c->pools[i], json_array_get(r->names, i), &pools[i]);
	s->pools = pools;
	s->n_pools = c->n_pools;
}

static void
fill_queues(const struct config *c, struct broker_settings *s)
{
	struct broker_queue_settings *queues =
	    must_alloc(c->n_queues, sizeof(*queues));
	size_t i;

	for (i = 0; i < c->n_queues; i++) {
		queues[i].name = c->queues[i].name;
		queues[i].priority = c->queues[i].priority;
		queues[i].retries = c->queues[i].retries;
		queues[i].timeout_ms = c->queues[i].timeout_ms;
		queues[i].max_queued = c->queues[i].max_queued;
	}
	s->queues = queues;
	s->n_queues = c->n_queues;
}

static void
fill_access(const struct config *c, struct broker_settings *s)
{
	static const enum config_class from[BROKER_N_CLASSES] = {
	    [CLASS_SUBMIT] = CONFIG_SUBMIT,
	    [CLASS_OBSERVE] = CONFIG_OBSERVE,
	    [CLASS_ADMIN] = CONFIG_ADMIN,
	};
	struct broker_access *list;
	size_t i, k;

	for (k = 0; k < BROKER_N_CLASSES; k++) {
		const struct config_access *a = &c->access[from[k]];

		list = must_alloc(a->n, sizeof(*list));
		for (i = 0; i < a->n; i++) {
			list[i].anyone = a->list[i].kind == CONFIG_WHO_ALL;
			list[i].is_group = a->list[i].kind == CONFIG_WHO_GROUP;
			list[i].uid = a->list[i].uid;
			list[i].gid = a->list[i].gid;
		}
		s->access[k] = list;
		s->n_access[k] = a->n;
	}
}

/* Free what the fill functions made; what they borrowed stays. */
static void
free_settings(struct broker_settings *s)
{
	size_t i;

	for (i = 0; i < s->n_pools; i++) {
		free_const(s->pools[i].refs);
		free_const(s->pools[i].names);
		free_const(s->pools[i].commands);
	}
	free_const(s->pools);
	free_const(s->queues);
	for (i = 0; i < BROKER_N_CLASSES; i++)
		free_const(s->access[i]);
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

int
role_run_broker(void *arg, int ctl_fd)
{
	const struct roles *r = arg;
	const struct config *c = r->config;
	struct broker_settings s = {
	    .socket = c->socket,
	    .max_message = (size_t)c->max_message,
	    .max_clients = c->max_clients,
	    .max_queued = c->max_queued,
	    .max_bytes = c->max_bytes,
	    .result_ttl_ms = c->result_ttl_ms,
	    .failed_ttl_ms = c->failed_ttl_ms,
	    .max_finished = c->max_finished,
	    .started_at = r->started_at,
	    .master_pid = r->master_pid,
	    .shared = r->shared,
	};
	int status;

	watch_master(r->master_pid);
	raise_fd_limit(c->max_clients);
	fill_pools(r, &s);
	fill_queues(c, &s);
	fill_access(c, &s);
	status = broker_run(&s, ctl_fd);
	free_settings(&s);
	return status;
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
role_run_worker(
    void *arg, const struct config_pool *pool, unsigned number, int fd)
{
	const struct roles *r = arg;
	struct role_worker w;
	int status;

	if (take_surroundings(pool) < 0 ||
	    role_worker_init(&w, r->config, pool, number, fd) < 0)
		return EX_OSERR;
	status = worker_run(&w.settings);
	role_worker_done(&w);
	return status;
}
