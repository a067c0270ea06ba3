# SPDX-License-Identifier: ISC
"""The broker and the master killed; pid file and socket: faults 18 to 35."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import pytest

from ganger import (
    GANGERD,
    Client,
    Daemon,
    is_alive,
    scaled,
    seconds,
    stop_process,
    wait_until,
)


def killed(daemon, number=signal.SIGKILL):
    """Kill the master; its folder is left as it is."""
    daemon.send_signal(number)
    daemon.process.wait()


# The broker


def reconnect(daemon, broker):
    """A client of a broker that is not this one."""

    def connect():
        try:
            client = Client(daemon.socket)
            if client.rpc("server.info")["broker_pid"] != broker:
                return client
            client.close()
        except (OSError, EOFError):
            pass
        return None

    client = wait_until(connect, "a new broker")
    daemon.clients.append(client)
    return client


def test_killed_broker_is_replaced_and_clients_can_go_on(daemons):
    daemon = daemons.start()
    broker = daemon.broker_pid()
    old = daemon.client()
    for i in range(scaled(1000, 100)):
        old.request("task.call", {"name": "echo", "args": i})
    os.kill(broker, signal.SIGKILL)
    with pytest.raises(EOFError):  # no caller is left without an answer
        while True:
            old.recv()
    client = reconnect(daemon, broker)
    for i in range(100):
        assert client.call("echo", i)["result"] == i
    daemon.wait_workers(2)
    daemon.wait_log(rf"broker.*\b{broker}\b|\b{broker}\b.*broker")


def test_connect_never_fails_while_the_broker_is_replaced(daemons):
    """The master holds the socket: clients wait in its backlog."""
    daemon = daemons.start()
    for _ in range(2):  # of more it would make a pause
        broker = daemon.broker_pid()
        os.kill(broker, signal.SIGKILL)
        with Client(daemon.socket) as client:
            try:
                assert client.rpc("server.ping") == "pong"
            except (EOFError, BrokenPipeError):
                pass  # it came to the broker that was about to die
        reconnect(daemon, broker).close()


def test_task_ids_go_on_after_a_new_broker(daemons):
    daemon = daemons.start()
    with daemon.client() as client:
        last = max(client.submit("echo") for _ in range(10))
    broker = daemon.broker_pid()
    os.kill(broker, signal.SIGKILL)
    client = reconnect(daemon, broker)
    assert client.submit("echo") > last


def test_workers_of_a_dead_broker_are_replaced(daemons, handlers, gate):
    daemon = daemons.start(f'pool "default" {{ modules = {{"{handlers}"}} }}')
    with daemon.client() as client:
        ident = client.submit("gate", gate.args)
        client.wait_running(ident)
    pids = daemon.worker_pids()
    broker = daemon.broker_pid()
    os.kill(broker, signal.SIGKILL)
    with reconnect(daemon, broker) as client:
        daemon.wait_workers(len(pids), other_than=pids)
        wait_until(lambda: not any(map(is_alive, pids)), "the old ones are gone")
        gate.open()
        (task,) = client.wait(ident)
    assert (task["run"], task["attempt"], task["recoveries"]) == (2, 1, 1)


def test_ends_of_workers_that_lose_their_broker_are_no_faults(daemons):
    """Whoever of them is reaped first."""
    count = scaled(32, 8)
    config = f'pool "default" {{ processes = {count} threads = 1 }}\n'
    daemon = daemons.start(config)
    pids = daemon.wait_workers(count)
    for turn in range(1, 4):
        os.kill(daemon.broker_pid(), signal.SIGKILL)
        daemon.wait_log("has ended with its broker", count * turn)
        daemon.client().close()
        pids = daemon.wait_workers(count, other_than=pids)
    assert not re.search(r" warn .*worker", daemon.log())


def test_stop_after_the_broker_was_killed(daemons):
    daemon = daemons.start()
    broker = daemon.broker_pid()
    os.kill(broker, signal.SIGKILL)
    daemon.send_signal(signal.SIGTERM)
    daemon.wait_exit(seconds(10))
    assert not daemon.socket.exists()
    assert not daemon.pidfile.exists()


# The master


@pytest.mark.parametrize("busy", [False, True])
def test_nothing_outlives_a_killed_master(daemons, handlers, gate, busy):
    daemon = daemons.start(
        f"""pool "default" {{ processes = 2 modules = {{"{handlers}"}}
            command "sleeper" {{ argv = {{"sh", "-c",
                "trap '' TERM; sleep 1000; :"}} }} }}"""
    )
    if busy:
        with daemon.client() as client:
            ids = [
                client.submit("deaf", gate.args, durable=False),
                client.submit("sleeper", durable=False),
                client.submit("sleep", {"seconds": 1000}, durable=False),
            ]
            client.wait_running(*ids)
    start = time.monotonic()
    killed(daemon)
    wait_until(lambda: not daemon.pids(), f"{daemon.pids()} die")
    assert time.monotonic() - start < seconds(2)
    again = daemons.start(folder=daemon.dir)
    with again.client() as client:
        assert client.call("echo", 1)["result"] == 1


def test_clients_of_a_killed_master_are_told(daemons):
    daemon = daemons.start()
    client = daemon.client()
    client.request("task.call", {"name": "sleep", "args": {"seconds": 1000}})
    killed(daemon)
    try:
        assert "error" in client.recv()
        assert client.at_eof()
    except EOFError:
        pass


def test_master_stopped_and_continued_kills_nobody(daemons):
    daemon = daemons.start()
    before = set(daemon.pids())
    daemon.send_signal(signal.SIGSTOP)
    with daemon.client() as client:
        for i in range(50):
            assert client.call("echo", i)["result"] == i
    daemon.send_signal(signal.SIGCONT)
    assert daemon.rpc("server.ping") == "pong"
    assert set(daemon.pids()) == before


# Starting again


def test_stale_socket_and_pid_file_do_not_stop_a_start(daemons):
    daemon = daemons.start()
    killed(daemon)
    wait_until(lambda: not daemon.pids(), "all are gone")
    assert daemon.socket.exists() and daemon.pidfile.exists()
    again = daemons.start(folder=daemon.dir)
    assert int(again.pidfile.read_text()) == again.pid
    assert again.rpc("server.info")["pid"] == again.pid
    again.stop()


def test_pid_file_that_names_somebody_else_does_not_stop_a_start(daemons):
    daemon = daemons.make()
    daemon.pidfile.write_text(f"{os.getpid()}\n")  # we are no gangerd
    daemon.start()
    assert int(daemon.pidfile.read_text()) == daemon.pid


@pytest.mark.parametrize("text", ["", "nonsense\n", "0\n", "-1\n", "9" * 50])
def test_pid_file_of_nonsense_does_not_stop_a_start(daemons, text):
    daemon = daemons.make()
    daemon.pidfile.write_text(text)
    daemon.start()
    assert int(daemon.pidfile.read_text()) == daemon.pid


def test_deleted_pid_file_harms_nothing(daemons):
    daemon = daemons.start()
    daemon.pidfile.unlink()
    assert daemon.rpc("server.ping") == "pong"
    daemon.stop()


def test_plain_file_in_the_sockets_place_is_not_taken_for_ours(daemons):
    """Nothing that is no socket is ever removed."""
    daemon = daemons.make()
    daemon.socket.write_text("precious")
    daemon.spawn()
    status = daemon.process.wait(30)
    assert status != 0
    assert daemon.socket.read_text() == "precious"
    assert str(daemon.socket) in daemon.log()


def test_deleted_socket_is_not_missed_by_those_who_are_connected(daemons):
    daemon = daemons.start()
    with daemon.client() as client:
        daemon.socket.unlink()
        assert client.call("echo", 1)["result"] == 1
    daemon.stop()


def test_old_daemon_does_not_remove_the_new_ones_socket(daemons):
    """Though everything that says who owns it was deleted."""
    old = daemons.start()
    with old.client() as client:
        # It would notice, and make them anew.
        stop_process(old.pid)
        for path in old.dir.glob("s*"):
            if not path.is_dir():
                path.unlink()
        new = daemons.make()
        new.args += ["-p", f"socket={old.socket}"]
        new.socket = old.socket
        new.start()
        old.send_signal(signal.SIGCONT)
        assert client.rpc("server.info")["pid"] == old.pid
        old.send_signal(signal.SIGTERM)
        assert old.wait_exit() == 0
    assert new.rpc("server.info")["pid"] == new.pid
    new.stop()


# Twice


def start_second(daemon, *overrides):
    """Run a second gangerd on the first one's configuration."""
    args = [GANGERD, "-c", daemon.conf]
    for override in overrides:
        args += ["-p", override]
    return subprocess.run(
        args,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("shared_thing", ["everything", "socket", "state_dir"])
def test_second_daemon_refuses_and_leaves_the_first_alone(
    daemons, folder, shared_thing
):
    daemon = daemons.start()
    other = {
        "everything": [],
        "socket": [f"state_dir={folder}/state", f"pidfile={folder}/pid"],
        "state_dir": [f"socket={folder}/s", f"pidfile={folder}/pid"],
    }[shared_thing]
    with daemon.client() as client:
        done = start_second(daemon, *other)
        assert done.returncode not in (0, None)
        assert done.returncode > 0, "it died of a signal"
        named = {
            "everything": str(daemon.dir),
            "socket": str(daemon.socket),
            "state_dir": f"{daemon.dir}/state",
        }[shared_thing]
        assert named in done.stderr
        assert client.call("echo", 1)["result"] == 1
        assert daemon.rpc("server.info")["pid"] == daemon.pid
        assert int(daemon.pidfile.read_text()) == daemon.pid
    assert not (folder / "s").exists()
    assert not (folder / "pid").exists()


def test_of_many_starts_at_once_one_serves(daemons):
    folder = daemons.make().dir
    starting = [Daemon(folder=folder).spawn() for _ in range(6)]
    daemons.all += starting
    wait_until(
        lambda: sum(d.process.poll() is None for d in starting) == 1,
        "all but one give up",
    )
    (left,) = [d for d in starting if d.process.poll() is None]
    assert all(d.process.returncode > 0 for d in starting if d is not left)
    left.client().close()
    assert left.rpc("server.info")["pid"] == left.pid
    left.stop()


def test_foreign_daemon_at_the_socket_is_not_disturbed(daemons, folder):
    """Also one that is no gangerd and never answers."""
    path = folder / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        daemon = daemons.make()
        daemon.args += ["-p", f"socket={path}"]
        daemon.spawn()
        assert daemon.process.wait(30) > 0
        assert str(path) in daemon.log()
        assert path.exists()


def test_pid_file_can_not_be_written(daemons):
    daemon = daemons.make()
    daemon.args += ["-p", "pidfile=/proc/no/such/pid"]
    daemon.spawn()
    assert daemon.process.wait(30) > 0
    assert "/proc/no/such" in daemon.log()
    assert not daemon.socket.exists()


def test_folders_are_made_when_missing(daemons):
    daemon = daemons.make()
    deep = pathlib.Path(daemon.dir) / "a" / "b"
    daemon.args += ["-p", f"socket={deep}/s", "-p", f"state_dir={deep}/state"]
    daemon.socket = deep / "s"
    daemon.start()
    assert daemon.rpc("server.ping") == "pong"
