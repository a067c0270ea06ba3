# SPDX-License-Identifier: ISC
"""Clocks that move, tasks that are on the disk only, and other lives: 32."""

import os
import signal
import subprocess
import time

import pytest

from ganger import GANGERD, Client, scaled, seconds, wait_until
from trial import ledger_pool
from wall_clock import HOUR, WallClock

# So many that come first leave no room in memory for those behind them.
CROWD = scaled(6000, 3000)


@pytest.fixture
def clock(folder):
    return WallClock(folder)


@pytest.fixture
def daemon(daemons, clock, ledger_module):
    return daemons.start(ledger_pool(ledger_module), env=clock.env)


def durable(name="echo", args=None, **more):
    return {"name": name, "args": args, "durable": True, **more}


def submit_many(client, tasks):
    return [
        answer["id"]
        for answer in client.rpc("task.submit_many", {"tasks": tasks})
    ]


def kill_broker(daemon):
    os.kill(daemon.broker_pid(), signal.SIGKILL)


def stop(daemon):
    daemon.stop()


def leave(daemon):
    """No new life at all."""


def come_back(daemon):
    if daemon.process.poll() is not None:
        daemon.start()

    def ping():
        try:
            return daemon.rpc("server.ping")
        except (OSError, EOFError):
            return None

    wait_until(ping, "it answers")


LIVES = pytest.mark.parametrize("end", [leave, kill_broker, stop])
JUMPS = pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])


@LIVES
@JUMPS
def test_delay_is_neither_cut_short_nor_lost(daemon, clock, jump, end):
    with daemon.client() as client:
        start = time.monotonic()
        soon = client.rpc("task.submit", durable(delay_ms=2500))["id"]
        late = client.rpc("task.submit", durable(delay_ms=20 * 60_000))["id"]
        doomed = client.rpc(
            "task.submit", durable(delay_ms=HOUR * 3000, expires_ms=1500)
        )["id"]
    end(daemon)
    clock.set(jump)
    come_back(daemon)
    with daemon.client() as client:
        (task,) = client.wait(doomed)
        assert task["state"] == "expired"
        (task,) = client.wait(soon)
        took = time.monotonic() - start
        assert 2.4 < took < 2.5 + seconds(3)
        assert (task["state"], task["run"]) == ("succeeded", 1)
        assert client.task(late)["state"] == "scheduled"


@JUMPS
def test_delay_of_what_is_on_disk_only(daemon, clock, jump):
    with daemon.client() as client:
        start = time.monotonic()
        far = [durable(delay_ms=30 * 60_000)] * CROWD
        near = [durable(args=i, delay_ms=3000 + i) for i in range(1000)]
        for i in range(0, CROWD, 3000):
            submit_many(client, far[i : i + 3000])
        idents = submit_many(client, near)
        sent = time.monotonic()
        (row,) = client.rpc("queue.list")
        assert row["scheduled"] == CROWD + 1000
        clock.set(jump)
        tasks = client.wait(*idents)
        took = time.monotonic() - start
        assert took > 3.9
        assert time.monotonic() - sent < 4 + seconds(5)
        assert {task["state"] for task in tasks} == {"succeeded"}
        assert {task["run"] for task in tasks} == {1}
        (row,) = client.rpc("queue.list")
        assert (row["scheduled"], row["succeeded"]) == (CROWD, 1000)


@LIVES
def test_time_of_the_wall_clock_is_followed(daemon, clock, end):
    at = int(time.time() * 1000) + 30 * 60_000
    with daemon.client() as client:
        # The last one is far behind what is kept in memory.
        for i in range(0, CROWD, 3000):
            submit_many(client, [durable(run_at=at - 60_000)] * 3000)
        ident = client.rpc("task.submit", durable(run_at=at))["id"]
        later = client.rpc(
            "task.submit", durable(run_at=at + HOUR * 1000)
        )["id"]
        assert client.task(ident)["state"] == "scheduled"
    end(daemon)
    clock.set(HOUR)
    come_back(daemon)
    with daemon.client() as client:
        (task,) = client.wait(ident)
        assert (task["state"], task["run"]) == ("succeeded", 1)
        assert client.task(later)["state"] == "scheduled"
        (row,) = client.rpc("queue.list")
        assert row["scheduled"] == 1
        # Back again: what has run does not run again.
        clock.set(-HOUR)
        assert client.rpc("server.ping") == "pong"
        assert client.task(ident) == task


def swept(daemon, client):
    """Wait until what is over was looked for, and was deleted."""
    ident = client.rpc("task.submit", durable(result_ttl_ms=1))["id"]

    def is_gone():
        answer = client.answer(client.request("task.get", {"id": ident}))
        return answer.get("error", {}).get("code") == -32012

    wait_until(is_gone, "what is over is deleted")


@LIVES
@JUMPS
def test_retention_follows_no_jump(daemon, clock, jump, end):
    with daemon.client() as client:
        kept = client.rpc(
            "task.submit", durable(args="keep", result_ttl_ms=HOUR * 500)
        )["id"]
        failed = client.rpc("task.submit", durable("fail"))["id"]
        before = client.wait(kept, failed)
    end(daemon)
    clock.set(jump)
    come_back(daemon)
    with daemon.client() as client:
        swept(daemon, client)
        assert client.wait(kept, failed) == before


@LIVES
def test_idempotency_key_follows_no_jump(daemon, clock, end):
    with daemon.client() as client:
        ident = client.rpc("task.submit", durable(idempotency_key="i"))["id"]
        client.wait(ident)
    end(daemon)
    clock.set(23 * HOUR)
    come_back(daemon)
    with daemon.client() as client:
        swept(daemon, client)
        answer = client.rpc("task.submit", durable(idempotency_key="i"))
        assert (answer["id"], answer["duplicate"]) == (ident, True)


# Another boot of the machine: the steady clock begins anew


@pytest.fixture
def reboot(folder):
    """What lets gangerd see another boot whose clock is far behind or ahead."""
    boot_id = folder / "boot_id"
    boot_id.write_text("00000000-1111-2222-3333-444444444444\n")
    behind = 100 - int(time.monotonic())

    def program(by=behind):
        script = (
            f"mount --bind {boot_id} /proc/sys/kernel/random/boot_id && "
            'exec "$0" "$@"'
        )
        return (
            ["unshare", "--mount", "--time", f"--monotonic={by}"]
            + [f"--boottime={by}", "sh", "-c", script]
        )

    if os.getuid() != 0:
        pytest.skip("only root can make another boot")
    probe = subprocess.run([*program(), "true"], capture_output=True)
    if probe.returncode != 0:
        pytest.skip(f"no namespace of time may be made: {probe.stderr}")
    return program


@pytest.mark.parametrize("by", [None, 30 * 24 * HOUR], ids=["behind", "ahead"])
def test_delay_goes_on_in_another_boot(daemons, reboot, by):
    daemon = daemons.start()
    with daemon.client() as client:
        start = time.monotonic()
        soon = client.rpc("task.submit", durable(delay_ms=3000))["id"]
        late = client.rpc("task.submit", durable(delay_ms=20 * 60_000))["id"]
        kept = client.rpc("task.submit", durable())["id"]
        (before,) = client.wait(kept)
        run_at = client.task(late)["run_at"]
    daemon.stop()
    wrapper = reboot() if by is None else reboot(by)
    daemon.program = [*wrapper, GANGERD]
    daemon.start()
    with Client(daemon.socket) as client:
        assert client.task(late)["run_at"][:15] == run_at[:15]
        (task,) = client.wait(soon)
        assert 2.9 < time.monotonic() - start < 3 + seconds(3)
        assert (task["state"], task["run"]) == ("succeeded", 1)
        assert client.task(late)["state"] == "scheduled"
        swept(daemon, client)
        assert client.task(kept) == before


def test_time_that_the_machine_was_off_counts(daemons, clock, reboot):
    """Of an hour's delay an hour is over when it was off for an hour."""
    daemon = daemons.start(env=clock.env)
    with daemon.client() as client:
        hour = client.rpc("task.submit", durable(delay_ms=HOUR * 1000))["id"]
        later = client.rpc("task.submit", durable(delay_ms=HOUR * 2000))["id"]
    daemon.stop()
    clock.set(HOUR)
    daemon.program = [*reboot(), GANGERD]
    daemon.start()
    with Client(daemon.socket) as client:
        (task,) = client.wait(hour)
        assert task["state"] == "succeeded"
        assert client.task(later)["state"] == "scheduled"
