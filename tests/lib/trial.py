# SPDX-License-Identifier: ISC
"""Durable tasks of every kind, submitted while the daemon is being hurt.

Threads submit, others wait for the ends; both connect anew when the daemon is
gone, as its clients do.  What they were told goes into a checker.History.
"""

import itertools
import queue
import random
import threading
import time

from checker import FINAL, History, Spec, check
from ganger import (
    LIMIT,
    Client,
    RpcError,
    kill_hard,
    stop_process,
    wait_until,
)

DRAINING = -32015
GONE = (OSError, EOFError)


def ledger_pool(module, processes=2, threads=2, more=""):
    return (
        f'pool "default" {{ processes = {processes} threads = {threads} '
        f'modules = {{"{module}"}} {more} }}\n'
    )


def all_tasks(client, **filters):
    """Every task that there is, by id, read page by page."""
    tasks = {}
    cursor = None
    while True:
        params = {"limit": 1000, **filters}
        if cursor is not None:
            params["cursor"] = cursor
        page = client.rpc("task.list", params)
        for task in page["tasks"]:
            assert task["id"] not in tasks, "listed twice"
            tasks[task["id"]] = task
        cursor = page["cursor"]
        if cursor is None:
            return tasks


def kill_all(daemon):
    """At once, as if the machine had died: nobody ends in order."""
    stop_process(daemon.pid)
    # It can't see them die, and they don't see that it is gone.
    kill_hard(pid for pid in daemon.pids() if pid != daemon.pid)
    kill_hard([daemon.pid])
    daemon.process.wait()
    wait_until(lambda: not daemon.pids(), f"{daemon.pids()} die")


class Persistent:
    """A connection that is made anew whenever it breaks."""

    def __init__(self, path, ending):
        self.path = path
        self.ending = ending
        self.client = None

    def rpc(self, method, params):
        """The result; None when the connection broke before it came."""
        try:
            if self.client is None:
                self.client = Client(self.path)
            return self.client.rpc(method, params)
        except GONE:
            self.close()
            self.ending.wait(0.005)
            return None

    def close(self):
        if self.client is not None:
            self.client.close()
            self.client = None


class Kinds:
    """Deals out tasks of all kinds; one for each submitting thread."""

    def __init__(self, name, ledger, folder, seed):
        self.name = name
        self.ledger = str(ledger)
        self.folder = folder
        self.random = random.Random(seed)
        self.numbers = itertools.count(1)
        self.deal = itertools.cycle(
            [
                self.plain,
                self.keyed,
                self.keyed,
                self.unique,
                self.idempotent,
                self.delayed,
                self.retrying,
                self.failing,
                self.snoozing,
                self.careful,
            ]
        )

    def next(self):
        """(Spec, params of task.submit)"""
        number = next(self.numbers)
        token = f"{self.name}-{number}"
        spec, args, params = next(self.deal)(token, number)
        ms = self.random.choice([0, 0, 1, 5])
        params.setdefault("priority", self.random.choice([1, 5, 5, 9]))
        params["name"] = self.random.choice(["ledger", "ledger.two"])
        params["args"] = {
            "path": self.ledger,
            "token": token,
            "ms": ms,
            **args,
        }
        return spec, {"durable": True, **params}

    def plain(self, token, number):
        return Spec(token), {}, {}

    def keyed(self, token, number):
        key = f"{self.name}.key{self.random.randrange(3)}"
        spec = Spec(token, key=key, seq=number)
        args = {}
        params = {"key": key, "priority": 5}
        if self.random.random() < 0.3:
            spec.attempts = 2
            args["fail_until"] = 2
            params.update(retries=3, backoff_ms=10)
        return spec, args, params

    def unique(self, token, number):
        """Of a name that all threads share."""
        unique = f"unique{self.random.randrange(4)}"
        return Spec(token, unique=unique), {"ms": 10}, {"unique": unique}

    def idempotent(self, token, number):
        spec = Spec(token, idempotency_key=token)
        return spec, {}, {"idempotency_key": token}

    def delayed(self, token, number):
        delay = self.random.choice([20, 100, 400])
        return Spec(token, delay_ms=delay), {}, {"delay_ms": delay}

    def retrying(self, token, number):
        attempts = self.random.choice([2, 3])
        spec = Spec(token, attempts=attempts)
        args = {"fail_until": attempts}
        return spec, args, {"retries": 5, "backoff_ms": 20}

    def failing(self, token, number):
        return Spec(token, states=("failed",)), {"fail": True}, {}

    def snoozing(self, token, number):
        once = str(self.folder / f"once-{token}")
        args = {"once": once, "snooze_ms": 20}
        return Spec(token, snoozes=True), args, {}

    def careful(self, token, number):
        """At most once: cut by the death of a broker, it has failed."""
        spec = Spec(token, at_most_once=True, states=("succeeded", "failed"))
        return spec, {}, {"delivery": "at_most_once"}


class Trial:
    """`with` it, the load is on; finish() ends it and checks everything."""

    def __init__(self, daemon, seed, submitters=3, waiters=2, backlog=200):
        self.daemon = daemon
        self.ledger = daemon.dir / "ledger"
        self.ledger.touch()
        self.history = History()
        self.failures = []
        self.refusals = {DRAINING}  # codes with which a submit may be refused
        self.n_refused = 0
        self.backlog = backlog  # tasks that have not ended, at most
        self.to_wait = queue.Queue()
        self.seen = set()  # ids that somebody waits for or has waited for
        self.ending = threading.Event()
        self.enough = threading.Event()  # nothing more is submitted
        self.threads = []
        for i in range(submitters):
            kinds = Kinds(f"s{i}", self.ledger, daemon.dir, f"{seed}.{i}")
            self.threads.append(self.thread(self.submit_all, kinds))
        self.submitters = list(self.threads)
        for _ in range(waiters):
            self.threads.append(self.thread(self.wait_all))

    def thread(self, run, *args):
        def guarded():
            try:
                run(*args)
            except Exception as error:  # the test's thread tells it
                self.failures.append(repr(error))

        return threading.Thread(target=guarded, daemon=True)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *exc):
        self.enough.set()
        self.ending.set()
        for thread in self.threads:
            thread.join(LIMIT)

    # The threads that submit

    def submit_all(self, kinds):
        link = Persistent(self.daemon.socket, self.ending)
        while not self.enough.is_set():
            if len(self.seen) - len(self.history.told) > self.backlog:
                self.enough.wait(0.005)
                continue
            spec, params = kinds.next()
            self.history.wanted(spec)
            # What is sent again would else be another task.
            tries = 2 if spec.idempotency_key is not None else 1
            while tries > 0 and not self.ending.is_set():
                tries -= self.submit(link, spec, params)
        link.close()

    def submit(self, link, spec, params):
        """True when it was answered."""
        sent = time.monotonic_ns()
        told = self.history.n_told()
        try:
            result = link.rpc("task.submit", params)
        except RpcError as error:
            if error.code in self.refusals:
                self.n_refused += 1
                self.ending.wait(0.01)
                return spec.idempotency_key is None
            self.failures.append(f"submit {spec}: {error}")
            return True
        if result is None:
            return spec.idempotency_key is None
        ident, duplicate = result["id"], result["duplicate"]
        self.history.answered(spec.token, ident, duplicate, sent, told)
        with self.history.lock:
            is_new = ident not in self.seen
            self.seen.add(ident)
        if is_new:
            self.to_wait.put(ident)
        return True

    # The threads that wait

    def wait_all(self):
        link = Persistent(self.daemon.socket, self.ending)
        pending = []
        while not self.ending.is_set():
            pending += self.take(64 - len(pending), block=not pending)
            if pending:
                pending = self.wait_any(link, pending)
        link.close()

    def take(self, most, block):
        taken = []
        try:
            while len(taken) < most:
                taken.append(self.to_wait.get(block and not taken, 0.05))
        except queue.Empty:
            pass
        return taken

    def wait_any(self, link, pending):
        """Those that have not ended after a while."""
        params = {"ids": pending, "mode": "any", "timeout_ms": 200}
        try:
            result = link.rpc("task.wait", params)
        except RpcError as error:
            if error.code != DRAINING:
                self.failures.append(f"wait {pending}: {error}")
                return []
            return pending
        if result is None:
            return pending
        offset = self.ledger.stat().st_size
        for task in result["done"]:
            if task["state"] not in FINAL:
                self.failures.append(f"told as done: {task}")
            self.history.ended(task, offset)
        return result["pending"]

    # The test's thread

    def wait_ended(self, count):
        """Wait until so many more ends were told."""
        goal = len(self.history.told) + count
        wait_until(
            lambda: len(self.history.told) >= goal or self.failures,
            f"{count} more tasks end",
        )
        assert not self.failures, self.failures[:10]

    def finish(self):
        """Let all end, and account for it; returns how many tasks that was."""
        self.enough.set()
        for thread in self.submitters:
            thread.join(LIMIT)
        tasks = wait_until(self.when_all_ended, "every task ends", 2 * LIMIT)
        self.ending.set()
        for thread in self.threads:
            thread.join(LIMIT)
        self.check(tasks)
        return len(tasks)

    def when_all_ended(self):
        try:
            with Client(self.daemon.socket) as client:
                tasks = all_tasks(client)
        except GONE:
            return None
        if all(task["state"] in FINAL for task in tasks.values()):
            return tasks
        return None

    def check(self, tasks):
        wrong = check(self.history, self.ledger.read_text(), tasks)
        assert not self.failures, self.failures[:10]
        assert not wrong, f"{len(wrong)} things:\n" + "\n".join(wrong[:30])

    def check_again(self):
        """Look once more, for instance after another start."""
        with Client(self.daemon.socket) as client:
            self.check(all_tasks(client))
