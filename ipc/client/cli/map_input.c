/* SPDX-License-Identifier: ISC */
/*
 * map_input.c - the lines of several files, one after the other
 *
 * Each file has a line_reader of its own, so a line never goes on in the next
 * file; what stands behind the last newline is a line, too.
 */
#include "ipc/client/cli/map_input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_SIZE (64 * 1024)

static bool
is_stdin(const char *file)
{
	return strcmp(file, "-") == 0;
}

/* Open a file, or stdin.  Folders can be opened, but not read. */
static int
open_file(const char *file)
{
	struct stat st;
	int fd;

	if (is_stdin(file))
		return STDIN_FILENO;
	fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		close(fd);
		return -EISDIR;
	}
	return fd;
}

static void
close_file(int fd)
{
	if (fd > STDIN_FILENO)
		close(fd);
}

/* Go on to the next file, if there is one. */
static int
next_file(struct map_input *in)
{
	struct line_reader *reader;
	const char *file;
	int fd, r;

	close_file(in->fd);
	in->fd = -1;
	if (in->n_files == 0)
		return 0;
	file = in->files[0];
	in->line.file = is_stdin(file) ? NULL : file;
	in->line.number = 0;
	fd = open_file(file);
	if (fd < 0)
		return fd;
	r = line_reader_new(in->max_line, &reader);
	if (r < 0) {
		close_file(fd);
		return r;
	}
	line_reader_free(in->reader);
	in->reader = reader;
	in->fd = fd;
	in->files++;
	in->n_files--;
	return 0;
}

/* Find a file that can't be opened before any work is done. */
static int
check_files(char *const *files, size_t n, const char **file_out)
{
	size_t i;
	int fd;

	for (i = 0; i < n; i++) {
		fd = open_file(files[i]);
		if (fd < 0) {
			*file_out = files[i];
			return fd;
		}
		close_file(fd);
	}
	return 0;
}

int
map_input_init(struct map_input *in, char *const *files, size_t n,
    size_t max_line, const char **file_out)
{
	static char dash[] = "-";
	static char *const only_stdin[] = {dash};
	int r;

	memset(in, 0, sizeof(*in));
	in->fd = -1;
	in->files = n == 0 ? only_stdin : files;
	in->n_files = n == 0 ? 1 : n;
	in->max_line = max_line;
	in->line.seq = UINT64_MAX; /* one before the first */
	*file_out = in->files[0];
	r = check_files(in->files, in->n_files, file_out);
	if (r < 0)
		return r;
	in->chunk = malloc(CHUNK_SIZE);
	r = in->chunk == NULL ? -ENOMEM : next_file(in);
	if (r < 0)
		map_input_done(in);
	return r;
}

void
map_input_done(struct map_input *in)
{
	close_file(in->fd);
	in->fd = -1;
	line_reader_free(in->reader);
	in->reader = NULL;
	free(in->chunk);
	in->chunk = NULL;
}

int
map_input_next(struct map_input *in, char **line, size_t *len)
{
	int r;

	r = line_reader_next(in->reader, line, len);
	if (r == 1 || r == -EMSGSIZE) {
		in->line.seq++;
		in->line.number++;
	}
	return r;
}

int
map_input_read(struct map_input *in)
{
	ssize_t n;

	n = read(in->fd, in->chunk, CHUNK_SIZE);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	if (n > 0)
		return line_reader_feed(in->reader, in->chunk, (size_t)n);
	if (line_reader_pending(in->reader) == 0)
		return next_file(in);
	/* End what no newline has ended; the next read moves on. */
	in->chunk[0] = '\n';
	return line_reader_feed(in->reader, in->chunk, 1);
}

/* Count the lines from the offset on; false when fd is no regular file. */
static bool
count_lines(int fd, uint64_t *n_out)
{
	char chunk[CHUNK_SIZE], last, *p;
	struct stat st;
	uint64_t lines;
	off_t at;
	ssize_t n;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	at = lseek(fd, 0, SEEK_CUR);
	if (at < 0)
		return false;
	last = '\n';
	lines = 0;
	while ((n = pread(fd, chunk, sizeof(chunk), at)) > 0) {
		for (p = chunk;
		     (p = memchr(p, '\n', (size_t)(chunk + n - p))) != NULL;
		     p++)
			lines++;
		last = chunk[n - 1];
		at += n;
	}
	*n_out = lines + (last != '\n');
	return n == 0;
}

uint64_t
map_input_count(char *const *files, size_t n)
{
	uint64_t lines, sum;
	size_t i;
	bool told;
	int fd;

	if (n == 0)
		return count_lines(STDIN_FILENO, &sum) ? sum : 0;
	sum = 0;
	for (i = 0; i < n; i++) {
		fd = open_file(files[i]);
		if (fd < 0)
			return 0;
		told = count_lines(fd, &lines);
		close_file(fd);
		if (!told)
			return 0;
		sum += lines;
	}
	return sum;
}
