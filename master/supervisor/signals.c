/* SPDX-License-Identifier: ISC */
/*
 * signals.c - the master's signals, from one descriptor
 *
 * All signals stay blocked and are read from a signalfd: there is no handler,
 * so none can run in a child after a fork, and none interrupts a call here.
 * Faults (SIGSEGV, …) can't be blocked to any effect and kill as ever.
 */
#include "master/supervisor/signals.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "ipc/log.h"
#include "master/supervisor/reap.h"
#include "master/supervisor/stop.h"

void
signals_block(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
}

static void
on_int(struct supervisor *sv)
{
	switch (++sv->n_int) {
	case 1:
		supervisor_stop(sv, SUPERVISOR_GRACEFUL, "SIGINT");
		break;
	case 2:
		supervisor_stop(sv, SUPERVISOR_QUICK, "a second SIGINT");
		break;
	default:
		supervisor_stop(sv, SUPERVISOR_KILLING, "a third SIGINT");
	}
}

static void
on_quit(struct supervisor *sv)
{
	if (sv->n_quit++ == 0)
		supervisor_stop(sv, SUPERVISOR_QUICK, "SIGQUIT");
	else
		supervisor_stop(sv, SUPERVISOR_KILLING, "a second SIGQUIT");
}

/* A terminal that closed is a reason to stop; else HUP asks for a reload. */
static void
on_hup(struct supervisor *sv)
{
	struct termios t;

	if (sv->on_terminal && tcgetattr(STDIN_FILENO, &t) < 0 && errno == EIO)
		supervisor_stop(sv, SUPERVISOR_GRACEFUL, "the terminal closed");
	else
		reload_start(sv, "SIGHUP", 0);
}

/* One worker more, or less, for the default pool. */
static void
on_tty(struct supervisor *sv, int by, const char *why)
{
	struct pool *p = pool_default(sv);

	if (p != NULL && sv->phase <= SUPERVISOR_SERVING)
		pool_resize(p, (long)p->n_wanted + by, why);
}

/* A terminal sends it whenever its window changes: it means nothing then. */
static void
on_winch(struct supervisor *sv)
{
	if (sv->on_terminal)
		return;
	if (sv->phase == SUPERVISOR_SERVING)
		supervisor_rest(sv, true);
}

static void
take(struct supervisor *sv, unsigned signo)
{
	switch (signo) {
	case SIGCHLD:
		reap_run(sv);
		reap_note_stops(sv);
		supervisor_end_if_over(sv);
		break;
	case SIGTERM:
		supervisor_stop(sv, SUPERVISOR_GRACEFUL, "SIGTERM");
		break;
	case SIGINT:
		on_int(sv);
		break;
	case SIGQUIT:
		on_quit(sv);
		break;
	case SIGHUP:
		on_hup(sv);
		break;
	case SIGUSR1:
		supervisor_reopen_logs(sv);
		break;
	case SIGUSR2:
		upgrade_start(sv, "SIGUSR2", 0);
		break;
	case SIGTTIN:
		on_tty(sv, 1, "SIGTTIN");
		break;
	case SIGTTOU:
		on_tty(sv, -1, "SIGTTOU");
		break;
	case SIGWINCH:
		on_winch(sv);
		break;
	default:
		log_info("SIG%s has no meaning here", sigabbrev_np((int)signo));
	}
}

static void
on_signals(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct supervisor *sv = w->data;
	struct signalfd_siginfo info;

	(void)loop;
	(void)revents;
	while (read(sv->signal_fd, &info, sizeof(info)) == sizeof(info))
		take(sv, info.ssi_signo);
}

int
signals_open(struct supervisor *sv)
{
	static const int taken[] = {SIGCHLD, SIGTERM, SIGINT, SIGQUIT, SIGHUP,
	    SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU, SIGWINCH};
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		sigaddset(&set, taken[i]);
	sv->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (sv->signal_fd < 0)
		return -errno;
	sv->on_terminal = isatty(STDIN_FILENO);
	ev_io_init(&sv->signals, on_signals, sv->signal_fd, EV_READ);
	sv->signals.data = sv;
	ev_io_start(sv->loop, &sv->signals);
	return 0;
}

void
signals_close(struct supervisor *sv)
{
	if (sv->signal_fd < 0)
		return;
	ev_io_stop(sv->loop, &sv->signals);
	close(sv->signal_fd);
	sv->signal_fd = -1;
}
