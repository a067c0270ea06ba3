/* SPDX-License-Identifier: ISC */
/*
 * sort.c - task sort: sort numbers
 *
 * Runs are sorted by qsort(3) and merged in pairs, twice as long each pass, so
 * that between two runs there is time to look for a cancel.
 */
#include "worker/modules/sort.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/modules/numbers.h"

#define RUN_LENGTH 65536

/* The next number of splitmix64 (Steele, Lea and Flood, OOPSLA 2014). */
static uint64_t
next_random(uint64_t *state)
{
	uint64_t z;

	z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static int
compare(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Merge the sorted a and b, na and nb long, into out. */
static void
merge(const int64_t *a, size_t na, const int64_t *b, size_t nb, int64_t *out)
{
	while (na > 0 && nb > 0) {
		if (*b < *a) {
			*out++ = *b++;
			nb--;
		} else {
			*out++ = *a++;
			na--;
		}
	}
	if (na > 0)
		memcpy(out, a, na * sizeof(*a));
	else if (nb > 0)
		memcpy(out, b, nb * sizeof(*b));
}

static size_t
shorter(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Merge runs of `width` in `from` into runs twice as long in `to`. */
static int
merge_pass(struct ganger_task *task, const int64_t *from, size_t n,
    size_t width, int64_t *to)
{
	size_t i, na, nb;

	for (i = 0; i < n; i += na + nb) {
		if (ganger_cancelled(task))
			return -ECANCELED;
		na = shorter(width, n - i);
		nb = shorter(width, n - i - na);
		merge(from + i, na, from + i + na, nb, to + i);
	}
	return 0;
}

/* Sort ns with the help of `other`, as long; either ends up as ns->keys. */
static int
sort_runs(struct ganger_task *task, struct numbers *ns, int64_t **other)
{
	size_t i, width, n_passes, pass;
	int64_t *swap;

	n_passes = 1;
	for (width = RUN_LENGTH; width < ns->n; width *= 2)
		n_passes++;
	for (i = 0; i < ns->n; i += RUN_LENGTH) {
		if (ganger_cancelled(task))
			return -ECANCELED;
		qsort(ns->keys + i, shorter(RUN_LENGTH, ns->n - i),
		    sizeof(*ns->keys), compare);
	}
	width = RUN_LENGTH;
	for (pass = 1; pass < n_passes; pass++, width *= 2) {
		ganger_progress(task, pass, n_passes, NULL);
		if (merge_pass(task, ns->keys, ns->n, width, *other) < 0)
			return -ECANCELED;
		swap = ns->keys;
		ns->keys = *other;
		*other = swap;
	}
	return 0;
}

static int
sort_numbers(struct ganger_task *task, struct numbers *ns)
{
	int64_t *other;
	int r;

	if (ns->n == 0)
		return 0;
	other = calloc(ns->n, sizeof(*other));
	if (other == NULL)
		return -ENOMEM;
	r = sort_runs(task, ns, &other);
	ns->cap = ns->n; /* whichever of the two it has now */
	free(other);
	return r;
}

/* Fill ns with count numbers of 53 bits, which every JSON reader can hold. */
static int
generate(struct numbers *ns, size_t count, uint64_t seed)
{
	size_t i;
	int r;

	r = numbers_reserve(ns, count);
	if (r < 0)
		return r;
	for (i = 0; i < count; i++)
		(void)numbers_add_int(ns, (int64_t)(next_random(&seed) >> 11));
	return 0;
}

static int
take_values(struct numbers *ns, const json_t *array)
{
	const json_t *v;
	size_t i;
	int r;

	r = numbers_reserve(ns, json_array_size(array));
	json_array_foreach(array, i, v) {
		if (r < 0)
			return r;
		if (json_is_integer(v))
			r = numbers_add_int(ns, json_integer_value(v));
		else if (json_is_real(v))
			r = numbers_add_real(ns, json_real_value(v));
		else
			r = -EINVAL;
	}
	return r;
}

/* Read the whole of a regular file into a new string.  -errno. */
static int
read_text(int fd, char **text_out)
{
	struct stat st;
	char *text;
	size_t size, len;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	if (st.st_size > SORT_FILE_MAX)
		return -EFBIG;
	size = (size_t)st.st_size;
	text = malloc(size + 1);
	if (text == NULL)
		return -ENOMEM;
	for (len = 0; len < size; len += (size_t)n) {
		n = read(fd, text + len, size - len);
		if (n < 0) {
			n = -errno;
			free(text);
			return (int)n;
		}
		if (n == 0)
			break;
	}
	text[len] = '\0';
	*text_out = text;
	return 0;
}

/* Fill ns from the file; false: the task was failed. */
static bool
take_file(struct ganger_task *task, struct numbers *ns, const char *path)
{
	char *text;
	size_t bad;
	int fd, r;

	/* O_NONBLOCK: the open of a FIFO would wait for its writer. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	text = NULL;
	r = fd < 0 ? -errno : read_text(fd, &text);
	if (fd >= 0)
		close(fd);
	if (r < 0) {
		ganger_fail(task, -r, r == -ENOMEM, "%s: %s", path,
		    strerrordesc_np(-r));
		return false;
	}
	r = numbers_parse(ns, text, &bad);
	free(text);
	if (r == -EINVAL)
		ganger_fail(task, EINVAL, false, "%s: no number at byte %zu",
		    path, bad);
	else if (r < 0)
		ganger_fail(task, ENOMEM, true, "out of memory");
	return r == 0;
}

/* Fill ns as args say; false: the task was failed. */
static bool
take_input(struct ganger_task *task, struct numbers *ns, const json_t *args)
{
	const json_t *count, *seed, *list, *path;
	int r;

	count = json_object_get(args, "count");
	seed = json_object_get(args, "seed");
	list = json_object_get(args, "numbers");
	path = json_object_get(args, "path");
	r = -EINVAL;
	if (json_is_string(path))
		return take_file(task, ns, json_string_value(path));
	if (json_is_array(list))
		r = take_values(ns, list);
	else if (json_is_integer(count) && json_integer_value(count) >= 0 &&
		 json_integer_value(count) <= SORT_COUNT_MAX)
		r = generate(ns, (size_t)json_integer_value(count),
		    (uint64_t)json_integer_value(seed));
	if (r == -EINVAL)
		ganger_fail(task, EINVAL, false,
		    "sort wants {\"count\": N up to %d}, "
		    "{\"numbers\": [N, ...]} or {\"path\": FILE}",
		    SORT_COUNT_MAX);
	else if (r < 0)
		ganger_fail(task, ENOMEM, true, "out of memory");
	return r == 0;
}

/* FNV-1a (Fowler, Noll and Vo) of the keys' bytes, the lowest first. */
static uint64_t
checksum(const struct numbers *ns)
{
	uint64_t hash;
	size_t i;
	int shift;

	hash = UINT64_C(0xcbf29ce484222325);
	for (i = 0; i < ns->n; i++)
		for (shift = 0; shift < 64; shift += 8) {
			hash ^= ((uint64_t)ns->keys[i] >> shift) & 0xff;
			hash *= UINT64_C(0x100000001b3);
		}
	return hash;
}

static json_t *
make_list(const struct numbers *ns)
{
	json_t *list;
	size_t i;

	list = json_array();
	for (i = 0; i < ns->n; i++)
		if (json_array_append_new(list, numbers_get(ns, i)) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static json_t *
make_result(const struct numbers *ns, bool listed)
{
	json_t *result, *least, *most;
	char sum[17];

	snprintf(sum, sizeof(sum), "%016" PRIx64, checksum(ns));
	least = ns->n == 0 ? json_null() : numbers_get(ns, 0);
	most = ns->n == 0 ? json_null() : numbers_get(ns, ns->n - 1);
	result = json_pack("{s:I, s:o, s:o, s:s}", "count", (json_int_t)ns->n,
	    "min", least, "max", most, "checksum", sum);
	if (listed &&
	    json_object_set_new(result, "sorted", make_list(ns)) < 0) {
		json_decref(result);
		return NULL;
	}
	return result;
}

json_t *
sort_run(struct ganger_task *task, json_t *args)
{
	struct numbers ns;
	json_t *result;
	bool listed;
	int r;

	numbers_init(&ns);
	result = NULL;
	if (take_input(task, &ns, args)) {
		listed = json_object_get(args, "numbers") != NULL ||
			 (json_object_get(args, "path") != NULL &&
			     ns.n <= SORT_LIST_MAX);
		r = sort_numbers(task, &ns);
		if (r == 0)
			result = make_result(&ns, listed);
		if (r == -ECANCELED)
			ganger_fail(task, 0, true, "cancelled");
		else if (result == NULL)
			ganger_fail(task, ENOMEM, true, "out of memory");
	}
	numbers_done(&ns);
	return result;
}
