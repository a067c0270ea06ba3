# SPDX-License-Identifier: ISC
"""A store that can't be written, or is not one of ours: faults 29 and 34."""

import contextlib
import errno
import os
import random
import re
import select
import shutil
import signal
import sqlite3
import subprocess

import pytest

from ganger import GANGERD, ROOT, Client, wait_until
from load import Load
from store import Disk, Faults, database, digest
from trial import Trial, kill_all, ledger_pool

FULL = -32010
STORAGE = -32016


# A disk that is full


@pytest.fixture
def disk(folder):
    disk = Disk(folder / "disk", "12m")
    yield disk
    disk.unmount()


def start_on(daemons, path, module, top='min_free = "0"', **more):
    daemon = daemons.make(ledger_pool(module), top=top, **more)
    daemon.args += ["-p", f"state_dir={path}/state"]
    return daemon.start()


def gated(daemon, name, **more):
    args = {
        "path": str(daemon.dir / "ledger"),
        "token": name,
        "gate": str(daemon.dir / f"gate-{name}"),
    }
    return {"name": "ledger", "args": args, "durable": True, **more}


def open_gate(daemon, name, word="ok"):
    (daemon.dir / f"gate-{name}").write_text(word)


def big(args="x" * 4000, **more):
    more.setdefault("delay_ms", 3_600_000)
    return {"name": "echo", "args": args, "durable": True, **more}


def submit_until_refused(client, **more):
    """Ids of big tasks that were taken, and the error of the one that wasn't."""
    idents = []
    while True:
        answer = client.answer(client.request("task.submit", big(**more)))
        if "error" in answer:
            return idents, answer["error"]
        idents.append(answer["result"]["id"])
        assert len(idents) < 100_000, "the disk never becomes full"


def refusal(client):
    """The answer to a small submit, if that is refused."""
    answer = client.answer(client.request("task.submit", big("x")))
    return answer if "error" in answer else None


def assert_refused(error, code=STORAGE):
    assert error["code"] == code, error
    assert error["data"]["retryable"] is True
    assert error["message"]


def submit_until_taken(daemon, **params):
    """The id, once the store takes something again by itself."""

    def attempt():
        with Client(daemon.socket) as client:
            answer = client.answer(client.request("task.submit", params))
        return answer.get("result", {}).get("id")

    return wait_until(attempt, "a durable task is taken again")


def store_state(daemon):
    return daemon.rpc("server.info")["store_state"]


def test_full_disk_refuses_and_loses_nothing(daemons, disk, ledger_module):
    daemon = start_on(daemons, disk.path, ledger_module)
    with Load(daemon, connections=2) as load, daemon.client() as client:
        client.submit("echo", durable=True)
        running = [
            client.rpc("task.submit", gated(daemon, name))["id"]
            for name in "ab"
        ]
        client.wait_running(*running)
        disk.fill()
        idents, error = submit_until_refused(client)
        assert_refused(error)
        assert store_state(daemon)["state"] == "failing"
        assert store_state(daemon)["why"]
        # What runs ends, but that is not told before it is kept.
        wait = client.request("task.wait", {"ids": running})
        open_gate(daemon, "a")
        open_gate(daemon, "b")
        daemon.wait_workers(2)
        load.wait_calls(50)
        answer = client.rpc("task.wait", {"ids": running, "timeout_ms": 300})
        told = [task["id"] for task in answer["done"]]
        disk.make_room()
        ends = {task["id"]: task for task in client.result(wait)["done"]}
        assert all(end["state"] == "succeeded" for end in ends.values())
        assert all(end["run"] == 1 for end in ends.values())
        submit_until_taken(daemon, **big())
        assert store_state(daemon)["state"] == "ok"
    # Full or not: what was answered is there in another life.
    kill_all(daemon)
    daemon.start()
    with daemon.client() as client:
        for ident in idents:
            assert client.task(ident)["state"] == "scheduled"
        assert client.wait(*running) == [ends[ident] for ident in running]
    assert set(told) <= set(running)


def test_full_disk_under_load_and_the_death_of_a_broker(
    daemons, disk, ledger_module
):
    """Clients are refused for a while, and every promise is kept."""
    daemon = start_on(daemons, disk.path, ledger_module)
    with Trial(daemon, 1, submitters=2) as trial:
        trial.refusals = {STORAGE}
        trial.wait_ended(50)
        for kill in False, True:
            since = trial.n_refused
            disk.fill()
            # Nothing ends any more, and still there is something to submit.
            trial.backlog *= 10
            wait_until(lambda: trial.n_refused > since, "a submit is refused")
            trial.backlog //= 10
            if kill:
                # Who can't write a store can't always read it either.
                os.kill(daemon.broker_pid(), signal.SIGKILL)
            disk.make_room()
            trial.wait_ended(100)
        trial.finish()


def test_broker_that_dies_on_a_full_disk_comes_back_with_everything(
    daemons, disk, ledger_module
):
    daemon = start_on(daemons, disk.path, ledger_module)
    with daemon.client() as client:
        running = client.rpc("task.submit", gated(daemon, "a"))["id"]
        client.wait_running(running)
        # It is kept that it runs before what comes after it is.
        disk.fill()
        idents, _ = submit_until_refused(client)
        pid = client.rpc("server.info")["broker_pid"]
    since = daemon.log_end()
    os.kill(pid, signal.SIGKILL)
    daemon.wait_log(rf"broker.*\b{pid}\b|\b{pid}\b.*broker", since=since)
    disk.make_room()
    open_gate(daemon, "a")
    with daemon.client() as client:
        for ident in idents:
            assert client.task(ident)["state"] == "scheduled"
        (task,) = client.wait(running)
        assert (task["state"], task["attempt"]) == ("succeeded", 1)


def fill_log_and_disk(client, disk):
    """Ids of tasks; the log has what the database would have to grow by."""
    idents = [
        client.rpc("task.submit", big("x" * 20000))["id"] for _ in range(50)
    ]
    disk.fill()
    return idents + submit_until_refused(client)[0]


def reserve_of(path):
    """Bytes that are kept for a start in need."""
    reserve = path / "state" / "tasks.db-reserve"
    return reserve.stat().st_blocks * 512 if reserve.exists() else 0


def test_full_disk_takes_no_more_than_the_store_at_the_death_of_a_broker(
    daemons, disk, ledger_module
):
    """All that needs no room goes on, and nothing that was answered is lost."""
    daemon = start_on(daemons, disk.path, ledger_module)
    assert reserve_of(disk.path) >= 1 << 20
    with daemon.client() as client:
        running = client.rpc("task.submit", gated(daemon, "a"))["id"]
        client.wait_running(running)
        idents = fill_log_and_disk(client, disk)
    for n in range(3):
        os.kill(daemon.broker_pid(), signal.SIGKILL)
        with daemon.client() as client:
            if n == 0:
                wait_until(
                    lambda: store_state(daemon)["state"] == "failing",
                    "it is told",
                )
                assert "full" in store_state(daemon)["why"]
                assert_refused(refusal(client)["error"])
            # What is left, somebody else takes.
            disk.fill()
            assert client.call("echo", 1)["result"] == 1
            assert client.task(running)["state"] in ("ready", "running")
            for ident in idents:
                assert client.task(ident)["state"] == "scheduled"
    disk.make_room()
    open_gate(daemon, "a")
    with daemon.client() as client:
        (task,) = client.wait(running)
        assert (task["state"], task["attempt"]) == ("succeeded", 1)
        submit_until_taken(daemon, **big())
    assert store_state(daemon)["state"] == "ok"
    wait_until(lambda: reserve_of(disk.path) >= 1 << 20, "it is there again")


def test_what_has_ended_on_a_full_disk_is_kept_at_a_stop(
    daemons, disk, ledger_module
):
    daemon = start_on(daemons, disk.path, ledger_module)
    with daemon.client() as client:
        running = client.rpc("task.submit", gated(daemon, "a"))["id"]
        client.wait_running(running)
        idents = fill_log_and_disk(client, disk)
    open_gate(daemon, "a")
    daemon.stop()
    daemon.start()
    with daemon.client() as client:
        assert client.task(running)["state"] == "succeeded"
        assert client.task(running)["run"] == 1
        for ident in idents:
            assert client.task(ident)["state"] == "scheduled"
    disk.make_room()
    submit_until_taken(daemon, **big())


def test_refusals_begin_while_there_still_is_room(daemons, disk, ledger_module):
    daemon = start_on(daemons, disk.path, ledger_module, 'min_free = "4M"')
    with daemon.client() as client:
        running = client.rpc("task.submit", gated(daemon, "a"))["id"]
        client.wait_running(running)
        assert "id" in client.rpc("task.submit", big())
        disk.fill(9 << 20)
        # It looks now and then how much is left.
        answer = wait_until(lambda: refusal(client), "a submit is refused")
        assert_refused(answer["error"])
        assert store_state(daemon)["state"] == "full"
        assert "min_free" in store_state(daemon)["why"]
        stat = os.statvfs(disk.path)
        assert stat.f_bavail * stat.f_frsize > 1 << 20
        # Nothing fails: ends are kept, and volatile tasks run.
        open_gate(daemon, "a")
        assert client.wait(running)[0]["state"] == "succeeded"
        assert client.call("echo", 1)["result"] == 1
        disk.remount("size=40m")
        submit_until_taken(daemon, **big())
        daemon.wait_log("the store has room again")
    assert store_state(daemon)["state"] == "ok"
    assert daemon.log().count("nearly full") == 1


def test_store_may_become_so_big(daemons, folder, ledger_module):
    daemon = start_on(daemons, folder, ledger_module, 'max_store = "2M"')
    with daemon.client() as client:
        idents, error = submit_until_refused(client)
        assert_refused(error, FULL)
        assert store_state(daemon)["state"] == "full"
        assert "max_store" in store_state(daemon)["why"]
        assert daemon.log().count("the store is full") == 1
        assert 1 << 20 < client.rpc("server.stats")["store_bytes"] < 4 << 20
        assert client.call("echo", 1)["result"] == 1
        # What ends and is deleted makes room.
        client.rpc("task.cancel", {"ids": idents})
        client.rpc("task.delete", {"ids": idents})
    submit_until_taken(daemon, **big())
    assert store_state(daemon)["state"] == "ok"


def test_whoever_wants_it_waits_for_room(daemons, folder, ledger_module):
    top = 'max_store = "2M" when_full = "hold"'
    daemon = start_on(daemons, folder, ledger_module, top)
    with daemon.client() as client, daemon.client() as other:
        idents = []
        while True:
            held = client.request("task.submit", big())
            if not select.select([client.sock], [], [], 1)[0]:
                break
            idents.append(client.result(held)["id"])
            assert len(idents) < 10_000, "nothing is held back"
        assert other.rpc("server.stats")["store_bytes"] > 1 << 20
        assert other.call("echo", 1)["result"] == 1
        other.rpc("task.cancel", {"ids": idents})
        other.rpc("task.delete", {"ids": idents})
        assert client.result(held)["id"] > max(idents)


# A disk that fails


@pytest.fixture
def faults(folder):
    return Faults(folder, folder / "state")


@pytest.mark.parametrize(
    "number", [errno.EIO, errno.EROFS, errno.ENOSPC], ids=errno.errorcode.get
)
def test_store_that_can_not_be_written_recovers_by_itself(
    daemons, folder, faults, ledger_module, number
):
    daemon = start_on(daemons, folder, ledger_module, env=faults.env)
    with Load(daemon, connections=1), daemon.client() as client:
        kept = client.rpc("task.submit", gated(daemon, "kept"))["id"]
        client.wait_running(kept)
        waiting = client.rpc("task.submit", big())["id"]
        faults.fail(number)
        answer = client.answer(client.request("task.submit", big()))
        assert_refused(answer["error"])
        assert store_state(daemon)["state"] == "failing"
        assert os.strerror(number) in store_state(daemon)["why"]
        # Changes of what is kept are answered, or refused as well.
        cancel = client.answer(
            client.request("task.cancel", {"ids": [waiting]})
        )
        open_gate(daemon, "kept")
        wait = client.request("task.wait", {"ids": [kept]})
        faults.end()
        (task,) = client.result(wait)["done"]
        assert (task["state"], task["run"]) == ("succeeded", 1)
        ident = submit_until_taken(daemon, **big())
        wait_until(lambda: store_state(daemon)["state"] == "ok", "it is well")
    os.kill(daemon.broker_pid(), signal.SIGKILL)
    with contextlib.suppress(EOFError, OSError):
        daemon.rpc("server.ping")
    with daemon.client() as client:
        assert client.task(kept) == task
        assert client.task(ident)["state"] == "scheduled"
        if "result" in cancel:
            assert client.task(waiting)["state"] == "cancelled"
        else:
            assert_refused(cancel["error"])
    n = len(daemon.log().splitlines())
    assert n < 200, "it says so over and over"


@pytest.mark.parametrize("fails", [False, True])
def test_end_that_is_not_kept_is_told_nowhere(
    daemons, folder, faults, ledger_module, fails
):
    daemon = start_on(daemons, folder, ledger_module, env=faults.env)
    with daemon.client() as client:
        ident = client.rpc("task.submit", gated(daemon, "a", retries=0))["id"]
        client.wait_running(ident)
        faults.fail(errno.EIO)
        assert_refused(refusal(client)["error"])
        open_gate(daemon, "a", "fail" if fails else "ok")

        def has_ended():
            stats = client.rpc("server.stats")
            return stats["failed" if fails else "succeeded"] == 1

        wait_until(has_ended, "it has ended")
        now = client.task(ident)
        assert now["state"] == "running"
        assert now["attempt"] == now["run"] == 1
        assert not {"result", "error", "finished_at"} & now.keys()
        for state, seen in ("running", [now]), ("succeeded", []):
            answer = client.rpc("task.list", {"state": state})
            assert answer["tasks"] == seen
        assert client.rpc(
            "task.wait", {"ids": [ident], "timeout_ms": 0}
        ) == {"done": [], "pending": [ident]}
        for method in "task.delete", "task.retry", "task.cancel":
            answer = client.answer(client.request(method, {"ids": [ident]}))
            assert "not kept" in answer["error"]["message"]
            assert answer["error"]["data"]["retryable"] is True
        faults.end()
        (task,) = client.wait(ident)
        assert task["state"] == ("failed" if fails else "succeeded")
        assert task["attempt"] == 1
        assert client.task(ident) == task


def test_read_only_state_is_said_at_the_start(daemons, disk, ledger_module):
    daemon = start_on(daemons, disk.path, ledger_module)
    daemon.rpc("task.submit", big())
    daemon.stop()
    disk.remount("ro")
    before = digest(disk.path / "state" / "tasks.db")
    daemon.spawn()
    assert daemon.process.wait(30) > 0
    assert f"{disk.path}/state" in daemon.log()
    assert "ead-only" in daemon.log()
    disk.remount("rw")
    assert digest(disk.path / "state" / "tasks.db") == before
    daemon.start()
    assert daemon.rpc("queue.list")[0]["scheduled"] == 1


def test_what_fails_is_told_in_its_own_words(daemons, ledger_module):
    """The database is at fault here, and no system call."""
    daemon = daemons.start(ledger_pool(ledger_module))
    daemon.rpc("task.submit", big("x" * 100_000))
    with contextlib.closing(sqlite3.connect(database(daemon))) as db:
        db.execute("ALTER TABLE payload RENAME TO elsewhere")
        with daemon.client() as client:
            request = client.request("task.submit", big("x" * 100_000))
            assert_refused(client.answer(request)["error"])
        assert store_state(daemon)["why"] == "no such table: payload"
        db.execute("ALTER TABLE elsewhere RENAME TO payload")
    submit_until_taken(daemon, **big("x" * 100_000))


# Files that go away


@pytest.mark.parametrize("replaced", [False, True])
def test_nothing_is_promised_on_a_database_that_was_deleted(
    daemons, ledger_module, replaced
):
    """It would be gone with the last process that has the file open."""
    daemon = daemons.start(ledger_pool(ledger_module))
    with daemon.client() as client:
        ident = client.rpc("task.submit", big())["id"]
        path = database(daemon)
        path.rename(f"{path}.old")
        if replaced:
            path.write_bytes(b"")
        answer = client.answer(client.request("task.submit", big()))
        assert_refused(answer["error"])
        assert "deleted" in answer["error"]["message"]
        assert store_state(daemon)["state"] == "failing"
        assert client.call("echo", 1)["result"] == 1
        # Put back in time, it is as if nothing had been.
        path.with_name("tasks.db.old").rename(path)
        submit_until_taken(daemon, **big())
    daemon.stop()
    daemon.start()
    assert daemon.rpc("task.get", {"id": ident})["state"] == "scheduled"


def change_until_refused(client):
    """Let the log grow, but not what is in it."""
    for _ in range(100_000):
        answer = client.answer(client.request("task.submit", big()))
        if "error" in answer:
            return answer["error"]
        params = {"ids": [answer["result"]["id"]]}
        for method in "task.cancel", "task.delete":
            client.answer(client.request(method, params))
    raise AssertionError("the disk never becomes full")


def test_a_reader_may_fill_the_disk_but_not_for_ever(
    daemons, disk, ledger_module
):
    """Nobody has to make room: what it has held up is used again."""
    daemon = start_on(daemons, disk.path, ledger_module)
    path = disk.path / "state" / "tasks.db"
    with daemon.client() as client:
        idents = [client.rpc("task.submit", big())["id"] for _ in range(200)]
        client.rpc("task.cancel", {"ids": idents})
        client.rpc("task.delete", {"ids": idents})
    # The database is as large as it has to be.
    daemon.stop()
    daemon.start()
    with daemon.client() as client, contextlib.closing(
        sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    ) as db:
        kept = client.rpc("task.submit", big())["id"]
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM tasks").fetchone()
        assert_refused(change_until_refused(client))
        db.execute("COMMIT")
        submit_until_taken(daemon, **big())
        assert client.task(kept)["state"] == "scheduled"


# A file that is none of ours


def filled(daemons, module):
    """A daemon that was stopped, with some tasks in its store."""
    daemon = daemons.start(ledger_pool(module))
    with daemon.client() as client:
        for i in range(200):
            client.rpc("task.submit", big())
    daemon.stop()
    return daemon


def refuses(daemon, *words):
    """It does not start and says why; no file is changed."""
    folder = database(daemon).parent
    (folder / "tasks.db-lock").unlink(missing_ok=True)
    before = {path.name: digest(path) for path in folder.iterdir()}
    since = daemon.log_end()
    daemon.spawn()
    status = daemon.process.wait(30)
    text = daemon.log()[since:]
    assert status > 0, f"exit status {status}: {text}"
    assert str(database(daemon)) in text
    assert any(word in text for word in words), text
    after = {path.name: digest(path) for path in folder.iterdir()}
    # SQLite makes files beside it when it looks; a log with nothing in it.
    assert not after.get("tasks.db-wal") or "tasks.db-wal" in before or (
        (folder / "tasks.db-wal").stat().st_size == 0
    )
    assert {name: after.get(name) for name in before} == before
    assert not daemon.socket.exists()
    assert not daemon.pids()


def test_garbage_is_refused(daemons, ledger_module):
    daemon = filled(daemons, ledger_module)
    database(daemon).write_bytes(b"these are not the tasks" * 1000)
    refuses(daemon, "not a database", "no database")


def test_half_a_database_is_refused(daemons, ledger_module):
    daemon = filled(daemons, ledger_module)
    path = database(daemon)
    os.truncate(path, path.stat().st_size // 2)
    refuses(daemon, "corrupt", "malformed")


def test_log_without_its_database_is_refused(daemons, ledger_module):
    """Else SQLite would take it for a part of a new one."""
    daemon = filled(daemons, ledger_module)
    daemon.start()
    daemon.rpc("task.submit", big())
    kill_all(daemon)
    log = database(daemon).with_name(f"{database(daemon).name}-wal")
    assert log.stat().st_size > 0
    database(daemon).unlink()
    daemon.socket.unlink()
    refuses(daemon, "-wal")


@pytest.mark.parametrize("part", [0.2, 0.5, 0.8])
def test_damaged_pages_are_never_taken_for_an_empty_store(
    daemons, ledger_module, part
):
    """Refused, or started with all tasks but those that it names as damaged."""
    daemon = filled(daemons, ledger_module)
    path = database(daemon)
    content = bytearray(path.read_bytes())
    page = int(len(content) * part) // 4096 * 4096
    content[page : page + 4096] = bytes(4096)
    path.write_bytes(content)
    daemon.spawn()
    try:
        daemon.client().close()
    except AssertionError:
        assert "corrupt" in daemon.log() or "malformed" in daemon.log()
        assert path.read_bytes() == content
        return

    def is_accounted_for():
        damaged = set(re.findall(r"row of task (\d+) makes no", daemon.log()))
        there = daemon.rpc("queue.list")[0]["scheduled"]
        return there + len(damaged) == 200 and len(damaged) < 100

    wait_until(is_accounted_for, "each task is there, or is named")


def damage_a_page_of_rows(path, mark):
    """Random bytes in the place of a page that has rows of tasks."""
    content = bytearray(path.read_bytes())
    leaves = [
        at
        for at in range(4096, len(content), 4096)
        if content[at] == 13 and mark in content[at : at + 4096]
    ]
    assert len(leaves) > 10
    at = leaves[len(leaves) // 2]
    content[at : at + 4096] = random.Random(1).randbytes(4096)
    path.write_bytes(content)


@pytest.mark.parametrize("state", ["ready", "scheduled"])
def test_damaged_page_is_told_once_and_nothing_is_promised(daemons, state):
    daemon = daemons.start('pool "default" { processes = 1 threads = 4 }')
    task = {"name": "echo", "args": "z" * 300}
    with daemon.client() as client:
        client.rpc("queue.pause", {"queue": "default"})
        if state == "scheduled":
            task["delay_ms"] = 1500
        client.rpc("task.submit_many", {"tasks": [task] * 300})
    daemon.stop()
    path = database(daemon)
    whole = path.read_bytes()
    damage_a_page_of_rows(path, b"z" * 300)
    since = daemon.log_end()
    daemon.start()
    daemon.rpc("queue.resume", {"queue": "default"})
    wait_until(
        lambda: store_state(daemon)["state"] == "failing", "it is found"
    )
    why = store_state(daemon)["why"]
    assert "damaged" in why and "ganger-store(5)" in why
    with daemon.client() as client:
        answer = client.answer(client.request("task.submit", big()))
        assert_refused(answer["error"])
        assert "damaged" in answer["error"]["message"]
        # What is kept in memory alone is not held up by it.
        assert client.call("echo", 1)["result"] == 1
        # It is tried again meanwhile.
        client.call("sleep", {"ms": 1000})
    text = daemon.log()[since:]
    assert f"{path}: the database is damaged" in text
    assert text.count("can't be brought") == 1
    assert os.strerror(errno.EUCLEAN) not in text
    daemon.stop()
    path.write_bytes(whole)
    run_all(daemon, 300)


def run_all(daemon, n):
    daemon.start()
    daemon.rpc("queue.resume", {"queue": "default"})
    wait_until(
        lambda: daemon.rpc("server.stats")["succeeded"] == n, "all are run"
    )


def recipe():
    """How a database is mended, as its page says."""
    page = (ROOT / "etc" / "man" / "ganger-store.5").read_text()
    (text,) = re.findall(r"(?ms)^\(echo .*?(?=^\.Ed)", page)
    return text


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="no sqlite3")
def test_damaged_database_is_mended_as_its_page_says(daemons):
    daemon = daemons.start('pool "default" { processes = 1 threads = 4 }')
    daemon.rpc("queue.pause", {"queue": "default"})
    task = {"name": "echo", "args": "z" * 300}
    daemon.rpc("task.submit_many", {"tasks": [task] * 300})
    daemon.stop()
    path = database(daemon)
    damage_a_page_of_rows(path, b"z" * 300)
    done = subprocess.run(
        recipe(),
        shell=True,
        cwd=path.parent,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "ok\n", done.stderr
    path.with_name("mended.db").replace(path)
    with contextlib.closing(sqlite3.connect(path)) as db:
        (n,) = db.execute("SELECT count(*) FROM task").fetchone()
    assert 250 < n < 300
    run_all(daemon, n)
    assert store_state(daemon)["state"] == "ok"
    daemon.rpc("task.submit", big())


def start_damaged(daemons, top="", keys=None):
    """A daemon with 300 tasks of another pool's queue, some unreadable."""
    daemon = daemons.start(
        'pool "default" { processes = 1 threads = 4 }\n'
        'pool "two" { processes = 1 queues = {"other"} }',
        top=f'graceful_timeout = "1m"\n{top}',
    )
    task = {"name": "echo", "queue": "other", "args": "z" * 300}
    tasks = [task] * 300
    if keys:
        tasks = [{**task, "key": keys[i % len(keys)]} for i in range(300)]
    with daemon.client() as client:
        client.rpc("queue.pause", {"queue": "other"})
        client.rpc("task.submit_many", {"tasks": tasks})
    daemon.stop()
    damage_a_page_of_rows(database(daemon), b"z" * 300)
    daemon.start()
    daemon.rpc("queue.resume", {"queue": "other"})
    wait_until(
        lambda: store_state(daemon)["state"] == "failing", "it is found"
    )
    return daemon


def test_stop_does_not_wait_for_what_can_not_be_read(daemons):
    daemon = start_damaged(daemons, 'drain = "all"')
    daemon.stop()
    assert "over graceful_timeout" not in daemon.log()


def test_stop_does_not_wait_for_a_key_that_can_not_be_passed_on(daemons):
    keys = ["k0", "k1"]
    daemon = start_damaged(daemons, keys=keys)
    for key in keys:
        task = {"name": "echo", "key": key, "durable": False}
        daemon.rpc("task.submit", task)
    daemon.stop()
    assert "over graceful_timeout" not in daemon.log()


def test_pool_leaves_though_some_of_its_tasks_can_not_be_read(daemons):
    daemon = start_damaged(daemons)
    daemon.configure('pool "default" { processes = 1 threads = 4 }')
    daemon.rpc("server.reload")
    wait_until(lambda: len(daemon.rpc("pool.list")) == 1, "it has left")


def test_queue_goes_on_after_one_that_was_purged_on_a_bad_disk(
    daemons, folder, faults
):
    """What was put off for those that are gone is not for those that come."""
    daemon = daemons.make(top='min_free = "0"', env=faults.env)
    daemon.args += ["-p", f"state_dir={folder}/state"]
    daemon.start()
    task = {"name": "echo", "args": 1, "durable": True}
    many = {"tasks": [task] * 1000}
    queue = {"queue": "default"}
    with daemon.client() as client:
        client.rpc("queue.pause", queue)
        ident = client.rpc("task.submit", task)["id"]
        client.rpc("task.cancel", {"ids": [ident]})
        for _ in range(5):
            client.rpc("task.submit_many", many)
        faults.fail(errno.EIO)
        client.answer(client.request("task.retry", {"ids": [ident]}))
        client.answer(client.request("queue.resume", queue))
        # What the store is asked behind it is answered behind it.
        client.rpc("task.list")
        client.answer(client.request("queue.purge", queue))
        client.answer(client.request("task.cancel", {"ids": [ident]}))
        faults.end()
        wait_until(lambda: store_state(daemon)["state"] == "ok", "it is well")
        client.rpc("queue.pause", queue)
        for _ in range(5):
            client.rpc("task.submit_many", many)
        client.rpc("queue.resume", queue)
        wait_until(
            lambda: client.rpc("queue.list")[0]["ready"] == 0, "all are run"
        )


def test_database_of_somebody_else_is_refused(daemons, ledger_module):
    daemon = filled(daemons, ledger_module)
    path = database(daemon)
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE precious (x)")
        db.execute("INSERT INTO precious VALUES (1)")
        db.commit()
    refuses(daemon, "not ", "another", "foreign")


def test_database_of_a_newer_version_is_refused(daemons, ledger_module):
    daemon = filled(daemons, ledger_module)
    with contextlib.closing(sqlite3.connect(database(daemon))) as db:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        assert version > 0
        db.execute(f"PRAGMA user_version = {version + 1}")
        db.commit()
    refuses(daemon, "newer", "later")


def test_something_else_in_the_databases_place_is_refused(
    daemons, ledger_module
):
    daemon = filled(daemons, ledger_module)
    database(daemon).unlink()
    database(daemon).mkdir()
    daemon.spawn()
    assert daemon.process.wait(30) > 0
    assert str(database(daemon)) in daemon.log()


@pytest.mark.skipif(os.getuid() != 0, reason="needs to be somebody else")
def test_database_that_may_not_be_written_is_refused(daemons, ledger_module):
    daemon = filled(daemons, ledger_module)
    # Of root's, for a daemon that is not.
    subprocess.run(["chmod", "600", database(daemon)], check=True)
    for path in (daemon.dir, daemon.dir / "state"):
        os.chown(path, 61357, 61357)
    done = subprocess.run(
        [GANGERD, "-c", daemon.conf],
        user=61357,
        group=61357,
        extra_groups=[],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    if "ermission denied" in done.stderr and str(GANGERD) in done.stderr:
        pytest.skip("the build is hidden from others")
    assert done.returncode > 0
    assert str(database(daemon)) in done.stderr
    assert "ermission" in done.stderr


def test_empty_file_is_made_a_store(daemons, ledger_module):
    """As of a start that was cut before anything was in it."""
    daemon = daemons.make(ledger_pool(ledger_module))
    database(daemon).parent.mkdir(mode=0o700)
    database(daemon).touch()
    daemon.start()
    ident = daemon.rpc("task.submit", big())["id"]
    assert daemon.rpc("task.get", {"id": ident})["state"] == "scheduled"


def test_people_can_read_it_while_the_daemon_runs(daemons, ledger_module):
    daemon = daemons.start(ledger_pool(ledger_module))
    ident = daemon.rpc("task.submit", big("read me", priority=7))["id"]
    uri = f"file:{database(daemon)}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as db:
        db.row_factory = sqlite3.Row
        (row,) = db.execute("SELECT * FROM tasks WHERE id = ?", (ident,))
        assert row["name"] == "echo"
        assert row["state"] == "scheduled"
        assert row["priority"] == 7
        assert "read me" in row["args"]
