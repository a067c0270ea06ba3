/* SPDX-License-Identifier: ISC */
/*
 * method_admin.c - server.reload, server.upgrade, pool.scale, pool.restart and
 * worker.dump: what only the master can do
 *
 * Here the parameters are checked, as far as the broker knows; the master
 * carries it out, and may refuse it still.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "master/broker/chan.h"
#include "master/broker/method.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

#define PROCESSES_MAX 1024

static void
server_reload(struct broker *b, struct call *call, const struct param *v)
{
	(void)v;
	ask_send(b, call, "reload", json_object());
}

static void
server_upgrade(struct broker *b, struct call *call, const struct param *v)
{
	(void)v;
	ask_send(b, call, "upgrade", json_object());
}

/* Find a pool that is not about to go.  NULL, and *f names those there are. */
static const struct crew *
find_pool(const struct broker *b, const char *name, struct fault *f)
{
	bool first = true;
	size_t i;

	for (i = 0; i < b->n_crews; i++)
		if (strcmp(b->crews[i]->name, name) == 0 &&
		    b->crews[i]->state != CREW_LEAVING)
			return b->crews[i];
	fault_set(
	    f, RPC_NO_SUCH_NAME, "no such pool \"%s\"; there are: ", name);
	f->param = "pool";
	for (i = 0; i < b->n_crews; i++) {
		if (b->crews[i]->state == CREW_LEAVING)
			continue;
		fault_add_choice(f, b->crews[i]->name, first);
		first = false;
	}
	return NULL;
}

static const struct param_def scale_params[] = {
    {"pool", PARAM_STR, true, 0, 0},
    {"processes", PARAM_INT, false, 1, PROCESSES_MAX},
    {"by", PARAM_INT, false, -PROCESSES_MAX, PROCESSES_MAX},
};

static void
pool_scale(struct broker *b, struct call *call, const struct param *v)
{
	bool by = v[2].given;
	struct fault f;

	if (v[1].given == by || (by && v[2].number == 0)) {
		fault_set(&f, RPC_INVALID_PARAMS,
		    "one of \"processes\" and \"by\" is wanted, and \"by\" "
		    "is not 0");
		f.param = by ? "by" : "processes";
		call_error(call, &f);
	} else if (find_pool(b, v[0].text, &f) == NULL) {
		call_error(call, &f);
	} else {
		ask_send(b, call, "scale",
		    json_pack("{s:s,s:I}", "pool", v[0].text,
			by ? "by" : "processes",
			(json_int_t)v[by ? 2 : 1].number));
	}
}

static const struct param_def restart_params[] = {
    {"pool", PARAM_STR, false, 0, 0},
};

static void
pool_restart(struct broker *b, struct call *call, const struct param *v)
{
	struct fault f;

	if (!v[0].given)
		ask_send(b, call, "restart", json_object());
	else if (find_pool(b, v[0].text, &f) == NULL)
		call_error(call, &f);
	else
		ask_send(
		    b, call, "restart", json_pack("{s:s}", "pool", v[0].text));
}

/* Find the worker of a name, "POOL/N".  NULL, and *f names those there are. */
static const struct chan *
find_worker(const struct broker *b, const char *name, struct fault *f)
{
	char other[PROTO_NAME_MAX + 16];
	const struct chan *c;
	bool first = true;
	size_t i;

	fault_set(
	    f, RPC_NO_SUCH_NAME, "no such worker \"%s\"; there are: ", name);
	f->param = "worker";
	for (i = 0; i < b->n_crews; i++)
		TAILQ_FOREACH(c, &b->crews[i]->chans, entry) {
			snprintf(other, sizeof(other), "%s/%u",
			    c->crew->settings->name, c->number);
			if (strcmp(other, name) == 0 && !c->reaped)
				return c;
			fault_add_choice(f, other, first);
			first = false;
		}
	return NULL;
}

static const struct param_def dump_params[] = {
    {"worker", PARAM_STR, true, 0, 0},
};

static void
worker_dump(struct broker *b, struct call *call, const struct param *v)
{
	struct fault f;

	if (find_worker(b, v[0].text, &f) == NULL)
		call_error(call, &f);
	else
		ask_send(
		    b, call, "dump", json_pack("{s:s}", "worker", v[0].text));
}

const struct method method_admin_table[] = {
    {"server.reload", CLASS_ADMIN, NULL, 0, "{changed, needs_restart}",
	server_reload},
    {"server.upgrade", CLASS_ADMIN, NULL, 0, "{version, pid}", server_upgrade},
    {"pool.scale", CLASS_ADMIN, scale_params, N(scale_params),
	"{pool, processes}", pool_scale},
    {"pool.restart", CLASS_ADMIN, restart_params, N(restart_params),
	"{pools}, once all workers are new", pool_restart},
    {"worker.dump", CLASS_ADMIN, dump_params, N(dump_params),
	"{worker, pid, text}", worker_dump},
    {NULL, 0, NULL, 0, NULL, NULL},
};
