/* SPDX-License-Identifier: ISC */
/*
 * stacks.c - what each thread of this process does: its stack, as text
 *
 * The thread that asks sends each other thread a signal, one after the other,
 * whose handler notes its own frames in a capture and wakes the one who waits.
 * A number that goes with the signal says which question it is: an answer that
 * comes too late finds another number, or the question withdrawn.
 *
 * Nothing here allocates or takes a lock.  Frames are found by the compiler's
 * unwind tables, which every object on Linux has; the unwinder's library was
 * loaded with the program.
 */
#include "worker/stacks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>
#include <unwind.h>

#include "ipc/clock.h"
#include "worker/slots.h"
#include "worker/symbol.h"

#define FRAMES_MAX 64

/*
 * How long a thread may take to answer, how long when it waits for a processor
 * and not for anything else, and how long all together.
 */
#define ANSWER_MS     100
#define SLOW_MS       400
#define ALL_ANSWER_MS 4000

/* How long a process that ends waits for a dump that is being written. */
#define TAKE_OVER_MS 1000

/* Asks a thread for its frames. */
#define ASK_SIGNAL (SIGRTMIN + 2)

struct frame {
	uintptr_t pc;
	bool exact; /* else an address of return, behind a call */
};

struct frames {
	struct frame items[FRAMES_MAX];
	unsigned n;
	bool cut; /* there are more */
};

/* What became of a question: the low bits of a capture's state. */
enum phase { ASKED, WRITING, DONE, WITHDRAWN };
#define STATE(turn, phase) ((turn) << 2 | (phase))

struct capture {
	_Atomic uint32_t state;
	struct frames frames; /* the asked thread's while WRITING */
};

/* More than one, for a thread may never come to the end of its answer. */
#define N_CAPTURES 8
static struct capture captures[N_CAPTURES];

static pid_t own_pid;

/* Whoever asks, by its thread; 0: nobody.  Guards what follows. */
static _Atomic pid_t asker;
static uint32_t last_turn;

struct survey {
	struct sink *sink;
	int64_t now_ns;
	struct mono due;            /* from here on nobody is waited for */
	pid_t told[PAGE_SLOTS + 1]; /* the busy ones */
	unsigned n_told;
};

static _Unwind_Reason_Code
add_frame(struct _Unwind_Context *context, void *arg)
{
	struct frames *f = arg;
	int exact;
	uintptr_t pc;

	pc = (uintptr_t)_Unwind_GetIPInfo(context, &exact);
	if (exact != 0 && f->items[0].pc != 0 && !f->items[0].exact)
		f->n = 0; /* so far it was the handler */
	if (f->n == FRAMES_MAX) {
		f->cut = true;
		return _URC_END_OF_STACK;
	}
	if (pc == 0 && exact == 0)
		return _URC_END_OF_STACK;
	f->items[f->n].pc = pc;
	f->items[f->n].exact = exact != 0;
	f->n++;
	return _URC_NO_REASON;
}

/* Find the calling thread's frames, without those of a signal handler. */
static void
find_frames(struct frames *f)
{
	memset(f, 0, sizeof(*f));
	(void)_Unwind_Backtrace(add_frame, f);
}

static long
futex(_Atomic uint32_t *word, int op, uint32_t value,
    const struct timespec *timeout)
{
	return syscall(
	    SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, timeout, NULL, 0);
}

/* A thread is asked. */
static void
on_asked(int sig, siginfo_t *si, void *context)
{
	int saved = errno;
	uint32_t turn, state;
	struct capture *c;

	(void)sig;
	(void)context;
	turn = (uint32_t)si->si_value.sival_int;
	c = &captures[turn % N_CAPTURES];
	state = STATE(turn, ASKED);
	if (si->si_code == SI_QUEUE && getpid() == own_pid &&
	    atomic_compare_exchange_strong(
		&c->state, &state, STATE(turn, WRITING))) {
		find_frames(&c->frames);
		atomic_store(&c->state, STATE(turn, DONE));
		(void)futex(&c->state, FUTEX_WAKE, 1, NULL);
	}
	errno = saved;
}

/* Wait until c leaves `state`; false: not before due. */
static bool
await(struct capture *c, uint32_t state, struct mono due)
{
	struct timespec left;
	int64_t ms;

	while (atomic_load(&c->state) == state) {
		ms = mono_until_ms(mono_now(), due);
		if (ms <= 0)
			return false;
		left.tv_sec = ms / 1000;
		left.tv_nsec = ms % 1000 * 1000000;
		(void)futex(&c->state, FUTEX_WAIT, state, &left);
	}
	return true;
}

/* A capture that nobody writes to, and its turn; NULL: there is none. */
static struct capture *
take_capture(uint32_t *turn_out)
{
	struct capture *c;
	unsigned i;

	for (i = 0; i < N_CAPTURES; i++) {
		c = &captures[++last_turn % N_CAPTURES];
		if ((atomic_load(&c->state) & 3) != WRITING) {
			*turn_out = last_turn & (UINT32_MAX >> 2);
			return c;
		}
	}
	return NULL;
}

/* Send the question; false: there is no such thread (any more). */
static bool
send_question(pid_t tid, uint32_t turn)
{
	siginfo_t si;

	memset(&si, 0, sizeof(si));
	si.si_code = SI_QUEUE;
	si.si_pid = own_pid;
	si.si_uid = getuid();
	si.si_value.sival_int = (int)turn;
	return syscall(SYS_rt_tgsigqueueinfo, own_pid, tid, ASK_SIGNAL, &si) ==
	       0;
}

/* Ask a thread for its frames; NULL: no answer by due. */
static const struct frames *
ask(pid_t tid, struct mono due)
{
	struct capture *c;
	uint32_t turn, state;

	c = take_capture(&turn);
	if (c == NULL)
		return NULL;
	state = STATE(turn, ASKED);
	atomic_store(&c->state, state);
	if (!send_question(tid, turn))
		return NULL;
	if (!await(c, state, due) && atomic_compare_exchange_strong(&c->state,
					 &state, STATE(turn, WITHDRAWN)))
		return NULL;
	if (!await(c, STATE(turn, WRITING), mono_add_ms(due, ANSWER_MS)))
		return NULL;
	return &c->frames;
}

static void
write_frame(struct sink *s, unsigned i, const struct frame *f)
{
	struct symbol sym;

	/* A call may be the last thing in its function. */
	symbol_find(f->exact ? f->pc : f->pc - 1, &sym);
	sink_str(s, i < 10 ? "    #" : "   #");
	sink_uint(s, i);
	sink_str(s, " ");
	if (sym.function[0] != '\0') {
		sink_str(s, sym.function);
		sink_str(s, "+");
		sink_hex(s, sym.function_offset);
		sink_str(s, " (");
	}
	if (sym.object[0] != '\0') {
		sink_str(s, sym.object);
		sink_str(s, "+");
		sink_hex(s, sym.object_offset);
	} else {
		sink_hex(s, f->pc);
	}
	if (sym.function[0] != '\0')
		sink_str(s, ")");
	sink_end_line(s);
}

static void
write_frames(struct sink *s, const struct frames *f)
{
	unsigned i;

	for (i = 0; i < f->n; i++)
		write_frame(s, i, &f->items[i]);
	if (f->cut) {
		sink_str(s, "    and more");
		sink_end_line(s);
	}
}

static char *
append(char *p, const char *text)
{
	while (*text != '\0')
		*p++ = *text++;
	*p = '\0';
	return p;
}

/* Read the file of a thread's into a line without its end. */
static void
read_about(pid_t tid, const char *file, char *line, size_t size)
{
	char path[64], digits[12];
	char *p;
	ssize_t n;
	int fd, i;

	i = 0;
	for (; tid > 0; tid /= 10)
		digits[i++] = (char)('0' + tid % 10);
	p = append(path, "/proc/self/task/");
	while (i > 0)
		*p++ = digits[--i];
	append(append(p, "/"), file);
	line[0] = '\0';
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = read(fd, line, size - 1);
	close(fd);
	line[n < 0 ? 0 : n] = '\0';
	line[strcspn(line, "\n")] = '\0';
}

static void
write_task(struct sink *s, const struct page_slot *slot, int64_t now_ns)
{
	uint64_t task = atomic_load(&slot->task);
	int32_t pgid = atomic_load(&slot->pgid);

	if (task == 0) {
		sink_str(s, ": idle");
		return;
	}
	sink_str(s, ": task ");
	sink_uint(s, task);
	sink_str(s, ", run ");
	sink_uint(s, atomic_load(&slot->run));
	sink_str(s, ", for ");
	sink_duration(s, now_ns - atomic_load(&slot->since_ns));
	if (pgid > 0) {
		sink_str(s, ", its program is process ");
		sink_uint(s, (uint64_t)pgid);
	}
}

/* The line that heads a thread's frames. */
static void
write_head(struct sink *s, pid_t tid, int64_t now_ns)
{
	char name[32];
	int slot;

	sink_str(s, "thread ");
	sink_uint(s, (uint64_t)tid);
	sink_str(s, " \"");
	if (tid == own_pid) {
		/* Its name is the process's, for ps(1) and others. */
		sink_str(s, "main");
	} else {
		read_about(tid, "comm", name, sizeof(name));
		sink_str(s, name);
	}
	sink_str(s, "\"");
	slot = slots_find(tid);
	if (slot != PAGE_NO_SLOT)
		write_task(s, &slots_page()->slots[slot], now_ns);
	sink_end_line(s);
}

/* The letter that ps(1) has for what a thread does; '\0': there is none. */
static char
find_state(pid_t tid)
{
	char stat[256];
	const char *state;

	read_about(tid, "stat", stat, sizeof(stat));
	/* "TID (NAME) STATE …": the name may have anything in it. */
	state = strrchr(stat, ')');
	return state == NULL || strlen(state) < 3 ? '\0' : state[2];
}

static void
write_silent(struct sink *s, pid_t tid)
{
	char wchan[64], state[2] = "";

	state[0] = find_state(tid);
	read_about(tid, "wchan", wchan, sizeof(wchan));
	sink_str(s, "    does not answer");
	if (state[0] != '\0') {
		sink_str(s, "; state ");
		sink_str(s, state);
	}
	if (wchan[0] != '\0' && strcmp(wchan, "0") != 0) {
		sink_str(s, ", waits in ");
		sink_str(s, wchan);
	}
	sink_end_line(s);
}

void
stacks_write_own(struct sink *s)
{
	struct frames f;

	write_head(s, gettid(), mono_now().ns);
	find_frames(&f);
	write_frames(s, &f);
}

/* In ms from now, but within the time for all; the last one has a moment. */
static struct mono
due_in(const struct survey *v, int64_t ms)
{
	struct mono now = mono_now(), due = mono_add_ms(now, ms);

	if (mono_reached(due, v->due))
		due = v->due;
	return mono_reached(now, due) ? mono_add_ms(now, 1) : due;
}

static void
write_thread(const struct survey *v, pid_t tid)
{
	const struct frames *f;

	if (tid == gettid()) {
		stacks_write_own(v->sink);
		return;
	}
	write_head(v->sink, tid, v->now_ns);
	f = ask(tid, due_in(v, ANSWER_MS));
	if (f == NULL && find_state(tid) == 'R')
		f = ask(tid, due_in(v, SLOW_MS));
	if (f != NULL)
		write_frames(v->sink, f);
	else
		write_silent(v->sink, tid);
}

/* Those that are looked at first: what is cut off the end matters least. */
static bool
is_busy(pid_t tid)
{
	int slot = slots_find(tid);

	if (slot == PAGE_NO_SLOT)
		return tid == own_pid;
	return atomic_load(&slots_page()->slots[slot].task) != 0;
}

static bool
is_told(const struct survey *v, pid_t tid)
{
	unsigned i;

	for (i = 0; i < v->n_told; i++)
		if (v->told[i] == tid)
			return true;
	return false;
}

/* Write a thread in the round that it belongs to. */
static void
visit(struct survey *v, pid_t tid, bool busy_ones)
{
	if (!busy_ones) {
		if (!is_told(v, tid))
			write_thread(v, tid);
	} else if (is_busy(tid) && v->n_told <= PAGE_SLOTS) {
		v->told[v->n_told++] = tid;
		write_thread(v, tid);
	}
}

static pid_t
parse_tid(const char *name)
{
	pid_t tid;

	for (tid = 0; *name >= '0' && *name <= '9'; name++)
		tid = tid * 10 + (*name - '0');
	return tid;
}

/* Write the busy threads, or those that are left.  False: can't. */
static bool
write_threads(struct survey *v, bool busy_ones)
{
	char data[2048] __attribute__((aligned(__alignof__(struct dirent64))));
	const struct dirent64 *e;
	ssize_t n, at;
	pid_t tid;
	int fd;

	fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	while ((n = getdents64(fd, data, sizeof(data))) > 0) {
		for (at = 0; at < n; at += e->d_reclen) {
			e = (const void *)(data + at);
			tid = parse_tid(e->d_name);
			if (tid > 0)
				visit(v, tid, busy_ones);
		}
	}
	close(fd);
	return true;
}

static void
write_all(struct sink *s)
{
	struct mono now = mono_now();
	struct survey v;

	v.sink = s;
	v.now_ns = now.ns;
	v.due = mono_add_ms(now, ALL_ANSWER_MS);
	v.n_told = 0;
	if (!write_threads(&v, true) || !write_threads(&v, false)) {
		sink_str(s, "the threads cannot be listed; this one:");
		sink_end_line(s);
		stacks_write_own(s);
	}
}

static bool
become_asker(void)
{
	pid_t nobody = 0;

	return atomic_compare_exchange_strong(&asker, &nobody, gettid());
}

void
stacks_write_all(struct sink *s)
{
	const struct timespec moment = {.tv_nsec = 1000000};
	struct mono due = mono_add_ms(mono_now(), TAKE_OVER_MS);

	/* Another one that asks may be stuck; or it is what we interrupted. */
	while (!become_asker() && atomic_load(&asker) != gettid() &&
	       !mono_reached(mono_now(), due))
		(void)nanosleep(&moment, NULL);
	write_all(s);
	atomic_store(&asker, 0);
}

/* Write the stacks to the page, as often as the master has asked. */
static void
dump(struct page *page)
{
	struct sink s;
	uint32_t asked;

	asked = atomic_load(&page->dump_asked);
	sink_to_memory(&s, page->text, sizeof(page->text));
	write_all(&s);
	atomic_store(&page->text_len, (uint32_t)s.len);
	atomic_store(&page->dump_done, asked);
}

static void
on_dump(int sig, siginfo_t *si, void *context)
{
	int saved = errno;
	struct page *page = slots_page();

	(void)sig;
	(void)si;
	(void)context;
	/* A second request may come to another thread meanwhile, and leave. */
	while (
	    getpid() == own_pid &&
	    atomic_load(&page->dump_asked) != atomic_load(&page->dump_done) &&
	    become_asker()) {
		dump(page);
		atomic_store(&asker, 0);
	}
	errno = saved;
}

static int
take_signal(int sig, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = handler;
	sa.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
	return sigaction(sig, &sa, NULL) < 0 ? -errno : 0;
}

int
stacks_init(void)
{
	struct frames warm;
	sigset_t set;
	int r;

	own_pid = getpid();
	/* What the unwinder sets up once is set up now. */
	find_frames(&warm);
	r = take_signal(ASK_SIGNAL, on_asked);
	if (r == 0)
		r = take_signal(PAGE_DUMP_SIGNAL, on_dump);
	if (r < 0)
		return r;
	sigemptyset(&set);
	sigaddset(&set, ASK_SIGNAL);
	sigaddset(&set, PAGE_DUMP_SIGNAL);
	return sigprocmask(SIG_UNBLOCK, &set, NULL) < 0 ? -errno : 0;
}
