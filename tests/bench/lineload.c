/* SPDX-License-Identifier: ISC */
/*
 * lineload.c - load a server that answers each request with one line
 *
 *	lineload SOCKET CLIENTS SECONDS PREFIX <REQUEST
 *
 * Each client is a connection that sends the request, waits for a line that
 * begins with PREFIX, and sends the request again: none has two under way.
 * Any other line is the end of it all.  Told is what was answered, in JSON:
 * count, seconds, and latencies in microseconds.
 *
 * It speaks to Ganger, to beanstalkd and to Redis alike, so that what is
 * compared is theirs.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define N_CLIENTS_MAX 1000
#define LINE_MAX_SIZE 4096
#define N_TOOK_MAX    (16 << 20)

struct client {
	int fd;
	int64_t sent_ns;
	size_t n;
	char line[LINE_MAX_SIZE];
};

struct load {
	struct client clients[N_CLIENTS_MAX];
	char request[65536];
	size_t n_request;
	const char *prefix;
	uint32_t *took_us;
	size_t n_took;
};

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static int
connect_to(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(sa.sun_path)) {
		errno = ENAMETOOLONG;
		die(path);
	}
	strcpy(sa.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		die(path);
	return fd;
}

static void
ask(struct load *l, struct client *c)
{
	size_t at = 0;
	ssize_t n;

	c->n = 0;
	c->sent_ns = now_ns();
	while (at < l->n_request) {
		n = write(c->fd, l->request + at, l->n_request - at);
		if (n < 0)
			die("write");
		at += (size_t)n;
	}
}

/* True when the whole line is there. */
static int
take(struct load *l, struct client *c)
{
	ssize_t n;

	n = read(c->fd, c->line + c->n, sizeof(c->line) - 1 - c->n);
	if (n <= 0)
		die("read");
	c->n += (size_t)n;
	if (c->line[c->n - 1] != '\n')
		return 0;
	c->line[c->n] = '\0';
	if (strncmp(c->line, l->prefix, strlen(l->prefix)) != 0) {
		fprintf(stderr, "answered: %s", c->line);
		exit(1);
	}
	if (l->n_took < N_TOOK_MAX)
		l->took_us[l->n_took++] =
		    (uint32_t)((now_ns() - c->sent_ns) / 1000);
	return 1;
}

static void
run(struct load *l, int epoll, int64_t until_ns)
{
	struct epoll_event events[N_CLIENTS_MAX];
	struct client *c;
	int i, n;

	while (now_ns() < until_ns) {
		n = epoll_wait(epoll, events, N_CLIENTS_MAX, 1000);
		if (n < 0 && errno != EINTR)
			die("epoll_wait");
		for (i = 0; i < n; i++) {
			c = events[i].data.ptr;
			if (take(l, c))
				ask(l, c);
		}
	}
}

static int
compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static uint32_t
percentile(const struct load *l, size_t percent)
{
	return l->n_took == 0 ? 0 : l->took_us[(l->n_took - 1) * percent / 100];
}

int
main(int argc, char **argv)
{
	static struct load l;
	int i, epoll, n_clients;
	int64_t start, length;

	if (argc != 5 || (n_clients = atoi(argv[2])) < 1 ||
	    n_clients > N_CLIENTS_MAX) {
		fprintf(stderr, "lineload SOCKET CLIENTS SECONDS PREFIX\n");
		return 64;
	}
	length = (int64_t)(atof(argv[3]) * 1e9);
	l.prefix = argv[4];
	l.n_request = fread(l.request, 1, sizeof(l.request), stdin);
	l.took_us = calloc(N_TOOK_MAX, sizeof(*l.took_us));
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l.took_us == NULL || epoll < 0)
		die("lineload");
	for (i = 0; i < n_clients; i++) {
		struct epoll_event ev = {
		    .events = EPOLLIN, .data.ptr = &l.clients[i]};

		l.clients[i].fd = connect_to(argv[1]);
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, l.clients[i].fd, &ev) < 0)
			die("epoll_ctl");
	}
	start = now_ns();
	for (i = 0; i < n_clients; i++)
		ask(&l, &l.clients[i]);
	run(&l, epoll, start + length);
	length = now_ns() - start;
	qsort(l.took_us, l.n_took, sizeof(*l.took_us), compare);
	printf("{\"count\": %zu, \"seconds\": %.3f, \"p50_us\": %u, "
	       "\"p99_us\": %u}\n",
	    l.n_took, (double)length / 1e9, percentile(&l, 50),
	    percentile(&l, 99));
	return 0;
}
