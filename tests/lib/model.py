# SPDX-License-Identifier: ISC
"""What the queue promises, in its simplest form.

One pool of one process; queues in strict order; time stands still: a delay is
over at once or never.  Every operation is followed by settle(), which starts
what there is room for, so that who holds what is known after each.
"""

import dataclasses
import itertools

FINAL = {"succeeded", "failed", "cancelled", "expired", "quarantined"}
WAITING = {"ready", "scheduled"}


@dataclasses.dataclass
class Task:
    ident: int
    token: str
    queue: str
    name: str
    priority: int
    state: str = "ready"
    seq: int = 0
    key: str = None
    unique: str = None
    idempotency_key: str = None
    retries: int = 0
    durable: bool = True
    at_most_once: bool = False
    attempt: int = 0  # that were used up
    run: int = 0
    recoveries: int = 0
    interrupted: int = 0
    holds: bool = False  # its key, or it has none

    def shown(self):
        """Its members as task.list has them, those that are modelled."""
        ongoing = self.state in ("running", "succeeded")
        return {
            "state": self.state,
            "queue": self.queue,
            "name": self.name,
            "priority": self.priority,
            "attempt": self.attempt + ongoing,
            "run": self.run,
            "recoveries": self.recoveries,
            "interrupted": self.interrupted,
        }


class Model:
    def __init__(self, queues, threads, max_running):
        self.queues = queues  # names, the first before all others
        self.threads = threads
        self.max_running = max_running  # by queue, where there is a limit
        self.tasks = {}
        self.paused = set()
        self.seqs = itertools.count(1)
        self.started = []  # tokens, since the last look
        self.known = {}  # idempotency key: id

    def of_state(self, *states, durable=None):
        return [
            task
            for task in self.tasks.values()
            if task.state in states
            and (durable is None or task.durable == durable)
        ]

    # Who may run

    def settle(self):
        for task in sorted(self.of_state("ready"), key=lambda t: t.seq):
            if task.key is not None and not task.holds:
                task.holds = not self.is_held(task.key)
        while len(self.of_state("running")) < self.threads:
            task = self.next()
            if task is None:
                return
            task.state = "running"
            task.run += 1
            self.started.append(task.token)

    def is_held(self, key):
        return any(
            task.holds for task in self.tasks.values() if task.key == key
        )

    def next(self):
        for queue in self.queues:
            if queue in self.paused or self.is_full(queue):
                continue
            ready = [
                task
                for task in self.of_state("ready")
                if task.queue == queue and (task.key is None or task.holds)
            ]
            if ready:
                return min(ready, key=lambda t: (-t.priority, t.seq))
        return None

    def is_full(self, queue):
        n = sum(task.queue == queue for task in self.of_state("running"))
        return n >= self.max_running.get(queue, self.threads)

    # What clients do

    def twin(self, queue, name, unique, idempotency_key):
        """The task that such a submit is a duplicate of."""
        if idempotency_key is not None and idempotency_key in self.known:
            return self.known[idempotency_key]
        for task in self.tasks.values():
            if (
                unique is not None
                and task.state not in FINAL
                and (task.queue, task.name, task.unique)
                == (queue, name, unique)
            ):
                return task.ident
        return None

    def submit(self, task, scheduled):
        self.tasks[task.ident] = task
        if task.idempotency_key is not None:
            self.known[task.idempotency_key] = task.ident
        if scheduled:
            task.state = "scheduled"
        else:
            task.seq = next(self.seqs)
        self.settle()

    def cancel(self, task):
        """True when it can be; one that runs ends by itself then."""
        if task.state in FINAL:
            return False
        self.end(task, "cancelled")
        return True

    def purge(self, queue):
        gone = [
            task for task in self.of_state(*WAITING) if task.queue == queue
        ]
        self.end_all(gone, "cancelled")
        return len(gone)

    def retry(self, task):
        """True when it can be run again."""
        if task.state not in FINAL or task.state == "succeeded":
            return False
        if self.twin(task.queue, task.name, task.unique, None) is not None:
            return False
        task.state = "ready"
        task.attempt = 0
        task.seq = next(self.seqs)
        self.settle()
        return True

    def delete(self, task):
        if task.state not in FINAL:
            return False
        del self.tasks[task.ident]
        return True

    def pause(self, queue):
        self.paused.add(queue)

    def resume(self, queue):
        self.paused.discard(queue)
        self.settle()

    # What handlers do

    def end(self, task, state):
        self.end_all([task], state)

    def end_all(self, tasks, state):
        """A durable task's key is free once its end is kept: a bit later."""
        for task in tasks:
            task.state = state
            task.holds = task.holds and task.durable
        self.settle()
        for task in tasks:
            task.holds = False
        self.settle()

    def finish(self, task, word):
        if word == "ok":
            self.end(task, "succeeded")
        elif word == "snooze":
            task.state = "scheduled"
            self.settle()
        else:
            task.attempt += 1
            if word == "retry" and task.attempt <= task.retries:
                task.state = "scheduled"
                self.settle()
            else:
                self.end(task, "failed")

    # What befalls the daemon

    def cut(self, counter):
        """No process is left; what ran goes to the front again."""
        for task in list(self.tasks.values()):
            if not task.durable:
                del self.tasks[task.ident]
            elif task.state == "running" and task.at_most_once:
                task.interrupted += counter == "interrupted"
                task.attempt += 1
                task.state, task.holds = "failed", False
            elif task.state == "running":
                setattr(task, counter, getattr(task, counter) + 1)
                task.state = "ready"
        self.settle()
