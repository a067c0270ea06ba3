/* SPDX-License-Identifier: ISC */
/*
 * wallwatch.c - notice that the wall clock was set
 *
 * The kernel cancels a timer on the wall clock when that is set, which wakes
 * the loop; whether it was set is then seen from the two clocks.
 */
#include "master/broker/wallwatch.h"

#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "ipc/clock.h"
#include "ipc/log.h"
#include "master/broker/broker.h"
#include "master/broker/life.h"

/* Less is a clock that is being steered, and adds up until it is not. */
#define JUMP_MS 250
#define NEVER_S (INT64_C(100) * 365 * 86400)

static int64_t
offset_now(void)
{
	return wall_now_ms() - mono_now().ns / 1000000;
}

static int
arm(int fd)
{
	struct itimerspec at = {
	    .it_value.tv_sec = wall_now_ms() / 1000 + NEVER_S};

	if (timerfd_settime(
		fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &at, NULL) < 0)
		return -errno;
	return 0;
}

/* It was cancelled: the look at the end of this turn does the rest. */
static void
on_set(struct ev_loop *loop, struct ev_io *w, int revents)
{
	uint64_t n;

	(void)revents;
	if (read(w->fd, &n, sizeof(n)) < 0 && errno == EAGAIN)
		return;
	if (arm(w->fd) < 0)
		ev_io_stop(loop, w);
}

void
wallwatch_start(struct broker *b)
{
	struct wallwatch *w = &b->wallwatch;

	w->offset_ms = offset_now();
	w->fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (w->fd < 0 || arm(w->fd) < 0) {
		log_warn("can't watch the wall clock: %s", strerror(errno));
		wallwatch_stop(b);
		return;
	}
	ev_io_init(&w->io, on_set, w->fd, EV_READ);
	ev_io_start(b->loop, &w->io);
}

void
wallwatch_stop(struct broker *b)
{
	struct wallwatch *w = &b->wallwatch;

	if (w->fd < 0)
		return;
	if (ev_is_active(&w->io))
		ev_io_stop(b->loop, &w->io);
	close(w->fd);
	w->fd = -1;
}

void
wallwatch_look(struct broker *b)
{
	struct wallwatch *w = &b->wallwatch;
	int64_t by = offset_now() - w->offset_ms;

	if (by > -JUMP_MS && by < JUMP_MS)
		return;
	w->offset_ms += by;
	log_info("the wall clock was set by %+lld ms", (long long)by);
	life_follow_wall(b);
}
