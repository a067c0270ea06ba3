# SPDX-License-Identifier: ISC
"""What holds a queue's tasks back: max_running and rate; and what lets them
wait for a shorter time: priority_age, and weights by run time."""

import datetime
import pathlib
import re
import time

import pytest

from ganger import SANITIZED, wait_until

TOP_END = "# tail\n"


def config(handlers, queues, takes='{"default", "small"}', more=""):
    """A pool of four threads, and queues; small is the one that is limited."""
    return (
        f'{TOP_END}pool "default" {{ processes = 2 threads = 2\n'
        f'    queues = {takes} {more} modules = {{"{handlers}"}} }}\n{queues}\n'
    )


def reload(daemon, text):
    """Change the configuration but for its paths."""
    head = daemon.conf.read_text().split(TOP_END)[0]
    daemon.conf.write_text(head + text)
    return daemon.rpc("server.reload")


def submit(client, name, args, **more):
    return client.submit(name, args, durable=False, **more)


def queue(client, name):
    return {q["name"]: q for q in client.rpc("queue.list")}[name]


def counts(client, name="small"):
    row = queue(client, name)
    return row["running"], row["ready"]


def wait_counts(client, running, ready, name="small"):
    wait_until(
        lambda: counts(client, name) == (running, ready),
        f"{running} of {name} run, {ready} are ready",
    )


def seconds_of(time_text):
    return datetime.datetime.fromisoformat(
        time_text.replace("Z", "+00:00")
    ).timestamp()


# max_running


def test_no_more_of_a_queue_run_than_its_limit(daemons, handlers, gate):
    daemon = daemons.start(
        config(handlers, 'queue "small" { max_running = 2 }')
    )
    client = daemon.client()
    ids = [submit(client, "gate", gate.args, queue="small") for _ in range(6)]
    wait_counts(client, 2, 4)
    # There are threads left, and they are another queue's.
    client.call("echo", 1)
    assert counts(client) == (2, 4)
    gate.open()
    client.wait(*ids)
    assert counts(client) == (0, 0)


def test_full_queue_is_passed_over_in_strict_order(daemons, handlers, gate):
    daemon = daemons.start(
        config(
            handlers,
            'queue "small" { max_running = 1 }',
            '{"small", "default"}',
            'order = "strict"',
        )
    )
    client = daemon.client()
    ids = [submit(client, "gate", gate.args, queue="small") for _ in range(3)]
    wait_counts(client, 1, 2)
    assert client.call("echo", 7, queue="default")["result"] == 7
    assert counts(client) == (1, 2)
    gate.open()
    client.wait(*ids)


def test_reload_changes_the_limit_at_once(daemons, handlers, gate):
    limits = 'queue "small" {{ max_running = {} }}'
    daemon = daemons.start(config(handlers, limits.format(1)))
    client = daemon.client()
    ids = [submit(client, "gate", gate.args, queue="small") for _ in range(5)]
    wait_counts(client, 1, 4)
    reload(daemon, config(handlers, limits.format(3)))
    wait_counts(client, 3, 2)
    # Lowering it ends no run.
    reload(daemon, config(handlers, limits.format(1)))
    assert counts(client) == (3, 2)
    # The workers before the reload keep theirs, so there are threads enough.
    reload(daemon, config(handlers, ""))
    wait_counts(client, 5, 0)
    gate.open()
    client.wait(*ids)


def test_limit_holds_over_all_pools(daemons, handlers, gate):
    pools = "".join(
        f'pool "{name}" {{ processes = 1 threads = 3 queues = {{"small"}}\n'
        f'    modules = {{"{handlers}"}} }}\n'
        for name in "ab"
    )
    daemon = daemons.start(pools + 'queue "small" { max_running = 2 }')
    daemon.wait_workers(2)
    client = daemon.client()
    ids = [submit(client, "gate", gate.args, queue="small") for _ in range(6)]
    wait_counts(client, 2, 4)
    client.rpc("server.ping")
    assert counts(client) == (2, 4)
    gate.open()
    client.wait(*ids)


def test_retry_that_waits_takes_no_place(daemons, handlers):
    daemon = daemons.start(
        config(handlers, 'queue "small" { max_running = 1 }')
    )
    client = daemon.client()
    failing = submit(
        client, "fail", {"retryable": True}, queue="small", retries=1,
        backoff_ms=3600_000,
    )
    wait_until(
        lambda: client.task(failing)["state"] == "scheduled", "it waits"
    )
    assert client.call("echo", 3, queue="small")["result"] == 3
    client.rpc("task.cancel", {"ids": [failing]})


# rate


def test_no_more_are_started_than_the_rate_says(daemons, handlers):
    """20 at once, and then one each 50 ms, without any other event."""
    daemon = daemons.start(config(handlers, 'queue "small" { rate = "20/s" }'))
    client = daemon.client()
    many = client.rpc(
        "task.submit_many",
        {
            "tasks": [
                {"name": "echo", "queue": "small", "durable": False}
            ]
            * 30
        },
    )
    done = client.wait(*[task["id"] for task in many])
    begun = sorted(seconds_of(task["started_at"]) for task in done)
    for i in range(10):
        # Times are told in ms.
        assert begun[20 + i] - begun[0] >= (i + 1) / 20 - 0.002, begun
    assert begun[19] - begun[0] < begun[29] - begun[0]


def test_rate_holds_nobody_else_and_a_reload_lifts_it(
    daemons, handlers
):
    daemon = daemons.start(config(handlers, 'queue "small" { rate = "1/h" }'))
    client = daemon.client()
    ids = [submit(client, "echo", i, queue="small") for i in range(3)]
    client.wait(ids[0])
    assert client.call("echo", 4)["result"] == 4
    assert counts(client) == (0, 2)
    reload(daemon, config(handlers, ""))
    client.wait(*ids)


def test_stop_waits_for_what_a_rate_holds_back(daemons, handlers):
    daemon = daemons.start(config(handlers, 'queue "small" { rate = "2/s" }'))
    client = daemon.client()
    ids = [submit(client, "echo", i, queue="small") for i in range(4)]
    waiting = client.request("task.wait", {"ids": ids})
    daemon.stop()
    states = {task["state"] for task in client.result(waiting)["done"]}
    assert states == {"succeeded"}


def switches(pid):
    """How often a process has been given a processor."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return sum(map(int, re.findall(r"ctxt_switches:\s+(\d+)", text)))


@pytest.mark.skipif(SANITIZED, reason="a sanitizer wakes up by itself")
@pytest.mark.parametrize("waits", [False, True])
def test_rate_wakes_nobody_who_has_nothing_to_start(
    daemons, handlers, waits
):
    """Neither while nothing waits, nor before there is a token."""
    daemon = daemons.start(config(handlers, 'queue "small" { rate = "1/h" }'))
    client = daemon.client()
    client.call("echo", 1, queue="small")
    if waits:
        submit(client, "echo", 2, queue="small")
    broker = daemon.broker_pid()
    counted = []
    for _ in range(2):
        before = switches(broker)
        time.sleep(1)
        counted.append(switches(broker) - before)
    # The last echo of what was before may fall into the first second.
    assert min(counted) <= 2, counted
    daemon.quit()


# priority_age


def one_thread(handlers):
    return (
        'pool "default" { processes = 1 threads = 1\n'
        f'    modules = {{"{handlers}"}} }}\n'
    )


@pytest.mark.parametrize(
    "age, first",
    [("0", "high"), ("1h", "high"), ("1ms", "low")],
)
def test_waiting_is_worth_priorities(
    daemons, handlers, folder, gate, age, first
):
    """Of two tasks, the one of priority 0 has waited for 20 ms longer."""
    daemon = daemons.start(
        one_thread(handlers), top=f'priority_age = "{age}"'
    )
    notes = folder / "notes"
    client = daemon.client()
    held = submit(client, "gate", gate.args)
    client.wait_running(held)

    def note(text, priority):
        args = {"path": str(notes), "text": text}
        return submit(client, "note", args, priority=priority)

    low = note("low", 0)
    begun = time.monotonic()
    wait_until(lambda: time.monotonic() > begun + 0.02, "20 ms are over")
    high = note("high", 9)
    gate.open()
    client.wait(held, low, high)
    assert notes.read_text().split()[0] == first


def test_reload_changes_the_ageing(daemons, handlers, folder, gate):
    daemon = daemons.start(
        TOP_END + 'priority_age = "0"\n' + one_thread(handlers)
    )
    notes = folder / "notes"
    client = daemon.client()
    held = submit(client, "gate", gate.args)
    client.wait_running(held)
    ids = [held]
    for text, priority in ("low", 0), ("high", 9):
        args = {"path": str(notes), "text": text}
        ids.append(submit(client, "note", args, priority=priority))
        begun = time.monotonic()
        wait_until(lambda: time.monotonic() > begun + 0.02, "20 ms are over")
    reload(daemon, TOP_END + 'priority_age = "1ms"\n' + one_thread(handlers))
    gate.open()
    client.wait(*ids)
    assert notes.read_text().split() == ["low", "high"]


# Weights


def test_weights_share_run_time_not_turns(daemons):
    """Tasks of 20 ms and of 2 ms, of equal weight, on one thread."""
    daemon = daemons.start(
        'pool "default" { processes = 1 threads = 1 '
        'queues = {"long", "short"} }\n'
    )
    client = daemon.client()

    def fill(name, n, ms):
        row = {
            "name": "sleep",
            "args": {"ms": ms},
            "queue": name,
            "durable": False,
        }
        rows = client.rpc("task.submit_many", {"tasks": [row] * n})
        return [row["id"] for row in rows]

    short = fill("short", 1000, 2)
    long = fill("long", 100, 20)
    client.wait(long[29])
    n_short = queue(client, "short")["succeeded"]
    # By turns it would be 30, by time 300; a sleep takes a little longer.
    assert 130 <= n_short <= 400, n_short
    client.rpc("task.cancel", {"ids": short + long})
    daemon.quit()
