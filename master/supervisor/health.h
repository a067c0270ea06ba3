/* SPDX-License-Identifier: ISC */
/*
 * health.h - look after workers that live but are not well
 */
#ifndef GANGER_SUPERVISOR_HEALTH_H
#define GANGER_SUPERVISOR_HEALTH_H

struct supervisor;

void health_init(struct supervisor *sv);

/* The configuration changed: look as often as it wants. */
void health_configure(struct supervisor *sv);
void health_stop(struct supervisor *sv);

#endif
