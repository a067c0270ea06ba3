/* SPDX-License-Identifier: ISC */
/*
 * order.c - what the broker tells the master
 */
#include "master/supervisor/order.h"

#include <signal.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "ipc/log.h"
#include "master/supervisor/answer.h"
#include "master/supervisor/autoscale.h"
#include "master/supervisor/child.h"
#include "master/supervisor/pool.h"
#include "master/supervisor/reload.h"
#include "master/supervisor/supervisor.h"
#include "master/supervisor/upgrade.h"

static const char *
text_of(json_t *msg, const char *key)
{
	const char *text = json_string_value(json_object_get(msg, key));

	return text == NULL ? "" : text;
}

static void
take_ready(struct supervisor *sv, json_t *msg)
{
	supervisor_take_ready(
	    sv, json_is_true(json_object_get(msg, "resumed")));
}

static void
take_stop(struct supervisor *sv, json_t *msg)
{
	supervisor_stop(sv,
	    strcmp(text_of(msg, "mode"), "quick") == 0 ? SUPERVISOR_QUICK
						       : SUPERVISOR_GRACEFUL,
	    "a client asked for it");
}

static void
take_drained(struct supervisor *sv, json_t *msg)
{
	(void)msg;
	sv->drained = true;
}

/* At the start that is the end; later it may be mended meanwhile. */
static void
take_store_failed(struct supervisor *sv, json_t *msg)
{
	json_t *status = json_object_get(msg, "status");

	if (sv->phase != SUPERVISOR_STARTING)
		return;
	sv->exit_status = json_is_integer(status)
			      ? (int)json_integer_value(status)
			      : EX_IOERR;
	/* The broker has logged why. */
	supervisor_stop(sv, SUPERVISOR_QUICK, "no store to keep tasks in");
}

static void
take_applied(struct supervisor *sv, json_t *msg)
{
	reload_take_applied(
	    sv, json_is_true(json_object_get(msg, "ok")), text_of(msg, "why"));
}

static void
take_upgrade_failed(struct supervisor *sv, json_t *msg)
{
	upgrade_take_failed(sv, text_of(msg, "why"));
}

static void
take_load(struct supervisor *sv, json_t *msg)
{
	struct pool *p = pool_find(sv, text_of(msg, "pool"));

	if (p != NULL)
		autoscale_take_load(p, msg);
}

static void
take_hello(struct slot *s, json_t *msg)
{
	(void)msg;
	child_take_hello(s);
}

static void
take_served(struct slot *s, json_t *msg)
{
	(void)msg;
	child_take_served(s);
}

/* It has done what it may, or too much: have it replaced. */
static void
take_recycle(struct slot *s, json_t *msg)
{
	char name[SLOT_NAME_SIZE];

	slot_name(s, name);
	log_info("%s, pid %d, is to be replaced: %s", name, (int)s->pid,
	    text_of(msg, "why"));
	s->stale = true;
	pool_adjust(s->pool);
}

static void
take_kill(struct slot *s, json_t *msg)
{
	log_warn("worker %s/%u, pid %d, is killed: %s", s->pool->name,
	    s->number, (int)s->pid, text_of(msg, "why"));
	if (!json_is_true(json_object_get(msg, "at_fault")))
		s->ordered = true;
	slot_kill_group(s, SIGKILL);
}

static const struct {
	const char *name;
	void (*take)(struct supervisor *sv, json_t *msg);
	void (*take_worker)(struct slot *s, json_t *msg);
} orders[] = {
    {"ready", take_ready, NULL},
    {"stop", take_stop, NULL},
    {"drained", take_drained, NULL},
    {"store.failed", take_store_failed, NULL},
    {"settings.applied", take_applied, NULL},
    {"upgrade.failed", take_upgrade_failed, NULL},
    {"ask", answer_take, NULL},
    {"pool.load", take_load, NULL},
    {"worker.hello", NULL, take_hello},
    {"worker.served", NULL, take_served},
    {"worker.recycle", NULL, take_recycle},
    {"worker.kill", NULL, take_kill},
};

static void
on_order(void *arg, const char *name, json_t *msg, int fd)
{
	struct supervisor *sv = arg;
	struct slot *s;
	size_t i;

	if (fd >= 0)
		close(fd);
	for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
		if (strcmp(orders[i].name, name) == 0)
			break;
	if (i == sizeof(orders) / sizeof(orders[0])) {
		log_error("unknown order %s", name);
		return;
	}
	if (orders[i].take != NULL) {
		orders[i].take(sv, msg);
		return;
	}
	s = pool_find_worker(
	    sv, (pid_t)json_integer_value(json_object_get(msg, "pid")));
	if (s != NULL) /* else it was reaped meanwhile */
		orders[i].take_worker(s, msg);
}

/* The broker's end of the control channel closed: its reaping will follow. */
static void
on_broker_gone(void *arg)
{
	struct supervisor *sv = arg;

	ctl_done(&sv->ctl);
	sv->broker_ready = false;
	/* One that hangs without its channel would never be replaced. */
	if (sv->phase <= SUPERVISOR_SERVING)
		slot_kill(&sv->broker, SIGKILL);
}

const struct ctl_ops order_ctl_ops = {
    .on_msg = on_order,
    .on_gone = on_broker_gone,
};
