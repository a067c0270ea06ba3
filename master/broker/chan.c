/* SPDX-License-Identifier: ISC */
/*
 * chan.c - the channel to one worker
 *
 * A request's id is a counter with the slot of its run in the low bits, so an
 * answer finds its task without a search, and an answer to a run that is over
 * (a stale one) is known by its counter.
 */
#include "master/broker/chan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/clock.h"
#include "ipc/json.h"
#include "ipc/log.h"
#include "ipc/rpc.h"
#include "master/broker/settings.h"

#define LINE_SLACK 4096 /* a result's frame, and a request's */
#define LOG_MAX    1024 /* bytes of a task's log line */

/* The longest wait that a handler can ask for, as it is for a submit. */
#define DELAY_MAX_MS (INT64_C(10) * 365 * 86400 * 1000)

#define SLOT_OF(rpc_id) ((unsigned)((rpc_id) % BROKER_THREADS_MAX))

static struct chan *
chan_of(struct peer *p)
{
	return (struct chan *)p;
}

/* The run that (id, run) of a notification names, or NULL. */
static struct task *
find_run(struct chan *c, json_t *params)
{
	json_int_t id, run;
	unsigned i;

	id = json_integer_value(json_object_get(params, "id"));
	run = json_integer_value(json_object_get(params, "run"));
	for (i = 0; i < c->threads; i++) {
		struct task *t = c->runs[i].task;

		if (t != NULL && t->id == (uint64_t)id &&
		    t->run == (uint64_t)run)
			return t;
	}
	log_debug("worker %s/%u: news of a run that is over, dropped",
	    c->crew->settings->name, c->number);
	return NULL;
}

/* A run of t begins in a slot that is off the stack, or its top. */
static void
occupy(struct chan *c, struct task *t, unsigned slot, uint64_t rpc_id)
{
	c->runs[slot].rpc_id = rpc_id;
	c->runs[slot].task = t;
	c->n_running++;
	c->crew->n_running++;
	t->chan = c;
	t->run_slot = slot;
}

/* The run of t is over: free its slot. */
static void
release(struct chan *c, struct task *t)
{
	unsigned slot = t->run_slot;

	crew_settle(c->crew, t, mono_now());
	c->runs[slot].task = NULL;
	c->n_running--;
	c->crew->n_running--;
	c->free_slots[c->threads - c->n_running - 1] = slot;
	t->chan = NULL;
	if (c->n_running == 0) {
		c->alone = false;
		if (c->shift->kept == c)
			c->shift->kept = NULL;
	}
	shift_sort(c->shift, c);
}

static int
allot_slots(struct chan *c, unsigned threads)
{
	unsigned i;

	c->runs = calloc(threads, sizeof(*c->runs));
	c->free_slots = calloc(threads, sizeof(*c->free_slots));
	if (c->runs == NULL || c->free_slots == NULL)
		return -ENOMEM;
	c->threads = threads;
	for (i = 0; i < threads; i++)
		c->free_slots[i] = threads - 1 - i;
	return 0;
}

/* Count c, in its state, in (+1) or out (-1). */
static void
count_state(const struct chan *c, int by)
{
	unsigned d = (unsigned)by;

	if (c->state == CHAN_STARTING || c->state == CHAN_UP)
		c->shift->n_fit += d;
	if (c->state == CHAN_UP) {
		c->crew->n_up += d;
		c->crew->n_threads += d * c->threads;
	}
}

static void
set_state(struct chan *c, enum chan_state state)
{
	count_state(c, -1);
	c->state = state;
	count_state(c, 1);
	shift_sort(c->shift, c);
}

void
chan_set_shift(struct chan *c, struct shift *s)
{
	count_state(c, -1);
	c->shift->n_chans--;
	c->shift = s;
	s->n_chans++;
	count_state(c, 1);
}

static void
take_hello(struct chan *c, json_t *params)
{
	json_int_t protocol, threads;

	protocol = json_integer_value(json_object_get(params, "protocol"));
	threads = json_integer_value(json_object_get(params, "threads"));
	if (c->state != CHAN_STARTING)
		return;
	if (protocol != PROTO_VERSION || threads < 1 ||
	    threads > BROKER_THREADS_MAX) {
		c->ops->on_broken(c, "a hello that does not fit");
		return;
	}
	if (allot_slots(c, (unsigned)threads) < 0) {
		c->ops->on_broken(c, "out of memory");
		return;
	}
	if (c->ops->on_hello(c, json_object_get(params, "names")) < 0) {
		c->ops->on_broken(c, "a hello with names that can't be taken");
		return;
	}
	set_state(c, CHAN_UP);
}

static void
take_progress(struct chan *c, json_t *params)
{
	struct task *t = find_run(c, params);
	const char *note;
	char *copy;

	if (t == NULL)
		return;
	t->progress.told = true;
	t->progress.done =
	    (uint64_t)json_integer_value(json_object_get(params, "done"));
	t->progress.total =
	    (uint64_t)json_integer_value(json_object_get(params, "total"));
	note = json_string_value(json_object_get(params, "note"));
	copy = note == NULL ? NULL : strdup(note);
	if (copy != NULL || note == NULL)
		task_set_text(t, &t->progress.note, copy);
}

static void
take_log(struct chan *c, json_t *params)
{
	struct task *t = find_run(c, params);
	const char *text;

	text = json_string_value(json_object_get(params, "message"));
	if (t != NULL && text != NULL)
		log_info("task %llu on %s/%u: %.*s", (unsigned long long)t->id,
		    c->crew->settings->name, c->number, LOG_MAX, text);
}

static void
finish_run(struct chan *c, struct task *t)
{
	release(c, t);
	c->n_done++;
}

static int64_t
clamp_delay(json_int_t ms)
{
	return ms < DELAY_MAX_MS ? ms : DELAY_MAX_MS;
}

static void
take_snooze(struct chan *c, json_t *params)
{
	struct task *t = find_run(c, params);
	json_int_t ms;

	ms = json_integer_value(json_object_get(params, "delay_ms"));
	if (t == NULL)
		return;
	finish_run(c, t);
	if (json_is_true(json_object_get(params, "cut")))
		c->ops->on_cut(c, t);
	else
		c->ops->on_snooze(c, t, ms < 0 ? 0 : clamp_delay(ms));
}

static void
take_error(struct chan *c, struct task *t, json_t *error)
{
	struct chan_failure f;
	json_t *after;

	f.code = json_integer_value(json_object_get(error, "code"));
	f.message = json_string_value(json_object_get(error, "message"));
	if (f.message == NULL)
		f.message = "failed without a message";
	f.data = json_object_get(error, "data");
	f.retryable = !json_is_false(json_object_get(f.data, "retryable"));
	after = json_object_get(f.data, "retry_after_ms");
	f.retry_after_ms = json_is_integer(after)
			       ? clamp_delay(json_integer_value(after))
			       : -1;
	c->ops->on_failure(c, t, &f);
}

static void
take_response(struct chan *c, const struct rpc_msg *m)
{
	struct chan_failure no_memory = {
	    RPC_INTERNAL_ERROR, "no memory for the result", NULL, true, -1};
	uint64_t id = (uint64_t)json_integer_value(m->id);
	struct task *t;
	char *text;

	if (c->runs == NULL || !json_is_integer(m->id) ||
	    SLOT_OF(id) >= c->threads || c->runs[SLOT_OF(id)].task == NULL ||
	    c->runs[SLOT_OF(id)].rpc_id != id) {
		log_warn("worker %s/%u: an answer to no open request, dropped",
		    c->crew->settings->name, c->number);
		return;
	}
	t = c->runs[SLOT_OF(id)].task;
	finish_run(c, t);
	if (m->error != NULL) {
		take_error(c, t, m->error);
		return;
	}
	text = json_text(m->result, SIZE_MAX, NULL);
	if (text == NULL)
		c->ops->on_failure(c, t, &no_memory);
	else
		c->ops->on_result(c, t, text);
}

static void
take_notification(struct chan *c, const struct rpc_msg *m)
{
	static const struct {
		const char *method;
		void (*take)(struct chan *, json_t *);
	} table[] = {
	    {"worker.hello", take_hello},
	    {"task.progress", take_progress},
	    {"task.log", take_log},
	    {"task.snooze", take_snooze},
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strcmp(m->method, table[i].method) == 0) {
			table[i].take(c, m->params);
			return;
		}
	}
	log_warn("worker %s/%u: unknown notification, dropped",
	    c->crew->settings->name, c->number);
}

static void
on_line(struct peer *p, char *line, size_t len)
{
	struct chan *c = chan_of(p);
	char reason[RPC_REASON_SIZE];
	struct rpc_text text;
	struct rpc_msg m;
	size_t i;

	if (rpc_read(line, len, &text, reason) < 0) {
		c->ops->on_broken(c, reason);
		return;
	}
	for (i = 0; i < text.n; i++) {
		rpc_text_get(&text, i, &m);
		if (m.kind == RPC_RESPONSE)
			take_response(c, &m);
		else if (m.kind == RPC_NOTIFICATION)
			take_notification(c, &m);
		else
			c->ops->on_broken(c, "a message of a wrong kind");
	}
	rpc_text_done(&text);
}

static void
on_too_long(struct peer *p)
{
	struct chan *c = chan_of(p);

	c->ops->on_broken(c, "a message over max_message");
}

static void
on_gone(struct peer *p, const char *reason)
{
	struct chan *c = chan_of(p);

	c->buried = true;
	if (c->reaped) {
		c->ops->on_over(c);
		return;
	}
	/* Its process dies of the closed channel; the reaping will be told. */
	set_state(c, CHAN_LOST);
	log_debug("worker %s/%u: channel closed: %s", c->crew->settings->name,
	    c->number, reason == NULL ? "end of file" : reason);
}

static const struct peer_ops chan_peer_ops = {
    .on_line = on_line,
    .on_too_long = on_too_long,
    .on_gone = on_gone,
};

int
chan_new(struct crew *crew, struct peer_group *g, int fd, unsigned number,
    pid_t pid, size_t max_message, const struct chan_ops *ops,
    struct chan **out)
{
	struct chan *c;
	int r;

	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	r = 0;
	if (fd >= 0)
		r = peer_init(&c->peer, g, fd, max_message + LINE_SLACK,
		    (max_message + LINE_SLACK) * (BROKER_THREADS_MAX + 1),
		    &chan_peer_ops);
	if (r < 0) {
		free(c);
		return r;
	}
	if (fd < 0) {
		c->peer.fd = -1;
		c->buried = true;
	}
	c->ops = ops;
	c->crew = crew;
	c->number = number;
	c->pid = pid;
	c->started_at = wall_now_ms();
	c->shift = crew->main;
	TAILQ_INSERT_TAIL(&crew->chans, c, entry);
	crew->n_chans++;
	c->shift->n_chans++;
	count_state(c, 1);
	*out = c;
	return 0;
}

/* What chan_new does not know of a worker. */
static int
copy_numbers(struct chan *c, const struct chan *like)
{
	c->alone = like->alone;
	c->condemned = like->condemned;
	c->served = like->served;
	c->n_requests = like->n_requests;
	c->n_done = like->n_done;
	c->retire_after = like->retire_after;
	c->worn = like->worn;
	c->started_at = like->started_at;
	if (like->threads > 0 && allot_slots(c, like->threads) < 0)
		return -ENOMEM;
	if (like->shift != NULL)
		chan_set_shift(c, like->shift);
	set_state(c, like->state);
	return 0;
}

int
chan_restore(struct crew *crew, struct peer_group *g, int fd,
    size_t max_message, const struct chan_ops *ops, const struct chan *like,
    const struct peer_state *peer, struct chan **out)
{
	struct chan *c;
	int r;

	r = chan_new(
	    crew, g, fd, like->number, like->pid, max_message, ops, &c);
	if (r < 0) {
		if (fd >= 0)
			close(fd);
		return r;
	}
	r = copy_numbers(c, like);
	if (r == 0 && fd >= 0)
		r = peer_restore(&c->peer, peer);
	if (r < 0) {
		peer_close(&c->peer, "out of memory");
		return r;
	}
	c->peer.reset = peer->reset;
	shift_sort(c->shift, c);
	*out = c;
	return 0;
}

int
chan_restore_run(struct chan *c, uint64_t rpc_id, struct task *t)
{
	unsigned i, slot = SLOT_OF(rpc_id), n_free = c->threads - c->n_running;

	if (t->state != TASK_RUNNING || t->chan != NULL)
		return -EINVAL;
	for (i = 0; i < n_free && c->free_slots[i] != slot; i++)
		continue;
	if (i >= n_free)
		return -EINVAL;
	c->free_slots[i] = c->free_slots[n_free - 1];
	occupy(c, t, slot, rpc_id);
	shift_sort(c->shift, c);
	return 0;
}

void
chan_free(struct chan *c)
{
	if (c == NULL)
		return;
	set_state(c, CHAN_LOST);
	c->shift->n_chans--;
	if (c->shift->kept == c)
		c->shift->kept = NULL;
	TAILQ_REMOVE(&c->crew->chans, c, entry);
	c->crew->n_chans--;
	free(c->runs);
	free(c->free_slots);
	free(c);
}

void
chan_take_on(struct chan *c, struct task *t)
{
	unsigned slot;

	slot = c->free_slots[c->threads - c->n_running - 1];
	occupy(c, t, slot, ++c->n_requests * BROKER_THREADS_MAX + slot);
	t->crew = c->crew;
	t->worker = c->number;

	/* The one that was fed goes behind the others. */
	if (c->listed) {
		TAILQ_REMOVE(&c->shift->idle, c, idle_entry);
		c->listed = false;
	}
	shift_sort(c->shift, c);
}

void
chan_send(struct chan *c, const struct task *t, int64_t timeout_ms,
    int64_t soft_timeout_ms)
{
	struct buf *out = &c->peer.out;

	rpc_open_request(out, c->runs[t->run_slot].rpc_id, "task.run");
	buf_adds(out, "{\"id\":");
	buf_add_uint(out, t->id);
	buf_adds(out, ",\"run\":");
	buf_add_uint(out, t->run);
	buf_adds(out, ",\"name\":");
	buf_add_json_cstr(out, t->kind->name);
	buf_adds(out, ",\"args\":");
	buf_adds(out, t->args == NULL ? "null" : t->args);
	buf_adds(out, ",\"attempt\":");
	buf_add_uint(out, t->attempt + 1);
	if (timeout_ms > 0) {
		buf_adds(out, ",\"timeout_ms\":");
		buf_add_int(out, timeout_ms);
	}
	if (soft_timeout_ms > 0) {
		buf_adds(out, ",\"soft_timeout_ms\":");
		buf_add_int(out, soft_timeout_ms);
	}
	buf_addc(out, '}');
	rpc_close(out);
	peer_send(&c->peer);
}

void
chan_take_back(struct chan *c, struct task *t)
{
	release(c, t);
}

void
chan_cancel(struct chan *c, const struct task *t, int64_t grace_ms)
{
	struct buf *out = &c->peer.out;

	if (!peer_is_open(&c->peer))
		return;
	rpc_open_notification(out, "task.cancel");
	buf_adds(out, "{\"id\":");
	buf_add_uint(out, t->id);
	buf_adds(out, ",\"run\":");
	buf_add_uint(out, t->run);
	buf_adds(out, ",\"grace_ms\":");
	buf_add_int(out, grace_ms);
	buf_addc(out, '}');
	rpc_close(out);
	peer_send(&c->peer);
}

void
chan_condemn(struct chan *c, bool condemned)
{
	c->condemned = condemned;
	if (condemned && c->shift->kept == c) {
		c->shift->kept = NULL;
		c->alone = false;
	}
	shift_sort(c->shift, c);
}

void
chan_pill(struct chan *c)
{
	if (c->state >= CHAN_PILLED)
		return;
	rpc_open_notification(&c->peer.out, "worker.stop");
	buf_adds(&c->peer.out, "{}");
	rpc_close(&c->peer.out);
	peer_send(&c->peer);
	set_state(c, CHAN_PILLED);
}

void
chan_doom(struct chan *c)
{
	if (c->state < CHAN_DOOMED)
		set_state(c, CHAN_DOOMED);
}

void
chan_reaped(struct chan *c)
{
	c->reaped = true;
	peer_drain(&c->peer);
	if (peer_is_open(&c->peer))
		peer_close(&c->peer, NULL);
	set_state(c, CHAN_LOST);
}

struct task *
chan_take(struct chan *c)
{
	unsigned i;

	for (i = 0; c->n_running > 0 && i < c->threads; i++) {
		struct task *t = c->runs[i].task;

		if (t != NULL) {
			release(c, t);
			return t;
		}
	}
	return NULL;
}

const char *
chan_state_name(const struct chan *c)
{
	switch (c->state) {
	case CHAN_STARTING:
		return "starting";
	case CHAN_UP:
		return c->n_running > 0 ? "busy" : "idle";
	case CHAN_PILLED:
		return "retiring";
	case CHAN_DOOMED:
	case CHAN_LOST:
		break;
	}
	return "ending";
}
