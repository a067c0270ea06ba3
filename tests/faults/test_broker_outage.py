# SPDX-License-Identifier: ISC
"""A broker that dies as often as it is started: whoever asks is told."""

import json
import os
import signal
import subprocess
import time

import pytest

from ganger import GANGER, LIMIT, RpcError, fd_count, wait_until

AGAIN = 75
WHY = "the broker is flapping: it dies soon after its start"
STOPS = "broker is flapping: it died 5 times in a row"


pytestmark = pytest.mark.skipif(
    not GANGER.exists(), reason="ganger is not built"
)


@pytest.fixture
def daemon(daemons):
    return daemons.start()


def flap(daemon):
    """Kill every broker until it is tried every ten seconds only."""
    while STOPS not in daemon.log():
        try:
            os.kill(daemon.broker_pid(), signal.SIGKILL)
        except (OSError, EOFError, RpcError, KeyError):
            time.sleep(0.002)


def ganger(daemon, *words):
    return subprocess.run(
        [GANGER, "-s", daemon.socket, *map(str, words)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )


def spawn(daemon, *words):
    return subprocess.Popen(
        [GANGER, "-s", daemon.socket, *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_who_asks_is_told_and_who_waited_is_served_in_the_end(daemon):
    task = {"name": "echo", "args": 1, "durable": True, "delay_ms": 20_000}
    ident = daemon.rpc("task.submit", task)["id"]
    waiter = spawn(daemon, "wait", ident)
    wait_until(lambda: daemon.rpc("server.stats")["waiters"] == 1, "it waits")
    flap(daemon)
    with daemon.client() as client:
        client.send_raw(b"no JSON at all\n")
        answer = json.loads(client.recv_line())
        with pytest.raises(EOFError):
            client.recv_line()
    assert answer["id"] is None
    error = answer["error"]
    assert error["code"] == -32015 and error["message"].startswith(WHY)
    assert error["data"]["retryable"] is True
    assert 0 < error["data"]["retry_after_ms"] <= 10_000
    for word, *more in ["ping"], ["status"], ["submit", "echo"]:
        done = ganger(daemon, word, *more)
        assert (done.returncode, done.stdout) == (AGAIN, ""), word
        assert done.stderr.startswith(f"ganger: {word}: {WHY}")
    # Who was there before goes on with the broker that stays.
    out, err = waiter.communicate(timeout=LIMIT)
    assert (waiter.returncode, out, err) == (0, f"{ident} succeeded\n", "")


def serves(daemon):
    try:
        return daemon.rpc("server.ping") == "pong"
    except (OSError, EOFError, RpcError, KeyError):
        return False


def test_crowd_of_silent_clients_is_let_go(daemon):
    """None holds the master up, or keeps its descriptors."""
    fds = fd_count(daemon.pid)
    flap(daemon)
    clients = [daemon.client() for _ in range(200)]
    for client in clients:
        message = json.loads(client.recv_line())
        assert message["error"]["code"] == -32015
    wait_until(lambda: serves(daemon), "it is served again")
    wait_until(lambda: fd_count(daemon.pid) <= fds, "they are let go")


def test_socket_that_is_made_anew_meanwhile_is_answered_too(daemon):
    flap(daemon)
    daemon.socket.unlink()
    daemon.wait_log("made anew")
    message = json.loads(daemon.client().recv_line())
    assert message["error"]["message"].startswith(WHY)


def test_stop_ends_an_outage(daemon):
    flap(daemon)
    client = daemon.client()
    client.send_raw(b"x" * 100_000)
    assert json.loads(client.recv_line())["error"]["code"] == -32015
    daemon.stop()
