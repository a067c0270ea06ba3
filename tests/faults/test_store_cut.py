# SPDX-License-Identifier: ISC
"""The store cut at each of its writes, and by the loss of power: fault 34.

GANGER_TEST_LONG=1 tries hundreds of places instead of a few.
"""

import os
import pathlib
import random
import shutil
import signal
import struct

import pytest

from ganger import LONG, Client, scaled, wait_until
from store import Faults
from trial import GONE, all_tasks, kill_all

CUTS = 300 if LONG else scaled(12, 4)


@pytest.fixture
def faults(folder):
    return Faults(folder, folder / "state")


@pytest.fixture
def seed():
    value = int(os.environ.get("GANGER_TEST_SEED", random.randrange(1 << 32)))
    print(f"GANGER_TEST_SEED={value}")
    return value


def task(number, **more):
    return {
        "name": "echo",
        "args": {"n": number, "text": "x" * (number % 7 * 300)},
        "durable": True,
        **more,
    }


def make_daemon(daemons, folder, **more):
    daemon = daemons.make(**more)
    daemon.args += ["-p", f"state_dir={folder}/state"]
    return daemon


class Writer:
    """Submits tasks one after the other, and remembers what was answered."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.n = 0
        self.answered = {}  # id: number
        self.marks = []  # (id, mark) in the order of the answers

    def submit(self, client, mark=lambda: None):
        self.n += 1
        later = {} if self.n % 3 == 0 else {"delay_ms": 3_600_000}
        ident = client.rpc("task.submit", task(self.n, **later))["id"]
        self.answered[ident] = self.n
        self.marks.append((ident, mark()))
        return ident

    def submit_until_cut(self):
        with self.daemon.client() as client:
            try:
                while True:
                    self.submit(client)
            except GONE:
                pass

    def check(self, tasks, among=None):
        """All that was answered is there, as it was submitted."""
        for ident in self.answered if among is None else among:
            assert ident in tasks, f"{ident} was answered and is lost"
            assert tasks[ident]["args"]["n"] == self.answered[ident]
        numbers = [found["args"]["n"] for found in tasks.values()]
        assert len(numbers) == len(set(numbers)), "something entered twice"


def test_broker_killed_in_the_midst_of_a_write(daemons, folder, faults, seed):
    rng = random.Random(seed)
    daemon = make_daemon(daemons, folder, env=faults.env).start()
    writer = Writer(daemon)
    for n in range(CUTS):
        count = rng.choice([1, 2, 3, *rng.choices(range(1, 300), k=5)])
        with daemon.client() as client:
            broker = client.rpc("server.info")["broker_pid"]
        faults.kill_at(count)
        writer.submit_until_cut()
        faults.end()
        # Its master would make pauses after a few; it is another one each time.
        kill_all(daemon)
        daemon.start()
        with Client(daemon.socket) as client:
            assert client.rpc("server.info")["broker_pid"] != broker
            writer.check(all_tasks(client))
    assert len(writer.answered) > CUTS


# The loss of power

OPEN, WRITE, TRUNCATE, SYNC, UNLINK, RENAME = 1, 2, 3, 4, 5, 6
HEAD = struct.Struct("=IIqQ")


class Trace:
    """The changes of a folder's files, up to some byte of the trace."""

    def __init__(self, path):
        self.data = path.read_bytes()

    def events(self, end):
        at = 0
        paths = {}
        while at + HEAD.size <= end:
            what, fd, offset, size = HEAD.unpack_from(self.data, at)
            at += HEAD.size
            body = b""
            if what not in (TRUNCATE, SYNC):
                body = self.data[at : at + size]
                at += size
            if at > end:
                return
            if what == OPEN:
                paths[fd] = body.decode()
            names = what in (UNLINK, RENAME)
            path = body.decode() if names else paths.get(fd)
            yield what, path, offset, body




def after_power_loss(trace, end, rng, into):
    """Write the files as a disk may have them then.

    What was synced is there.  Of what was written after a file's last sync,
    some is, in any order, and some is there in part.
    """
    files = {}  # path: (content that is safe, changes since)
    for what, path, offset, body in trace.events(end):
        if path is None:
            continue
        if what == RENAME:
            old, _, new = path.partition("\n")
            files[new] = files.pop(old)
            continue
        safe, changes = files.setdefault(path, (bytearray(), []))
        if what == WRITE:
            changes.append((offset, body))
        elif what == TRUNCATE:
            changes.append((offset, None))
        elif what == SYNC:
            for change in changes:
                apply(safe, *change)
            changes.clear()
        elif what == UNLINK:
            del files[path]
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(mode=0o700)
    for path, (content, changes) in files.items():
        for offset, body in changes:
            fate = rng.random()
            if body is not None and fate < 0.2:
                body = body[: rng.randrange(len(body) + 1) // 512 * 512]
            if fate < 0.7:
                apply(content, offset, body)
        (into / pathlib.Path(path).name).write_bytes(content)


def apply(content, offset, body):
    if body is None:
        del content[offset:]
        content.extend(bytes(max(0, offset - len(content))))
        return
    if len(content) < offset + len(body):
        content.extend(bytes(offset + len(body) - len(content)))
    content[offset : offset + len(body)] = body


def test_what_was_answered_survives_the_loss_of_power(
    daemons, folder, faults, seed
):
    rng = random.Random(seed)
    faults.record()
    daemon = make_daemon(daemons, folder, env=faults.env).start()
    writer = Writer(daemon)
    n = 600 if LONG else scaled(150, 50)
    with daemon.client() as client:
        for i in range(n):
            writer.submit(client, lambda: faults.trace.stat().st_size)
        # A transaction of many, and enough to fold the log back.
        for n_tasks in range(10_000, 14_000, 500):
            tasks = [
                task(n_tasks + i, delay_ms=3_600_000) for i in range(500)
            ]
            client.rpc("task.submit_many", {"tasks": tasks})
        for i in range(n):
            writer.submit(client, lambda: faults.trace.stat().st_size)
    kill_all(daemon)
    trace = Trace(faults.trace)
    assert len(trace.data) > 100_000, "nothing was recorded"
    daemon.env = {}
    for _ in range(CUTS):
        # Mostly right behind an answer, where a promise was just made.
        i = rng.randrange(len(writer.marks))
        end = writer.marks[i][1] + rng.choice([0, 0, rng.randrange(20_000)])
        after_power_loss(trace, end, rng, folder / "state")
        daemon.start()
        with Client(daemon.socket) as client:
            among = [ident for ident, mark in writer.marks if mark <= end]
            writer.check(all_tasks(client), among)
        kill_all(daemon)


def test_unsynced_commits_would_be_found_out(daemons, folder, faults, seed):
    """That nothing is lost by a loss of power means something."""
    rng = random.Random(seed)
    faults.record()
    daemon = make_daemon(
        daemons, folder, env=faults.env, top='sync = "normal"'
    )
    daemon.start()
    writer = Writer(daemon)
    with daemon.client() as client:
        for i in range(50):
            writer.submit(client, lambda: faults.trace.stat().st_size)
    kill_all(daemon)
    trace = Trace(faults.trace)
    daemon.env = {}
    after_power_loss(trace, writer.marks[-1][1], rng, folder / "state")
    daemon.start()
    with daemon.client() as client:
        tasks = all_tasks(client)
    with pytest.raises(AssertionError, match="lost"):
        writer.check(tasks)


def test_sync_follows_a_reload(daemons, folder, faults):
    faults.record()
    daemon = make_daemon(
        daemons, folder, env=faults.env, top='sync = "normal"'
    )
    daemon.start()

    def count_syncs():
        """Of the log so far, after a submit."""
        with daemon.client() as client:
            client.rpc("task.submit", task(1, delay_ms=3_600_000))
        end = faults.trace.stat().st_size
        return sum(
            what == SYNC and path is not None and path.endswith("-wal")
            for what, path, *_ in Trace(faults.trace).events(end)
        )

    before = count_syncs()
    assert count_syncs() == before
    daemon.configure(top='sync = "full"')
    daemon.rpc("server.reload")
    before = count_syncs()
    assert count_syncs() == before + 1
    daemon.stop()


def test_master_killed_while_the_store_is_made(daemons, folder, faults):
    """A first start that was cut leaves what the next one can go on with."""
    for count in range(1, 12):
        shutil.rmtree(folder / "state", ignore_errors=True)
        faults.kill_at(count)
        daemon = make_daemon(daemons, folder, env=faults.env).spawn()
        wait_until(
            lambda: daemon.process.poll() is not None
            or "killed by signal 9" in daemon.log()
            or daemon.socket.exists(),
            "it is cut",
        )
        kill_all(daemon)
        faults.end()
        daemon.start()
        ident = daemon.rpc("task.submit", task(1))["id"]
        assert ident > 0
        daemon.stop(signal.SIGQUIT)
