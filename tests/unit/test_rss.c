/* SPDX-License-Identifier: ISC */
/* LINK: master/supervisor/rss.c */
/*
 * test_rss.c - resident memory of a process
 */
#include "master/supervisor/rss.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SIZE ((size_t)64 << 20)

static void
touched_memory_counts(void **state)
{
	uint64_t before = 0, after = 0;
	void *p;

	(void)state;
	assert_int_equal(rss_of(getpid(), &before), 0);
	assert_in_range(before, 1, (uint64_t)1 << 40);
	p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(p != MAP_FAILED);
	memset(p, 1, SIZE);
	assert_int_equal(rss_of(getpid(), &after), 0);
	assert_true(after >= before + SIZE * 9 / 10);
	/* A sanitizer has memory about the memory. */
	assert_true(after <= before + SIZE * 8);
	munmap(p, SIZE);
}

static void
ended_process_has_none(void **state)
{
	uint64_t bytes = 7;
	siginfo_t info;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0)
		_exit(0);
	assert_true(pid > 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(rss_of(pid, &bytes), 0);
	assert_int_equal(bytes, 0);
	bytes = 7;
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(rss_of(pid, &bytes), -ENOENT);
	assert_int_equal(bytes, 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(touched_memory_counts),
	    cmocka_unit_test(ended_process_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
