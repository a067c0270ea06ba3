# SPDX-License-Identifier: ISC
"""A real broker whose master and workers are the test.

A broker that has replaced its binary finds its state in a descriptor that the
environment names.  Here the state is written by the test, so that it begins
with nothing but its settings, and what it tells its master comes here.
"""

import itertools
import json
import os
import select
import signal
import socket
import subprocess

from ganger import GANGERD, LIMIT, Client, kill_hard, sanitizer_options

VERSION = 1


def settings(folder, **more):
    """The broker's settings, as its master writes them."""
    return {
        "socket": str(folder / "s"),
        "max_message": 65536,
        "max_clients": 1000,
        "master_pid": os.getpid(),
        "log_level": "debug",
        "queues": [{"name": "default"}],
        "pools": [pool("default")],
        "access": {
            "submit": [{"anyone": True}],
            "observe": [{"anyone": True}],
            "admin": [{"uid": os.getuid()}],
        },
        **more,
    }


def pool(name, queues=("default",), names=("work",), **more):
    return {
        "name": name,
        "processes": 1,
        "threads": 4,
        "queues": [{"queue": queue} for queue in queues],
        "names": list(names),
        "commands": [],
        **more,
    }


def record(type_, raw=None, **members):
    """A record of the state, as bytes."""
    line = {"r": type_, **members}
    if raw is None:
        return json.dumps(line).encode() + b"\n"
    line["raw"] = [None if text is None else len(text) for text in raw]
    data = b"".join(text or b"" for text in raw)
    return json.dumps(line).encode() + b"\n" + data + b"\n"


def memfd(data):
    fd = os.memfd_create("state")
    os.write(fd, data)
    return fd


class Worker:
    """A worker of the broker's, at the other end of its channel."""

    pids = itertools.count(1000001)

    def __init__(self, broker, pool_name, threads, names):
        self.broker = broker
        self.pid = next(self.pids)
        self.sock, end = socket.socketpair()
        end.setblocking(False)
        self.sock.settimeout(LIMIT)
        self.buffer = b""
        broker.order(
            "worker.add", end, pool=pool_name, slot=1, pid=self.pid
        )
        self.notify(
            "worker.hello",
            protocol=1,
            threads=threads,
            pid=self.pid,
            names=list(names),
        )
        broker.expect("worker.hello")

    def send_raw(self, data):
        self.sock.sendall(data)

    def send(self, **message):
        line = json.dumps({"jsonrpc": "2.0", **message})
        self.send_raw(line.encode() + b"\n")

    def notify(self, method, **params):
        self.send(method=method, params=params)

    def next(self):
        """What the broker says next."""
        while b"\n" not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError("the broker closed the channel")
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return json.loads(line)

    def take(self):
        """The next run, which is answered with succeed or fail."""
        message = self.next()
        assert message["method"] == "task.run", message
        return message

    def is_idle(self, seconds=0.05):
        """True when nothing comes for a while."""
        return not self.buffer and not select.select(
            [self.sock], [], [], seconds
        )[0]

    def succeed(self, run, result=None):
        self.send(id=run["id"], result=result)

    def fail(self, run, message, retryable=True, **data):
        data["retryable"] = retryable
        self.send(
            id=run["id"],
            error={"code": 1, "message": message, "data": data},
        )

    def die(self, signo=signal.SIGSEGV):
        """Be gone, and reaped."""
        self.sock.close()
        self.broker.order(
            "worker.gone",
            pid=self.pid,
            status=f"killed by signal {int(signo)}",
            signal=int(signo),
        )


class Broker:
    def __init__(self, folder, binary=GANGERD, state=None, **more):
        self.folder = folder
        self.binary = binary
        self.log_path = folder / "log"
        self.socket = folder / "s"
        self.clients = []
        self.ctl, ctl_end = socket.socketpair(
            socket.AF_UNIX, socket.SOCK_SEQPACKET
        )
        ctl_end.setblocking(False)
        self.ctl.settimeout(LIMIT)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.socket))
        self.listener.listen(512)
        self.listener.setblocking(False)
        self.shared = os.memfd_create("shared")
        os.ftruncate(self.shared, 4096)
        self.head = {
            "version": VERSION,
            "log_fd": 2,
            "log_level": 3,
            "log_uid": -1,
            "log_gid": -1,
            "ctl_fd": ctl_end.fileno(),
            "listener_fd": self.listener.fileno(),
            "shared_fd": self.shared,
            "master_pid": os.getpid(),
            "max_clients": 1000,
        }
        self.settings = settings(folder, **more)
        fd = memfd(self.state() if state is None else state(self))
        self.start(fd, ctl_end)
        os.close(fd)
        ctl_end.close()

    def state(self):
        text = json.dumps(self.settings).encode()
        return (
            record("broker", [b""], **self.head)
            + record("settings", [text], max_message=65536)
            + record("end")
        )

    def start(self, state_fd, ctl_end):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [self.binary],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={
                    "PATH": os.environ["PATH"],
                    "GANGER_BROKER_STATE": str(state_fd),
                    **sanitizer_options(),
                },
                pass_fds=(
                    state_fd,
                    ctl_end.fileno(),
                    self.listener.fileno(),
                    self.shared,
                ),
            )

    # The master's side

    def order(self, name, give=None, **members):
        """Send an order; a descriptor, or a socket, that is given is closed."""
        fds = []
        if give is not None:
            fds = [give if isinstance(give, int) else give.fileno()]
        text = json.dumps({"do": name, **members}).encode()
        socket.send_fds(self.ctl, [text], fds)
        if isinstance(give, int):
            os.close(give)
        elif give is not None:
            give.close()

    def told(self):
        """What it tells next, and the descriptor that came with it is none."""
        data = self.ctl.recv(65536)
        if not data:
            raise EOFError(f"the broker is gone:\n{self.log()[-3000:]}")
        return json.loads(data)

    def expect(self, name):
        """What it tells, which must be that; news of load are passed over."""
        while True:
            message = self.told()
            if message["do"] == name:
                return message
            passed = ("pool.load", "worker.served")
            assert message["do"] in passed, message

    def send_upgrade(self, binary=None):
        path = self.binary if binary is None else binary
        self.order("upgrade", os.open(path, os.O_PATH | os.O_CLOEXEC))

    def upgrade(self):
        self.send_upgrade()
        message = self.expect("ready")
        assert message["resumed"] is True, message

    def worker(self, pool_name="default", threads=4, names=("work",)):
        return Worker(self, pool_name, threads, names)

    # The clients' side

    def client(self):
        client = Client(self.socket)
        self.clients.append(client)
        return client

    # Looking, and the end

    def log(self):
        return self.log_path.read_text(errors="replace")

    def fds(self):
        """Each descriptor with what it leads to."""
        folder = f"/proc/{self.process.pid}/fd"
        return {
            int(fd): os.readlink(f"{folder}/{fd}") for fd in os.listdir(folder)
        }

    def fds_open_in_exec(self):
        found = set()
        for fd in self.fds():
            path = f"/proc/{self.process.pid}/fdinfo/{fd}"
            with open(path) as info:
                flags = int(info.read().split("flags:")[1].split()[0], 8)
            if not flags & os.O_CLOEXEC:
                found.add(fd)
        return found

    def stop(self):
        """Let it end in order."""
        self.ctl.close()
        status = self.process.wait(LIMIT)
        assert status == 0, f"exit status {status}:\n{self.log()[-3000:]}"

    def kill(self):
        for client in self.clients:
            client.close()
        if self.process.poll() is None:
            kill_hard([self.process.pid])
            self.process.wait()
        os.close(self.shared)
        self.listener.close()
        self.ctl.close()
