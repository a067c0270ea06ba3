# SPDX-License-Identifier: ISC
"""ganger while the broker dies under it, and while the daemon is restarted."""

import json
import os
import pty
import signal
import subprocess

import pytest

from ganger import GANGER, LIMIT, wait_until

pytestmark = pytest.mark.skipif(
    not GANGER.exists(), reason="ganger is not built"
)

OK, FAILED, NO_DAEMON, AGAIN = 0, 1, 69, 75


@pytest.fixture
def daemon(daemons, handlers):
    config = (
        f'pool "default" {{ processes = 2 threads = 2 '
        f'modules = {{"{handlers}"}} }}'
    )
    return daemons.start(config)


def spawn(daemon, *args, stdin=subprocess.DEVNULL):
    return subprocess.Popen(
        [GANGER, "-s", daemon.socket, *map(str, args)],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(daemon, *args):
    process = spawn(daemon, *args)
    out, err = process.communicate(timeout=LIMIT)
    return process.returncode, out, err


def submit(daemon, *args):
    status, out, err = run(daemon, "submit", *args)
    assert (status, err) == (OK, "")
    return int(out)


def end(process):
    out, err = process.communicate(timeout=LIMIT * 2)
    return process.returncode, out, err


def wait_waiting(daemon, count=1):
    wait_until(
        lambda: daemon.rpc("server.stats")["waiters"] == count,
        f"{count} clients wait",
    )


def wait_running(daemon, count=1):
    wait_until(
        lambda: daemon.rpc("server.stats")["running"] == count,
        f"{count} tasks run",
    )


def kill_broker(daemon):
    """Kill it, and wait until the next one answers."""
    pid = daemon.broker_pid()
    os.kill(pid, signal.SIGKILL)

    def next_one():
        try:
            return daemon.broker_pid() != pid
        except (EOFError, OSError):
            return False

    wait_until(next_one, "there is another broker")


def gate_args(gate):
    return json.dumps(gate.args)


def test_waits_go_on_with_the_next_broker(daemon, gates):
    gate, other = gates(), gates()
    first = submit(daemon, "--durable", "gate", gate_args(gate))
    second = submit(daemon, "--durable", "gate", gate_args(other))
    waits = [
        spawn(daemon, "wait", first, second),
        spawn(daemon, "wait", "--any", first, second),
        spawn(daemon, "result", "--wait", first),
    ]
    wait_waiting(daemon, 3)
    for _ in range(2):
        kill_broker(daemon)
        wait_waiting(daemon, 3)
    gate.open()
    assert end(waits[1]) == (OK, f"{first} succeeded\n", "")
    status, out, err = end(waits[2])
    assert (status, err) == (OK, "") and json.loads(out)["name"] == "gate"
    other.open()
    status, out, err = end(waits[0])
    assert (status, err) == (OK, "")
    assert sorted(out.splitlines()) == [
        f"{first} succeeded",
        f"{second} succeeded",
    ]


def test_task_that_ended_while_nobody_waited_is_not_missed(daemon, gate):
    ident = submit(daemon, "--durable", "gate", gate_args(gate))
    process = spawn(daemon, "wait", ident)
    wait_waiting(daemon)
    # The waiter does not get to its next broker before the task has ended.
    process.send_signal(signal.SIGSTOP)
    kill_broker(daemon)
    gate.open()
    with daemon.client() as client:
        client.wait(ident)
    process.send_signal(signal.SIGCONT)
    assert end(process) == (OK, f"{ident} succeeded\n", "")


@pytest.mark.parametrize(
    "words",
    [
        ["call", "--durable"],
        ["call", "--idempotency-key", "once"],
        ["submit", "--durable", "--wait"],
    ],
    ids=" ".join,
)
def test_what_is_durable_is_waited_for_past_a_broker(daemon, gate, words):
    process = spawn(daemon, *words, "gate", gate_args(gate))
    wait_running(daemon)
    wait_waiting(daemon)
    kill_broker(daemon)
    wait_waiting(daemon)
    gate.open()
    status, out, err = end(process)
    assert (status, err) == (OK, "")
    assert out
    assert len(daemon.rpc("task.list")["tasks"]) == 1


def test_failure_behind_a_broker_is_a_failure(daemon, gate):
    process = spawn(
        daemon, "call", "--durable", "--retries", "0", "gate", gate_args(gate)
    )
    wait_waiting(daemon)
    kill_broker(daemon)
    wait_waiting(daemon)
    (task,) = daemon.rpc("task.list")["tasks"]
    daemon.rpc("task.cancel", {"ids": [task["id"]]})
    status, out, err = end(process)
    assert (status, out) == (FAILED, "")
    assert f"task {task['id']} " in err


def test_volatile_call_ends_with_its_broker_and_says_so(daemon, gate):
    process = spawn(daemon, "call", "gate", gate_args(gate))
    wait_waiting(daemon)
    kill_broker(daemon)
    status, out, err = end(process)
    assert (status, out) == (NO_DAEMON, "")
    assert "is lost: it was not --durable" in err


def test_map_ends_with_its_broker_and_tells_what_is_lost(daemon, gate):
    process = spawn(
        daemon, "map", "-j", "2", "gate", stdin=subprocess.PIPE
    )
    process.stdin.write((gate_args(gate) + "\n") * 3)
    process.stdin.flush()
    wait_waiting(daemon, 2)
    kill_broker(daemon)
    status, out, err = end(process)
    assert (status, out) == (NO_DAEMON, "")
    assert "0 lines are done, 2 were under way and are lost" in err


def test_map_with_a_key_does_only_what_is_missing(daemon, folder):
    (folder / "in").write_text('{"message": "x"}\n' * 5)
    words = "map", "--idempotency-key", "k", "echo", folder / "in"
    first = run(daemon, *words)
    assert (first[0], first[1].count("\n")) == (OK, 5)
    assert run(daemon, *words) == first
    assert len(daemon.rpc("task.list")["tasks"]) == 5


def test_without_reconnecting_a_wait_ends_with_its_broker(daemon, gate):
    ident = submit(daemon, "--durable", "gate", gate_args(gate))
    process = spawn(daemon, "--reconnect", "0", "wait", ident)
    wait_waiting(daemon)
    kill_broker(daemon)
    status, out, err = end(process)
    assert (status, out) == (NO_DAEMON, "")
    assert "closed the connection" in err
    gate.open()
    assert run(daemon, "wait", ident)[0] == OK


def test_wait_goes_on_behind_a_restart_of_the_daemon(daemon):
    ident = submit(daemon, "--durable", "--delay", "1h", "echo")
    process = spawn(daemon, "wait", ident)
    wait_waiting(daemon)
    daemon.stop()
    daemon.start()
    wait_waiting(daemon)
    daemon.rpc("task.cancel", {"ids": [ident]})
    status, out, _ = end(process)
    assert (status, out) == (FAILED, f"{ident} cancelled\n")


def test_wait_gives_up_when_no_daemon_comes(daemon):
    ident = submit(daemon, "--durable", "--delay", "1h", "echo")
    process = spawn(daemon, "--reconnect", "200ms", "wait", ident)
    late = spawn(daemon, "wait", "--timeout", "2s", ident)
    wait_waiting(daemon, 2)
    daemon.stop()
    assert end(process)[0] in (NO_DAEMON, AGAIN)
    assert end(late)[0] == AGAIN


def test_interrupted_search_for_a_daemon_ends_at_once(daemon):
    ident = submit(daemon, "--durable", "--delay", "1h", "echo")
    process = spawn(daemon, "wait", ident)
    wait_waiting(daemon)
    daemon.stop()
    process.send_signal(signal.SIGINT)
    assert end(process)[0] in (130, -signal.SIGINT)


def test_interrupted_call_ends_its_task(daemon, gate):
    process = spawn(daemon, "call", "gate", gate_args(gate))
    wait_running(daemon)
    wait_waiting(daemon)
    process.send_signal(signal.SIGINT)
    status, out, err = end(process)
    assert status in (130, -signal.SIGINT)
    assert "is running, and is asked to end" in err
    wait_running(daemon, 0)


def test_terminal_shows_a_wait_past_a_broker(daemon, gate):
    """With a terminal there are many short waits, and looks between them."""
    ident = submit(daemon, "--durable", "gate", gate_args(gate))
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [GANGER, "-s", daemon.socket, "wait", str(ident)],
        env={**os.environ, "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=slave,
        text=True,
    )
    os.close(slave)
    shown = os.read(master, 4096)
    kill_broker(daemon)
    wait_waiting(daemon)
    gate.open()
    out, _ = process.communicate(timeout=LIMIT)
    os.close(master)
    assert (process.returncode, out) == (OK, f"{ident} succeeded\n")
    assert b"is running" in shown


# The rest of a durable task's life, by commands


def test_paused_queue_holds_its_tasks_also_behind_a_restart(daemon):
    assert run(daemon, "pause", "default")[0] == OK
    ident = submit(daemon, "--durable", "echo")
    daemon.stop()
    daemon.start()
    assert "paused" in run(daemon, "queues")[1]
    assert "its queue, which is paused" in run(daemon, "show", ident)[1]
    assert run(daemon, "resume", "default")[1].startswith("default: goes on")
    assert run(daemon, "wait", ident)[0] == OK


def test_purge_cancels_what_waits(daemon):
    run(daemon, "pause", "default")
    ids = [submit(daemon, *more, "echo") for more in ([], ["--delay", "1h"])]
    assert run(daemon, "purge", "default") == (
        OK,
        "default: 2 tasks cancelled\n",
        "",
    )
    assert run(daemon, "wait", *ids)[0] == FAILED


def test_failed_tasks_are_retried_by_filter(daemon):
    words = "--durable", "--retries", "0", "fail"
    ids = [submit(daemon, *words) for _ in range(3)]
    assert run(daemon, "wait", *ids)[0] == FAILED
    status, out, _ = run(daemon, "retry", "--failed", "--name", "fail")
    assert (status, out) == (OK, "3 tasks made ready again\n")
    assert run(daemon, "wait", *ids)[0] == FAILED
    assert daemon.rpc("task.get", {"id": ids[0]})["run"] == 2


def test_deleted_task_is_gone(daemon):
    ident = submit(daemon, "--durable", "echo")
    assert run(daemon, "wait", ident)[0] == OK
    assert run(daemon, "delete", ident) == (OK, "1 task deleted\n", "")
    assert run(daemon, "show", ident)[0] == 65


def test_duplicate_has_the_first_ones_id(daemon):
    words = "--unique", "u", "--delay", "1h", "echo"
    ident = submit(daemon, *words)
    status, out, err = run(daemon, "submit", *words)
    assert (status, int(out)) == (OK, ident)
    assert f"a duplicate of task {ident}, which is scheduled" in err


def test_running_task_is_cancelled_by_force(daemon):
    ident = submit(daemon, "sleep", "seconds=1000")
    wait_running(daemon)
    status, out, _ = run(daemon, "cancel", "--force", ident)
    assert (status, out) == (OK, "1 running task asked to end\n")
    assert run(daemon, "wait", ident)[0] == FAILED


def test_tasks_are_listed_by_time_and_to_the_end(daemon):
    ids = [submit(daemon, "--durable", "echo") for _ in range(3)]
    run(daemon, "wait", *ids)
    status, out, _ = run(
        daemon, "--json", "tasks", "--since", "10m", "--all"
    )
    assert [json.loads(x)["id"] for x in out.splitlines()] == ids[::-1]
    assert run(daemon, "--json", "tasks", "--until", "10m")[1] == ""


def test_status_tells_where_the_store_is(daemon):
    out = run(daemon, "status")[1]
    assert str(daemon.dir / "state") in out
    assert "!" not in out
