/* SPDX-License-Identifier: ISC */
/*
 * command_spawn.c - start a program from a process with threads
 *
 * Another thread may hold any lock at the moment of the fork, so all that
 * allocates is done before it, and the child calls only async-signal-safe
 * functions.  The report pipe tells whether the exec succeeded: it closes on
 * exec, or brings the errno.
 */
#include "worker/command_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH_FALLBACK "/usr/local/bin:/usr/bin:/bin"

#define ENV_OWN 3 /* variables of ours */

extern char **environ;

/* What the child needs, ready before the fork. */
struct launch {
	char path[PATH_MAX];
	char *const *argv; /* borrowed */
	const char **envp; /* owned; its strings are borrowed */
	char own[ENV_OWN][PROTO_NAME_MAX + 32];
	int in[2], out[2], err[2], report[2];
	pid_t parent;
};

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void
close_pair(int fds[2])
{
	close_fd(&fds[0]);
	close_fd(&fds[1]);
}

static int
try_program(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || access(path, X_OK) < 0)
		return -EACCES;
	return 0;
}

/* Look for name in $PATH as execvp(3) does.  -ENOENT, -EACCES, … */
static int
find_program(const char *name, char out[PATH_MAX])
{
	const char *path, *end;
	int r, n;

	if (name[0] == '\0')
		return -ENOENT;
	if (strchr(name, '/') != NULL) {
		n = snprintf(out, PATH_MAX, "%s", name);
		return n < PATH_MAX ? 0 : -ENAMETOOLONG;
	}
	path = getenv("PATH");
	if (path == NULL)
		path = PATH_FALLBACK;
	r = -ENOENT;
	for (;; path = end + 1) {
		end = strchrnul(path, ':');
		n = snprintf(out, PATH_MAX, "%.*s%s%s", (int)(end - path), path,
		    end == path ? "" : "/", name);
		if (n < PATH_MAX) {
			int tried = try_program(out);

			if (tried == 0)
				return 0;
			if (tried == -EACCES)
				r = tried;
		}
		if (*end == '\0')
			return r;
	}
}

static bool
is_own_variable(const char *var)
{
	return strncmp(var, "GANGER_TASK_ID=", 15) == 0 ||
	       strncmp(var, "GANGER_ATTEMPT=", 15) == 0 ||
	       strncmp(var, "GANGER_TASK_NAME=", 17) == 0;
}

static int
make_environment(struct launch *l, const struct ganger_task *t)
{
	size_t i, n;

	for (n = 0; environ != NULL && environ[n] != NULL; n++)
		continue;
	l->envp = calloc(n + ENV_OWN + 1, sizeof(*l->envp));
	if (l->envp == NULL)
		return -ENOMEM;
	snprintf(l->own[0], sizeof(l->own[0]), "GANGER_TASK_ID=%llu",
	    (unsigned long long)t->id);
	snprintf(l->own[1], sizeof(l->own[1]), "GANGER_ATTEMPT=%u", t->attempt);
	snprintf(l->own[2], sizeof(l->own[2]), "GANGER_TASK_NAME=%s",
	    t->route->name);
	for (i = 0; i < ENV_OWN; i++)
		l->envp[i] = l->own[i];
	for (n = 0; environ != NULL && environ[n] != NULL; n++)
		if (!is_own_variable(environ[n]))
			l->envp[i++] = environ[n];
	return 0;
}

static int
make_pipes(struct launch *l)
{
	if (pipe2(l->in, O_CLOEXEC) < 0 || pipe2(l->out, O_CLOEXEC) < 0 ||
	    pipe2(l->err, O_CLOEXEC) < 0 || pipe2(l->report, O_CLOEXEC) < 0)
		return -errno;
	/* Only our ends: the program expects pipes that block. */
	if (fcntl(l->in[1], F_SETFL, O_NONBLOCK) < 0 ||
	    fcntl(l->out[0], F_SETFL, O_NONBLOCK) < 0 ||
	    fcntl(l->err[0], F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

static void
launch_init(struct launch *l, char *const argv[])
{
	l->argv = argv;
	l->envp = NULL;
	l->parent = getpid();
	l->in[0] = l->in[1] = l->out[0] = l->out[1] = -1;
	l->err[0] = l->err[1] = l->report[0] = l->report[1] = -1;
}

static void
launch_done(struct launch *l)
{
	close_pair(l->in);
	close_pair(l->out);
	close_pair(l->err);
	close_pair(l->report);
	free(l->envp);
}

/*
 * In the child: every signal as a fresh program expects it.  Past the C
 * library, which does not touch its own two (32 and 33): they may have come
 * ignored from whoever started the daemon, and would stay so.  A zeroed
 * kernel_sigaction is the default action.
 */
static void
reset_signals(void)
{
	static const char default_action[128];
	sigset_t none;
	int sig;

	/* Fails for KILL and STOP, as it should. */
	for (sig = 1; sig < NSIG; sig++)
		(void)syscall(SYS_rt_sigaction, sig, default_action, NULL,
		    (size_t)(NSIG - 1) / 8);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the child: become the program.  Returns only on failure. */
static int
become(const struct launch *l)
{
	if (setpgid(0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return errno;
	if (getppid() != l->parent)
		return ECHILD;
	if (dup2(l->in[0], STDIN_FILENO) < 0 ||
	    dup2(l->out[1], STDOUT_FILENO) < 0 ||
	    dup2(l->err[1], STDERR_FILENO) < 0)
		return errno;
	/* What a module opened without O_CLOEXEC. */
	(void)close_range(3, UINT_MAX, CLOSE_RANGE_CLOEXEC);
	reset_signals();
	/* execve takes what it never writes to without const. */
	execve(l->path, l->argv, (char *const *)(uintptr_t)l->envp);
	return errno;
}

_Noreturn static void
child_main(const struct launch *l)
{
	int err;

	err = become(l);
	(void)!write(l->report[1], &err, sizeof(err));
	_exit(127);
}

/* Wait for the exec.  0, or the errno it failed with, negative. */
static int
await_exec(struct launch *l)
{
	ssize_t n;
	int err;

	close_fd(&l->report[1]);
	do
		n = read(l->report[0], &err, sizeof(err));
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(err) ? -err : 0;
}

/* Fork and exec.  On error the child is gone, reaped. */
static int
start(struct ganger_task *t, struct launch *l, struct command_child *c,
    bool *program_out)
{
	int r;

	c->pid = job_fork(t);
	if (c->pid < 0)
		return c->pid;
	if (c->pid == 0)
		child_main(l);
	r = await_exec(l);
	*program_out = r < 0;
	if (r == 0) {
		c->pidfd = pidfd_open(c->pid, 0);
		if (c->pidfd < 0)
			r = -errno;
	}
	if (r < 0)
		(void)command_child_end(t, c);
	return r;
}

int
command_spawn(struct ganger_task *t, char *const argv[],
    struct command_child *out, bool *program_out)
{
	struct command_child c = {.pidfd = -1, .in = -1, .out = -1, .err = -1};
	struct launch l;
	int r;

	*program_out = false;
	launch_init(&l, argv);
	r = find_program(argv[0], l.path);
	if (r < 0) {
		*program_out = true;
		return r;
	}
	r = make_environment(&l, t);
	if (r == 0)
		r = make_pipes(&l);
	if (r == 0)
		r = start(t, &l, &c, program_out);
	if (r == 0) {
		c.in = l.in[1];
		c.out = l.out[0];
		c.err = l.err[0];
		l.in[1] = l.out[0] = l.err[0] = -1;
		*out = c;
	}
	launch_done(&l);
	return r;
}

void
command_child_close(struct command_child *c)
{
	close_fd(&c->pidfd);
	close_fd(&c->in);
	close_fd(&c->out);
	close_fd(&c->err);
}

int
command_child_end(struct ganger_task *t, struct command_child *c)
{
	int status;

	job_end_group(t);
	status = 0;
	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	command_child_close(c);
	return status;
}
