/* SPDX-License-Identifier: ISC */
/*
 * sha512.c - task sha512: the digest of a file or a text
 */
#include "worker/modules/sha512.h"

#include <errno.h>
#include <fcntl.h>
#include <sha2.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_SIZE (64 * 1024)

/* Files over this report their progress. */
#define PROGRESS_MIN (16 * 1024 * 1024)

static void
fail_file(struct ganger_task *task, const char *path, int err)
{
	bool retryable;

	retryable = err == EMFILE || err == ENFILE || err == ENOMEM ||
		    err == EINTR || err == EIO;
	ganger_fail(task, err, retryable, "%s: %s", path, strerrordesc_np(err));
}

static json_t *
make_result(SHA2_CTX *ctx, uint64_t bytes, json_t *path)
{
	char hex[SHA512_DIGEST_STRING_LENGTH];

	SHA512End(ctx, hex);
	if (path == NULL)
		return json_pack(
		    "{s:s, s:I}", "sha512", hex, "bytes", (json_int_t)bytes);
	return json_pack("{s:s, s:I, s:O}", "sha512", hex, "bytes",
	    (json_int_t)bytes, "path", path);
}

static json_t *
hash_text(const json_t *text)
{
	SHA2_CTX ctx;
	size_t len;

	len = json_string_length(text);
	SHA512Init(&ctx);
	SHA512Update(&ctx, (const uint8_t *)json_string_value(text), len);
	return make_result(&ctx, len, NULL);
}

/* Hash what fd holds, size bytes by its own account.  0, or an errno. */
static int
hash_fd(struct ganger_task *task, int fd, uint64_t size, SHA2_CTX *ctx,
    uint64_t *bytes_out)
{
	uint8_t chunk[CHUNK_SIZE];
	uint64_t bytes;
	ssize_t n;

	SHA512Init(ctx);
	bytes = 0;
	while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		if (ganger_cancelled(task))
			return ECANCELED;
		SHA512Update(ctx, chunk, (size_t)n);
		bytes += (uint64_t)n;
		if (size > PROGRESS_MIN)
			ganger_progress(task, bytes, size, NULL);
	}
	*bytes_out = bytes;
	return 0;
}

static json_t *
hash_file(struct ganger_task *task, json_t *path)
{
	const char *name = json_string_value(path);
	struct stat st;
	SHA2_CTX ctx;
	uint64_t bytes;
	int fd, err;

	/* O_NONBLOCK: the open of a FIFO would wait for its writer. */
	fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0) {
		fail_file(task, name, errno);
		return NULL;
	}
	bytes = 0;
	if (fstat(fd, &st) < 0)
		err = errno;
	else if (S_ISDIR(st.st_mode))
		err = EISDIR;
	else if (!S_ISREG(st.st_mode))
		err = EINVAL;
	else
		err = hash_fd(task, fd, (uint64_t)st.st_size, &ctx, &bytes);
	close(fd);
	if (err == 0)
		return make_result(&ctx, bytes, path);
	if (err == ECANCELED)
		ganger_fail(task, 0, true, "%s: cancelled", name);
	else
		fail_file(task, name, err);
	return NULL;
}

json_t *
sha512_run(struct ganger_task *task, json_t *args)
{
	json_t *path, *text;

	path = json_object_get(args, "path");
	text = json_object_get(args, "text");
	if (json_is_string(path) && text == NULL)
		return hash_file(task, path);
	if (json_is_string(text) && path == NULL)
		return hash_text(text);
	ganger_fail(task, EINVAL, false,
	    "sha512 wants {\"path\": FILE} or {\"text\": TEXT}");
	return NULL;
}
