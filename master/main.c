/* SPDX-License-Identifier: ISC */
/*
 * main.c - gangerd: options, configuration, start
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <bsd/unistd.h>

#include "ipc/buf.h"
#include "ipc/log.h"
#include "master/detach.h"
#include "master/probe.h"
#include "master/roles.h"
#include "master/supervisor/config.h"
#include "master/supervisor/config_print.h"
#include "master/supervisor/lock.h"
#include "master/supervisor/signals.h"
#include "master/supervisor/supervisor.h"

#define CONFIG_PATH   SYSCONFDIR "/ganger/ganger.conf"
#define OVERRIDES_MAX 64
#define TEXT_MAX      ((size_t)16 * 1024 * 1024)

struct options {
	const char *config; /* NULL: the usual file if it is there */
	const char *overrides[OVERRIDES_MAX];
	size_t n_overrides;
	bool check, print, detach, debug;
};

static const char usage_text[] =
    "usage: gangerd [-c FILE] [-t] [-T] [-p KEY=VALUE]... [-d] [-v] [-V]\n"
    "  -c FILE       configuration (default: " CONFIG_PATH ", if there)\n"
    "  -t            check the configuration and exit\n"
    "  -T            print the effective configuration and exit\n"
    "  -p KEY=VALUE  override a top-level key\n"
    "  -d            detach from the terminal\n"
    "  -v            log debugging messages\n"
    "  -V            print the version and exit\n";

static _Noreturn void
usage(int status)
{
	fputs(usage_text, status == 0 ? stdout : stderr);
	exit(status);
}

static void
read_options(int argc, char **argv, struct options *o)
{
	int opt;

	memset(o, 0, sizeof(*o));
	while ((opt = getopt(argc, argv, "c:tTp:dvVh")) != -1) {
		switch (opt) {
		case 'c':
			o->config = optarg;
			break;
		case 't':
			o->check = true;
			break;
		case 'T':
			o->print = true;
			break;
		case 'p':
			if (o->n_overrides == OVERRIDES_MAX)
				usage(EX_USAGE);
			o->overrides[o->n_overrides++] = optarg;
			break;
		case 'd':
			o->detach = true;
			break;
		case 'v':
			o->debug = true;
			break;
		case 'V':
			puts("gangerd " GANGER_VERSION);
			exit(0);
		case 'h':
			usage(0);
		default:
			usage(EX_USAGE);
		}
	}
	if (optind < argc) {
		fprintf(
		    stderr, "gangerd: unexpected argument: %s\n", argv[optind]);
		usage(EX_USAGE);
	}
}

/* Without -c, a file that is not there is no mistake. */
static const char *
config_path(const struct options *o)
{
	if (o->config != NULL)
		return o->config;
	return access(CONFIG_PATH, F_OK) == 0 ? CONFIG_PATH : NULL;
}

static void
print_lines(const struct buf *b)
{
	size_t n = buf_len(b);

	(void)fwrite(buf_head(b), 1, n, stderr);
	if (n > 0 && buf_head(b)[n - 1] != '\n')
		fputc('\n', stderr);
}

/* Load the configuration and look into its modules, or exit. */
static void
load(const struct options *o, struct config **config_out, json_t **names_out)
{
	const char *path = config_path(o);
	struct buf mistakes;
	int r;

	buf_init(&mistakes, TEXT_MAX);
	r = config_load(
	    path, o->overrides, o->n_overrides, config_out, &mistakes);
	if (r == 0) {
		r = probe_pools(*config_out, names_out, &mistakes);
		if (r < 0 && buf_len(&mistakes) == 0)
			buf_printf(&mistakes, "can't check the pools: %s\n",
			    strerror(-r));
		if (r < 0)
			config_free(config_out);
	}
	if (r < 0) {
		print_lines(&mistakes);
		exit(EX_CONFIG);
	}
	buf_done(&mistakes);
}

static int
print_config(const struct config *c)
{
	struct buf text;
	int r;

	buf_init(&text, TEXT_MAX);
	r = config_print(c, &text);
	if (r == 0 && (fwrite(buf_head(&text), 1, buf_len(&text), stdout) !=
			      buf_len(&text) ||
			  fflush(stdout) != 0))
		r = -errno;
	buf_done(&text);
	if (r < 0)
		fprintf(stderr, "gangerd: %s\n", strerror(-r));
	return r < 0 ? EX_IOERR : 0;
}

/*
 * Only 0 to 2 are open, and they are: no descriptor of ours takes their
 * numbers, and none of whoever started us lives on in the children.
 */
static void
settle_fds(void)
{
	int fd;

	closefrom(STDERR_FILENO + 1);

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static int
set_up_log(const struct options *o, const struct config *c)
{
	int r;

	log_set_level(o->debug ? LOG_DEBUG : c->log_level);
	log_set_format(c->log_format);
	log_set_owner(c->account.uid, c->account.gid);
	r = log_open(c->log_file);
	if (r < 0)
		log_error("log_file %s: %s", c->log_file, strerror(-r));
	return r;
}

static void
on_serving(void *arg)
{
	(void)arg;
	detach_ready();
}

/* Take the locks and run; the configuration is good. */
static int
run(const struct config *c, struct roles *roles, bool detached)
{
	static const struct supervisor_ops ops = {
	    .run_broker = role_run_broker,
	    .run_worker = role_run_worker,
	    .on_serving = on_serving,
	};
	struct buf reason;
	struct lock lock;
	int status, r;

	buf_init(&reason, TEXT_MAX);
	lock_init(&lock);
	r = lock_take(&lock, c, &reason);
	if (r == 0 && (r = lock_write(&lock)) < 0)
		buf_printf(
		    &reason, "can't write the pid file: %s", strerror(-r));
	if (r < 0) {
		log_error("%.*s", (int)buf_len(&reason), buf_head(&reason));
		buf_done(&reason);
		lock_release(&lock);
		return r == -EEXIST ? EX_TEMPFAIL : EX_CANTCREAT;
	}
	log_info("gangerd " GANGER_VERSION " starts, configuration: %s",
	    c->path == NULL ? "defaults" : c->path);
	if (detached && strcmp(c->log_file, "-") == 0)
		log_warn("log_file is \"-\": nothing is logged once the "
			 "daemon serves in the background");
	status = supervisor_run(c, &ops, roles);
	lock_release(&lock);
	buf_done(&reason);
	return status;
}

int
main(int argc, char **argv)
{
	struct config *config = NULL;
	struct options o;
	struct roles roles;
	json_t *names = NULL;
	int status, r;

	read_options(argc, argv, &o);
	setproctitle_init(argc, argv, environ);
	settle_fds();
	load(&o, &config, &names);
	if (o.print || o.check) {
		status = o.print ? print_config(config) : 0;
		if (o.check && !o.print)
			printf("%s: the configuration is valid\n",
			    config->path == NULL ? "defaults" : config->path);
		json_decref(names);
		config_free(&config);
		return status;
	}
	if (set_up_log(&o, config) < 0)
		return EX_CANTCREAT;
	if (o.detach && (r = detach()) < 0) {
		log_error("can't detach: %s", strerror(-r));
		return EX_OSERR;
	}
	signals_block();
	setproctitle("master");
	log_set_name("master");
	r = roles_init(&roles, config, names);
	if (r < 0) {
		log_error("can't set up: %s", strerror(-r));
		return EX_OSERR;
	}
	status = run(config, &roles, o.detach);
	roles_done(&roles);
	config_free(&config);
	return status;
}
