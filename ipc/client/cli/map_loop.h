/* SPDX-License-Identifier: ISC */
/*
 * map_loop.h - the loop of a map, and all that it works on
 */
#ifndef GANGER_CLI_MAP_LOOP_H
#define GANGER_CLI_MAP_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/client/cli/cli.h"
#include "ipc/client/cli/flight.h"
#include "ipc/client/cli/map.h"
#include "ipc/client/cli/map_call.h"
#include "ipc/client/cli/map_input.h"
#include "ipc/client/cli/map_output.h"
#include "ipc/client/cli/progress.h"
#include "ipc/client/cli/rate.h"
#include "ipc/clock.h"

/* Why the loop ended early. */
enum map_stop {
	MAP_GOES_ON,
	MAP_LOST,        /* the connection is */
	MAP_INTERRUPTED, /* by a signal */
	MAP_NO_OUTPUT,   /* stdout takes nothing more */
};

struct map {
	struct cli *cli;
	const struct map_spec *spec;
	size_t max_message;
	struct map_input in;
	bool feeding;    /* lines are still taken on */
	bool want_input; /* no whole line has been read */
	char mark[20];   /* tells this map's tasks from others */
	struct map_call call;
	struct flight flight;
	struct map_output out;
	enum map_stop stop;
	int status;      /* to exit with, as far as it is known */
	uint64_t n_told; /* failures, told on stderr or only counted */
	bool drawn;      /* a progress line is on stderr */
	struct progress progress;
	struct rate rate;
	struct mono next_draw;
};

/*
 * Run until every line has its result, or m->stop says why not.  m is set up;
 * its status is kept up to date.
 */
void map_loop_run(struct map *m);

#endif
