/* SPDX-License-Identifier: ISC */
/*
 * main.c - gangerd: options, configuration, start
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <bsd/stdlib.h>
#include <bsd/unistd.h>

#include "ipc/buf.h"
#include "ipc/log.h"
#include "master/check.h"
#include "master/detach.h"
#include "master/program.h"
#include "master/renew.h"
#include "master/roles.h"
#include "master/supervisor/activation.h"
#include "master/supervisor/config.h"
#include "master/supervisor/config_print.h"
#include "master/supervisor/lock.h"
#include "master/supervisor/signals.h"
#include "master/supervisor/state_dir.h"
#include "master/supervisor/supervisor.h"
#include "master/supervisor/title.h"

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
    "  -c FILE       configuration (default: " CHECK_USUAL_PATH ", if there)\n"
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

static struct check_request
request_of(const struct options *o)
{
	return (struct check_request){.path = o->config,
	    .overrides = o->overrides,
	    .n_overrides = o->n_overrides};
}

/* Where the daemon asks whether this program takes its configuration. */
static void
answer_check(const struct options *o)
{
	struct check_request q = request_of(o);
	const char *error = NULL, *text = getenv(CHECK_FD_ENV);
	int fd;

	if (text == NULL || !o->check)
		return;
	fd = (int)strtonum(text, STDERR_FILENO + 1, INT_MAX, &error);
	if (error != NULL || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return;
	(void)unsetenv(CHECK_FD_ENV);
	check_serve(&q, fd);
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
	struct check_request q = request_of(o);
	struct buf mistakes;

	buf_init(&mistakes, TEXT_MAX);
	if (check_load(&q, config_out, names_out, &mistakes) < 0) {
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
 * numbers, and none of whoever started us lives on in the children.  But for
 * those that were meant for us: the service manager's, and those that the
 * image before has left open.
 */
static void
settle_fds(struct activation *passed)
{
	int fd;

	activation_read(passed);
	if (!renew_has_state())
		closefrom(ACTIVATION_FIRST_FD + passed->n_fds);

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

/* Take the locks of a daemon that starts, and prepare what they are for.  0, or
 * an exit status. */
static int
take_locks(struct program *p, const struct config *c, bool activated)
{
	struct buf reason;
	int r;

	buf_init(&reason, TEXT_MAX);
	r = lock_take(&p->lock, c, activated, &reason);
	if (r == 0 && (r = lock_write(&p->lock)) < 0)
		buf_printf(
		    &reason, "can't write the pid file: %s", strerror(-r));
	if (r == 0)
		r = state_dir_prepare(c, &reason);
	if (r < 0) {
		log_error("%.*s", (int)buf_len(&reason), buf_head(&reason));
		lock_release(&p->lock);
	}
	buf_done(&reason);
	return r == 0 ? 0 : r == -EEXIST ? EX_TEMPFAIL : EX_CANTCREAT;
}

/* Take the socket that a service manager listens on.  0, or an exit status. */
static int
take_socket(struct activation *passed, const struct config *c, int *fd_out)
{
	struct buf reason;
	int r;

	buf_init(&reason, TEXT_MAX);
	r = activation_take(passed, c->socket, fd_out, &reason);
	if (r < 0)
		log_error("%.*s", (int)buf_len(&reason), buf_head(&reason));
	buf_done(&reason);
	return r < 0 ? EX_CONFIG : 0;
}

/* Set up for a daemon that starts; the configuration is good. */
static int
start(struct program *p, const struct options *o, struct activation *passed,
    struct supervisor_start *st)
{
	const struct config *c = st->config;
	int r, status;

	assert(c != NULL);
	/* Before the log, which is to lead where standard error does then. */
	if (o->detach && (r = detach()) < 0) {
		log_error("can't detach: %s", strerror(-r));
		return EX_OSERR;
	}
	if (set_up_log(o, c) < 0)
		return EX_CANTCREAT;
	log_set_echo(true); /* until it serves: how else is a failure seen? */
	log_set_name("master");
	p->to_stderr = strcmp(c->log_file, "-") == 0;
	r = roles_init(&p->roles);
	if (r < 0) {
		log_error("can't set up: %s", strerror(-r));
		return EX_OSERR;
	}
	p->roles.debug = o->debug;
	status = take_locks(p, c, passed->n_fds > 0);
	if (status == 0)
		status = take_socket(passed, c, &st->listen_fd);
	if (status != 0)
		return status;
	log_info("gangerd " GANGER_VERSION " starts, configuration: %s",
	    c->path == NULL ? "defaults" : c->path);
	if (o->detach && p->to_stderr)
		log_warn("log_file is \"-\": nothing is logged once the "
			 "daemon serves in the background");
	return 0;
}

/* Print what was asked for instead of running.  An exit status. */
static int
show(const struct options *o, struct supervisor_start *st)
{
	const struct config *c = st->config;
	int status;

	assert(c != NULL);
	status = o->print ? print_config(c) : 0;
	if (o->check && !o->print)
		printf("%s: the configuration is valid\n",
		    c->path == NULL ? "defaults" : c->path);
	json_decref(st->names);
	config_free(&st->config);
	return status;
}

/* Go on where the image before an upgrade was.  0, or an exit status. */
static int
resume(struct program *p, const struct options *o, struct supervisor_start *st)
{
	int r;

	log_set_name("master");
	r = program_resume(p, st->handover, &st->config, &st->names);
	if (r < 0)
		return EX_SOFTWARE;
	p->roles.debug = o->debug;
	if (o->debug)
		log_set_level(LOG_DEBUG);
	return 0;
}

int
main(int argc, char **argv)
{
	/* Kept to the end: a process that can't start frees nothing. */
	static struct supervisor_start st = {
	    .listen_fd = -1, .ops = &program_ops};
	static struct program p;
	struct activation passed;
	struct check_request request;
	struct options o;
	int status, r;

	if (role_is_resumed()) {
		title_init(argc, argv, environ);
		return role_resume_broker();
	}
	lock_init(&p.lock);
	r = renew_init(&p.renew, argc, argv);
	/* Not from argv, where the process's title will be. */
	read_options(argc, r == 0 ? p.renew.argv : argv, &o);
	title_init(argc, argv, environ);
	answer_check(&o);
	settle_fds(&passed);
	request = request_of(&o);
	checker_init(&p.checker, &request, p.renew.argv);
	if (r == 0)
		r = renew_take_state(&st.handover);
	if (r < 0) {
		log_error("can't set up: %s", strerror(-r));
		return EX_OSERR;
	}
	if (r == 0)
		load(&o, &st.config, &st.names);
	if (r == 0 && (o.print || o.check))
		return show(&o, &st);
	signals_block();
	status = r == 0 ? start(&p, &o, &passed, &st) : resume(&p, &o, &st);
	if (status != 0)
		return status;
	title_set("master");
	st.lock = &p.lock;
	st.debug = o.debug;
	st.arg = &p;
	status = supervisor_run(&st);
	json_decref(st.handover);
	checker_done(&p.checker);
	lock_release(&p.lock);
	activation_done(&passed);
	roles_done(&p.roles);
	renew_done(&p.renew);
	return status;
}
