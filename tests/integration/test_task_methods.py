# SPDX-License-Identifier: ISC
"""The methods on tasks: the form of their results, what they refuse."""

import datetime
import re

import pytest

from ganger import wait_until

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
TASK = {
    *("id", "name", "queue", "state", "priority", "attempt", "run", "args"),
    "submitted_at",
}
LATER = 3600 * 1000


def at(task):
    """When a task was submitted, in milliseconds."""
    time = task["submitted_at"].replace("Z", "+00:00")
    return round(datetime.datetime.fromisoformat(time).timestamp() * 1000)


def milliseconds():
    return int(datetime.datetime.now().timestamp() * 1000)


def assert_times_in_order(task, *names):
    times = [task[name] for name in names]
    for time in times:
        assert TIME.fullmatch(time), time
    assert times == sorted(times)


# task.submit


def test_submit_tells_id_and_state(client):
    answer = client.rpc("task.submit", {"name": "echo"})
    assert answer == {"id": answer["id"], "state": "ready", "duplicate": False}
    assert isinstance(answer["id"], int) and answer["id"] > 0


def test_submit_with_a_delay_is_scheduled(client):
    answer = client.rpc("task.submit", {"name": "echo", "delay_ms": LATER})
    assert answer["state"] == "scheduled"
    task = client.task(answer["id"])
    assert task["state"] == "scheduled"
    assert_times_in_order(task, "submitted_at", "run_at")
    assert "started_at" not in task
    client.rpc("task.cancel", {"id": answer["id"]})


@pytest.mark.parametrize(
    "params, wrong",
    [
        ({}, "name"),
        ({"name": 1}, "name"),
        ({"name": None}, "name"),
        ({"name": "echo", "colour": "red"}, "colour"),
        ({"name": "echo", "queue": 1}, "queue"),
        ({"name": "echo", "priority": 10}, "priority"),
        ({"name": "echo", "priority": -1}, "priority"),
        ({"name": "echo", "priority": "high"}, "priority"),
        ({"name": "echo", "priority": 1.5}, "priority"),
        ({"name": "echo", "delay_ms": -1}, "delay_ms"),
        ({"name": "echo", "delay_ms": "1s"}, "delay_ms"),
        ({"name": "echo", "run_at": "tomorrow"}, "run_at"),
        ({"name": "echo", "run_at": "2026-02-30T00:00:00Z"}, "run_at"),
        ({"name": "echo", "run_at": -1}, "run_at"),
        ({"name": "echo", "expires_ms": -1}, "expires_ms"),
        ({"name": "echo", "timeout_ms": -1}, "timeout_ms"),
        ({"name": "echo", "timeout_ms": True}, "timeout_ms"),
        ({"name": "echo", "retries": -1}, "retries"),
        ({"name": "echo", "retries": "many"}, "retries"),
        ({"name": "echo", "backoff_ms": -1}, "backoff_ms"),
        ({"name": "echo", "result_ttl_ms": -1}, "result_ttl_ms"),
        ({"name": "echo", "durable": 1}, "durable"),
        ({"name": "echo", "wait_ms": 1}, "wait_ms"),
    ],
)
def test_submit_names_the_wrong_parameter(client, params, wrong):
    error = client.error("task.submit", params)
    assert error.code == -32602
    assert error.data["param"] == wrong
    assert error.data["retryable"] is False
    assert wrong in error.message


def test_submit_refuses_two_times_to_run(client):
    error = client.error(
        "task.submit",
        {"name": "echo", "delay_ms": 1, "run_at": "2026-01-01T00:00:00Z"},
    )
    assert error.code == -32602


def test_submit_of_an_unknown_name_tells_the_known_ones(client):
    error = client.error("task.submit", {"name": "ehco"})
    assert error.code == -32017
    assert error.data["retryable"] is False
    assert {"echo", "sleep", "fail", "sha512", "sort"} <= set(
        error.data["names"]
    )
    assert "ehco" in error.message and "sha512" in error.message


def test_submit_to_an_unknown_queue_is_refused(client):
    error = client.error("task.submit", {"name": "echo", "queue": "nowhere"})
    assert error.code == -32017
    assert error.data["retryable"] is False


# task.get


def test_finished_task_is_told_whole(client):
    ident = client.submit("echo", {"a": [1, None]}, meta={"who": "me"})
    client.wait(ident)
    task = client.task(ident)
    assert set(task) == TASK | {
        *("result", "meta", "started_at", "finished_at", "worker", "pool")
    }
    assert task["id"] == ident
    assert task["name"] == "echo"
    assert task["queue"] == "default"
    assert task["state"] == "succeeded"
    assert task["attempt"] == 1
    assert task["run"] == 1
    assert task["args"] == task["result"] == {"a": [1, None]}
    assert task["meta"] == {"who": "me"}
    assert task["pool"] == "default"
    assert re.fullmatch(r"default/\d+", task["worker"])
    assert_times_in_order(task, "submitted_at", "started_at", "finished_at")


def test_submitted_at_is_now(client):
    task = client.call("echo")
    now = datetime.datetime.now(datetime.timezone.utc)
    told = datetime.datetime.fromisoformat(
        task["submitted_at"].replace("Z", "+00:00")
    )
    assert abs((now - told).total_seconds()) < 60


def test_failed_task_has_an_error_instead_of_a_result(client):
    ident = client.submit("fail", {"message": "no luck", "code": 7})
    (task,) = client.wait(ident)
    assert task["state"] == "failed"
    assert "result" not in task
    assert task["error"]["code"] == 7
    assert task["error"]["message"] == "no luck"
    assert task["error"]["data"]["retryable"] is False


@pytest.mark.parametrize("params", [{}, {"id": "1"}, {"id": [1]}, {"id": None}])
def test_get_refuses_what_is_no_id(client, params):
    error = client.error("task.get", params)
    assert error.code == -32602
    assert error.data["param"] == "id"


@pytest.mark.parametrize("ident", [10**9, 2**62])
def test_get_of_an_unknown_task(client, ident):
    error = client.error("task.get", {"id": ident})
    assert (error.code, error.data["id"]) == (-32012, ident)
    assert error.data["retryable"] is False


# task.submit_many


def test_submit_many_answers_each_in_order(client):
    answers = client.rpc(
        "task.submit_many",
        {
            "tasks": [
                {"name": "echo", "args": 1},
                {"name": "nobody"},
                {"name": "echo", "delay_ms": LATER},
                {"name": "echo", "priority": 99},
                {"name": "echo", "args": 2},
                {"colour": "red"},
                17,
            ]
        },
    )
    assert [answer.get("state") for answer in answers] == [
        *("ready", None, "scheduled", None, "ready", None, None)
    ]
    assert [answer.get("error", {}).get("code") for answer in answers] == [
        *(None, -32017, None, -32602, None, -32602, -32602)
    ]
    for answer in answers:
        if "error" in answer:
            assert answer["error"]["message"]
            assert answer["error"]["data"]["retryable"] is False
        else:
            assert set(answer) == {"id", "state", "duplicate"}
    one, two = client.wait(answers[0]["id"], answers[4]["id"])
    assert (one["result"], two["result"]) == (1, 2)
    client.rpc("task.cancel", {"id": answers[2]["id"]})


@pytest.mark.parametrize(
    "params", [{}, {"tasks": 1}, {"tasks": {}}, {"tasks": []}]
)
def test_submit_many_needs_a_list(client, params):
    error = client.error("task.submit_many", params)
    assert (error.code, error.data["param"]) == (-32602, "tasks")


def test_submit_many_takes_ten_thousand_and_no_more(client):
    tasks = [{"name": "echo"}] * 10000
    answers = client.rpc("task.submit_many", {"tasks": tasks})
    ids = {answer["id"] for answer in answers}
    assert len(ids) == 10000
    done = client.rpc("task.wait", {"ids": sorted(ids)})
    assert len(done["done"]) == 10000
    error = client.error("task.submit_many", {"tasks": tasks + tasks[:1]})
    assert error.code == -32602


# task.call


def test_call_returns_the_finished_task(client):
    task = client.call("echo", {"x": 1})
    assert task["state"] == "succeeded"
    assert task["result"] == {"x": 1}
    assert TASK <= set(task)


def test_failed_call_is_an_error_with_the_task(client):
    error = client.error(
        "task.call",
        {"name": "fail", "args": {"message": "no luck", "code": 9}},
    )
    assert error.code == -32020
    assert error.message == "no luck"
    assert error.data["retryable"] is False
    task = error.data["task"]
    assert task["id"] == error.data["id"]
    assert task["state"] == "failed"
    assert task["error"]["code"] == 9


def test_call_that_waits_no_longer_leaves_its_task_alone(client):
    error = client.error(
        "task.call", {"name": "sleep", "args": {"ms": 400}, "wait_ms": 20}
    )
    assert error.code == -32018
    assert error.data["retryable"] is True
    (task,) = client.wait(error.data["id"])
    assert task["state"] == "succeeded"


def test_call_refuses_a_bad_wait(client):
    error = client.error("task.call", {"name": "echo", "wait_ms": -1})
    assert (error.code, error.data["param"]) == (-32602, "wait_ms")


# task.list


def test_list_is_newest_first_in_pages(shared_daemons):
    with shared_daemons.start().client() as client:
        ids = [client.submit("echo", i) for i in range(25)]
        client.wait(*ids)
        told, cursor, pages = [], None, 0
        while pages == 0 or cursor is not None:
            params = {"limit": 10}
            if cursor is not None:
                params["cursor"] = cursor
            page = client.rpc("task.list", params)
            assert set(page) == {"tasks", "cursor"}
            assert len(page["tasks"]) <= 10
            told += [task["id"] for task in page["tasks"]]
            cursor = page["cursor"]
            pages += 1
        assert told == ids[::-1]
        assert client.rpc("task.list")["cursor"] is None


def test_list_can_be_filtered(client):
    wanted = client.submit("fail", {"message": "listed"})
    other = client.submit("sha512", {"text": "x"})
    client.wait(wanted, other)
    for params in [
        {"state": "failed"},
        {"name": "fail"},
        {"queue": "default", "state": "failed", "name": "fail"},
    ]:
        tasks = client.rpc("task.list", {"limit": 1000, **params})["tasks"]
        ids = [task["id"] for task in tasks]
        assert wanted in ids and other not in ids
    assert client.rpc("task.list", {"name": "sort"})["tasks"] == []


def test_list_goes_by_the_time_of_the_submit(client):
    ids = []
    for i in range(3):
        ids.append(client.call("echo", i, durable=i == 1)["id"])
        wait_until(
            lambda: milliseconds() > at(client.task(ids[-1])),
            "the next one is later",
        )
    times = [client.task(ident)["submitted_at"] for ident in ids]

    def listed(**params):
        page = client.rpc("task.list", {"name": "echo", "limit": 3, **params})
        return [task["id"] for task in page["tasks"] if task["id"] in ids]

    assert listed(since=times[1]) == [ids[2], ids[1]]
    assert listed(until=times[2]) == [ids[1], ids[0]]
    assert listed(since=times[1], until=times[2]) == [ids[1]]
    assert listed(since=times[2], until=times[1]) == []


@pytest.mark.parametrize("durable", [False, True])
def test_list_tells_how_a_running_task_is_now(shared, durable):
    with shared.client() as client:
        ident = client.submit("sleep", {"ms": 60000}, durable=durable)
        client.wait_running(ident)
        page = client.rpc("task.list", {"state": "running"})
        (task,) = [task for task in page["tasks"] if task["id"] == ident]
        assert (task["run"], task["attempt"]) == (1, 1)
        assert task["worker"]
        page = client.rpc("task.list", {"state": "ready"})
        assert ident not in [task["id"] for task in page["tasks"]]
        client.rpc("task.cancel", {"id": ident})
        assert client.wait(ident)[0]["state"] == "cancelled"


@pytest.mark.parametrize(
    "params, wrong",
    [
        ({"state": "happy"}, "state"),
        ({"state": 1}, "state"),
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"limit": "all"}, "limit"),
        ({"cursor": 1}, "cursor"),
        ({"cursor": "no cursor of ours"}, "cursor"),
        ({"since": "yesterday"}, "since"),
        ({"until": -1}, "until"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_list_names_the_wrong_parameter(client, params, wrong):
    error = client.error("task.list", params)
    assert (error.code, error.data["param"]) == (-32602, wrong)


# task.wait


def test_wait_for_all(client):
    ids = [client.submit("sleep", {"ms": ms}) for ms in (150, 1, 50)]
    answer = client.rpc("task.wait", {"ids": ids})
    assert set(answer) == {"done", "pending"}
    assert {task["id"] for task in answer["done"]} == set(ids)
    assert {task["state"] for task in answer["done"]} == {"succeeded"}
    assert answer["pending"] == []


def test_wait_for_any(client):
    slow = client.submit("echo", delay_ms=LATER)
    quick = client.submit("echo")
    answer = client.rpc("task.wait", {"ids": [slow, quick], "mode": "any"})
    assert [task["id"] for task in answer["done"]] == [quick]
    assert answer["pending"] == [slow]
    client.rpc("task.cancel", {"id": slow})


def test_wait_ends_with_its_time(client):
    slow = client.submit("echo", delay_ms=LATER)
    quick = client.submit("echo")
    client.wait(quick)
    answer = client.rpc("task.wait", {"ids": [slow, quick], "timeout_ms": 30})
    assert [task["id"] for task in answer["done"]] == [quick]
    assert answer["pending"] == [slow]
    client.rpc("task.cancel", {"id": slow})


def test_wait_for_what_is_done_is_no_wait(client):
    ident = client.call("echo")["id"]
    answer = client.rpc("task.wait", {"ids": [ident], "timeout_ms": 0})
    assert [task["id"] for task in answer["done"]] == [ident]


def test_wait_for_an_unknown_task(client):
    ident = client.call("echo")["id"]
    error = client.error("task.wait", {"ids": [ident, 10**9]})
    assert error.code == -32012
    assert error.data["id"] == 10**9


@pytest.mark.parametrize(
    "params, wrong",
    [
        ({}, "ids"),
        ({"ids": 1}, "ids"),
        ({"ids": []}, "ids"),
        ({"ids": ["1"]}, "ids"),
        ({"ids": [1], "mode": "some"}, "mode"),
        ({"ids": [1], "timeout_ms": -1}, "timeout_ms"),
        ({"ids": [1], "colour": 1}, "colour"),
    ],
)
def test_wait_names_the_wrong_parameter(client, params, wrong):
    error = client.error("task.wait", params)
    assert (error.code, error.data["param"]) == (-32602, wrong)


def test_many_may_wait_for_one_task(shared):
    with shared.client() as client, shared.client() as other:
        ident = client.submit("sleep", {"ms": 200})
        waits = [
            (who, who.request("task.wait", {"ids": [ident]}))
            for who in (client, client, other)
        ]
        for who, wait in waits:
            assert who.result(wait)["done"][0]["id"] == ident


# task.cancel


def test_cancelled_task_never_runs(client):
    ident = client.submit("echo", delay_ms=LATER)
    assert client.rpc("task.cancel", {"ids": [ident]}) == {
        "count": 1,
        "cancelling": 0,
        "skipped": [],
    }
    (task,) = client.wait(ident)
    assert task["state"] == "cancelled"
    assert "started_at" not in task
    assert_times_in_order(task, "submitted_at", "finished_at")


def test_cancel_tells_what_it_skipped(client):
    waiting = client.submit("echo", delay_ms=LATER)
    done = client.call("echo")["id"]
    answer = client.rpc("task.cancel", {"ids": [waiting, done]})
    assert answer["count"] == 1
    assert answer["skipped"] == [{"id": done, "state": "succeeded"}]


def test_cancel_of_what_is_over_is_the_wrong_state(client):
    done = client.call("echo")["id"]
    error = client.error("task.cancel", {"id": done})
    assert error.code == -32013
    assert error.data["retryable"] is False


def test_cancel_of_an_unknown_task_cancels_nothing(client):
    waiting = client.submit("echo", delay_ms=LATER)
    error = client.error("task.cancel", {"ids": [waiting, 10**9]})
    assert error.code == -32012
    assert error.data["id"] == 10**9
    assert client.task(waiting)["state"] == "scheduled"
    client.rpc("task.cancel", {"id": waiting})


@pytest.mark.parametrize("durable", [False, True])
def test_running_task_is_told_to_end(client, durable):
    ident = client.submit("sleep", {"ms": 60000}, durable=durable)
    client.wait_running(ident)
    assert client.rpc("task.cancel", {"id": ident}) == {
        "count": 0,
        "cancelling": 1,
        "skipped": [],
    }
    (task,) = client.wait(ident)
    assert task["state"] == "cancelled"


@pytest.mark.parametrize("method", ["task.cancel", "task.retry", "task.delete"])
@pytest.mark.parametrize(
    "params, wrong",
    [
        ({}, "ids"),
        ({"ids": []}, "ids"),
        ({"ids": [0]}, "ids"),
        ({"id": "1"}, "id"),
        ({"id": 1, "ids": [1]}, "ids"),
        ({"id": 1, "filter": {"state": "failed"}}, "ids"),
        ({"filter": "failed"}, "filter"),
        ({"filter": {"state": "happy"}}, "state"),
        ({"filter": {"state": 1}}, "state"),
        ({"filter": {"state": "succeeded", "since": "now"}}, "since"),
        ({"filter": {"colour": "red"}}, "colour"),
        ({"id": 1, "colour": "red"}, "colour"),
    ],
)
def test_change_names_the_wrong_parameter(client, method, params, wrong):
    error = client.error(method, params)
    assert (error.code, error.data["param"]) == (-32602, wrong)
    assert wrong in error.message or "filter" in error.message


@pytest.mark.parametrize(
    "method, filter",
    [
        ("task.cancel", {}),
        ("task.cancel", {"since": 1}),
        ("task.delete", {}),
        ("task.delete", {"until": 1}),
        ("task.cancel", {"state": "failed"}),
        ("task.retry", {"state": "ready"}),
        ("task.retry", {"state": "succeeded"}),
        ("task.delete", {"state": "running"}),
    ],
)
def test_filter_that_means_too_much_is_refused(client, method, filter):
    error = client.error(method, {"filter": filter})
    assert error.code == -32602
    assert error.data["param"] in ("filter", "state")


@pytest.mark.parametrize("method", ["task.cancel", "task.retry", "task.delete"])
@pytest.mark.parametrize("filter", [{"queue": "nowhere"}, {"name": "nobody"}])
def test_filter_of_an_unknown_name(client, method, filter):
    error = client.error(method, {"filter": filter})
    assert error.code == -32017


def test_force_is_for_cancel_only(client):
    error = client.error("task.retry", {"id": 1, "force": True})
    assert (error.code, error.data["param"]) == (-32602, "force")


def test_cancel_ends_the_waits(client):
    ident = client.submit("echo", delay_ms=LATER)
    wait = client.request("task.wait", {"ids": [ident]})
    client.rpc("task.cancel", {"id": ident})
    assert client.result(wait)["done"][0]["state"] == "cancelled"


def test_cancel_ends_a_call(shared):
    with shared.client() as caller, shared.client() as other:
        call = caller.request(
            "task.call", {"name": "echo", "delay_ms": LATER, "meta": {"tag": 1}}
        )

        def find():
            tasks = other.rpc("task.list", {"state": "scheduled"})["tasks"]
            return [t["id"] for t in tasks if t.get("meta") == {"tag": 1}]

        (ident,) = wait_until(find, "the call's task")
        other.rpc("task.cancel", {"id": ident})
        error = caller.answer(call)["error"]
        assert error["data"]["task"]["state"] == "cancelled"
