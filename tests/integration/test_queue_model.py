# SPDX-License-Identifier: ISC
"""Random operations on the real daemon and on a model of it must agree.

Handlers wait for the test's word, so after each operation there is one right
state of all tasks, and the daemon has to come to it.  GANGER_TEST_SEED repeats
a run; GANGER_TEST_LONG=1 makes it 50 runs of many steps.
"""

import contextlib
import os
import random
import signal

import pytest

from checker import read_ledger
from ganger import LONG, Client, scaled, seconds, wait_until
from model import FINAL, WAITING, Model, Task
from trial import all_tasks

RUNS = 50 if LONG else 3
STEPS = 400 if LONG else scaled(120, 40)
NEVER = 3_600_000  # ms
THREADS = 3
QUEUES = ["a", "b", "c"]
LIMITED = {"b": 1}
NAMES = ["ledger", "ledger.two"]

CONFIG = """
pool "default" {{ processes = 1 threads = 3 order = "strict"
    queues = {{"a", "b", "c"}} modules = {{"{module}"}} }}
queue "b" {{ max_running = 1 }}
"""


def seeds():
    """The first ones always, or where there is time, others in each run."""
    if "GANGER_TEST_SEED" in os.environ:
        return [int(os.environ["GANGER_TEST_SEED"])]
    if not LONG:
        return range(RUNS)
    # All processes of a parallel run have to come to the same ones.
    rng = random.Random(os.environ.get("PYTEST_XDIST_TESTRUNUID"))
    return [rng.randrange(1 << 32) for _ in range(RUNS)]


class Pair:
    """The daemon and its model, and the steps that were taken."""

    def __init__(self, daemon, seed):
        self.daemon = daemon
        self.client = daemon.client()
        self.rng = random.Random(seed)
        self.model = Model(QUEUES, THREADS, LIMITED)
        self.ledger = daemon.dir / "ledger"
        self.ledger.touch()
        self.read = 0
        self.n_tokens = 0
        self.n_deaths = 0
        self.steps = []
        self.opened = []  # gates to be shut again, for another run
        self.deeds = (
            [self.submit] * 12
            + [self.finish] * 10
            + [self.cancel] * 3
            + [self.pause, self.resume, self.resume]
            + [self.retry] * 2
            + [self.delete, self.purge]
            + [self.kill_broker, self.kill_master, self.stop]
        )

    # Comparing

    def step(self):
        deed = self.rng.choice(self.deeds)
        said = deed()
        if said is not None:
            self.steps.append(f"{deed.__name__} {said}")
            self.compare()

    def compare(self, limit=seconds(10)):
        try:
            wait_until(lambda: not self.differences(), "they agree", limit)
        except TimeoutError:
            steps = "\n".join(self.steps)
            wrong = "\n".join(self.differences())
            raise AssertionError(f"{steps}\n\n{wrong}") from None
        self.read = len(self.read_ledger())
        self.model.started.clear()
        while self.opened:
            self.opened.pop().unlink()

    def read_ledger(self):
        return read_ledger(self.ledger.read_text())

    def differences(self):
        return (
            list(self.different_tasks())
            + list(self.different_starts())
            + list(self.different_counts())
        )

    def different_tasks(self):
        shown = all_tasks(self.client)
        for ident in shown.keys() - self.model.tasks.keys():
            yield f"{ident} should not be there: {shown[ident]}"
        for ident, task in self.model.tasks.items():
            if ident not in shown:
                yield f"{ident} is missing: {task}"
                continue
            for name, value in task.shown().items():
                found = shown[ident].get(name, 0)
                if found != value:
                    yield f"{ident} {name}: {found}, not {value}: {task}"

    def different_starts(self):
        """Threads that start at once write in any order."""
        runs = self.read_ledger()[self.read :]
        began = [run.token for run in runs]
        if sorted(began) != sorted(self.model.started):
            yield f"began {began}, not {self.model.started}"

    def different_counts(self):
        for row in self.client.rpc("queue.list"):
            name = row["name"]
            if (row["state"] == "paused") != (name in self.model.paused):
                yield f"{name} is {row['state']}"
            for state in "ready", "scheduled", "running":
                n = sum(
                    task.queue == name for task in self.model.of_state(state)
                )
                if row[state] != n:
                    yield f"{name} has {row[state]} {state}, not {n}"

    # What clients do

    def choose(self, *states):
        tasks = self.model.of_state(*states)
        return self.rng.choice(tasks) if tasks else None

    def maybe(self, chance, value):
        return value if self.rng.random() < chance else None

    def submit(self):
        self.n_tokens += 1
        token = f"t{self.n_tokens}"
        rng = self.rng
        task = Task(
            0,
            token,
            queue=rng.choice(QUEUES),
            name=rng.choice(NAMES),
            priority=rng.choice([3, 5, 5, 5, 8]),
            key=self.maybe(0.4, rng.choice(["k1", "k2"])),
            unique=self.maybe(0.2, rng.choice(["u1", "u2"])),
            idempotency_key=self.maybe(0.2, f"i{rng.randrange(8)}"),
            retries=rng.choice([0, 1, 2]),
        )
        if task.idempotency_key is None:
            task.durable = rng.random() < 0.85
        if task.durable and rng.random() < 0.15:
            task.at_most_once = True
            task.retries = 0
        delay = rng.choice([None] * 5 + [1, NEVER])
        params = self.params(task, delay)
        twin = self.model.twin(
            task.queue, task.name, task.unique, task.idempotency_key
        )
        answer = self.client.rpc("task.submit", params)
        assert answer["duplicate"] == (twin is not None), (
            self.steps,
            params,
            answer,
            twin,
        )
        if twin is not None:
            assert answer["id"] == twin, (self.steps, params, answer, twin)
            return f"duplicate of {twin}"
        task.ident = answer["id"]
        self.model.submit(task, delay == NEVER)
        return f"{task} delay {delay}"

    def params(self, task, delay):
        params = {
            "name": task.name,
            "queue": task.queue,
            "priority": task.priority,
            "durable": task.durable,
            "args": {
                "path": str(self.ledger),
                "token": task.token,
                "gate": str(self.gate(task)),
                "snooze_ms": NEVER,
            },
        }
        if task.at_most_once:
            params["delivery"] = "at_most_once"
        else:
            params.update(retries=task.retries, backoff_ms=2 * NEVER)
        if delay is not None:
            params["delay_ms"] = delay
        for name in "key", "unique", "idempotency_key":
            if getattr(task, name) is not None:
                params[name] = getattr(task, name)
        return params

    def gate(self, task):
        return self.daemon.dir / f"gate-{task.token}"

    def cancel(self):
        task = self.choose(*WAITING, "running", *FINAL)
        if task is None:
            return None
        could = self.model.cancel(task)
        answer = self.client.answer(
            self.client.request("task.cancel", {"id": task.ident})
        )
        assert ("result" in answer) == could, (task, answer)
        return task.ident

    def retry(self):
        task = self.choose(*FINAL)
        if task is None:
            return None
        could = self.model.retry(task)
        answer = self.client.answer(
            self.client.request("task.retry", {"ids": [task.ident]})
        )
        n = answer.get("result", {}).get("count", 0)
        assert n == could, (self.steps, task, answer)
        return task.ident

    def delete(self):
        task = self.choose(*WAITING, *FINAL)
        if task is None:
            return None
        could = self.model.delete(task)
        answer = self.client.answer(
            self.client.request("task.delete", {"ids": [task.ident]})
        )
        n = answer.get("result", {}).get("count", 0)
        assert n == could, (self.steps, task, answer)
        return task.ident

    def pause(self):
        queue = self.rng.choice(QUEUES)
        self.client.rpc("queue.pause", {"queue": queue})
        self.model.pause(queue)
        return queue

    def resume(self):
        if not self.model.paused:
            return None
        queue = self.rng.choice(sorted(self.model.paused))
        self.client.rpc("queue.resume", {"queue": queue})
        self.model.resume(queue)
        return queue

    def purge(self):
        if self.rng.random() < 0.7:  # else there never is much
            return None
        queue = self.rng.choice(QUEUES)
        n = self.model.purge(queue)
        answer = self.client.rpc("queue.purge", {"queue": queue})
        assert answer["count"] == n, (self.steps, queue, answer, n)
        return queue

    # What handlers do

    def finish(self):
        task = self.choose("running")
        if task is None:
            return None
        word = self.rng.choice(["ok", "ok", "retry", "retry", "fail", "snooze"])
        new = self.daemon.dir / "gate.new"
        new.write_text(word)
        new.rename(self.gate(task))
        self.model.finish(task, word)
        self.opened.append(self.gate(task))
        return f"{task.ident} {word}"

    # What befalls the daemon

    def may_die(self):
        """Who is recovered more than three times runs alone."""
        running = self.model.of_state("running")
        most = max((task.recoveries for task in running), default=0)
        return most < 3 and self.rng.random() < 0.5

    def reconnect(self, broker):
        self.client.close()

        def connect():
            with contextlib.suppress(OSError, EOFError):
                client = Client(self.daemon.socket)
                if client.rpc("server.info")["broker_pid"] != broker:
                    return client
                client.close()
            return None

        self.client = wait_until(connect, "another broker")
        self.daemon.clients.append(self.client)

    def kill_broker(self):
        # A few in a row, and the master would make pauses.
        if not self.may_die() or self.n_deaths == 3:
            return None
        self.n_deaths += 1
        broker = self.client.rpc("server.info")["broker_pid"]
        os.kill(broker, signal.SIGKILL)
        self.model.cut("recoveries")
        self.reconnect(broker)
        return f"{broker}"

    def kill_master(self):
        if not self.may_die():
            return None
        self.n_deaths = 0
        self.daemon.send_signal(signal.SIGKILL)
        self.daemon.process.wait()
        wait_until(lambda: not self.daemon.pids(), "all die")
        self.daemon.start()
        self.model.cut("recoveries")
        self.reconnect(None)
        return ""

    def stop(self):
        """The quick one: handlers are cancelled, and their runs not counted."""
        if self.rng.random() < 0.5:
            return None
        self.n_deaths = 0
        self.daemon.stop(signal.SIGQUIT)
        self.daemon.start()
        self.model.cut("interrupted")
        self.reconnect(None)
        return ""


@pytest.mark.parametrize("seed", seeds())
def test_daemon_and_model_agree(daemons, ledger_module, seed):
    print(f"GANGER_TEST_SEED={seed}")
    daemon = daemons.start(CONFIG.format(module=ledger_module))
    daemon.wait_workers(1)
    pair = Pair(daemon, seed)
    for _ in range(STEPS):
        pair.step()
    print(f"{len(pair.steps)} steps, {pair.n_tokens} submits")
    daemon.quit()


class LastFirst(Model):
    def next(self):
        ready = self.of_state("ready")
        return max(ready, key=lambda task: task.seq) if ready else None


def test_model_that_is_wrong_is_found_out(daemons, ledger_module):
    daemon = daemons.start(CONFIG.format(module=ledger_module))
    daemon.wait_workers(1)
    pair = Pair(daemon, 0)
    pair.model = LastFirst(QUEUES, THREADS, LIMITED)
    for ident in range(THREADS + 2):
        task = Task(0, f"t{ident}", queue="a", name="ledger", priority=5)
        params = pair.params(task, None)
        task.ident = pair.client.rpc("task.submit", params)["id"]
        pair.model.submit(task, False)
        pair.compare()
    assert pair.finish()
    with pytest.raises(AssertionError, match="not"):
        pair.compare(0.5)
    daemon.quit()
