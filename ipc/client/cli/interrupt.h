/* SPDX-License-Identifier: ISC */
/*
 * interrupt.h - the first Ctrl-C is an event, the second one the end
 *
 * SIGINT, SIGTERM and SIGHUP are caught once, all of them together: after the
 * first they do again what they did before, so a command that tidies up can
 * always be ended.  There is one such state in the process.
 */
#ifndef GANGER_CLI_INTERRUPT_H
#define GANGER_CLI_INTERRUPT_H

/* Catch the signals from here on; ignored ones stay so.  0 or -errno. */
int interrupt_open(void);

/* Let them do again what they did. */
void interrupt_close(void);

/* A descriptor that is readable once a signal came; -1 before open. */
int interrupt_fd(void);

/* The signal that came, or 0. */
int interrupt_signal(void);

#endif
