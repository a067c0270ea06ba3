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

#define N(array) (sizeof(array) / sizeof((array)[0]))

static void
add_string(struct buf *out, const char *key, const char *value)
{
	buf_add_key(out, key);
	buf_add_json_cstr(out, value);
}

static void
add_number(struct buf *out, const char *key, uint64_t value)
{
	buf_add_key(out, key);
	buf_add_uint(out, value);
}

static void
add_time(struct buf *out, const char *key, int64_t ms)
{
	char text[WALL_SIZE];

	wall_format(ms, text);
	add_string(out, key, text);
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
		add_number(out, "id", t->id);
		add_string(out, "name", t->kind->name);
		add_number(out, "running_ms", ms < 0 ? 0 : (uint64_t)ms);
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
	add_string(out, "pool", c->crew->settings->name);
	add_number(out, "pid", (uint64_t)c->pid);
	add_string(out, "state", chan_state_name(c));
	add_number(out, "threads",
	    c->threads > 0 ? c->threads : c->crew->settings->threads);
	add_number(out, "running", c->n_running);
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
	add_number(out, "tasks_done", c->n_done);
	add_number(out, "rss_bytes", rss_bytes(c->pid));
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
		if (kind == NULL || !holdback_is_on(kind))
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
	add_string(out, "name", s->name);
	add_string(out, "state", crew_state_name(w));
	add_number(out, "processes", s->n_processes);
	add_number(out, "target", w->n_target);
	add_number(out, "alive", w->n_up);
	add_number(out, "threads", s->threads);
	add_number(out, "busy", w->n_running);
	add_number(out, "restarts", w->n_restarts);
	buf_add_key(out, "queues");
	buf_addc(out, '[');
	for (i = 0; i < w->n_sources; i++) {
		open_item(out);
		add_string(out, "name", w->sources[i].queue->name);
		add_number(out, "weight", w->sources[i].weight);
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
add_store_state(const struct broker *b, struct buf *out)
{
	buf_add_key(out, "store_state");
	buf_addc(out, '{');
	add_string(out, "state", b->store_failing != 0 ? "failing" : "ok");
	if (b->store_failing != 0)
		add_string(out, "why", b->store_why);
	if (b->settings->store_path != NULL)
		add_string(out, "path", b->settings->store_path);
	buf_addc(out, '}');
}

static void
server_info(struct broker *b, struct call *call, const struct param *v)
{
	const struct broker_settings *s = b->settings;
	struct buf *out = call_open_result(call);

	(void)v;
	buf_addc(out, '{');
	add_string(out, "name", "ganger");
	add_string(out, "version", GANGER_VERSION);
	add_number(out, "protocol", PROTO_VERSION);
	add_number(out, "pid", (uint64_t)s->master_pid);
	add_number(out, "broker_pid", (uint64_t)getpid());
	add_time(out, "started_at", s->started_at);
	add_number(out, "uptime_ms", uptime_ms(b));
	add_string(out, "socket", s->socket);
	add_string(
	    out, "state", b->phase == BROKER_SERVING ? "running" : "draining");
	add_string(out, "store", b->store->ops->name);
	add_store_state(b, out);
	buf_add_key(out, "limits");
	buf_addc(out, '{');
	add_number(out, "max_message", s->max_message);
	add_number(out, "max_clients", s->max_clients);
	add_number(out, "max_queued", s->max_queued);
	add_number(out, "max_bytes", s->max_bytes);
	add_number(out, "max_store", s->max_store);
	add_number(out, "min_free", s->min_free);
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
	add_number(out, "uptime_ms", uptime_ms(b));
	add_number(out, "clients", b->n_conns);
	add_number(out, "connections_total", b->stats.connections);
	add_number(out, "requests_total", b->stats.requests);
	add_number(out, "submitted", b->stats.submitted);
	add_number(out, "succeeded", b->stats.succeeded);
	add_number(out, "failed", b->stats.failed);
	add_number(out, "cancelled", b->stats.cancelled);
	add_number(out, "expired", b->stats.expired);
	add_number(out, "quarantined", b->stats.quarantined);
	add_number(out, "retried", b->stats.retried);
	add_number(out, "requeued", b->stats.requeued);
	add_number(out, "ready", sum.ready);
	add_number(out, "scheduled", sum.scheduled);
	add_number(out, "running", sum.running);
	add_number(out, "held", b->holdbacks.n_tasks);
	add_number(out, "waiting_bytes", b->n_bytes);
	add_number(out, "waiters", b->n_waiters);
	add_number(out, "recovered", b->stats.recovered);
	add_number(out, "store_dirty", kept.n_dirty);
	add_number(out, "store_commits", kept.commits);
	add_number(out, "store_bytes", kept.file_bytes);
	add_number(out, "kept", kept.n_ended);
	add_number(out, "kept_bytes", kept.ended_bytes);
	add_number(out, "rss_bytes", rss_bytes(getpid()));
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
