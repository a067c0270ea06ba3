/* SPDX-License-Identifier: ISC */
/*
 * worker_page.h - a worker process whose page and standard output the test has
 *
 * The probe module is loaded; see worker_probe.c for its tasks.
 */
#ifndef GANGER_TESTS_LIB_WORKER_PAGE_H
#define GANGER_TESTS_LIB_WORKER_PAGE_H

#include "ipc/page.h"
#include "tests/lib/worker_proc.h"

struct worker_page {
	struct worker_proc proc;
	struct worker_settings settings; /* for the next one that is started */
	struct page *page;               /* owned */
	int page_fd;                     /* owned */
	char *log_path, *out_path, *fifo_path;
	char *probe_path;
	const char *modules[1];
};

/* Build the probe; once for a group of tests. */
void worker_page_set_up_group(struct worker_page *w);
void worker_page_tear_down_group(struct worker_page *w);

/* A new page and settings: four threads. */
void worker_page_set_up(struct worker_page *w);
void worker_page_tear_down(struct worker_page *w);

/* Start it with stdout and stderr on fd, or in the file at out_path (-1). */
void worker_page_start(struct worker_page *w, int fd);

/* The same, and take its hello. */
void worker_page_start_ready(struct worker_page *w, int fd);

/* Start one whose module's init never ends; returns once it is there. */
void worker_page_start_stuck(struct worker_page *w);

/* Order a task with a soft time limit. */
void worker_page_run_soft(struct worker_page *w, int id, const char *name,
    const char *args, int soft_timeout_ms, int timeout_ms);

/* Order a task that tells when it has begun, and wait for that. */
void worker_page_begin(
    struct worker_page *w, int id, const char *name, const char *args);

/* Ask for a dump and wait for it; the caller owns the text. */
char *worker_page_dump(struct worker_page *w);

/* The same until part is in it: what a thread comes to soon. */
char *worker_page_dump_until(struct worker_page *w, const char *part);

/* What it wrote to out_path; the caller owns the text. */
char *worker_page_output(const struct worker_page *w);

/* text must have part in it. */
void worker_page_expect(const char *text, const char *part);

/* The task in the slot that is noted as the one at fault; 0: none is. */
int worker_page_culprit(const struct worker_page *w);

#endif
