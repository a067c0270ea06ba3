/* SPDX-License-Identifier: ISC */
/*
 * echo.c - task echo: args → the same value
 */
#include "worker/modules/echo.h"

json_t *
echo_run(struct ganger_task *task, json_t *args)
{
	(void)task;
	return json_incref(args);
}
