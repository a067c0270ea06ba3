# SPDX-License-Identifier: ISC
"""What a reload does to queues, pools and tasks, seen by clients."""

import os
import signal
import threading

import pytest

from tests.lib.ganger import Client, Gate, wait_until

TOP = 'queue "q" { priority = 3 }\nqueue "r" { }\n'


def pool(name, queues, *commands, processes=2):
    """A pool of commands; each waits for its gate's file."""
    script = 'while [ ! -e "$1" ]; do sleep 0.01; done; echo 1'
    lines = "".join(
        f'  command "{c}" {{ argv = {{"/bin/sh", "-c", \'{script}\', '
        f'"sh", "{{args.path}}"}} }}\n'
        for c in commands
    )
    takes = ", ".join(f'"{q}"' for q in queues)
    return (
        f'pool "{name}" {{\n  processes = {processes}\n  threads = 1\n'
        f"  queues = {{{takes}}}\n{lines}}}\n"
    )


def reload(daemon, config):
    """Change the configuration but for its paths, and wait for the answer."""
    head = daemon.conf.read_text().split("# tail\n")[0]
    daemon.conf.write_text(head + "# tail\n" + config)
    with daemon.client() as client:
        return client.rpc("server.reload")


def row(daemon, method, name):
    rows = [r for r in daemon.rpc(method) if r["name"] == name]
    return rows[0] if rows else None


@pytest.fixture
def daemon(daemons):
    config = TOP + pool("a", ["q", "r"], "one", "two")
    return daemons.start("# tail\n" + config)


def test_reload_of_the_same_cuts_no_run(daemon):
    client = daemon.client()
    gate = Gate(daemon.dir)
    task = client.submit("one", gate.args, queue="q")
    client.wait_running(task)
    reload(daemon, TOP + pool("a", ["q", "r"], "one", "two"))
    gate.open()
    (done,) = client.wait(task)
    assert (done["state"], done["run"]) == ("succeeded", 1)


def test_queue_that_is_gone_is_emptied(daemon):
    client = daemon.client()
    gate = Gate(daemon.dir)
    calls = [
        client.request("task.call", {"name": "one", "args": gate.args, **q})
        for q in [{"queue": "r"}] * 5
    ]
    wait_until(
        lambda: row(daemon, "queue.list", "r")["running"] == 2, "two run"
    )
    reload(
        daemon, 'queue "q" { priority = 8 }\n' + pool("a", ["q"], "one", "two")
    )
    assert row(daemon, "queue.list", "r")["state"] == "leaving"
    assert row(daemon, "queue.list", "q")["priority"] == 8
    error = client.error("task.submit", {"name": "one", "queue": "r"})
    assert error.code == -32017
    gate.open()
    for call in calls:
        assert client.result(call)["state"] == "succeeded"
    wait_until(lambda: row(daemon, "queue.list", "r") is None, "it is gone")


def test_pool_that_is_gone_finishes_what_is_its_alone(daemon):
    client = daemon.client()
    gate = Gate(daemon.dir)
    a = pool("a", ["q", "r"], "one", "two")
    b = pool("b", ["q", "r"], "one")
    reload(daemon, TOP + a + b)
    calls = [
        client.request(
            "task.call", {"name": "two", "args": gate.args, "queue": "q"}
        )
        for _ in range(5)
    ]
    # The old workers of "a" may have begun some of them.
    wait_until(lambda: row(daemon, "pool.list", "a")["busy"] >= 2, "they run")
    reload(daemon, TOP + b)
    assert row(daemon, "pool.list", "a")["state"] == "leaving"
    error = client.error("task.submit", {"name": "two", "queue": "q"})
    assert error.code == -32017
    gate.open()
    for call in calls:
        assert client.result(call)["pool"] == "a"
    wait_until(lambda: row(daemon, "pool.list", "a") is None, "it is gone")
    assert len(daemon.workers()) == 2
    # What it ran still tells so.
    assert client.rpc("task.list", {"name": "two"})["tasks"][0]["pool"] == "a"


def test_name_that_is_gone_is_run_while_its_workers_live(daemon):
    client = daemon.client()
    gate = Gate(daemon.dir)
    running = [
        client.request(
            "task.call", {"name": "two", "args": gate.args, "queue": "q"}
        )
        for _ in range(2)
    ]
    wait_until(lambda: row(daemon, "pool.list", "a")["busy"] == 2, "both run")
    reloader = threading.Thread(
        target=reload,
        args=(daemon, TOP + pool("a", ["q", "r"], "one", "three")),
    )
    reloader.start()
    wait_until(
        lambda: "three" in row(daemon, "pool.list", "a")["names"], "it is new"
    )
    assert client.error("task.submit", {"name": "two"}).code == -32017
    new = client.request(
        "task.call", {"name": "three", "args": gate.args, "queue": "q"}
    )
    gate.open()
    for call in [*running, new]:
        assert client.result(call)["state"] == "succeeded"
    reloader.join()


def test_task_that_nobody_can_run_waits_for_a_reload(daemon):
    client = daemon.client()
    gate = Gate(daemon.dir)
    gate.open()
    ident = client.submit("two", gate.args, queue="q", delay_ms=700)
    reload(daemon, TOP + pool("a", ["q", "r"], "one"))
    daemon.wait_log("no pool can run it")
    task = client.task(ident)
    assert (task["state"], task["waiting_for"]) == ("ready", "worker")
    assert row(daemon, "queue.list", "q")["stranded"] == 1
    reload(daemon, TOP + pool("a", ["q", "r"], "one", "two"))
    assert client.wait(ident)[0]["state"] == "succeeded"
    assert row(daemon, "queue.list", "q")["stranded"] == 0


def test_task_whose_workers_only_start_anew_waits_for_none(daemon):
    """They are on their way: nothing is missing in the configuration."""
    client = daemon.client()
    gate = Gate(daemon.dir)
    ids = [client.submit("two", gate.args, queue="q") for _ in range(9)]
    client.wait_running(*ids[:2])
    for pid in daemon.worker_pids():
        os.kill(pid, signal.SIGSTOP)
    tasks = [client.task(ident) for ident in ids]
    for pid in daemon.worker_pids():
        os.kill(pid, signal.SIGKILL)
    tasks += [client.task(ident) for ident in ids]
    assert [task for task in tasks if "waiting_for" in task] == []
    assert row(daemon, "queue.list", "q")["stranded"] == 0
    gate.open()
    client.wait(*ids)


def test_no_call_fails_while_names_come_and_go(daemon):
    gate = Gate(daemon.dir)
    gate.open()
    stop = threading.Event()
    results = []

    def call():
        with Client(daemon.socket) as client:
            while not stop.is_set():
                results.append(client.call("one", gate.args)["state"])

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for turn in range(6):
            names = ["one", "two"] if turn % 2 else ["zero", "one"]
            reload(daemon, TOP + pool("a", ["q", "r"], *names))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert len(results) > 20
    assert set(results) == {"succeeded"}


def test_log_level_follows_a_reload(daemon):
    daemon.send_signal(signal.SIGHUP)
    daemon.wait_log("new settings are in force")
    config = TOP + pool("a", ["q", "r"], "one", "two")
    reload(daemon, 'log_level = "error"\n' + config)
    before = daemon.log().count("new settings are in force")
    reload(daemon, 'log_level = "error"\n' + config)
    assert daemon.log().count("new settings are in force") == before
