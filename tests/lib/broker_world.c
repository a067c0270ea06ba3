/* SPDX-License-Identifier: ISC */
/*
 * broker_world.c - a broker without clients, its master and its workers played
 */
#include "tests/lib/broker_world.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/log.h"
#include "ipc/sock.h"
#include "master/broker/chan.h"
#include "master/broker/conn.h"
#include "master/broker/dispatch.h"
#include "master/broker/life.h"
#include "master/broker/load.h"
#include "master/broker/reconfigure.h"
#include "master/broker/result.h"
#include "master/broker/roster.h"
#include "master/broker/storage.h"
#include "master/broker/store_memory.h"
#include "master/broker/tidy.h"

#define TURNS 12

/* Clients and those who wait are not there. */

int
conn_new(struct broker *b, int fd)
{
	(void)b;
	close(fd);
	return 0;
}

void
result_ended(struct broker *b, struct task *t)
{
	struct world *w = (struct world *)b;

	buf_printf(&w->ended, "%llu:%s ", (unsigned long long)t->id,
	    task_state_name(t->state));
}

bool
result_spill(struct broker *b, struct task *t)
{
	(void)b;
	(void)t;
	return true;
}

void
result_adopt(struct broker *b, struct task *t)
{
	(void)b;
	(void)t;
}

void
result_review(struct broker *b)
{
	(void)b;
}

void
result_refuse_task(struct broker *b, struct task *t, int err)
{
	(void)b;
	(void)t;
	(void)err;
}

int64_t
broker_steady_now(const struct broker *b)
{
	(void)b;
	return mono_now().ns / 1000000;
}

static void
on_turn(void *arg)
{
	struct broker *b = arg;

	mailbox_tidy(b);
	dispatch_run(b);
	store_flush(b->store);
	life_arm(b);
	tidy_crews(b);
	load_tell(b);
}

static void
on_order(void *arg, const char *name, json_t *msg, int fd)
{
	struct world *w = arg;
	json_t *pid = json_object_get(msg, "pid");
	json_t *ready = json_object_get(msg, "ready");

	assert_int_equal(fd, -1);
	buf_adds(&w->told, name);
	if (pid != NULL)
		buf_printf(
		    &w->told, " %lld", (long long)json_integer_value(pid));
	if (ready != NULL)
		buf_printf(&w->told, " %lld/%lld",
		    (long long)json_integer_value(ready),
		    (long long)json_integer_value(
			json_object_get(msg, "busy")));
	buf_addc(&w->told, '\n');
}

static const struct ctl_ops master_ops = {.on_msg = on_order};
static const struct ctl_ops broker_ops = {.on_msg = NULL};

static struct broker_settings *
load_settings(const char *json)
{
	char why[SETTINGS_WHY_SIZE] = "";
	struct broker_settings *s = NULL;

	if (settings_load(json, strlen(json), &s, why) < 0)
		fail_msg("%s", why);
	return s;
}

void
world_init(struct world *w, const char *settings)
{
	static const struct store_memory_limits limits = {
	    3600000, 3600000, 1 << 20};
	struct broker *b = &w->b;
	struct broker_settings *s;
	char why[SETTINGS_WHY_SIZE];
	int fds[2];

	memset(w, 0, sizeof(*w));
	buf_init(&w->told, SIZE_MAX);
	buf_init(&w->ended, SIZE_MAX);
	w->last_pid = 1000;
	assert_int_equal(log_open("/dev/null"), 0);
	b->loop = ev_loop_new(EVFLAG_AUTO);
	assert_non_null(b->loop);
	assert_int_equal(sock_pair(SOCK_SEQPACKET, fds), 0);
	ctl_init(&w->master, b->loop, fds[0], &master_ops, w);
	ctl_init(&b->ctl, b->loop, fds[1], &broker_ops, b);
	TAILQ_INIT(&b->conns);
	listener_init(&b->listener, b);
	life_set_up(b);
	load_init(b);
	throttle_init(&b->throttle, b->loop);
	catalog_init(&b->catalog);
	s = load_settings(settings);
	s->shared = &w->shared;
	window_init(b);
	assert_int_equal(reconfigure(b, s, why), 0);
	assert_int_equal(storage_init(b), 0);
	store_memory_set_limits(storage_memory(b), &limits);
	assert_int_equal(peer_group_init(&b->group, b->loop, on_turn, b), 0);
	world_turns(w);
}

void
world_done(struct world *w)
{
	struct broker *b = &w->b;
	struct task *t;
	size_t i;

	roster_clear(b);
	peer_group_done(&b->group);
	ctl_done(&b->ctl);
	ctl_done(&w->master);
	ev_timer_stop(b->loop, &b->timer);
	load_done(b);
	throttle_done(&b->throttle);
	holdback_done(b);
	while ((t = RB_ROOT(&b->tasks)) != NULL) {
		RB_REMOVE(task_tree, &b->tasks, t);
		task_unref(t);
	}
	store_free(b->store);
	window_done(b);
	mailbox_done_all(b);
	unique_done_all(b);
	for (i = 0; i < b->n_all_crews; i++)
		crew_free(b->crews[i]);
	free(b->crews);
	catalog_done(&b->catalog);
	settings_unref(b->settings);
	delay_done(&b->timers);
	ev_loop_destroy(b->loop);
	buf_done(&w->told);
	buf_done(&w->ended);
}

int
world_reload(struct world *w, const char *settings)
{
	struct broker_settings *s = load_settings(settings);
	char why[SETTINGS_WHY_SIZE] = "";
	int r = reconfigure(&w->b, s, why);

	if (r < 0) {
		assert_string_not_equal(why, "");
		settings_unref(s);
	}
	world_turns(w);
	return r;
}

void
world_turns(struct world *w)
{
	int i;

	for (i = 0; i < TURNS; i++)
		ev_run(w->b.loop, EVRUN_NOWAIT);
}

static void
say(const struct worker *worker, const struct buf *out)
{
	assert_int_equal(buf_error(out), 0);
	assert_int_equal(
	    write(worker->fd, buf_head(out), buf_len(out)), buf_len(out));
}

void
world_start(struct world *w, struct worker *worker, const char *pool,
    const char *names, unsigned threads)
{
	struct buf out;
	json_t *msg;
	int fds[2];

	memset(worker, 0, sizeof(*worker));
	assert_int_equal(sock_pair(SOCK_STREAM, fds), 0);
	worker->fd = fds[0];
	worker->pid = ++w->last_pid;
	buf_init(&worker->in, SIZE_MAX);
	msg = json_pack("{s:s,s:i,s:i}", "pool", pool, "slot",
	    (int)worker->pid - 1000, "pid", (int)worker->pid);
	roster_add(&w->b, msg, fds[1]);
	json_decref(msg);
	if (names != NULL) {
		buf_init(&out, SIZE_MAX);
		buf_printf(&out,
		    "{\"jsonrpc\":\"2.0\",\"method\":\"worker.hello\","
		    "\"params\":{\"protocol\":1,\"threads\":%u,\"names\":%s,"
		    "\"pid\":%d}}\n",
		    threads, names, (int)worker->pid);
		say(worker, &out);
		buf_done(&out);
	}
	world_turns(w);
}

static void
take_line(struct worker *worker, const char *line, size_t len)
{
	json_t *msg = json_loadb(line, len, 0, NULL);
	const char *method = json_string_value(json_object_get(msg, "method"));
	unsigned n = worker->n_runs;

	assert_non_null(method);
	if (strcmp(method, "worker.stop") == 0) {
		worker->pilled = true;
	} else {
		assert_string_equal(method, "task.run");
		assert_false(worker->pilled);
		assert_true(n < WORKER_RUNS);
		worker->rpc[n] =
		    (uint64_t)json_integer_value(json_object_get(msg, "id"));
		worker->ids[n] = (uint64_t)json_integer_value(
		    json_object_get(json_object_get(msg, "params"), "id"));
		worker->n_runs++;
	}
	json_decref(msg);
}

void
world_read(struct world *w, struct worker *worker)
{
	const char *head, *end;
	char got[4096];
	ssize_t n;

	world_turns(w);
	while ((n = recv(worker->fd, got, sizeof(got), MSG_DONTWAIT)) > 0)
		buf_add(&worker->in, got, (size_t)n);
	while (buf_len(&worker->in) > 0) {
		head = buf_head(&worker->in);
		end = memchr(head, '\n', buf_len(&worker->in));
		assert_non_null(end);
		take_line(worker, head, (size_t)(end - head));
		buf_consume(&worker->in, (size_t)(end - head) + 1);
	}
	buf_trim(&worker->in, 0);
}

/* Answer the oldest run with this member. */
static void
answer(struct world *w, struct worker *worker, const char *member)
{
	struct buf out;

	assert_true(worker->n_runs > 0);
	buf_init(&out, SIZE_MAX);
	buf_printf(&out, "{\"jsonrpc\":\"2.0\",\"id\":%llu,%s}\n",
	    (unsigned long long)worker->rpc[0], member);
	say(worker, &out);
	buf_done(&out);
	worker->n_runs--;
	memmove(worker->rpc, worker->rpc + 1,
	    worker->n_runs * sizeof(worker->rpc[0]));
	memmove(worker->ids, worker->ids + 1,
	    worker->n_runs * sizeof(worker->ids[0]));
	world_turns(w);
}

void
world_answer(struct world *w, struct worker *worker)
{
	answer(w, worker, "\"result\":true");
}

void
world_fail(struct world *w, struct worker *worker)
{
	answer(w, worker,
	    "\"error\":{\"code\":1,\"message\":\"no\",\"data\":"
	    "{\"retryable\":true,\"retry_after_ms\":3600000}}");
}

void
world_reap(struct world *w, struct worker *worker, const char *status,
    int signo, const char *more)
{
	struct buf text;
	json_t *msg;

	close(worker->fd);
	buf_done(&worker->in);
	world_turns(w);
	buf_init(&text, SIZE_MAX);
	buf_printf(&text, "{\"pid\":%d,\"status\":\"%s\",\"signal\":%d%s}",
	    (int)worker->pid, status, signo, more);
	msg = json_loadb(buf_head(&text), buf_len(&text), 0, NULL);
	assert_non_null(msg);
	roster_gone(&w->b, msg);
	json_decref(msg);
	buf_done(&text);
	world_turns(w);
}

struct task *
world_submit(struct world *w, const char *queue, const char *name)
{
	struct catalog *c = &w->b.catalog;
	struct task *t = task_new(++w->shared.last_id);

	t->kind = catalog_find_kind(c, name);
	t->queue = catalog_find_queue(c, queue);
	t->retries = 9;
	t->backoff_ms = 1000;
	if (t->kind == NULL || t->queue == NULL ||
	    catalog_lane(c, t->queue, t->kind, &t->lane) < 0) {
		task_unref(t);
		return NULL;
	}
	assert_int_equal(life_enter(&w->b, t, 0), 0);
	world_turns(w);
	return t;
}

char *
world_take(struct buf *b)
{
	char *text = buf_steal(b, NULL);

	if (text == NULL)
		text = calloc(1, 1); /* nothing was ever added */
	assert_non_null(text);
	return text;
}
