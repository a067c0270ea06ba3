# SPDX-License-Identifier: ISC
"""What a client may ask of the daemon at most, and what happens then."""

import json

import pytest

from ganger import Client, Growth, RpcError, scaled, wait_until

MIB = 1 << 20


# max_message


@pytest.fixture(scope="module")
def small(shared_daemons):
    return shared_daemons.start(top='max_message = "64K"')


def line_of(size):
    """A request of exactly so many bytes, newline excluded."""
    message = {"jsonrpc": "2.0", "id": 1, "method": "task.call"}
    message["params"] = {"name": "echo", "args": ""}
    room = size - len(json.dumps(message))
    message["params"]["args"] = "x" * room
    line = json.dumps(message)
    assert len(line) == size
    return line.encode() + b"\n"


def test_line_may_be_as_long_as_the_limit(small):
    with small.client() as client:
        client.send_raw(line_of(64 * 1024))
        answer = client.recv()
        assert len(answer["result"]["result"]) > 60000


def assert_too_large(answer):
    assert answer["id"] is None
    assert answer["error"]["code"] == -32014
    assert answer["error"]["data"]["retryable"] is False


def test_longer_line_is_an_error_and_the_connection_lives(small):
    with small.client() as client:
        for _ in range(3):
            client.send_raw(line_of(64 * 1024 + 1))
            assert_too_large(client.recv())
            assert client.rpc("server.ping") == "pong"


def test_longer_line_is_told_once_between_its_neighbours(small):
    with small.client() as client:
        client.send_raw(
            line_of(200) + b"z" * 300000 + b"\n" + line_of(200)
        )
        answers = [client.recv() for _ in range(3)]
        assert sum("result" in answer for answer in answers) == 2
        assert_too_large(*[a for a in answers if "error" in a])
        assert client.rpc("server.ping") == "pong"


def test_line_of_a_hundred_megabytes_takes_no_memory(small):
    grown = Growth(small.broker_pid())
    chunk = b"y" * MIB
    with small.client() as client:
        for _ in range(scaled(100, 20)):
            client.send_raw(chunk)
        client.send_raw(b"\n")
        assert_too_large(client.recv())
        assert client.rpc("server.ping") == "pong"
    grown.assert_below(16 * MIB)


def test_every_limit_is_told(small):
    limits = small.rpc("server.info")["limits"]
    assert limits["max_message"] == 64 * 1024


# max_clients


def test_clients_over_the_limit_are_turned_away(daemons):
    daemon = daemons.start(top="max_clients = 5")
    clients = [daemon.client()]
    wait_until(
        lambda: clients[0].rpc("server.stats")["clients"] == 1,
        "it is the only one",
    )
    clients += [daemon.client() for _ in range(4)]
    for client in clients:
        assert client.rpc("server.ping") == "pong"
    with Client(daemon.socket) as extra:
        extra.sock.settimeout(30)
        try:
            error = extra.error("server.ping")
            assert error.data["retryable"] is True
            assert extra.at_eof()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            pass
    for client in clients:
        assert client.rpc("server.ping") == "pong"
    clients.pop().close()

    def connect_again():
        with Client(daemon.socket) as again:
            try:
                return again.rpc("server.ping") == "pong"
            except (EOFError, OSError, KeyError, RpcError):
                return False

    wait_until(connect_again, "there is room for one more")
    daemon.wait_log("max_clients|too many clients|connections")


# max_queued


def test_full_queue_refuses_for_now(daemons, handlers, gate):
    daemon = daemons.start(
        f"""pool "default" {{
            processes = 1 threads = 1 modules = {{"{handlers}"}}
        }}""",
        top="max_queued = 3",
    )
    with daemon.client() as client:
        running = client.submit("gate", gate.args)
        client.wait_running(running)
        ids, error = [], None
        while error is None:
            assert len(ids) <= 3
            try:
                ids.append(client.submit("echo"))
            except RpcError as refusal:
                error = refusal
        assert error.code == -32010
        assert error.data["retryable"] is True
        assert error.message == "the daemon is full (max_queued, 3)"
        assert len(ids) >= 2
        many = client.rpc("task.submit_many", {"tasks": [{"name": "echo"}] * 2})
        assert [answer["error"]["code"] for answer in many] == [-32010] * 2
        call = client.error("task.call", {"name": "echo"})
        assert call.code == -32010
        gate.open()
        client.wait(running, *ids)
        assert client.call("echo", "room")["result"] == "room"
