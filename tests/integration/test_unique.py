# SPDX-License-Identifier: ISC
"""A `unique` text is one live task's, for each queue and name."""

import pytest

LATER = 3600 * 1000
KEPT = pytest.mark.parametrize("durable", [False, True])
FIELDS = ("id", "state", "duplicate")


def pool(handlers):
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


def submit(client, name, args=None, **more):
    answer = client.rpc("task.submit", {"name": name, "args": args, **more})
    return tuple(answer[field] for field in FIELDS)


@KEPT
def test_the_second_is_the_first(client, gate, durable):
    more = {"unique": "u1", "durable": durable}
    ident, state, duplicate = submit(client, "gate", gate.args, **more)
    assert (state, duplicate) == ("ready", False)
    client.wait_running(ident)
    assert submit(client, "gate", None, **more) == (ident, "running", True)
    assert client.task(ident)["unique"] == "u1"
    gate.open()
    client.wait(ident)
    # It has ended: the text is free again.
    again = submit(client, "echo", None, **more)
    assert again[0] != ident and not again[2]


@KEPT
def test_a_scheduled_one_counts(client, durable):
    more = {"unique": "later", "durable": durable, "delay_ms": LATER}
    ident, state, _ = submit(client, "echo", **more)
    assert submit(client, "echo", **more) == (ident, "scheduled", True)
    client.rpc("task.cancel", {"ids": [ident]})
    again = submit(client, "echo", unique="later", durable=durable)
    assert not again[2]
    client.wait(again[0])


def test_another_queue_or_name_is_another_one(client, gate):
    ids = {
        submit(client, name, gate.args, unique="q", queue=queue, delay_ms=LATER)
        for name in ("gate", "echo")
        for queue in ("default", "other")
    }
    assert len(ids) == 4
    assert not any(duplicate for _, _, duplicate in ids)


def test_durable_or_not_it_is_the_same(client, gate):
    ident, _, _ = submit(client, "gate", gate.args, unique="m", durable=False)
    assert submit(client, "gate", unique="m")[::2] == (ident, True)
    gate.open()
    client.wait(ident)


def test_twice_in_one_list(client, gate):
    task = {"name": "gate", "args": gate.args, "unique": "list"}
    rows = client.rpc("task.submit_many", {"tasks": [task, task, task]})
    assert [row["duplicate"] for row in rows] == [False, True, True]
    assert len({row["id"] for row in rows}) == 1
    gate.open()
    client.wait(rows[0]["id"])


@KEPT
def test_a_call_waits_for_the_one_that_is_there(client, daemon, gate, durable):
    more = {"unique": "call", "durable": durable}
    ident, _, _ = submit(client, "gate", gate.args, **more)
    client.wait_running(ident)
    with daemon.client() as other:
        request = other.request(
            "task.call", {"name": "gate", "args": gate.args, **more}
        )
        other.rpc("server.ping")
        gate.open()
        assert other.result(request)["id"] == ident


def test_a_retry_of_an_old_one_is_refused_meanwhile(client, gate):
    old, _, _ = submit(
        client, "gate", gate.args, unique="old", delay_ms=LATER
    )
    client.rpc("task.cancel", {"ids": [old]})
    client.wait(old)
    new, _, _ = submit(client, "gate", gate.args, unique="old")
    assert new != old
    client.error("task.retry", {"ids": [old]})
    assert client.task(old)["state"] == "cancelled"
    gate.open()
    client.wait(new)
    assert client.rpc("task.retry", {"ids": [old]})["count"] == 1


def test_what_is_on_the_disk_only_counts(daemons, handlers):
    """More than the broker keeps in memory, and over its death as well."""
    daemon = daemons.start(pool(handlers))
    n = 6000
    tasks = [
        {"name": "echo", "delay_ms": LATER, "unique": f"u{i}"}
        for i in range(n)
    ]
    with daemon.client() as client:
        rows = []
        for i in range(0, n, 1000):
            rows += client.rpc(
                "task.submit_many", {"tasks": tasks[i : i + 1000]}
            )
        assert not any(row["duplicate"] for row in rows)
        first = [row["id"] for row in rows]
    for _ in range(2):
        with daemon.client() as client:
            again = [
                client.rpc("task.submit", tasks[i]) for i in range(0, n, 97)
            ]
            assert all(row["duplicate"] for row in again)
            assert [row["id"] for row in again] == first[::97]
            assert {row["state"] for row in again} == {"scheduled"}
            rows = client.rpc("task.submit_many", {"tasks": tasks[:500]})
            assert [row["id"] for row in rows] == first[:500]
            # One that is cancelled is free again, the others are not.
            client.rpc("task.cancel", {"ids": [first[-1]]})
            fresh = client.rpc("task.submit", tasks[-1])
            assert not fresh["duplicate"]
            first[-1] = fresh["id"]
        daemon.kill_broker()


def test_never_twice_over_the_death_of_brokers(daemons, handlers, gate):
    daemon = daemons.start(pool(handlers))
    with daemon.client() as client:
        ident, _, _ = submit(client, "gate", gate.args, unique="one")
    for _ in range(3):
        daemon.kill_broker()
        with daemon.client() as client:
            assert submit(client, "gate", unique="one")[::2] == (ident, True)
    gate.open()
    with daemon.client() as client:
        client.wait(ident)
