# SPDX-License-Identifier: ISC
"""Workers of one pool that know different names, as while it is rolled."""

import signal
import time

import pytest

from broker import Broker
from ganger import seconds, wait_until


@pytest.fixture
def broker(folder):
    broker = Broker(folder)
    broker.expect("ready")
    yield broker
    log = broker.log()
    broker.kill()
    bad = ("Sanitizer", "runtime error", "ssertion")
    assert not any(word in log for word in bad), log[-5000:]


def test_suspects_of_old_workers_go_to_an_idle_young_one_at_once(broker):
    """When the last old one has its pill, and works on what it has."""
    client = broker.client()
    olds = [broker.worker(threads=2, names=["work", "old"]) for _ in "ab"]
    ids = [client.submit("work", n) for n in range(3)]
    wait_until(lambda: client.rpc("server.stats")["running"] == 3, "all run")
    tasks = {row["pid"]: row["tasks"] for row in client.rpc("worker.list")}
    stays, victim = sorted(olds, key=lambda w: len(tasks[w.pid]))
    long = stays.take()
    victim.die(signal.SIGKILL)
    wait_until(
        lambda: client.rpc("server.stats")["ready"] == 2, "they are suspects"
    )
    young = broker.worker(threads=2)
    begin = time.monotonic()
    broker.order("worker.retire", pid=stays.pid)
    first = young.take()
    assert time.monotonic() - begin < seconds(0.3)
    assert young.is_idle()
    young.succeed(first)
    young.succeed(young.take())
    stays.succeed(long)
    assert all(t["state"] == "succeeded" for t in client.wait(*ids))
