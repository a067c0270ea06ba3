# SPDX-License-Identifier: ISC
"""One task is at fault, and its siblings in the process are not: 10 to 12."""

import json
import re

import pytest

from ganger import SANITIZED, wait_until

CRASHES = [{"signal": 11}, {"signal": 6}, {"exit": 0}, {"exit": 3}]


@pytest.fixture
def daemon(daemons, handlers):
    """One process, so that all tasks are siblings."""
    return daemons.start(
        f'pool "default" {{ processes = 1 threads = 4 '
        f'modules = {{"{handlers}"}} }}\n',
        top='debug_handlers = yes\ncancel_grace = "300ms"\n',
    )


def skip_if_reported(how):
    if SANITIZED and how.get("signal") == 11:
        pytest.skip("the sanitizer would report it")


def start_siblings(client, gate, count=3):
    ids = [client.submit("gate", gate.args, retries=0) for _ in range(count)]
    client.wait_running(*ids)
    return ids


def wait_second_run(client, ids):
    """All of them run again, at the same time: no one suspects them."""
    wait_until(
        lambda: all(
            (task["state"], task["run"]) == ("running", 2)
            for task in map(client.task, ids)
        ),
        "all run again together",
    )


@pytest.mark.parametrize("how", CRASHES, ids=str)
def test_siblings_of_a_task_that_crashes_are_run_again_for_free(
    daemon, gate, how
):
    skip_if_reported(how)
    with daemon.client() as client:
        siblings = start_siblings(client, gate)
        crash = client.submit("crash", how, retries=0)
        (task,) = client.wait(crash)
        assert task["state"] == "failed"
        assert (task["attempt"], task["run"]) == (1, 1)
        wait_second_run(client, siblings)
        gate.open()
        for task in client.wait(*siblings):
            assert (task["state"], task["attempt"]) == ("succeeded", 1)


@pytest.mark.parametrize("form", ["text", "json"])
def test_stack_of_a_crash_is_as_loud_as_its_death(daemons, form):
    if SANITIZED:
        pytest.skip("the sanitizer would report it")
    daemon = daemons.start(
        'pool "default" { processes = 1 }\n',
        top=f'debug_handlers = yes log_level = "warn" log_format = "{form}"',
    )
    (pid,) = daemon.wait_workers(1)
    with daemon.client() as client:
        client.wait(client.submit("crash", {"signal": 11}, retries=0))
    daemon.stop()
    if form == "json":
        lines = [json.loads(line) for line in daemon.log().splitlines()]
        told = [row["message"] for row in lines if row["pid"] == pid]
        assert {row["level"] for row in lines} == {"warn"}
    else:
        told = re.findall(rf"Z warn  worker .*\[{pid}\]: (.*)", daemon.log())
    assert told[0].startswith("fatal signal 11")
    assert any("crash_run" in line for line in told), daemon.log()


@pytest.mark.parametrize("how", CRASHES, ids=str)
def test_error_and_log_name_the_culprit_and_what_it_did(daemon, gate, how):
    skip_if_reported(how)
    with daemon.client() as client:
        siblings = start_siblings(client, gate)
        (worker,) = client.rpc("worker.list")
        crash = client.submit("crash", how, retries=0)
        (task,) = client.wait(crash)
        (kind, number), *_ = how.items()
        words = {"signal": r"signal|SIG|Segmentation|Abort", "exit": "exit"}
        assert re.search(words[kind], task["error"]["message"])
        gate.open()
        client.wait(*siblings)
    assert re.search(
        rf"{worker['worker']}, pid {worker['pid']}, .*"
        rf"\btask {crash} is to blame$",
        daemon.log(),
        re.M,
    ), daemon.log()


@pytest.mark.parametrize("how", CRASHES, ids=str)
def test_task_that_always_kills_its_worker_is_quarantined_after_three(
    daemon, gates, how
):
    """Whoever runs beside it loses nothing, and the pool does not flap."""
    skip_if_reported(how)
    gate = gates()
    with daemon.client() as client:
        siblings = start_siblings(client, gate)
        crash = client.submit("crash", how, retries=50, backoff_ms=1)
        (task,) = client.wait(crash)
        assert (task["state"], task["run"]) == ("quarantined", 3)
        gate.open()
        for task in client.wait(*siblings):
            assert (task["state"], task["attempt"]) == ("succeeded", 1)
        assert client.call("echo", 1)["result"] == 1
        assert client.rpc("pool.list")[0]["state"] == "up"


def test_task_over_its_limit_is_charged_alone(daemon, gate):
    """It computes for ever; the others in its process lose no attempt."""
    with daemon.client() as client:
        siblings = start_siblings(client, gate)
        never = {"path": gate.args["path"] + "-never"}
        spin = client.submit("spin", never, timeout_ms=300, retries=0)
        (task,) = client.wait(spin)
        assert (task["state"], task["attempt"]) == ("failed", 1)
        assert task["error"]["code"] == -32018
        gate.open()
        for task in client.wait(*siblings):
            assert (task["state"], task["attempt"]) == ("succeeded", 1)
            assert task["run"] <= 2
        assert client.rpc("pool.list")[0]["state"] == "up"


def test_others_work_on_beside_a_thread_that_never_waits(daemon, gate):
    with daemon.client() as client:
        spin = client.submit("spin", gate.args)
        client.wait_running(spin)
        for i in range(200):
            assert client.call("echo", i)["result"] == i
        (row,) = client.rpc("worker.list")
        assert row["tasks"] == [spin]
        gate.open()
        assert client.wait(spin)[0]["run"] == 1
    assert daemon.pool()["restarts"] == 0
