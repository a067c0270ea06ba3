# SPDX-License-Identifier: ISC
"""Pid file and socket deleted while the daemon runs: faults 30 and 33."""

import os
import re
import signal

from ganger import Client, stop_process, wait_until


def pid_in(path):
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return None


def reachable(daemon):
    try:
        with Client(daemon.socket) as client:
            return client.rpc("server.ping") == "pong"
    except (FileNotFoundError, ConnectionRefusedError):
        return False


def test_deleted_pid_file_is_made_anew(daemons):
    daemon = daemons.start()
    daemon.pidfile.unlink()
    wait_until(lambda: pid_in(daemon.pidfile) == daemon.pid, "a pid file")
    # And locks: a second one is refused, and told by whom.
    second = daemons.make(folder=daemon.dir)
    second.spawn()
    assert second.process.wait() == 75
    daemon.wait_log(rf"in use by another gangerd, pid {daemon.pid}\b")
    second.process = None
    daemon.stop()


def test_overwritten_pid_file_is_ours_to_remove(daemons):
    """Replaced by a file of the same name, as an editor does."""
    daemon = daemons.start()
    other = daemon.dir / "other"
    other.write_text("1\n")
    other.rename(daemon.pidfile)
    wait_until(lambda: pid_in(daemon.pidfile) == daemon.pid, "a pid file")
    daemon.stop()


def test_stale_pid_file_of_a_living_process_is_no_hindrance(daemons):
    """The number was given to somebody else since: us."""
    daemon = daemons.make()
    daemon.pidfile.write_text(f"{os.getpid()}\n")
    daemon.start()
    assert pid_in(daemon.pidfile) == daemon.pid
    daemon.stop()


def test_link_in_place_of_the_pid_file_is_not_followed(daemons):
    daemon = daemons.make()
    victim = daemon.dir / "victim"
    victim.write_text("precious")
    daemon.pidfile.symlink_to(victim)
    daemon.spawn()
    assert daemon.process.wait() == 73
    assert daemon.log().count(str(daemon.pidfile)) == 1
    assert re.search("pidfile .*: it is a symbolic link", daemon.log())
    assert victim.read_text() == "precious"


def test_deleted_socket_is_made_anew_and_clients_keep_their_connections(
    daemons,
):
    daemon = daemons.start()
    with daemon.client() as client:
        daemon.socket.unlink()
        wait_until(lambda: reachable(daemon), "the socket is back")
        assert client.call("echo", 1)["result"] == 1
        with daemon.client() as other:
            assert other.call("echo", 2)["result"] == 2
            assert other.rpc("server.info")["pid"] == daemon.pid
    daemon.stop()


def test_deleted_socket_and_lock_are_made_anew(daemons):
    daemon = daemons.start()
    mode = daemon.socket.stat().st_mode
    for path in daemon.dir.glob("s*"):
        if not path.is_dir():
            path.unlink()
    wait_until(lambda: reachable(daemon), "the socket is back")
    assert daemon.socket.stat().st_mode == mode
    wait_until((daemon.dir / "s.lock").exists, "the lock is back")
    daemon.stop()


def test_new_socket_survives_a_broker(daemons):
    """It is the one that the next broker is given."""
    daemon = daemons.start()
    daemon.socket.unlink()
    wait_until(lambda: reachable(daemon), "the socket is back")
    broker = daemon.broker_pid()
    os.kill(broker, signal.SIGKILL)

    def other_broker():
        try:
            return daemon.broker_pid() != broker
        except (EOFError, OSError):
            return False

    wait_until(other_broker, "another broker")
    daemon.stop()


def test_old_daemon_lives_on_beside_the_new_one_and_takes_over(daemons):
    old = daemons.start()
    stop_process(old.pid)
    for path in old.dir.glob("s*"):
        if not path.is_dir():
            path.unlink()
    new = daemons.make()
    new.args += ["-p", f"socket={old.socket}"]
    new.socket = old.socket
    new.start()
    old.send_signal(signal.SIGCONT)
    old.wait_log("another gangerd has taken its place")
    assert new.rpc("server.info")["pid"] == new.pid
    new.send_signal(signal.SIGTERM)
    assert new.wait_exit() == 0
    wait_until(lambda: reachable(old), "the old one is back")
    assert old.rpc("server.info")["pid"] == old.pid
    old.stop()


def test_folder_of_the_pid_file_comes_back(daemons):
    daemon = daemons.make()
    place = daemon.dir / "run"
    place.mkdir()
    daemon.pidfile = place / "pid"
    daemon.args += ["-p", f"pidfile={daemon.pidfile}"]
    daemon.start()
    stop_process(daemon.pid)  # it would make the file anew in between
    daemon.pidfile.unlink()
    place.rmdir()
    daemon.send_signal(signal.SIGCONT)
    daemon.wait_log("can't be made anew: No such file")
    place.mkdir()
    wait_until(lambda: pid_in(daemon.pidfile) == daemon.pid, "a pid file")
    assert len(re.findall("can't be made anew", daemon.log())) == 1
    daemon.stop()
