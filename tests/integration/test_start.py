# SPDX-License-Identifier: ISC
"""Starting: options, process titles, where the defaults are, detaching."""

import json
import os
import re
import signal
import subprocess

import pytest

from ganger import (
    GANGERD,
    LIMIT,
    POOL,
    Client,
    build_module,
    is_alive,
    process_title,
    run_gangerd,
    session_pids,
    wait_until,
)


def test_version_is_printed():
    done = run_gangerd("-V")
    assert done.returncode == 0
    assert re.search(r"\b\d+\.\d+\.\d+\b", done.stdout)


@pytest.mark.parametrize("args", [["-Z"], ["-c"], ["-p"], ["word"]])
def test_wrong_usage_is_64(args):
    done = run_gangerd(*args)
    assert done.returncode == 64
    assert done.stderr


def test_missing_configuration_file_is_named(folder):
    done = run_gangerd("-t", "-c", folder / "none.conf")
    assert done.returncode == 78
    assert str(folder / "none.conf") in done.stderr


def test_serves_as_soon_as_it_can_be_reached(daemons):
    daemon = daemons.make()
    daemon.spawn()
    with daemon.client() as client:
        assert client.rpc("server.ping") == "pong"
        assert client.call("echo", 1)["result"] == 1


def test_socket_appears_only_when_a_worker_can_take_tasks(daemons, folder):
    slow = build_module(
        folder,
        "slow",
        """#include <ganger/handler.h>
#include <unistd.h>

static int
init(void)
{
	usleep(300000);
	return 0;
}

static const struct ganger_handler handlers[] = {{NULL, NULL}};
const struct ganger_module ganger_module = {
    .abi = GANGER_MODULE_ABI, .name = "slow", .handlers = handlers,
    .init = init};
""",
    )
    daemon = daemons.start(
        f'pool "default" {{ processes = 1 modules = {{"{slow}"}} }}'
    )
    states = [row["state"] for row in daemon.rpc("worker.list")]
    assert states == ["idle"]


def test_processes_are_named_in_ps(shared):
    info = shared.rpc("server.info")
    assert info["pid"] == shared.pid
    assert process_title(shared.pid) == "gangerd: master"
    assert process_title(info["broker_pid"]) == "gangerd: broker"
    workers = shared.rpc("worker.list")
    assert len(workers) == 2
    for row in workers:
        assert re.fullmatch(r"default/\d+", row["worker"])
        assert process_title(row["pid"]) == f"gangerd: worker {row['worker']}"
    every = {shared.pid, info["broker_pid"], *[row["pid"] for row in workers]}
    assert set(shared.pids()) == every


def test_pid_file_holds_the_masters_pid(shared):
    assert int(shared.pidfile.read_text()) == shared.pid


def test_socket_has_its_mode(daemons):
    daemon = daemons.start(top='socket_mode = "0640"')
    assert daemon.socket.stat().st_mode & 0o7777 == 0o640


def test_log_file_is_written(daemons):
    daemon = daemons.make()
    path = daemon.dir / "log.txt"
    daemon.args += ["-p", f"log_file={path}"]
    daemon.start()
    assert "master" in path.read_text()
    daemon.stop()
    assert daemon.log() == ""


def test_verbose_is_debug_logging(daemons):
    quiet = daemons.start()
    loud = daemons.start(args=["-v"])
    quiet.stop()
    loud.stop()
    assert not re.search(r"Z debug ", quiet.log())
    assert re.search(r"Z debug ", loud.log())


def test_json_log_is_an_object_a_line(daemons):
    daemon = daemons.start(top='log_format = "json"')
    daemon.stop()
    lines = daemon.log().splitlines()
    assert lines
    for line in lines:
        assert {"time", "level", "process", "pid", "message"} <= set(
            json.loads(line)
        )


def test_log_tells_of_start_and_stop(daemons):
    daemon = daemons.start()
    daemon.stop()
    assert re.search(r"master\[%d\]" % daemon.pid, daemon.log())


# A start that fails, with a log file


FAILING_STARTS = {
    "state_dir": (73, "/dev/null/state"),
    "second": (75, "another gangerd"),
    "no_database": (65, "tasks.db"),
}


@pytest.mark.parametrize("args", [(), ("-d",)], ids=["", "detached"])
@pytest.mark.parametrize("how", FAILING_STARTS)
def test_why_a_start_has_failed_is_also_on_standard_error(daemons, how, args):
    """Once, and in the log file."""
    daemon = daemons.make()
    log = daemon.dir / "log.txt"
    args = [*args, "-c", daemon.conf, "-p", f"log_file={log}"]
    status, why = FAILING_STARTS[how]
    if how == "state_dir":
        args += ["-p", "state_dir=/dev/null/state"]
    elif how == "second":
        daemon.start()
    else:
        (daemon.dir / "state").mkdir()
        (daemon.dir / "state" / "tasks.db").write_text("no database" * 100)
    done = run_gangerd(*args)
    assert done.returncode == status, done.stderr
    assert len(re.findall(why, done.stderr)) == 1, done.stderr
    assert re.fullmatch(r"(\S+Z (error|warn ) .*\n)+", done.stderr)
    text = log.read_text()
    assert len(re.findall(why, text)) == 1, text
    for line in done.stderr.splitlines():
        assert line in text


def test_log_that_standard_error_leads_to_is_written_once(daemons):
    daemon = daemons.make()
    daemon.args += ["-p", f"log_file={daemon.log_path}"]
    daemon.args += ["-p", "state_dir=/dev/null/state"]
    daemon.spawn()
    assert daemon.wait_exit() == 73
    assert len(re.findall("/dev/null/state", daemon.log())) == 1


def test_standard_error_is_left_alone_once_the_daemon_serves(daemons):
    daemon = daemons.make()
    log = daemon.dir / "log.txt"
    daemon.args += ["-p", f"log_file={log}"]
    daemon.start()
    (pid, *_) = daemon.worker_pids()
    os.kill(pid, signal.SIGKILL)
    daemon.wait_workers(2, other_than=[pid])
    daemon.kill_broker()
    daemon.stop()
    assert len(re.findall("warn .*killed by signal 9", log.read_text())) >= 2
    assert daemon.log() == ""


# Detached


@pytest.fixture
def detached(daemons):
    """A daemon to be started with -d, which is none of our children."""
    daemon = daemons.make()
    daemon.args = ["-d", "-p", f"log_file={daemon.dir}/detached.log"]
    yield daemon
    for pid in running_pids(daemon):
        os.kill(pid, signal.SIGKILL)


def running_pids(daemon):
    if not daemon.pidfile.exists():
        return []
    return session_pids(int(daemon.pidfile.read_text()))


def detach(daemon, conf=None):
    """Run gangerd -d until its starter exits."""
    return subprocess.run(
        [GANGERD, *daemon.args, "-c", conf or daemon.conf],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LIMIT,
    )


def end_detached(daemon):
    pid = int(daemon.pidfile.read_text())
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not is_alive(pid), "the detached daemon is gone")
    assert not daemon.socket.exists()
    assert not daemon.pidfile.exists()


def test_detached_daemon_serves_when_its_starter_exits(detached):
    """Nor does whoever reads its starter's output wait for its end."""
    done = detach(detached)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    pid = int(detached.pidfile.read_text())
    with Client(detached.socket) as client:
        assert client.rpc("server.info")["pid"] == pid
        assert client.call("echo", "x")["result"] == "x"
    assert process_title(pid) == "gangerd: master"
    assert os.getsid(pid) != os.getsid(0)
    end_detached(detached)


def test_detached_daemon_that_can_not_start_says_so(detached, daemons):
    running = daemons.start()
    assert detach(detached, running.conf).returncode not in (0, 78)
    assert running.rpc("server.ping") == "pong"
    with open(detached.conf, "a") as conf:
        conf.write('colour = "red"\n')
    done = detach(detached)
    assert done.returncode == 78
    assert b"colour" in done.stderr


# Defaults


def as_nobody():
    """Run as somebody who is not root."""
    if os.getuid() != 0:
        return {}
    return {"user": 65534, "group": 65534, "extra_groups": []}


def can_run_as_nobody():
    if os.path.exists("/etc/ganger/ganger.conf"):
        return False
    done = subprocess.run([GANGERD, "-V"], capture_output=True, **as_nobody())
    return done.returncode == 0


def test_runs_on_defaults_without_configuration(folder):
    if not can_run_as_nobody():
        pytest.skip("this machine has a configuration, or hides the build")
    folder.chmod(0o777)
    run, state = folder / "run", folder / "state"
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "XDG_RUNTIME_DIR": str(run),
        "XDG_STATE_HOME": str(state),
    }
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [GANGERD], env=env, stderr=log, cwd="/", **as_nobody()
        )
    try:
        path = run / "ganger" / "ganger.sock"
        wait_until(lambda: path.exists() or process.poll(), "it serves")
        with Client(path) as client:
            (pool,) = client.rpc("pool.list")
            assert pool["name"] == "default"
            assert pool["processes"] == os.cpu_count()
            assert {"echo", "sleep", "fail", "sha512", "sort"} <= set(
                pool["names"]
            )
            assert client.call("echo", [1])["result"] == [1]
        assert (state / "ganger").is_dir()
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def test_top_level_key_is_overridden(daemons):
    daemon = daemons.start(POOL, args=["-p", "max_clients=7"])
    assert daemon.rpc("server.info")["limits"]["max_clients"] == 7
