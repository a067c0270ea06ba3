# SPDX-License-Identifier: ISC
"""Account for every task that was ever answered.

A History gathers what clients were told and what handlers did (the ledger that
the module in ledger.c writes); check() compares it with what the daemon has in
the end and returns a sentence for each promise that was broken.  It knows no
daemon, so that its own tests can give it histories that must be refused.
"""

import collections
import dataclasses
import threading

FINAL = {"succeeded", "failed", "cancelled", "expired", "quarantined"}

# The part of a task that never changes once its end was told.
OUTCOME = ("state", "run", "attempt", "finished_at", "result", "error")

# Both ends of what is compared round to a millisecond.
ROUNDING_NS = 2_000_000


@dataclasses.dataclass
class Spec:
    """What a client wanted; the token is the task's name in the ledger."""

    token: str
    key: str = None
    seq: int = 0  # place among those of its key, as submitted
    unique: str = None
    idempotency_key: str = None
    at_most_once: bool = False
    delay_ms: int = 0
    snoozes: bool = False
    attempts: int = 1  # that it takes
    states: tuple = ("succeeded",)  # in which it may end


@dataclasses.dataclass
class Answer:
    token: str
    ident: int
    duplicate: bool
    sent_ns: int  # before the request; the monotonic clock's
    told_before: int  # how many ends had been told when it was sent


@dataclasses.dataclass
class Told:
    """An end that a client was told."""

    task: dict
    offset: int  # bytes in the ledger when the answer was there


@dataclasses.dataclass
class Run:
    """A run in the ledger; positions are byte offsets."""

    ident: int
    token: str
    attempt: int
    began: int
    began_ns: int
    ended: int = None  # None: it was cut
    outcome: str = None


class History:
    """Filled by many threads."""

    def __init__(self):
        self.lock = threading.Lock()
        self.specs = {}  # by token
        self.answers = []
        self.told = []

    def wanted(self, spec):
        with self.lock:
            self.specs[spec.token] = spec

    def n_told(self):
        return len(self.told)

    def answered(self, token, ident, duplicate, sent_ns, told_before):
        answer = Answer(token, ident, duplicate, sent_ns, told_before)
        with self.lock:
            self.answers.append(answer)

    def ended(self, task, offset):
        with self.lock:
            self.told.append(Told(task, offset))

    def idents(self):
        """Every id that was answered."""
        with self.lock:
            return sorted({answer.ident for answer in self.answers})


def read_ledger(text):
    """The runs of a ledger, in the order in which they began."""
    runs = []
    open_runs = {}
    offset = 0
    for line in text.splitlines(keepends=True):
        fields = line.split()
        mark, ident, attempt, pid, ns, token = fields[:6]
        place = (pid, ident)
        if mark == "B":
            run = Run(int(ident), token, int(attempt), offset, int(ns))
            open_runs[place] = run
            runs.append(run)
        else:
            run = open_runs.pop(place)
            run.ended, run.outcome = offset, fields[6]
        offset += len(line.encode())
    return runs


def check(history, ledger, tasks):
    """What is wrong, in sentences.

    tasks are all that the daemon knows in the end, by id.
    """
    book = Book(history, read_ledger(ledger), tasks)
    wrong = []
    for look in (
        lost,
        entered_twice,
        ended_wrongly,
        told_otherwise,
        ran_after_its_end,
        runs_miscounted,
        too_early,
        key_out_of_order,
        unique_held_twice,
        ran_more_than_once,
    ):
        wrong += look(book)
    return wrong


class Book:
    def __init__(self, history, runs, tasks):
        self.history = history
        self.specs = history.specs
        self.tasks = tasks
        self.runs = collections.defaultdict(list)  # by id
        for run in runs:
            self.runs[run.ident].append(run)
        self.by_token = collections.defaultdict(list)  # ids
        for ident, task in tasks.items():
            token = (task.get("args") or {}).get("token")
            if token is not None:
                self.by_token[token].append(ident)

    def spec_of(self, ident):
        token = self.tasks[ident]["args"]["token"]
        return self.specs[token]

    def ours(self):
        """The tasks of this history, with what was wanted of each."""
        for token in self.specs:
            for ident in self.by_token[token]:
                yield self.tasks[ident], self.specs[token]


def lost(book):
    for answer in book.history.answers:
        task = book.tasks.get(answer.ident)
        if task is None:
            yield f"{answer.ident} ({answer.token}) was answered and is lost"
        elif not answer.duplicate and task["args"]["token"] != answer.token:
            yield f"{answer.ident} is another task than was answered"


def entered_twice(book):
    """A submit made one task, also when it was sent again with its key."""
    for token, idents in book.by_token.items():
        if token not in book.specs:
            yield f"{idents} was never submitted: {token}"
        elif len(idents) > 1:
            yield f"{token} was submitted once and is {idents}"
    answered = collections.defaultdict(set)
    for answer in book.history.answers:
        answered[answer.token].add(answer.ident)
    for token, idents in answered.items():
        if len(idents) > 1:
            yield f"{token} was answered with several ids: {sorted(idents)}"


def ended_wrongly(book):
    for task, spec in book.ours():
        ident = task["id"]
        if task["state"] not in FINAL:
            yield f"{ident} has not ended: {task['state']}"
            continue
        if task["state"] not in spec.states:
            yield f"{ident} ended {task['state']}, not {spec.states}: {task}"
            continue
        outcomes = {run.outcome for run in book.runs[ident]}
        if task["state"] == "succeeded" and "ok" not in outcomes:
            yield f"{ident} succeeded, but no run of it did"
        if task["state"] == "succeeded" and task["result"] != spec.token:
            yield f"{ident} has the result of another: {task['result']}"


def told_otherwise(book):
    first = {}
    ends = [told.task for told in book.history.told]
    for task in ends + list(book.tasks.values()):
        if task["state"] not in FINAL:
            if task["id"] in first:
                yield f"{task['id']} has ended and is {task['state']} again"
            continue
        outcome = {name: task.get(name) for name in OUTCOME}
        before = first.setdefault(task["id"], outcome)
        if outcome != before:
            yield f"{task['id']} ended as {before}, then as {outcome}"


def ran_after_its_end(book):
    for told in book.history.told:
        for run in book.runs[told.task["id"]]:
            if run.began >= told.offset:
                yield f"{run.ident} ran again after its end was told"


def runs_miscounted(book):
    """A run is an attempt, was recovered, or was interrupted."""
    for task, spec in book.ours():
        if task["state"] != "succeeded" or spec.snoozes:
            continue
        cut = task.get("recoveries", 0) + task.get("interrupted", 0)
        # One that runs at most once may have been taken back unstarted.
        if task["run"] != task["attempt"] + cut and not spec.at_most_once:
            runs = book.runs[task["id"]]
            yield f"the runs of {task['id']} do not add up: {task}, {runs}"
        if task["attempt"] != spec.attempts:
            yield f"{task['id']} took {task['attempt']} attempts: {task}"
        n_cut = sum(run.ended is None for run in book.runs[task["id"]])
        if n_cut > 0 and cut == 0 and task["run"] > task["attempt"]:
            yield f"{task['id']} was cut {n_cut} times, none counted"


def too_early(book):
    sent = {}
    for answer in book.history.answers:
        if not answer.duplicate:
            sent.setdefault(answer.ident, answer.sent_ns)
    for task, spec in book.ours():
        ident = task["id"]
        if not spec.delay_ms or ident not in sent or not book.runs[ident]:
            continue
        waited = book.runs[ident][0].began_ns - sent[ident] + ROUNDING_NS
        if waited < spec.delay_ms * 1_000_000:
            yield f"{ident} began {waited / 1e6} ms after its submit"


def key_out_of_order(book):
    """One of a key at a time, each with all its runs before the next one."""
    keys = collections.defaultdict(list)
    for task, spec in book.ours():
        if spec.key is not None:
            for run in book.runs[task["id"]]:
                keys[spec.key].append((run.began, run, spec))
    for key, entries in keys.items():
        entries.sort(key=lambda entry: entry[0])
        last = None
        for _, run, spec in entries:
            if last is not None:
                yield from key_step(key, last, (run, spec))
            last = run, spec


def key_step(key, before, after):
    (run, spec), (next_run, next_spec) = before, after
    if not spec.delay_ms and not next_spec.delay_ms:
        if next_spec.seq < spec.seq:
            yield (
                f"key {key}: {next_run.ident} ran after {run.ident}, "
                "which was submitted after it"
            )
    if run.ended is not None and run.ended > next_run.began:
        yield f"key {key}: {next_run.ident} began while {run.ident} ran"


def unique_held_twice(book):
    """From the submit to the end; times are texts that sort."""
    held = collections.defaultdict(list)
    for task, spec in book.ours():
        if spec.unique is not None:
            held[task["queue"], task["name"], spec.unique].append(task)
    for (_, _, unique), tasks in held.items():
        tasks.sort(key=lambda task: task["id"])
        for before, after in zip(tasks, tasks[1:]):
            if before.get("finished_at", "Z") > after["submitted_at"]:
                yield (
                    f"unique {unique}: {after['id']} entered while "
                    f"{before['id']} held it"
                )
    yield from wrong_duplicates(book)


def wrong_duplicates(book):
    for answer in book.history.answers:
        spec = book.specs[answer.token]
        if not answer.duplicate or answer.ident not in book.tasks:
            continue
        other = book.spec_of(answer.ident)
        if spec.idempotency_key is not None:
            if other.idempotency_key != spec.idempotency_key:
                yield f"{answer.token} is no duplicate of {answer.ident}"
            continue
        if spec.unique is None or spec.unique != other.unique:
            yield f"{answer.token} is no duplicate of {answer.ident}"
        told = book.history.told[: answer.told_before]
        if any(end.task["id"] == answer.ident for end in told):
            yield f"{answer.token}: duplicate of {answer.ident}, long ended"


def ran_more_than_once(book):
    for task, spec in book.ours():
        runs = book.runs[task["id"]]
        if spec.at_most_once and len(runs) > 1:
            yield f"{task['id']} ran {len(runs)} times, at most once wanted"
