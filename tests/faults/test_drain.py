# SPDX-License-Identifier: ISC
"""A stop that comes at a bad moment, or to the wrong process."""

import os
import pathlib
import re
import signal
import time

import pytest

from ganger import (
    RpcError,
    is_alive,
    scaled,
    seconds,
    session_pids,
    wait_until,
)

PATIENT = 'graceful_timeout = "100s"'  # nothing below may take that long


def draining(client):
    return client.rpc("server.info")["state"] == "draining"


def busy(client, count=1):
    return client.rpc("pool.list")[0]["busy"] == count


# While it drains


def test_task_that_falls_due_while_draining_does_not_hold_up_the_stop(
    daemons, handlers, gate
):
    daemon = daemons.start(
        f"""pool "default" {{ processes = 2 threads = 1
            modules = {{"{handlers}"}} }}""",
        top=PATIENT,
    )
    daemon.wait_workers(2)
    with daemon.client() as client:
        call = client.request("task.call", {"name": "gate", "args": gate.args})
        wait_until(lambda: busy(client), "it runs")
        later = client.submit("echo", 1, delay_ms=500)
        due = time.monotonic() + 0.6
        daemon.send_signal(signal.SIGTERM)
        wait_until(lambda: draining(client), "it drains")
        assert client.task(later)["state"] == "scheduled"
        wait_until(lambda: time.monotonic() > due, "the other one is due")
        assert client.rpc("server.ping") == "pong"
        gate.open()
        assert client.result(call)["state"] == "succeeded"
        daemon.stop(limit=seconds(5))


def test_workers_that_retire_while_draining_are_replaced(daemons):
    daemon = daemons.start(
        'pool "default" { processes = 1 threads = 1 max_tasks = 3 }',
        top=PATIENT,
    )
    with daemon.client() as client:
        calls = [
            client.request("task.call", {"name": "sleep", "args": {"ms": 20}})
            for _ in range(20)
        ]
        assert client.rpc("server.ping") == "pong"  # all are taken
        daemon.send_signal(signal.SIGTERM)
        daemon.stop(limit=seconds(8))
        for call in calls:
            assert client.result(call)["state"] == "succeeded"


@pytest.mark.parametrize("name", ["sleep", "deaf"])
def test_caller_of_a_task_cut_by_the_stop_may_try_again(
    daemons, handlers, gate, name
):
    """It was not the task that failed, so it is not said to have."""
    daemon = daemons.start(
        f"""pool "default" {{ processes = 1 threads = 1
            modules = {{"{handlers}"}} }}""",
        top='graceful_timeout = "1s"',
    )
    args = {"ms": 60000} if name == "sleep" else gate.args
    with daemon.client() as client:
        call = client.request(
            "task.call", {"name": name, "args": args, "retries": 0}
        )
        wait_until(lambda: busy(client), "it runs")
        daemon.send_signal(signal.SIGTERM)
        with pytest.raises(RpcError) as caught:
            client.result(call)
        assert caught.value.code == -32015
        assert caught.value.data["retryable"] is True
        daemon.wait_exit(seconds(10))


# While it starts


def handles_term(pid):
    """True when SIGTERM would not simply end the process."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    masks = re.findall(r"^Sig(?:Blk|Cgt):\s+(\w+)", text, re.M)
    bit = 1 << (signal.SIGTERM - 1)
    return any(int(mask, 16) & bit for mask in masks)


def stop_at(daemon):
    """End it; one that was not yet ready for signals has made nothing."""
    daemon.send_signal(signal.SIGTERM)
    status = daemon.wait_exit(seconds(10))
    assert not daemon.socket.exists()
    assert not daemon.pidfile.exists()
    return status


def spawn_ready_for_term(daemons):
    daemon = daemons.make().spawn()
    while not handles_term(daemon.pid):
        assert is_alive(daemon.pid), daemon.log()
    return daemon


def test_stop_at_any_moment_of_the_start_is_clean(daemons):
    turns = scaled(24, 6)
    for turn in range(turns):
        daemon = spawn_ready_for_term(daemons)
        time.sleep(0.06 / min(1, turns / 24) * turn / 24)
        status = stop_at(daemon)
        assert status == 0, f"turn {turn}: {status}\n{daemon.log()}"


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_stop_when_so_many_processes_were_started_is_clean(daemons, count):
    for _ in range(scaled(5)):
        daemon = spawn_ready_for_term(daemons)
        wait_until(
            lambda: len(session_pids(daemon.pid)) >= count,
            f"{count} processes\n{daemon.log()}",
        )
        assert stop_at(daemon) == 0, daemon.log()


def test_stop_before_signals_are_handled_leaves_nothing(daemons):
    for _ in range(scaled(10)):
        daemon = daemons.make().spawn()
        assert stop_at(daemon) in (0, -signal.SIGTERM), daemon.log()


# The wrong process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_broker_leaves_such_signals_to_the_master(daemons, number):
    daemon = daemons.start()
    with daemon.client() as client:
        broker = client.rpc("server.info")["broker_pid"]
        os.kill(broker, number)
        # Longer than any alarm that it might set for its end.
        assert client.call("sleep", {"ms": 1500})["state"] == "succeeded"
        info = client.rpc("server.info")
        assert (info["broker_pid"], info["state"]) == (broker, "running")
    daemon.stop(limit=seconds(5))
