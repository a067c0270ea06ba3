/* SPDX-License-Identifier: ISC */
/*
 * method_server.c - worker.list, pool.list, server.*, rpc.discover
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ipc/clock.h"
#include "ipc/json.h"
#include "master/broker/chan.h"
#include "master/broker/method.h"
#include "master/broker/storage.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static void
add_time(struct buf *out, const char *key, int64_t ms)
{
	char text[WALL_SIZE];

	wall_format(ms, text);
	buf_add_key_cstr(out, key, text);
}

/* Begin the next item of an array, an object. */
static void
open_item(struct buf *out)
{
	if (buf_len(out) > 0 && buf_head(out)[buf_len(out) - 1] == '}')
		buf_addc(out, ',');
	buf_addc(out, '{');
}

/* A process's resident memory, from /proc; 0 when it can't be read. */
static uint64_t
rss_bytes(pid_t pid)
{
	unsigned long size, resident;
	char path[64];
	FILE *f;
	int n;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	n = fscanf(f, "%lu %lu", &size, &resident);
	fclose(f);
	return n == 2 ? (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE)
		      : 0;
}

/* What a worker runs, and since when. */
static void
add_runs(const struct chan *c, struct buf *out)
{
	int64_t ms, now_ms = wall_now_ms();
	unsigned i;

	buf_add_key(out, "runs");
	buf_addc(out, '[');
	for (i = 0; i < c->threads; i++) {
		const struct task *t = c->runs[i].task;

		if (t == NULL)
			continue;
		ms = now_ms - t->started_at;
		open_item(out);
		buf_add_key_uint(out, "id", t->id);
		buf_add_key_cstr(out, "name", t->kind->name);
		buf_add_key_uint(out, "running_ms", ms < 0 ? 0 : (uint64_t)ms);
		buf_addc(out, '}');
	}
	buf_addc(out, ']');
}

static void
add_worker(const struct chan *c, struct buf *out)
{
	const char *comma = "";
	unsigned i;

	open_item(out);
	buf_add_key(out, "worker");
	buf_addc(out, '"');
	buf_adds(out, c->crew->settings->name);
	buf_addc(out, '/');
	buf_add_uint(out, c->number);
	buf_addc(out, '"');
	buf_add_key_cstr(out, "pool", c->crew->settings->name);
	buf_add_key_uint(out, "pid", (uint64_t)c->pid);
	buf_add_key_cstr(out, "state", chan_state_name(c));
	buf_add_key_uint(out, "threads",
	    c->threads > 0 ? c->threads : c->crew->settings->threads);
	buf_add_key_uint(out, "running", c->n_running);
	buf_add_key(out, "tasks");
	buf_addc(out, '[');
	for (i = 0; i < c->threads; i++) {
		if (c->runs[i].task == NULL)
			continue;
		buf_adds(out, comma);
		buf_add_uint(out, c->runs[i].task->id);
		comma = ",";
	}
	buf_addc(out, ']');
	add_runs(c, out);
	buf_add_key_uint(out, "tasks_done", c->n_done);
	buf_add_key_uint(out, "rss_bytes", rss_bytes(c->pid));
	add_time(out, "started_at", c->started_at);
	buf_addc(out, '}');
}

static void
worker_list(struct broker *b, struct call *call, const struct param *v)
{
	struct buf *out = call_open_result(call);
	struct chan *c;
	size_t i;

	(void)v;
	buf_addc(out, '[');
	for (i = 0; i < b->n_crews; i++)
		TAILQ_FOREACH(c, &b->crews[i]->chans, entry) {
			add_worker(c, out);
		}
	buf_addc(out, ']');
	call_close_result(call);
}

/* The names of a pool whose tasks are held back, if there are any. */
static void
add_held_names(const struct broker *b, const struct broker_pool_settings *s,
    struct buf *out)
{
	const struct kind *kind;
	bool first = true;
	size_t i;

	for (i = 0; i < s->n_names; i++) {
		kind = catalog_find_kind(&b->catalog, s->names[i]);
		if (kind == NULL || !holdback_has_tasks(kind))
			continue;
		if (first) {
			buf_add_key(out, "held_names");
			buf_addc(out, '[');
		} else {
			buf_addc(out, ',');
		}
		buf_add_json_cstr(out, kind->name);
		first = false;
	}
	if (!first)
		buf_addc(out, ']');
}

static void
add_crew(const struct crew *w, struct buf *out)
{
	const struct broker_pool_settings *s = w->settings;
	size_t i;

	open_item(out);
	buf_add_key_cstr(out, "name", s->name);
	buf_add_key_cstr(out, "state", crew_state_name(w));
	buf_add_key_uint(out, "processes", s->n_processes);
	buf_add_key_uint(out, "target", w->n_target);
	buf_add_key_uint(out, "alive", w->n_up);
	buf_add_key_uint(out, "threads", s->threads);
	buf_add_key_uint(out, "busy", w->n_running);
	buf_add_key_uint(out, "restarts", w->n_restarts);
	buf_add_key(out, "queues");
	buf_addc(out, '[');
	for (i = 0; i < w->n_sources; i++) {
		open_item(out);
		buf_add_key_cstr(out, "name", w->sources[i].queue->name);
		buf_add_key_uint(out, "weight", w->sources[i].weight);
		buf_addc(out, '}');
	}
	buf_addc(out, ']');
	buf_add_key(out, "names");
	buf_addc(out, '[');
	for (i = 0; i < s->n_names; i++) {
		if (i > 0)
			buf_addc(out, ',');
		buf_add_json_cstr(out, s->names[i]);
	}
	buf_addc(out, ']');
	add_held_names(w->broker, s, out);
	buf_addc(out, '}');
}

static void
pool_list(struct broker *b, struct call *call, const struct param *v)
{
	struct buf *out = call_open_result(call);
	size_t i;

	(void)v;
	buf_addc(out, '[');
	for (i = 0; i < b->n_crews; i++)
		add_crew(b->crews[i], out);
	buf_addc(out, ']');
	call_close_result(call);
}

static uint64_t
uptime_ms(const struct broker *b)
{
	int64_t ms = wall_now_ms() - b->settings->started_at;

	return ms < 0 ? 0 : (uint64_t)ms;
}

static void
add_store_state(struct broker *b, struct buf *out)
{
	const char *why = storage_trouble(b), *state = "failing";
	char full[STORE_WHY_SIZE];

	if (why == NULL && storage_check_room(b, full) != STORAGE_HAS_ROOM) {
		state = "full";
		why = full;
	}

	buf_add_key(out, "store_state");
	buf_addc(out, '{');
	buf_add_key_cstr(out, "state", why != NULL ? state : "ok");
	if (why != NULL)
		buf_add_key_cstr(out, "why", why);
	if (b->settings->store_path != NULL)
		buf_add_key_cstr(out, "path", b->settings->store_path);
	buf_addc(out, '}');
}

static void
server_info(struct broker *b, struct call *call, const struct param *v)
{
	const struct broker_settings *s = b->settings;
	struct buf *out = call_open_result(call);

	(void)v;
	buf_addc(out, '{');
	buf_add_key_cstr(out, "name", "ganger");
	buf_add_key_cstr(out, "version", GANGER_VERSION);
	buf_add_key_uint(out, "protocol", PROTO_VERSION);
	buf_add_key_uint(out, "pid", (uint64_t)s->master_pid);
	buf_add_key_uint(out, "broker_pid", (uint64_t)getpid());
	add_time(out, "started_at", s->started_at);
	buf_add_key_uint(out, "uptime_ms", uptime_ms(b));
	buf_add_key_cstr(out, "socket", s->socket);
	buf_add_key_cstr(
	    out, "state", b->phase == BROKER_SERVING ? "running" : "draining");
	buf_add_key_cstr(out, "store", b->store->ops->name);
	add_store_state(b, out);
	buf_add_key(out, "limits");
	buf_addc(out, '{');
	buf_add_key_uint(out, "max_message", s->max_message);
	buf_add_key_uint(out, "max_clients", s->max_clients);
	buf_add_key_uint(out, "max_queued", s->max_queued);
	buf_add_key_uint(out, "max_bytes", s->max_bytes);
	buf_add_key_uint(out, "max_store", s->max_store);
	buf_add_key_uint(out, "min_free", s->min_free);
	buf_adds(out, "}}");
	call_close_result(call);
}

static void
server_stats(struct broker *b, struct call *call, const struct param *v)
{
	struct queue_counts sum = {0};
	struct store_counts kept;
	struct buf *out;
	size_t i;

	(void)v;
	for (i = 0; i < b->catalog.n_all_queues; i++) {
		const struct queue_counts *n = &b->catalog.queues[i]->count;

		sum.ready += n->ready;
		sum.scheduled += n->scheduled;
		sum.running += n->running;
	}
	store_count(b->store, &kept);
	out = call_open_result(call);
	buf_addc(out, '{');
	buf_add_key_uint(out, "uptime_ms", uptime_ms(b));
	buf_add_key_uint(out, "clients", b->n_conns);
	buf_add_key_uint(out, "connections_total", b->stats.connections);
	buf_add_key_uint(out, "requests_total", b->stats.requests);
	buf_add_key_uint(out, "submitted", b->stats.submitted);
	buf_add_key_uint(out, "succeeded", b->stats.succeeded);
	buf_add_key_uint(out, "failed", b->stats.failed);
	buf_add_key_uint(out, "cancelled", b->stats.cancelled);
	buf_add_key_uint(out, "expired", b->stats.expired);
	buf_add_key_uint(out, "quarantined", b->stats.quarantined);
	buf_add_key_uint(out, "retried", b->stats.retried);
	buf_add_key_uint(out, "requeued", b->stats.requeued);
	buf_add_key_uint(out, "ready", sum.ready);
	buf_add_key_uint(out, "scheduled", sum.scheduled);
	buf_add_key_uint(out, "running", sum.running);
	buf_add_key_uint(out, "held", b->holdbacks.n_tasks);
	buf_add_key_uint(out, "submits_held", b->holds.n);
	buf_add_key_uint(out, "waiting_bytes", b->n_bytes);
	buf_add_key_uint(out, "waiters", b->n_waiters);
	buf_add_key_uint(out, "recovered", b->stats.recovered);
	buf_add_key_uint(out, "store_dirty", kept.n_dirty);
	buf_add_key_uint(out, "store_commits", kept.commits);
	buf_add_key_uint(out, "store_bytes", kept.file_bytes);
	buf_add_key_uint(out, "kept", kept.n_ended);
	buf_add_key_uint(out, "kept_bytes", kept.ended_bytes);
	buf_add_key_uint(out, "rss_bytes", rss_bytes(getpid()));
	buf_addc(out, '}');
	call_close_result(call);
}

static void
server_ping(struct broker *b, struct call *call, const struct param *v)
{
	(void)b;
	(void)v;
	call_result(call, "\"pong\"");
}

static const struct param_def stop_params[] = {
    {"mode", PARAM_STR, false, 0, 0},
};

static void
server_stop(struct broker *b, struct call *call, const struct param *v)
{
	const char *mode = v[0].given ? v[0].text : "graceful";
	struct buf *out;
	struct fault f;

	if (strcmp(mode, "graceful") != 0 && strcmp(mode, "quick") != 0) {
		fault_set(&f, RPC_INVALID_PARAMS,
		    "\"mode\" is neither \"graceful\" nor \"quick\"");
		f.param = "mode";
		call_error(call, &f);
		return;
	}
	if (ctl_send(&b->ctl, -1, "stop", "{s:s}", "mode", mode) < 0) {
		call_error_code(call, RPC_INTERNAL_ERROR, true);
		return;
	}
	out = call_open_result(call);
	buf_printf(out, "{\"stopping\":true,\"mode\":\"%s\"}", mode);
	call_close_result(call);
}

static void
rpc_discover(struct broker *b, struct call *call, const struct param *v)
{
	(void)b;
	(void)v;
	method_add_list(call_open_result(call));
	call_close_result(call);
}

const struct method method_server_table[] = {
    {"worker.list", CLASS_OBSERVE, NULL, 0, "[worker with its tasks]",
	worker_list},
    {"pool.list", CLASS_OBSERVE, NULL, 0, "[pool with its task names]",
	pool_list},
    {"server.info", CLASS_OBSERVE, NULL, 0, "what the daemon is", server_info},
    {"server.stats", CLASS_OBSERVE, NULL, 0, "what it has done, in numbers",
	server_stats},
    {"server.ping", CLASS_OBSERVE, NULL, 0, "\"pong\"", server_ping},
    {"server.stop", CLASS_ADMIN, stop_params, N(stop_params),
	"{stopping, mode}", server_stop},
    {"rpc.discover", CLASS_OBSERVE, NULL, 0, "this list", rpc_discover},
    {NULL, 0, NULL, 0, NULL, NULL},
};
