# SPDX-License-Identifier: ISC
"""Clients that do not read, do not speak, or speak nonsense: 36 to 38."""

import json
import os
import random
import resource
import socket

import pytest

from ganger import Client, Growth, scaled, wait_until

MIB = 1 << 20


# Those who do not read


def flood(daemon, line):
    """Send and never read, until the daemon takes no more; bytes sent."""
    client = Client(daemon.socket)
    client.sock.setblocking(False)
    sent, idle = 0, 0
    with Client(daemon.socket) as other:
        while idle < 20 and sent < scaled(400 * MIB, 100 * MIB):
            try:
                sent += client.sock.send(line * 100)
                idle = 0
            except BlockingIOError:
                # What is taken meanwhile is all that it ever will.
                idle += 1
                assert other.rpc("server.ping") == "pong"
            except (BrokenPipeError, ConnectionResetError):
                break
    return client, sent


@pytest.mark.parametrize(
    "line",
    [
        b'{"jsonrpc":"2.0","id":1,"method":"server.ping"}\n',
        b'{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}\n',
        b"nonsense\n",
    ],
    ids=["ping", "discover", "nonsense"],
)
def test_client_that_never_reads_is_bounded(daemons, line):
    daemon = daemons.start()
    broker = daemon.broker_pid()
    grown = Growth(broker)
    client, _ = flood(daemon, line)
    with client:
        grown.assert_below(64 * MIB)
        with daemon.client() as other:
            assert other.call("echo", 1)["result"] == 1
    assert daemon.broker_pid() == broker


def test_calls_that_nobody_reads_are_bounded(daemons):
    daemon = daemons.start()
    broker = daemon.broker_pid()
    grown = Growth(broker)
    request = {"jsonrpc": "2.0", "id": 1, "method": "task.call"}
    request["params"] = {"name": "echo", "args": "x" * 2000}
    client, sent = flood(daemon, json.dumps(request).encode() + b"\n")
    with client:
        # A finished task is kept for others to look at, once.
        grown.assert_below(64 * MIB + 4 * sent)
        with daemon.client() as other:
            assert other.call("echo", 1)["result"] == 1
    assert daemon.broker_pid() == broker


# Many


def raise_descriptor_limit(wanted):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"only {hard} descriptors")
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def test_two_thousand_idle_clients_harm_nobody(daemons):
    raise_descriptor_limit(5000)
    daemon = daemons.start()
    broker = daemon.broker_pid()
    grown = Growth(broker)
    idle = []
    try:
        for _ in range(2000):
            sock = socket.socket(socket.AF_UNIX)
            idle.append(sock)
            sock.settimeout(30)
            sock.connect(str(daemon.socket))
        with daemon.client() as client:
            wait_until(
                lambda: client.rpc("server.stats")["clients"] == 2001,
                "all are accepted",
            )
            assert client.call("echo", 1)["result"] == 1
        grown.assert_below(64 * MIB)
    finally:
        for sock in idle:
            sock.close()
    wait_until(
        lambda: daemon.rpc("server.stats")["clients"] == 1, "all are gone"
    )


def test_connections_come_and_go_without_a_trace(daemons):
    daemon = daemons.start()
    broker = daemon.broker_pid()

    def descriptors():
        return len(os.listdir(f"/proc/{broker}/fd"))

    before = descriptors()
    for _ in range(scaled(1000, 100)):
        with Client(daemon.socket) as client:
            assert client.rpc("server.ping") == "pong"
    wait_until(lambda: descriptors() <= before, "descriptors are given back")


# Nonsense

GOOD = [
    b'{"jsonrpc":"2.0","id":1,"method":"task.call","params":'
    b'{"name":"echo","args":{"a":[1,2.5,"x\\u00e9"],"b":null}}}',
    b'{"jsonrpc":"2.0","id":"i","method":"task.submit","params":'
    b'{"name":"sort","args":{"count":9},"priority":3,"retries":0}}',
    b'[{"jsonrpc":"2.0","id":2,"method":"task.wait","params":'
    b'{"ids":[1],"timeout_ms":1}},{"jsonrpc":"2.0","method":"x"}]',
    b'{"jsonrpc":"2.0","id":3,"method":"task.list","params":{"limit":1}}',
]


def mutate(rng, line):
    """Damage a line in a few places; it stays one line."""
    data = bytearray(line)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data))
        kind = rng.randrange(4)
        if kind == 0:
            data[at] = rng.randrange(256)
        elif kind == 1:
            del data[at : at + rng.randint(1, 8)]
        elif kind == 2:
            data[at:at] = rng.choice(
                [b"[", b"{", b'"', b"\\", b"-", b"1e9", b"null", b"\x00", b","]
            )
        else:
            other = rng.choice(GOOD)
            data[at:at] = other[rng.randrange(len(other)) :]
        if not data:
            data = bytearray(b"x")
    return bytes(data).replace(b"\n", b" ")


def test_damaged_lines_are_answered_or_passed_over(daemons):
    daemon = daemons.start()
    pids = set(daemon.pids())
    rng = random.Random(20)
    with daemon.client() as client:
        for turn in range(scaled(100, 20)):
            lines = [mutate(rng, rng.choice(GOOD)) for _ in range(50)]
            client.send_raw(b"\n".join(lines) + b"\n")
            mark = {"jsonrpc": "2.0", "id": f"mark {turn}"}
            client.send({**mark, "method": "server.ping"})
            answer = None
            while not (
                isinstance(answer, dict) and answer["id"] == mark["id"]
            ):
                answer = client.recv()
                for each in answer if isinstance(answer, list) else [answer]:
                    assert each["jsonrpc"] == "2.0"
                    assert ("result" in each) != ("error" in each)
    with daemon.client() as client:
        assert client.call("echo", "fine")["result"] == "fine"
    assert set(daemon.pids()) == pids


def test_random_bytes_harm_nobody(daemons):
    daemon = daemons.start()
    pids = set(daemon.pids())
    rng = random.Random(21)
    for _ in range(20):
        with daemon.client() as client:
            client.send_raw(rng.randbytes(20000))
            client.half_close()
            while not client.at_eof():
                pass
    assert daemon.rpc("server.ping") == "pong"
    assert set(daemon.pids()) == pids
