/* SPDX-License-Identifier: ISC */
/*
 * map_loop.c - the loop of a map
 *
 * One loop around poll: lines become calls while there is room, answers become
 * output lines.  Neither the input, the daemon nor the output is ever waited
 * for alone.
 */
#include "ipc/client/cli/map_loop.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/buf.h"
#include "ipc/client/cli/interrupt.h"
#include "ipc/client/cli/map_fail.h"
#include "ipc/client/lib/scan.h"
#include "ipc/proto.h"

#define DRAW_MS 100

/* Make a call of a line. */
static void
send_line(struct map *m, const char *line, size_t len)
{
	struct buf why;
	uint64_t id;
	int r;

	buf_init(&why, SIZE_MAX);
	r = map_call_make(&m->call, line, len, m->in.line.seq + 1, &why);
	if (r == -EINVAL) {
		buf_addc(&why, '\0');
		map_fail_input(m, RPC_PARSE_ERROR, buf_head(&why));
	}
	buf_done(&why);
	if (r == -ENOMEM)
		cli_no_memory(m->cli);
	if (r < 0)
		return;
	r = ganger_client_send_text(m->cli->client, "task.call",
	    buf_head(&m->call.params), buf_len(&m->call.params), &id);
	if (r == 0)
		flight_add(&m->flight, id, &m->in.line);
	else if (r == -EMSGSIZE)
		map_fail_too_long(m);
	else if (m->flight.n == 0)
		map_fail_lost(m, r, NULL);
	else
		m->feeding = false; /* answers may have come: take them first */
}

/* Make calls of the lines that were read, while there is room. */
static void
fill(struct map *m)
{
	char *line;
	size_t len;
	int r;

	m->want_input = false;
	while (m->feeding && m->stop == MAP_GOES_ON &&
	       m->flight.n < m->flight.max &&
	       map_output_has_room(&m->out, m->in.line.seq + 1)) {
		r = map_input_next(&m->in, &line, &len);
		if (r == 1) {
			send_line(m, line, len);
		} else if (r == -EMSGSIZE) {
			map_fail_too_long(m);
		} else if (r < 0) {
			cli_no_memory(m->cli);
		} else if (m->in.fd < 0) {
			m->feeding = false;
		} else {
			m->want_input = true;
			return;
		}
	}
}

static void
take_answer(struct map *m, struct ganger_text *answer)
{
	static const char *const keys[] = {"result"};
	struct ganger_error odd = {.code = RPC_INTERNAL_ERROR};
	struct flight_line line;
	struct scan_span result;

	if (!flight_take(&m->flight, answer->id, &line)) {
		/* An error that names no request: some call is lost. */
		map_fail_lost(m, -EREMOTEIO, &answer->error);
		return;
	}
	if (answer->error.code != 0) {
		map_fail_call(m, &line, &answer->error);
		return;
	}
	if (scan_object(answer->result, answer->len, keys, 1, &result) < 0 ||
	    result.at == NULL) {
		odd.message = strdup("the task ended without a result");
		map_fail_call(m, &line, &odd);
		free(odd.message);
		return;
	}
	m->progress.done++;
	if (map_output_put(&m->out, line.seq, result.at, result.len) < 0)
		cli_no_memory(m->cli);
}

/* Take the answers that have come. */
static void
take_answers(struct map *m)
{
	struct ganger_text answer;
	int r;

	while (m->flight.n > 0 && m->stop == MAP_GOES_ON) {
		r = ganger_client_next_text(m->cli->client, 0, &answer);
		if (r == -ETIMEDOUT)
			return;
		if (r < 0) {
			map_fail_lost(m, r, NULL);
			return;
		}
		take_answer(m, &answer);
		ganger_error_done(&answer.error);
	}
}

static void
read_input(struct map *m)
{
	int r;

	r = map_input_read(&m->in);
	if (r < 0)
		map_fail_read(m, r);
}

static void
write_output(struct map *m)
{
	int r;

	if (!map_output_wants_write(&m->out))
		return;
	if (m->cli->out_tty)
		map_fail_erase(m);
	r = map_output_write(&m->out);
	if (r < 0)
		map_fail_write(m, r);
}

static void
draw(struct map *m)
{
	struct mono now;

	if (!m->cli->err_capable)
		return;
	now = mono_now();
	if (!mono_reached(now, m->next_draw))
		return;
	m->next_draw = mono_add_ms(now, DRAW_MS);
	rate_update(&m->rate, now, m->progress.done);
	m->progress.per_s = m->rate.per_s;
	m->progress.left_ms = rate_left_ms(&m->rate, m->progress.total);
	progress_draw(&m->progress, m->cli->err_colour);
	m->drawn = true;
}

/* Wait for whatever goes on next; true when there is input to read. */
static bool
wait_for_event(struct map *m)
{
	struct pollfd fds[4] = {
	    {.fd = ganger_client_fd(m->cli->client),
		.events = ganger_client_events(m->cli->client)},
	    {.fd = interrupt_fd(), .events = POLLIN},
	    {.fd = m->want_input ? m->in.fd : -1, .events = POLLIN},
	    {.fd = map_output_wants_write(&m->out) ? m->out.fd : -1,
		.events = POLLOUT},
	};

	if (poll(fds, 4, m->cli->err_capable ? DRAW_MS : -1) < 0 &&
	    errno != EINTR) {
		cli_warn(m->cli, "poll: %s", strerror(errno));
		map_fail_stop(m, MAP_LOST, EX_OSERR);
	}
	return fds[2].revents != 0;
}

void
map_loop_run(struct map *m)
{
	int r;

	rate_init(&m->rate, mono_now());
	m->next_draw = mono_add_ms(mono_now(), DRAW_MS);
	for (;;) {
		fill(m);
		r = ganger_client_flush(m->cli->client, 0);
		if (r < 0 && r != -ETIMEDOUT)
			take_answers(m); /* ... and learn why it is lost */
		if (m->stop != MAP_GOES_ON)
			return;
		if (!m->feeding && m->flight.n == 0 &&
		    !map_output_wants_write(&m->out))
			return;
		if (wait_for_event(m))
			read_input(m);
		if (interrupt_signal() != 0) {
			map_fail_stop(m, MAP_INTERRUPTED,
			    CLI_SIGNALLED(interrupt_signal()));
			return;
		}
		take_answers(m);
		write_output(m);
		draw(m);
	}
}
