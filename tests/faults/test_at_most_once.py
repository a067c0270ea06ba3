# SPDX-License-Identifier: ISC
"""Tasks that run at most once: an unclean end is a failure, not a new run."""

import os
import signal

import pytest

from ganger import wait_until

INTERNAL = -32603
ONCE = {"delivery": "at_most_once"}


@pytest.fixture
def daemon(daemons, handlers):
    """One process, so that all tasks are siblings."""
    return daemons.start(
        f'pool "default" {{ processes = 1 threads = 4 '
        f'modules = {{"{handlers}"}} }}\n'
        'queue "default" { retries = 3 }\n',
        top='cancel_grace = "200ms"\ndebug_handlers = yes\n',
    )


@pytest.fixture
def client(daemon):
    with daemon.client() as client:
        yield client


@pytest.fixture(params=[True, False], ids=["durable", "volatile"])
def once(request):
    """The parameters of such a task, of either store."""
    return {**ONCE, "durable": request.param}


def start(client, name, args, **more):
    ident = client.submit(name, args, **more)
    wait_until(
        lambda: "progress" in client.task(ident), f"task {ident} has begun"
    )
    return ident


def assert_failed(client, ident, message):
    (task,) = client.wait(ident)
    assert (task["state"], task["run"]) == ("failed", 1)
    assert message in task["error"]["message"]
    assert task["delivery"] == "at_most_once"
    if task["error"]["code"] == INTERNAL:
        assert task["error"]["data"] == {"retryable": False}
        assert "at most once" in task["error"]["message"] or task["crashes"]
    return task


def test_it_runs_as_others_do(client, once):
    for i in range(20):
        (task,) = client.wait(client.submit("echo", i, **once))
        assert (task["state"], task["result"]) == ("succeeded", i)


def test_handler_error_is_not_retried(client, once):
    args = {"message": "no", "retryable": True}
    ident = client.submit("fail", args, **once)
    assert_failed(client, ident, "no")


def test_snooze_is_a_run_that_has_not_begun(client, once, tmp_path):
    args = {"path": str(tmp_path / "seen"), "delay_ms": 1}
    (task,) = client.wait(client.submit("snooze", args, **once))
    assert (task["state"], task["run"]) == ("succeeded", 2)


def test_kill_of_its_worker_fails_it(daemon, client, once, gate):
    ident = start(client, "progress", gate.args, **once)
    other = start(client, "progress", gate.args, retries=0)
    os.kill(daemon.worker_pids()[0], signal.SIGKILL)
    assert_failed(client, ident, "its worker died (killed by signal 9")
    gate.open()
    assert client.wait(other)[0]["state"] == "succeeded"


def test_crash_of_a_sibling_fails_it(client, once, gate):
    ident = start(client, "progress", gate.args, **once)
    (guilty,) = client.wait(client.submit("crash", {"signal": 6}, retries=0))
    message = f"task {guilty['id']} ended its worker (killed by signal 6"
    assert_failed(client, ident, message)


def test_crash_of_its_own_fails_it(client, once):
    ident = client.submit("crash", {"signal": 6}, **once)
    assert assert_failed(client, ident, "died")["crashes"] == 1


def test_time_limit_fails_it(client, once, gate):
    ident = client.submit("deaf", gate.args, timeout_ms=200, **once)
    task = assert_failed(client, ident, "time limit")
    assert task["error"]["data"] == {"retryable": False}


def test_kill_for_a_sibling_fails_it(client, once, gate):
    """It has had the grace, and has not ended."""
    ident = start(client, "stuck", gate.args, **once)
    late = client.submit("deaf", gate.args, timeout_ms=200, retries=0)
    assert client.wait(late)[0]["error"]["code"] == -32018
    message = "its worker was killed for a task over its time limit"
    assert_failed(client, ident, message)


def test_forced_cancel_of_a_sibling_fails_it(client, once, gate):
    ident = start(client, "stuck", gate.args, **once)
    other = start(client, "stuck", gate.args)
    client.rpc("task.cancel", {"ids": [other], "force": True})
    message = "its worker was killed for a cancelled task that does not end"
    assert_failed(client, ident, message)


def test_quick_stop_fails_it(daemon, client, gate):
    """It outlives the daemon, so that it is told by the next one."""
    ident = start(client, "stuck", gate.args, durable=True, **ONCE)
    daemon.send_signal(signal.SIGQUIT)
    daemon.wait_exit()
    gate.open()
    daemon.start()
    with daemon.client() as again:
        message = "a stop or a reload cut it while it ran"
        assert_failed(again, ident, message)


def test_cancel_of_one_that_runs_is_a_cancel(client, once, gate):
    ident = start(client, "progress", gate.args, **once)
    client.rpc("task.cancel", {"id": ident})
    assert client.wait(ident)[0]["state"] == "cancelled"


def test_restart_of_the_pool_lets_it_end(daemon, client, once, gate):
    ident = start(client, "progress", gate.args, **once)
    client.rpc("pool.restart")
    gate.open()
    assert client.wait(ident)[0]["run"] == 1


def test_retries_are_refused(client):
    error = client.error(
        "task.submit", {"name": "echo", "retries": 1, **ONCE}
    )
    assert (error.code, error.data["param"]) == (-32602, "retries")
