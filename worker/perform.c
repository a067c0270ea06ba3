/* SPDX-License-Identifier: ISC */
/*
 * perform.c - run a job and answer for it
 */
#include "worker/perform.h"

#include "worker/command.h"
#include "worker/uplink.h"

static json_t *
run(struct ganger_task *t)
{
	if (job_stopped(t) > JOB_LATE) {
		job_fail(t, 0, true, NULL, "cancelled before it started");
		return NULL;
	}
	t->ran = true;
	if (t->route->command != NULL)
		return command_run(
		    t, t->route->command, t->uplink->max_message);
	return t->route->run(t, t->args);
}

void
perform_job(struct ganger_task *t, struct buf *scratch)
{
	json_t *value;

	value = run(t);
	(void)job_write_progress(t, mono_now(), true, scratch);
	if (buf_len(scratch) > 0) {
		uplink_post(t->uplink, scratch);
		buf_reset(scratch);
	}
	job_write_end(t, value, t->uplink->max_message, scratch);
	uplink_post(t->uplink, scratch);
	/* Here and not in job_free, which runs under the pool's lock. */
	json_decref(value);
	json_decref(t->args);
	t->args = NULL;
}
