/* SPDX-License-Identifier: ISC */
/*
 * rss.c - how much memory a process has resident
 *
 * /proc/PID/statm is text made on reading: it never blocks on a device.
 */
#include "master/supervisor/rss.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The whole of a small file, ended by NUL.  Its length or -errno. */
static ssize_t
read_text(const char *path, char *out, size_t size)
{
	ssize_t n;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	do
		n = read(fd, out, size - 1);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		n = -errno;
	else
		out[n] = '\0';
	close(fd);
	return n;
}

int
rss_of(pid_t pid, uint64_t *bytes_out)
{
	unsigned long long pages;
	char path[32], text[128], *end;
	ssize_t n;
	long page;

	page = sysconf(_SC_PAGESIZE);
	if (page <= 0)
		return -ENOSYS;
	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	n = read_text(path, text, sizeof(text));
	if (n < 0)
		return (int)n;
	/* "SIZE RESIDENT ...", in pages. */
	(void)strtoull(text, &end, 10);
	if (end == text || *end != ' ')
		return -EPROTO;
	pages = strtoull(end + 1, &end, 10);
	if (*end != ' ')
		return -EPROTO;
	*bytes_out = (uint64_t)pages * (uint64_t)page;
	return 0;
}
