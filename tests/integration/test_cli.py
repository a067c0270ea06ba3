# SPDX-License-Identifier: ISC
"""The command line, ganger: what it prints, and how it exits."""

import datetime
import json
import os
import re
import signal
import subprocess

import pytest

from ganger import GANGER, LIMIT, scaled, wait_until

pytestmark = pytest.mark.skipif(
    not GANGER.exists(), reason="ganger is not built"
)

OK, FAILED, USAGE, DATA = 0, 1, 64, 65
NO_DAEMON, AGAIN, NOT_PERMITTED = 69, 75, 77


@pytest.fixture(scope="module")
def cli(shared_daemons, handlers):
    """A daemon, and run(), which runs ganger against it."""
    daemon = shared_daemons.start(
        f"""pool "default" {{ processes = 2 threads = 2
            modules = {{"{handlers}"}} queues = {{"default", "other"}} }}"""
    )
    return Cli(daemon)


class Cli:
    def __init__(self, daemon):
        self.daemon = daemon
        self.env = {
            "PATH": os.environ["PATH"],
            "GANGER_SOCKET": str(daemon.socket),
        }

    def spawn(self, *args, **kwargs):
        return subprocess.Popen(
            [GANGER, *map(str, args)],
            env=self.env,
            stdin=kwargs.pop("stdin", subprocess.DEVNULL),
            stdout=subprocess.PIPE,
            stderr=kwargs.pop("stderr", subprocess.PIPE),
            text=True,
            **kwargs,
        )

    def run(self, *args, stdin="", **kwargs):
        return subprocess.run(
            [GANGER, *map(str, args)],
            env=self.env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=LIMIT * 4,
            **kwargs,
        )

    def out(self, *args, stdin=""):
        """What a command that must go well prints."""
        done = self.run(*args, stdin=stdin)
        assert (done.returncode, done.stderr) == (OK, ""), done
        return done.stdout

    def json(self, *args):
        """The documents that it prints with --json."""
        return [json.loads(x) for x in self.out("--json", *args).splitlines()]


# Usage


def test_help_names_every_command(cli):
    text = cli.out("--help")
    for command in [
        *("submit", "call", "map", "wait", "result", "show", "cancel"),
        *("status", "queues", "workers", "tasks", "ping", "stop"),
        *("reload", "upgrade", "scale", "restart", "dump"),
        *("retry", "delete", "pause", "resume", "purge"),
    ]:
        assert re.search(rf"^\s+{command}\b", text, re.M), command
        assert command in cli.out(command, "--help")


def test_version(cli):
    assert re.search(r"\d+\.\d+\.\d+", cli.out("--version"))


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["frobnicate"],
        ["--frobnicate"],
        ["submit"],
        ["submit", "--frobnicate", "echo"],
        ["submit", "-p", "high", "echo"],
        ["submit", "--delay", "soon", "echo"],
        ["submit", "--at", "tomorrow", "echo"],
        ["call"],
        ["map"],
        ["wait"],
        ["wait", "x"],
        ["result"],
        ["show", "-5x"],
        ["cancel"],
        ["ping", "extra"],
        ["tasks", "-n", "all"],
        ["reload", "now"],
        ["upgrade", "2.0"],
        ["restart", "one", "two"],
        ["dump"],
        ["dump", "default/1", "default/2"],
        ["-s"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_64(cli, args):
    done = cli.run(*args)
    assert done.returncode == USAGE
    assert done.stdout == ""
    assert done.stderr.startswith("ganger: ")


ALL = [
    ["submit", "echo"],
    ["call", "echo"],
    ["map", "echo"],
    ["wait", "1"],
    ["result", "1"],
    ["show", "1"],
    ["cancel", "1"],
    ["retry", "1"],
    ["delete", "1"],
    ["tasks"],
    ["queues"],
    ["pause", "default"],
    ["resume", "default"],
    ["purge", "default"],
    ["workers"],
    ["status"],
    ["ping"],
    ["scale", "default", "+1"],
    ["restart"],
    ["dump", "default/1"],
    ["reload"],
    ["upgrade"],
    ["stop"],
]


@pytest.mark.parametrize("args", ALL, ids=" ".join)
def test_no_daemon_is_69(folder, args):
    done = subprocess.run(
        [GANGER, "-s", folder / "none", *args],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == NO_DAEMON
    assert str(folder / "none") in done.stderr


def test_socket_option_goes_before_the_environment(cli):
    env = {**cli.env, "GANGER_SOCKET": "/no/such/socket"}
    option = ["-s", cli.daemon.socket]
    for words in ([*option, "ping"], ["ping", *option]):
        done = subprocess.run(
            [GANGER, *words], env=env, capture_output=True, timeout=LIMIT
        )
        assert done.returncode == OK


# ping, submit, call


def test_ping(cli):
    assert str(cli.daemon.socket) in cli.out("ping")
    (answer,) = cli.json("ping")
    assert isinstance(answer, dict)


def test_submit_prints_the_id_alone(cli):
    ident = int(cli.out("submit", "echo", '{"a": 1}'))
    assert cli.out("wait", ident).split() == [str(ident), "succeeded"]
    (task,) = cli.json("show", ident)
    assert task["args"] == {"a": 1}


def test_submit_passes_its_options_on(cli):
    text = cli.out(
        *("submit", "-q", "other", "-p", "9", "--delay", "1h"),
        *("--expires", "2h", "--retries", "7", "--timeout", "5m", "echo"),
    )
    (task,) = cli.json("show", int(text))
    assert (task["queue"], task["priority"]) == ("other", 9)
    assert task["state"] == "scheduled"
    cli.out("cancel", int(text))


def test_submit_at_a_time(cli):
    year = datetime.date.today().year + 2
    when = f"{year}-01-01T00:00:00+01:00"
    ident = int(cli.out("submit", "--at", when, "echo"))
    (task,) = cli.json("show", ident)
    assert task["run_at"] == f"{year - 1}-12-31T23:00:00.000Z"
    cli.out("cancel", ident)


def test_submit_and_wait(cli):
    done = cli.run("submit", "--wait", "echo")
    assert done.returncode == OK
    done = cli.run("submit", "--wait", "fail", "message=no luck")
    assert done.returncode == FAILED
    assert "no luck" in done.stderr


@pytest.mark.parametrize(
    "words, value",
    [
        ([], None),
        (["null"], None),
        (["12"], 12),
        (['"text"'], "text"),
        (["[1, 2]"], [1, 2]),
        (['{"a": "é"}'], {"a": "é"}),
        (["a=1", "b=text", "c=[true]", "d=", "e=x=y"], None),
    ],
)
def test_call_prints_the_result_alone(cli, words, value):
    if len(words) == 5:
        value = {"a": 1, "b": "text", "c": [True], "d": "", "e": "x=y"}
    text = cli.out("call", "echo", *words)
    assert json.loads(text) == value
    assert text.count("\n") == 1 and text.endswith("\n")


def test_call_reads_its_arguments_from_stdin(cli):
    value = {"big": "x" * 300000}
    text = cli.out("call", "echo", "-", stdin=json.dumps(value))
    assert json.loads(text) == value


@pytest.mark.parametrize("word", ["{", "text", "[1", ""])
def test_arguments_that_are_no_json_are_told(cli, word):
    done = cli.run("call", "echo", word)
    assert done.returncode in (USAGE, DATA)
    assert "JSON" in done.stderr or "empty" in done.stderr


def test_call_of_a_failing_task(cli):
    done = cli.run("call", "fail", "message=no luck")
    assert (done.returncode, done.stdout) == (FAILED, "")
    assert "no luck" in done.stderr


def test_call_of_an_unknown_name_tells_the_known_ones(cli):
    done = cli.run("call", "ehco")
    assert done.returncode == DATA
    assert "ehco" in done.stderr and "sha512" in done.stderr


def test_control_bytes_of_a_task_do_not_reach_the_terminal(cli):
    done = cli.run("call", "fail", '{"message": "a\\u001b[2Jb"}')
    assert "\x1b" not in done.stderr


# wait, result, show, cancel, tasks


def test_wait_for_several(cli):
    ids = [cli.out("submit", "echo").strip() for _ in range(3)]
    lines = cli.out("wait", *ids).splitlines()
    assert sorted(line.split()[0] for line in lines) == sorted(ids)
    assert [task["state"] for task in cli.json("wait", *ids)] == [
        "succeeded"
    ] * 3


def test_wait_tells_of_a_failure(cli):
    ident = cli.out("submit", "fail").strip()
    assert cli.run("wait", ident).returncode == FAILED


def test_wait_gives_up_in_time(cli):
    ident = cli.out("submit", "--delay", "1h", "echo").strip()
    done = cli.run("wait", "--timeout", "50ms", ident)
    assert done.returncode == AGAIN
    cli.out("cancel", ident)


def test_result(cli):
    ident = cli.out("submit", "echo", "[1]").strip()
    cli.out("wait", ident)
    assert json.loads(cli.out("result", ident)) == [1]


def test_result_of_an_unfinished_task(cli, gate):
    ident = cli.out("submit", "gate", json.dumps(gate.args)).strip()
    assert cli.run("result", ident).returncode == AGAIN
    gate.open()
    assert json.loads(cli.out("result", "--wait", ident))["name"] == "gate"


def test_result_of_a_failed_task(cli):
    ident = cli.out("submit", "fail", "message=no luck").strip()
    cli.run("wait", ident)
    done = cli.run("result", ident)
    assert done.returncode == FAILED
    assert "no luck" in done.stderr


@pytest.mark.parametrize("command", ["wait", "result", "show", "cancel"])
def test_unknown_task_is_told(cli, command):
    done = cli.run(command, "999999999")
    assert done.returncode == DATA
    assert "999999999" in done.stderr


def test_show_is_for_people_and_for_programs(cli):
    ident = cli.out("submit", "echo", '["shown"]').strip()
    cli.out("wait", ident)
    text = cli.out("show", ident)
    assert ident in text and "succeeded" in text and "shown" in text
    (task,) = cli.json("show", ident)
    assert task["id"] == int(ident)


def test_cancel(cli):
    ident = cli.out("submit", "--delay", "1h", "echo").strip()
    assert "1" in cli.out("cancel", ident)
    assert cli.run("cancel", ident).returncode != OK
    assert cli.run("wait", ident).returncode == FAILED


def test_tasks_lists_the_newest_first(cli):
    ids = [cli.out("submit", "echo").strip() for _ in range(3)]
    cli.out("wait", *ids)
    assert [str(task["id"]) for task in cli.json("tasks", "-n", 3)] == ids[::-1]
    text = cli.out("tasks", "-n", 3)
    assert re.search(rf"^\s*{ids[0]}\s+succeeded\s+echo", text, re.M)
    failed = cli.json("tasks", "--state", "failed")
    assert all(task["state"] == "failed" for task in failed)


# Overviews


def test_queues(cli):
    assert re.search(r"^other\b", cli.out("queues"), re.M)
    assert {row["name"] for row in flat(cli.json("queues"))} == {
        "default",
        "other",
    }


def test_workers(cli):
    pids = cli.daemon.worker_pids()
    text = cli.out("workers")
    assert all(str(pid) in text for pid in pids)
    assert sorted(row["pid"] for row in flat(cli.json("workers"))) == pids


def test_status(cli):
    text = cli.out("status")
    assert "default" in text
    assert str(cli.daemon.pid) in text
    assert cli.json("status")


def flat(documents):
    """Rows, whether they came as a list or as a line each."""
    if len(documents) == 1 and isinstance(documents[0], list):
        return documents[0]
    return documents


def test_output_in_a_pipe_is_plain(cli):
    for args in (["status"], ["workers"], ["tasks"], ["queues"]):
        assert "\x1b" not in cli.out(*args)


# Ends


def test_interrupted_wait_ends_at_once(cli):
    ident = cli.out("submit", "--delay", "1h", "echo").strip()
    process = cli.spawn("wait", ident)
    wait_until(
        lambda: cli.daemon.rpc("server.stats")["waiters"] == 1, "it waits"
    )
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LIMIT)
    assert process.returncode in (130, -signal.SIGINT)
    cli.out("cancel", ident)


def test_full_output_is_an_error(cli):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [GANGER, "status"], env=cli.env, stdout=full, stderr=-1
        )
    assert done.returncode not in (OK, FAILED)
    assert b"No space" in done.stderr


def test_draining_daemon_is_75(daemons, handlers, gate):
    daemon = daemons.start(f'pool "default" {{ modules = {{"{handlers}"}} }}')
    run = Cli(daemon).run
    with daemon.client() as client:
        client.wait_running(client.submit("gate", gate.args))
        daemon.send_signal(signal.SIGTERM)
        wait_until(
            lambda: client.rpc("server.info")["state"] == "draining", "drains"
        )
        done = run("submit", "echo")
        assert done.returncode == AGAIN
        gate.open()
        daemon.stop()


def test_stop_waits_until_the_daemon_is_gone(daemons):
    daemon = daemons.start()
    done = Cli(daemon).run("stop")
    assert (done.returncode, done.stderr) == (OK, "")
    assert daemon.wait_exit(5) == 0
    daemon.stop()


def test_stop_now_does_not_wait_for_tasks(daemons):
    daemon = daemons.start()
    with daemon.client() as client:
        ident = client.submit("sleep", {"seconds": 1000})
        client.wait_running(ident)
        assert Cli(daemon).run("stop", "--now").returncode == OK
    assert daemon.wait_exit(5) == 0
    daemon.stop()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_stranger_may_not_stop_it(daemons):
    daemon = daemons.make(top='socket_mode = "0666"')
    daemon.dir.chmod(0o755)
    daemon.start()
    try:
        done = Cli(daemon).run("stop", user=65534, group=65534)
    except PermissionError:
        pytest.skip("the build is hidden from others")
    assert done.returncode == NOT_PERMITTED
    assert daemon.rpc("server.ping") == "pong"


def test_demo_of_many(cli):
    """submit in a loop, as a script would do it."""
    ids = [cli.out("submit", "echo", i).strip() for i in range(scaled(20, 5))]
    cli.out("wait", *ids)
    results = [json.loads(cli.out("result", ident)) for ident in ids]
    assert results == list(range(len(ids)))
