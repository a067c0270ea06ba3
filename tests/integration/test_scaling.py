# SPDX-License-Identifier: ISC
"""Pools whose number of processes follows their load."""

import os
import pathlib
import re
import signal
import time

import pytest

from ganger import SANITIZED, Gate, is_alive, wait_until

SIZES = re.compile(r'pool "default": processes (\d+) -> (\d+): (.*)$', re.M)
RELOADED = "reload: the new configuration is in use"


def pool(handlers, least=1, most=8, idle="1s", more="threads = 1"):
    return (
        f'pool "default" {{ min_processes = {least} max_processes = {most} '
        f'idle_timeout = "{idle}" {more} modules = {{"{handlers}"}} }}\n'
    )


def sizes(daemon, why="the load"):
    """All sizes that the pool was given for a reason: (from, to)."""
    found = SIZES.findall(daemon.log())
    return [(int(a), int(b)) for a, b, reason in found if reason == why]


def wait_target(daemon, n):
    wait_until(
        lambda: daemon.pool()["target"] == n, f"{n} processes are wanted"
    )


def reload(daemon):
    since = daemon.log_end()
    daemon.send_signal(signal.SIGHUP)
    daemon.wait_log(RELOADED, since=since)


def behind_gates(client, gate, count, **params):
    """Tasks that wait behind a gate, one for each thread."""
    return [client.submit("gate", gate.args, **params) for _ in range(count)]


# With the load


def test_pool_grows_by_doubled_steps_and_never_over_its_most(
    daemons, handlers, gate
):
    daemon = daemons.start(pool(handlers, 1, 6, "100s"))
    daemon.wait_workers(1)
    with daemon.client() as client:
        ids = behind_gates(client, gate, 20)
        daemon.wait_workers(6)
        wait_until(lambda: daemon.pool()["busy"] == 6, "all six work")
        assert sizes(daemon) == [(1, 2), (2, 4), (4, 6)]
        # However long the others wait.
        limit = time.monotonic() + 1.3
        while time.monotonic() < limit:
            row = daemon.pool()
            assert (row["target"], row["alive"]) == (6, 6)
        gate.open()
        assert all(task["run"] == 1 for task in client.wait(*ids))


def test_pool_grows_no_more_than_there_is_work_for(daemons, handlers, gate):
    daemon = daemons.start(pool(handlers, 1, 8, "100s", "threads = 2"))
    with daemon.client() as client:
        ids = behind_gates(client, gate, 5)
        client.wait_running(*ids)
        assert daemon.pool()["target"] == 3
        gate.open()
        client.wait(*ids)


def test_pool_shrinks_one_by_one_to_its_least(daemons, handlers, gate):
    daemon = daemons.start(pool(handlers, 2, 5, "200ms"))
    assert daemon.pool()["target"] == 2  # what it starts with
    with daemon.client() as client:
        ids = behind_gates(client, gate, 5)
        client.wait_running(*ids)
        gate.open()
        client.wait(*ids)
        pids = daemon.wait_workers(5)
        daemon.wait_workers(2)
        assert sizes(daemon)[-3:] == [(5, 4), (4, 3), (3, 2)]
        assert client.call("whoami")["run"] == 1
        wait_until(lambda: sum(map(is_alive, pids)) == 2, "the others end")
        assert daemon.pool()["restarts"] == 0


def test_busy_threads_keep_their_processes(daemons, handlers, gates):
    """Long tasks with none that waits: the pool stays as large as they are."""
    daemon = daemons.start(pool(handlers, 1, 4, "200ms"))
    long, short = gates(), gates()
    with daemon.client() as client:
        ids = behind_gates(client, long, 3)
        client.wait_running(*ids)
        other = behind_gates(client, short, 1)
        client.wait_running(*other)
        assert daemon.pool()["target"] == 4
        short.open()
        wait_target(daemon, 3)
        # A reload, and whatever it resets, changes nothing of it.
        reload(daemon)
        limit = time.monotonic() + 1.6  # more than a step down takes
        while time.monotonic() < limit:
            assert daemon.pool()["target"] == 3
        assert all(client.task(i)["state"] == "running" for i in ids)
        long.open()
        assert all(task["run"] == 1 for task in client.wait(*ids))
        wait_target(daemon, 1)


def test_pool_starts_with_its_processes_in_between(daemons, handlers):
    daemon = daemons.start(pool(handlers, 1, 8, "100s", "processes = 3"))
    daemon.wait_workers(3)
    assert daemon.pool()["target"] == 3


# By hand


def test_scale_and_signals_stay_within_the_bounds(daemons, handlers):
    daemon = daemons.start(pool(handlers, 2, 4, "100s"))
    daemon.wait_workers(2)

    def scale(**params):
        return daemon.rpc("pool.scale", {"pool": "default", **params})

    assert scale(processes=100)["processes"] == 4
    daemon.wait_workers(4)
    assert scale(by=1)["processes"] == 4
    assert scale(processes=1)["processes"] == 2
    daemon.wait_workers(2)
    assert scale(by=-1)["processes"] == 2
    for number, bound in (signal.SIGTTIN, 4), (signal.SIGTTOU, 2):
        for _ in range(2):
            since = daemon.log_end()
            daemon.send_signal(number)
            daemon.wait_log("processes . -> .: SIGTT", since=since)
        daemon.wait_workers(bound)
        since = daemon.log_end()
        daemon.send_signal(number)
        daemon.send_signal(signal.SIGUSR1)
        daemon.wait_log("log opened anew", since=since)
        assert daemon.pool()["target"] == bound
        assert "processes" not in daemon.log()[since:]


def test_what_was_scaled_by_hand_follows_the_load_again(daemons, handlers):
    daemon = daemons.start(pool(handlers, 1, 3, "200ms"))
    daemon.rpc("pool.scale", {"pool": "default", "processes": 3})
    daemon.wait_workers(3)
    daemon.wait_workers(1)
    assert sizes(daemon) == [(3, 2), (2, 1)]


# A new configuration, a new broker


def grown(daemon, client, gate, count):
    """Let the pool be as large as its load, and the load be over."""
    ids = behind_gates(client, gate, count)
    client.wait_running(*ids)
    gate.open()
    client.wait(*ids)
    assert daemon.pool()["target"] == count


def test_reload_keeps_the_size_within_the_new_bounds(
    daemons, handlers, gate
):
    daemon = daemons.start(pool(handlers, 1, 8, "100s"))
    with daemon.client() as client:
        grown(daemon, client, gate, 4)
        reload(daemon)
        assert daemon.pool()["target"] == 4
        daemon.configure(pool(handlers, 6, 8, "100s"))
        reload(daemon)
        daemon.wait_workers(6)
        daemon.configure(pool(handlers, 1, 3, "100s"))
        reload(daemon)
        daemon.wait_workers(3)
        assert daemon.pool()["target"] == 3
        # It is fixed from now on, and then not any more.
        daemon.configure(
            f'pool "default" {{ processes = 2 modules = {{"{handlers}"}} }}\n'
        )
        reload(daemon)
        daemon.wait_workers(2)
        gate.path.unlink()
        ids = behind_gates(client, gate, 9)
        daemon.configure(pool(handlers, 1, 4, "100s"))
        reload(daemon)
        daemon.wait_workers(4)
        gate.open()
        client.wait(*ids)


def test_pool_goes_on_growing_while_it_is_reloaded(daemons, handlers, gate):
    daemon = daemons.start(pool(handlers, 1, 6, "100s"))
    with daemon.client() as client:
        ids = behind_gates(client, gate, 20)
        wait_until(lambda: daemon.pool()["target"] > 1, "it grows")
        reload(daemon)
        wait_target(daemon, 6)
        wait_until(lambda: daemon.pool()["busy"] >= 6, "all of them work")
        gate.open()
        assert all(task["run"] == 1 for task in client.wait(*ids))
    daemon.wait_workers(6)


def test_size_survives_the_broker_and_its_load_does_not(
    daemons, handlers, gate
):
    daemon = daemons.start(pool(handlers, 1, 4, "2s"))
    with daemon.client() as client:
        ids = behind_gates(client, gate, 9, durable=False)
        client.wait_running(*ids[:4])
    broker = daemon.broker_pid()
    old = daemon.wait_workers(4)
    os.kill(broker, signal.SIGKILL)
    daemon.wait_log("broker, pid .*killed")
    with daemon.client() as client:
        daemon.wait_workers(4, other_than=old)
        assert client.rpc("pool.list")[0]["target"] == 4
        wait_target(daemon, 1)  # nobody works any more
        daemon.wait_workers(1)
        # And it grows again, by what the new one reports.
        again = Gate(daemon.dir)
        ids = behind_gates(client, again, 3)
        client.wait_running(*ids)
        again.open()
        client.wait(*ids)


def test_size_is_kept_over_an_upgrade_and_follows_on(daemons, handlers, gate):
    daemon = daemons.start(pool(handlers, 1, 4, "300ms"))
    with daemon.client() as client:
        ids = behind_gates(client, gate, 3)
        client.wait_running(*ids)
        assert client.rpc("server.upgrade")["pid"] == daemon.pid
        limit = time.monotonic() + 1.6
        while time.monotonic() < limit:
            assert client.rpc("pool.list")[0]["target"] == 3
        gate.open()
        assert all(task["run"] == 1 for task in client.wait(*ids))
        wait_target(daemon, 1)
        gate.path.unlink()
        ids = behind_gates(client, gate, 2)
        client.wait_running(*ids)
        gate.open()
        client.wait(*ids)


# At rest


def switches(pid):
    """How often each thread of a process has been given a processor."""
    return {
        path.name: sum(
            map(
                int,
                re.findall(
                    r"ctxt_switches:\s+(\d+)", (path / "status").read_text()
                ),
            )
        )
        for path in pathlib.Path(f"/proc/{pid}/task").iterdir()
    }


@pytest.mark.skipif(SANITIZED, reason="a sanitizer has a thread of its own")
@pytest.mark.parametrize("used", [False, True])
def test_idle_daemon_does_not_wake_up(daemons, handlers, gate, used):
    daemon = daemons.start(pool(handlers, 1, 4, "200ms"))
    if used:
        with daemon.client() as client:
            grown(daemon, client, gate, 2)
        daemon.wait_workers(1)
    pids = [daemon.pid, daemon.broker_pid(), *daemon.wait_workers(1)]

    def wakeups():
        """Of each process, in two seconds: there is nothing to wait for."""
        before = {pid: switches(pid) for pid in pids}
        time.sleep(2)
        after = {pid: switches(pid) for pid in pids}
        assert [set(t) for t in before.values()] == [
            set(t) for t in after.values()
        ]
        return {
            pid: sum(after[pid].values()) - sum(before[pid].values())
            for pid in pids
        }

    # The last echo of what was before may fall into the first two seconds.
    first = wakeups()
    if any(n > 2 for n in first.values()):
        second = wakeups()
        assert all(n <= 2 for n in second.values()), (first, second)
    assert daemon.rpc("pool.list")[0]["alive"] == 1
