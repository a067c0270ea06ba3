/* SPDX-License-Identifier: ISC */
/*
 * mailbox.c - tasks of one key run one at a time, in the order of their seq
 *
 * Nothing is decided within the calls that tell of a change: they note it, and
 * mailbox_tidy decides at the end of the turn, before the store's flush.  A
 * durable holder keeps the next one waiting until its end is kept, for else it
 * could run once more, behind that one.
 *
 * What is known of the disk: all that is parked on it alone has a seq of at
 * least `disk_from`.  A fetch moves that forward; what is spilled moves it
 * back, also while a fetch is open, which may or may not see it.  A fetch may
 * bring what was given the key meanwhile: keys are given in the order of seq,
 * so `given` tells.
 */
#include "master/broker/mailbox.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/log.h"
#include "master/broker/broker.h"
#include "master/broker/life.h"

#define KEEP        64    /* durable parked tasks of a key in memory */
#define KEEP_FEW    4     /* the same once there are ... */
#define MANY        16384 /* ... so many of all keys */
#define FETCH_BYTES ((size_t)1024 * 1024)
#define LATER       1. /* s until what failed is tried again */
#define NO_SEQ      UINT64_MAX

enum holder {
	HOLDER_UNKNOWN, /* to be looked up once somebody is parked */
	HOLDER_NONE,
	HOLDER_HERE,
	HOLDER_ABSENT, /* on the disk only */
	HOLDER_ENDED,  /* but that is not kept so far: it may come back */
};

struct mailbox {
	struct broker *broker; /* borrowed */
	char *key;             /* owned */
	enum holder holder;
	struct task *task;       /* borrowed; the holder that is here */
	uint64_t ended;          /* id of the one that has ended */
	struct task_list parked; /* those here, by seq */
	size_t n_durable;        /* of them */
	size_t n_members;        /* tasks whose `mailbox` this is */
	uint64_t disk_from;    /* NO_SEQ: nothing is parked on the disk only */
	uint64_t spilled_from; /* the same since the look-up was made */
	uint64_t given;        /* seq of the last one that got the key here */
	bool looking;          /* a look-up is open */
	struct mailbox_list *list; /* todo, later, or NULL */
	LIST_ENTRY(mailbox) entry; /* of list */
	RB_ENTRY(mailbox) node;
};

static int
mailbox_cmp(const struct mailbox *a, const struct mailbox *b)
{
	return strcmp(a->key, b->key);
}

RB_PROTOTYPE(mailbox_tree, mailbox, node, mailbox_cmp)
RB_GENERATE(mailbox_tree, mailbox, node, mailbox_cmp)

static struct mailbox *
mailbox_find(struct broker *b, char *key)
{
	struct mailbox like = {.key = key};

	return RB_FIND(mailbox_tree, &b->mailboxes.tree, &like);
}

static void
move_to(struct mailbox *m, struct mailbox_list *list)
{
	if (m->list != NULL)
		LIST_REMOVE(m, entry);
	m->list = list;
	if (list != NULL)
		LIST_INSERT_HEAD(list, m, entry);
}

/* mailbox_tidy shall look at it. */
static void
note(struct mailbox *m)
{
	move_to(m, &m->broker->mailboxes.todo);
}

static void
on_later(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct mailboxes *all = w->data;
	struct mailbox *m;

	(void)loop;
	(void)revents;
	while ((m = LIST_FIRST(&all->later)) != NULL)
		note(m);
}

/* Something has failed: try again, but not at once. */
static void
put_off(struct mailbox *m)
{
	struct mailboxes *all = &m->broker->mailboxes;

	move_to(m, &all->later);
	if (ev_is_active(&all->timer))
		return;
	ev_timer_init(&all->timer, on_later, LATER, 0.);
	all->timer.data = all;
	ev_timer_start(m->broker->loop, &all->timer);
}

static struct mailbox *
mailbox_new(struct broker *b, const char *key)
{
	struct mailbox *m;

	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return NULL;
	m->key = strdup(key);
	if (m->key == NULL) {
		free(m);
		return NULL;
	}
	m->broker = b;
	TAILQ_INIT(&m->parked);
	m->holder = HOLDER_UNKNOWN;
	m->disk_from = 0;
	m->spilled_from = NO_SEQ;
	RB_INSERT(mailbox_tree, &b->mailboxes.tree, m);
	b->mailboxes.n++;
	return m;
}

static void
mailbox_free(struct mailbox *m)
{
	struct mailboxes *all = &m->broker->mailboxes;

	move_to(m, NULL);
	RB_REMOVE(mailbox_tree, &all->tree, m);
	all->n--;
	free(m->key);
	free(m);
}

/* With nothing on the disk that is not here, there is nothing to look up. */
static void
learn(struct mailbox *m)
{
	if (m->broker->n_keyed_absent > 0)
		return;
	m->disk_from = NO_SEQ;
	if (m->holder == HOLDER_UNKNOWN)
		m->holder = HOLDER_NONE;
}

/* Park t in its place; what is new comes last. */
static void
park(struct mailbox *m, struct task *t)
{
	struct task *other = TAILQ_LAST(&m->parked, task_list);

	if (other != NULL && other->seq > t->seq) {
		TAILQ_FOREACH(other, &m->parked, entry) {
			if (other->seq > t->seq)
				break;
		}
		TAILQ_INSERT_BEFORE(other, t, entry);
	} else {
		TAILQ_INSERT_TAIL(&m->parked, t, entry);
	}
	t->holds = false;
	t->parked = true;
	t->place = TASK_IN_MAILBOX;
	if (t->durable) {
		m->n_durable++;
		m->broker->mailboxes.n_durable++;
	}
	note(m);
}

static void
unpark(struct mailbox *m, struct task *t)
{
	TAILQ_REMOVE(&m->parked, t, entry);
	t->place = TASK_NOWHERE;
	if (t->durable) {
		m->n_durable--;
		m->broker->mailboxes.n_durable--;
	}
}

static void
hold(struct mailbox *m, struct task *t)
{
	t->parked = false;
	t->holds = true;
	m->holder = HOLDER_HERE;
	m->task = t;
}

int
mailbox_enter(struct broker *b, struct task *t)
{
	struct mailbox *m;

	if (t->key == NULL)
		return 0;
	m = mailbox_find(b, t->key);
	if (m == NULL)
		m = mailbox_new(b, t->key);
	if (m == NULL)
		return -ENOMEM;
	t->mailbox = m;
	m->n_members++;
	return 0;
}

bool
mailbox_admit(struct task *t)
{
	struct mailbox *m = t->mailbox;

	if (t->key == NULL)
		return true;
	learn(m);
	if (m->holder == HOLDER_NONE && TAILQ_EMPTY(&m->parked) &&
	    m->disk_from == NO_SEQ) {
		hold(m, t);
		return true;
	}
	park(m, t);
	return false;
}

int
mailbox_restore(struct broker *b, struct task *t)
{
	struct mailbox *m;

	if (mailbox_enter(b, t) < 0)
		return -ENOMEM;
	m = t->mailbox;
	if (t->key == NULL || (!t->holds && !t->parked))
		return 0;
	if (t->holds && m->holder == HOLDER_HERE) {
		log_error("tasks %llu and %llu both held a key; the second "
			  "waits for the first",
		    (unsigned long long)m->task->id, (unsigned long long)t->id);
		park(m, t);
	} else if (t->holds) {
		hold(m, t);
	} else {
		park(m, t);
	}
	return 0;
}

int
mailbox_adopt(struct broker *b, struct task *t)
{
	int r = mailbox_restore(b, t);

	if (r == 0 && t->key != NULL)
		b->n_keyed_absent--;
	return r;
}

/* t is not in the mailbox any more. */
static void
part(struct mailbox *m, struct task *t)
{
	if (t->place == TASK_IN_MAILBOX)
		unpark(m, t);
	if (m->task == t)
		m->task = NULL;
	m->n_members--;
	t->mailbox = NULL;
	note(m);
}

/* A holder that was on the disk only is no more. */
static void
lose_absent(struct broker *b, struct task *t)
{
	struct mailbox *m = mailbox_find(b, t->key);

	if (m == NULL)
		m = mailbox_new(b, t->key);
	if (m == NULL) {
		/* Found by the next one that comes with this key. */
		log_error("out of memory: tasks of a key are held back");
		return;
	}
	if (m->holder == HOLDER_ABSENT || m->holder == HOLDER_UNKNOWN)
		m->holder = HOLDER_NONE;
	note(m);
}

/* Its holder is here no more. */
static void
lose_holder(struct mailbox *m, const struct task *t)
{
	m->holder = HOLDER_NONE;
	if (!t->durable || !task_is_final(t))
		return;
	/* Would the broker die now, t would be run again. */
	m->holder = HOLDER_ENDED;
	m->ended = t->id;
}

void
mailbox_leave(struct broker *b, struct task *t)
{
	struct mailbox *m = t->mailbox;

	if (t->key == NULL)
		return;
	if (m == NULL) {
		b->n_keyed_absent--;
		if (t->holds)
			lose_absent(b, t);
	} else {
		if (m->task == t)
			lose_holder(m, t);
		part(m, t);
	}
	t->holds = t->parked = false;
}

void
mailbox_kept(struct broker *b, const struct task *t)
{
	struct mailbox *m;

	if (t->key == NULL)
		return;
	m = mailbox_find(b, t->key);
	if (m == NULL || m->holder != HOLDER_ENDED || m->ended != t->id)
		return;
	m->holder = HOLDER_NONE;
	note(m);
}

void
mailbox_spill(struct broker *b, struct task *t)
{
	struct mailbox *m = t->mailbox;

	if (t->key == NULL)
		return;
	b->n_keyed_absent++;
	if (m->task == t)
		m->holder = HOLDER_ABSENT;
	if (t->parked && t->seq < m->disk_from)
		m->disk_from = t->seq;
	if (t->parked && t->seq < m->spilled_from)
		m->spilled_from = t->seq;
	part(m, t);
}

/* How many durable parked ones of a key are kept in memory. */
static size_t
keep(const struct broker *b)
{
	return b->mailboxes.n_durable > MANY ? KEEP_FEW : KEEP;
}

/* Is somebody parked behind seq who is lost if the broker ends before? */
static bool
is_wanted(const struct mailbox *m, uint64_t seq)
{
	const struct task *t;

	for (t = TAILQ_LAST(&m->parked, task_list); t != NULL && t->seq > seq;
	     t = TAILQ_PREV(t, task_list, entry))
		if (!t->durable)
			return true;
	return false;
}

bool
mailbox_is_wanted(const struct broker *b, const struct task *t)
{
	return b->phase == BROKER_DRAINING && t->mailbox != NULL &&
	       is_wanted(t->mailbox, t->seq);
}

/* Leave to the disk what is not among the next ones, or not wanted. */
static void
trim(struct mailbox *m)
{
	struct broker *b = m->broker;
	size_t most = b->window.closed ? 0 : keep(b);
	struct task *t, *before;

	for (t = TAILQ_LAST(&m->parked, task_list);
	     t != NULL && m->n_durable > most; t = before) {
		before = TAILQ_PREV(t, task_list, entry);
		if (!t->durable)
			continue;
		if ((most == 0 && mailbox_is_wanted(b, t)) || !life_spill(b, t))
			break;
	}
}

/* A look-up has come back: true when its answer is of use. */
static bool
look_over(struct mailbox *m, int err)
{
	m->looking = false;
	if (err == -ECANCELED)
		return false;
	if (err < 0) {
		put_off(m);
		return false;
	}
	note(m);
	return true;
}

/* Nobody holds the key; what is parked on the disk is at seq or behind. */
static void
know_no_holder(struct mailbox *m, uint64_t seq)
{
	m->holder = HOLDER_NONE;
	m->disk_from = seq < m->spilled_from ? seq : m->spilled_from;
}

/* The task that the look-up for a holder has found. */
static void
on_got(void *arg, int err, struct task *t)
{
	struct mailbox *m = arg;

	/* Gone meanwhile: look again for one. */
	if (err == -ENOENT)
		err = 0;
	if (!look_over(m, err) || m->holder != HOLDER_UNKNOWN || t == NULL ||
	    task_is_final(t))
		return;
	if (t->holds)
		m->holder = HOLDER_ABSENT;
	else if (t->parked)
		know_no_holder(m, t->seq);
}

static void
on_found(void *arg, int err, uint64_t id, int state)
{
	struct mailbox *m = arg;
	struct broker *b = m->broker;
	const struct task *t;

	(void)state;
	if (!look_over(m, err) || m->holder != HOLDER_UNKNOWN)
		return;
	t = id == 0 ? NULL : life_find(b, id);
	if (id == 0) {
		know_no_holder(m, NO_SEQ);
	} else if (t != NULL && t->parked) {
		/* It is the first, and it is here. */
		know_no_holder(m, t->seq + 1);
	} else if (t == NULL) {
		if (store_get(b->store, id, on_got, m) < 0)
			put_off(m);
		else
			m->looking = true;
	}
}

/* Does somebody on the disk hold the key, or wait for it? */
static void
look_for_holder(struct mailbox *m)
{
	struct broker *b = m->broker;

	m->spilled_from = NO_SEQ;
	if (store_find(
		b->store, STORE_BY_KEY, NULL, NULL, m->key, on_found, m) < 0)
		put_off(m);
	else
		m->looking = true;
}

static void
on_fetched(
    void *arg, int err, struct task *const *tasks, size_t n, uint64_t cursor)
{
	struct mailbox *m = arg;
	uint64_t from = NO_SEQ;
	size_t i;

	if (!look_over(m, err))
		return;
	for (i = 0; i < n; i++) {
		if (tasks[i]->seq <= m->given)
			continue;
		if (life_adopt(m->broker, tasks[i]) == NULL)
			break;
	}
	if (i < n)
		/* It has ended, or there is no memory for it. */
		from = tasks[i]->seq;
	else if (cursor != 0 && n > 0)
		from = tasks[n - 1]->seq + 1;
	/* The same as before: what keeps it from coming may last. */
	if (i == 0 && n > 0 && from <= m->disk_from)
		put_off(m);
	m->disk_from = from < m->spilled_from ? from : m->spilled_from;
}

/* Bring the next ones from the disk. */
static void
fetch(struct mailbox *m)
{
	struct broker *b = m->broker;
	size_t most = keep(b);
	struct store_range range = {
	    .order = STORE_KEY,
	    .key = m->key,
	    .after = (int64_t)(m->disk_from > 0 ? m->disk_from - 1 : 0),
	    .n = most - most / 4,
	    .max_bytes = FETCH_BYTES,
	};

	m->spilled_from = NO_SEQ;
	if (store_fetch(b->store, &range, on_fetched, m) < 0)
		put_off(m);
	else
		m->looking = true;
}

/* Give the key to the first that is parked, if that is known. */
static void
give(struct mailbox *m)
{
	struct broker *b = m->broker;
	struct task *t = TAILQ_FIRST(&m->parked);

	if (t == NULL || t->seq >= m->disk_from)
		return;
	unpark(m, t);
	hold(m, t);
	m->given = t->seq;
	life_unparked(b, t);
}

/* What is parked here will have had the key before a fetch comes back. */
static bool
runs_short(const struct mailbox *m)
{
	return (m->holder == HOLDER_HERE || m->holder == HOLDER_ENDED) &&
	       m->given > 0 && m->n_durable < keep(m->broker) / 4;
}

/* Is what is parked on the disk to be brought from there now? */
static bool
needs_fetch(const struct mailbox *m)
{
	if (m->disk_from == NO_SEQ)
		return false;
	if (m->broker->window.closed && !is_wanted(m, m->disk_from))
		return false;
	return m->holder == HOLDER_NONE || runs_short(m);
}

/* Do for m what there is to do. */
static void
settle(struct mailbox *m)
{
	learn(m);
	trim(m);
	if (m->holder == HOLDER_NONE)
		give(m);
	if (m->looking || m->list == &m->broker->mailboxes.later)
		return;
	if (m->holder == HOLDER_UNKNOWN && !TAILQ_EMPTY(&m->parked))
		look_for_holder(m);
	else if (needs_fetch(m))
		fetch(m);
	else if (m->n_members == 0 && m->holder != HOLDER_ENDED)
		mailbox_free(m);
}

void
mailbox_tidy(struct broker *b)
{
	struct mailbox *m;

	while ((m = LIST_FIRST(&b->mailboxes.todo)) != NULL) {
		move_to(m, NULL);
		settle(m);
	}
}

bool
mailbox_is_settled(const struct broker *b)
{
	return LIST_EMPTY(&b->mailboxes.todo) &&
	       LIST_EMPTY(&b->mailboxes.later);
}

/* Will the key go to somebody whom the end of a drain has to wait for? */
static bool
goes_on(const struct mailbox *m)
{
	bool somebody = !TAILQ_EMPTY(&m->parked);

	if (m->broker->window.closed)
		somebody = is_wanted(m, 0);
	else if (m->holder != HOLDER_UNKNOWN)
		somebody = somebody || m->disk_from != NO_SEQ;
	if (m->holder == HOLDER_HERE)
		return somebody && m->task->state == TASK_RUNNING;
	return somebody && m->holder != HOLDER_ABSENT;
}

bool
mailbox_goes_on(const struct broker *b)
{
	struct mailbox *m;

	/* What has ended would never be kept, what is next not be read. */
	if (b->store_failing != 0 || b->store_damage[0] != '\0')
		return false;
	RB_FOREACH(m, mailbox_tree,
	    (struct mailbox_tree *)(uintptr_t)&b->mailboxes.tree)
	{
		if (goes_on(m))
			return true;
	}
	return false;
}

void
mailbox_done_all(struct broker *b)
{
	struct mailbox *m;

	if (ev_is_active(&b->mailboxes.timer))
		ev_timer_stop(b->loop, &b->mailboxes.timer);
	while ((m = RB_ROOT(&b->mailboxes.tree)) != NULL)
		mailbox_free(m);
}
