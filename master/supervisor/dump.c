/* SPDX-License-Identifier: ISC */
/*
 * dump.c - what the threads of a live worker do
 *
 * The worker writes to its page in a signal handler, so one whose main thread
 * hangs answers as well.  It does not know when that is done but by looking: a
 * timer runs while somebody waits.
 */
#include "master/supervisor/dump.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/buf.h"
#include "ipc/json.h"
#include "ipc/log.h"
#include "master/supervisor/answer.h"
#include "master/supervisor/pool.h"
#include "master/supervisor/supervisor.h"

#define LOOK_MS   10
#define WAIT_MS   5000
#define TEXT_MAX  (40 * 1024) /* so that it fits an order, escapes and all */
#define FILE_PART 400

struct dump {
	struct supervisor *supervisor;
	uint64_t ask_id;
	pid_t pid;
	uint32_t number; /* what dump_done will be */
	struct mono until;
	char worker[SLOT_NAME_SIZE];
	struct ev_timer timer;
	LIST_ENTRY(dump) entry;
};

static void
end(struct dump *d)
{
	ev_timer_stop(d->supervisor->loop, &d->timer);
	LIST_REMOVE(d, entry);
	free(d);
}

static void
answer_text(struct dump *d, const char *text, size_t len)
{
	char *utf8 = json_utf8(text, len);

	answer_result(d->supervisor, d->ask_id,
	    json_pack("{s:s,s:i,s:s}", "worker", d->worker, "pid", (int)d->pid,
		"text", utf8 == NULL ? "" : utf8));
	free(utf8);
}

/* Append what a file of a thread says, without its newline. */
static void
add_file(struct buf *out, const char *dir, const char *tid, const char *name)
{
	char path[128], text[FILE_PART];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%.20s/%s", dir, tid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = read(fd, text, sizeof(text));
	close(fd);
	while (n > 0 && isspace((unsigned char)text[n - 1]))
		n--;
	if (n > 0)
		buf_printf(out, " %s %.*s", name, (int)n, text);
}

/* What the kernel says of each thread. */
static void
describe(struct dump *d, struct buf *out)
{
	struct dirent *e;
	char dir[64];
	DIR *tasks;

	buf_printf(out,
	    "The process does not show its stacks; what the kernel says of its "
	    "threads:\n");
	snprintf(dir, sizeof(dir), "/proc/%d/task", (int)d->pid);
	tasks = opendir(dir);
	if (tasks == NULL)
		return;
	while ((e = readdir(tasks)) != NULL && buf_len(out) < TEXT_MAX) {
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		buf_printf(out, "thread %s:", e->d_name);
		add_file(out, dir, e->d_name, "comm");
		add_file(out, dir, e->d_name, "wchan");
		add_file(out, dir, e->d_name, "syscall");
		buf_addc(out, '\n');
	}
	(void)closedir(tasks);
}

static void
on_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct dump *d = w->data;
	struct slot *s = pool_find_worker(d->supervisor, d->pid);
	struct buf text;
	size_t len;

	(void)loop;
	(void)revents;
	if (s == NULL || s->page == NULL) {
		answer_refused(d->supervisor, d->ask_id, true,
		    "the worker has ended meanwhile", NULL);
		end(d);
	} else if (atomic_load(&s->page->dump_done) == d->number) {
		len = atomic_load(&s->page->text_len);
		if (len > TEXT_MAX)
			len = TEXT_MAX;
		answer_text(d, s->page->text, len);
		end(d);
	} else if (mono_reached(mono_now(), d->until)) {
		buf_init(&text, SIZE_MAX);
		describe(d, &text);
		answer_text(d, buf_head(&text), buf_len(&text));
		buf_done(&text);
		end(d);
	}
}

/* The worker that "POOL/N" names; a leaving one only if there is no other. */
static struct slot *
find_worker(struct supervisor *sv, const char *worker)
{
	const char *slash = worker == NULL ? NULL : strrchr(worker, '/');
	struct slot *s, *found = NULL;
	unsigned long number;
	struct pool *p;

	if (slash == NULL)
		return NULL;
	number = strtoul(slash + 1, NULL, 10);
	TAILQ_FOREACH(p, &sv->pools, entry) {
		if (strncmp(p->name, worker, (size_t)(slash - worker)) != 0 ||
		    p->name[slash - worker] != '\0')
			continue;
		TAILQ_FOREACH(s, &p->slots, entry) {
			if (s->number == number && s->pid != 0 &&
			    s->trial == NULL && (found == NULL || !s->leaving))
				found = s;
		}
	}
	return found;
}

void
dump_start(struct supervisor *sv, uint64_t ask_id, const char *worker)
{
	struct slot *s = find_worker(sv, worker);
	struct dump *d;

	if (s == NULL || s->page == NULL) {
		answer_refused(
		    sv, ask_id, true, "there is no such worker now", NULL);
		return;
	}
	d = calloc(1, sizeof(*d));
	if (d == NULL) {
		answer_refused(sv, ask_id, true, "out of memory", NULL);
		return;
	}
	d->supervisor = sv;
	d->ask_id = ask_id;
	d->pid = s->pid;
	d->until = mono_add_ms(mono_now(), WAIT_MS);
	snprintf(
	    d->worker, sizeof(d->worker), "%s/%u", s->pool->name, s->number);
	d->number = atomic_fetch_add(&s->page->dump_asked, 1) + 1;
	slot_kill(s, PAGE_DUMP_SIGNAL);
	ev_timer_init(&d->timer, on_timer, LOOK_MS / 1000., LOOK_MS / 1000.);
	d->timer.data = d;
	ev_timer_start(sv->loop, &d->timer);
	LIST_INSERT_HEAD(&sv->dumps, d, entry);
}

void
dump_refuse_all(struct supervisor *sv, const char *why)
{
	struct dump *d;

	while ((d = LIST_FIRST(&sv->dumps)) != NULL) {
		answer_refused(sv, d->ask_id, true, why, NULL);
		end(d);
	}
}

void
dump_done(struct supervisor *sv)
{
	struct dump *d, *next;

	LIST_FOREACH_SAFE(d, &sv->dumps, entry, next)
		end(d);
}
