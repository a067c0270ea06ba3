/* SPDX-License-Identifier: ISC */
/*
 * task_options.c - the parameters of a submit, from the command line
 *
 * Numbers, durations and times are checked here, for a message that names the
 * option; what they mean together is the daemon's to judge.
 */
#include "ipc/client/cli/task_options.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ipc/buf.h"
#include "ipc/client/cli/args.h"
#include "ipc/clock.h"

enum kind {
	KIND_TEXT,
	KIND_NUMBER,
	KIND_DURATION,
	KIND_TIME,
	KIND_TRUE, /* these have no value, but are one */
	KIND_FALSE,
	KIND_AT_MOST_ONCE,
};

static const struct {
	int opt;
	const char *word;
	const char *param; /* of task.submit */
	enum kind kind;
	int64_t max; /* of a number */
} options[] = {
    {'q', "--queue", "queue", KIND_TEXT, 0},
    {'p', "--priority", "priority", KIND_NUMBER, 9},
    {TASK_OPT_RETRIES, "--retries", "retries", KIND_NUMBER, INT32_MAX},
    {TASK_OPT_BACKOFF, "--backoff", "backoff_ms", KIND_DURATION, 0},
    {TASK_OPT_TIMEOUT, "--timeout", "timeout_ms", KIND_DURATION, 0},
    {TASK_OPT_SOFT_TIMEOUT, "--soft-timeout", "soft_timeout_ms", KIND_DURATION,
	0},
    {TASK_OPT_DELAY, "--delay", "delay_ms", KIND_DURATION, 0},
    {TASK_OPT_AT, "--at", "run_at", KIND_TIME, 0},
    {TASK_OPT_EXPIRES, "--expires", "expires_ms", KIND_DURATION, 0},
    {TASK_OPT_RESULT_TTL, "--result-ttl", "result_ttl_ms", KIND_DURATION, 0},
    {TASK_OPT_KEY, "--key", "key", KIND_TEXT, 0},
    {TASK_OPT_UNIQUE, "--unique", "unique", KIND_TEXT, 0},
    {TASK_OPT_IDEMPOTENCY_KEY, "--idempotency-key", "idempotency_key",
	KIND_TEXT, 0},
    {TASK_OPT_AT_MOST_ONCE, "--at-most-once", "delivery", KIND_AT_MOST_ONCE, 0},
    {TASK_OPT_DURABLE, "--durable", "durable", KIND_TRUE, 0},
    {TASK_OPT_VOLATILE, "--volatile", "durable", KIND_FALSE, 0},
};
#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

static json_t *
time_value(const struct cli *cli, const char *word)
{
	char text[WALL_SIZE];
	int64_t ms;

	if (wall_parse(optarg, &ms) < 0)
		cli_usage(cli,
		    "%s: \"%s\" is no time, such as 2026-11-21T06:50:00Z", word,
		    optarg);
	wall_format(ms, text);
	return json_string(text);
}

static json_t *
option_value(const struct cli *cli, size_t i)
{
	const char *word = options[i].word;
	json_t *text;

	switch (options[i].kind) {
	case KIND_NUMBER:
		return json_integer(
		    cli_number(cli, word, optarg, 0, options[i].max));
	case KIND_DURATION:
		return json_integer(cli_duration(cli, word, optarg));
	case KIND_TIME:
		return time_value(cli, word);
	case KIND_TRUE:
		return json_true();
	case KIND_FALSE:
		return json_false();
	case KIND_AT_MOST_ONCE:
		return json_string("at_most_once");
	case KIND_TEXT:
		break;
	}
	text = json_string(optarg);
	if (text == NULL)
		cli_usage(cli, "%s: the value is not UTF-8", word);
	return text;
}

void
task_options_set(const struct cli *cli, json_t *task, int opt)
{
	size_t i;

	for (i = 0; i < N_OPTIONS && options[i].opt != opt; i++)
		;
	assert(i < N_OPTIONS);
	if (json_object_set_new(task, options[i].param, option_value(cli, i)) <
	    0)
		cli_no_memory(cli);
}

/* Read stdin to its end and parse it. */
static int
read_args(const struct cli *cli, struct buf *why, json_t **out)
{
	char chunk[16 * 1024];
	struct buf text;
	size_t n;
	int r;

	buf_init(&text, SIZE_MAX);
	while ((n = fread(chunk, 1, sizeof(chunk), stdin)) > 0)
		buf_add(&text, chunk, n);
	if (ferror(stdin)) {
		buf_printf(why, "standard input: %s", strerror(errno));
		r = -EIO;
	} else {
		r = buf_error(&text);
	}
	if (r == -ENOMEM)
		cli_no_memory(cli);
	buf_addc(&text, '\0');
	if (r == 0)
		r = args_parse_text(buf_head(&text), buf_len(&text) - 1,
		    "standard input", why, out);
	buf_done(&text);
	return r;
}

int
task_options_words(
    const struct cli *cli, json_t *task, char *const *words, size_t n)
{
	struct buf why;
	json_t *args;
	int r;

	if (n == 0)
		cli_usage(cli, "the task's NAME is missing");
	if (json_object_set_new(task, "name", json_string(words[0])) < 0)
		cli_usage(cli, "NAME is not UTF-8");
	if (n == 1)
		return 0;
	buf_init(&why, SIZE_MAX);
	if (n == 2 && strcmp(words[1], "-") == 0)
		r = read_args(cli, &why, &args);
	else
		r = args_parse(words + 1, n - 1, &why, &args);
	if (r == -ENOMEM ||
	    (r == 0 && json_object_set_new(task, "args", args) < 0))
		cli_no_memory(cli);
	if (r < 0)
		cli_warn(cli, "%.*s", (int)buf_len(&why), buf_head(&why));
	buf_done(&why);
	if (r == -EIO)
		return EX_IOERR;
	return r < 0 ? EX_DATAERR : 0;
}
