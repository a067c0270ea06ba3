# SPDX-License-Identifier: ISC
"""Stopping: graceful with poison pills, quick, and harder when asked again."""

import contextlib
import os
import re
import signal
import time

import pytest

from ganger import Client, is_alive, process_state, seconds, wait_until


def pool(handlers, more="processes = 2 threads = 2"):
    return f'pool "default" {{ {more} modules = {{"{handlers}"}} }}\n'


@pytest.fixture
def daemon(daemons, handlers):
    return daemons.start(pool(handlers))


def answered(client, idents):
    """The results of calls, by their ids."""
    return [client.result(ident)["result"] for ident in idents]


def draining(client):
    return client.rpc("server.info")["state"] == "draining"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_idle_daemon_stops_at_once(daemon, number):
    daemon.stop(number, seconds(5))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_graceful_stop_answers_all_that_was_asked(daemon, gate, number):
    with daemon.client() as client:
        running = [
            client.request("task.call", {"name": "gate", "args": gate.args})
            for _ in range(4)
        ]
        waiting = [
            client.request("task.call", {"name": "echo", "args": i})
            for i in range(100)
        ]
        wait_until(
            lambda: client.rpc("pool.list")[0]["busy"] == 4, "all are busy"
        )
        daemon.send_signal(number)
        wait_until(lambda: draining(client), "it drains")
        for method in ("task.submit", "task.call"):
            error = client.error(method, {"name": "echo"})
            assert error.code == -32015
            assert error.data["retryable"] is True
        (refused,) = client.rpc(
            "task.submit_many", {"tasks": [{"name": "echo"}]}
        )
        assert refused["error"]["code"] == -32015
        gate.open()
        assert answered(client, waiting) == list(range(100))
        assert len(answered(client, running)) == 4
        assert client.at_eof()
        assert daemon.wait_exit() == 0
    daemon.stop()


def test_each_worker_swallows_its_pill(daemons, handlers):
    daemon = daemons.start(pool(handlers), args=["-v"])
    workers = [row["worker"] for row in daemon.rpc("worker.list")]
    daemon.stop()
    log = daemon.log()
    for worker in workers:
        assert re.search(rf"worker {worker}\[\d+\]: .*pill", log), log
        assert re.search(rf"worker {worker},.* has ended$", log, re.M), log


def test_stop_lets_waits_be_answered(daemon, gate):
    with daemon.client() as client:
        ident = client.submit("gate", gate.args)
        wait = client.request("task.wait", {"ids": [ident]})
        client.wait_running(ident)
        daemon.send_signal(signal.SIGTERM)
        wait_until(lambda: draining(client), "it drains")
        gate.open()
        assert client.result(wait)["done"][0]["state"] == "succeeded"
        daemon.stop()


def test_stop_does_not_wait_for_an_hour(daemon):
    """What is scheduled for later is lost with the memory it is in."""
    with daemon.client() as client:
        client.submit("echo", delay_ms=3600 * 1000)
        waiter = daemon.client()
        waiter.request("task.call", {"name": "echo", "delay_ms": 3600 * 1000})
        wait_until(
            lambda: client.rpc("server.stats")["scheduled"] == 2, "the call"
        )
        daemon.stop(limit=seconds(10))
        try:
            assert "error" in waiter.recv()
        except EOFError:
            pass


def test_term_again_is_ignored(daemon, gate):
    with daemon.client() as client:
        call = client.request("task.call", {"name": "gate", "args": gate.args})
        wait_until(
            lambda: client.rpc("pool.list")[0]["busy"] == 1, "it runs"
        )
        daemon.send_signal(signal.SIGTERM)
        wait_until(lambda: draining(client), "it drains")
        for _ in range(3):
            daemon.send_signal(signal.SIGTERM)
            assert client.rpc("server.ping") == "pong"
        gate.open()
        assert client.result(call)["state"] == "succeeded"
        daemon.stop()


def assert_quick(daemon, number):
    start = time.monotonic()
    daemon.stop(number)
    assert time.monotonic() - start < seconds(2)


def test_second_int_is_quick(daemon, gate):
    with daemon.client() as client:
        client.submit("gate", gate.args)
        wait_until(
            lambda: client.rpc("pool.list")[0]["busy"] == 1, "it runs"
        )
        daemon.send_signal(signal.SIGINT)
        wait_until(lambda: draining(client), "it drains")
        assert_quick(daemon, signal.SIGINT)


@pytest.mark.parametrize("name", ["gate", "deaf"])
def test_quit_is_quick_with_tasks_running(daemon, gate, name):
    """Also when a task does not listen to being cancelled."""
    with daemon.client() as client:
        call = client.request("task.call", {"name": name, "args": gate.args})
        for _ in range(100):
            client.submit("echo")
        wait_until(
            lambda: client.rpc("pool.list")[0]["busy"] >= 1, "it runs"
        )
        assert_quick(daemon, signal.SIGQUIT)
        try:
            assert "error" in client.answer(call)
        except EOFError:
            pass


def test_term_then_quit_is_quick(daemon, gate):
    with daemon.client() as client:
        client.submit("deaf", gate.args)
        wait_until(
            lambda: client.rpc("pool.list")[0]["busy"] == 1, "it runs"
        )
        daemon.send_signal(signal.SIGTERM)
        wait_until(lambda: draining(client), "it drains")
        assert_quick(daemon, signal.SIGQUIT)


def test_third_int_kills(daemon, gate):
    with daemon.client() as client:
        client.submit("deaf", gate.args)
        wait_until(
            lambda: client.rpc("pool.list")[0]["busy"] == 1, "it runs"
        )
    for _ in range(3):
        if daemon.process.poll() is None:
            daemon.send_signal(signal.SIGINT)
            time.sleep(0.05)  # so that they do not merge into one
    daemon.wait_exit(seconds(5))


def test_stop_with_a_stopped_worker_ends(daemons, handlers):
    daemon = daemons.start(pool(handlers), top='graceful_timeout = "1s"')
    pid = daemon.worker_pids()[0]
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: process_state(pid) == "T", "the worker is stopped")
    daemon.stop(limit=seconds(15))


def test_stuck_task_is_killed_after_the_grace(daemons, handlers, gate):
    daemon = daemons.start(pool(handlers), top='graceful_timeout = "1s"')
    with daemon.client() as client:
        call = client.request("task.call", {"name": "deaf", "args": gate.args})
        quick = client.request("task.call", {"name": "echo", "args": 1})
        assert client.result(quick)["result"] == 1
        wait_until(
            lambda: client.rpc("pool.list")[0]["busy"] == 1, "it runs"
        )
        (worker,) = [
            row["pid"] for row in client.rpc("worker.list") if row["tasks"]
        ]
        start = time.monotonic()
        daemon.send_signal(signal.SIGTERM)
        daemon.wait_exit(seconds(15))
        assert time.monotonic() - start >= 0.9
        assert not is_alive(worker)
        try:
            assert "error" in client.answer(call)
        except EOFError:
            pass
    assert re.search(rf"\b{worker}\b", daemon.log())
    assert not daemon.socket.exists()


def test_clients_that_only_listen_do_not_hold_up_the_stop(daemon):
    idle = [daemon.client() for _ in range(10)]
    daemon.stop(limit=seconds(5))
    assert all(client.at_eof() for client in idle)


def test_client_that_reads_nothing_does_not_hold_up_the_stop(daemons):
    daemon = daemons.start(top='graceful_timeout = "1s"')
    client = Client(daemon.socket)
    # In one piece: the socket may have no room for so many small ones.
    line = b'{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}\n'
    client.send_raw(line * 300)
    wait_until(
        lambda: daemon.rpc("server.stats")["requests_total"] > 20, "it is read"
    )
    daemon.stop(limit=seconds(15))
    client.close()


# server.stop


@pytest.mark.parametrize("params", [None, {}, {"mode": "graceful"}])
def test_client_can_stop_it_gracefully(daemon, gate, params):
    with daemon.client() as client:
        call = client.request("task.call", {"name": "gate", "args": gate.args})
        wait_until(
            lambda: client.rpc("pool.list")[0]["busy"] == 1, "it runs"
        )
        answer = client.rpc("server.stop", params)
        assert answer == {"stopping": True, "mode": "graceful"}
        wait_until(lambda: draining(client), "it drains")
        gate.open()
        assert client.result(call)["state"] == "succeeded"
        assert daemon.wait_exit() == 0
    daemon.stop()


def test_client_can_stop_it_the_quick_way(daemon, gate):
    with daemon.client() as client:
        client.submit("deaf", gate.args)
        wait_until(
            lambda: client.rpc("pool.list")[0]["busy"] == 1, "it runs"
        )
        start = time.monotonic()
        ident = client.request("server.stop", {"mode": "quick"})
        try:
            assert client.result(ident) == {"stopping": True, "mode": "quick"}
        except EOFError:
            pass
        assert daemon.wait_exit() == 0
        assert time.monotonic() - start < seconds(2)
    daemon.stop()


def test_stop_knows_two_modes(daemon):
    with daemon.client() as client:
        error = client.error("server.stop", {"mode": "slow"})
        assert (error.code, error.data["param"]) == (-32602, "mode")
        assert client.call("echo", 1)["result"] == 1


@pytest.mark.parametrize("n", [10, 200])
def test_what_was_asked_before_the_stop_is_answered(daemon, n):
    """And what comes behind is, too, or finds the connection closed."""
    with daemon.client() as client:

        def ask(i):
            return client.request("task.call", {"name": "echo", "args": i})

        before = [ask(i) for i in range(n)]
        daemon.send_signal(signal.SIGTERM)
        with contextlib.suppress(BrokenPipeError):
            for i in range(n):
                ask(i)
        answers = {}
        with contextlib.suppress(EOFError):
            while True:
                answer = client.recv()
                assert answer["id"] not in answers
                answers[answer["id"]] = answer
        assert set(before) <= set(answers)
        for answer in answers.values():
            assert "result" in answer or answer["error"]["code"] == -32015
        daemon.stop()
