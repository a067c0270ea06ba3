/* SPDX-License-Identifier: ISC */
/*
 * fault.c - a worker that dies says who did it
 *
 * The note on the page comes first, for it must not be lost; then the stack,
 * whose writing can fault in its turn when the stack is broken: that leads
 * back to where it was begun, and the process dies of the first signal still.
 */
#include "worker/fault.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "worker/sink.h"
#include "worker/slots.h"
#include "worker/stacks.h"

/* Room for a handler and what the kernel saves of the registers. */
#define HANDLER_STACK (128 * 1024)

/* How long a full stderr is waited for. */
#define PATIENCE_MS 1000

/* Tells the master, who reads it, that a line is a warning. */
#define LINE_PREFIX "<4>"

/* How long a thread that faulted second waits for the first to end it all. */
#define OTHERS_END_S 6

static const int signals[] = {
    SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};

static pid_t own_pid;
static _Atomic pid_t ending; /* the thread that ends the process; 0: none */
static atomic_bool is_noted; /* on the page: the first one counts */

/* Where to go when writing the stack faults; NULL: it is not being written. */
static _Thread_local sigjmp_buf *_Atomic rescue
    __attribute__((tls_model("initial-exec")));

static _Thread_local struct {
	char *base; /* owned; NULL: none */
	size_t size;
	stack_t former; /* a sanitizer's */
} handler_stack;

static void
note(int sig, int slot)
{
	struct page *page = slots_page();

	if (atomic_exchange(&is_noted, true))
		return;
	/* The slot first: a signal without it would blame nobody. */
	atomic_store(&page->fault_slot, slot);
	atomic_store(&page->fault_signal, sig);
}

/* Did this thread bring it upon itself? */
static bool
is_own_fault(const siginfo_t *si)
{
	return si->si_code > 0 ||
	       (si->si_code == SI_TKILL && si->si_pid == own_pid);
}

/* Does the instruction that it came from raise it again? */
static bool
will_repeat(int sig, const siginfo_t *si)
{
	return si->si_code > 0 &&
	       (sig == SIGSEGV || sig == SIGFPE || sig == SIGILL ||
		   (sig == SIGBUS && si->si_code != BUS_MCEERR_AO));
}

/*
 * Die of sig once the handler has returned: the core then shows what it
 * interrupted.
 */
static void
die_of(int sig, const siginfo_t *si)
{
	struct sigaction sa;
	sigset_t set;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = SIG_DFL;
	(void)sigaction(sig, &sa, NULL);
	if (will_repeat(sig, si))
		return;
	sigemptyset(&set);
	sigaddset(&set, sig);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	(void)tgkill(getpid(), gettid(), sig);
}

static void
write_reason(struct sink *s, int sig, const siginfo_t *si)
{
	const char *name = sigabbrev_np(sig);
	uintptr_t address;

	/* Standard output may be in the middle of a line. */
	sink_end_line(s);
	sink_str(s, "fatal signal ");
	sink_uint(s, (uint64_t)sig);
	sink_str(s, " (");
	sink_str(s, name == NULL ? "?" : name);
	sink_str(s, ")");
	if (si->si_code > 0 && (sig == SIGSEGV || sig == SIGBUS)) {
		memcpy(&address, &si->si_addr, sizeof(address));
		sink_str(s, " at address ");
		sink_hex(s, address);
	} else if (!is_own_fault(si)) {
		sink_str(s, " from process ");
		sink_uint(s, (uint64_t)si->si_pid);
	}
	sink_end_line(s);
}

static void
write_stacks(int sig, const siginfo_t *si)
{
	sigjmp_buf here;
	struct sink s;

	sink_to_fd(&s, STDERR_FILENO, LINE_PREFIX, PATIENCE_MS);
	if (sigsetjmp(here, 1) == 0) {
		rescue = &here;
		write_reason(&s, sig, si);
		if (is_own_fault(si))
			stacks_write_own(&s);
		else
			stacks_write_all(&s);
	} else {
		sink_to_fd(&s, STDERR_FILENO, LINE_PREFIX, PATIENCE_MS);
		sink_str(&s, "    the stack is broken");
		sink_end_line(&s);
	}
	rescue = NULL;
}

static void
await_end(void)
{
	struct timespec left = {.tv_sec = OTHERS_END_S};

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		continue;
}

static void
on_fault(int sig, siginfo_t *si, void *context)
{
	pid_t nobody = 0, tid = gettid();
	int saved = errno;

	(void)context;
	if (rescue != NULL && si->si_code > 0)
		siglongjmp(*rescue, 1);
	if (getpid() != own_pid || atomic_load(&ending) == tid) {
		/* A child on its way to exec; or already dying. */
	} else if (!atomic_compare_exchange_strong(&ending, &nobody, tid)) {
		await_end();
	} else {
		if (is_own_fault(si))
			note(sig, slots_mine());
		write_stacks(sig, si);
	}
	die_of(sig, si);
	errno = saved;
}

/* exit() was called: in the middle of a task? */
static void
on_exit_called(void)
{
	if (getpid() == own_pid && slots_mine() != PAGE_NO_SLOT)
		note(0, slots_mine());
}

int
fault_init(void)
{
	struct sigaction sa;
	sigset_t set;
	size_t i;

	own_pid = getpid();
	fault_start_thread();
	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = on_fault;
	/* A second fault is to come in, so that it can be told from the first.
	 */
	sa.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
	sigemptyset(&set);
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		if (sigaction(signals[i], &sa, NULL) < 0)
			return -errno;
		sigaddset(&set, signals[i]);
	}
	if (sigprocmask(SIG_UNBLOCK, &set, NULL) < 0)
		return -errno;
	return atexit(on_exit_called) == 0 && at_quick_exit(on_exit_called) == 0
		   ? 0
		   : -ENOMEM;
}

void
fault_start_thread(void)
{
	stack_t mine;
	size_t guard, size;
	char *base;

	guard = (size_t)sysconf(_SC_PAGESIZE);
	size = guard + HANDLER_STACK + (size_t)sysconf(_SC_MINSIGSTKSZ);
	base = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (base == MAP_FAILED)
		return;
	mine = (stack_t){.ss_sp = base + guard, .ss_size = size - guard};
	if (mprotect(base, guard, PROT_NONE) < 0 ||
	    sigaltstack(&mine, &handler_stack.former) < 0) {
		(void)munmap(base, size);
		return;
	}
	handler_stack.base = base;
	handler_stack.size = size;
}

void
fault_stop_thread(void)
{
	if (handler_stack.base == NULL)
		return;
	(void)sigaltstack(&handler_stack.former, NULL);
	(void)munmap(handler_stack.base, handler_stack.size);
	handler_stack.base = NULL;
}
