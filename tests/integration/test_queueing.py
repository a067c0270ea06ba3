# SPDX-License-Identifier: ISC
"""Which task runs when: order, priorities, delays, retries, queues."""

import datetime
import time

import pytest

from ganger import wait_until

LATER = 3600 * 1000


def single(handlers, more="", rest=""):
    """A pool of one thread: its tasks run one after another."""
    return (
        f'pool "default" {{ processes = 1 threads = 1 {more}\n'
        f'    modules = {{"{handlers}"}} }}\n{rest}\n'
    )


@pytest.fixture(scope="module")
def lone(shared_daemons, handlers):
    return shared_daemons.start(single(handlers))


class Notes:
    """A file that tasks add a line to as they run."""

    def __init__(self, folder):
        self.path = folder / "notes"

    def args(self, text):
        return {"path": str(self.path), "text": str(text)}

    def lines(self):
        return self.path.read_text().split()


@pytest.fixture
def notes(folder):
    return Notes(folder)


def hold(client, gate, **more):
    """Keep the only thread busy until the gate is opened."""
    ident = client.submit("gate", gate.args, **more)
    client.wait_running(ident)
    return ident


# Order


def test_first_come_first_run(lone, gate, notes):
    with lone.client() as client:
        held = hold(client, gate)
        ids = [client.submit("note", notes.args(i)) for i in range(200)]
        gate.open()
        client.wait(held, *ids)
    assert notes.lines() == [str(i) for i in range(200)]


def test_order_holds_over_batches_and_lists(lone, gate, notes):
    with lone.client() as client:
        held = hold(client, gate)
        first = client.submit("note", notes.args(0))
        many = client.rpc(
            "task.submit_many",
            {
                "tasks": [
                    {"name": "note", "args": notes.args(i)}
                    for i in range(1, 50)
                ]
            },
        )
        last = client.submit("note", notes.args(50))
        gate.open()
        client.wait(held, first, *[task["id"] for task in many], last)
    assert notes.lines() == [str(i) for i in range(51)]


def test_higher_priority_runs_first(lone, gate, notes):
    with lone.client() as client:
        held = hold(client, gate)
        ids = []
        for turn in "ab":
            for priority in (0, 9, 3, 5, 7):
                ids.append(
                    client.submit(
                        "note",
                        notes.args(f"{priority}{turn}"),
                        priority=priority,
                    )
                )
        gate.open()
        client.wait(held, *ids)
    assert notes.lines() == [
        *("9a", "9b", "7a", "7b", "5a", "5b", "3a", "3b", "0a", "0b")
    ]


def test_priority_left_out_is_the_queues(daemons, handlers, gate, notes):
    daemon = daemons.start(
        single(handlers, rest='queue "default" { priority = 7 }')
    )
    with daemon.client() as client:
        held = hold(client, gate)
        ids = [
            client.submit("note", notes.args("six"), priority=6),
            client.submit("note", notes.args("none")),
            client.submit("note", notes.args("eight"), priority=8),
        ]
        assert client.task(ids[1])["priority"] == 7
        gate.open()
        client.wait(held, *ids)
    assert notes.lines() == ["eight", "none", "six"]


def test_cancelled_task_leaves_its_place(lone, gate, notes):
    with lone.client() as client:
        held = hold(client, gate)
        ids = [client.submit("note", notes.args(i)) for i in range(5)]
        client.rpc("task.cancel", {"ids": ids[1:4:2]})
        gate.open()
        tasks = client.wait(held, *ids)
    assert notes.lines() == ["0", "2", "4"]
    assert [task["state"] for task in tasks].count("cancelled") == 2


# Times


def test_delayed_task_does_not_start_before(lone):
    with lone.client() as client:
        start = time.monotonic()
        task = client.call("echo", delay_ms=300)
        assert time.monotonic() - start >= 0.3
        assert task["started_at"] > task["submitted_at"]


def test_delayed_tasks_run_in_the_order_of_their_times(lone, notes):
    with lone.client() as client:
        ids = [
            client.submit("note", notes.args(ms), delay_ms=ms)
            for ms in (900, 300, 600)
        ]
        client.wait(*ids)
    assert notes.lines() == ["300", "600", "900"]


def wall(offset, zone=datetime.timezone.utc):
    now = datetime.datetime.now(zone)
    return now + datetime.timedelta(seconds=offset)


def written(when):
    return when.isoformat(timespec="milliseconds")


def test_run_at_is_a_wall_clock_time(lone):
    with lone.client() as client:
        when = wall(0.4)
        task = client.call("echo", run_at=written(when))
        assert task["started_at"] >= written(when)[:23]


def test_run_at_takes_an_offset(lone):
    with lone.client() as client:
        zone = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
        when = wall(3600, zone)
        ident = client.submit("echo", run_at=written(when))
        task = client.task(ident)
        utc = when.astimezone(datetime.timezone.utc)
        assert task["run_at"] == written(utc)[:23] + "Z"
        client.rpc("task.cancel", {"id": ident})


def test_run_at_in_the_past_is_now(lone):
    with lone.client() as client:
        when = "2001-02-03T04:05:06Z"
        answer = client.rpc("task.submit", {"name": "echo", "run_at": when})
        assert answer["state"] == "ready"
        client.wait(answer["id"])


def test_task_that_waited_too_long_expires(lone, gate):
    with lone.client() as client:
        held = hold(client, gate)
        short = client.submit("echo", expires_ms=100)
        (task,) = client.wait(short)
        assert task["state"] == "expired"
        assert "started_at" not in task and "result" not in task
        gate.open()
        client.wait(held)


def test_scheduled_task_expires_too(lone):
    with lone.client() as client:
        ident = client.submit("echo", delay_ms=LATER, expires_ms=50)
        (task,) = client.wait(ident)
        assert task["state"] == "expired"


def test_running_task_does_not_expire(lone, gate):
    with lone.client() as client:
        held = hold(client, gate, expires_ms=200)
        task = client.task(held)
        later = client.submit("echo", expires_ms=400)
        client.wait(later)
        gate.open()
        (task,) = client.wait(held)
        assert task["state"] == "succeeded"


def test_call_of_an_expired_task_is_answered(lone, gate):
    with lone.client() as client:
        held = hold(client, gate)
        error = client.error("task.call", {"name": "echo", "expires_ms": 50})
        assert error.data["task"]["state"] == "expired"
        gate.open()
        client.wait(held)


def test_result_is_forgotten_after_its_time(lone):
    with lone.client() as client:
        ident = client.submit("echo", result_ttl_ms=100)
        client.wait(ident)
        wait_until(
            lambda: "error"
            in client.answer(client.request("task.get", {"id": ident})),
            "the task is forgotten",
        )
        assert client.error("task.get", {"id": ident}).code == -32012


# Retries


def test_retries_are_counted(lone):
    with lone.client() as client:
        task = client.call("flaky", {"until": 3}, retries=2, backoff_ms=1)
        assert (task["attempt"], task["run"]) == (3, 3)


def test_retries_are_used_up(lone):
    with lone.client() as client:
        error = client.error(
            "task.call",
            {
                "name": "flaky",
                "args": {"until": 9},
                "retries": 2,
                "backoff_ms": 1,
            },
        )
        task = error.data["task"]
        assert (task["state"], task["attempt"]) == ("failed", 3)
        assert task["error"]["message"] == "attempt 3"


def test_no_retries_is_one_attempt(lone):
    with lone.client() as client:
        error = client.error(
            "task.call", {"name": "flaky", "args": {"until": 9}, "retries": 0}
        )
        assert error.data["task"]["attempt"] == 1


def test_waiting_retry_is_scheduled_with_its_last_error(lone):
    with lone.client() as client:
        ident = client.submit("flaky", {"until": 2}, backoff_ms=LATER)
        wait_until(
            lambda: client.task(ident)["state"] == "scheduled", "its retry"
        )
        task = client.task(ident)
        assert task["attempt"] == 1
        assert task["run_at"] > task["submitted_at"]
        client.rpc("task.cancel", {"id": ident})


def test_failure_for_good_is_not_tried_again(lone):
    with lone.client() as client:
        error = client.error(
            "task.call", {"name": "fail", "retries": 5, "backoff_ms": 1}
        )
        assert error.data["task"]["attempt"] == 1


def test_retries_left_out_are_the_queues(daemons, handlers):
    daemon = daemons.start(
        single(handlers, rest='queue "default" { retries = 1 }')
    )
    with daemon.client() as client:
        error = client.error(
            "task.call",
            {"name": "flaky", "args": {"until": 9}, "backoff_ms": 1},
        )
        assert error.data["task"]["attempt"] == 2


def test_retry_waits_at_least_half_of_its_backoff(lone):
    with lone.client() as client:
        start = time.monotonic()
        client.call("flaky", {"until": 2}, backoff_ms=400)
        assert time.monotonic() - start >= 0.2


# Queues and pools



def test_strict_order_empties_the_first_queue_first(
    daemons, handlers, gate, notes
):
    daemon = daemons.start(
        single(handlers, 'queues = {"high", "low"} order = "strict"')
    )
    with daemon.client() as client:
        held = hold(client, gate, queue="high")
        ids = []
        for i in range(10):
            for queue in ("low", "high"):
                ids.append(
                    client.submit("note", notes.args(queue), queue=queue)
                )
        gate.open()
        client.wait(held, *ids)
    assert notes.lines() == ["high"] * 10 + ["low"] * 10


def test_weights_share_the_worker(daemons, handlers, gate, notes):
    """Three to one by weight: neither starves, and the heavy one leads."""
    daemon = daemons.start(single(handlers, 'queues = {"a:3", "b"}'))
    with daemon.client() as client:
        held = hold(client, gate, queue="a")
        ids = []
        for queue in ("b", "a"):
            for _ in range(80):
                args = {"ms": 2, **notes.args(queue)}
                ids.append(client.submit("note", args, queue=queue))
        gate.open()
        client.wait(held, *ids)
    first = notes.lines()[:80]
    assert 10 <= first.count("b") <= 38, first
    assert first.count("a") > first.count("b")


def test_two_pools_share_a_queue_by_what_they_can_run(daemons, handlers):
    daemon = daemons.start(
        f"""
        pool "one" {{ processes = 1 queues = {{"q"}}
            modules = {{"{handlers}"}} }}
        pool "two" {{ processes = 1 queues = {{"q"}}
            command "hello" {{ argv = {{"echo", "hello"}} }} }}
        """
    )
    with daemon.client() as client:
        ids = []
        for _ in range(20):
            ids.append(client.submit("whoami", queue="q"))
            ids.append(client.submit("hello", queue="q"))
        tasks = client.wait(*ids)
        for task in tasks:
            assert task["state"] == "succeeded"
            pool = "one" if task["name"] == "whoami" else "two"
            assert task["pool"] == pool
        (row,) = [r for r in client.rpc("queue.list") if r["name"] == "q"]
        assert sorted(row["pools"]) == ["one", "two"]
        assert row["succeeded"] == 40


def test_task_nobody_can_run_in_the_queue_is_refused(daemons, handlers):
    daemon = daemons.start(
        f"""
        pool "one" {{ processes = 1 queues = {{"a"}}
            modules = {{"{handlers}"}} }}
        pool "two" {{ processes = 1 queues = {{"b"}} }}
        """
    )
    with daemon.client() as client:
        assert client.call("whoami", queue="a")["pool"] == "one"
        error = client.error("task.submit", {"name": "whoami", "queue": "b"})
        assert error.code == -32017
        assert client.call("echo", queue="b")["pool"] == "two"


def test_one_pools_backlog_does_not_hold_up_another(daemons, handlers, gate):
    daemon = daemons.start(
        f"""
        pool "one" {{ processes = 1 threads = 1 queues = {{"q"}}
            modules = {{"{handlers}"}} }}
        pool "two" {{ processes = 1 threads = 1 queues = {{"q"}}
            command "hello" {{ argv = {{"echo", "hello"}} }} }}
        """
    )
    with daemon.client() as client:
        held = hold(client, gate, queue="q")
        waiting = [client.submit("whoami", queue="q") for _ in range(50)]
        task = client.call("hello", queue="q")
        assert task["result"] == "hello"
        gate.open()
        client.wait(held, *waiting)


def test_queue_list_counts(lone, gate):
    with lone.client() as client:
        held = hold(client, gate)
        ready = [client.submit("echo") for _ in range(3)]
        later = client.submit("echo", delay_ms=LATER)
        (row,) = client.rpc("queue.list")
        counts = (row["running"], row["ready"], row["scheduled"])
        assert counts == (1, 3, 1)
        client.rpc("task.cancel", {"id": later})
        gate.open()
        client.wait(held, *ready)
        (row,) = client.rpc("queue.list")
        counts = (row["running"], row["ready"], row["scheduled"])
        assert counts == (0, 0, 0)


def test_queue_may_be_limited(daemons, handlers, gate):
    daemon = daemons.start(
        single(
            handlers,
            'queues = {"small", "other"}',
            'queue "small" { max_queued = 2 }',
        )
    )
    with daemon.client() as client:
        held = hold(client, gate, queue="other")
        ids = [client.submit("echo", queue="small") for _ in range(2)]
        error = client.error("task.submit", {"name": "echo", "queue": "small"})
        assert (error.code, error.data["retryable"]) == (-32010, True)
        assert error.message == "the queue small is full (max_queued, 2)"
        ids.append(client.submit("echo", queue="other"))
        gate.open()
        client.wait(held, *ids)
