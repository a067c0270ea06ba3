# SPDX-License-Identifier: ISC
"""Workers that will not end, are too big, or have had enough: 8, 13 to 15, 17."""

import os
import re
import signal
import time

import pytest

from ganger import (
    SANITIZED,
    is_alive,
    scaled,
    seconds,
    stop_process,
    wait_until,
)
from load import Load


def pool(handlers, more="processes = 2 threads = 2"):
    return f'pool "default" {{ {more} modules = {{"{handlers}"}} }}\n'


# Deaf to every order


@pytest.mark.parametrize("name", ["deaf", "stubborn"])
def test_worker_that_ignores_its_pill_is_aborted_then_killed(
    daemons, handlers, gate, name
):
    daemon = daemons.start(
        pool(handlers, "processes = 2 threads = 1"),
        top='graceful_timeout = "1s"',
    )
    with daemon.client() as client:
        ident = client.submit(name, gate.args)
        client.wait_running(ident)
        (busy,) = [row for row in client.rpc("worker.list") if row["tasks"]]
    start = time.monotonic()
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    took = time.monotonic() - start
    assert 0.9 <= took < seconds(6)
    assert not is_alive(busy["pid"])
    log = daemon.log()
    assert re.search(rf"{busy['worker']}\b.*\b{busy['pid']}\b", log), log
    if name == "deaf" and not SANITIZED:  # which has an ABRT of its own
        assert "run_deaf" in log or "handlers.so" in log, log


def test_stubborn_worker_does_not_hold_up_the_quick_stop(
    daemons, handlers, gate
):
    daemon = daemons.start(pool(handlers, "processes = 1"))
    with daemon.client() as client:
        client.wait_running(client.submit("stubborn", gate.args))
    start = time.monotonic()
    daemon.stop(signal.SIGQUIT)
    assert time.monotonic() - start < seconds(2.5)


# What tasks leave behind


def pids_in(path, count):
    wait_until(
        lambda: path.exists() and len(path.read_text().split()) == count,
        f"{count} pids in {path}",
    )
    return [int(word) for word in path.read_text().split()]


def assert_none_survives(pids):
    wait_until(
        lambda: not any(map(is_alive, pids)),
        f"{[pid for pid in pids if is_alive(pid)]} are gone",
        seconds(5),
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_nothing_that_a_handler_forked_survives_the_stop(
    daemons, handlers, folder, number
):
    """Not even an orphan, in a session of its own."""
    daemon = daemons.start(pool(handlers))
    path = folder / "pids"
    with daemon.client() as client:
        client.call("litter", {"path": str(path)})
    pids = pids_in(path, 3)
    assert all(map(is_alive, pids))
    daemon.stop(number, limit=seconds(10))
    assert_none_survives(pids)


def test_nothing_that_a_command_left_survives_the_stop(daemons, folder):
    path = folder / "pids"
    script = (
        f"sleep 1000 & echo $! >>{path}; "
        f"setsid sh -c 'echo $$ >>{path}; exec sleep 1000' & "
        f"until [ $(wc -l <{path}) = 2 ]; do sleep 0.01; done"
    )
    daemon = daemons.start(
        'pool "default" { processes = 1 command "litter" { '
        f'argv = {{"sh", "-c", "{script}"}} }} }}'
    )
    with daemon.client() as client:
        client.wait(client.submit("litter", retries=0))
    pids = pids_in(path, 2)
    daemon.stop(limit=seconds(10))
    assert_none_survives(pids)


def test_nothing_that_a_killed_worker_left_survives_the_stop(
    daemons, handlers, folder
):
    daemon = daemons.start(pool(handlers, "processes = 1"))
    path = folder / "pids"
    with daemon.client() as client:
        client.call("litter", {"path": str(path)})
    pids = pids_in(path, 3)
    (worker,) = daemon.worker_pids()
    os.kill(worker, signal.SIGKILL)
    daemon.wait_workers(1, other_than=[worker])
    daemon.stop(limit=seconds(10))
    assert_none_survives(pids)


# {path}: three that stay: it, its child, and one in a session of its own; two
# forks lie between that one and it.
STAY = (
    "echo $$ >>{path}; "
    "sh -c 'echo $$ >>{path}; exec sleep 1000' & "
    "(setsid sh -c 'echo $$ >>{path}; exec sleep 1000' & ) & "
    "wait; exec sleep 1000"
)


def start_staying(daemons, path):
    """A daemon whose one worker runs a command that stays; all the pids."""
    daemon = daemons.start(
        'pool "default" { processes = 1 threads = 1 command "stay" { '
        f'argv = {{"sh", "-c", "{STAY.replace("{path}", str(path))}"}} }} }}',
        top='graceful_timeout = "200ms"',
    )
    with daemon.client() as client:
        client.wait_running(client.submit("stay", retries=0))
    pids = pids_in(path, 3)
    assert all(map(is_alive, pids))
    return daemon, pids


def in_group_of(pid, pids):
    return [other for other in pids if os.getpgid(other) == os.getpgid(pid)]


def test_group_of_a_command_dies_with_its_killed_worker(daemons, folder):
    """And at once; who has left the group goes at the stop."""
    daemon, pids = start_staying(daemons, folder / "pids")
    leader = next(pid for pid in pids if len(in_group_of(pid, pids)) == 2)
    group = in_group_of(leader, pids)
    (worker,) = daemon.worker_pids()
    os.kill(worker, signal.SIGKILL)
    assert_none_survives(group)
    daemon.wait_workers(1, other_than=[worker])
    daemon.stop(limit=seconds(10))
    # It was run once more meanwhile, at no cost.
    every = (folder / "pids").read_text().split()
    assert_none_survives([int(pid) for pid in every])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_running_command_and_all_that_is_of_it_end_with_the_stop(
    daemons, folder, number
):
    daemon, pids = start_staying(daemons, folder / "pids")
    daemon.stop(number, limit=seconds(10))
    assert_none_survives(pids)


def test_group_of_a_command_dies_with_the_killed_master(daemons, folder):
    """What left the group then has nobody left who could know of it."""
    daemon, pids = start_staying(daemons, folder / "pids")
    leader = next(pid for pid in pids if len(in_group_of(pid, pids)) == 2)
    group = in_group_of(leader, pids)
    (escaped,) = set(pids) - set(group)
    try:
        os.kill(daemon.pid, signal.SIGKILL)
        daemon.process.wait()
        assert_none_survives(group)
        wait_until(lambda: not daemon.pids(), "the daemon is gone", seconds(2))
    finally:
        os.kill(escaped, signal.SIGKILL)


# Recycled


@pytest.mark.skipif(SANITIZED, reason="a sanitizer has memory of its own")
def test_worker_over_its_memory_is_replaced_after_its_tasks(
    daemons, handlers, gate
):
    daemon = daemons.start(
        pool(handlers, 'processes = 1 threads = 2 max_memory = "100M"')
    )
    (old,) = daemon.wait_workers(1)
    with daemon.client() as client:
        running = client.submit("gate", gate.args)
        client.wait_running(running)
        assert client.call("hog", {"mb": 150})["result"]["pid"] == old
        (new,) = wait_until(
            lambda: [
                row["pid"]
                for row in client.rpc("worker.list")
                if row["pid"] != old and row["state"] == "idle"
            ],
            "a successor is up",
        )
        assert client.task(running)["state"] == "running"
        wait_until(
            lambda: client.call("whoami")["result"]["pid"] == new,
            "the successor has the work",
        )
        gate.open()
        (task,) = client.wait(running)
        assert (task["state"], task["run"]) == ("succeeded", 1)
        assert task["result"]["pid"] == old
        wait_until(lambda: not is_alive(old), "the big one is gone")
    assert daemon.wait_workers(1) == [new]
    assert daemon.pool()["state"] == "up"


@pytest.mark.skipif(SANITIZED, reason="a sanitizer has memory of its own")
def test_no_task_is_lost_to_workers_that_grow(daemons, handlers):
    daemon = daemons.start(
        pool(handlers, 'processes = 2 threads = 2 max_memory = "100M"')
    )
    with daemon.client() as client, Load(daemon) as load:
        while client.rpc("pool.list")[0]["restarts"] < 4:
            hog, rest = client.submit("hog", {"mb": 2}), {"ms": 20}
            for task in client.wait(hog, client.submit("sleep", rest)):
                assert (task["state"], task["run"]) == ("succeeded", 1)
        load.wait_calls(10)
        assert client.rpc("pool.list")[0]["state"] == "up"
    assert daemon.rpc("server.stats")["requeued"] == 0


def test_recycling_under_load_loses_nothing_and_keeps_the_capacity(daemons):
    """At least 75 % of the pool can take tasks at any moment."""
    daemon = daemons.start(
        'pool "default" { processes = 8 threads = 1 '
        "max_tasks = 30 max_tasks_jitter = 20 }"
    )
    daemon.wait_workers(8)
    least = 8
    recycled = scaled(48, 16)
    with daemon.client() as client, Load(daemon, depth=12) as load:
        row = client.rpc("pool.list")[0]
        while row["restarts"] < recycled and not load.failures:
            row = client.rpc("pool.list")[0]
            least = min(least, row["alive"])
        assert row["state"] == "up"
    assert least >= 6
    stats = daemon.rpc("server.stats")
    assert (stats["requeued"], stats["failed"]) == (0, 0)


def test_worker_that_is_to_be_replaced_works_until_it_is(daemons, handlers):
    """A pool of one is never without a worker."""
    daemon = daemons.start(
        pool(handlers, "processes = 1 threads = 1 max_tasks = 5")
    )
    with daemon.client() as client:
        pids = []
        while len(set(pids)) < 4:
            task = client.call("whoami")
            assert task["run"] == 1
            pids.append(task["result"]["pid"])
        # Once the successor is there, the old one has no more.
        assert pids == sorted(pids, key=pids.index)


# Its output


def test_worker_goes_on_while_nobody_reads_its_output(
    daemons, handlers, folder
):
    """The master is stopped: what is printed is lost, and no more."""
    daemon = daemons.start(pool(handlers))
    with daemon.client() as client:
        stop_process(daemon.pid)
        line = "x" * 1000 + "\n"
        for _ in range(20):
            args = {"text": line, "times": 1000}
            assert client.call("print", args)["result"] is True
        daemon.send_signal(signal.SIGCONT)
        assert client.call("echo", 1)["result"] == 1
        last = {"text": "still heard\n", "times": 1}

        def heard():
            client.call("print", last)
            return "still heard" in daemon.log()

        wait_until(heard, "the output is read again")
    assert daemon.pool()["restarts"] == 0


def test_output_is_logged_with_the_workers_name(daemons, handlers):
    daemon = daemons.start(pool(handlers, "processes = 1"))
    with daemon.client() as client:
        args = {"text": "one\ntwo\n\x1b[31mthree", "times": 1}
        client.call("print", args)
        daemon.wait_log(r"default/1\b.*\bone$")
        daemon.wait_log(r"default/1\b.*\btwo$")
        assert "\x1b" not in daemon.log()
        client.call("print", {"text": " and four\n", "times": 1})
        daemon.wait_log(r"default/1\b.*three and four$")


def test_endless_output_of_a_worker_is_bounded_and_stops_nobody(
    daemons, handlers
):
    daemon = daemons.start(pool(handlers))
    with daemon.client() as client:
        args = {"text": "y" * 4000, "times": 5000}
        call = client.request("task.call", {"name": "print", "args": args})
        for i in range(50):
            start = time.monotonic()
            assert client.call("echo", i)["result"] == i
            assert time.monotonic() - start < seconds(1)
        assert client.result(call)["state"] == "succeeded"
    assert max(map(len, daemon.log().splitlines())) < 16384
    daemon.stop(limit=seconds(5))
