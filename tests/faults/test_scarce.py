# SPDX-License-Identifier: ISC
"""Processes or descriptors are used up: the daemon degrades: 27 and 28."""

import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from ganger import (
    SANITIZED,
    GANGERD,
    Client,
    fd_count,
    is_alive,
    seconds,
    wait_until,
)

FOREIGN_UID = 61357  # nobody else has processes of it


def set_limit(pid, kind, most, user):
    """Set a process's soft limit, as a user who may; returns the old one."""
    if user is None:
        old = resource.prlimit(pid, kind)
        resource.prlimit(pid, kind, (most, old[1]))
        return old[0]
    script = (
        "import resource as r, sys; p, k, n = map(int, sys.argv[1:]); "
        "old = r.prlimit(p, k); r.prlimit(p, k, (n, old[1])); print(old[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, (pid, kind, most))],
        user=user,
        group=user,
        extra_groups=[],
        stdout=subprocess.PIPE,
        check=True,
    )
    return int(done.stdout)


@contextlib.contextmanager
def limited(pid, kind, most, user=None):
    """A process's soft limit, lowered for a while."""
    old = set_limit(pid, kind, most, user)
    try:
        yield
    finally:
        if is_alive(pid):
            set_limit(pid, kind, old, user)


def restarting(daemon):
    """What says that a worker could not be started."""
    return daemon.wait_log(r"(?i)can't (start|fork|make)|cannot (start|fork)")


# No more processes


@pytest.fixture
def foreign_daemon(daemons, folder):
    """One of a user for whom RLIMIT_NPROC counts."""
    if os.getuid() != 0:
        pytest.skip("only root can be somebody else")
    program = folder / "gangerd"
    shutil.copy(GANGERD, program)
    probe = subprocess.run([program, "-V"], user=FOREIGN_UID)
    if probe.returncode != 0:
        pytest.skip("the build is hidden from others")
    daemon = daemons.make(
        'pool "default" { processes = 2 threads = 1 }',
        program=[program],
        user=FOREIGN_UID,
    )
    return daemon.start()


def no_fork(daemon):
    return limited(daemon.pid, resource.RLIMIT_NPROC, 1, FOREIGN_UID)


def test_failing_fork_is_tried_again_until_it_works(foreign_daemon):
    daemon = foreign_daemon
    pids = daemon.wait_workers(2)
    with daemon.client() as client:
        with no_fork(daemon):
            os.kill(pids[0], signal.SIGKILL)
            restarting(daemon)
            for i in range(50):  # the other one works
                assert client.call("echo", i)["result"] == i
            assert client.rpc("server.info")["pid"] == daemon.pid
            assert daemon.wait_workers(1) == [pids[1]]
        assert pids[1] in daemon.wait_workers(2)
        assert client.rpc("pool.list")[0]["alive"] == 2


@pytest.mark.skipif(SANITIZED, reason="looking for leaks takes a fork")
def test_without_any_fork_the_daemon_can_be_stopped(foreign_daemon):
    daemon = foreign_daemon
    pids = daemon.wait_workers(2)
    with no_fork(daemon):
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        restarting(daemon)
        assert daemon.rpc("server.ping") == "pong"
        daemon.stop(limit=seconds(10))


def test_broker_comes_back_once_fork_works_again(foreign_daemon):
    daemon = foreign_daemon
    broker = daemon.broker_pid()
    daemon.wait_workers(2)
    with no_fork(daemon):
        os.kill(broker, signal.SIGKILL)
        restarting(daemon)
        assert is_alive(daemon.pid)
    with Client(daemon.socket) as client:  # it waits in the backlog
        assert client.rpc("server.info")["broker_pid"] != broker
    daemon.wait_workers(2)


# No more descriptors


def test_clients_wait_while_the_broker_has_no_descriptor_left(daemons):
    daemon = daemons.start()
    broker = daemon.broker_pid()
    daemon.wait_workers(2)
    with daemon.client() as client:
        assert client.rpc("server.ping") == "pong"
        with limited(broker, resource.RLIMIT_NOFILE, fd_count(broker)):
            waiting = []
            for _ in range(5):
                other = Client(daemon.socket)
                other.request("server.ping")
                waiting.append(other)
            for i in range(50):
                assert client.call("echo", i)["result"] == i
            before = cpu_ticks(broker)
            assert client.call("sleep", {"ms": 1000})["state"] == "succeeded"
            assert cpu_ticks(broker) - before < 50, "the broker spins"
        for other in waiting:
            assert other.answer(1)["result"] == "pong"
            other.close()
    assert daemon.broker_pid() == broker


def cpu_ticks(pid):
    """Hundredths of a second that a process has computed."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_descriptors_that_become_free_are_used_at_once(daemons):
    daemon = daemons.start()
    broker = daemon.broker_pid()
    daemon.wait_workers(2)
    with daemon.client() as client, daemon.client() as other:
        assert client.rpc("server.ping") == other.rpc("server.ping") == "pong"
        with limited(broker, resource.RLIMIT_NOFILE, fd_count(broker)):
            with Client(daemon.socket) as third:
                ping = third.request("server.ping")
                other.close()
                assert third.result(ping) == "pong"
    assert daemon.broker_pid() == broker


def test_worker_is_started_once_the_master_has_descriptors_again(daemons):
    daemon = daemons.start()
    pids = daemon.wait_workers(2)
    with daemon.client() as client:
        # Fewer than are open now: none of those that the dead one frees.
        with limited(daemon.pid, resource.RLIMIT_NOFILE, 4):
            os.kill(pids[0], signal.SIGKILL)
            restarting(daemon)
            assert client.call("echo", 1)["result"] == 1
            assert daemon.wait_workers(1) == [pids[1]]
        assert pids[1] in daemon.wait_workers(2)


def test_log_is_kept_when_it_can_not_be_opened_anew(daemons):
    daemon = daemons.make()
    path = daemon.dir / "log.txt"
    daemon.args += ["-p", f"log_file={path}"]
    daemon.start()
    daemon.wait_workers(2)
    with limited(daemon.pid, resource.RLIMIT_NOFILE, 4):
        daemon.send_signal(signal.SIGUSR1)
        wait_until(
            lambda: "can't open the log file anew" in path.read_text(),
            "it says so, in the old one",
        )
    assert daemon.rpc("server.ping") == "pong"
    daemon.send_signal(signal.SIGUSR1)
    daemon.stop()
    assert "ends" in path.read_text() or "stopp" in path.read_text()


def test_upgrade_and_reload_without_descriptors_leave_all_as_it_was(daemons):
    daemon = daemons.start()
    pids = daemon.wait_workers(2)
    with daemon.client() as client:
        with limited(daemon.pid, resource.RLIMIT_NOFILE, 4):
            for method in "server.reload", "server.upgrade":
                answer = client.answer(client.request(method))
                assert "error" in answer, (method, answer)
            assert client.call("echo", 1)["result"] == 1
        wait_until(lambda: daemon.pool()["alive"] == 2, "two workers")
        assert daemon.worker_pids() == pids
        assert daemon.rpc("server.reload")["changed"] == []


def test_connecting_never_fails_for_want_of_a_descriptor(daemons):
    """What does not fit waits in the backlog instead of being refused."""
    daemon = daemons.start()
    broker = daemon.broker_pid()
    daemon.wait_workers(2)
    with limited(broker, resource.RLIMIT_NOFILE, fd_count(broker)):
        waiting = []
        for _ in range(20):
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(10)
            sock.connect(str(daemon.socket))
            waiting.append(sock)
    for sock in waiting:
        sock.sendall(b'{"jsonrpc":"2.0","id":1,"method":"server.ping"}\n')
        assert b'"pong"' in sock.recv(4096)
        sock.close()
