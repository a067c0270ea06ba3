# SPDX-License-Identifier: ISC
"""The tasks that ship with the daemon."""

import hashlib
import json
import random

import pytest


def error_of(client, name, args):
    """The task's own error, of a call that must fail."""
    error = client.error("task.call", {"name": name, "args": args})
    assert error.code == -32020
    return error.data["task"]["error"]


# echo


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        0,
        -(2**63),
        2**63 - 1,
        0.1,
        -1e300,
        "",
        "é € 😀 \u2028 \\ \" / \n\t\r\b\f \x1f \x7f",
        [],
        {},
        [[[[]]]],
        {"": {"a": [1, {"b": None}]}},
        "x" * 500000,
        list(range(20000)),
        {str(i): i for i in range(1000)},
    ],
    ids=lambda value: repr(value)[:20],
)
def test_echo_returns_what_it_got(client, value):
    task = client.call("echo", value)
    assert task["result"] == value
    assert json.dumps(task["result"]) == json.dumps(value)


def test_echo_of_no_arguments_is_null(client):
    assert client.rpc("task.call", {"name": "echo"})["result"] is None


def test_echo_of_deep_nesting(client):
    value = 1
    for _ in range(500):
        value = [value]
    assert client.call("echo", value)["result"] == value


# sleep


@pytest.mark.parametrize("args", [{"ms": 30}, {"seconds": 0.03}, 0.03])
def test_sleep_takes_its_time_in_every_form(client, args):
    assert client.call("sleep", args)["result"]["slept_ms"] >= 30


@pytest.mark.parametrize("args", [None, "x", {}, {"ms": -1}, {"ms": "1"}, -1])
def test_sleep_refuses_what_is_no_time(client, args):
    error = error_of(client, "sleep", args)
    assert error["data"]["retryable"] is False


# fail


def test_fail_fails_as_told(client):
    error = error_of(client, "fail", {"message": "é \" \n", "code": -5})
    assert (error["code"], error["message"]) == (-5, "é \" \n")
    assert error["data"]["retryable"] is False


def test_fail_has_defaults(client):
    error = error_of(client, "fail", None)
    assert error["code"] == 1
    assert error["message"]


def test_fail_can_be_worth_another_try(client):
    params = {"name": "fail", "args": {"retryable": True}, "retries": 0}
    error = client.error("task.call", params)
    assert error.code == -32020
    assert error.data["task"]["error"]["data"]["retryable"] is True
    assert error.data["task"]["attempt"] == 1


# sha512


@pytest.mark.parametrize("text", ["", "abc", "é" * 1000, "x" * 300000])
def test_sha512_of_a_text(client, text):
    data = text.encode()
    assert client.call("sha512", {"text": text})["result"] == {
        "sha512": hashlib.sha512(data).hexdigest(),
        "bytes": len(data),
    }


@pytest.mark.parametrize("size", [0, 1, 111, 112, 127, 128, 129, 3_000_001])
def test_sha512_of_a_file(client, folder, size):
    data = random.Random(size).randbytes(size)
    path = folder / "a file"
    path.write_bytes(data)
    path.chmod(0o644)
    assert client.call("sha512", {"path": str(path)})["result"] == {
        "sha512": hashlib.sha512(data).hexdigest(),
        "bytes": size,
        "path": str(path),
    }


@pytest.mark.parametrize(
    "args",
    [None, {}, {"path": 1}, {"text": 1}, {"path": "/no/such/file"}]
    + [{"path": "/tmp"}, "text"],
)
def test_sha512_refuses_what_it_can_not_read(client, args):
    error = error_of(client, "sha512", args)
    assert error["message"]
    assert error["data"]["retryable"] is False


def test_sha512_names_the_file_that_is_missing(client):
    error = error_of(client, "sha512", {"path": "/no/such/file"})
    assert "/no/such/file" in error["message"]


# sort


def test_sort_of_numbers(client):
    numbers = [3, -1, 2, 2, 10**15, -(10**15), 0]
    result = client.call("sort", {"numbers": numbers})["result"]
    assert result["sorted"] == sorted(numbers)
    assert result["count"] == len(numbers)
    assert (result["min"], result["max"]) == (-(10**15), 10**15)
    assert "checksum" in result


def test_sort_of_many_numbers(client):
    numbers = random.Random(7).choices(range(-(10**9), 10**9), k=20000)
    result = client.call("sort", {"numbers": numbers})["result"]
    assert result["sorted"] == sorted(numbers)


@pytest.mark.parametrize("form", [json.dumps, "\n".join])
def test_sort_of_a_file(client, folder, form):
    numbers = random.Random(8).choices(range(-1000, 1000), k=500)
    path = folder / "numbers"
    path.write_text(
        form(numbers) if form is json.dumps else form(map(str, numbers)) + "\n"
    )
    path.chmod(0o644)
    result = client.call("sort", {"path": str(path)})["result"]
    assert result["sorted"] == sorted(numbers)
    assert result["count"] == 500


def test_sort_of_made_up_numbers_depends_on_the_seed_alone(client):
    def sort(seed):
        return client.call("sort", {"count": 10000, "seed": seed})["result"]

    one, again, other = sort(1), sort(1), sort(2)
    assert one == again
    assert one["checksum"] != other["checksum"]
    assert one["count"] == 10000
    assert one["min"] <= one["max"]
    assert "sorted" not in one


def test_sort_of_nothing(client):
    result = client.call("sort", {"numbers": []})["result"]
    assert (result["count"], result["sorted"]) == (0, [])


@pytest.mark.parametrize(
    "args",
    [None, {}, [1], {"numbers": 1}, {"numbers": ["x"]}, {"count": -1}]
    + [{"count": "many"}, {"path": "/no/such/file"}, {"path": "/tmp"}],
)
def test_sort_refuses_what_it_can_not_sort(client, args):
    error = error_of(client, "sort", args)
    assert error["message"]
    assert error["data"]["retryable"] is False


def test_sort_refuses_a_file_of_words(client, folder):
    path = folder / "words"
    path.write_text("one\ntwo\n")
    path.chmod(0o644)
    error = error_of(client, "sort", {"path": str(path)})
    assert str(path) in error["message"]


# crash


def test_crash_is_only_there_for_debugging(client, daemons):
    assert client.error("task.submit", {"name": "crash"}).code == -32017
    daemon = daemons.start(top="debug_handlers = yes")
    with daemon.client() as other:
        names = other.rpc("pool.list")[0]["names"]
        assert "crash" in names
