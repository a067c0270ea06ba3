/* SPDX-License-Identifier: ISC */
/*
 * handover.c - the broker replaces its own binary in place
 *
 * From the first close-on-exec flag that is cleared to the exec, or to the last
 * one that is set again, nothing else runs, and no signal is handled: the next
 * image handles those that came meanwhile, once it has set itself up.
 */
#include "master/broker/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/clock.h"
#include "ipc/log.h"
#include "master/broker/broker.h"
#include "master/broker/chan.h"
#include "master/broker/conn.h"
#include "master/broker/handover_save.h"
#include "master/broker/storage.h"

#define PATIENCE 5. /* s for calls that are with the store */

/* The upgrade is off. */
static void
fail(struct handover *h, const char *why)
{
	struct broker *b = h->broker;

	log_error("the binary was not replaced: %s", why);
	handover_done(h);
	(void)ctl_send(&b->ctl, -1, "upgrade.failed", "{s:s}", "why", why);
}

static void
set_flag(int fd, bool keep)
{
	if (fd >= 0)
		(void)fcntl(fd, F_SETFD, keep ? 0 : FD_CLOEXEC);
}

/* Let what the next image goes on with stay open in an exec, or not. */
static void
keep_open(const struct broker *b, int state, bool keep)
{
	const struct chan *chan;
	const struct conn *conn;
	size_t i;

	set_flag(state, keep);
	set_flag(b->ctl.fd, keep);
	set_flag(b->listener.fd, keep);
	set_flag(b->settings->shared_fd, keep);
	if (log_fd() > STDERR_FILENO)
		set_flag(log_fd(), keep);
	for (i = 0; i < b->n_crews; i++)
		TAILQ_FOREACH(chan, &b->crews[i]->chans, entry) {
			set_flag(chan->peer.fd, keep);
		}
	TAILQ_FOREACH(conn, &b->conns, entry) {
		set_flag(conn->peer.fd, keep);
	}
}

/* The environment with one more variable, which is borrowed.  NULL: -ENOMEM. */
static char **
make_env(char *variable)
{
	char **env;
	size_t n;

	for (n = 0; environ[n] != NULL; n++)
		continue;
	env = calloc(n + 2, sizeof(char *));
	if (env == NULL)
		return NULL;
	env[0] = variable;
	memcpy(env + 1, environ, n * sizeof(char *));
	return env;
}

/* Returns only when it failed: -errno. */
static int
exec_binary(const struct broker *b, int binary, int state)
{
	char variable[64], name[] = "gangerd";
	char *argv[] = {name, NULL};
	sigset_t all, old;
	char **env;
	int r;

	snprintf(variable, sizeof(variable), HANDOVER_ENV "=%d", state);
	env = make_env(variable);
	if (env == NULL)
		return -ENOMEM;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	keep_open(b, state, true);
	(void)execveat(binary, "", argv, env, AT_EMPTY_PATH);
	r = -errno;
	keep_open(b, state, false);
	sigprocmask(SIG_SETMASK, &old, NULL);
	free(env);
	return r;
}

/* Hand over.  Returns only when it failed. */
static void
attempt(struct handover *h)
{
	struct broker *b = h->broker;
	struct mono begin = mono_now();
	struct handover_out out;
	char why[128];
	int r;

	/* What waits is on the disk, where the next image finds it. */
	window_close(b);
	r = handover_out_open(&out);
	if (r == 0)
		r = handover_save(b, &out);
	if (r < 0) {
		snprintf(why, sizeof(why), "the state can't be written: %s",
		    strerror(-r));
	} else {
		log_debug(
		    "state of %zu tasks and %u clients written in %lld ms",
		    b->n_tasks, b->n_conns,
		    (long long)mono_until_ms(begin, mono_now()));
		storage_close(b);
		r = exec_binary(b, h->binary, out.fd);
		snprintf(why, sizeof(why), "can't execute the new binary: %s",
		    strerror(-r));
		storage_reopen(b);
	}
	handover_out_done(&out);
	window_open(b);
	fail(h, why);
}

/* Let what is open come to its end. */
static void
hurry(struct broker *b)
{
	if (!b->holding)
		conn_hold_all(b, true);
	hold_refuse_all(b);
}

static void
on_turn_over(struct ev_loop *loop, struct ev_prepare *w, int revents)
{
	struct handover *h = w->data;
	struct broker *b = h->broker;

	(void)loop;
	(void)revents;
	if (b->phase != BROKER_SERVING)
		fail(h, "the daemon is stopping");
	else if (b->store_failing != 0)
		fail(h, "the store can't be written");
	else if (handover_is_at_rest(b))
		attempt(h);
	else
		hurry(b);
}

static void
on_patience_over(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct handover *h = w->data;

	(void)loop;
	(void)revents;
	if (h->binary >= 0)
		fail(h, "too much is asked of the store; try again later");
}

void
handover_init(struct handover *h, struct broker *b)
{
	h->broker = b;
	h->binary = -1;
	ev_prepare_init(&h->turn, on_turn_over);
	/* After the peers' end of the turn. */
	ev_set_priority(&h->turn, EV_MINPRI);
	h->turn.data = h;
	ev_timer_init(&h->patience, on_patience_over, PATIENCE, 0.);
	h->patience.data = h;
}

void
handover_done(struct handover *h)
{
	if (h->binary < 0)
		return;
	close(h->binary);
	h->binary = -1;
	ev_prepare_stop(h->broker->loop, &h->turn);
	ev_timer_stop(h->broker->loop, &h->patience);
	if (h->broker->holding)
		conn_hold_all(h->broker, false);
	/* What clients and queues hold is taken at the end of a turn: bring
	 * one. */
	ev_timer_set(&h->patience, 0., 0.);
	ev_timer_start(h->broker->loop, &h->patience);
}

void
handover_order(struct handover *h, int binary)
{
	struct broker *b = h->broker;

	if (binary < 0 || h->binary >= 0) {
		if (binary >= 0)
			close(binary);
		(void)ctl_send(&b->ctl, -1, "upgrade.failed", "{s:s}", "why",
		    binary < 0 ? "no binary came with the order"
			       : "an upgrade is under way already");
		return;
	}
	h->binary = binary;
	ev_prepare_start(b->loop, &h->turn);
	ev_timer_set(&h->patience, PATIENCE, 0.);
	ev_timer_start(b->loop, &h->patience);
}
