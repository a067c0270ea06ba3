/* SPDX-License-Identifier: ISC */
/*
 * worker_page.c - a worker process whose page and standard output the test has
 */
#include "tests/lib/worker_page.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/clock.h"
#include "tests/lib/module_build.h"

#define MAX_MESSAGE 65536

/* A sanitizer holds signals back while a thread calls nothing. */
#ifdef __SANITIZE_THREAD__
#define PROBE_HEAD "#define PROBE_NAPS 1\n"
#else
#define PROBE_HEAD ""
#endif

void
worker_page_set_up_group(struct worker_page *w)
{
	const struct rlimit no_core = {0, 0};

	(void)setrlimit(RLIMIT_CORE, &no_core);
	w->log_path = module_build_file("log", "");
	w->out_path = module_build_file("out", "");
	w->fifo_path = module_build_file("fifo", "");
	assert_int_equal(unlink(w->fifo_path), 0);
	assert_int_equal(mkfifo(w->fifo_path, 0600), 0);
	w->probe_path = module_build(
	    "probe", PROBE_HEAD "#include \"tests/lib/worker_probe.c\"\n");
}

void
worker_page_tear_down_group(struct worker_page *w)
{
	module_build_clean();
	free(w->log_path);
	free(w->out_path);
	free(w->fifo_path);
	free(w->probe_path);
}

void
worker_page_set_up(struct worker_page *w)
{
	assert_int_equal(page_new(&w->page_fd, &w->page), 0);
	w->modules[0] = w->probe_path;
	w->settings = (struct worker_settings){.label = "test/1",
	    .threads = 4,
	    .max_message = MAX_MESSAGE,
	    .modules = w->modules,
	    .n_modules = 1,
	    .page = w->page};
	assert_int_equal(truncate(w->out_path, 0), 0);
	setenv("PROBE", "/dev/null", 1);
	unsetenv("PROBE_STUCK");
}

void
worker_page_tear_down(struct worker_page *w)
{
	page_unmap(&w->page);
	close(w->page_fd);
}

void
worker_page_start(struct worker_page *w, int fd)
{
	int saved[2], to = fd;

	if (fd < 0)
		to = open(w->out_path, O_WRONLY | O_APPEND | O_CLOEXEC);
	fflush(NULL);
	saved[0] = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
	saved[1] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
	assert_true(to >= 0 && saved[0] >= 0 && saved[1] >= 0);
	dup2(to, STDOUT_FILENO);
	dup2(to, STDERR_FILENO);
	worker_proc_start(&w->proc, &w->settings, w->log_path);
	dup2(saved[0], STDOUT_FILENO);
	dup2(saved[1], STDERR_FILENO);
	close(saved[0]);
	close(saved[1]);
	if (fd < 0)
		close(to);
}

void
worker_page_start_ready(struct worker_page *w, int fd)
{
	worker_page_start(w, fd);
	json_decref(worker_proc_note(&w->proc, "worker.hello"));
}

void
worker_page_start_stuck(struct worker_page *w)
{
	char letter;
	int fd;

	setenv("PROBE", w->fifo_path, 1);
	setenv("PROBE_STUCK", "1", 1);
	worker_page_start(w, -1);
	fd = open(w->fifo_path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, &letter, 1), 1);
	assert_int_equal(letter, 'i');
	close(fd);
}

void
worker_page_run_soft(struct worker_page *w, int id, const char *name,
    const char *args, int soft_timeout_ms, int timeout_ms)
{
	worker_proc_send(&w->proc,
	    "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"task.run\",\"params\":"
	    "{\"id\":%d,\"run\":1,\"name\":\"%s\",\"args\":%s,\"attempt\":1,"
	    "\"soft_timeout_ms\":%d,\"timeout_ms\":%d}}",
	    id + 1000, id, name, args, soft_timeout_ms, timeout_ms);
}

void
worker_page_begin(
    struct worker_page *w, int id, const char *name, const char *args)
{
	worker_proc_run(&w->proc, id, name, args);
	json_decref(worker_proc_note(&w->proc, "task.progress"));
}

char *
worker_page_dump(struct worker_page *w)
{
	const struct timespec moment = {.tv_nsec = 1000000};
	struct mono due = mono_add_ms(mono_now(), WORKER_PROC_WAIT_MS);
	uint32_t asked;
	char *text;

	asked = atomic_fetch_add(&w->page->dump_asked, 1) + 1;
	assert_int_equal(kill(w->proc.pid, PAGE_DUMP_SIGNAL), 0);
	while (atomic_load(&w->page->dump_done) != asked) {
		assert_false(mono_reached(mono_now(), due));
		(void)nanosleep(&moment, NULL);
	}
	text = strndup(w->page->text, atomic_load(&w->page->text_len));
	assert_non_null(text);
	return text;
}

char *
worker_page_dump_until(struct worker_page *w, const char *part)
{
	struct mono due = mono_add_ms(mono_now(), WORKER_PROC_WAIT_MS);
	char *text;

	while (strstr(text = worker_page_dump(w), part) == NULL) {
		if (mono_reached(mono_now(), due))
			fail_msg("no \"%s\" in:\n%s", part, text);
		free(text);
	}
	return text;
}

char *
worker_page_output(const struct worker_page *w)
{
	struct stat st;
	ssize_t n;
	char *text;
	int fd;

	fd = open(w->out_path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	text = calloc(1, (size_t)st.st_size + 1);
	assert_non_null(text);
	n = read(fd, text, (size_t)st.st_size);
	assert_int_equal(n, st.st_size);
	close(fd);
	return text;
}

void
worker_page_expect(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("no \"%s\" in:\n%s", part, text);
}

int
worker_page_culprit(const struct worker_page *w)
{
	int slot = atomic_load(&w->page->fault_slot);

	if (slot == PAGE_NO_SLOT)
		return 0;
	assert_true(slot >= 0 && slot < (int)w->settings.threads);
	return (int)atomic_load(&w->page->slots[slot].task);
}
