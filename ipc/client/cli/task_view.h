/* SPDX-License-Identifier: ISC */
/*
 * task_view.h - task objects for people, and the status that they stand for
 *
 * Task objects are the daemon's (ganger-protocol(7)): a member may be missing
 * or of another type, and is then shown as unknown.
 */
#ifndef GANGER_CLI_TASK_VIEW_H
#define GANGER_CLI_TASK_VIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "ipc/client/cli/cli.h"
#include "ipc/client/cli/term.h"

/* Lend members; "" and 0 where there is none. */
const char *task_view_text(const json_t *task, const char *key);
int64_t task_view_number(const json_t *task, const char *key);
#define task_view_id(task) task_view_number(task, "id")

/* A member that is a time, in ms; false where there is none. */
bool task_view_time(const json_t *task, const char *key, int64_t *ms_out);

/* How long the run took, or takes so far at now_ms; false before a start. */
bool task_view_took(const json_t *task, int64_t now_ms, int64_t *ms_out);

/* True when its state is one that it does not leave by itself. */
bool task_view_has_ended(const json_t *task);

/* What holds a task that is ready, in words; "" when nothing does. */
const char *task_view_waits_for(const json_t *task);

enum term_style task_view_style(const char *state);

/* Print everything that is known about a task. */
void task_view_print(const struct cli *cli, const json_t *task);

/*
 * The exit status of a task that has ended: 0, or CLI_TASK_FAILED after telling
 * why on stderr.
 */
int task_view_status(const struct cli *cli, const json_t *task);

#endif
