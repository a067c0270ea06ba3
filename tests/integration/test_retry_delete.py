# SPDX-License-Identifier: ISC
"""Retry, delete and cancel: by id, and all that a filter means."""

import pytest

from ganger import POOL, wait_until

LATER = 3600 * 1000

CONFIG = (
    'pool "default" { processes = 2  threads = 4'
    '  queues = {"default", "mail"} }\n'
    'queue "mail" {}\n'
)


@pytest.fixture(scope="module")
def shared(shared_daemons):
    return shared_daemons.start(CONFIG)


@pytest.fixture(params=[False, True], ids=["volatile", "durable"])
def durable(request):
    return request.param


@pytest.fixture
def client(shared):
    """A client of a daemon that has no tasks."""
    with shared.client() as client:
        yield client
        client.rpc("queue.purge", {"queue": "default"})
        client.rpc("queue.purge", {"queue": "mail"})
        client.rpc("task.cancel", {"filter": {"state": "running"}})
        wait_until(
            lambda: client.rpc("server.stats")["running"] == 0, "all is quiet"
        )
        for queue in ("default", "mail"):
            client.rpc("task.delete", {"filter": {"queue": queue}})
        assert client.rpc("task.list") == {"tasks": [], "cursor": None}


def fail(client, count=1, **more):
    """Let tasks fail; returns their ids."""
    ids = [client.submit("fail", {"message": "x"}, **more) for _ in range(count)]
    for task in client.wait(*ids):
        assert task["state"] == "failed"
    return ids


def states(client, ids):
    return [client.task(ident)["state"] for ident in ids]


# task.retry


def test_failed_task_is_run_again(client, folder, durable):
    """It has its id and its arguments still, and all its attempts."""
    path = folder / "text"
    ident = client.submit("sha512", {"path": str(path)}, durable=durable)
    assert client.wait(ident)[0]["state"] == "failed"
    path.write_text("there it is")
    answer = client.rpc("task.retry", {"id": ident})
    assert answer == {"count": 1, "skipped": []}
    (task,) = client.wait(ident)
    assert task["state"] == "succeeded"
    assert task["args"] == {"path": str(path)}
    assert task["attempt"] == 1
    assert task["run"] > 1
    assert client.rpc("server.stats")["ready"] == 0


def test_cancelled_and_expired_tasks_can_be_retried(client, durable):
    cancelled = client.submit("echo", 1, delay_ms=LATER, durable=durable)
    client.rpc("task.cancel", {"id": cancelled})
    expired = client.submit(
        "echo", 2, delay_ms=LATER, expires_ms=1, durable=durable
    )
    assert client.wait(expired)[0]["state"] == "expired"
    answer = client.rpc("task.retry", {"ids": [cancelled, expired]})
    assert answer == {"count": 2, "skipped": []}
    done = client.wait(cancelled, expired)
    assert [task["result"] for task in done] == [1, 2]


def test_what_can_not_be_retried_is_skipped(client, durable):
    (failed,) = fail(client, durable=durable)
    done = client.call("echo", durable=durable)["id"]
    waits = client.submit("echo", delay_ms=LATER, durable=durable)
    answer = client.rpc("task.retry", {"ids": [done, failed, waits]})
    assert answer == {
        "count": 1,
        "skipped": [
            {"id": done, "state": "succeeded"},
            {"id": waits, "state": "scheduled"},
        ],
    }
    client.wait(failed)
    error = client.error("task.retry", {"ids": [done, waits]})
    assert error.code == -32013
    assert [one["id"] for one in error.data["skipped"]] == [done, waits]


def test_id_that_nobody_knows_changes_nothing(client, durable):
    (failed,) = fail(client, durable=durable)
    for method in ("task.retry", "task.delete"):
        error = client.error(method, {"ids": [failed, 10**9]})
        assert (error.code, error.data["id"]) == (-32012, 10**9)
    assert client.task(failed)["run"] == 1


def test_retry_twice_at_once_revives_once(client, durable):
    gone = client.submit("echo", delay_ms=LATER, durable=durable)
    client.rpc("task.cancel", {"id": gone})
    answer = client.rpc("task.retry", {"ids": [gone, gone]})
    assert answer["count"] == 1
    assert [one["id"] for one in answer["skipped"]] == [gone]
    client.wait(gone)


def test_all_failed_ones_are_retried(client, durable):
    failed = fail(client, 30, durable=durable)
    other = fail(client, 1, durable=durable, queue="mail")
    gone = client.submit("echo", delay_ms=LATER, durable=durable)
    client.rpc("task.cancel", {"id": gone})
    answer = client.rpc("task.retry", {"filter": {"queue": "default"}})
    assert answer == {"count": 30, "skipped": []}
    assert {task["run"] for task in client.wait(*failed)} == {2}
    assert states(client, [gone]) == ["cancelled"]
    assert client.task(other[0])["run"] == 1
    assert client.rpc("task.retry", {"filter": {}})["count"] == 31
    client.wait(*failed, *other)


def test_quarantined_ones_are_not_among_all(daemons, durable):
    daemon = daemons.start(POOL, top="debug_handlers = yes")
    with daemon.client() as client:
        ident = client.submit(
            "crash", backoff_ms=1, retries=9, durable=durable
        )
        assert client.wait(ident)[0]["state"] == "quarantined"
        client.rpc("queue.pause", {"queue": "default"})
        assert client.rpc("task.retry", {"filter": {}})["count"] == 0
        quarantined = {"state": "quarantined"}
        assert client.rpc("task.retry", {"filter": quarantined})["count"] == 1
        task = client.task(ident)
        assert (task["state"], task["attempt"]) == ("ready", 0)
        assert "crashes" not in task


def test_quarantined_one_is_retried_by_its_id(daemons, durable):
    daemon = daemons.start(POOL, top="debug_handlers = yes")
    with daemon.client() as client:
        ident = client.submit(
            "crash", backoff_ms=1, retries=9, durable=durable
        )
        assert client.wait(ident)[0]["state"] == "quarantined"
        client.rpc("queue.pause", {"queue": "default"})
        assert client.rpc("task.retry", {"id": ident})["count"] == 1
        assert client.task(ident)["state"] == "ready"


# task.delete


def test_deleted_task_is_gone(client, durable):
    ids = [client.call("echo", durable=durable)["id"], *fail(client)]
    answer = client.rpc("task.delete", {"ids": ids})
    assert answer == {"count": 2, "skipped": []}
    for ident in ids:
        assert client.error("task.get", {"id": ident}).code == -32012
    assert client.rpc("task.list")["tasks"] == []


def test_task_that_has_not_ended_is_not_deleted(client, durable):
    waits = client.submit("echo", delay_ms=LATER, durable=durable)
    done = client.call("echo", durable=durable)["id"]
    answer = client.rpc("task.delete", {"ids": [waits, done]})
    assert answer == {
        "count": 1,
        "skipped": [{"id": waits, "state": "scheduled"}],
    }
    error = client.error("task.delete", {"id": waits})
    assert error.code == -32013
    assert states(client, [waits]) == ["scheduled"]


def test_delete_by_filter(client, durable):
    failed = fail(client, 3, durable=durable)
    done = client.call("echo", durable=durable)["id"]
    waits = client.submit("echo", delay_ms=LATER, durable=durable)
    answer = client.rpc("task.delete", {"filter": {"state": "failed"}})
    assert answer == {"count": 3, "skipped": []}
    for ident in failed:
        assert client.error("task.get", {"id": ident}).code == -32012
    assert states(client, [done, waits]) == ["succeeded", "scheduled"]
    answer = client.rpc("task.delete", {"filter": {"name": "echo"}})
    assert answer["count"] == 1
    assert states(client, [waits]) == ["scheduled"]


# task.cancel by a filter


def test_cancel_by_filter_means_what_waits_and_runs(client, durable):
    runs = client.submit("sleep", {"ms": 60000}, durable=durable)
    client.wait_running(runs)
    waits = [
        client.submit("sleep", {"ms": 60000}, delay_ms=LATER, durable=durable)
        for _ in range(20)
    ]
    other = client.submit("echo", delay_ms=LATER, durable=durable)
    answer = client.rpc("task.cancel", {"filter": {"name": "sleep"}})
    assert answer == {"count": 20, "cancelling": 1, "skipped": []}
    assert client.wait(runs)[0]["state"] == "cancelled"
    assert set(states(client, waits)) == {"cancelled"}
    assert states(client, [other]) == ["scheduled"]


def test_cancel_of_running_ones_leaves_the_others(client, durable):
    runs = client.submit("sleep", {"ms": 60000}, durable=durable)
    waits = client.submit("sleep", {"ms": 1}, delay_ms=LATER, durable=durable)
    client.wait_running(runs)
    answer = client.rpc("task.cancel", {"filter": {"state": "running"}})
    assert answer == {"count": 0, "cancelling": 1, "skipped": []}
    client.wait(runs)
    assert states(client, [waits]) == ["scheduled"]


def test_cancel_by_time_leaves_newer_ones(client, durable):
    old = client.submit("echo", delay_ms=LATER, durable=durable)
    time = client.task(old)["submitted_at"]
    answer = client.rpc(
        "task.cancel", {"filter": {"name": "echo", "until": time}}
    )
    assert answer["count"] == 0
    answer = client.rpc(
        "task.cancel", {"filter": {"name": "echo", "since": time}}
    )
    assert answer["count"] == 1


def test_sweep_over_many_pages(client, durable):
    """More tasks than a page has, and others are served meanwhile."""
    many = [
        {"name": "echo", "delay_ms": LATER, "durable": durable}
        for _ in range(3000)
    ]
    ids = [one["id"] for one in client.rpc("task.submit_many", {"tasks": many})]
    wait = client.request("task.wait", {"ids": ids})
    sweep = client.request("task.cancel", {"filter": {"queue": "default"}})
    assert client.rpc("server.ping") == "pong"
    assert client.result(sweep)["count"] == 3000
    done = client.result(wait)["done"]
    assert {task["state"] for task in done} == {"cancelled"}
    answer = client.rpc("task.delete", {"filter": {"state": "cancelled"}})
    assert answer["count"] == 3000


# What was answered is kept


def test_retry_and_delete_survive_the_broker(daemons):
    # No worker takes anything: what is ready stays so.
    daemon = daemons.start(CONFIG)
    with daemon.client() as client:
        retried, deleted, cancelled = fail(client, 3)
        client.rpc("queue.pause", {"queue": "default"})
        client.rpc("task.delete", {"id": deleted})
        client.rpc("task.retry", {"ids": [retried, cancelled]})
        client.rpc("task.cancel", {"id": cancelled})
    daemon.kill_broker()
    with daemon.client() as client:
        assert states(client, [retried, cancelled]) == ["ready", "cancelled"]
        assert client.error("task.get", {"id": deleted}).code == -32012
        client.rpc("queue.resume", {"queue": "default"})
        assert client.wait(retried)[0]["run"] == 2


# Several requests for one task


def at_once(client, *requests):
    """Results or errors of requests that are taken up in one turn."""
    client.send(
        [
            {"jsonrpc": "2.0", "id": i, "method": method, "params": params}
            for i, (method, params) in enumerate(requests)
        ]
    )
    answers = {one["id"]: one for one in client.recv()}
    return [
        answers[i].get("result", answers[i].get("error"))
        for i in range(len(requests))
    ]


def test_an_id_that_is_named_twice_is_deleted_once(client, durable):
    (failed,) = fail(client, durable=durable)
    answer = client.rpc("task.delete", {"ids": [failed, failed]})
    assert answer["count"] == 1
    assert [one["id"] for one in answer["skipped"]] == [failed]


def test_what_was_deleted_meanwhile_is_not_revived(shared, client):
    """One that is in memory is found at once, one on the disk later."""
    broker = shared.broker_pid()
    for _ in range(20):
        (gone,) = fail(client, durable=False)
        (kept,) = fail(client, durable=True)
        retried, deleted = at_once(
            client,
            ("task.retry", {"ids": [gone, kept]}),
            ("task.delete", {"ids": [gone]}),
        )
        assert deleted == {"count": 1, "skipped": []}
        assert retried == {
            "count": 1,
            "skipped": [
                {
                    "id": gone,
                    "state": "failed",
                    "reason": "the task has just gone",
                }
            ],
        }
        assert client.wait(kept)[0]["run"] == 2
        assert client.error("task.get", {"id": gone}).code == -32012
    assert shared.broker_pid() == broker


def test_a_retry_behind_a_delete_finds_nothing(client, durable):
    (failed,) = fail(client, durable=durable)
    deleted, retried = at_once(
        client, ("task.delete", {"id": failed}), ("task.retry", {"id": failed})
    )
    assert deleted == {"count": 1, "skipped": []}
    assert retried["code"] in (-32012, -32013)
    assert client.error("task.get", {"id": failed}).code == -32012


def test_a_wait_behind_a_delete_is_answered(client, durable):
    (failed,) = fail(client, durable=durable)
    deleted, waited = at_once(
        client,
        ("task.delete", {"id": failed}),
        ("task.wait", {"ids": [failed]}),
    )
    assert deleted["count"] == 1
    if "done" in waited:
        assert [task["id"] for task in waited["done"]] == [failed]
    else:
        assert waited["code"] == -32012


def test_a_retry_past_the_limit_says_that_it_is_full(daemons, durable):
    daemon = daemons.start(top="max_queued = 2")
    with daemon.client() as client:
        (failed,) = fail(client, durable=durable)
        for _ in range(2):
            client.submit("echo", delay_ms=LATER)
        error = client.error("task.retry", {"id": failed})
        assert error.code == -32010
        assert error.data["retryable"] is True
        assert error.message == "the daemon is full (max_queued, 2)"
        skipped = error.data["skipped"]
        assert [one["reason"] for one in skipped] == [error.message]


# What a filter means


def test_before_1970_there_was_nothing(client, durable):
    (failed,) = fail(client, durable=durable)
    for until in (0, "1970-01-01T00:00:00Z"):
        some = {"state": "failed", "until": until}
        assert client.rpc("task.list", some)["tasks"] == []
        assert client.rpc("task.delete", {"filter": some})["count"] == 0
    assert states(client, [failed]) == ["failed"]


def test_a_filter_knows_names_that_are_not_configured_any_more(
    daemons, handlers
):
    daemon = daemons.start(
        'pool "default" { processes = 1 queues = {"default", "other"}'
        f' modules = {{"{handlers}"}} }}'
    )
    with daemon.client() as client:
        ident = client.submit("nothing", queue="other", retries=0)
        client.wait(ident)
    daemon.stop()
    daemon.configure()
    daemon.start()
    with daemon.client() as client:
        for some in ({"name": "nothing"}, {"queue": "other"}):
            (task,) = client.rpc("task.list", some)["tasks"]
            assert task["id"] == ident
        assert client.error("task.list", {"name": "never"}).code == -32017
        answer = client.rpc("task.delete", {"filter": {"name": "nothing"}})
        assert answer == {"count": 1, "skipped": []}


# A retry, and tasks with `unique`


@pytest.mark.parametrize("by", ["id", "filter"])
def test_retry_leaves_the_place_of_a_unique_task_alone(client, durable, by):
    (failed,) = fail(client, unique="u", durable=durable)
    twin = client.submit("fail", unique="u", delay_ms=LATER, durable=durable)
    assert twin != failed
    if by == "id":
        error = client.error("task.retry", {"id": failed})
        assert error.code == -32011
        assert error.data["id"] == twin
        skipped = error.data["skipped"]
    else:
        answer = client.rpc("task.retry", {"filter": {}})
        assert answer["count"] == 0
        skipped = answer["skipped"]
    reason = f'task {twin} has the place of the task, by its "unique"'
    assert skipped == [{"id": failed, "state": "failed", "reason": reason}]
    client.rpc("task.cancel", {"id": twin})
    client.rpc("queue.pause", {"queue": "default"})
    assert client.rpc("task.retry", {"filter": {}})["count"] == 1
    again = client.rpc(
        "task.submit", {"name": "fail", "unique": "u", "durable": durable}
    )
    assert (again["id"], again["duplicate"]) == (failed, True)
    client.rpc("queue.resume", {"queue": "default"})
