# SPDX-License-Identifier: ISC
"""What is around the daemon changes: faults 30 to 33."""

import os
import pathlib
import signal
import subprocess
import time

import pytest

from ganger import (
    GANGERD,
    Daemon,
    children,
    seconds,
    wait_until,
    zombies,
)
from wall_clock import HOUR, WallClock

# The pid file


def test_deleted_pid_file_is_written_again(daemons):
    daemon = daemons.start()
    for _ in range(2):
        daemon.pidfile.unlink()
        daemon.send_signal(signal.SIGUSR1)  # whatever makes it look
        wait_until(daemon.pidfile.exists, "it is back", seconds(20))
        wait_until(
            lambda: daemon.pidfile.read_text() == f"{daemon.pid}\n",
            "it names the master",
        )
    daemon.stop()


def test_pid_file_of_another_is_left_to_the_other(daemons):
    """Somebody put a file in its place: that is not ours to remove."""
    daemon = daemons.start()
    other = daemon.dir / "other"
    other.write_text(f"{os.getpid()}\n")
    other.rename(daemon.pidfile)
    assert daemon.rpc("server.ping") == "pong"
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    assert (
        not daemon.pidfile.exists()
        or daemon.pidfile.read_text() == f"{os.getpid()}\n"
    )


# As the first process


class FirstProcess(Daemon):
    """A gangerd that is PID 1 of a namespace of its own."""

    seen = None

    @property
    def pid(self):
        """As we see it: unshare's only child."""
        if self.seen is None:
            (self.seen,) = wait_until(
                lambda: children(self.process.pid), "it is started"
            )
        return self.seen


@pytest.fixture
def first(daemons):
    unshare = ["unshare", "--pid", "--fork", "--mount-proc"]
    try:
        probe = subprocess.run([*unshare, "true"], capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no unshare")
    if probe.returncode != 0:
        pytest.skip("no namespace may be made here")
    daemon = FirstProcess(
        """pool "default" { processes = 2
            command "orphan" { argv = {"sh", "-c",
                "(setsid sh -c 'sleep 0.05; exit 3' &) ; true"} } }""",
        program=[*unshare, GANGERD],
    )
    daemons.all.append(daemon)
    return daemon.start()


def stop_first(daemon):
    """Its death, and unshare's, are the same event."""
    os.kill(daemon.pid, signal.SIGTERM)
    assert daemon.process.wait(30) == 0, daemon.log()
    assert not daemon.socket.exists()


def test_as_pid_1_it_reaps_orphans_and_tells_nobody(first):
    pid = first.pid
    with first.client() as client:
        assert client.rpc("server.info")["pid"] == 1
        for _ in range(20):
            client.wait(client.submit("orphan", retries=0))
        mine = 3  # the broker and two workers
        wait_until(
            lambda: len(children(pid)) == mine and not zombies(pid),
            "all orphans are reaped",
        )
        assert client.call("echo", 1)["result"] == 1
        assert client.rpc("pool.list")[0]["restarts"] == 0
    assert "unknown" not in first.log()
    stop_first(first)


def test_as_pid_1_it_replaces_workers_and_stops(first):
    with first.client() as client:
        broker, *workers = children(first.pid)
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        wait_until(
            lambda: client.rpc("pool.list")[0]["alive"] == 2
            and not set(children(first.pid)) & set(workers),
            "two new workers",
        )
        assert client.call("echo", 1)["result"] == 1
    stop_first(first)


# The wall clock


@pytest.fixture
def clock(folder):
    return WallClock(folder)


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
def test_jump_of_the_wall_clock_ends_repeats_and_kills_nothing(
    daemons, handlers, gate, clock, jump
):
    daemon = daemons.start(
        f"""pool "default" {{ processes = 2 threads = 2
            heartbeat_timeout = "2s" boot_timeout = "2s"
            modules = {{"{handlers}"}} }}""",
        env=clock.env,
    )
    pids = daemon.wait_workers(2)
    with daemon.client() as client:
        running = client.submit("gate", gate.args, timeout_ms=60000)
        client.wait_running(running)
        soon = client.submit("echo", 1, delay_ms=700)
        late = client.submit("echo", 2, delay_ms=20 * 60 * 1000)
        doomed = client.submit("echo", 3, delay_ms=9_000_000, expires_ms=900)
        start = time.monotonic()
        clock.set(jump)
        assert client.call("echo", 0)["result"] == 0
        assert client.task(late)["state"] == "scheduled"
        (task,) = client.wait(soon)
        assert 0.3 < time.monotonic() - start < seconds(3)
        assert (task["state"], task["run"]) == ("succeeded", 1)
        (task,) = client.wait(doomed)
        assert task["state"] == "expired"
        assert time.monotonic() - start < seconds(3)
        assert client.task(running)["state"] == "running"
        gate.open()
        (task,) = client.wait(running)
        assert (task["state"], task["run"]) == ("succeeded", 1)
    assert daemon.wait_workers(2) == pids
    assert daemon.pool()["restarts"] == 0
    daemon.stop(limit=seconds(5))


def test_task_for_a_time_of_the_wall_clock_follows_its_jumps(daemons, clock):
    """Forward: it is due; back: it is not due again."""
    daemon = daemons.start(env=clock.env)
    with daemon.client() as client:
        at = int(time.time() * 1000) + 30 * 60 * 1000
        ident = client.submit("echo", 1, run_at=at)
        assert client.task(ident)["state"] == "scheduled"
        clock.set(HOUR)
        (task,) = client.wait(ident)
        assert (task["state"], task["run"]) == ("succeeded", 1)
        clock.set(-HOUR)
        assert client.task(ident)["state"] == "succeeded"
        other = client.submit("echo", 1, run_at=int(time.time() * 1000))
        assert client.task(other)["state"] == "scheduled"  # an hour ahead now
        clock.set(0)
        (task,) = client.wait(other)
        assert task["run"] == 1
