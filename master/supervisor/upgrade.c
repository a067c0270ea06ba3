/* SPDX-License-Identifier: ISC */
/*
 * upgrade.c - replace the running binary, in place
 */
#include "master/supervisor/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ipc/log.h"
#include "master/supervisor/answer.h"
#include "master/supervisor/dump.h"
#include "master/supervisor/handover.h"
#include "master/supervisor/notify.h"
#include "master/supervisor/reload.h"
#include "master/supervisor/supervisor.h"

#define AGAIN_S        .005
#define BROKER_WAIT_MS 60000

static void
forget(struct supervisor *sv)
{
	struct upgrade *u = &sv->upgrade;

	json_decref(u->checked);
	u->checked = NULL;
	u->phase = UPGRADE_IDLE;
	ev_timer_stop(sv->loop, &u->again);
	deadline_stop(&u->broker);
}

static void
refuse(struct supervisor *sv, bool retryable, const char *why, json_t *mistakes)
{
	struct upgrade *u = &sv->upgrade;
	json_t *item;
	size_t i;

	json_array_foreach(u->asking, i, item)
		answer_refused(sv, (uint64_t)json_integer_value(item),
		    retryable, why, mistakes);
	(void)json_array_clear(u->asking);
}

static void
fail(struct supervisor *sv, bool retryable, const char *why, json_t *mistakes)
{
	json_t *item;
	size_t i;

	log_error("upgrade: %s; everything stays as it is", why);
	json_array_foreach(mistakes, i, item)
		log_error("upgrade: %s", json_string_value(item));
	refuse(sv, retryable, why, mistakes);
	forget(sv);
	notify_ready(&sv->notify);
	reload_resume(sv);
}

/* Write all that the new image needs into a memfd.  -errno. */
static int
write_state(struct supervisor *sv)
{
	struct upgrade *u = &sv->upgrade;
	json_t *state;
	char *text;
	size_t len;
	int fd, r;

	state = handover_write(sv);
	if (state == NULL)
		return -ENOMEM;
	(void)json_object_set(state, "next", u->checked);
	(void)json_object_set(state, "asking", u->asking);
	r = reload_hand_over(sv, state);
	if (r == 0)
		r = sv->ops->hand_over(sv->arg, state, true);
	text = r < 0 ? NULL : json_dumps(state, JSON_COMPACT);
	json_decref(state);
	if (text == NULL)
		return r < 0 ? r : -ENOMEM;
	/* Stays open over the exec. */
	fd = memfd_create("ganger-master", 0);
	r = fd < 0 ? -errno : fd;
	len = strlen(text);
	if (fd >= 0 && write(fd, text, len) != (ssize_t)len) {
		close(fd);
		r = -EIO;
	}
	free(text);
	return r;
}

/* Become the new binary, or say why not. */
static void
leave(struct supervisor *sv)
{
	int binary, state, r;

	binary = sv->ops->open_binary(sv->arg);
	if (binary < 0) {
		fail(sv, false, strerror(-binary), NULL);
		return;
	}
	handover_keep_fds(sv, true);
	state = write_state(sv);
	r = state;
	if (state >= 0) {
		log_info("upgrade: the new binary takes over");
		r = sv->ops->exec_binary(sv->arg, binary, state);
		close(state);
	}
	handover_keep_fds(sv, false);
	(void)sv->ops->hand_over(sv->arg, NULL, false);
	close(binary);
	fail(sv, false, strerror(-r), NULL);
}

static void
on_again(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct supervisor *sv = w->data;

	(void)loop;
	(void)revents;
	/* They live in this image's timers. */
	dump_refuse_all(sv, "an upgrade is under way");
	/* Orders that wait for room, with their descriptors, must go first;
	 * without a broker there is nobody to hand over. */
	if (!sv->broker_ready || !ctl_is_flushed(&sv->ctl)) {
		ev_timer_set(w, AGAIN_S, 0.);
		ev_timer_start(sv->loop, w);
		return;
	}
	leave(sv);
}

static void
on_checked(void *arg, const struct verdict *v)
{
	struct supervisor *sv = arg;
	struct upgrade *u = &sv->upgrade;

	if (v->answer == NULL) {
		fail(sv, v->retryable,
		    v->unchecked
			? "the new binary could not check the configuration"
			: "the new binary refuses the configuration",
		    v->mistakes);
		return;
	}
	log_info("upgrade: to version %s", v->version);
	u->checked = json_incref(v->answer);
	u->phase = UPGRADE_LEAVING;
	ev_timer_set(&u->again, 0., 0.);
	ev_timer_start(sv->loop, &u->again);
}

bool
upgrade_is_busy(const struct supervisor *sv)
{
	return sv->upgrade.phase != UPGRADE_IDLE;
}

void
upgrade_start(struct supervisor *sv, const char *why, uint64_t ask_id)
{
	struct upgrade *u = &sv->upgrade;
	const char *busy = NULL;
	int r;

	if (sv->phase != SUPERVISOR_SERVING)
		busy = "the daemon is starting or stopping";
	else if (upgrade_is_busy(sv) ||
		 (sv->reload.phase != RELOAD_IDLE && sv->reload.renewed))
		busy = "an upgrade is under way";
	else if (sv->reload.phase != RELOAD_IDLE)
		busy = "a reload is under way";
	if (busy != NULL) {
		log_info("%s: no upgrade: %s", why, busy);
		answer_refused(sv, ask_id, true, busy, NULL);
		return;
	}
	log_info("%s: upgrading to the binary that is installed", why);
	notify_reloading(&sv->notify);
	if (ask_id != 0)
		(void)json_array_append_new(
		    u->asking, json_integer((json_int_t)ask_id));
	u->phase = UPGRADE_CHECKING;
	r = sv->ops->check_start(sv->arg, sv->loop, true, on_checked, sv);
	if (r < 0)
		fail(sv, true, strerror(-r), NULL);
}

static void
on_broker_late(void *arg)
{
	struct supervisor *sv = arg;

	log_error("upgrade: the broker does not come back: killed");
	slot_kill(&sv->broker, SIGKILL);
}

void
upgrade_go_on(struct supervisor *sv, json_t *state)
{
	struct upgrade *u = &sv->upgrade;
	int fd, r;

	u->phase = UPGRADE_BROKER;
	u->checked = json_incref(json_object_get(state, "next"));
	(void)json_array_extend(u->asking, json_object_get(state, "asking"));
	reload_take_over(sv, state);
	notify_reloading(&sv->notify);
	fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	r = fd < 0 ? -errno : ctl_send(&sv->ctl, fd, "upgrade", NULL);
	if (fd >= 0)
		close(fd);
	if (r < 0)
		upgrade_take_failed(sv, strerror(-r));
	else
		deadline_set(&u->broker, BROKER_WAIT_MS);
}

void
upgrade_take_broker(struct supervisor *sv)
{
	struct upgrade *u = &sv->upgrade;
	struct config *next;
	json_t *names;
	int r;

	if (u->phase != UPGRADE_BROKER)
		return;
	r = sv->ops->load_checked(sv->arg, u->checked, &next, &names);
	if (r < 0) {
		fail(sv, false, "the configuration can't be read again", NULL);
		return;
	}
	forget(sv);
	reload_try(sv, next, names, u->asking);
	(void)json_array_clear(u->asking);
}

void
upgrade_take_failed(struct supervisor *sv, const char *why)
{
	log_error("upgrade: the broker stays with the old binary: %s", why);
	upgrade_take_broker(sv);
}

void
upgrade_cancel(struct supervisor *sv)
{
	struct upgrade *u = &sv->upgrade;

	if (u->phase == UPGRADE_IDLE)
		return;
	if (u->phase == UPGRADE_CHECKING)
		sv->ops->check_cancel(sv->arg);
	refuse(sv, true, "the daemon is stopping", NULL);
	log_info("the upgrade is given up for the stop");
	forget(sv);
}

int
upgrade_init(struct supervisor *sv)
{
	struct upgrade *u = &sv->upgrade;

	u->asking = json_array();
	ev_timer_init(&u->again, on_again, 0., 0.);
	u->again.data = sv;
	deadline_init(&u->broker, sv->loop, on_broker_late, sv);
	return u->asking == NULL ? -ENOMEM : 0;
}

void
upgrade_done(struct supervisor *sv)
{
	forget(sv);
	json_decref(sv->upgrade.asking);
}
