# SPDX-License-Identifier: ISC
"""ganger's commands for administrators: what they ask, print and exit with.

Against a daemon that only pretends, so that every answer can be had.
"""

import json

import pytest

from ganger import GANGER

pytestmark = pytest.mark.skipif(
    not GANGER.exists(), reason="ganger is not built"
)

OK, USAGE, DATA, AGAIN, NOT_PERMITTED, CONFIG = 0, 64, 65, 75, 77, 78

RELOADED = {"changed": ["pool mail: added", "pool x: gone"]}


def refusal(code, message, **data):
    return {
        "code": code,
        "message": message,
        "data": {"retryable": False, **data},
    }


# reload


def test_reload_prints_what_changed(ganger):
    answer = {**RELOADED, "needs_restart": []}
    done = ganger({"server.reload": answer}, "reload")
    assert done.requests == [("server.reload", {})]
    assert (done.returncode, done.stderr) == (OK, "")
    assert done.stdout == "pool mail: added\npool x: gone\n"


def test_reload_of_the_same_says_so(ganger):
    answer = {"changed": [], "needs_restart": []}
    done = ganger({"server.reload": answer}, "reload")
    assert (done.returncode, done.stdout) == (OK, "nothing has changed\n")


def test_reload_warns_of_what_needs_a_restart(ganger):
    answer = {**RELOADED, "needs_restart": ["socket", "state_dir"]}
    done = ganger({"server.reload": answer}, "reload")
    assert done.returncode == OK
    assert "needs a restart of gangerd: socket, state_dir\n" in done.stderr
    assert "socket" not in done.stdout


def test_reload_as_json_is_one_document(ganger):
    answer = {**RELOADED, "needs_restart": ["socket"]}
    done = ganger({"server.reload": answer}, "--json", "reload")
    assert json.loads(done.stdout) == answer


def test_refused_configuration_prints_its_mistakes(ganger):
    mistakes = ["/etc/x.conf:3: unknown key", "/etc/x.conf:9: no \x1b[31mfile"]
    answer = refusal(-32021, "the configuration is wrong", mistakes=mistakes)
    done = ganger({"server.reload": answer}, "reload")
    assert (done.returncode, done.stdout) == (CONFIG, "")
    lines = done.stderr.splitlines()
    assert "the configuration is wrong" in lines[0]
    assert lines[1] == mistakes[0]
    assert lines[2] == "/etc/x.conf:9: no ?[31mfile"


@pytest.mark.parametrize("command", ["reload", "upgrade", "restart"])
@pytest.mark.parametrize(
    "code,retryable,status",
    [
        (-32021, True, AGAIN),
        (-32021, False, CONFIG),
        (-32001, False, NOT_PERMITTED),
        (-32015, True, AGAIN),
    ],
)
def test_refusals_have_their_exit_status(
    ganger, command, code, retryable, status
):
    answer = refusal(code, "not now", retryable=retryable)
    methods = "server.reload", "server.upgrade", "pool.restart"
    done = ganger(dict.fromkeys(methods, answer), command)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr == f"ganger: {command}: not now\n"


# upgrade


def test_upgrade_tells_the_version_that_runs(ganger):
    answer = {"version": "9.8.7", "pid": 4711}
    done = ganger({"server.upgrade": answer}, "upgrade")
    assert done.requests == [("server.upgrade", {})]
    assert (done.returncode, done.stdout) == (
        OK,
        "version 9.8.7 runs, pid 4711\n",
    )
    done = ganger({"server.upgrade": answer}, "upgrade", "--json")
    assert json.loads(done.stdout) == answer


# scale


@pytest.mark.parametrize(
    "args,params",
    [
        (["mail", "3"], {"processes": 3}),
        (["mail", "+2"], {"by": 2}),
        (["mail", "-1"], {"by": -1}),
        (["mail", "-12"], {"by": -12}),
        (["--", "mail", "-1"], {"by": -1}),
        (["mail", "-1", "--json"], {"by": -1}),
    ],
    ids=str,
)
def test_scale_asks_for_a_number_or_a_difference(ganger, args, params):
    answer = {"pool": "mail", "processes": 5}
    done = ganger({"pool.scale": answer}, "scale", *args)
    assert done.requests == [("pool.scale", {"pool": "mail", **params})]
    assert done.returncode == OK
    if "--json" in args:
        assert json.loads(done.stdout) == answer
    else:
        assert done.stdout == "mail: 5 processes\n"


def test_scale_to_one_is_told_in_the_singular(ganger):
    answer = {"pool": "mail", "processes": 1}
    done = ganger({"pool.scale": answer}, "scale", "mail", "1")
    assert done.stdout == "mail: 1 process\n"


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["mail"],
        ["-1"],
        ["mail", "many"],
        ["mail", "0"],
        ["mail", "-0"],
        ["mail", "+0"],
        ["mail", "--1"],
        ["mail", "-1x"],
        ["mail", "1", "2"],
        ["mail", "1", "-2"],
        ["mail", "99999"],
    ],
    ids=" ".join,
)
def test_scale_with_wrong_words_is_64(ganger, args):
    done = ganger({}, "scale", *args)
    assert (done.returncode, done.requests) == (USAGE, [])


# restart


def test_restart_tells_the_pools_that_are_new(ganger):
    answer = {"pools": ["default", "mail"]}
    done = ganger({"pool.restart": answer}, "restart")
    assert done.requests == [("pool.restart", {})]
    assert done.stdout.splitlines() == [
        "default: all workers are new",
        "mail: all workers are new",
    ]
    done = ganger({"pool.restart": {"pools": ["mail"]}}, "restart", "mail")
    assert done.requests == [("pool.restart", {"pool": "mail"})]


# dump


def test_dump_prints_the_text_as_it_is(ganger):
    text = "thread 1\n    #0 pause\n\nthread 2\n\t#0 \x1b[2Jread\n"
    answer = {"worker": "default/1", "pid": 7, "text": text}
    done = ganger({"worker.dump": answer}, "dump", "default/1")
    assert done.requests == [("worker.dump", {"worker": "default/1"})]
    assert done.returncode == OK
    assert done.stdout == (
        "thread 1\n    #0 pause\n\nthread 2\n #0 ?[2Jread\n"
    )
    done = ganger({"worker.dump": answer}, "dump", "default/1", "--json")
    assert json.loads(done.stdout) == answer


def test_dump_of_no_worker_is_65(ganger):
    answer = refusal(-32017, 'no such worker "x"', param="worker")
    done = ganger({"worker.dump": answer}, "dump", "x")
    assert (done.returncode, done.stdout) == (DATA, "")


# What flaps is said


def pool_row(state, alive, target, name="mail"):
    return {
        **{"name": name, "state": state, "target": target},
        **{"processes": 2, "alive": alive, "threads": 1, "busy": 0, "restarts": 9},
        **{"queues": [], "names": []},
    }


def status_of(ganger, *pools):
    info = {"name": "ganger", "version": "1", "state": "running", "pid": 1}
    done = ganger(
        {
            "server.info": info,
            "server.stats": {},
            "pool.list": list(pools),
            "queue.list": [],
        },
        "status",
    )
    assert done.returncode == OK
    return done.stdout


def test_status_is_loud_about_a_pool_that_flaps(ganger):
    out = status_of(ganger, pool_row("flapping", 0, 4))
    assert "! pool mail is flapping" in out
    assert "0/4" in out


def test_status_tells_alive_of_wanted_and_is_calm_about_what_leaves(ganger):
    out = status_of(
        ganger, pool_row("leaving", 1, 4), pool_row("up", 3, 4, "web")
    )
    assert "pool mail" not in out
    assert "! pool web has 3 of its 4 processes" in out
    assert "leaving" in out and "1/4" in out


@pytest.mark.parametrize("command", ["submit", "call"])
def test_warning_of_a_submit_is_printed_on_stderr(ganger, command):
    warning = "pool mail is flapping: its workers die soon after their start"
    task = {"id": 7, "state": "succeeded", "result": 42}
    done = ganger(
        {
            "task.submit": {
                **{"id": 7, "state": "ready", "duplicate": False},
                "warning": warning,
            },
            "task.wait": {"done": [task], "pending": []},
        },
        command,
        "echo",
    )
    assert (done.returncode, done.stderr) == (
        OK,
        f"ganger: {command}: task 7 was accepted, and waits: {warning}\n",
    )
    assert done.stdout == ("7\n" if command == "submit" else "42\n")


def test_workers_show_memory_and_the_age_of_tasks(ganger):
    row = {
        **{"worker": "default/1", "pool": "default", "pid": 7},
        **{"state": "busy", "threads": 2, "running": 1, "tasks": [12]},
        **{"tasks_done": 3, "rss_bytes": 3 << 20},
        "runs": [{"id": 12, "name": "sleep", "running_ms": 3200}],
        "started_at": "2026-11-21T06:50:30.001Z",
    }
    done = ganger({"worker.list": [row]}, "workers")
    assert done.returncode == OK
    assert "3.0 MiB" in done.stdout
    assert "12 (3.2 s)" in done.stdout
