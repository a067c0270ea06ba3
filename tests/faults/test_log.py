# SPDX-License-Identifier: ISC
"""The log is stuck, full, gone, rotated: faults 17 and 29; nobody waits for it."""

import contextlib
import fcntl
import json
import os
import re
import signal
import socket
import subprocess

import pytest

from ganger import sanitizer_options, scaled, wait_until

F_SETPIPE_SZ = 1031
LOST = r"(\d+) messages? (?:was|were) lost: "


def spawn_to(daemon, stderr):
    """Start a daemon whose standard error is that; ours is closed."""
    daemon.process = subprocess.Popen(
        [*daemon.program, "-c", daemon.conf, *daemon.args],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        env={"PATH": os.environ["PATH"], **sanitizer_options(), **daemon.env},
        start_new_session=True,
    )
    os.close(stderr)
    daemon.client().close()


def pool(handlers):
    return f'pool "default" {{ processes = 2 modules = {{"{handlers}"}} }}'


def log_much(client, count):
    """Tasks each of which logs a line of its own."""
    for i in range(count):
        assert client.call("log", {"text": f"{i} " + "x" * 200})


def take_all(fd):
    """What can be read now."""
    os.set_blocking(fd, False)
    data = b""
    with contextlib.suppress(BlockingIOError):
        while chunk := os.read(fd, 1 << 20):
            data += chunk
    return data.decode()


@pytest.fixture(params=["pipe", "socket"])
def reader_and_writer(request):
    if request.param == "pipe":
        reader, writer = os.pipe()
        fcntl.fcntl(writer, F_SETPIPE_SZ, 4096)
    else:
        a, b = socket.socketpair()
        b.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        reader, writer = a.detach(), b.detach()
    yield reader, writer
    with contextlib.suppress(OSError):
        os.close(reader)


def test_tasks_go_on_while_nobody_reads_the_log(
    daemons, handlers, reader_and_writer
):
    reader, writer = reader_and_writer
    daemon = daemons.make(pool(handlers), args=["-v"])
    spawn_to(daemon, writer)
    with daemon.client() as client:
        log_much(client, scaled(300, 100))
        # The master and the broker log, too, and do not wait.
        pids = daemon.worker_pids()
        os.kill(pids[0], signal.SIGKILL)
        daemon.wait_workers(2, other_than=pids[:1])
        take_all(reader)
        # Each process tells what it could not.
        text = ""
        for i in range(50):
            client.call("log", {"text": "heard again"})
            text += take_all(reader)
            if re.search(LOST + "nobody reads the log", text):
                break
        found = re.search(LOST + "nobody reads the log", text)
        assert found and int(found[1]) > 0, text
        assert "heard again" in text
    for line in text.splitlines():
        assert re.match(r"\d{4}-\S+Z (error|warn |info |debug) ", line), line
    daemon.stop()


def test_reader_of_the_log_goes_away(daemons, handlers, reader_and_writer):
    reader, writer = reader_and_writer
    daemon = daemons.make(pool(handlers), args=["-v"])
    spawn_to(daemon, writer)
    os.close(reader)
    with daemon.client() as client:
        log_much(client, 20)
    pids = daemon.worker_pids()
    os.kill(pids[0], signal.SIGKILL)
    daemon.wait_workers(2, other_than=pids[:1])
    daemon.stop()


def test_shells_descriptor_is_left_blocking(daemons):
    """O_NONBLOCK would be shared with whoever started the daemon."""
    reader, writer = os.pipe()
    ours = os.dup(writer)
    daemon = daemons.make()
    spawn_to(daemon, writer)
    assert os.get_blocking(ours)
    daemon.stop()
    assert os.get_blocking(ours)
    os.close(ours)
    os.close(reader)


def test_full_disk_stops_nothing_and_is_told_when_there_is_room(
    daemons, handlers
):
    daemon = daemons.make(pool(handlers))
    path = daemon.dir / "log.txt"
    path.symlink_to("/dev/full")
    daemon.args += ["-p", f"log_file={path}"]
    daemon.start()
    with daemon.client() as client:
        log_much(client, 20)
        path.unlink()
        daemon.send_signal(signal.SIGUSR1)
        wait_until(
            lambda: path.exists() and "opened anew" in path.read_text(),
            "a new log",
        )
        log_much(client, 40)
    daemon.stop()
    text = path.read_text()
    assert re.search(r"master.*" + LOST + "No space left on device", text)
    assert re.search(r"broker.*" + LOST + "No space left on device", text)


@pytest.fixture
def small_disk(folder):
    """A file system with room for little."""
    disk = folder / "disk"
    disk.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "ganger-test", disk],
        capture_output=True,
    )
    if done.returncode != 0:
        pytest.skip("a file system can be mounted by root only")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_log_goes_on_when_the_disk_has_room_again(
    daemons, handlers, small_disk
):
    ballast = small_disk / "ballast"
    path = small_disk / "log.txt"
    daemon = daemons.make(pool(handlers))
    daemon.args += ["-p", f"log_file={path}"]
    daemon.start()
    with daemon.client() as client:
        with contextlib.suppress(OSError), open(ballast, "wb", 0) as file:
            while True:
                file.write(b"\0" * 512)
        log_much(client, 100)
        assert "99 xxx" not in path.read_text()
        ballast.unlink()
        log_much(client, 10)
        daemon.stop()
    text = path.read_text()
    assert re.search(LOST + "No space left on device", text)
    assert " 9 xxx" in text
    # What was cut off in the middle does not spoil the lines behind it.
    last = text.splitlines()[-5:]
    assert all(re.match(r"\d{4}-\S+Z ", line) for line in last), last


def test_repeated_message_is_told_as_a_number(daemons):
    daemon = daemons.start()
    for _ in range(scaled(50, 20)):
        daemon.send_signal(signal.SIGUSR1)
        # One at a time: pending signals merge.
        wait_until(lambda: not pending(daemon.pid), "it was taken")
    daemon.stop()
    log = daemon.log()
    assert len(re.findall(r"master.*log opened anew", log)) < 10
    told = re.findall(r"master.*last message was repeated (\d+) times?", log)
    assert sum(map(int, told)) > 5, log


def pending(pid):
    with open(f"/proc/{pid}/status") as file:
        text = file.read()
    return int(re.search(r"ShdPnd:\s+(\w+)", text)[1], 16)


def test_log_is_rotated_under_load(daemons, handlers):
    """Every line is in one of the files, and whole."""
    daemon = daemons.make(pool(handlers), top='log_format = "json"')
    path = daemon.dir / "log.txt"
    daemon.args += ["-p", f"log_file={path}"]
    daemon.start()
    count = scaled(400, 100)
    with daemon.client() as client:
        idents = []
        for i in range(count):
            idents.append(client.call("log", {"text": f"marker {i}."})["id"])
            if i % (count // 4) == 0:
                path.rename(f"{path}.{i}")
                daemon.send_signal(signal.SIGUSR1)
                wait_until(path.exists, "a new file")
    daemon.stop()
    text = "".join(
        file.read_text() for file in daemon.dir.glob("log.txt*")
    )
    messages = [json.loads(line)["message"] for line in text.splitlines()]
    for i in range(count):
        assert sum(f"marker {i}." in message for message in messages) == 1


# A new binary, a new configuration


def rotate(path):
    """Rename the log as logrotate does; the text that it had."""
    old = path.with_suffix(".1")
    path.rename(old)
    return old


def says(path, *patterns):
    """Wait until each of them is in the file."""
    for pattern in patterns:
        wait_until(
            lambda: path.exists() and re.search(pattern, path.read_text()),
            f"{pattern!r} in {path}",
        )


def test_log_file_is_opened_anew_after_an_upgrade_too(daemons, handlers):
    daemon = daemons.make(
        f'pool "default" {{ processes = 1 modules = {{"{handlers}"}} }}'
    )
    path = daemon.dir / "log.txt"
    daemon.args += ["-p", f"log_file={path}", "-p", "log_level=debug"]
    daemon.start()
    with daemon.client() as client:
        for _ in range(2):
            client.rpc("server.upgrade")
            (pid,) = daemon.wait_workers(1)
            old = rotate(path)
            daemon.send_signal(signal.SIGUSR1)
            says(path, "master.* log opened anew")
            wait_until(
                lambda: not any(
                    os.readlink(f"/proc/{p}/fd/{fd}") == str(old)
                    for p in (daemon.pid, daemon.broker_pid(), pid)
                    for fd in os.listdir(f"/proc/{p}/fd")
                ),
                "nobody holds the old one",
            )
            size = old.stat().st_size
            client.call("log", {"text": "by the worker"})
            client.call("print", {"text": "printed\n", "times": 1})
            os.kill(pid, signal.SIGKILL)
            says(
                path,
                "broker.*by the worker",
                f"default/1.{pid}.*printed",
                f"master.*pid {pid}, killed by signal 9",
            )
            assert old.stat().st_size == size
            daemon.wait_workers(1, other_than=[pid])


def kill_busy_worker(daemon):
    """Which the broker has something to say of."""
    with daemon.client() as client:
        client.wait_running(client.submit("sleep", 60, retries=0))
        (row,) = [row for row in client.rpc("worker.list") if row["running"]]
        os.kill(row["pid"], signal.SIGKILL)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_log_whose_folder_is_roots_is_opened_anew_for_all(daemons):
    """The master opens it; broker and workers of another user could not."""
    daemon = daemons.make(
        'pool "default" { processes = 1 }', top='user = "nobody"'
    )
    daemon.dir.chmod(0o755)
    done = subprocess.run([*daemon.program, "-V"], user="nobody")
    if done.returncode != 0:
        pytest.skip("the build is hidden from others")
    (daemon.dir / "private").mkdir(mode=0o700)
    path = daemon.dir / "private" / "log.txt"
    daemon.args += ["-p", f"log_file={path}", "-v"]
    daemon.start()
    old = rotate(path)
    size = old.stat().st_size
    daemon.send_signal(signal.SIGUSR1)
    says(path, "master.* log opened anew")
    (pid,) = daemon.wait_workers(1)
    daemon.rpc("pool.restart")
    kill_busy_worker(daemon)
    says(
        path,
        rf"debug worker default/1\[{pid}\]: the pill",
        "warn  broker.* it was running task",
    )
    daemon.quit()
    assert old.stat().st_size == size
    assert "can't" not in path.read_text()


def test_log_that_can_not_be_opened_anew_goes_on_in_the_old_file(daemons):
    daemon = daemons.make()
    folder = daemon.dir / "logs"
    folder.mkdir()
    path = folder / "log.txt"
    daemon.args += ["-p", f"log_file={path}"]
    daemon.start()
    moved = folder.rename(daemon.dir / "moved") / "log.txt"
    daemon.send_signal(signal.SIGUSR1)
    says(moved, "error master.*can't open the log file anew: No such file")
    kill_busy_worker(daemon)
    says(moved, "warn  broker.* it was running task")
    daemon.quit()


def test_new_level_and_format_hold_for_master_broker_and_workers(
    daemons, handlers, gates
):
    """Told by what each says of a worker that was killed."""
    pool = f'pool "default" {{ processes = 1 modules = {{"{handlers}"}} }}'
    daemon = daemons.start(pool)

    def killed():
        """What is logged of the death of a worker that has a task."""
        with daemon.client() as client:
            gate = gates()
            task = client.submit("gate", gate.args)
            client.wait_running(task)
            since = daemon.log_end()
            (pid,) = daemon.wait_workers(1)
            os.kill(pid, signal.SIGKILL)
            daemon.wait_workers(1, other_than=[pid])
            gate.open()
            client.wait(task)
        return daemon.log()[since:]

    def closed():
        """The same, if the broker saw it before it was told."""
        text = killed()
        return text if "channel closed" in text else ""

    def reload(top):
        daemon.configure(pool, top)
        daemon.rpc("server.reload")

    quiet = killed()
    assert "started worker" not in quiet and "channel closed" not in quiet
    reload('log_level = "debug"')
    loud = wait_until(closed, "the broker tells more")
    assert re.search("debug master.*started worker default/1", loud)
    assert re.search("debug broker.*channel closed", loud)
    reload('log_level = "debug" log_format = "json"')
    text = wait_until(closed, "the broker tells more")
    lines = [json.loads(line) for line in text.splitlines()]
    assert any("started worker" in line["message"] for line in lines)
    assert any("channel closed" in line["message"] for line in lines)
    reload('log_level = "error"')
    assert killed() == ""
    # The new binary goes on with what is configured.
    daemon.rpc("server.upgrade")
    assert killed() == ""
    reload("")
    again = killed()
    assert "debug" not in again
    for name in "master", "broker":
        assert re.search(f"warn  {name}.*killed by signal 9", again)
