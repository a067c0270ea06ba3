# SPDX-License-Identifier: ISC
"""What a broker leaves to the disk it brings back, whatever happens meanwhile.

More tasks than a band of the window holds in memory: see window.c.
"""

import contextlib
import json
import os
import select
import sqlite3

import pytest

from broker import Broker, memfd, pool, record, settings
from ganger import LIMIT, scaled, wait_until

MORE_THAN_A_BAND = 3000
BIG = 64 * 1024 * 1024


@pytest.fixture
def brokers(folder):
    started = []

    def start(**more):
        place = folder / str(len(started))
        place.mkdir()
        broker = Broker(place, store_path=str(place / "tasks.db"), **more)
        started.append(broker)
        broker.expect("ready")
        return broker

    yield start
    for broker in started:
        log = broker.log()
        broker.kill()
        bad = ("Sanitizer", "runtime error", "ssertion")
        assert not any(word in log for word in bad), log[-5000:]


def submit_many(client, count, name="work", **more):
    task = {"name": name, "durable": True, **more}
    for i in range(0, count, 1000):
        tasks = [task] * min(1000, count - i)
        client.rpc("task.submit_many", {"tasks": tasks})


def run_all(worker, count):
    """Succeed with the next tasks; the pill that may come is let pass."""
    while count > 0:
        message = worker.next()
        if message["method"] == "task.run":
            worker.succeed(message)
            count -= 1


def reload_names(broker, names):
    path = str(broker.folder / "tasks.db")
    pools = [pool("default", names=names)]
    text = settings(broker.folder, store_path=path, pools=pools)
    fd = memfd(json.dumps(text).encode())
    os.lseek(fd, 0, os.SEEK_SET)
    broker.order("settings", fd)
    assert broker.expect("settings.applied")["ok"]


def is_told(broker, name):
    """True when the master is told that; what comes before it is passed."""
    while select.select([broker.ctl], [], [], 0)[0]:
        if broker.told()["do"] == name:
            return True
    return False


def test_who_does_not_want_to_wait_is_told_what_has_ended(brokers):
    broker = brokers()
    worker, client = broker.worker(), broker.client()
    ended = client.submit("work", durable=True)
    worker.succeed(worker.take(), "done")
    client.wait(ended)
    runs = client.submit("work", durable=True)
    worker.take()
    answer = client.rpc("task.wait", {"ids": [ended, runs], "timeout_ms": 0})
    assert [task["id"] for task in answer["done"]] == [ended]
    assert answer["pending"] == [runs]


def test_a_task_over_all_bounds_runs_when_it_is_due(brokers):
    def state(broker):
        text = json.dumps(broker.settings).encode()
        return (
            record("broker", [b""], **broker.head)
            + record("settings", [text], max_message=BIG)
            + record("end")
        )

    broker = brokers(max_message=BIG, state=state)
    worker, client = broker.worker(), broker.client()
    text = "x" * (18 * 1024 * 1024)
    idents = [
        client.submit("work", text, delay_ms=200 + i, durable=True)
        for i in range(2)
    ]
    for ident in idents:
        run = worker.take()
        assert run["params"]["id"] == ident
        assert len(run["params"]["args"]) == len(text)
        worker.succeed(run)
    client.wait(*idents)


def test_a_drain_of_all_leaves_a_paused_queue_to_the_disk(brokers):
    broker = brokers(drain_all=True)
    worker, client = broker.worker(), broker.client()
    client.rpc("queue.pause", {"queue": "default"})
    submit_many(client, MORE_THAN_A_BAND)
    broker.order("stop", mode="graceful")
    broker.expect("drained")
    assert worker.next()["method"] == "worker.stop"


def test_the_end_of_old_workers_holds_nobody_up(brokers):
    broker = brokers()
    reload_names(broker, ["old"])
    worker, client = broker.worker(threads=1, names=["old"]), broker.client()
    client.submit("old", durable=False, priority=9)
    first = worker.take()
    submit_many(client, 3, "old", priority=1)
    submit_many(client, MORE_THAN_A_BAND, "old", priority=9)
    reload_names(broker, ["old", "new"])
    client.submit("new", durable=True, priority=9)
    newer = broker.worker(threads=1, names=["old", "new"])
    run = newer.take()
    worker.succeed(first)
    worker.die()
    newer.succeed(run)
    run_all(newer, 3 + MORE_THAN_A_BAND)
    assert client.rpc("server.stats")["ready"] == 0


def test_tasks_without_end_do_not_put_an_upgrade_off(brokers):
    broker = brokers()
    worker, client = broker.worker(), broker.client()
    submit_many(client, scaled(20_000, 5000))
    run_all(worker, 1000)
    runs = 0
    for _ in range(3):
        broker.send_upgrade()
        while not is_told(broker, "ready"):
            # Each that has ended is written, and makes room for the next.
            while not worker.is_idle(0.001):
                worker.succeed(worker.take())
                runs += 1
    assert runs < 300


@pytest.mark.parametrize("durable", [False, True])
def test_who_waits_for_a_key_does_so_in_the_next_image(brokers, durable):
    broker = brokers()
    worker, client = broker.worker(), broker.client()
    idents = [
        client.submit("work", i, key="k", durable=durable) for i in range(5)
    ]
    run = worker.take()
    broker.upgrade()
    for ident in idents:
        assert run["params"]["id"] == ident
        assert client.task(ident)["state"] == "running"
        assert worker.is_idle()
        worker.succeed(run)
        run = worker.take() if ident != idents[-1] else None
    client.wait(*idents)


def test_the_limits_of_a_queue_that_has_gone_stay(brokers):
    queues = [{"name": "default"}, {"name": "narrow", "max_running": 1}]
    both = pool("default", queues=("default", "narrow"))
    broker = brokers(queues=queues, pools=[both])
    worker, client = broker.worker(), broker.client()
    idents = [
        client.submit("work", queue="narrow", durable=True) for _ in range(3)
    ]
    run = worker.take()
    reload_names(broker, ["work"])
    broker.upgrade()
    for _ in idents:
        assert worker.is_idle()
        worker.succeed(run)
        run = worker.take() if run["params"]["id"] != idents[-1] else None
    client.wait(*idents)


def test_a_row_that_makes_no_sense_holds_nobody_up(brokers):
    broker = brokers()
    worker, client = broker.worker(), broker.client()
    client.rpc("queue.pause", {"queue": "default"})
    submit_many(client, MORE_THAN_A_BAND)
    low = client.submit("work", durable=False, priority=0)
    path = broker.folder / "tasks.db"
    with contextlib.closing(sqlite3.connect(path, timeout=LIMIT)) as database:
        # Its arguments would be elsewhere, where there are none.
        database.execute("UPDATE task SET big = 1 WHERE id = 2500")
        database.commit()
    wait = client.request("task.wait", {"ids": [2500]})
    assert client.task(low)["state"] == "ready"
    client.rpc("queue.resume", {"queue": "default"})
    run_all(worker, MORE_THAN_A_BAND)
    assert client.wait(low)[0]["state"] == "succeeded"
    # It is given up when nothing else is on the disk.
    wait_until(
        lambda: client.rpc("server.stats")["ready"] == 0, "it is not counted"
    )
    assert client.answer(wait)["error"]["code"] == -32016
    assert "row of task 2500 makes no sense" in broker.log()
