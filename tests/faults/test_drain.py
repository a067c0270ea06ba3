# SPDX-License-Identifier: ISC
"""A stop that comes at a bad moment, or to the wrong process."""

import os
import pathlib
import random
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


# What is in memory alone is run, what is durable is left to the next one


def one_thread(daemons, handlers, drain="running"):
    return daemons.start(
        f"""pool "default" {{ processes = 1 threads = 1
            modules = {{"{handlers}"}} }}""",
        top=PATIENT + f'\ndrain = "{drain}"',
    )


def stop_behind_gate(daemon, client, gate):
    """Let it drain while the gate is shut, then open that, and see it end."""
    daemon.send_signal(signal.SIGTERM)
    wait_until(lambda: draining(client), "it drains")
    gate.open()
    assert daemon.wait_exit(seconds(10)) == 0


def calls_of(connection, n, **more):
    calls = [
        connection.request("task.call", {"name": "echo", "args": i, **more})
        for i in range(n)
    ]
    assert connection.rpc("server.ping") == "pong"  # all are taken
    return calls


def test_what_is_in_memory_alone_is_run_past_what_is_durable(
    daemons, handlers, gate
):
    daemon = one_thread(daemons, handlers)
    with daemon.client() as client, daemon.client() as caller:
        client.wait_running(client.submit("gate", gate.args))
        kept = [client.submit("echo", i) for i in range(10)]
        calls = calls_of(caller, 3)
        stop_behind_gate(daemon, client, gate)
        assert [caller.result(call)["result"] for call in calls] == [0, 1, 2]
    daemon.start()
    with daemon.client() as client:
        assert {task["run"] for task in client.wait(*kept)} == {1}


@pytest.mark.parametrize("drain", ["running", "all"])
@pytest.mark.parametrize("n", [1, 200])
def test_what_waits_for_its_key_does_not_hold_up_the_stop(
    daemons, handlers, gate, drain, n
):
    daemon = one_thread(daemons, handlers, drain)
    with daemon.client() as client:
        client.wait_running(client.submit("gate", gate.args, key="k"))
        behind = [client.submit("echo", i, key="k") for i in range(n)]
        stop_behind_gate(daemon, client, gate)
    daemon.start()
    with daemon.client() as client:
        if drain == "all":
            assert client.rpc("task.wait", {"ids": behind, "timeout_ms": 0})[
                "pending"
            ] == []
        done = client.wait(*behind)
        assert [task["result"] for task in done] == list(range(n))
        assert {task["run"] for task in done} == {1}


@pytest.mark.parametrize("drain", ["running", "all"])
@pytest.mark.parametrize("between", [0, 3, 200])
def test_a_drain_runs_what_comes_before_a_call_of_the_same_key(
    daemons, handlers, gate, drain, between
):
    daemon = one_thread(daemons, handlers, drain)
    with daemon.client() as client, daemon.client() as caller:
        client.wait_running(client.submit("gate", gate.args, key="k"))
        before = [client.submit("echo", i, key="k") for i in range(between)]
        calls = calls_of(caller, 3, key="k")
        after = [client.submit("echo", i, key="k") for i in range(3)]
        stop_behind_gate(daemon, client, gate)
        assert [caller.result(call)["result"] for call in calls] == [0, 1, 2]
    daemon.start()
    with daemon.client() as client:
        left = client.rpc("task.wait", {"ids": before or after, "timeout_ms": 0})
        assert not before or left["pending"] == []
        assert {t["state"] for t in client.wait(*after)} == {"succeeded"}


def keyed_notes(rng, folder, numbers):
    """Tasks that write their number down, in the order of their key."""
    return [
        {
            "name": "note",
            "args": {
                "path": str(folder / key),
                "text": str(number),
                "ms": rng.choice([0, 0, 1, 3]),
            },
            "key": key,
            "durable": rng.random() < 0.6,
            "priority": rng.randrange(10),
        }
        for number, key in ((n, rng.choice("abc")) for n in numbers)
    ]


@pytest.mark.parametrize("drain", ["running", "all"])
def test_keys_keep_their_order_over_stops_at_any_time(
    daemons, handlers, folder, drain
):
    rng = random.Random(drain)
    daemon = daemons.start(
        f"""pool "default" {{ processes = 2 threads = 2
            modules = {{"{handlers}"}} }}""",
        top=PATIENT + f'\ndrain = "{drain}"',
    )
    tasks, kept = [], []
    for _ in range(scaled(5, 2)):
        some = keyed_notes(rng, folder, range(len(tasks), len(tasks) + 100))
        with daemon.client() as client:
            rows = client.rpc("task.submit_many", {"tasks": some})
        tasks += some
        kept += [row["id"] for row, t in zip(rows, some) if t["durable"]]
        time.sleep(rng.random() * 0.05)
        daemon.stop(limit=seconds(10))
        assert "lost with" not in daemon.log()
        daemon.start()
    with daemon.client() as client:
        assert {task["run"] for task in client.wait(*kept)} == {1}
    for key in "abc":
        ran = (folder / key).read_text().split()
        assert ran == [
            t["args"]["text"] for t in tasks if t["key"] == key
        ], key


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
