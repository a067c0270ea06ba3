# SPDX-License-Identifier: ISC
"""Whom a worker's death is put down to, and what it does to the others."""

import os
import signal
import time

import pytest

from ganger import (
    SANITIZED,
    Client,
    is_alive,
    seconds,
    stop_process,
    wait_until,
)


def pool(handlers, more="processes = 2 threads = 2"):
    return f'pool "default" {{ {more} modules = {{"{handlers}"}} }}\n'


# The pool


def test_tasks_over_their_limit_do_not_make_a_pool_flap(daemons):
    """Their workers are killed by order: that says nothing of the pool."""
    daemon = daemons.start('pool "default" { processes = 1 threads = 1 }')
    with daemon.client() as client:
        start = time.monotonic()
        ids = [
            client.submit("sleep", {"ms": 60000}, timeout_ms=50, retries=0)
            for _ in range(10)
        ]
        for task in client.wait(*ids):
            assert task["state"] == "failed"
            assert client.rpc("pool.list")[0]["state"] == "up"
        assert client.call("echo", 1)["result"] == 1
        assert time.monotonic() - start < seconds(8)
        assert client.rpc("pool.list")[0]["state"] == "up"
    assert "flapping" not in daemon.log()


def test_others_are_served_while_tasks_go_over_their_limit(daemons):
    daemon = daemons.start('pool "default" { processes = 2 threads = 2 }')
    with daemon.client() as client, daemon.client() as other:
        ids = [
            client.submit("sleep", {"ms": 60000}, timeout_ms=50, retries=0)
            for _ in range(24)
        ]
        for i in range(3):
            start = time.monotonic()
            assert other.call("echo", i, priority=9)["result"] == i
            assert time.monotonic() - start < seconds(3)
        assert all(t["state"] == "failed" for t in client.wait(*ids))
        assert client.rpc("pool.list")[0]["state"] == "up"


# The task


def is_closed(pid):
    """True when the last thread is gone, and the descriptors with it."""
    return not is_alive(pid) and len(os.listdir(f"/proc/{pid}/task")) == 1


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
def test_task_is_not_blamed_for_a_death_before_it(daemons, number):
    """It came to a worker that was dead already: that is no attempt."""
    if SANITIZED and number == signal.SIGSEGV:
        pytest.skip("the sanitizer would report it")
    daemon = daemons.start('pool "default" { processes = 1 threads = 1 }')
    broker = daemon.broker_pid()
    with daemon.client() as client:
        for turn in range(3):  # in which order the broker sees it is chance
            (worker,) = daemon.wait_workers(1)
            stop_process(daemon.pid)
            stop_process(broker)
            os.kill(worker, number)
            wait_until(lambda: is_closed(worker), "the worker is dead")
            call = client.request(
                "task.call", {"name": "echo", "args": turn, "retries": 0}
            )
            ping = client.request("server.ping")
            os.kill(broker, signal.SIGCONT)
            assert client.result(ping) == "pong"
            os.kill(daemon.pid, signal.SIGCONT)
            task = client.result(call)
            assert (task["state"], task["result"]) == ("succeeded", turn)


def test_task_that_had_started_does_not_expire(daemons, handlers, gate):
    daemon = daemons.start(pool(handlers, "processes = 1 threads = 2"))
    (worker,) = daemon.wait_workers(1)
    with daemon.client() as client:
        ident = client.submit("gate", gate.args, expires_ms=1000)
        client.wait_running(ident)
        clock = client.submit("echo", expires_ms=1000, delay_ms=3600 * 1000)
        assert client.wait(clock)[0]["state"] == "expired"
        os.kill(worker, signal.SIGKILL)
        wait_until(
            lambda: client.rpc("server.stats")["requeued"] == 1, "requeued"
        )
        gate.open()
        (task,) = client.wait(ident)
        assert (task["state"], task["run"]) == ("succeeded", 2)


def test_all_threads_work_again_once_suspects_are_done(
    daemons, handlers, gates
):
    """Though a long task was in the way when one wanted to be alone."""
    daemon = daemons.start(pool(handlers))
    daemon.wait_workers(2)
    with daemon.client() as client:
        gate_of = {}
        for _ in range(4):
            gate = gates()
            gate_of[client.submit("gate", gate.args)] = gate
        client.wait_running(*gate_of)
        victim, other = client.rpc("worker.list")
        suspects, (long, short) = victim["tasks"], other["tasks"]
        gate_of[short].open()
        client.wait(short)
        os.kill(victim["pid"], signal.SIGKILL)
        wait_until(
            lambda: client.rpc("server.stats")["requeued"] == 2, "requeued"
        )
        wait_until(
            lambda: any(
                client.task(ident)["state"] == "running" for ident in suspects
            ),
            "a suspect runs",
        )
        for ident in suspects:
            gate_of[ident].open()
        assert all(t["state"] == "succeeded" for t in client.wait(*suspects))
        assert client.task(long)["state"] == "running"

        last = gates()
        more = [client.submit("gate", last.args) for _ in range(3)]
        wait_until(
            lambda: client.rpc("pool.list")[0]["busy"] == 4,
            "all threads work",
            seconds(5),
        )
        last.open()
        gate_of[long].open()
        client.wait(long, *more)


# The worker


def test_stopped_worker_is_replaced_after_the_broker_was_killed(daemons):
    daemon = daemons.start()
    pids = daemon.wait_workers(2)
    stop_process(pids[0])
    broker = daemon.broker_pid()
    os.kill(broker, signal.SIGKILL)

    def replaced():
        try:
            with Client(daemon.socket) as client:
                if client.rpc("server.info")["broker_pid"] == broker:
                    return False
                rows = client.rpc("worker.list")
        except (OSError, EOFError):
            return False
        ready = {row["pid"] for row in rows if row["state"] != "starting"}
        return len(ready) == 2 and not ready & set(pids)

    wait_until(replaced, "two new workers", seconds(12))
    wait_until(lambda: not is_alive(pids[0]), "the stopped one is gone")
    with daemon.client() as client:
        assert client.call("echo", 1)["result"] == 1
