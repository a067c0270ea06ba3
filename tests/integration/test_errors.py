# SPDX-License-Identifier: ISC
"""The last errors of a task are kept, and told when there were several."""

import re

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def fail(client, message="no luck", retries=0, **more):
    args = {"message": message, "code": 7, "retryable": True}
    ident = client.submit(
        "fail", args, retries=retries, backoff_ms=1, **more
    )
    (task,) = client.wait(ident)
    assert task["state"] == "failed"
    return task


def test_one_error_is_told_as_such(client):
    task = fail(client)
    assert task["error"]["message"] == "no luck"
    assert "errors" not in task


def test_last_five_are_told_with_attempt_and_time(client):
    task = fail(client, retries=7)
    assert task["attempt"] == 8
    assert [error["attempt"] for error in task["errors"]] == [4, 5, 6, 7, 8]
    times = [error["at"] for error in task["errors"]]
    assert all(TIME.fullmatch(at) for at in times) and times == sorted(times)
    for error in task["errors"]:
        assert (error["code"], error["message"]) == (7, "no luck")
        assert error["data"] == {"retryable": True}
    assert task["error"]["message"] == "no luck"


def test_volatile_task_has_them_too(client):
    assert len(fail(client, retries=1, durable=False)["errors"]) == 2


def test_long_message_is_cut_there_and_whole_in_the_error(client):
    message = "x" * 3000
    task = fail(client, message, retries=1)
    whole = task["error"]["message"]
    for error in task["errors"]:
        assert len(error["message"]) == min(len(whole), 1024)
        assert error["message_bytes"] == len(whole)


def test_error_by_the_daemon_has_the_same_data_there(client):
    more = {"timeout_ms": 50, "retries": 1, "backoff_ms": 1}
    (task,) = client.wait(client.submit("sleep", {"seconds": 3600}, **more))
    assert task["error"]["code"] == -32018
    for error in task["errors"]:
        assert error["data"] == task["error"]["data"] == {"retryable": True}


def test_they_are_told_of_a_success_as_well(daemons, handlers):
    daemon = daemons.start(
        f'pool "default" {{ processes = 1 modules = {{"{handlers}"}} }}\n'
    )
    with daemon.client() as client:
        ident = client.submit(
            "flaky", {"until": 4}, retries=5, backoff_ms=1
        )
        (task,) = client.wait(ident)
        assert task["state"] == "succeeded"
        assert [e["message"] for e in task["errors"]] == [
            *("attempt 1", "attempt 2", "attempt 3")
        ]
        client.rpc("server.upgrade")
        assert client.task(ident)["errors"] == task["errors"]
