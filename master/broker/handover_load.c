/* SPDX-License-Identifier: ISC */
/*
 * handover_load.c - a broker from the records of the one before it
 *
 * The settings are put in force one after the other as they were, so that pools
 * which leave come to be what they are, while there are no tasks yet.
 */
#include "master/broker/handover_load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/log.h"
#include "master/broker/broker.h"
#include "master/broker/handover_client.h"
#include "master/broker/handover_count.h"
#include "master/broker/handover_save.h"
#include "master/broker/handover_task.h"
#include "master/broker/handover_worker.h"
#include "master/broker/reconfigure.h"

struct loading {
	struct broker *b;
	struct handover_in *in;
	const struct handover_head *head;
	struct broker_shared *shared;
	struct handover_workers workers;
	struct handover_clients clients;
};

static void
take_log(const struct handover_in *in)
{
	struct log_setup log = {
	    .fd = (int)handover_in_int(in, "log_fd"),
	    .level = (enum log_level)handover_in_int(in, "log_level"),
	    .format = (enum log_format)handover_in_int(in, "log_format"),
	    .uid = (uid_t)handover_in_int(in, "log_uid"),
	    .gid = (gid_t)handover_in_int(in, "log_gid"),
	};
	char *path;

	if (handover_in_text(in, 0, &path) < 0)
		return;
	log.path = path == NULL ? "" : path;
	log_restore(&log);
	free(path);
}

int
handover_load_head(struct handover_in *in, struct handover_head *out)
{
	int r = handover_in_expect(in, "broker");

	if (r < 0)
		return r;
	take_log(in);
	if (handover_in_int(in, "version") != HANDOVER_VERSION)
		return -EPROTO;
	out->ctl_fd = (int)handover_in_int(in, "ctl_fd");
	out->listener_fd = (int)handover_in_int(in, "listener_fd");
	out->shared_fd = (int)handover_in_int(in, "shared_fd");
	out->master_pid = (pid_t)handover_in_int(in, "master_pid");
	out->max_clients = (unsigned)handover_in_int(in, "max_clients");
	if (handover_in_fd(out->ctl_fd) < 0 ||
	    handover_in_fd(out->shared_fd) < 0 ||
	    (out->listener_fd >= 0 && handover_in_fd(out->listener_fd) < 0))
		return -EBADF;
	return 0;
}

static int
load_settings(struct loading *l)
{
	struct handover_raw text = handover_in_raw(l->in, 0);
	char why[SETTINGS_WHY_SIZE] = "";
	struct broker_settings *s;
	int r;

	if (text.data == NULL)
		return -EINVAL;
	r = settings_load(text.data, text.n, &s, why);
	if (r == 0) {
		s->max_message = (size_t)handover_in_int(l->in, "max_message");
		s->shared = l->shared;
		s->shared_fd = l->head->shared_fd;
		r = reconfigure(l->b, s, why);
		if (r < 0)
			settings_unref(s);
	}
	if (r < 0)
		log_error("the settings that were handed over: %s", why);
	return r;
}

static int
load_counts(struct loading *l)
{
	return handover_count_load(l->b, l->in);
}

static int
load_queue(struct loading *l)
{
	return handover_count_load_queue(l->b, l->in);
}

static int
load_pool(struct loading *l)
{
	return handover_worker_load_pool(l->b, l->in, &l->workers);
}

static int
load_shift(struct loading *l)
{
	return handover_worker_load_shift(l->b, l->in, &l->workers);
}

static int
load_chan(struct loading *l)
{
	return handover_worker_load_chan(l->b, l->in, &l->workers);
}

static int
load_breaker(struct loading *l)
{
	return holdback_load(l->b, l->in);
}

static int
load_task(struct loading *l)
{
	return handover_task_restore(l->in, l->b);
}

static int
load_conn(struct loading *l)
{
	return handover_client_load_conn(l->b, l->in, &l->clients);
}

static int
load_batch(struct loading *l)
{
	return handover_client_load_batch(l->b, l->in, &l->clients);
}

static int
load_loose(struct loading *l)
{
	return handover_client_load_loose(l->b, l->in, &l->clients);
}

static int
load_call(struct loading *l)
{
	return handover_client_load_call(l->b, l->in, &l->clients);
}

static int
load_record(struct loading *l)
{
	static const struct {
		const char *type;
		int (*load)(struct loading *);
	} table[] = {
	    {"task", load_task}, /* the most frequent ones first */
	    {"ended", load_task},
	    {"call", load_call},
	    {"conn", load_conn},
	    {"batch", load_batch},
	    {"loose", load_loose},
	    {"held", load_settings},
	    {"settings", load_settings},
	    {"counts", load_counts},
	    {"queue", load_queue},
	    {"pool", load_pool},
	    {"shift", load_shift},
	    {"chan", load_chan},
	    {"breaker", load_breaker},
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(l->in->type, table[i].type) == 0)
			return table[i].load(l);
	return -EINVAL;
}

int
handover_load(struct broker *b, struct handover_in *in,
    const struct handover_head *head, struct broker_shared *shared)
{
	struct loading l = {.b = b, .in = in, .head = head, .shared = shared};
	int r;

	handover_clients_init(&l.clients);
	while ((r = handover_in_next(in)) == 1) {
		r = load_record(&l);
		if (r < 0) {
			log_error("a record that was handed over, \"%s\" at "
				  "byte %zu: %s",
			    in->type, in->at, strerror(-r));
			return r;
		}
	}
	if (r < 0)
		return r;
	handover_clients_done(&l.clients);
	return b->settings == NULL ? -EINVAL : 0;
}
