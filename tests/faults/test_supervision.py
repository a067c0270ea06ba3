# SPDX-License-Identifier: ISC
"""The master in rare moments: two things at once, and mad workers."""

import os
import pathlib
import re
import shutil
import signal

import pytest

from ganger import (
    GANGERD,
    RpcError,
    children,
    is_alive,
    stop_process,
    wait_until,
)
from load import Load
from modules import STUCK, AtStart

RELOADED = "reload: the new configuration is in use"
REFUSED = "reload: .*; the old configuration stays"
UPGRADED = "upgrade: workers of the new binary follow"


def pool(processes=2, threads=2, name="default", more=""):
    return (
        f'pool "{name}" {{ processes = {processes} threads = {threads} '
        f"{more} }}\n"
    )


def with_module(module, more=""):
    return f'modules = {{"{module}"}} {more}'


@pytest.fixture
def binary(tmp_path):
    """A program of its own for the daemon, which can be replaced."""
    path = tmp_path / "gangerd"
    shutil.copy(GANGERD, path)
    return path


def answered(daemon, method, params=None):
    """Ask on a connection of its own; the connection and the request's id."""
    client = daemon.client()
    return client, client.request(method, params)


def names(daemon, pool="default"):
    return sorted(
        row["worker"] for row in daemon.workers() if row["pool"] == pool
    )


# Pools that flap


def start_flapping(daemons, processes):
    daemon = daemons.make()
    at_start = AtStart(daemon.dir, "_exit(1)")
    daemon.configure(pool(processes, more=with_module(at_start.module)))
    at_start.begin()
    daemon.start()
    wait_until(lambda: daemon.pool()["state"] == "flapping", "it flaps")
    at_start.end()
    return daemon


def test_workers_have_numbers_of_their_own_after_a_reload_of_a_dead_pool(
    daemons,
):
    daemon = start_flapping(daemons, 3)
    daemon.send_signal(signal.SIGHUP)
    daemon.wait_log(RELOADED)
    daemon.wait_workers(3)
    assert names(daemon) == ["default/1", "default/2", "default/3"]
    wait_until(lambda: daemon.pool()["state"] == "up", "it no longer flaps")


def test_restart_mends_a_pool_that_flaps(daemons):
    daemon = start_flapping(daemons, 2)
    assert daemon.rpc("pool.restart") == {"pools": ["default"]}
    daemon.wait_workers(2)
    wait_until(lambda: daemon.pool()["state"] == "up", "it no longer flaps")


# Reloads


def test_a_canary_that_dies_while_the_broker_takes_on_the_settings(daemons):
    """The broker has them by then, so the master goes on as well."""
    daemon = daemons.start(pool(), args=["-v"])
    old = daemon.wait_workers(2)
    broker = daemon.broker_pid()
    client = daemon.client()
    since = daemon.log_end()
    stop_process(broker)
    try:
        daemon.configure(pool(threads=3) + pool(name="new"))
        daemon.send_signal(signal.SIGHUP)
        daemon.wait_log("the broker takes on its part", since=since)
        canaries = daemon.wait_log(r"started worker .*, pid (\d+)", 2, since)
        for pid in map(int, canaries):
            os.kill(pid, signal.SIGKILL)
        daemon.wait_log("killed by signal 9", 2, since)
    finally:
        os.kill(broker, signal.SIGCONT)
    daemon.wait_log(f"{RELOADED}|{REFUSED}", since=since)
    assert client.rpc("server.ping") == "pong"
    daemon.wait_workers(2, pool="new")
    daemon.wait_workers(2, other_than=old, pool="default")
    assert daemon.pool()["threads"] == 3
    assert names(daemon) == ["default/1", "default/2"]
    assert names(daemon, "new") == ["new/1", "new/2"]


def test_a_reload_is_answered_though_workers_are_recycled_all_the_time(
    daemons,
):
    daemon = daemons.start(pool(more="max_tasks = 3"))
    with Load(daemon, connections=2, depth=2) as load:
        load.wait_calls(50)
        for _ in range(3):
            client, reload = answered(daemon, "server.reload")
            client.sock.settimeout(5)
            assert client.result(reload)["changed"] == []
            load.wait_calls(50)


def test_a_worker_that_is_recycled_is_no_roll_of_its_pool(daemons):
    daemon = daemons.start(pool(more="max_tasks = 3"))
    with Load(daemon) as load:
        load.wait_calls(50)
    daemon.wait_log("is to be replaced", 3)
    assert "all its workers are replaced" not in daemon.log()


def test_a_reload_that_is_asked_for_at_the_start_follows_it(daemons):
    daemon = daemons.make()
    held = AtStart(daemon.dir, STUCK)
    held.begin()
    daemon.configure(pool(1, more=with_module(held.module)))
    daemon.spawn()
    wait_until(lambda: len(children(daemon.pid)) == 2, "a worker starts")
    daemon.configure(pool(1, threads=3, more=with_module(held.module)))
    daemon.send_signal(signal.SIGHUP)
    daemon.wait_log("SIGHUP")
    held.end()
    daemon.wait_log(RELOADED)
    assert daemon.pool()["threads"] == 3


def test_a_restart_that_fails_does_not_undo_a_reload(daemons):
    """The roll of a reload is tried on, whoever wants another meanwhile."""
    daemon = daemons.make(args=["-v"])
    at_start = AtStart(daemon.dir, "_exit(1)")
    config = with_module(at_start.module)
    daemon.configure(pool(4, more=config))
    daemon.start()
    old = daemon.wait_workers(4)
    broker = daemon.broker_pid()
    client = daemon.client()
    stop_process(broker)
    try:
        daemon.configure(pool(4, threads=3, more=config))
        daemon.send_signal(signal.SIGHUP)
        daemon.wait_log("the broker takes on its part")
        at_start.begin()  # with the canary up, and no other
    finally:
        os.kill(broker, signal.SIGCONT)
    daemon.wait_log(RELOADED)
    with pytest.raises(RpcError) as caught:
        client.rpc("pool.restart")
    assert caught.value.data["retryable"] is True
    at_start.end()
    daemon.wait_workers(4, other_than=old)
    assert {row["threads"] for row in daemon.workers()} == {3}


# Upgrades


def test_a_reload_that_is_asked_for_during_an_upgrade_follows(daemons, binary):
    daemon = daemons.start(pool(), program=[binary])
    held = daemon.dir / "held"
    os.mkfifo(held)
    os.link(held, daemon.dir / "linked")
    os.rename(daemon.dir / "linked", daemon.conf)
    client, upgrade = answered(daemon, "server.upgrade")
    daemon.wait_log("upgrading to the binary")
    other, reload = answered(daemon, "server.reload")
    daemon.wait_log("another reload will follow")
    with held.open("w") as file:  # it is being read
        fresh = daemon.dir / "fresh"
        fresh.write_text(daemon.config_text(pool(threads=5), ""))
        os.rename(fresh, daemon.conf)
        file.write(daemon.config_text(pool(threads=3), ""))
    assert client.result(upgrade)["pid"] == daemon.pid
    other.sock.settimeout(10)
    assert "threads" in "".join(other.result(reload)["changed"])
    assert daemon.pool()["threads"] == 5


def test_a_restart_that_fails_after_an_upgrade_is_answered(daemons, binary):
    daemon = daemons.make(program=[binary])
    held = AtStart(daemon.dir, STUCK)
    config = pool(more=with_module(held.module, 'boot_timeout = "1500ms"'))
    daemon.configure(config)
    daemon.start()
    old = daemon.wait_workers(2)
    held.begin()
    known = {*children(daemon.pid)}
    client, restart = answered(daemon, "pool.restart")
    wait_until(lambda: {*children(daemon.pid)} - known, "a successor starts")
    daemon.send_signal(signal.SIGUSR2)
    daemon.wait_log("has taken over")
    client.sock.settimeout(10)
    with pytest.raises(RpcError) as caught:
        client.result(restart)
    assert caught.value.data["retryable"] is True
    daemon.wait_log("upgrade: .*; the old workers stay")
    assert daemon.wait_workers(2) == old
    held.end()


def test_a_worker_that_is_being_aborted_does_not_outlive_an_upgrade(
    daemons, binary
):
    daemon = daemons.make(program=[binary])
    deaf = AtStart(daemon.dir, "{ signal(SIGABRT, SIG_IGN); usleep(2000); }")
    config = with_module(deaf.module, 'boot_timeout = "1s"')
    daemon.configure(pool(1, more=config))
    daemon.start()
    old = daemon.wait_workers(1)
    deaf.begin()
    since = daemon.log_end()
    os.kill(old[0], signal.SIGKILL)
    daemon.configure(pool(1))  # whose check does not hang
    aborted = daemon.wait_log(r"pid (\d+), is aborted", since=since)
    daemon.send_signal(signal.SIGUSR2)
    daemon.wait_log("has taken over", since=since)
    if "is killed" in daemon.log()[since:]:
        pytest.skip("the upgrade took longer than the abort")
    wait_until(lambda: not is_alive(int(aborted[0])), "it is killed", 5)
    deaf.end()
    daemon.wait_log(UPGRADED)
    daemon.wait_workers(1)


def test_drained_workers_stay_away_over_an_upgrade(daemons, binary):
    daemon = daemons.start(pool(), program=[binary])
    daemon.send_signal(signal.SIGWINCH)
    wait_until(lambda: not daemon.rpc("worker.list"), "no worker is left")
    daemon.send_signal(signal.SIGUSR2)
    daemon.wait_log(UPGRADED)
    with daemon.client() as client:
        call = client.request("task.call", {"name": "echo", "args": 5})
        wait_until(
            lambda: daemon.rpc("server.stats")["ready"] == 1, "it is queued"
        )
        wait_until(lambda: not daemon.rpc("worker.list"), "no worker is left")
        assert daemon.pool()["state"] == "drained"
        daemon.send_signal(signal.SIGHUP)
        assert client.result(call)["result"] == 5
    daemon.wait_workers(2)


# Mad workers


def page_of(daemon, worker):
    """The page that a worker shares with the master, as a file."""
    maps = pathlib.Path(f"/proc/{worker}/maps").read_text()
    inode = re.search(r"(\d+)\s+/memfd:ganger-page", maps)[1]
    for fd in pathlib.Path(f"/proc/{daemon.pid}/fd").iterdir():
        if fd.exists() and str(fd.stat().st_ino) == inode:
            return fd
    raise AssertionError("the master has no such page")


PGID_AT = 88  # of the first slot; see struct page


@pytest.mark.parametrize("victim", ["broker", "worker", "master", "all"])
def test_a_page_can_not_have_others_killed(daemons, victim):
    """A number in it may be anything: the worker wrote it."""
    daemon = daemons.start(pool())
    mad, other = daemon.wait_workers(2)
    broker = daemon.broker_pid()
    number = {
        "broker": broker,
        "worker": other,
        "master": os.getpgid(daemon.pid),
        "all": 1,
    }[victim]
    with page_of(daemon, mad).open("r+b", buffering=0) as page:
        page.seek(PGID_AT)
        page.write(number.to_bytes(4, "little"))
    os.kill(mad, signal.SIGKILL)
    pids = daemon.wait_workers(2, other_than=[mad])
    assert other in pids
    assert daemon.broker_pid() == broker


AWAY = (
    "{ if (getpgrp() == getpid()) { signal(SIGABRT, SIG_IGN);"
    " if (fork() == 0) { pause(); _exit(0); }"
    " setpgid(0, getpgid(getppid())); } usleep(2000); }"
)


def test_a_worker_that_left_its_group_is_killed_all_the_same(daemons):
    daemon = daemons.make()
    away = AtStart(daemon.dir, AWAY)
    daemon.configure(
        pool(1, more=with_module(away.module, 'boot_timeout = "300ms"'))
    )
    away.begin()
    daemon.start()
    pid = int(daemon.wait_log(r"pid (\d+), is aborted")[0])
    wait_until(lambda: not is_alive(pid), "it is killed", 5)
    away.end()
