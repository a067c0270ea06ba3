# SPDX-License-Identifier: ISC
"""What one client may cost the broker and the other clients."""

import contextlib
import itertools
import json
import select
import time

from ganger import (
    POOL,
    Client,
    Growth,
    RpcError,
    scaled,
    seconds,
    wait_until,
)

MIB = 1 << 20
HOUR_MS = 3600 * 1000


def request(ident, method, params=None):
    message = {"jsonrpc": "2.0", "id": ident, "method": method}
    if params is not None:
        message["params"] = params
    return message


def encode(message):
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


# Promptness


def test_request_behind_a_large_batch_needs_no_other_event(daemons):
    """What one read brought in is worked off, also when it takes turns."""
    daemon = daemons.start()
    count = scaled(5000, 2500)
    notification = request(0, "task.submit", {"name": "echo"})
    notification["params"]["delay_ms"] = HOUR_MS
    del notification["id"]
    with Client(daemon.socket, limit=seconds(5)) as client:
        client.send_raw(
            encode([notification] * count)
            + encode(request("p", "server.ping"))
        )
        assert client.answer("p")["result"] == "pong"
        stats = client.rpc("server.stats")
        assert stats["scheduled"] == count


def test_batch_of_slow_requests_lets_others_in_between(daemons):
    daemon = daemons.start()
    tasks = [{"name": "echo", "delay_ms": HOUR_MS}] * 10000
    lists = scaled(2000, 400)
    batch = [
        request(n, "task.list", {"state": "failed"}) for n in range(lists)
    ]
    with daemon.client() as client, daemon.client() as greedy:
        for _ in range(scaled(10, 2)):
            client.rpc("task.submit_many", {"tasks": tasks})
        assert greedy.rpc("server.ping") == "pong"
        greedy.send(batch)
        for _ in range(10):
            start = time.monotonic()
            assert client.rpc("server.ping") == "pong"
            assert time.monotonic() - start < seconds(2)


def test_connection_with_many_open_waits_is_read_again(daemons):
    """Once its answers were taken, whatever it still waits for."""
    daemon = daemons.start()
    with Client(daemon.socket, limit=seconds(5)) as client:
        never = client.submit("echo", delay_ms=HOUR_MS)
        big = client.submit("echo", "x" * 900000, delay_ms=HOUR_MS)
        for _ in range(3000):
            client.request("task.wait", {"ids": [never]})
        assert client.rpc("server.ping") == "pong"
        gets = [client.request("task.get", {"id": big}) for _ in range(2)]
        for get in gets:
            assert len(client.result(get)["args"]) == 900000
        for _ in range(3):
            assert client.rpc("server.ping") == "pong"


# Memory


def pour(client, lines, other, look):
    """Send what the daemon takes; look at it while others are served."""
    client.sock.setblocking(False)
    data, idle = b"", 0
    while idle < 20:
        if not data:
            data = next(lines, b"")
            if not data:
                break
        try:
            data = data[client.sock.send(data) :]
            idle = 0
        except BlockingIOError:
            idle += 1
            assert other.rpc("server.ping") == "pong"
            look()
        except (BrokenPipeError, ConnectionResetError):
            break


def settle(other, look):
    """Wait until no more requests are taken in than these questions."""

    def total():
        look()
        return other.rpc("server.stats")["requests_total"]

    quiet, last = 0, total()
    deadline = time.monotonic() + seconds(20)
    while quiet < 10 and time.monotonic() < deadline:
        time.sleep(0.01)
        now = total()
        quiet = quiet + 1 if now == last + 1 else 0
        last = now


def refusals(client):
    """What it was told up to now: its waits are not over."""
    client.sock.setblocking(True)
    client.sock.settimeout(seconds(5))
    told = []
    with contextlib.suppress(EOFError):
        while b"\n" in client.buffer or select.select(
            [client.sock], [], [], 0.2
        )[0]:
            told.append(client.recv())
    return told


def assert_rate_limited(told):
    for answer in told:
        assert answer["error"]["code"] == -32003, answer["error"]
        assert answer["error"]["data"]["retryable"] is True


def test_open_batches_of_one_connection_are_bounded(daemons):
    """A batch's answers are kept until its last one is there."""
    daemon = daemons.start()
    with daemon.client() as other:
        never = other.submit("echo", delay_ms=HOUR_MS)
        big = other.submit("echo", "x" * 1000000, delay_ms=HOUR_MS)
        grown = Growth(daemon.broker_pid())

        def look():
            grown.assert_below(200 * MIB)

        batch = [request(0, "task.wait", {"ids": [never]})]
        batch += [request(n, "task.get", {"id": big}) for n in range(1, 61)]
        greedy = Client(daemon.socket)
        with greedy:
            pour(greedy, iter([encode(batch)] * scaled(12, 4)), other, look)
            settle(other, look)
            start = time.monotonic()
            assert other.call("echo", 1)["result"] == 1
            assert time.monotonic() - start < seconds(2)
            look()
        wait_until(
            lambda: other.rpc("server.stats")["clients"] == 1, "it is gone"
        )
        wait_until(
            lambda: other.rpc("server.stats")["waiters"] == 0,
            "its waits are gone",
        )


def test_open_waits_for_many_tasks_are_bounded(daemons):
    daemon = daemons.start()
    with daemon.client() as other:
        never = other.submit("echo", delay_ms=HOUR_MS)
        grown = Growth(daemon.broker_pid())

        def look():
            grown.assert_below(200 * MIB)

        params = {"ids": [never] * 10000}
        lines = (
            encode(request(n, "task.wait", params))
            for n in range(scaled(1000, 100))
        )
        with Client(daemon.socket) as greedy:
            pour(greedy, lines, other, look)
            settle(other, look)
            look()
            assert_rate_limited(refusals(greedy))
            start = time.monotonic()
            assert other.call("echo", 1)["result"] == 1
            assert time.monotonic() - start < seconds(2)
        wait_until(
            lambda: other.rpc("server.stats")["waiters"] == 0,
            "its waits are gone",
        )


def test_waits_for_different_tasks_are_bounded(daemons):
    daemon = daemons.start()
    with daemon.client() as other:
        many = {"tasks": [{"name": "echo", "delay_ms": HOUR_MS}] * 10000}
        ids = [row["id"] for row in other.rpc("task.submit_many", many)]
        grown = Growth(daemon.broker_pid())

        def look():
            grown.assert_below(200 * MIB)

        line = encode(request(1, "task.wait", {"ids": ids}))
        lines = itertools.repeat(line, scaled(600, 40))
        with Client(daemon.socket) as greedy:
            pour(greedy, lines, other, look)
            settle(other, look)
            look()
            assert_rate_limited(refusals(greedy))
            assert other.rpc("server.ping") == "pong"
        wait_until(
            lambda: other.rpc("server.stats")["waiters"] == 0,
            "its waits are gone",
        )


def test_tasks_that_wait_are_bounded_by_their_size(daemons):
    daemon = daemons.start(POOL, top='max_bytes = "10M"')
    with daemon.client() as client:
        taken = []
        refused = None
        while refused is None and len(taken) < 20:
            try:
                taken.append(
                    client.submit("echo", "x" * 1000000, delay_ms=HOUR_MS)
                )
            except RpcError as error:
                refused = error
        assert 8 <= len(taken) <= 11
        assert refused.code == -32010
        assert refused.data["retryable"] is True
        assert refused.message.endswith("is full (max_bytes, 10485760)")
        assert client.rpc("server.stats")["scheduled"] == len(taken)


def test_room_of_finished_tasks_is_given_back(daemons):
    """A stream of more than max_bytes goes through, a task at a time."""
    daemon = daemons.start(POOL, top='max_bytes = "3M"')
    with daemon.client() as client:
        for i in range(12):
            assert client.call("echo", "x" * 900000)["state"] == "succeeded"
        ids = [
            client.submit("echo", "x" * 900000, delay_ms=HOUR_MS)
            for _ in range(2)
        ]
        while True:
            try:
                ids.append(
                    client.submit("echo", "x" * 900000, delay_ms=HOUR_MS)
                )
            except RpcError as error:
                assert error.code == -32010
                break
            assert len(ids) < 10
        client.rpc("task.cancel", {"ids": ids})
        assert client.submit("echo", "x" * 900000, delay_ms=HOUR_MS)


def test_unknown_size_of_max_bytes_is_refused(daemons):
    daemon = daemons.make(POOL, top='max_bytes = "much"')
    daemon.spawn()
    assert daemon.process.wait(30) > 0
    assert "max_bytes" in daemon.log()


# Those who have gone


def test_clients_that_half_closed_and_left_are_forgotten(
    daemons, handlers, gate
):
    """Though what they waited for goes on; who stays gets the answer."""
    daemon = daemons.start(f'pool "default" {{ modules = {{"{handlers}"}} }}')
    with daemon.client() as client, daemon.client() as patient:
        ident = client.submit("gate", gate.args)
        client.wait_running(ident)
        answer = patient.request("task.wait", {"ids": [ident]})
        patient.half_close()
        gone = [Client(daemon.socket) for _ in range(50)]
        for each in gone:
            each.request("task.wait", {"ids": [ident]})
            each.half_close()
        wait_until(
            lambda: client.rpc("server.stats")["waiters"] == 51, "all wait"
        )
        for each in gone:
            each.close()

        def numbers():
            stats = client.rpc("server.stats")
            return stats["clients"], stats["waiters"]

        wait_until(lambda: numbers() == (2, 1), "forgotten", seconds(10))
        assert client.task(ident)["state"] == "running"
        gate.open()
        (task,) = patient.result(answer)["done"]
        assert task["state"] == "succeeded"
        assert patient.at_eof()
