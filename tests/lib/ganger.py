# SPDX-License-Identifier: ISC
"""Start the real gangerd in a folder of its own, and speak to its raw socket.

Nothing here goes through our own client library: a request is a line of
Python's json module.  Waits are for events, each with a generous limit.
"""

import contextlib
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("BUILD", "build")
GANGERD = BUILD / "gangerd"
GANGER = BUILD / "ganger"

# Under a sanitizer everything is slower: do less of it, wait longer for it.
SCALE = float(os.environ.get("GANGER_TEST_SCALE", "1"))
LIMIT = 30 / min(SCALE, 1)

# The long run: hundreds of rounds and millions of tasks, by the hour.
LONG = bool(os.environ.get("GANGER_TEST_LONG"))

# The programs were built with a sanitizer, which needs memory of its own.
SANITIZED = bool(os.environ.get("GANGER_TEST_SANITIZED"))

POOL = 'pool "default" { processes = 2 threads = 2 }\n'

BAD_IN_LOG = re.compile(
    r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|MemorySanitizer"
    r"|runtime error:|[Aa]ssert"
)


def scaled(n, least=1):
    """A count of things to do, less of them under GANGER_TEST_SCALE."""
    return max(least, int(n * SCALE))


def seconds(limit):
    """A limit that is part of the promise, stretched for slow builds."""
    return limit / min(SCALE, 1)


def wait_until(test, what, limit=LIMIT):
    """Wait for something that sends no event; returns test()'s true value."""
    deadline = time.monotonic() + limit
    while True:
        value = test()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {limit:.0f} s in vain: {what}")
        time.sleep(0.01)


def let_pass(s):
    """For what is the passing of time itself."""
    due = time.monotonic() + s
    wait_until(lambda: time.monotonic() >= due, f"{s} s pass")


def process_stat(pid):
    """The words of a process's stat from its state on, see proc(5); or None."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return stat.rpartition(")")[2].split()


def process_state(pid):
    """The letter of a process's state, or None when there is none."""
    stat = process_stat(pid)
    return stat and stat[0]


def has_ended(stat):
    """Of a zombie other threads may live on, and hold what it had open."""
    return stat is None or (stat[0] in "ZX" and int(stat[17]) <= 1)


def is_alive(pid):
    return not has_ended(process_stat(pid))


def processes():
    """(pid, stat) of each."""
    for entry in os.listdir("/proc"):
        stat = process_stat(entry) if entry.isdigit() else None
        if stat is not None:
            yield int(entry), stat


def session_pids(session):
    """The living processes of a session."""
    return [
        pid
        for pid, stat in processes()
        if int(stat[3]) == session and not has_ended(stat)
    ]


def children(pid):
    """The children of a process, dead ones that nobody has reaped as well."""
    return sorted(c for c, stat in processes() if int(stat[1]) == pid)


def zombies(pid):
    """Those of a process's children that are dead."""
    return [child for child in children(pid) if not is_alive(child)]


def fd_count(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def stop_process(pid):
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: process_state(pid) == "T", f"{pid} is stopped")


def process_title(pid):
    """What ps shows, which leaves out NULs at the end."""
    raw = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    # libbsd adds a blank to a title that is as long as the program's name was.
    return raw.rstrip(b"\0").decode().rstrip()


def rss_bytes(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) * 1024


class Growth:
    """How much memory a process has gained since."""

    def __init__(self, pid):
        self.pid = pid
        self.before = rss_bytes(pid)

    def assert_below(self, limit):
        grown = rss_bytes(self.pid) - self.before
        if not SANITIZED:  # which keeps what was freed
            assert grown < limit, f"{grown} bytes more"


def sanitizer_options():
    """Those of our environment, for a daemon."""
    options = {
        name: value
        for name, value in os.environ.items()
        if name.endswith("SAN_OPTIONS")
    }
    if "TSAN_OPTIONS" in options:
        # A worker that dies on purpose does not join its threads.
        options["TSAN_OPTIONS"] += ":report_thread_leaks=0"
    return options


def kill_hard(pids):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class RpcError(Exception):
    """An answer that is an error."""

    def __init__(self, error):
        super().__init__(f"{error['code']}: {error['message']}")
        self.code = error["code"]
        self.message = error["message"]
        self.data = error.get("data") or {}


class Client:
    """A connection.  Answers are kept by id until somebody asks for them."""

    def __init__(self, path, limit=LIMIT):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(limit)
        self.sock.connect(str(path))
        self.ids = itertools.count(1)
        self.buffer = bytearray()
        self.early = {}

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.sock.close()

    def send_raw(self, data):
        self.sock.sendall(data)

    def send(self, value):
        self.send_raw(json.dumps(value).encode() + b"\n")

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def recv_line(self):
        """The next line without its newline; EOFError at the end."""
        start = 0
        while True:
            end = self.buffer.find(b"\n", start)
            if end >= 0:
                line = bytes(self.buffer[:end])
                del self.buffer[: end + 1]
                return line
            start = len(self.buffer)
            try:
                data = self.sock.recv(1 << 18)
            except ConnectionResetError:
                data = b""
            if not data:
                raise EOFError("the daemon closed the connection")
            self.buffer += data

    def recv(self):
        return json.loads(self.recv_line())

    def at_eof(self):
        """True when the daemon closes without saying anything more."""
        try:
            self.recv_line()
        except EOFError:
            return True
        return False

    def request(self, method, params=None):
        """Send a request and return its id, for answer()."""
        message = {"jsonrpc": "2.0", "id": next(self.ids), "method": method}
        if params is not None:
            message["params"] = params
        self.send(message)
        return message["id"]

    def notify(self, method, params=None):
        message = {"jsonrpc": "2.0", "method": method}
        if params is not None:
            message["params"] = params
        self.send(message)

    def answer(self, ident):
        """The whole answer to a request, whatever comes before it."""
        while ident not in self.early:
            message = self.recv()
            assert message["jsonrpc"] == "2.0", message
            assert message["id"] not in self.early, "answered twice"
            self.early[message["id"]] = message
        return self.early.pop(ident)

    def result(self, ident):
        message = self.answer(ident)
        if "error" in message:
            raise RpcError(message["error"])
        return message["result"]

    def rpc(self, method, params=None):
        return self.result(self.request(method, params))

    def error(self, method, params=None):
        """The error that a request must be answered with."""
        try:
            result = self.rpc(method, params)
        except RpcError as error:
            return error
        raise AssertionError(f"{method} went well: {result}")

    # Shorthands for what most tests do.

    def submit(self, name, args=None, **more):
        return self.rpc("task.submit", {"name": name, "args": args, **more})[
            "id"
        ]

    def task(self, ident):
        return self.rpc("task.get", {"id": ident})

    def call(self, name, args=None, **more):
        """Run a task to its end and return the task."""
        return self.rpc("task.call", {"name": name, "args": args, **more})

    def wait(self, *ids):
        """Wait for tasks; returns them in the order of ids."""
        answer = self.rpc("task.wait", {"ids": list(ids)})
        assert answer["pending"] == []
        done = {task["id"]: task for task in answer["done"]}
        return [done[ident] for ident in ids]

    def wait_running(self, *ids):
        for ident in ids:
            wait_until(
                lambda: self.task(ident)["state"] == "running",
                f"task {ident} runs",
            )


class Daemon:
    """A gangerd with a folder, a socket, and a log of its own.

    Or, with a folder given, one more on what is there already.
    """

    def __init__(
        self,
        config=POOL,
        top="",
        args=(),
        folder=None,
        env=None,
        program=(GANGERD,),
        user=None,
    ):
        self.dir = folder or pathlib.Path(
            tempfile.mkdtemp(prefix="ganger-", dir="/tmp")
        )
        self.owns_dir = folder is None
        self.socket = self.dir / "s"
        self.pidfile = self.dir / "pid"
        self.conf = self.dir / "ganger.conf"
        self.log_path = self.dir / "log"
        self.args = list(args)
        self.env = env or {}
        self.program = list(program)  # gangerd, and maybe what starts it
        self.user = user  # a number: whom it runs as, with no groups
        self.process = None
        self.clients = []
        if self.owns_dir:
            self.configure(config, top)
            if self.user is not None:
                os.chown(self.dir, self.user, self.user)

    # Starting

    def spawn(self):
        """Start the process, in a session of its own."""
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.dir),
            **sanitizer_options(),
            **self.env,
        }
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*self.program, "-c", self.conf, *self.args],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=env,
                start_new_session=True,
                user=self.user,
                group=self.user,
                extra_groups=None if self.user is None else [],
            )
        return self

    def start(self):
        self.spawn()
        self.client().close()
        return self

    def client(self):
        """Connect, as soon as that is possible."""

        def connect():
            try:
                return Client(self.socket)
            except (FileNotFoundError, ConnectionRefusedError):
                status = self.process.poll()
                assert status is None, f"exit {status}:\n{self.log()}"
                return None

        client = wait_until(connect, "the socket accepts")
        self.clients.append(client)
        return client

    # Looking

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return self.log_path.read_text(errors="replace")

    def log_end(self):
        """Where the log ends now, for wait_log's `since`."""
        return len(self.log())

    def wait_log(self, pattern, count=1, since=0):
        """Wait until the log, from `since` on, matches, count times."""
        regex = re.compile(pattern, re.M)
        try:
            wait_until(
                lambda: len(regex.findall(self.log()[since:])) >= count,
                f"{pattern!r} in the log",
            )
        except TimeoutError as error:
            raise TimeoutError(f"{error}:\n{self.log()[-3000:]}") from None
        return regex.findall(self.log()[since:])

    def rpc(self, method, params=None):
        with Client(self.socket) as client:
            return client.rpc(method, params)

    def workers(self):
        """The rows of worker.list whose workers can take tasks."""
        rows = self.rpc("worker.list")
        return [row for row in rows if row["state"] != "starting"]

    def worker_pids(self, pool=None):
        return sorted(
            row["pid"]
            for row in self.workers()
            if pool is None or row["pool"] == pool
        )

    def wait_workers(self, count, other_than=(), pool=None):
        """Wait for count workers, none of them of the pids given."""

        def look():
            pids = set(self.worker_pids(pool))
            return len(pids) == count and not pids & set(other_than)

        wait_until(look, f"{count} workers, none of {list(other_than)}")
        return self.worker_pids(pool)

    def pool(self, name="default"):
        """The row of pool.list, or None."""
        rows = [row for row in self.rpc("pool.list") if row["name"] == name]
        return rows[0] if rows else None

    def broker_pid(self):
        return self.rpc("server.info")["broker_pid"]

    def kill_broker(self):
        """Kill it, and wait for the next one."""
        old = self.broker_pid()
        os.kill(old, signal.SIGKILL)

        def look():
            try:
                return self.broker_pid() != old
            except (OSError, EOFError):
                return False

        wait_until(look, "a new broker serves")

    def pids(self):
        return session_pids(self.pid)

    # Changing

    def configure(self, config=POOL, top=""):
        """Write another configuration, for a reload."""
        self.conf.write_text(self.config_text(config, top))

    def config_text(self, config, top):
        return (
            f'socket = "{self.socket}"\n'
            f'state_dir = "{self.dir}/state"\n'
            f'pidfile = "{self.pidfile}"\n'
            f"{top}\n{config}"
        )

    # Ending

    def send_signal(self, number):
        os.kill(self.pid, number)

    def wait_exit(self, limit=LIMIT):
        """The exit status, once nothing of the daemon is left."""
        status = self.process.wait(limit)
        wait_until(lambda: not self.pids(), f"all gone: {self.pids()}", limit)
        return status

    def stop(self, number=signal.SIGTERM, limit=LIMIT):
        """End it; it must leave nothing behind."""
        if self.process.poll() is None:
            self.send_signal(number)
        status = self.wait_exit(limit)
        assert status == 0, f"exit status {status}:\n{self.log()[-3000:]}"
        assert not self.socket.exists(), "the socket was left behind"
        assert not self.pidfile.exists(), "the pid file was left behind"

    def quit(self):
        """The quick end, for what a test leaves running."""
        self.stop(signal.SIGQUIT)

    def kill(self):
        """End all of it at once, whatever state it is in."""
        for client in self.clients:
            client.close()
        if self.process is None:
            return
        kill_hard([self.pid] if self.process.poll() is None else [])
        self.process.wait()
        kill_hard(self.pids())

    def check_log(self):
        bad = BAD_IN_LOG.search(self.log()) if self.log_path.exists() else None
        assert bad is None, self.log()[max(0, bad.start() - 500) :][:6000]

    def remove(self):
        if self.owns_dir:
            shutil.rmtree(self.dir, ignore_errors=True)


class Daemons:
    """Every daemon that a test started; they end with it."""

    def __init__(self):
        self.all = []

    def make(self, *args, **kwargs):
        daemon = Daemon(*args, **kwargs)
        self.all.append(daemon)
        return daemon

    def start(self, *args, **kwargs):
        return self.make(*args, **kwargs).start()

    def finish(self):
        """Stop what still runs, and look for what must never be."""
        try:
            for daemon in self.all:
                if daemon.process and daemon.process.poll() is None:
                    daemon.stop()
                daemon.check_log()
        finally:
            self.kill()

    def kill(self):
        for daemon in self.all:
            daemon.kill()
            daemon.remove()


def run_gangerd(*args, limit=LIMIT, **kwargs):
    """Run gangerd to its end, as for -t; its output as text."""
    return subprocess.run(
        [GANGERD, *map(str, args)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=limit,
        **kwargs,
    )


def build_module(folder, name, source):
    """Compile a task module as a user would; returns its path."""
    include = folder / "include" / "ganger"
    if not include.exists():
        include.mkdir(parents=True)
        (include / "handler.h").symlink_to(ROOT / "worker" / "handler.h")
    code = folder / f"{name}.c"
    code.write_text(source)
    module = folder / f"{name}.so"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O1", "-g", "-Wall", "-Wextra", "-Werror"]
        + ["-I", include.parent, "-o", module, code, "-ljansson", "-pthread"],
        check=True,
    )
    return module


class Gate:
    """What tasks of the module in handlers.c wait for."""

    def __init__(self, folder):
        self.path = pathlib.Path(tempfile.mktemp(prefix="gate-", dir=folder))
        self.args = {"path": str(self.path)}

    def open(self):
        self.path.touch()
