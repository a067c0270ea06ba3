# SPDX-License-Identifier: ISC
"""More durable tasks than the broker keeps in memory.

With GANGER_TEST_LONG=1 also a million of them, and ten; see store_bench.py for
what that costs.
"""

import contextlib
import os
import random
import signal
import time

import pytest

from checker import read_ledger
from ganger import (
    LONG,
    SANITIZED,
    Client,
    Growth,
    rss_bytes,
    scaled,
    seconds,
    wait_until,
)
from trial import all_tasks

N = scaled(20_000, 4000)
N_LATER = scaled(10_000, 2000)
BATCH = 2000

CONFIG = """
pool "default" {{ processes = 1 threads = 1 order = "strict"
    queues = {{"first", "second"}} modules = {{"{module}"}} }}
pool "idle" {{ processes = 1 queues = {{"idle"}} }}
"""


@pytest.fixture
def daemon(daemons, ledger_module):
    return daemons.start(CONFIG.format(module=ledger_module))


def submit_many(client, tasks):
    idents = []
    for i in range(0, len(tasks), BATCH):
        for answer in client.rpc(
            "task.submit_many", {"tasks": tasks[i : i + BATCH]}
        ):
            idents.append(answer["id"])
    return idents


def ledger_task(daemon, token, **more):
    args = {"path": str(daemon.dir / "ledger"), "token": token}
    return {"args": args, "durable": True, "name": "ledger", **more}


class Blocked:
    """A daemon whose one thread is busy until open()."""

    def __init__(self, daemon, client):
        self.gate = daemon.dir / "gate"
        task = ledger_task(daemon, "blocker", queue="first", priority=9)
        task["args"]["gate"] = str(self.gate)
        self.ident = client.rpc("task.submit", task)["id"]
        client.wait_running(self.ident)

    def open(self):
        self.gate.write_text("ok")


def mixed(daemon, rng, count):
    """Tasks over two queues, two names and three priorities, in one order."""
    return [
        ledger_task(
            daemon,
            f"t{i}",
            queue=rng.choice(["first", "second"]),
            name=rng.choice(["ledger", "ledger.two"]),
            priority=rng.choice([2, 5, 9]),
        )
        for i in range(count)
    ]


def rows(client):
    return {row["name"]: row for row in client.rpc("queue.list")}


def reconnected(daemon, broker):
    """A client of another broker than that one."""

    def connect():
        with contextlib.suppress(OSError, EOFError):
            client = Client(daemon.socket)
            if client.rpc("server.info")["broker_pid"] != broker:
                return client
            client.close()
        return None

    return wait_until(connect, "another broker")


def assert_order(daemon, tasks, idents, skipped=()):
    """Each ran once: by queue, then priority, then as submitted."""
    text = (daemon.dir / "ledger").read_text()
    ran = [run.ident for run in read_ledger(text) if run.token != "blocker"]
    wanted = sorted(
        (task["queue"], -task["priority"], ident)
        for task, ident in zip(tasks, idents)
        if ident not in skipped
    )
    assert len(ran) == len(wanted)
    rank = {ident: i for i, (_, _, ident) in enumerate(wanted)}
    early = []
    first = len(wanted)  # of all that began later
    for ident in reversed(ran):
        if rank[ident] > first:
            early.append(ident)
        first = min(first, rank[ident])
    assert not early, f"{len(early)} began before their turn: {early[:9]}"


def test_order_and_counts_of_more_tasks_than_memory_holds(daemon):
    rng = random.Random(1)
    with daemon.client() as client, daemon.client() as other:
        blocked = Blocked(daemon, client)
        tasks = mixed(daemon, rng, N)
        idents = submit_many(client, tasks)
        counts = rows(client)
        for name in "first", "second":
            wanted = sum(task["queue"] == name for task in tasks)
            assert counts[name]["ready"] == wanted
        stats = client.rpc("server.stats")
        assert (stats["ready"], stats["running"]) == (N, 1)
        wait = client.request("task.wait", {"ids": idents[-3000:]})
        blocked.open()
        while True:
            stats = other.rpc("server.stats")
            counts = other.rpc("queue.list")
            total = sum(
                row[state]
                for row in counts
                for state in ("ready", "scheduled", "running", "succeeded")
            )
            assert total == N + 1
            if stats["ready"] + stats["running"] == 0:
                break
        assert len(client.result(wait)["done"]) == 3000
        assert_order(daemon, tasks, idents)
        counts = rows(other)
        assert sum(row["succeeded"] for row in counts.values()) == N + 1
        assert sum(row["ready"] for row in counts.values()) == 0


@pytest.mark.parametrize("later", [{}, {"delay_ms": 3_600_000}])
def test_memory_does_not_grow_with_what_waits(daemon, later):
    task = {"name": "echo", "args": 1, "queue": "idle", "durable": True}
    with daemon.client() as client:
        client.rpc("queue.pause", {"queue": "idle"})
        submit_many(client, [{**task, **later}] * 3000)
        # As many as it keeps are there: what follows costs disk alone.
        growth = Growth(client.rpc("server.info")["broker_pid"])
        submit_many(client, [{**task, **later}] * N * 2)
        growth.assert_below(12 << 20)  # of 30 MB


@pytest.mark.parametrize("later", [{}, {"delay_ms": 3_600_000}])
def test_memory_does_not_grow_with_the_size_of_what_waits(daemon, later):
    task = {"name": "echo", "args": "x" * 50_000, "durable": True}
    with daemon.client() as client:
        client.rpc("queue.pause", {"queue": "idle"})
        growth = Growth(client.rpc("server.info")["broker_pid"])
        for priority in range(5):
            line = {**task, **later, "queue": "idle", "priority": priority}
            for _ in range(30):
                client.rpc("task.submit_many", {"tasks": [line] * 20})
        growth.assert_below(64 << 20)  # of 150 MB


def test_order_over_a_death_in_the_midst_of_it(daemon):
    rng = random.Random(2)
    tasks = mixed(daemon, rng, N // 2)
    with daemon.client() as client:
        blocked = Blocked(daemon, client)
        idents = submit_many(client, tasks)
        broker = client.rpc("server.info")["broker_pid"]
    os.kill(broker, signal.SIGKILL)
    with reconnected(daemon, broker) as client:
        client.wait_running(blocked.ident)
        stats = client.rpc("server.stats")
        assert (stats["ready"], stats["running"]) == (len(tasks), 1)
        blocked.open()
        client.wait(*idents)
        text = (daemon.dir / "ledger").read_text()
        cut, *_ = read_ledger(text)
        # Its handler may have been told that its broker is gone.
        assert cut.outcome in (None, "cancelled")
        assert_order(daemon, tasks, idents)


def test_what_is_on_disk_only_can_be_got_cancelled_listed_and_waited_for(
    daemon,
):
    rng = random.Random(3)
    tasks = mixed(daemon, rng, N // 2)
    with daemon.client() as client:
        blocked = Blocked(daemon, client)
        idents = submit_many(client, tasks)
        for i in 0, len(idents) // 2, len(idents) - 1:
            task = client.task(idents[i])
            assert task["state"] == "ready"
            assert task["args"] == tasks[i]["args"]
            assert task["queue"] == tasks[i]["queue"]
            assert task["priority"] == tasks[i]["priority"]
        # Lists are whole, in order, and filtered.
        listed = all_tasks(client, state="ready")
        assert list(listed) == sorted(idents, reverse=True)
        listed = all_tasks(client, queue="second", name="ledger.two")
        assert set(listed) == {
            ident
            for task, ident in zip(tasks, idents)
            if (task["queue"], task["name"]) == ("second", "ledger.two")
        }
        # Cancelled ones, here and there, are gone from the order.
        chosen = set(rng.sample(idents, 500))
        answer = client.rpc("task.cancel", {"ids": sorted(chosen)})
        assert (answer["count"], answer["skipped"]) == (500, [])
        assert client.task(max(chosen))["state"] == "cancelled"
        assert client.rpc("server.stats")["ready"] == len(tasks) - 500
        first = next(ident for ident in idents if ident not in chosen)
        answer = client.rpc("task.cancel", {"ids": [max(chosen), first]})
        assert answer["skipped"] == [{"id": max(chosen), "state": "cancelled"}]
        chosen.add(first)
        wait = client.request("task.wait", {"ids": idents[-1000:]})
        # A wait for what was cancelled already is answered at once.
        assert client.wait(max(chosen))[0]["state"] == "cancelled"
        blocked.open()
        done = client.result(wait)["done"]
        assert {task["id"] for task in done} == set(idents[-1000:])
        for task in done:
            wanted = "cancelled" if task["id"] in chosen else "succeeded"
            assert task["state"] == wanted
        left = [ident for ident in idents if ident not in chosen]
        client.wait(*left)
        assert_order(daemon, tasks, idents, chosen)


def test_cancel_by_filter_and_purge_reach_the_disk(daemon):
    tasks = mixed(daemon, random.Random(4), N // 2)
    with daemon.client() as client:
        blocked = Blocked(daemon, client)
        idents = submit_many(client, tasks)
        chosen = {
            ident
            for task, ident in zip(tasks, idents)
            if (task["queue"], task["name"]) == ("first", "ledger.two")
        }
        answer = client.rpc(
            "task.cancel",
            {"filter": {"queue": "first", "name": "ledger.two"}},
        )
        assert answer["count"] == len(chosen)
        cancelled = all_tasks(client, state="cancelled")
        assert set(cancelled) == chosen
        second = sum(task["queue"] == "second" for task in tasks)
        answer = client.rpc("queue.purge", {"queue": "second"})
        assert answer["count"] == second
        counts = rows(client)
        assert counts["second"]["ready"] == 0
        assert counts["first"]["ready"] == len(tasks) - second - len(chosen)
        assert len(all_tasks(client, state="cancelled")) == (
            len(chosen) + second
        )
        blocked.open()
        wait_until(
            lambda: rows(client)["first"]["ready"] == 0, "the rest is run"
        )


def test_wait_for_what_is_on_disk_only_survives_the_brokers_death(daemon):
    """The one who waits asks again: nothing of it was lost."""
    tasks = mixed(daemon, random.Random(5), N // 4)
    with daemon.client() as client:
        blocked = Blocked(daemon, client)
        idents = submit_many(client, tasks)
        client.request("task.wait", {"ids": idents})
        broker = daemon.broker_pid()
        os.kill(broker, signal.SIGKILL)
        with pytest.raises((EOFError, OSError)):
            client.recv()
    with reconnected(daemon, broker) as client:
        wait = client.request("task.wait", {"ids": idents})
        blocked.open()
        done = client.result(wait)["done"]
        assert len(done) == len(idents)
        assert {task["state"] for task in done} == {"succeeded"}


def test_scheduled_tasks_that_memory_does_not_hold_run_on_time(daemon):
    rng = random.Random(6)
    with daemon.client() as client:
        delays = [3_600_000 + i for i in range(N_LATER // 2)]
        delays += [rng.randrange(3000, 5000) for _ in range(N_LATER // 2)]
        rng.shuffle(delays)
        tasks = [
            ledger_task(daemon, f"t{i}", queue="first", delay_ms=delay)
            for i, delay in enumerate(delays)
        ]
        sent = time.monotonic_ns()
        idents = submit_many(client, tasks)
        took = time.monotonic_ns() - sent
        assert rows(client)["first"]["scheduled"] == N_LATER
        near = [i for i, d in zip(idents, delays) if d < 3_600_000]
        done = client.wait(*near)
        assert {task["state"] for task in done} == {"succeeded"}
        runs = read_ledger((daemon.dir / "ledger").read_text())
        assert sorted(run.ident for run in runs) == near
        by_id = dict(zip(idents, delays))
        last = 0
        for run in runs:
            due = sent + by_id[run.ident] * 1_000_000
            assert run.began_ns > due - 2_000_000
            # How far behind: by the submits, and by the machine.
            assert run.began_ns < due + took + seconds(3) * 1e9
            assert due > last - took - 50_000_000, "out of order"
            last = max(last, due)
        assert rows(client)["first"]["scheduled"] == N_LATER // 2


def test_expired_ones_are_found_on_the_disk(daemon):
    with daemon.client() as client:
        blocked = Blocked(daemon, client)
        tasks = [
            ledger_task(daemon, f"t{i}", queue="first", priority=5)
            for i in range(N // 4)
        ]
        for task in tasks[::2]:
            task["expires_ms"] = 1500
        idents = submit_many(client, tasks)
        doomed = client.wait(*idents[::2])
        assert {task["state"] for task in doomed} == {"expired"}
        assert rows(client)["first"]["ready"] == len(tasks) // 2
        blocked.open()
        client.wait(*idents[1::2])
        assert_order(daemon, tasks, idents, set(idents[::2]))


def test_parked_ones_of_a_key_come_back_in_order(daemon):
    with daemon.client() as client:
        tasks = []
        blocked = Blocked(daemon, client)
        for i in range(N // 10):
            key = f"k{i % 3}"
            tasks.append(
                ledger_task(daemon, f"t{i}", queue="second", key=key)
            )
        idents = submit_many(client, tasks)
        assert rows(client)["second"]["ready"] == len(tasks)
        last = client.task(idents[-1])
        assert (last["state"], last["waiting_for"]) == ("ready", "key")
        client.rpc("task.cancel", {"ids": idents[5::7]})
        blocked.open()
        client.wait(*idents)
        runs = read_ledger((daemon.dir / "ledger").read_text())
        chosen = set(idents[5::7])
        for k in range(3):
            of_key = [
                ident
                for i, ident in enumerate(idents)
                if i % 3 == k and ident not in chosen
            ]
            members = set(of_key)
            assert [r.ident for r in runs if r.ident in members] == of_key


def test_unique_ones_are_known_on_the_disk(daemon):
    with daemon.client() as client:
        Blocked(daemon, client).open()
        client.rpc("queue.pause", {"queue": "first"})
        tasks = [
            ledger_task(daemon, f"t{i}", queue="first", unique=f"u{i}")
            for i in range(N // 10)
        ]
        idents = submit_many(client, tasks)
        broker = client.rpc("server.info")["broker_pid"]
    for i in 0, N // 20, N // 10 - 1:
        answer = daemon.rpc("task.submit", tasks[i])
        assert (answer["id"], answer["duplicate"]) == (idents[i], True)
    os.kill(broker, signal.SIGKILL)
    with reconnected(daemon, broker) as client:
        for answer, ident in zip(
            client.rpc("task.submit_many", {"tasks": tasks}), idents
        ):
            assert (answer["id"], answer["duplicate"]) == (ident, True)
        client.rpc("queue.resume", {"queue": "first"})
        client.wait(*idents)
        answer = client.rpc("task.submit", tasks[0])
        assert answer["duplicate"] is False


def test_tasks_that_no_pool_can_run_are_told(daemons, ledger_module):
    """Those in memory and those beyond, until the name is back."""
    config = CONFIG.format(module=ledger_module)
    daemon = daemons.start(config)
    count = 3000  # more than a band has in memory

    def stranded(client):
        return rows(client)["first"]["stranded"]

    with daemon.client() as client:
        client.rpc("queue.pause", {"queue": "first"})
        task = ledger_task(daemon, "x", queue="first")
        ids = submit_many(client, [task] * count)
        echo = client.submit("echo", queue="first", durable=True)
        assert stranded(client) == 0
    daemon.stop()
    daemon.configure(config.replace(f'modules = {{"{ledger_module}"}}', ""))
    daemon.start()
    with daemon.client() as client:
        assert client.task(ids[0])["waiting_for"] == "pause"
        client.rpc("queue.resume", {"queue": "first"})
        client.wait(echo)
        for ident in ids[0], ids[-1]:
            assert client.task(ident)["waiting_for"] == "worker"
        some = {"state": "ready", "limit": 1}
        (newest,) = client.rpc("task.list", some)["tasks"]
        assert newest["waiting_for"] == "worker"
        assert stranded(client) == count
        client.rpc("task.cancel", {"ids": [ids[0], ids[-1]]})
        assert stranded(client) == count - 2
        client.rpc("queue.pause", {"queue": "first"})
    daemon.stop()
    daemon.configure(config)
    daemon.start()
    with daemon.client() as client:
        assert stranded(client) == 0
        purged = client.rpc("queue.purge", {"queue": "first"})["count"]
        assert purged == count - 2


# The long run


@pytest.mark.skipif(not LONG, reason="GANGER_TEST_LONG is not set")
@pytest.mark.skipif(SANITIZED, reason="of memory and time")
@pytest.mark.parametrize("millions", [1, 10])
@pytest.mark.parametrize("what", ["ready", "scheduled"])
def test_millions_cost_disk_and_neither_memory_nor_time(
    daemon, millions, what
):

    def task(**more):
        return {"name": "echo", "args": {"n": 1}, "durable": True, **more}

    def rate(client):
        """Submits that are answered in a second, one after the other."""
        start = time.monotonic()
        for _ in range(1000):
            client.rpc("task.submit", task(queue="idle", delay_ms=3_600_000))
        return 1000 / (time.monotonic() - start)

    with daemon.client() as client:
        for name in "first", "idle":
            client.rpc("queue.pause", {"queue": name})
        empty = rate(client)
        later = {"delay_ms": 3_600_000} if what == "scheduled" else {}
        line = {"tasks": [task(queue="idle", **later)] * 10_000}
        start = time.monotonic()
        for _ in range(millions * 100):
            client.rpc("task.submit_many", line)
        print(f"{millions} M in {time.monotonic() - start:.1f} s")
        broker = client.rpc("server.info")["broker_pid"]
        rss = rss_bytes(broker)
        full = rate(client)
        print(f"RSS {rss >> 20} MB, {empty:.0f}/s empty, {full:.0f}/s full")
        assert rss < 200 << 20
        assert full > empty / 2
        assert rows(client)["idle"][what] >= millions * 1_000_000
    os.kill(broker, signal.SIGKILL)
    start = time.monotonic()
    with reconnected(daemon, broker) as client:
        print(f"recovered in {time.monotonic() - start:.2f} s")
        assert rows(client)["idle"][what] >= millions * 1_000_000
