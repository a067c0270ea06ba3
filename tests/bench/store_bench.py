#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Measure the durable store, beside beanstalkd and Redis, in one run.

    store_bench.py [--rounds N] [--seconds S] [--queued N] [--huge N]

All store into folders of one file system and sync before they answer:
gangerd with sync = "full", `beanstalkd -b DIR -f0`, Redis with appendonly and
appendfsync always.  All are loaded by the same client over Unix sockets, one
request under way in each connection, and the same number of bytes in each
task.  Rounds of all are interleaved and the medians told, with the rate of
fdatasync alone on that file system.  A peer that is not installed is skipped.

Environment: BUILD, the folder of gangerd; BENCH_DIR, where to store (default:
/var/tmp, which should be a disk and no tmpfs).
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lib"))

from ganger import GANGERD, Client, rss_bytes  # noqa: E402

CONF = """
socket = "{dir}/s"
state_dir = "{dir}/state"
pidfile = "{dir}/pid"
sync = "full"
result_ttl = "10s"
max_queued = 100000000
pool "work" {{ processes = 1 threads = 4 queues = {{"default"}} }}
pool "rest" {{ processes = 1 threads = 1 queues = {{"idle"}} }}
"""

PAYLOAD = {"to": "somebody", "text": "x" * 60}


def wait_for(test, what, limit=60):
    deadline = time.monotonic() + limit
    while True:
        value = test()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.002)


def accepts(path):
    with contextlib.suppress(OSError):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            return True
    return False


class Server:
    """Something that is loaded through a Unix socket."""

    name = None

    def __init__(self, folder):
        self.dir = folder / self.name
        self.dir.mkdir()
        self.socket = self.dir / "s"
        self.log = open(self.dir / "log", "ab")
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            self.command(),
            cwd=self.dir,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )
        wait_for(lambda: accepts(self.socket), f"{self.name} accepts")

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Ganger(Server):
    name = "ganger"
    prefix = '{"jsonrpc":"2.0","id":1,"result":'

    def command(self):
        conf = self.dir / "ganger.conf"
        conf.write_text(CONF.format(dir=self.dir))
        return [GANGERD, "-c", conf]

    def request(self, method="task.submit", queue="idle", **more):
        params = {"name": "echo", "args": PAYLOAD, "queue": queue, **more}
        params["durable"] = True
        message = {"jsonrpc": "2.0", "id": 1, "method": method}
        message["params"] = params
        return json.dumps(message).encode() + b"\n"

    def client(self):
        return Client(self.socket, 600)


class Beanstalkd(Server):
    name = "beanstalkd"
    prefix = "INSERTED "

    def command(self):
        return ["beanstalkd", "-b", ".", "-f0", "-l", f"unix:{self.socket}"]

    def request(self):
        body = json.dumps(PAYLOAD).encode()
        return b"put 5 0 60 %d\r\n%s\r\n" % (len(body), body)


class Redis(Server):
    name = "redis"
    prefix = ":"

    def command(self):
        return [
            *("redis-server", "--port", "0", "--unixsocket", self.socket),
            *("--dir", self.dir, "--save", "", "--appendonly", "yes"),
            *("--appendfsync", "always"),
        ]

    def request(self):
        body = json.dumps(PAYLOAD).encode()
        return b"*3\r\n$5\r\nRPUSH\r\n$1\r\nq\r\n$%d\r\n%s\r\n" % (
            len(body),
            body,
        )


PEERS = {"beanstalkd": Beanstalkd, "redis-server": Redis}


def build_client(folder):
    program = folder / "lineload"
    source = ROOT / "tests" / "bench" / "lineload.c"
    subprocess.run(
        ["cc", "-O2", "-D_GNU_SOURCE", "-o", program, source], check=True
    )
    return program


def load(program, server, clients, seconds, request=None):
    done = subprocess.run(
        [program, server.socket, str(clients), str(seconds), server.prefix],
        input=request or server.request(),
        stdout=subprocess.PIPE,
        check=True,
    )
    result = json.loads(done.stdout)
    result["rate"] = result["count"] / result["seconds"]
    return result


def sync_rate(folder, seconds, size):
    """Writes of a page that are synced, per second.

    Into a file of that size, or at its end when it is empty: an append has to
    note the new size as well.
    """
    path = folder / "sync"
    page = bytes(4096)
    fd = os.open(path, os.O_CREAT | os.O_WRONLY)
    os.write(fd, bytes(size))
    os.fsync(fd)
    n = 0
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        os.pwrite(fd, page, n * len(page) % size if size else n * len(page))
        os.fdatasync(fd)
        n += 1
    rate = n / (time.monotonic() - start)
    os.close(fd)
    path.unlink()
    return {"rate": rate, "p50_us": 1e6 / rate, "p99_us": 0}


class Table:
    def __init__(self):
        self.rows = {}

    def add(self, what, result):
        self.rows.setdefault(what, []).append(result)

    def print(self):
        print(f"{'':42}{'per second':>12}{'p50 ms':>9}{'p99 ms':>9}")
        for what, results in self.rows.items():
            cells = [
                statistics.median(result[name] for result in results)
                for name in ("rate", "p50_us", "p99_us")
            ]
            rates = [result["rate"] for result in results]
            print(
                f"{what:42}{cells[0]:12.0f}{cells[1] / 1000:9.2f}"
                f"{cells[2] / 1000:9.2f}   "
                f"({min(rates):.0f} to {max(rates):.0f})"
            )


def compare(folder, program, servers, rounds, seconds):
    table = Table()
    for n in range(rounds):
        print(f"round {n + 1} of {rounds}", file=sys.stderr)
        for what, size in ("append", 0), ("overwrite", 16 << 20):
            table.add(
                f"fdatasync of 4 KiB, {what}",
                sync_rate(folder, seconds, size),
            )
        for clients in 1, 50:
            for server in servers:
                table.add(
                    f"durable submit, {clients} clients, {server.name}",
                    load(program, server, clients, seconds),
                )
        ganger = servers[0]
        request = ganger.request("task.call", "default")
        for clients in 1, 50:
            table.add(
                f"submit, run, result, {clients} clients, ganger",
                load(program, ganger, clients, seconds, request),
            )
    table.print()


def broker_of(server):
    with contextlib.suppress(OSError, EOFError):
        with server.client() as client:
            return client.rpc("server.info")["broker_pid"]
    return None


def wait_for_another(server, old):
    """Returns the new broker's pid."""

    def look():
        pid = broker_of(server)
        return pid if pid != old else None

    return wait_for(look, "another broker", 600)


def fill(server, count):
    """Queue so many tasks that nobody runs; seconds."""
    tasks = [
        {"name": "echo", "args": {"n": n}, "queue": "idle", "durable": True}
        for n in range(10_000)
    ]
    start = time.monotonic()
    with server.client() as client:
        client.rpc("queue.pause", {"queue": "idle"})
        while count > 0:
            answers = client.rpc("task.submit_many", {"tasks": tasks[:count]})
            assert all("id" in answer for answer in answers), answers[0]
            count -= len(answers)
    return time.monotonic() - start


def queued(server):
    with server.client() as client:
        rows = client.rpc("queue.list")
    return sum(row["ready"] for row in rows if row["name"] == "idle")


def measure_full(folder, program, count, seconds):
    (folder / "full").mkdir()
    server = Ganger(folder / "full")
    try:
        measure_queued(server, program, count, seconds)
    finally:
        server.stop()


def measure_queued(server, program, count, seconds):
    """With so many queued: memory, submits, and both ways to come back."""
    empty = load(program, server, 1, seconds)["rate"]
    empty_50 = load(program, server, 50, seconds)["rate"]
    took = fill(server, count)
    n = queued(server)
    broker = broker_of(server)
    print(f"\n{n} tasks queued ({count / took:.0f} per second)")
    print(f"  broker: {rss_bytes(broker) / 1e6:.0f} MB resident")
    size = sum(f.stat().st_size for f in (server.dir / "state").iterdir())
    print(f"  on disk: {size / n:.0f} bytes a task")
    for clients, was in (1, empty), (50, empty_50):
        rate = load(program, server, clients, seconds)["rate"]
        print(
            f"  durable submit, {clients} clients: {rate:.0f} per second, "
            f"{was:.0f} on the empty queue"
        )
    n = queued(server)
    start = time.monotonic()
    os.kill(broker, signal.SIGKILL)
    broker = wait_for_another(server, broker)
    print(f"  broker killed: answers again {since(start)}")
    assert queued(server) == n, "tasks were lost"
    server.process.kill()
    server.process.wait()
    start = time.monotonic()
    server.start()
    # At first, what is left of the old one may answer.
    broker = wait_for_another(server, broker)
    print(f"  daemon killed: a new one answers {since(start)}")
    assert queued(server) == n, "tasks were lost"
    print(f"  broker: {rss_bytes(broker) / 1e6:.0f} MB resident")


def since(start):
    return f"after {time.monotonic() - start:.2f} s"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--queued", type=int, default=1_000_000)
    parser.add_argument(
        "--huge", type=int, default=0, help="and once more with so many"
    )
    options = parser.parse_args()
    base = os.environ.get("BENCH_DIR", "/var/tmp")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ganger-", dir=base))
    servers = []
    try:
        program = build_client(folder)
        servers.append(Ganger(folder))
        for command, peer in PEERS.items():
            if shutil.which(command) is None:
                print(f"skipped: {command} is not installed")
                continue
            servers.append(peer(folder))
        compare(folder, program, servers, options.rounds, options.seconds)
        for count in options.queued, options.huge:
            if count > 0:
                measure_full(folder, program, count, options.seconds)
                shutil.rmtree(folder / "full")
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
