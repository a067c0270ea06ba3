# SPDX-License-Identifier: ISC
"""JSON-RPC 2.0, a text a line, on the raw socket."""

import json
import shutil
import subprocess

import pytest

from ganger import Client

PING = '{"jsonrpc":"2.0","id":"p","method":"server.ping"}'


def ask(client, line):
    """Send a line as it is; the answer that comes next."""
    if isinstance(line, str):
        line = line.encode()
    client.send_raw(line + b"\n")
    return client.recv()


def assert_lives(client):
    """Nothing else is waiting, and the connection works."""
    assert ask(client, PING) == {"jsonrpc": "2.0", "id": "p", "result": "pong"}


def assert_error(answer, code, ident=None):
    assert answer["jsonrpc"] == "2.0"
    assert answer["id"] == ident
    assert answer["error"]["code"] == code, answer
    assert answer["error"]["message"]
    assert answer["error"]["data"]["retryable"] is False
    assert "result" not in answer


def test_answer_has_the_form_of_the_specification(client):
    assert_lives(client)


@pytest.mark.parametrize(
    "ident", [0, 1, -7, 2**53 + 1, -(2**63), 1.5, "", "x", "é\n\"", None]
)
def test_answer_bears_the_id_as_it_was(client, ident):
    message = {"jsonrpc": "2.0", "id": ident, "method": "server.ping"}
    answer = ask(client, json.dumps(message))
    assert answer["result"] == "pong"
    assert answer["id"] == ident
    assert type(answer["id"]) is type(ident)


def test_id_over_its_limit_is_refused(client):
    message = {"jsonrpc": "2.0", "id": "x" * 1000, "method": "server.ping"}
    assert_error(ask(client, json.dumps(message)), -32600)
    assert_lives(client)


@pytest.mark.parametrize(
    "line",
    [
        "hello",
        "{",
        '{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]',
        '[{"jsonrpc":"2.0","method":"sum","id":"1"},{"jsonrpc":"2.0","me',
        PING + PING,
        '{"a":1,"a":2}',
        "{'a':1}",
        "[1e999]",
        "[-1e999]",
        "[NaN]",
        "[1,]",
        "[01]",
        '["\\ud800"]',
        b'["\xff\xfe"]',
        b'["\xc0\x80"]',
        b'["\xed\xa0\x80"]',
        b"\x00",
        b"{}\x00",
        b'["\x00"]',
        b'["\x01"]',
        b"\xef\xbb\xbf{}",
        b"\x7fELF\x02\x01\x01\x00\x00\x00",
        "[" * 100000,
        "[" * 100000 + "]" * 100000,
        '{"a":' * 100000 + "1" + "}" * 100000,
    ],
    ids=lambda line: repr(line[:20]),
)
def test_line_that_is_no_json_is_a_parse_error(client, line):
    assert_error(ask(client, line), -32700)
    assert_lives(client)


@pytest.mark.parametrize(
    "line, ident",
    [
        ("[]", None),
        ("null", None),
        ("12", None),
        ('"text"', None),
        ("{}", None),
        ('{"jsonrpc":"2.0","method":1,"params":"bar"}', None),
        ('{"jsonrpc":"2.0","id":1}', 1),
        ('{"jsonrpc":"1.0","id":1,"method":"server.ping"}', 1),
        ('{"id":"a","method":"server.ping"}', "a"),
        ('{"jsonrpc":"2.0","id":2,"method":null}', 2),
        ('{"jsonrpc":"2.0","id":3,"method":"server.ping","params":1}', 3),
        ('{"jsonrpc":"2.0","id":[],"method":"server.ping"}', None),
        ('{"jsonrpc":"2.0","id":{},"method":"server.ping"}', None),
        ('{"jsonrpc":"2.0","id":true,"method":"server.ping"}', None),
    ],
)
def test_json_that_is_no_request_is_invalid(client, line, ident):
    assert_error(ask(client, line), -32600, ident)
    assert_lives(client)


@pytest.mark.parametrize(
    "method", ["", "foobar", "task", "task.submit ", "Server.ping", "x" * 5000]
)
def test_unknown_method_is_not_found(client, method):
    message = {"jsonrpc": "2.0", "id": 1, "method": method}
    assert_error(ask(client, json.dumps(message)), -32601, 1)


def test_positional_parameters_are_refused(client):
    message = {"jsonrpc": "2.0", "id": 1, "method": "task.get", "params": [1]}
    assert_error(ask(client, json.dumps(message)), -32602, 1)


@pytest.mark.parametrize("params", ["", ',"params":{}'])
def test_parameters_may_be_left_out(client, params):
    line = '{"jsonrpc":"2.0","id":1,"method":"server.ping"%s}' % params
    assert ask(client, line)["result"] == "pong"


@pytest.mark.parametrize("line", ["", "  ", "\r", "\t \r"])
def test_blank_line_is_nothing(client, line):
    client.send_raw(line.encode() + b"\n")
    assert_lives(client)


def test_answers_of_a_client_are_no_reason_to_answer(client):
    """A response to a request that was never made says nothing to us."""
    client.send_raw(b'{"jsonrpc":"2.0","id":1,"result":1}\n')
    client.send_raw(PING.encode() + b"\n")
    answer = client.recv()
    if "error" in answer:
        assert answer["error"]["code"] == -32600
        answer = client.recv()
    assert answer["id"] == "p"


# Notifications


def submitted(client):
    return client.rpc("server.stats")["submitted"]


def test_notification_is_done_and_not_answered(client):
    before = submitted(client)
    client.notify("task.submit", {"name": "echo", "args": 1})
    assert_lives(client)
    assert submitted(client) == before + 1


def test_notification_with_a_mistake_is_not_answered(client):
    client.notify("no.such.method")
    client.notify("task.submit", {"name": 1})
    client.notify("task.get", [1])
    assert_lives(client)


# Batches


def test_batch_is_answered_in_one_line(client):
    batch = [
        {"jsonrpc": "2.0", "id": "1", "method": "server.ping"},
        {"jsonrpc": "2.0", "method": "server.ping"},
        {"jsonrpc": "2.0", "id": 2, "method": "task.get", "params": {"id": 0}},
        {"foo": "boo"},
        {"jsonrpc": "2.0", "id": "5", "method": "foo.get"},
        {
            "jsonrpc": "2.0",
            "id": "6",
            "method": "task.call",
            "params": {"name": "echo", "args": 6},
        },
    ]
    told = ask(client, json.dumps(batch))
    answers = {answer["id"]: answer for answer in told}
    assert set(answers) == {"1", 2, None, "5", "6"}
    assert answers["1"]["result"] == "pong"
    assert "error" in answers[2]
    assert answers[None]["error"]["code"] == -32600
    assert answers["5"]["error"]["code"] == -32601
    assert answers["6"]["result"]["result"] == 6
    assert_lives(client)


def test_batch_of_notifications_is_not_answered(client):
    before = submitted(client)
    submit = {
        "jsonrpc": "2.0",
        "method": "task.submit",
        "params": {"name": "echo"},
    }
    client.send([submit, submit, {"jsonrpc": "2.0", "method": "no.such"}])
    assert_lives(client)
    assert submitted(client) == before + 2


def test_batch_of_nonsense_is_answered_one_by_one(client):
    answers = ask(client, "[1,2,3]")
    assert len(answers) == 3
    for answer in answers:
        assert_error(answer, -32600)


def test_batch_of_one_is_answered_with_a_batch(client):
    (answer,) = ask(client, f"[{PING}]")
    assert answer["result"] == "pong"


def test_batches_do_not_nest(client):
    (answer,) = ask(client, f"[[{PING}]]")
    assert_error(answer, -32600)


def test_batch_waits_for_its_slowest_but_holds_nobody_up(client):
    client.send(
        [
            {
                "jsonrpc": "2.0",
                "id": "slow",
                "method": "task.call",
                "params": {"name": "sleep", "args": {"ms": 300}},
            },
            {"jsonrpc": "2.0", "id": "quick", "method": "server.ping"},
        ]
    )
    assert_lives(client)
    assert {answer["id"] for answer in client.recv()} == {"slow", "quick"}


def test_batch_of_ten_thousand_is_answered(client):
    answers = ask(client, "[" + ",".join([PING] * 10000) + "]")
    assert len(answers) == 10000
    assert all(answer["result"] == "pong" for answer in answers)


def test_batch_of_a_hundred_thousand_is_refused_whole(client):
    assert_error(ask(client, "[" + ",".join(["1"] * 100000) + "]"), -32600)
    assert_lives(client)


def test_batch_with_one_id_twice_is_answered_twice(client):
    answers = ask(client, f"[{PING},{PING}]")
    assert [answer["id"] for answer in answers] == ["p", "p"]


# Order, and the stream


def test_answers_come_as_they_are_ready(client):
    slow = client.request(
        "task.call", {"name": "sleep", "args": {"ms": 500}}
    )
    quick = client.request("server.ping")
    assert client.recv()["id"] == quick
    assert client.recv()["id"] == slow


def test_requests_of_one_client_are_taken_in_order(client):
    ids = [
        client.request("task.submit", {"name": "echo", "args": i})
        for i in range(100)
    ]
    tasks = [client.result(ident)["id"] for ident in ids]
    assert tasks == sorted(tasks)
    assert len(set(tasks)) == 100


def test_carriage_returns_are_white_space(client):
    client.send_raw(PING.encode() + b"\r\n")
    assert client.recv()["result"] == "pong"


def test_a_line_may_come_a_byte_at_a_time(client):
    for byte in (PING + "\n" + PING + "\n").encode():
        client.send_raw(bytes([byte]))
    assert client.recv()["result"] == "pong"
    assert client.recv()["result"] == "pong"


def test_many_lines_may_come_at_once(client):
    client.send_raw((PING + "\n").encode() * 1000)
    for _ in range(1000):
        assert client.recv()["result"] == "pong"


def test_half_closed_client_gets_every_answer(shared):
    with shared.client() as client:
        slow = client.request(
            "task.call", {"name": "sleep", "args": {"ms": 300}}
        )
        quick = client.request("task.call", {"name": "echo", "args": "q"})
        client.half_close()
        assert client.result(quick)["result"] == "q"
        assert client.result(slow)["result"]["slept_ms"] >= 300
        assert client.at_eof()


def test_unfinished_line_of_a_half_closed_client_is_answered(shared):
    """printf without a newline, into nc: it is a line nevertheless."""
    with shared.client() as client:
        client.send_raw(PING.encode())
        client.half_close()
        assert client.recv()["result"] == "pong"
        assert client.at_eof()


def test_client_that_only_looks_in_is_let_go(shared):
    with shared.client() as client:
        client.half_close()
        assert client.at_eof()


def test_client_gone_before_its_answer_harms_nobody(shared, client):
    for _ in range(20):
        gone = shared.client()
        gone.request("task.call", {"name": "sleep", "args": {"ms": 50}})
        gone.request("task.call", {"name": "echo", "args": "x" * 10000})
        gone.close()
    assert client.call("echo", 1)["result"] == 1


def test_netcat_is_a_client(shared):
    nc = shutil.which("nc")
    if nc is None or b"-U" not in subprocess.run(
        [nc, "-h"], capture_output=True
    ).stderr:
        pytest.skip("there is no nc that knows -U")
    done = subprocess.run(
        [nc, "-N", "-U", shared.socket],
        input=PING.encode() + b"\n",
        capture_output=True,
        timeout=60,
    )
    assert json.loads(done.stdout)["result"] == "pong"


def test_two_clients_do_not_see_each_others_answers(shared):
    with Client(shared.socket) as one, Client(shared.socket) as two:
        first = one.request("task.call", {"name": "echo", "args": "one"})
        second = two.request("task.call", {"name": "echo", "args": "two"})
        assert two.result(second)["result"] == "two"
        assert one.result(first)["result"] == "one"
