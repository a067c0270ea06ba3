# SPDX-License-Identifier: ISC
"""The running binary is replaced in place: same process, no call fails."""

import os
import shutil
import signal

import pytest

from ganger import (
    GANGERD,
    SANITIZED,
    Client,
    Gate,
    fd_count,
    is_alive,
    rss_bytes,
    scaled,
    wait_until,
    zombies,
)
from load import Load

POOL = 'pool "default" { processes = 2 threads = 2 }\n'
DONE = "upgrade: workers of the new binary follow"
REFUSED = "upgrade: .*; everything stays as it is"


@pytest.fixture
def binary(tmp_path):
    """A program of its own for the daemon, which can be replaced."""
    path = tmp_path / "gangerd"
    shutil.copy(GANGERD, path)
    return path


def install(binary, new=GANGERD):
    """Replace the program as an installer does, by a rename."""
    fresh = binary.with_suffix(".new")
    shutil.copy(new, fresh)
    os.rename(fresh, binary)


def upgrade(daemon, outcome=DONE):
    since = daemon.log_end()
    daemon.send_signal(signal.SIGUSR2)
    daemon.wait_log(outcome, since=since)
    return daemon.log()[since:]


def exe(pid):
    return os.readlink(f"/proc/{pid}/exe")


def test_no_call_fails_and_nothing_grows_over_many_upgrades(daemons, binary):
    daemon = daemons.start(POOL, program=[binary])
    with Load(daemon, connections=3, depth=4) as load:
        broker = daemon.broker_pid()
        pids = daemon.pid, broker
        for _ in range(2):
            upgrade(daemon)
        daemon.wait_log("all its workers are replaced", 2)
        before = {p: (fd_count(p), rss_bytes(p)) for p in pids}
        for _ in range(scaled(8, 3)):
            install(binary)
            upgrade(daemon)
            load.wait_calls(20)
        daemon.wait_log("all its workers are replaced", 2 + scaled(8, 3))
        assert daemon.broker_pid() == broker
        for pid in pids:
            wait_until(
                lambda: fd_count(pid) <= before[pid][0] + 3,
                f"{pid} has as few descriptors as before",
            )
            if not SANITIZED:
                assert rss_bytes(pid) < before[pid][1] + 2 * 1024 * 1024
    wait_until(lambda: not zombies(daemon.pid), "nothing is unreaped")
    assert exe(daemon.pid) == str(binary)


def test_every_process_runs_the_new_binary_afterwards(daemons, binary):
    daemon = daemons.start(POOL, program=[binary])
    old = daemon.worker_pids()
    install(binary)
    assert exe(daemon.pid).endswith("(deleted)")
    since = daemon.log_end()
    upgrade(daemon)
    daemon.wait_workers(2, other_than=old)
    daemon.wait_log("all its workers are replaced", since=since)
    for pid in daemon.pids():
        if pid not in old:
            assert exe(pid) == str(binary)
    assert daemon.pidfile.read_text().strip() == str(daemon.pid)
    assert daemon.process.poll() is None


def test_what_runs_and_who_waits_live_on(daemons, binary, handlers):
    daemon = daemons.start(
        'pool "default" { processes = 1 threads = 2 '
        f'modules = {{"{handlers}"}} }}\n',
        program=[binary],
    )
    gate = Gate(daemon.dir)
    client = daemon.client()
    call = client.request("task.call", {"name": "gate", "args": gate.args})
    ident = client.submit("gate", gate.args)
    wait = client.request("task.wait", {"ids": [ident]})
    later = client.request(
        "task.call", {"name": "echo", "args": 7, "delay_ms": 800}
    )
    queued = [
        client.request("task.call", {"name": "gate", "args": gate.args})
        for _ in range(3)
    ]
    wait_until(lambda: daemon.rpc("server.stats")["running"] == 2, "two run")
    stats = daemon.rpc("server.stats")
    [old] = daemon.worker_pids()
    client.send_raw(b'{"jsonrpc":"2.0","id":"cut","meth')
    client.sock.setblocking(True)
    daemon.client().rpc("server.ping")  # the broker has read the part by now
    upgrade(daemon)
    client.send_raw(b'od":"server.ping"}\n')
    assert client.result("cut") == "pong"
    assert is_alive(old)
    gate.open()
    assert client.result(call)["run"] == 1
    assert client.result(wait)["done"][0]["state"] == "succeeded"
    assert client.result(later)["result"] == 7
    for ident in queued:
        assert client.result(ident)["state"] == "succeeded"
    assert daemon.rpc("server.stats")["submitted"] == stats["submitted"]
    wait_until(lambda: not is_alive(old), "the old worker ends")


def test_a_binary_that_is_none_changes_nothing(daemons, binary):
    daemon = daemons.start(POOL, program=[binary])
    old = daemon.worker_pids()
    binary.with_suffix(".new").write_bytes(b"\x7fELF of no use")
    os.chmod(binary.with_suffix(".new"), 0o755)
    os.rename(binary.with_suffix(".new"), binary)
    with Load(daemon):
        upgrade(daemon, REFUSED)
    assert daemon.worker_pids() == old
    install(binary)
    upgrade(daemon)


def test_a_binary_that_fails_its_check_changes_nothing(daemons, binary):
    daemon = daemons.start(POOL, program=[binary])
    old = daemon.worker_pids()
    install(binary, "/bin/false")
    with Load(daemon):
        upgrade(daemon, REFUSED)
    assert daemon.worker_pids() == old


def test_a_binary_that_is_gone_changes_nothing(daemons, binary):
    daemon = daemons.start(POOL, program=[binary])
    binary.unlink()
    with daemon.client() as client:
        error = client.error("server.upgrade")
    assert "could not check" in error.message
    why = f"{binary} can't be executed: No such file or directory"
    assert error.data["mistakes"] == [why]
    assert daemon.rpc("server.ping") == "pong"


def test_a_bad_configuration_keeps_the_old_binary(daemons, binary):
    daemon = daemons.start(POOL, program=[binary])
    old = daemon.worker_pids()
    daemon.configure('pool "default" { thraeds = 1 }\n')
    log = upgrade(daemon, REFUSED)
    assert 'unknown key "thraeds"' in log
    assert daemon.worker_pids() == old


def test_a_configuration_that_changed_comes_along(daemons, binary):
    daemon = daemons.start(POOL, program=[binary])
    daemon.configure('pool "default" { processes = 3 threads = 1 }\n')
    upgrade(daemon)
    daemon.wait_workers(3)
    assert daemon.pool()["threads"] == 1


def test_a_size_that_was_scaled_is_kept(daemons, binary):
    daemon = daemons.start(program=[binary])
    old = daemon.wait_workers(2)
    daemon.rpc("pool.scale", {"pool": "default", "by": 2})
    daemon.wait_workers(4)
    upgrade(daemon)
    daemon.wait_workers(4, other_than=old)
    assert daemon.pool()["target"] == 4


def test_a_stop_after_an_upgrade_is_clean(daemons, binary):
    daemon = daemons.start(POOL, program=[binary])
    upgrade(daemon)
    daemon.stop()


@pytest.mark.parametrize("after", [0, 0.05, 0.2, 0.6])
def test_a_stop_overrides_an_upgrade(daemons, binary, after):
    daemon = daemons.start(POOL, program=[binary])
    client = daemon.client()
    call = client.request(
        "task.call", {"name": "sleep", "args": {"ms": 2000 + after * 1000}}
    )
    wait_until(lambda: client.rpc("server.stats")["running"] == 1, "it runs")
    daemon.send_signal(signal.SIGUSR2)
    client.call("sleep", {"ms": int(after * 1000)})
    daemon.send_signal(signal.SIGTERM)
    assert client.result(call)["state"] == "succeeded"
    assert daemon.wait_exit() == 0


def test_workers_that_die_right_after_are_still_replaced(daemons, binary):
    daemon = daemons.start(POOL, program=[binary])
    upgrade(daemon)
    old = daemon.wait_workers(2)
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    daemon.wait_workers(2, other_than=old)


def test_a_broker_that_dies_right_after_is_replaced(daemons, binary):
    daemon = daemons.start(POOL, program=[binary])
    since = daemon.log_end()
    broker = daemon.broker_pid()
    daemon.send_signal(signal.SIGUSR2)
    daemon.wait_log("has taken over", since=since)
    os.kill(broker, signal.SIGKILL)
    daemon.wait_log(DONE, since=since)
    assert daemon.broker_pid() != broker
    with Client(daemon.socket) as client:
        assert client.call("echo", 1)["result"] == 1


def test_locks_are_held_throughout(daemons, binary):
    daemon = daemons.start(POOL, program=[binary])
    upgrade(daemon)
    second = daemons.make(folder=daemon.dir)
    second.spawn()
    assert second.process.wait(30) == 75
    second.process = None
