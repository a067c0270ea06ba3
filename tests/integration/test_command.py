# SPDX-License-Identifier: ISC
"""Command pools: a task is a program's run."""

import json
import os
import pathlib
import time

import pytest

from ganger import is_alive, seconds, wait_until

# A shell gets its script as one argument and the task's as others: what a
# client sends never becomes part of a script.
COMMANDS = """
pool "default" {
    processes = 2
    threads = 2
    command "args" { argv = {"printf", "[%s]", "{args.a}", "{args.b.c}",
        "x{args.a}y", "{args}", "{other}", "{", "}", ""} }
    command "cat" { argv = {"cat"} }
    command "plain" { argv = {"printf", "%b", "{args.text}"} }
    command "env" { argv = {"env"} }
    command "status" { argv = {"sh", "-c",
        "echo first >&2; echo \\"$2\\" >&2; exit $1", "sh", "{args.status}",
        "{args.text}"} }
    command "signal" { argv = {"sh", "-c", "kill -$1 $$", "sh",
        "{args.signal}"} }
    command "again" { argv = {"sh", "-c",
        "test $GANGER_ATTEMPT -ge 3 || exit 75; echo $GANGER_ATTEMPT"} }
    command "noise" { argv = {"sh", "-c",
        "head -c $1 /dev/zero | tr '\\\\0' e >&2; exit 3", "sh",
        "{args.bytes}"} }
    command "flood" { argv = {"sh", "-c",
        "head -c $1 /dev/zero | tr '\\\\0' o", "sh", "{args.bytes}"} }
    command "deaf" { argv = {"sh", "-c",
        "trap '' TERM INT HUP; sleep 1000 & echo $$ $! >$1; wait; wait", "sh",
        "{args.path}"} timeout = "500ms" }
    command "orphan" { argv = {"sh", "-c",
        "sleep 1000 >/dev/null 2>&1 & echo $! >$1", "sh", "{args.path}"} }
    command "gate" { argv = {"sh", "-c",
        "echo $$ >$1.pid; while ! test -e $1; do sleep 0.01; done", "sh",
        "{args.path}"} }
    command "missing" { argv = {"/no/such/program", "x"} }
    command "folder" { argv = {"/tmp"} }
    command "show" { argv = {"sh", "-c",
        "ls /proc/self/fd; grep Sig /proc/self/status; ps -o pgid= $$"} }
}
"""


@pytest.fixture(scope="module")
def commands(shared_daemons):
    return shared_daemons.start(COMMANDS)


@pytest.fixture
def client(commands):
    with commands.client() as connection:
        yield connection


def result_of(client, name, args=None, **more):
    return client.call(name, args, **more)["result"]


def failed(client, name, args=None, **more):
    """The task of a call that must fail."""
    params = {"name": name, "args": args, "retries": 0, **more}
    error = client.error("task.call", params)
    assert error.code == -32020
    return error.data["task"]


# What goes in


def test_places_in_arguments_are_filled(client):
    args = {"a": "one two", "b": {"c": [1, None, "é"]}}
    text = result_of(client, "args", args)
    whole = json.dumps(args, separators=(",", ":"), ensure_ascii=False)
    parts = text[1:-1].split("][")
    assert parts[0] == "one two"
    assert json.loads(parts[1]) == [1, None, "é"]
    assert parts[2] == "xone twoy"
    assert json.loads(parts[3]) == json.loads(whole)
    assert parts[4:] == ["{other}", "{", "}", ""]


@pytest.mark.parametrize(
    "value, text",
    [
        ("", ""),
        ("$(touch /tmp/x); `id` 'q' \"q\" \\ *", None),
        ("-n", None),
        ("line\nline", None),
        ("{args.b}", None),
        (12, "12"),
        (-1.5, "-1.5"),
        (True, "true"),
        (None, "null"),
        ([1, 2], "[1,2]"),
        ({"k": "v"}, '{"k":"v"}'),
    ],
)
def test_values_reach_the_program_as_they_are(client, value, text):
    told = result_of(client, "args", {"a": value, "b": {"c": "END"}})
    expected = value if text is None else text
    assert told.startswith(f"[{expected}][END][x{expected}y]")


@pytest.mark.parametrize("args", [{"a": 1}, {"a": 1, "b": 2}, {}, None, [1]])
def test_missing_member_is_named(client, args):
    task = failed(client, "args", args, retries=3)
    missing = "b" if args in ({"a": 1}, {"a": 1, "b": 2}) else "a"
    assert f"args.{missing}" in task["error"]["message"]
    assert task["error"]["data"]["retryable"] is False
    assert task["attempt"] == 1


@pytest.mark.parametrize(
    "value", [None, 1, "é\n", {"a": [1, {"b": 0.1}]}, "x" * 300000]
)
def test_program_reads_the_arguments_as_json(client, value):
    assert result_of(client, "cat", value) == value


def test_program_need_not_read_its_input(client):
    args = {"text": "ok", "more": "x" * 500000}
    assert result_of(client, "plain", args) == "ok"


def test_environment_tells_of_the_task(client):
    ident = client.submit("env")
    (task,) = client.wait(ident)
    env = dict(
        line.split("=", 1)
        for line in task["result"].splitlines()
        if "=" in line
    )
    assert env["GANGER_TASK_ID"] == str(ident)
    assert env["GANGER_TASK_NAME"] == "env"
    assert env["GANGER_ATTEMPT"] == "1"
    assert env["PATH"] == os.environ["PATH"]


# What comes out


@pytest.mark.parametrize(
    "text, result",
    [
        ("", ""),
        ("word", "word"),
        ("word\\n", "word"),
        ("word\\n\\n", "word\n"),
        ("two\\nlines\\n", "two\nlines"),
        ("12", 12),
        ("12\\n", 12),
        (' {"a": [1]}\\n', {"a": [1]}),
        ("null", None),
        ("true", True),
        ('"text"', "text"),
        ("{not json}", "{not json}"),
        ("1 2", "1 2"),
    ],
)
def test_output_is_json_or_else_text(client, text, result):
    assert result_of(client, "plain", {"text": text}) == result


def test_output_that_is_no_utf8_is_made_so(client):
    result = result_of(client, "plain", {"text": "a\\0377b\\0000c"})
    assert result == "a?b?c"


def test_output_may_be_big(client):
    assert result_of(client, "flood", {"bytes": 900000}) == "o" * 900000


def test_output_over_the_limit_fails_the_task(client):
    task = failed(client, "flood", {"bytes": 50 << 20}, retries=3)
    assert task["error"]["code"] == -32014
    assert task["error"]["data"]["retryable"] is False
    assert task["attempt"] == 1


# How it ends


@pytest.mark.parametrize("status", [1, 2, 64, 74, 76, 255])
def test_exit_status_is_a_failure_for_good(client, status):
    args = {"status": status, "text": "the reason"}
    task = failed(client, "status", args, retries=3)
    error = task["error"]
    assert error["code"] == status
    assert "status" in error["message"] and str(status) in error["message"]
    assert error["message"].endswith("the reason")
    assert "first" not in error["message"]
    assert error["data"]["status"] == status
    assert error["data"]["stderr"] == "first\nthe reason\n"
    assert error["data"]["retryable"] is False
    assert task["attempt"] == 1


def test_exit_status_75_is_tried_again(client):
    task = client.call("again", backoff_ms=1)
    assert (task["result"], task["attempt"]) == (3, 3)
    error = failed(client, "again", retries=1, backoff_ms=1)["error"]
    assert (error["code"], error["data"]["retryable"]) == (75, True)


def test_death_by_a_signal_is_tried_again(client):
    task = failed(client, "signal", {"signal": 9}, retries=1, backoff_ms=1)
    error = task["error"]
    assert error["code"] == 128 + 9
    assert error["data"]["signal"] in (9, "SIGKILL", "KILL")
    assert error["data"]["retryable"] is True
    assert task["attempt"] == 2


def test_only_the_end_of_stderr_is_kept(client):
    error = failed(client, "noise", {"bytes": 5 << 20})["error"]
    assert error["code"] == 3
    assert 0 < len(error["data"]["stderr"]) <= 4096


@pytest.mark.parametrize("name", ["missing", "folder"])
def test_program_that_can_not_be_run_is_named(client, name):
    task = failed(client, name, retries=3)
    path = "/no/such/program" if name == "missing" else "/tmp"
    assert path in task["error"]["message"]
    assert task["error"]["data"]["retryable"] is False
    assert task["attempt"] == 1


# Time limits, and what a program leaves behind


def read_pids(path):
    def read():
        if not pathlib.Path(path).exists():
            return None
        text = pathlib.Path(path).read_text()
        return [int(word) for word in text.split()] if "\n" in text else None

    return wait_until(read, f"pids in {path}")


def assert_all_die(pids):
    wait_until(
        lambda: not any(map(is_alive, pids)), f"{pids} are gone", seconds(5)
    )


def test_time_limit_kills_the_whole_group(client, folder):
    path = folder / "pids"
    start = time.monotonic()
    task = failed(client, "deaf", {"path": str(path)})
    assert time.monotonic() - start >= 0.5
    pids = read_pids(path)
    assert len(pids) == 2
    assert_all_die(pids)
    assert task["error"]["data"]["retryable"] is True
    assert task["error"]["code"] == 128 + 9
    assert "time" in task["error"]["message"]


def test_time_limit_of_the_task_goes_before(client, folder, gate):
    task = failed(client, "gate", gate.args, timeout_ms=300)
    assert_all_die(read_pids(f"{gate.path}.pid"))
    assert "time" in task["error"]["message"]


def test_time_limit_counts_as_an_attempt(client, gate):
    task = failed(
        client, "gate", gate.args, timeout_ms=100, retries=1, backoff_ms=1
    )
    assert task["attempt"] == 2


def test_children_left_behind_are_killed(client, folder):
    path = folder / "pid"
    client.call("orphan", {"path": str(path)})
    assert_all_die(read_pids(path))


def test_program_starts_clean(client):
    """Its own group, no foreign descriptors, no signal blocked or ignored."""
    text = result_of(client, "show")
    lines = text.splitlines()
    descriptors = [int(line) for line in lines if line.isdigit()]
    assert descriptors[:3] == [0, 1, 2]
    assert len(descriptors) <= 5, text  # the folder's own, and pgid's line
    masks = dict(line.split(":\t") for line in lines if line.startswith("Sig"))
    assert int(masks["SigBlk"], 16) == 0
    assert int(masks["SigIgn"], 16) == 0
    group = int(lines[-1])
    assert group not in (os.getpgid(0), os.getsid(0))


def test_programs_run_at_once(client, gate):
    ids = [client.submit("gate", gate.args) for _ in range(4)]
    client.wait_running(*ids)
    gate.open()
    client.wait(*ids)


def test_program_dies_with_its_worker(daemons, gate):
    daemon = daemons.start(COMMANDS)
    with daemon.client() as client:
        ident = client.submit("gate", gate.args)
        pids = read_pids(f"{gate.path}.pid")
        (worker,) = [
            row["pid"] for row in client.rpc("worker.list") if row["tasks"]
        ]
        os.kill(worker, 9)
        assert_all_die(pids)
        gate.open()
        (task,) = client.wait(ident)
        assert task["state"] == "succeeded"


def test_program_dies_in_a_quick_stop(daemons, gate):
    daemon = daemons.start(COMMANDS)
    with daemon.client() as client:
        client.submit("gate", gate.args)
        pids = read_pids(f"{gate.path}.pid")
        daemon.quit()
        assert_all_die(pids)


def test_commands_and_built_in_tasks_share_a_pool(client):
    assert result_of(client, "echo", 1) == 1


def test_pool_names_its_commands(commands):
    (row,) = commands.rpc("pool.list")
    assert {"cat", "env", "echo"} <= set(row["names"])


def test_commands_run_in_the_pools_folder_and_environment(daemons, folder):
    daemon = daemons.start(
        f"""pool "default" {{ chdir = "{folder}" env = {{"COLOUR=deep red"}}
            command "where" {{ argv = {{"sh", "-c", "pwd; echo $COLOUR"}} }}
        }}"""
    )
    with daemon.client() as client:
        assert result_of(client, "where") == f"{folder}\ndeep red"
