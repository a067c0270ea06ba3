# SPDX-License-Identifier: ISC
"""Signals to the master at bad moments and in any order: faults 20, 21, 26."""

import itertools
import os
import pathlib
import re
import signal
import time

import pytest

from ganger import (
    is_alive,
    let_pass,
    scaled,
    seconds,
    stop_process,
    wait_until,
    zombies,
)
from modules import STUCK, AtStart

TERM, INT, QUIT = signal.SIGTERM, signal.SIGINT, signal.SIGQUIT


def pool(handlers, more="processes = 2 threads = 2"):
    return f'pool "default" {{ {more} modules = {{"{handlers}"}} }}\n'


# The master is late


def test_nobody_is_killed_because_the_master_was_late(
    daemons, handlers, gate
):
    """Every limit that it watches passes while it is stopped."""
    daemon = daemons.start(
        pool(
            handlers,
            'processes = 2 threads = 2 heartbeat_timeout = "300ms" '
            'boot_timeout = "300ms" idle_timeout = "300ms"',
        )
    )
    pids = daemon.wait_workers(2)
    broker = daemon.broker_pid()
    with daemon.client() as client:
        ident = client.submit("gate", gate.args)
        client.wait_running(ident)
        for _ in range(2):
            stop_process(daemon.pid)
            let_pass(1)
            daemon.send_signal(signal.SIGCONT)
            let_pass(0.4)  # and so it would strike
        for i in range(50):
            assert client.call("echo", i)["result"] == i
        gate.open()
        assert client.wait(ident)[0]["run"] == 1
    assert daemon.wait_workers(2) == pids
    assert daemon.broker_pid() == broker
    assert daemon.pool()["restarts"] == 0


def test_worker_that_came_up_while_the_master_was_stopped_is_kept(
    daemons, folder
):
    """Its boot_timeout was over before the master heard its hello."""
    slow = AtStart(folder, STUCK)
    daemon = daemons.start(
        f'pool "default" {{ processes = 1 boot_timeout = "1s" '
        f'modules = {{"{slow.module}"}} }}'
    )
    (old,) = daemon.wait_workers(1)
    slow.begin()
    os.kill(old, signal.SIGKILL)
    with daemon.client() as client:
        (pid,) = wait_until(
            lambda: {row["pid"] for row in client.rpc("worker.list")} - {old},
            "the next one starts",
        )
        stop_process(daemon.pid)
        let_pass(1.2)
        slow.end()
        assert client.call("echo", 1)["result"] == 1
        daemon.send_signal(signal.SIGCONT)
        daemon.wait_log(f"pid {pid}, is up")
        let_pass(0.3)
        (now,) = client.rpc("worker.list")
        assert (now["pid"], now["state"]) == (pid, "idle")


def test_stop_that_comes_while_the_master_is_stopped_is_graceful(
    daemons, handlers, gate
):
    """The grace counts from when it could act."""
    daemon = daemons.start(pool(handlers), top='graceful_timeout = "1s"')
    with daemon.client() as client:
        call = client.request("task.call", {"name": "gate", "args": gate.args})
        wait_until(lambda: client.rpc("server.stats")["running"], "it runs")
        stop_process(daemon.pid)
        daemon.send_signal(TERM)
        let_pass(1.5)
        daemon.send_signal(signal.SIGCONT)
        wait_until(
            lambda: client.rpc("server.info")["state"] == "draining",
            "it drains",
        )
        gate.open()
        assert client.result(call)["run"] == 1
        assert daemon.wait_exit() == 0


# While it starts


def handles(pid, number):
    """True when the signal would not simply end the process."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    masks = re.findall(r"^Sig(?:Blk|Cgt|Ign):\s+(\w+)", text, re.M)
    return any(int(mask, 16) & 1 << (number - 1) for mask in masks)


def spawn_ready_for(daemons, *numbers, **kwargs):
    daemon = daemons.make(**kwargs).spawn()
    while not all(handles(daemon.pid, number) for number in numbers):
        assert is_alive(daemon.pid), daemon.log()
    return daemon


@pytest.mark.parametrize(
    "storm",
    [
        (signal.SIGHUP,),
        (signal.SIGTTIN, signal.SIGTTOU),
        (signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1),
    ],
    ids=str,
)
def test_signals_each_millisecond_while_spawning_harm_nothing(
    daemons, handlers, storm
):
    daemon = spawn_ready_for(daemons, *storm, config=pool(handlers))
    for number in itertools.islice(itertools.cycle(storm), 120):
        daemon.send_signal(number)
        time.sleep(0.001)  # the storm itself
    with daemon.client() as client:
        for i in range(20):
            assert client.call("echo", i)["result"] == i

        def settled():
            (row,) = client.rpc("pool.list")
            workers = client.rpc("worker.list")
            return row["alive"] == row["target"] == len(workers)

        wait_until(settled, "as many workers as are wanted")
        assert client.rpc("pool.list")[0]["state"] == "up"
        assert 1 <= client.rpc("pool.list")[0]["target"] <= 1024
    wait_until(lambda: not zombies(daemon.pid), "no zombie is left")
    daemon.stop(limit=seconds(10))


@pytest.mark.parametrize("last", [TERM, INT, QUIT])
def test_stop_amid_a_storm_of_other_signals_is_clean(daemons, handlers, last):
    others = signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU
    turns = scaled(12, 4)
    for turn in range(turns):
        daemon = spawn_ready_for(daemons, *others, last, config=pool(handlers))
        for number in itertools.islice(itertools.cycle(others), 4 * turn):
            daemon.send_signal(number)
            time.sleep(0.001)
        daemon.send_signal(last)
        for number in others:
            if daemon.process.poll() is None:
                daemon.send_signal(number)
        assert daemon.wait_exit(seconds(10)) == 0, daemon.log()
        assert not daemon.socket.exists()
        assert not daemon.pidfile.exists()


# Every order of stops


def batches():
    orders = [
        order
        for n in (2, 3)
        for order in itertools.product((TERM, INT, QUIT), repeat=n)
    ]
    return [orders[i : i + 9] for i in range(0, len(orders), 9)]


def name_of(batch):
    return "+".join(
        "".join(signal.Signals(n).name[3] for n in order) for order in batch
    )


def assert_ended(daemon, order):
    """Cleanly, unless a third interrupt was to kill it."""
    status = daemon.wait_exit(seconds(10))
    if order != (INT, INT, INT):
        assert status == 0, f"{order}: {status}\n{daemon.log()}"
        assert not daemon.socket.exists(), order
        assert not daemon.pidfile.exists(), order


@pytest.mark.parametrize("batch", batches(), ids=name_of)
def test_stops_in_any_order_end_it(daemons, handlers, gate, batch):
    """With a task that listens to nobody; nine daemons at a time."""
    config = pool(handlers, "processes = 1 threads = 1")
    running = []
    for order in batch:
        daemon = daemons.start(config, top='graceful_timeout = "1s"')
        with daemon.client() as client:
            client.wait_running(client.submit("deaf", gate.args))
        running.append((daemon, order))
    start = time.monotonic()
    for daemon, order in running:
        for number in order:
            if daemon.process.poll() is None:
                daemon.send_signal(number)
                time.sleep(0.02)  # so that two of a kind do not merge
    for daemon, order in running:
        assert_ended(daemon, order)
    assert time.monotonic() - start < seconds(10)


@pytest.mark.parametrize("softer", [TERM, INT])
def test_softer_stop_after_a_quick_one_changes_nothing(
    daemons, handlers, gate, softer
):
    daemon = daemons.start(pool(handlers), top='graceful_timeout = "100s"')
    with daemon.client() as client:
        client.wait_running(client.submit("deaf", gate.args))
    start = time.monotonic()
    daemon.send_signal(QUIT)
    time.sleep(0.02)
    daemon.send_signal(softer)
    assert daemon.wait_exit() == 0
    assert time.monotonic() - start < seconds(3)
