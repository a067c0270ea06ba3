/* SPDX-License-Identifier: ISC */
/*
 * crash.c - task crash: the death of a worker to order
 */
#include "worker/modules/crash.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* What a process does to itself by mistake, as a string. */
static const char faults[] = {
    SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, '\0'};

/* Raise sig, so that it ends the process whatever it is. */
static void
die_of(int sig)
{
	sigset_t set;

	/* The others have the worker's handlers, which say who did it. */
	if (strchr(faults, sig) == NULL)
		signal(sig, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	raise(sig);
}

json_t *
crash_run(struct ganger_task *task, json_t *args)
{
	const json_t *exit_status, *sig;
	json_int_t n;

	exit_status = json_object_get(args, "exit");
	if (json_is_integer(exit_status))
		exit((int)(json_integer_value(exit_status) & 0xff));
	sig = json_object_get(args, "signal");
	n = sig == NULL ? SIGSEGV : json_integer_value(sig);
	if (n > 0 && n < NSIG)
		die_of((int)n);
	ganger_fail(task, EINVAL, false, "crash: still alive");
	return NULL;
}
