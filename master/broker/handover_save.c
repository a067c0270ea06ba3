/* SPDX-License-Identifier: ISC */
/*
 * handover_save.c - the whole state of a broker as records
 *
 * What follows from other things is not told: counts, lanes, timers and lists
 * are made anew.  Instants of the monotonic clock stay valid over an exec.
 */
#include "master/broker/handover_save.h"

#include <string.h>

#include "ipc/json.h"
#include "ipc/log.h"
#include "master/broker/handover_client.h"
#include "master/broker/handover_count.h"
#include "master/broker/handover_task.h"
#include "master/broker/handover_worker.h"
#include "master/broker/storage.h"
#include "master/broker/store_memory.h"

bool
handover_is_at_rest(const struct broker *b)
{
	return store_is_idle(b->store) && mailbox_is_settled(b) &&
	       hold_is_empty(b) && ctl_is_flushed(&b->ctl) &&
	       peer_group_at_rest(&b->group);
}

static void
save_head(const struct broker *b, struct handover_out *o)
{
	struct handover_raw path;
	struct log_setup log;
	struct buf *out;

	log_save(&log);
	out = handover_out_begin(o, "broker");
	handover_add_int(out, "version", HANDOVER_VERSION);
	handover_add_str(out, "from", GANGER_VERSION);
	handover_add_int(out, "log_fd", log.fd);
	handover_add_int(out, "log_level", log.level);
	handover_add_int(out, "log_format", log.format);
	/* -1 is none, and 0 is root. */
	handover_add_int(out, "log_uid", (int32_t)log.uid);
	handover_add_int(out, "log_gid", (int32_t)log.gid);
	handover_add_int(out, "ctl_fd", b->ctl.fd);
	handover_add_int(out, "listener_fd", b->listener.fd);
	handover_add_int(out, "shared_fd", b->settings->shared_fd);
	handover_add_int(out, "master_pid", b->settings->master_pid);
	handover_add_int(out, "max_clients", b->settings->max_clients);
	path.data = log.path;
	path.n = strlen(log.path);
	handover_out_end_raws(o, &path, 1);
}

static void
save_settings(
    const struct broker_settings *s, const char *type, struct handover_out *o)
{
	struct handover_raw raw;
	struct buf text, *out;

	buf_init(&text, SIZE_MAX);
	buf_add_json(&text, s->root);
	if (o->error == 0)
		o->error = buf_error(&text);
	out = handover_out_begin(o, type);
	/* Not what its text says, when that came with a reload. */
	handover_add_int(out, "max_message", (int64_t)s->max_message);
	raw.data = buf_head(&text);
	raw.n = buf_len(&text);
	handover_out_end_raws(o, &raw, 1);
	buf_done(&text);
}

/* Pools that leave are in the order of their leaving, the last one first. */
static void
save_all_settings(const struct broker *b, struct handover_out *o)
{
	const struct broker_settings *last = NULL;
	size_t i;

	for (i = b->n_crews; i-- > 0;) {
		const struct crew *w = b->crews[i];

		if (w->held != NULL && w->held != last)
			save_settings(w->held, "held", o);
		if (w->held != NULL)
			last = w->held;
	}
	save_settings(b->settings, "settings", o);
}

/* Tasks that wait in lanes or as suspects, each list in its order. */
static void
save_ready(const struct broker *b, struct handover_out *o)
{
	const struct shift *s;
	const struct lane *lane;
	const struct task *t;
	size_t i;
	int p;

	for (i = 0; i < b->catalog.n_all_queues; i++)
		SLIST_FOREACH(lane, &b->catalog.queues[i]->lanes, entry)
		{
			for (p = PROTO_PRIORITIES - 1; p >= 0; p--)
				TAILQ_FOREACH(
				    t, &lane->ready.by_priority[p], entry) {
					handover_task_write(o, "task", t);
				}
		}
	for (i = 0; i < b->n_crews; i++)
		TAILQ_FOREACH(s, &b->crews[i]->shifts, entry) {
			TAILQ_FOREACH(t, &s->suspects, entry) {
				handover_task_write(o, "task", t);
			}
		}
}

static void
save_tasks(struct broker *b, struct handover_out *o)
{
	const struct store *memory = storage_memory(b);
	struct task *t;

	save_ready(b, o);
	RB_FOREACH(t, task_tree, &b->tasks)
	{
		if (t->place != TASK_IN_LANE && t->place != TASK_IN_SUSPECTS)
			handover_task_write(o, "task", t);
	}
	for (t = store_memory_next_ended(memory, NULL); t != NULL;
	     t = store_memory_next_ended(memory, t))
		handover_task_write(o, "ended", t);
}

int
handover_save(struct broker *b, struct handover_out *o)
{
	save_head(b, o);
	save_all_settings(b, o);
	handover_count_save(b, o);
	handover_worker_save(b, o);
	holdback_save(b, o);
	save_tasks(b, o);
	handover_client_save(b, o);
	return handover_out_finish(o);
}
