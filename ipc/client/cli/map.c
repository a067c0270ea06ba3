/* SPDX-License-Identifier: ISC */
/*
 * map.c - a task for each line of the input: before the loop, and behind it
 */
#include "ipc/client/cli/map.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bsd/stdlib.h>

#include "ipc/client/cli/fail.h"
#include "ipc/client/cli/interrupt.h"
#include "ipc/client/cli/map_cancel.h"
#include "ipc/client/cli/map_fail.h"
#include "ipc/client/cli/map_loop.h"
#include "ipc/client/cli/task_view.h"
#include "ipc/proto.h"

/* Results held for the sake of the order, for each job and at least. */
#define SLOTS_PER_JOB 8
#define SLOTS_MIN     1024

/* Write what is in order already, though there will be no more. */
static void
write_rest(struct map *m)
{
	struct pollfd fd = {.fd = m->out.fd, .events = POLLOUT};

	while (map_output_wants_write(&m->out) && m->stop == MAP_LOST) {
		if (map_output_write(&m->out) < 0 || interrupt_signal() != 0)
			return;
		if (map_output_wants_write(&m->out))
			poll(&fd, 1, -1);
	}
}

/* Nobody wants the results any more: cancel what can be. */
static void
cancel_waiting(struct map *m)
{
	int64_t n;

	n = map_cancel(m->cli->client, task_view_text(m->spec->task, "name"),
	    m->mark, m->flight.n);
	if (m->stop != MAP_INTERRUPTED)
		return;
	if (n < 0)
		cli_warn(m->cli,
		    "interrupted; %zu tasks were under way, and could not be "
		    "cancelled: %s",
		    m->flight.n, strerror((int)-n));
	else
		cli_warn(m->cli,
		    "interrupted after %ju lines; %jd of %zu tasks under way "
		    "are cancelled",
		    (uintmax_t)m->progress.done, (intmax_t)n, m->flight.n);
}

static void
finish(struct map *m)
{
	map_fail_erase(m);
	write_rest(m);
	if ((m->stop == MAP_INTERRUPTED || m->stop == MAP_NO_OUTPUT) &&
	    m->flight.n > 0)
		cancel_waiting(m);
	map_fail_sum(m);
}

/* Twice the threads that run tasks: each has its next one waiting. */
static int
count_jobs(struct map *m, size_t *jobs_out)
{
	const json_t *pool;
	json_t *pools;
	int64_t threads;
	size_t i;
	int status;

	*jobs_out = m->spec->jobs;
	if (m->spec->jobs > 0)
		return 0;
	status = cli_request(m->cli, "pool.list", json_object(), &pools);
	if (status != 0)
		return status;
	threads = 0;
	json_array_foreach(pools, i, pool)
		threads += task_view_number(pool, "threads");
	json_decref(pools);
	*jobs_out = threads > 0 ? (size_t)threads * 2 : 1;
	return 0;
}

static int
ask_limits(struct map *m)
{
	int64_t max;
	json_t *info;
	int status;

	status = cli_request(m->cli, "server.info", json_object(), &info);
	if (status != 0)
		return status;
	max = task_view_number(json_object_get(info, "limits"), "max_message");
	m->max_message = max > 0 ? (size_t)max : PROTO_MESSAGE_MAX;
	ganger_client_set_max_message(m->cli->client, m->max_message);
	json_decref(info);
	return 0;
}

static int
open_input(struct map *m)
{
	const char *file;
	int r;

	r = map_input_init(
	    &m->in, m->spec->files, m->spec->n_files, m->max_message, &file);
	if (r < 0) {
		cli_warn(m->cli, "%s: %s", file, strerror(-r));
		return EX_NOINPUT;
	}
	m->feeding = true;
	if (m->cli->err_capable)
		m->progress.total =
		    map_input_count(m->spec->files, m->spec->n_files);
	return 0;
}

static int
open_flight(struct map *m, size_t jobs)
{
	size_t slots;
	int r;

	slots = jobs * SLOTS_PER_JOB;
	if (slots < SLOTS_MIN)
		slots = SLOTS_MIN;
	r = flight_init(&m->flight, jobs);
	if (r == 0)
		r = map_output_init(
		    &m->out, STDOUT_FILENO, m->spec->unordered ? 0 : slots);
	if (r < 0)
		cli_no_memory(m->cli);
	snprintf(
	    m->mark, sizeof(m->mark), "%08x%08x", arc4random(), arc4random());
	r = map_call_init(
	    &m->call, m->spec->task, m->mark, m->spec->as, m->spec->key);
	if (r == -ENOMEM)
		cli_no_memory(m->cli);
	if (r < 0)
		cli_warn(m->cli, "--as: the key is not UTF-8");
	return r < 0 ? EX_USAGE : 0;
}

/* Everything is set up: go. */
static void
run_all(struct map *m)
{
	int r;

	signal(SIGPIPE, SIG_IGN); /* stdout's end is an error like others */
	r = interrupt_open();
	if (r < 0) {
		m->status = fail_call(m->cli, r, NULL);
		return;
	}
	map_loop_run(m);
	finish(m);
	interrupt_close();
}

int
map_run(struct cli *cli, const struct map_spec *spec)
{
	struct map m = {.cli = cli, .spec = spec};
	size_t jobs;

	m.in.fd = -1;
	m.status = cli_connect(cli);
	if (m.status == 0)
		m.status = ask_limits(&m);
	if (m.status == 0)
		m.status = count_jobs(&m, &jobs);
	if (m.status == 0)
		m.status = open_input(&m);
	if (m.status == 0)
		m.status = open_flight(&m, jobs);
	if (m.status == 0)
		run_all(&m);
	map_output_done(&m.out);
	flight_done(&m.flight);
	map_call_done(&m.call);
	map_input_done(&m.in);
	return m.status;
}
