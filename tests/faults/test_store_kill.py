# SPDX-License-Identifier: ISC
"""The broker and the master killed under durable load: faults 18, 19 and 34.

GANGER_TEST_LONG=1 makes it 200 rounds instead of a few, and GANGER_TEST_SEED
repeats those of a run that went wrong: its seed is in the output.
"""

import contextlib
import fcntl
import os
import random
import re
import signal
import time

import pytest

from ganger import LIMIT, LONG, SCALE, Client, RpcError, scaled, wait_until
from trial import GONE, Trial, all_tasks, kill_all, ledger_pool

IN_2030 = 1_900_000_000_000  # ms
ROUNDS = 200 if LONG else scaled(8, 3)


@pytest.fixture
def seed():
    value = int(os.environ.get("GANGER_TEST_SEED", random.randrange(1 << 32)))
    print(f"GANGER_TEST_SEED={value}")
    return value


def ask(daemon, method, params=None):
    """An answer, from whichever broker is there in the end."""

    def attempt():
        with contextlib.suppress(*GONE):
            return [daemon.rpc(method, params)]
        return None

    return wait_until(attempt, f"{method} is answered")[0]


def kill_broker(daemon):
    """Returns once another one answers."""
    pid = ask(daemon, "server.info")["broker_pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(
        lambda: ask(daemon, "server.info")["broker_pid"] != pid,
        "another broker",
    )


def restart(daemon):
    daemon.stop()
    daemon.start()


def kill_master(daemon, patient=True):
    """And start the daemon again, be it while the last ones still die."""
    daemon.send_signal(signal.SIGKILL)
    daemon.process.wait()
    if patient:
        wait_until(lambda: not daemon.pids(), f"{daemon.pids()} die")
    daemon.start()


def crash(daemon):
    kill_all(daemon)
    daemon.start()


# Under load


class Storm:
    """What is done to the daemon, at random moments."""

    def __init__(self, daemon, trial, rng):
        self.daemon = daemon
        self.trial = trial
        self.rng = rng
        self.n_quick = 0  # deaths of brokers in a row; see restart.h

    def blow(self):
        """One thing, and the moment before it."""
        time.sleep(self.rng.choice([0, 0.3 * self.rng.random() ** 2]))
        deeds = [self.kill_broker] * 5 + [self.kill_master] * 3
        deeds += [self.kill_all, self.upgrade, self.reload]
        deed = self.rng.choice(deeds)
        print(f"{time.monotonic():.3f} {deed.__name__}")
        deed()

    def kill_broker(self):
        if self.n_quick == 3:
            # One more and the master would make a pause: let it prove itself.
            self.trial.wait_ended(1)
            time.sleep(1.2)
            self.n_quick = 0
        self.n_quick += 1
        kill_broker(self.daemon)

    def kill_master(self):
        self.n_quick = 0
        kill_master(self.daemon, self.rng.random() < 0.5)

    def kill_all(self):
        self.n_quick = 0
        kill_all(self.daemon)
        self.daemon.start()

    def upgrade(self):
        """Not waited for: the next deed may come in the midst of it."""
        self.daemon.send_signal(signal.SIGUSR2)

    def reload(self):
        self.daemon.send_signal(signal.SIGHUP)


def test_nothing_is_lost_when_broker_and_master_are_killed(
    daemons, ledger_module, seed
):
    rng = random.Random(seed)
    sync = rng.choice(["full", "normal"])
    top = f'sync = "{sync}"'
    daemon = daemons.start(ledger_pool(ledger_module), top=top)
    with Trial(daemon, seed) as trial:
        storm = Storm(daemon, trial, rng)
        for n in range(ROUNDS):
            trial.wait_ended(rng.choice([1, 20]))
            storm.blow()
        trial.wait_ended(1)
        n = trial.finish()
    assert n > ROUNDS
    daemon.stop()
    # What was told is what is there, also in another life of the daemon.
    daemon.start()
    trial.check_again()
    # And what runs in it gets no id that was given before.
    ident = daemon.rpc("task.submit", {"name": "ledger"})["id"]
    assert ident > max(trial.history.idents())


# One thing at a time


@contextlib.contextmanager
def another_broker(daemon):
    """What the next one sees while that of a master that was killed ends."""
    daemon.quit()
    with open(daemon.dir / "state" / "tasks.db-lock", "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate()
        file.write("4711\n")
        file.flush()
        daemon.spawn()
        yield


def test_one_broker_at_a_time_writes_to_the_database(daemons, ledger_module):
    """Else the last words of the old one undo what the new one mends."""
    daemon = daemons.start(ledger_pool(ledger_module))
    with another_broker(daemon):
        daemon.wait_log("process 4711 has the database open: waiting")
        assert len(re.findall("broker, pid [0-9]+, is up", daemon.log())) == 1
    daemon.wait_log("serving on", count=2)
    pid = (daemon.dir / "state" / "tasks.db-lock").read_text()
    assert int(pid) == daemon.broker_pid()


@pytest.mark.skipif(not LONG, reason="it takes as long as gangerd waits")
def test_a_database_that_stays_open_is_not_waited_for_for_ever(
    daemons, ledger_module
):
    daemon = daemons.start(ledger_pool(ledger_module))
    with another_broker(daemon):
        assert daemon.wait_exit() == os.EX_TEMPFAIL
    assert "process 4711 still has the database open" in daemon.log()


@pytest.fixture
def quiet(daemons, ledger_module):
    """A daemon whose tasks wait behind gates."""
    return daemons.start(ledger_pool(ledger_module, threads=4))


def held(daemon, name, **more):
    """The parameters of a task that waits until the gate `name` opens."""
    args = {
        "path": str(daemon.dir / "ledger"),
        "token": name,
        "gate": str(daemon.dir / f"gate-{name}"),
    }
    return {"name": "ledger", "args": args, "durable": True, **more}


def open_gate(daemon, name, word="ok"):
    path = daemon.dir / f"gate-{name}"
    new = path.with_suffix(".new")
    new.write_text(word)
    new.rename(path)


def wait_state(daemon, ident, state, **members):
    members["state"] = state
    task = {}

    def look():
        task.update(ask(daemon, "task.get", {"id": ident}))
        return all(task.get(name) == value for name, value in members.items())

    try:
        wait_until(look, f"{ident} is {members}", LIMIT / 2)
    except TimeoutError as error:
        raise AssertionError(f"{error}, but {task}") from None
    return task


def wait_ended(daemon, *idents):
    tasks = ask(daemon, "task.wait", {"ids": list(idents)})["done"]
    by_id = {task["id"]: task for task in tasks}
    return [by_id[ident] for ident in idents]


def n_begun(daemon, token):
    path = daemon.dir / "ledger"
    if not path.exists():
        return 0
    lines = map(str.split, path.read_text().splitlines())
    return sum(line[0] == "B" and line[5] == token for line in lines)


@pytest.mark.parametrize("kill", [kill_broker, kill_master, crash])
def test_a_task_that_ran_is_run_again_and_its_recoveries_are_counted(
    quiet, kill
):
    ident = quiet.rpc("task.submit", held(quiet, "a"))["id"]
    wait_until(lambda: n_begun(quiet, "a") == 1, "it runs")
    wait_state(quiet, ident, "running")
    # What was told of it was kept: else the run could not be counted.
    quiet.rpc("task.submit", held(quiet, "b", delay_ms=3_600_000))
    kill(quiet)
    wait_state(quiet, ident, "running", recoveries=1, run=2)
    assert ask(quiet, "server.stats")["recovered"] == 1
    quiet.wait_log("1 task was running when the broker died: run again")
    wait_until(lambda: n_begun(quiet, "a") == 2, "it runs again")
    kill(quiet)
    wait_until(lambda: n_begun(quiet, "a") == 3, "it runs once more")
    open_gate(quiet, "a")
    (task,) = wait_ended(quiet, ident)
    assert (task["state"], task["attempt"]) == ("succeeded", 1)
    assert task["run"] == 1 + task["recoveries"]


def test_who_is_recovered_too_often_runs_alone(daemons, ledger_module):
    daemon = daemons.start(ledger_pool(ledger_module, 1, 4))
    ident = daemon.rpc("task.submit", held(daemon, "a"))["id"]
    for n in range(4):
        wait_until(lambda: n_begun(daemon, "a") == n + 1, "it runs")
        # What comes after it in the store keeps that it runs.
        daemon.rpc("task.submit", held(daemon, f"c{n}", delay_ms=3_600_000))
        kill_broker(daemon)
    wait_state(daemon, ident, "running", recoveries=4)
    other = daemon.rpc("task.submit", held(daemon, "b"))["id"]
    open_gate(daemon, "b")
    assert ask(daemon, "task.get", {"id": other})["state"] == "ready"
    open_gate(daemon, "a")
    tasks = wait_ended(daemon, ident, other)
    assert [task["state"] for task in tasks] == ["succeeded"] * 2
    assert tasks[0]["attempt"] == 1


@pytest.mark.parametrize("kill", [kill_broker, kill_master, crash])
def test_at_most_once_is_failed_by_a_death_and_never_run_again(quiet, kill):
    careful = held(quiet, "a", delivery="at_most_once")
    ident = quiet.rpc("task.submit", careful)["id"]
    wait_until(lambda: n_begun(quiet, "a") == 1, "it runs")
    kill(quiet)
    (task,) = wait_ended(quiet, ident)
    assert (task["state"], task["run"]) == ("failed", 1)
    assert task["error"]["message"]
    open_gate(quiet, "a")
    # One that has not begun is not touched by it.
    fresh = held(quiet, "b", delivery="at_most_once", delay_ms=300)
    ident = quiet.rpc("task.submit", fresh)["id"]
    kill(quiet)
    open_gate(quiet, "b")
    (task,) = wait_ended(quiet, ident)
    assert (task["state"], task["run"]) == ("succeeded", 1)
    assert n_begun(quiet, "a") == n_begun(quiet, "b") == 1


def test_every_kind_of_waiting_is_kept(quiet):
    """What a task was submitted with is what it has after a death."""
    with quiet.client() as client:
        client.rpc("queue.pause", {"queue": "default"})
        idents = [
            client.rpc("task.submit", params)["id"]
            for params in (
                held(quiet, "a", priority=7, meta={"for": ["me", 1]}),
                held(quiet, "b", delay_ms=3_600_000, key="k"),
                held(quiet, "c", run_at=IN_2030, unique="u"),
                held(quiet, "d", idempotency_key="i", expires_ms=3_600_000),
                held(quiet, "e", key="k2", retries=7, backoff_ms=33),
                held(quiet, "f", key="k2", timeout_ms=60_000),
                held(quiet, "g", delivery="at_most_once"),
            )
        ]
        before = [client.task(ident) for ident in idents]
        (row,) = client.rpc("queue.list")
        assert (row["state"], row["ready"], row["scheduled"]) == (
            "paused",
            5,
            2,
        )
    for kill in kill_broker, kill_master, crash:
        kill(quiet)
        for was in before:
            now = ask(quiet, "task.get", {"id": was["id"]})
            if "run_at" in was:  # of a delay: as near as the clocks agree
                assert now["run_at"][:16] == was["run_at"][:16]
                now["run_at"] = was["run_at"]
            assert now == was
        (row,) = ask(quiet, "queue.list")
        assert (row["state"], row["ready"], row["scheduled"]) == (
            "paused",
            5,
            2,
        )
        for params, ident in (
            (held(quiet, "c", run_at=IN_2030, unique="u"), idents[2]),
            (held(quiet, "d", idempotency_key="i"), idents[3]),
        ):
            answer = ask(quiet, "task.submit", params)
            assert (answer["id"], answer["duplicate"]) == (ident, True)
    ask(quiet, "queue.resume", {"queue": "default"})
    for name in "adefg":
        open_gate(quiet, name)
    tasks = wait_ended(quiet, idents[0], *idents[3:])
    assert {task["state"] for task in tasks} == {"succeeded"}


def test_every_end_is_kept(quiet):
    with quiet.client() as client:
        params = [
            held(quiet, "a"),
            held(quiet, "b", retries=0),
            held(quiet, "c", delay_ms=3_600_000),
            held(quiet, "d", delay_ms=3_600_000, expires_ms=50),
            held(quiet, "e", retries=1, backoff_ms=1),
        ]
        idents = [client.rpc("task.submit", p)["id"] for p in params]
        open_gate(quiet, "a")
        open_gate(quiet, "b", "fail")
        open_gate(quiet, "e", "retry")
        client.rpc("task.cancel", {"id": idents[2]})
        before = client.wait(*idents)
    assert [task["state"] for task in before] == [
        "succeeded",
        "failed",
        "cancelled",
        "expired",
        "failed",
    ]
    for kill in kill_broker, kill_master, crash:
        kill(quiet)
        assert wait_ended(quiet, *idents) == before
        # A list tells the same as each by itself.
        with Client(quiet.socket) as client:
            tasks = all_tasks(client)
        assert [tasks[ident] for ident in idents] == before


def test_volatile_tasks_are_lost_and_said_to_be(quiet):
    kept = quiet.rpc("task.submit", held(quiet, "a"))["id"]
    lost = quiet.rpc("task.submit", held(quiet, "b", durable=False))["id"]
    kill_broker(quiet)
    assert ask(quiet, "task.get", {"id": kept})["id"] == kept
    with Client(quiet.socket) as client:
        assert client.error("task.get", {"id": lost}).code == -32012
        # The id of the lost one is not given again.
        assert client.submit("ledger") > lost
    open_gate(quiet, "a")
    wait_ended(quiet, kept)


@pytest.mark.parametrize("end", [kill_master, restart])
def test_ids_of_volatile_tasks_are_not_given_out_again(quiet, end):
    """Somebody may still ask for one of them, and is to get no other task."""

    def submit(**more):
        return quiet.rpc("task.submit", {"name": "echo", "args": 1, **more})

    durable = submit(durable=True)["id"]
    last = [submit(durable=False)["id"] for _ in range(20)][-1]
    end(quiet)
    assert submit(durable=True)["id"] > last > durable
    last = submit(durable=False)["id"]
    end(quiet)
    assert submit(durable=False)["id"] > last


def test_key_stays_with_its_holder_over_a_death(quiet):
    """Also when the holder waits for a retry then."""
    first = quiet.rpc(
        "task.submit", held(quiet, "a", key="k", retries=3, backoff_ms=900)
    )["id"]
    second = quiet.rpc("task.submit", held(quiet, "b", key="k"))["id"]
    open_gate(quiet, "b")
    open_gate(quiet, "a", "retry")
    wait_state(quiet, first, "scheduled", attempt=1)
    # What comes after it in the store keeps that its attempt has failed.
    quiet.rpc("task.submit", held(quiet, "c", delay_ms=3_600_000))
    kill_broker(quiet)
    open_gate(quiet, "a")
    assert ask(quiet, "task.get", {"id": second})["waiting_for"] == "key"
    tasks = wait_ended(quiet, first, second)
    assert [task["state"] for task in tasks] == ["succeeded"] * 2
    assert tasks[0]["finished_at"] <= tasks[1]["started_at"]
    assert tasks[0]["attempt"] == 2


def test_waits_are_asked_again_by_clients_of_any_kind(quiet):
    """task.wait names ids only, so whoever lost a broker asks another."""
    ident = quiet.rpc("task.submit", held(quiet, "a"))["id"]
    with quiet.client() as client:
        wait = client.request("task.wait", {"ids": [ident]})
        wait_state(quiet, ident, "running")
        kill_broker(quiet)
        with pytest.raises(GONE):
            client.answer(wait)
    with quiet.client() as client:
        wait = client.request("task.wait", {"ids": [ident]})
        open_gate(quiet, "a")
        (task,) = client.result(wait)["done"]
    assert task["state"] == "succeeded"


def test_graceful_stop_leaves_what_waits_to_the_next_start(quiet):
    with quiet.client() as client:
        idents = [
            client.rpc("task.submit", held(quiet, f"a{i}"))["id"]
            for i in range(20)
        ]
        for i in range(8):
            wait_until(lambda: n_begun(quiet, f"a{i}") == 1, "8 run")
        quiet.send_signal(signal.SIGTERM)
        wait_until(
            lambda: client.rpc("server.info")["state"] == "draining",
            "it drains",
        )
        with pytest.raises(RpcError, match="-32015"):
            client.rpc("task.submit", held(quiet, "late"))
        for i in range(20):
            open_gate(quiet, f"a{i}")
        assert quiet.wait_exit() == 0
    n = sum(n_begun(quiet, f"a{i}") for i in range(20))
    assert n < 20, "all were run: the drain was not of what ran alone"
    quiet.start()
    tasks = wait_ended(quiet, *idents)
    assert all(task["state"] == "succeeded" for task in tasks)
    assert all(task["run"] == 1 for task in tasks)


@pytest.mark.skipif(SCALE < 1, reason="of how fast it is")
def test_new_broker_is_there_at_once(quiet):
    with quiet.client() as client:
        for _ in range(10):
            tasks = [held(quiet, "x", delay_ms=3_600_000)] * 100
            client.rpc("task.submit_many", {"tasks": tasks})
    start = time.monotonic()
    kill_broker(quiet)
    assert time.monotonic() - start < 1
