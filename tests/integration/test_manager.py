# SPDX-License-Identifier: ISC
"""Under a service manager: notifications, socket activation, what is printed."""

import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from ganger import (
    LIMIT,
    Client,
    build_module,
    sanitizer_options,
    seconds,
    wait_until,
)


class Manager:
    """What systemd is to a service: a datagram socket."""

    def __init__(self, address):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.settimeout(LIMIT)
        self.sock.bind(address)
        self.seen = []

    def wait(self, line):
        """The datagram that has a line of this beginning."""
        while True:
            lines = self.sock.recv(65536).decode().split("\n")
            self.seen += lines
            for found in lines:
                if found.startswith(line):
                    return lines


@pytest.fixture
def manager(folder):
    manager = Manager(str(folder / "notify"))
    yield manager
    manager.sock.close()


def notified(daemons, folder, **env):
    return daemons.make(
        env={"NOTIFY_SOCKET": str(folder / "notify"), **env}
    )


def test_ready_is_told_when_clients_are_served(daemons, folder, manager):
    daemon = notified(daemons, folder)
    daemon.spawn()
    manager.wait("READY=1")
    with Client(daemon.socket) as client:
        assert client.rpc("server.ping") == "pong"
    states = [row["state"] for row in daemon.rpc("worker.list")]
    assert states == ["idle", "idle"]
    assert not any(line.startswith("STOPPING") for line in manager.seen)
    daemon.send_signal(signal.SIGTERM)
    manager.wait("STOPPING=1")
    assert daemon.wait_exit() == 0


def test_stop_asks_for_the_time_that_its_last_steps_take_too(
    daemons, folder, manager
):
    daemon = notified(daemons, folder)
    daemon.configure(top='graceful_timeout = "3s"')
    daemon.spawn()
    manager.wait("READY=1")
    daemon.send_signal(signal.SIGTERM)
    lines = manager.wait("STOPPING=1")
    (more,) = [line for line in lines if line.startswith("EXTEND_TIMEOUT_USEC=")]
    # SIGABRT, a second; SIGTERM, 1.2; SIGKILL and the broker's end, 0.7.
    assert 5_900_000 < int(more.partition("=")[2]) < 10_000_000
    assert daemon.wait_exit() == 0


def test_reload_is_told_from_its_begin_to_its_end(daemons, folder, manager):
    daemon = notified(daemons, folder)
    daemon.spawn()
    manager.wait("READY=1")
    daemon.send_signal(signal.SIGHUP)
    lines = manager.wait("RELOADING=1")
    assert any(re.fullmatch(r"MONOTONIC_USEC=\d+", line) for line in lines)
    manager.wait("READY=1")
    # Also one that is refused is over.
    daemon.conf.write_text(daemon.conf.read_text() + '\ncolour = "red"\n')
    daemon.send_signal(signal.SIGHUP)
    manager.wait("RELOADING=1")
    manager.wait("READY=1")
    daemon.stop()


def test_status_is_told(daemons, folder, manager):
    daemon = notified(daemons, folder)
    daemon.spawn()
    manager.wait("STATUS=")
    daemon.client().close()
    daemon.stop()


def test_watchdog_is_fed(daemons, folder, manager):
    daemon = notified(daemons, folder, WATCHDOG_USEC="400000")
    daemon.spawn()
    for _ in range(3):
        manager.wait("WATCHDOG=1")
    daemon.client().close()
    daemon.stop()


def test_manager_is_not_told_of_to_the_workers(daemons, folder, manager):
    daemon = daemons.make(
        'pool "default" { processes = 1 command "env" { argv = {"env"} } }',
        env={
            "NOTIFY_SOCKET": str(folder / "notify"),
            "WATCHDOG_USEC": "60000000",
            "MARKER": "yes",
        },
    )
    daemon.spawn()
    manager.wait("READY=1")
    with daemon.client() as client:
        text = str(client.call("env")["result"])
    assert "MARKER=yes" in text
    assert not re.search("NOTIFY_SOCKET|WATCHDOG|LISTEN_", text)
    daemon.stop()


# Socket activation


ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""


def spawn_activated(daemon, listener):
    """Start the daemon with the listener as descriptor 3."""
    with open(daemon.log_path, "ab") as log:
        daemon.process = subprocess.Popen(
            [sys.executable, "-c", ACTIVATE, str(listener.fileno())]
            + [*daemon.program, "-c", daemon.conf, *daemon.args],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={
                "PATH": os.environ["PATH"],
                **sanitizer_options(),
                **daemon.env,
            },
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )


@pytest.fixture
def activated(daemons):
    daemon = daemons.make()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.bind(str(daemon.socket))
        sock.listen(16)
        yield daemon, sock


def test_passed_socket_is_served_and_left_behind(activated):
    daemon, sock = activated
    with Client(daemon.socket) as early:  # before there is a daemon
        ident = early.request("server.ping")
        spawn_activated(daemon, sock)
        assert early.result(ident) == "pong"
        assert early.call("echo", 1)["result"] == 1
    inode = daemon.socket.stat().st_ino
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    assert daemon.socket.stat().st_ino == inode
    # And the next one serves those that came in between.
    with Client(daemon.socket) as client:
        ident = client.request("server.ping")
        spawn_activated(daemon, sock)
        assert client.result(ident) == "pong"
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0


def test_deleted_socket_of_the_manager_is_not_made_anew(activated):
    daemon, sock = activated
    spawn_activated(daemon, sock)
    with Client(daemon.socket) as client:
        assert client.rpc("server.ping") == "pong"
        daemon.socket.unlink()
        daemon.pidfile.unlink()
        wait_until(daemon.pidfile.exists, "the pid file is made anew")
        assert client.rpc("server.ping") == "pong"
    assert not daemon.socket.exists()
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0


def test_passed_socket_of_another_name_is_refused(activated, folder):
    daemon, sock = activated
    daemon.args += ["-p", f"socket={folder}/s"]
    spawn_activated(daemon, sock)
    assert daemon.process.wait(LIMIT) not in (0, None)
    assert str(daemon.socket) in daemon.log()
    assert f"{folder}/s" in daemon.log()


def test_passed_socket_is_kept_over_upgrade_and_reload(
    activated, folder, manager
):
    daemon, sock = activated
    daemon.env["NOTIFY_SOCKET"] = str(folder / "notify")
    spawn_activated(daemon, sock)
    manager.wait("READY=1")
    inode = daemon.socket.stat().st_ino
    with Client(daemon.socket) as client:
        for method in "server.upgrade", "server.reload", "server.upgrade":
            call = client.request(
                "task.call", {"name": "sleep", "args": {"ms": 50}}
            )
            client.rpc(method)
            manager.wait("RELOADING=1")
            manager.wait("READY=1")
            assert client.result(call)["run"] == 1
            assert daemon.socket.stat().st_ino == inode
            with Client(daemon.socket) as other:
                assert other.call("echo", 1)["result"] == 1
    daemon.send_signal(signal.SIGTERM)
    manager.wait("STOPPING=1")
    assert daemon.wait_exit() == 0
    assert daemon.socket.stat().st_ino == inode  # the manager's, as before
    assert not any(line.startswith("ERRNO") for line in manager.seen)


# What workers print

NOISY = """#include <ganger/handler.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static json_t *
run_say(struct ganger_task *task, json_t *args)
{
	(void)task;
	printf("%s\\n", json_string_value(args));
	return json_true();
}

/* PATH: begin a line, and end it when the path is there. */
static json_t *
run_pause(struct ganger_task *task, json_t *args)
{
	(void)task;
	printf("a whole line\\nbegun before, ");
	fflush(stdout);
	while (access(json_string_value(args), F_OK) < 0)
		usleep(2000);
	printf("ended after\\nand a last line\\n");
	return json_true();
}

static json_t *
run_shout(struct ganger_task *task, json_t *args)
{
	(void)task;
	for (json_int_t i = 0; i < json_integer_value(args); i++)
		fprintf(stderr, "shout %d\\n", (int)i);
	return json_true();
}

static json_t *
run_die(struct ganger_task *task, json_t *args)
{
	(void)task;
	(void)args;
	(void)!write(2, "last words", 10);
	abort();
}

static const struct ganger_handler handlers[] = {
    {"say", run_say}, {"pause", run_pause}, {"shout", run_shout},
    {"die", run_die}, {NULL, NULL}};
const struct ganger_module ganger_module = {
    .abi = GANGER_MODULE_ABI, .name = "noisy", .handlers = handlers};
"""


@pytest.fixture
def noisy(daemons, folder):
    module = build_module(folder, "noisy", NOISY)
    return daemons.start(
        f'pool "default" {{ processes = 1 modules = {{"{module}"}} }}'
    )


def test_what_a_worker_prints_is_in_the_log_with_its_name(noisy):
    (pid,) = noisy.worker_pids()
    with noisy.client() as client:
        client.call("say", "hello \x1b[2Jthere")
    noisy.wait_log(
        rf" info  worker default/1\[{pid}\]: hello \\x1b\[2Jthere$"
    )


def test_last_words_of_a_worker_are_in_the_log(noisy):
    (pid,) = noisy.worker_pids()
    with noisy.client() as client:
        client.submit("die", retries=0)
        noisy.wait_log(rf"worker default/1\[{pid}\]: last words$")


def test_flood_of_output_is_cut_and_counted(noisy):
    count = 20000
    with noisy.client() as client:
        assert client.call("shout", count)["result"] is True
        assert client.call("say", "after it")["result"] is True
        noisy.wait_log(r"lines? of output (was|were) dropped")
    assert noisy.log().count(": shout ") < count / 2


def test_what_a_worker_prints_is_logged_across_an_upgrade(noisy, gate):
    (old,) = noisy.worker_pids()
    head = rf" info  worker default/1\[{old}\]: "
    with noisy.client() as client:
        task = client.submit("pause", gate.args["path"])
        noisy.wait_log(head + "a whole line$")
        for _ in range(2):
            noisy.rpc("server.upgrade")
        (new,) = [r["pid"] for r in noisy.workers() if r["state"] == "idle"]
        assert client.task(task)["state"] == "running"
        gate.open()
        assert client.wait(task)[0]["run"] == 1
        noisy.wait_log(head + "and a last line$")
        # A line that was begun before may be cut, but is not lost.
        text = " ".join(re.findall(head + "(.*)$", noisy.log(), re.M))
        assert re.search("begun before, *ended after", text), text
        client.call("say", "hello")
        noisy.wait_log(rf" info  worker default/1\[{new}\]: hello$")


def test_workers_go_on_while_the_master_reads_nothing(noisy):
    """Fault 17: the pipe is full, and nobody waits for it."""
    os.kill(noisy.pid, signal.SIGSTOP)
    try:
        with noisy.client() as client:
            for _ in range(5):
                assert client.call("shout", 5000)["result"] is True
    finally:
        os.kill(noisy.pid, signal.SIGCONT)
    assert noisy.wait_workers(1)
    noisy.stop(limit=seconds(20))
