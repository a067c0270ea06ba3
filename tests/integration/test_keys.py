# SPDX-License-Identifier: ISC
"""Tasks of one key run one at a time, in order, whatever happens meanwhile."""

import json

import pytest

from ganger import RpcError, scaled, wait_until

LATER = 3600 * 1000
KEPT = pytest.mark.parametrize("durable", [False, True])


def pool(handlers):
    """Far more threads than a key may use."""
    return (
        'pool "default" { processes = 2 threads = 4 '
        f'queues = {{"default", "other"}} modules = {{"{handlers}"}} }}\n'
        'queue "default" { } queue "other" { }\n'
    )


@pytest.fixture(scope="module")
def daemon(shared_daemons, handlers):
    return shared_daemons.start(pool(handlers))


@pytest.fixture
def client(daemon):
    with daemon.client() as connection:
        yield connection


class Notes:
    """A file for each key that its tasks add a line to."""

    def __init__(self, folder):
        self.folder = folder

    def args(self, key, i, ms=0):
        return {"path": str(self.folder / key), "text": str(i), "ms": ms}

    def of(self, key):
        return [int(line) for line in (self.folder / key).read_text().split()]


@pytest.fixture
def notes(folder):
    return Notes(folder)


def submit_all(client, tasks):
    """Submit them in one go, in lists that are not too long."""
    ids = []
    for i in range(0, len(tasks), 200):
        rows = client.rpc("task.submit_many", {"tasks": tasks[i : i + 200]})
        ids += [row["id"] for row in rows]
    return ids


def backlog(notes, keys, n, durable):
    """n tasks of each key, one key after the other's turn."""
    return [
        {
            "name": "note",
            "args": notes.args(key, i),
            "key": key,
            "durable": durable,
        }
        for i in range(n)
        for key in keys
    ]


@KEPT
def test_one_at_a_time_and_others_meanwhile(client, gates, durable):
    first, second = gates(), gates()
    a = client.submit("gate", first.args, key="one", durable=durable)
    client.wait_running(a)
    b = client.submit("gate", second.args, key="one", durable=durable)
    # A task of another key, and one without, pass by.
    client.call("echo", key="two")
    client.call("echo")
    task = client.task(b)
    assert (task["state"], task["key"]) == ("ready", "one")
    assert task["waiting_for"] == "key"
    first.open()
    client.wait_running(b)
    assert client.task(a)["state"] == "succeeded"
    second.open()
    client.wait(b)


def test_a_key_is_the_same_in_every_queue_and_priority(client, gate, notes):
    held = client.submit("gate", gate.args, key="all")
    client.wait_running(held)
    ids = [
        client.submit(
            "note",
            notes.args("all", i),
            key="all",
            queue=["default", "other"][i % 2],
            priority=i,
            durable=i % 3 == 0,
        )
        for i in range(10)
    ]
    gate.open()
    client.wait(held, *ids)
    assert notes.of("all") == list(range(10))


@KEPT
def test_a_long_backlog_keeps_its_order(client, notes, durable):
    n = scaled(300, 150)
    keys = ["x", "y", "z"]
    ids = submit_all(client, backlog(notes, keys, n, durable))
    client.wait(*ids)
    for key in keys:
        assert notes.of(key) == list(range(n))


@KEPT
def test_a_retry_keeps_the_key(client, notes, durable):
    first = client.submit(
        "fail",
        {"retryable": True},
        key="r",
        retries=1,
        backoff_ms=300,
        durable=durable,
    )
    second = client.submit(
        "note", notes.args("r", 2), key="r", durable=durable
    )
    client.wait(first, second)
    first, second = client.task(first), client.task(second)
    assert (first["state"], first["attempt"]) == ("failed", 2)
    assert second["started_at"] >= first["finished_at"]


@KEPT
def test_a_cancelled_one_lets_the_next_go_on(client, gate, notes, durable):
    held = client.submit("gate", gate.args, key="c", durable=durable)
    client.wait_running(held)
    ids = [
        client.submit("note", notes.args("c", i), key="c", durable=durable)
        for i in range(5)
    ]
    assert client.rpc("task.cancel", {"ids": [ids[0], ids[3]]})["count"] == 2
    gate.open()
    client.wait(held, *ids)
    assert notes.of("c") == [1, 2, 4]


@KEPT
def test_what_waits_for_its_key_can_expire(client, gate, durable):
    held = client.submit("gate", gate.args, key="e", durable=durable)
    client.wait_running(held)
    late = client.submit("echo", key="e", expires_ms=50, durable=durable)
    next_one = client.submit("echo", key="e", durable=durable)
    assert client.wait(late)[0]["state"] == "expired"
    gate.open()
    assert client.wait(next_one)[0]["state"] == "succeeded"


@KEPT
def test_a_delayed_one_joins_when_it_is_due(client, notes, durable):
    delayed = client.submit(
        "note", notes.args("d", 2), key="d", delay_ms=300, durable=durable
    )
    now = client.submit("note", notes.args("d", 1), key="d", durable=durable)
    client.wait(now, delayed)
    assert notes.of("d") == [1, 2]


@pytest.mark.parametrize("key", ["", "k" * 256, 7, ["a"]])
def test_a_key_is_a_short_string(client, key):
    error = client.error("task.submit", {"name": "echo", "key": key})
    assert (error.code, error.data["param"]) == (-32602, "key")


def test_a_key_may_be_any_text(client):
    key = "Straße 1 / \U0001f600 \"'%s\n" + "k" * 200
    task = client.call("echo", key=key)
    assert task["key"] == key


# Over the death of a broker


def answers_of(client, idents, ask):
    """What the daemon answers to some ids, in several questions."""
    for i in range(0, len(idents), 100):
        yield ask(client, idents[i : i + 100])


def wait_in_parts(daemon, idents):
    """Wait for tasks, over any number of brokers."""
    left = list(idents)
    while left:
        with daemon.client() as client:
            try:
                for answer in answers_of(
                    client,
                    left,
                    lambda c, part: c.rpc("task.wait", {"ids": part}),
                ):
                    done = {task["id"] for task in answer["done"]}
                    left = [ident for ident in left if ident not in done]
            except (OSError, EOFError, RpcError, json.JSONDecodeError):
                pass


def test_order_holds_over_the_death_of_brokers(daemons, handlers, notes):
    n = scaled(200, 100)
    keys = ["p", "q"]
    daemon = daemons.start(pool(handlers))
    with daemon.client() as client:
        tasks = backlog(notes, keys, n, True)
        for task in tasks:
            task["args"]["ms"] = 2
        ids = submit_all(client, tasks)
    for at in (10, n // 3, n // 2):
        with daemon.client() as client:
            client.wait(ids[len(keys) * at])
        daemon.kill_broker()
    wait_in_parts(daemon, ids)
    for key in keys:
        ran = notes.of(key)
        # One that was cut runs again, before any that comes after it.
        assert ran == sorted(ran)
        assert sorted(set(ran)) == list(range(n))


def test_a_lost_holder_lets_the_durable_ones_go_on(daemons, handlers, gate):
    daemon = daemons.start(pool(handlers))
    with daemon.client() as client:
        held = client.submit("gate", gate.args, key="v", durable=False)
        client.wait_running(held)
        ids = [client.submit("echo", i, key="v") for i in range(100)]
    daemon.kill_broker()
    with daemon.client() as client:
        assert [task["result"] for task in client.wait(*ids)] == list(
            range(100)
        )
        assert client.error("task.get", {"id": held}).code == -32012


def test_what_is_scheduled_holds_its_key_over_a_restart(daemons, handlers):
    daemon = daemons.start(pool(handlers))
    with daemon.client() as client:
        first = client.submit(
            "fail",
            {"retryable": True},
            key="s",
            retries=1,
            backoff_ms=LATER,
        )
        second = client.submit("echo", key="s")
        wait_until(
            lambda: client.task(first)["state"] == "scheduled", "it is retried"
        )
    daemon.kill_broker()
    with daemon.client() as client:
        third = client.submit("echo", key="s")
        assert client.task(second)["state"] == "ready"
        assert client.rpc("task.cancel", {"ids": [first]})["count"] == 1
        done = client.wait(second, third)
        assert done[0]["finished_at"] <= done[1]["started_at"]
