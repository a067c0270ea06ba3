# SPDX-License-Identifier: ISC
"""A cancel of tasks that run: asked first, and by force when that is wanted."""

import os
import signal
import time

import pytest

from ganger import seconds, wait_until

GRACE = 0.5
TOP = f'cancel_grace = "{int(GRACE * 1000)}ms"\n'

# What a shell does when it is asked to end: gives up, finishes, or goes on.
COMMANDS = "".join(
    f'command "{name}" {{ argv = {{"sh", "-c", "trap \'{trap}\' TERM; '
    'touch $1; while :; do sleep 0.01; done", "sh", "{args.path}"} }\n'
    for name, trap in (
        ("quits", "exit 3"),
        ("finishes", "echo 17; exit 0"),
        ("goes_on", ""),
    )
)


def config(handlers, threads=4):
    return (
        f'pool "default" {{ processes = 1 threads = {threads} '
        f'modules = {{"{handlers}"}} {COMMANDS} }}\n'
    )


@pytest.fixture(scope="module")
def one(shared_daemons, handlers):
    """One process, so that all tasks are siblings."""
    return shared_daemons.start(config(handlers), top=TOP)


@pytest.fixture
def client(one):
    with one.client() as client:
        yield client


def start(client, name, args, **more):
    """Submit one of those that tell when they have begun."""
    ident = client.submit(name, args, durable=False, **more)
    wait_until(
        lambda: "progress" in client.task(ident), f"task {ident} has begun"
    )
    return ident


def start_command(client, name, folder, **more):
    """Submit a command; it has begun when it reacts to SIGTERM."""
    begun = folder / "begun"
    ident = client.submit(
        name, {"path": str(begun)}, durable=False, **more
    )
    wait_until(begun.exists, f"task {ident} has begun")
    return ident


def cancel(client, *ids, **more):
    answer = client.rpc("task.cancel", {"ids": list(ids), **more})
    assert answer == {"count": 0, "cancelling": len(ids), "skipped": []}


def wait_one(client, ident):
    (task,) = client.wait(ident)
    return task


def test_handler_that_looks_gives_up(client, gate):
    ident = start(client, "progress", gate.args)
    cancel(client, ident)
    task = wait_one(client, ident)
    assert task["state"] == "cancelled"
    assert task["error"]["message"] == "cancelled"
    assert (task["run"], task["attempt"]) == (1, 0)
    assert "finished_at" in task and "result" not in task


def test_sleeping_handler_wakes_at_once(client):
    ident = client.submit("sleep", {"seconds": 3600}, durable=False)
    client.wait_running(ident)
    begin = time.monotonic()
    cancel(client, ident)
    assert wait_one(client, ident)["state"] == "cancelled"
    assert time.monotonic() - begin < seconds(5)


def test_result_in_spite_of_it_counts(client, gate):
    ident = start(client, "stuck", gate.args)
    cancel(client, ident)
    assert client.task(ident)["cancelling"] is True
    gate.open()
    task = wait_one(client, ident)
    assert task["state"] == "succeeded"
    assert "cancelling" not in task


def test_failure_that_could_be_retried_is_not(client):
    ident = client.submit(
        "sleep", {"seconds": 3600}, durable=False, retries=5, backoff_ms=1
    )
    client.wait_running(ident)
    cancel(client, ident)
    task = wait_one(client, ident)
    assert task["error"]["data"]["retryable"] is True
    assert (task["state"], task["run"]) == ("cancelled", 1)


def test_snooze_ends_it_too(client, gate):
    ident = start(client, "put_aside", gate.args)
    cancel(client, ident)
    gate.open()
    task = wait_one(client, ident)
    assert (task["state"], task["run"]) == ("cancelled", 1)


def test_repeated_cancel_changes_nothing(client, gate):
    ident = start(client, "stuck", gate.args)
    for _ in range(3):
        cancel(client, ident)
    gate.open()
    assert wait_one(client, ident)["state"] == "succeeded"


def test_cancel_tells_apart_what_it_finds(client, gate):
    later = client.submit("echo", durable=False, delay_ms=3600000)
    running = start(client, "stuck", gate.args)
    ended = client.call("echo")["id"]
    answer = client.rpc("task.cancel", {"ids": [later, running, ended]})
    assert answer == {
        "count": 1,
        "cancelling": 1,
        "skipped": [{"id": ended, "state": "succeeded"}],
    }
    gate.open()
    client.wait(running)


@pytest.mark.parametrize("name", ["quits", "goes_on"])
def test_command_is_asked_and_killed_after_the_grace(
    one, client, name, tmp_path
):
    pids = one.worker_pids()
    ident = start_command(client, name, tmp_path)
    begin = time.monotonic()
    cancel(client, ident)
    task = wait_one(client, ident)
    took = time.monotonic() - begin
    assert task["state"] == "cancelled"
    if name == "goes_on":
        assert took >= GRACE - 0.05
        assert task["error"]["message"] == "goes_on: cancelled"
    else:
        assert task["error"]["data"]["status"] == 3
    assert one.worker_pids() == pids


def test_command_that_finishes_has_succeeded(client, tmp_path):
    ident = start_command(client, "finishes", tmp_path)
    cancel(client, ident)
    task = wait_one(client, ident)
    assert (task["state"], task["result"]) == ("succeeded", 17)


def test_forced_handler_is_killed_after_the_grace_alone(one, client, gates):
    """Its siblings have that time to end; who has not is run again, free."""
    gate, quick = gates(), gates()
    pids = one.worker_pids()
    sibling = start(client, "progress", gate.args, retries=0)
    ends = start(client, "progress", quick.args, retries=0)
    ident = start(client, "stuck", {"path": gate.args["path"] + "-never"})
    begin = time.monotonic()
    cancel(client, ident, force=True)
    quick.open()
    assert wait_one(client, ends)["run"] == 1
    task = wait_one(client, ident)
    assert time.monotonic() - begin >= GRACE - 0.05
    assert task["state"] == "cancelled"
    assert "killed" in task["error"]["message"]
    assert "crashes" not in task
    wait_until(
        lambda: client.task(sibling)["run"] == 2, "the sibling runs again"
    )
    gate.open()
    task = wait_one(client, sibling)
    assert (task["state"], task["attempt"]) == ("succeeded", 1)
    assert "crashes" not in task and "interrupted" not in task
    one.wait_workers(1, other_than=pids)


def test_process_is_not_fed_while_it_waits_to_be_killed(client, gates):
    gate = gates()
    ident = start(client, "stuck", gate.args)
    cancel(client, ident, force=True)
    waits = client.submit("whoami", durable=False)
    assert client.task(waits)["state"] == "ready"
    gate.open()
    # It has ended by itself, and nobody is killed.
    assert wait_one(client, ident)["state"] == "succeeded"
    assert wait_one(client, waits)["run"] == 1


def test_pardoned_process_works_on(one, client, gate):
    pids = one.worker_pids()
    ident = start(client, "progress", gate.args)
    cancel(client, ident, force=True)
    assert wait_one(client, ident)["state"] == "cancelled"
    for i in range(20):
        assert client.call("echo", i)["result"] == i
    after = client.submit("sleep", {"seconds": 2 * GRACE})
    assert wait_one(client, after)["run"] == 1
    assert one.worker_pids() == pids


def test_force_after_a_cancel_in_vain(one, client, gate):
    pids = one.worker_pids()
    ident = start(client, "stuck", gate.args)
    cancel(client, ident)
    cancel(client, ident, force=True)
    assert wait_one(client, ident)["state"] == "cancelled"
    one.wait_workers(1, other_than=pids)


def test_force_by_filter_after_a_cancel_in_vain(one, client, gate):
    pids = one.worker_pids()
    ident = start(client, "stuck", gate.args)
    cancel(client, ident)
    means = {"filter": {"state": "running", "name": "stuck"}}
    answer = client.rpc("task.cancel", means)
    assert answer == {"count": 0, "cancelling": 0, "skipped": []}
    answer = client.rpc("task.cancel", {**means, "force": True})
    assert answer == {"count": 0, "cancelling": 1, "skipped": []}
    assert wait_one(client, ident)["state"] == "cancelled"
    one.wait_workers(1, other_than=pids)


def test_forced_command_is_killed_and_nothing_else(
    one, client, gate, tmp_path
):
    pids = one.worker_pids()
    sibling = start(client, "progress", gate.args, retries=0)
    ident = start_command(client, "goes_on", tmp_path)
    cancel(client, ident, force=True)
    assert wait_one(client, ident)["state"] == "cancelled"
    assert client.call("echo", 1)["result"] == 1
    gate.open()
    assert wait_one(client, sibling)["run"] == 1
    assert one.worker_pids() == pids


def test_crash_of_the_worker_leaves_it_cancelled(daemons, handlers, gate):
    daemon = daemons.start(config(handlers), top=TOP)
    with daemon.client() as client:
        ident = start(client, "stuck", gate.args, retries=5)
        other = start(client, "stuck", gate.args, retries=5)
        cancel(client, ident)
        (pid,) = daemon.worker_pids()
        os.kill(pid, signal.SIGKILL)
        task = wait_one(client, ident)
        assert (task["state"], task["run"]) == ("cancelled", 1)
        gate.open()
        assert wait_one(client, other)["state"] == "succeeded"


def test_cancel_survives_an_upgrade(daemons, handlers, gates):
    """What was asked for is not forgotten, nor the force."""
    daemon = daemons.start(config(handlers), top=TOP)
    soft, hard = gates(), gates()
    with daemon.client() as client:
        asked = start(client, "stuck", soft.args)
        cancel(client, asked)
        client.rpc("server.upgrade")
        assert client.task(asked)["cancelling"] is True
        forced = start(client, "stuck", hard.args)
        cancel(client, forced, force=True)
        client.rpc("server.upgrade")
        assert wait_one(client, forced)["state"] == "cancelled"
        cancel(client, asked, force=True)
        assert wait_one(client, asked)["state"] == "cancelled"


def test_quick_stop_waits_for_no_cancelled_task(daemons, handlers, gate):
    daemon = daemons.start(config(handlers), top=TOP)
    with daemon.client() as client:
        ident = start(client, "stuck", gate.args)
        cancel(client, ident, force=True)
        daemon.stop(signal.SIGQUIT, limit=seconds(4))
