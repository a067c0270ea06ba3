# SPDX-License-Identifier: ISC
"""An idempotency_key is one task's for a day, whatever becomes of it."""

import pytest

LATER = 3600 * 1000
POOL = (
    'pool "default" { processes = 2 threads = 2 '
    'queues = {"default", "memory"} }\n'
    'queue "default" { } queue "memory" { durable = no }\n'
)


@pytest.fixture(scope="module")
def daemon(shared_daemons):
    return shared_daemons.start(POOL)


@pytest.fixture
def client(daemon):
    with daemon.client() as connection:
        yield connection


def submit(client, key, name="echo", **more):
    return client.rpc(
        "task.submit", {"name": name, "idempotency_key": key, **more}
    )


def test_the_second_is_the_first_before_and_after_its_end(client):
    first = submit(client, "a", delay_ms=LATER)
    assert not first["duplicate"]
    assert submit(client, "a") == {
        "id": first["id"],
        "state": "scheduled",
        "duplicate": True,
    }
    client.rpc("task.cancel", {"ids": [first["id"]]})
    client.wait(first["id"])
    # Name, queue and arguments do not matter.
    again = submit(client, "a", name="sleep", args={"ms": 1})
    assert (again["id"], again["state"]) == (first["id"], "cancelled")
    assert submit(client, "b")["id"] != first["id"]


def test_many_at_once_are_one(daemon):
    clients = [daemon.client() for _ in range(8)]
    params = {"name": "echo", "idempotency_key": "race"}
    asked = [
        (client, client.request("task.submit", params))
        for client in clients
        for _ in range(5)
    ]
    rows = [client.result(ident) for client, ident in asked]
    assert len({row["id"] for row in rows}) == 1
    assert sorted(row["duplicate"] for row in rows) == [False] + [True] * 39
    for client in clients:
        client.close()


def test_order_of_a_list_holds_where_some_are_known(client):
    known = submit(client, "known", delay_ms=LATER)["id"]
    tasks = [
        {"name": "echo", "delay_ms": LATER},
        {"name": "echo", "idempotency_key": "known"},
        {"name": "no such name"},
        {"name": "echo", "idempotency_key": "new", "delay_ms": LATER},
        {"name": "echo", "idempotency_key": "new", "delay_ms": LATER},
        {"name": "echo", "delay_ms": LATER},
    ]
    rows = client.rpc("task.submit_many", {"tasks": tasks})
    assert rows[1]["id"] == known
    assert rows[2]["error"]["code"] == -32017
    assert rows[3]["id"] == rows[4]["id"]
    assert rows[0]["id"] < rows[3]["id"] < rows[5]["id"]
    assert [row.get("duplicate") for row in rows] == [
        *(False, True, None, False, True, False)
    ]


def test_a_call_with_a_key_gives_the_old_result(client):
    first = client.call("echo", [1], idempotency_key="call")
    again = client.call("echo", [2], idempotency_key="call")
    assert again["id"] == first["id"]
    assert again["result"] == [1]


def test_it_holds_over_the_death_of_brokers(daemons):
    daemon = daemons.start(POOL)
    with daemon.client() as client:
        ended = client.call("echo", 1, idempotency_key="ended")["id"]
        waits = submit(client, "waits", delay_ms=LATER)["id"]
    daemon.kill_broker()
    with daemon.client() as client:
        assert submit(client, "ended") == {
            "id": ended,
            "state": "succeeded",
            "duplicate": True,
        }
        assert submit(client, "waits")["id"] == waits


def test_one_whose_task_was_deleted_has_no_state(client):
    ident = client.call("echo", idempotency_key="gone")["id"]
    client.rpc("task.delete", {"ids": [ident]})
    assert submit(client, "gone") == {
        "id": ident,
        "state": None,
        "duplicate": True,
    }
    error = client.error(
        "task.call", {"name": "echo", "idempotency_key": "gone"}
    )
    assert (error.code, error.data["id"]) == (-32012, ident)


@pytest.mark.parametrize(
    "more, param",
    [
        ({"idempotency_key": "x", "durable": False}, "idempotency_key"),
        ({"idempotency_key": "x", "queue": "memory"}, "idempotency_key"),
        ({"durable": True, "queue": "memory"}, "durable"),
        ({"idempotency_key": ""}, "idempotency_key"),
        ({"idempotency_key": "x" * 256}, "idempotency_key"),
        ({"delivery": "twice"}, "delivery"),
        ({"delivery": "at_most_once", "retries": 1}, "retries"),
    ],
)
@pytest.mark.parametrize("method", ["task.submit", "task.call"])
def test_what_excludes_each_other(client, method, more, param):
    error = client.error(method, {"name": "echo", **more})
    assert (error.code, error.data["param"]) == (-32602, param)


def test_what_is_durable_if_nobody_says(daemons):
    """Over a broker's death only what is durable is still there."""
    daemon = daemons.start(POOL)
    wanted = [
        ({}, True),
        ({"durable": False}, False),
        ({"queue": "memory"}, False),
        ({"delivery": "at_most_once"}, True),
        ({"delivery": "at_most_once", "queue": "memory"}, False),
    ]
    with daemon.client() as client:
        ids = [
            client.submit("echo", delay_ms=LATER, **more) for more, _ in wanted
        ]
    daemon.kill_broker()
    with daemon.client() as client:
        listed = client.rpc("task.list", {"state": "scheduled"})["tasks"]
    found = {task["id"] for task in listed}
    assert [ident in found for ident in ids] == [kept for _, kept in wanted]
