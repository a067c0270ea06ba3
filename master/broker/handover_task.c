/* SPDX-License-Identifier: ISC */
/*
 * handover_task.c - a task as a record
 *
 * There may be millions of them: fields go as numbers, texts as they are.
 */
#include "master/broker/handover_task.h"

#include <errno.h>
#include <string.h>

#include "ipc/proto.h"
#include "master/broker/chan.h"
#include "master/broker/handover_field.h"
#include "master/broker/life.h"
#include "master/broker/reconfigure.h"
#include "master/broker/roster.h"
#include "master/broker/storage.h"
#include "master/broker/store_memory.h"

#define FIELD(member, type) HANDOVER_FIELD(task, member, type)
#define N_FIELDS            (sizeof(task_fields) / sizeof(task_fields[0]))
#define N_TEXTS             8

/* New ones go to the end. */
static const struct handover_field task_fields[] = {
    FIELD(id, HANDOVER_64),
    FIELD(state, HANDOVER_32),
    FIELD(priority, HANDOVER_U8),
    FIELD(durable, HANDOVER_BOOL),
    FIELD(suspect, HANDOVER_BOOL),
    FIELD(timed_out, HANDOVER_BOOL),
    FIELD(answered, HANDOVER_BOOL),
    FIELD(seq, HANDOVER_64),
    FIELD(attempt, HANDOVER_32),
    FIELD(retries, HANDOVER_32),
    FIELD(run, HANDOVER_32),
    FIELD(crashes, HANDOVER_32),
    FIELD(interrupted, HANDOVER_32),
    FIELD(backoff_ms, HANDOVER_64),
    FIELD(timeout_ms, HANDOVER_64),
    FIELD(soft_timeout_ms, HANDOVER_64),
    FIELD(result_ttl_ms, HANDOVER_64),
    FIELD(submitted_at, HANDOVER_64),
    FIELD(run_at, HANDOVER_64),
    FIELD(started_at, HANDOVER_64),
    FIELD(finished_at, HANDOVER_64),
    FIELD(run_at_is_wall, HANDOVER_BOOL),
    FIELD(expires, HANDOVER_64),
    FIELD(due, HANDOVER_64),
    FIELD(ready_at, HANDOVER_64),
    FIELD(n_charged, HANDOVER_64),
    FIELD(worker, HANDOVER_32),
    {"told", HANDOVER_BOOL, offsetof(struct task, progress.told)},
    {"done", HANDOVER_64, offsetof(struct task, progress.done)},
    {"total", HANDOVER_64, offsetof(struct task, progress.total)},
    FIELD(at_most_once, HANDOVER_BOOL),
    FIELD(parked, HANDOVER_BOOL),
    FIELD(holds, HANDOVER_BOOL),
    FIELD(recoveries, HANDOVER_32),
    FIELD(due_ms, HANDOVER_64),
    FIELD(expires_ms, HANDOVER_64),
    FIELD(cancelling, HANDOVER_BOOL),
    FIELD(outstayed, HANDOVER_BOOL),
    FIELD(kill_at, HANDOVER_64),
};

static void
set_raw(struct handover_raw *raw, const char *text)
{
	raw->data = text;
	raw->n = text == NULL ? 0 : strlen(text);
}

void
handover_task_write(
    struct handover_out *o, const char *type, const struct task *t)
{
	struct handover_raw raws[1 + N_TEXTS];
	struct buf *out, numbers;

	buf_init(&numbers, SIZE_MAX);
	handover_add_numbers(&numbers, task_fields, N_FIELDS, t);
	if (o->error == 0)
		o->error = buf_error(&numbers);
	raws[0].data = buf_head(&numbers);
	raws[0].n = buf_len(&numbers);
	set_raw(&raws[1], t->args);
	set_raw(&raws[2], t->meta);
	set_raw(&raws[3], t->result);
	set_raw(&raws[4], t->error);
	set_raw(&raws[5], t->progress.note);
	set_raw(&raws[6], t->errors);
	set_raw(&raws[7], t->key);
	set_raw(&raws[8], t->unique);
	out = handover_out_begin(o, type);
	handover_add_str(out, "kind", t->kind->name);
	handover_add_str(out, "queue", t->queue->name);
	if (t->crew != NULL)
		handover_add_str(out, "pool", t->crew->name);
	if (t->chan != NULL) {
		handover_add_int(out, "pid", t->chan->pid);
		handover_add_int(
		    out, "rpc", (int64_t)t->chan->runs[t->run_slot].rpc_id);
	}
	if (task_is_final(t))
		handover_add_int(out, "until", t->timer.due.ns);
	handover_out_end_raws(o, raws, 1 + N_TEXTS);
	buf_done(&numbers);
}

static int
read_texts(const struct handover_in *in, struct task *t)
{
	char **fields[N_TEXTS] = {&t->args, &t->meta, &t->result, &t->error,
	    &t->progress.note, &t->errors, &t->key, &t->unique};
	char *text;
	size_t i;
	int r;

	for (i = 0; i < N_TEXTS; i++) {
		r = handover_in_text(in, 1 + i, &text);
		if (r < 0)
			return r;
		task_set_text(t, fields[i], text);
	}
	return 0;
}

/* Find what the task's struct points to. */
static int
find_place(const struct handover_in *in, struct broker *b, struct task *t)
{
	const char *kind = handover_in_str(in, "kind");
	const char *queue = handover_in_str(in, "queue");
	const char *pool = handover_in_str(in, "pool");
	int r;

	if (kind == NULL || queue == NULL)
		return -EINVAL;
	r = catalog_need_kind(&b->catalog, kind, &t->kind);
	if (r == 0)
		r = catalog_need_queue(&b->catalog, queue, &t->queue);
	if (r == 0 && pool != NULL)
		r = reconfigure_need_crew(b, pool, &t->crew);
	/* One that has ended waits nowhere. */
	if (r == 0 && !task_is_final(t))
		r = catalog_place(&b->catalog, t->queue, t->kind, &t->lane);
	return r;
}

static bool
is_sound(const struct task *t)
{
	return t->id > 0 && t->state < TASK_N_STATES &&
	       t->priority < PROTO_PRIORITIES;
}

int
handover_task_read(const struct handover_in *in, struct broker *b,
    struct task **out, struct mono *until_out)
{
	struct task *t;
	int r;

	t = task_new(0);
	if (t == NULL)
		return -ENOMEM;
	handover_in_numbers(handover_in_raw(in, 0), task_fields, N_FIELDS, t);
	r = is_sound(t) ? read_texts(in, t) : -EINVAL;
	if (r == 0)
		r = find_place(in, b, t);
	if (r < 0) {
		task_unref(t);
		return r;
	}
	until_out->ns = handover_in_int(in, "until");
	*out = t;
	return 0;
}

int
handover_task_restore(const struct handover_in *in, struct broker *b)
{
	struct mono until;
	struct chan *c;
	struct task *t;
	int r;

	r = handover_task_read(in, b, &t, &until);
	if (r < 0)
		return r;
	if (task_is_final(t)) {
		r = store_memory_restore(storage_memory(b), t, until);
		task_unref(t);
		return r;
	}
	r = life_restore(b, t);
	if (r < 0) {
		task_unref(t);
		return r;
	}
	if (t->state != TASK_RUNNING)
		return 0;
	c = roster_find(b, (pid_t)handover_in_int(in, "pid"));
	if (c == NULL)
		return -EINVAL;
	return chan_restore_run(c, (uint64_t)handover_in_int(in, "rpc"), t);
}
