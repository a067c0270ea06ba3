# SPDX-License-Identifier: ISC
"""ganger's commands for tasks and queues: what they ask, print and exit with.

Against a daemon that only pretends, so that every answer can be had.
"""

import json
import time

import pytest

from ganger import GANGER

pytestmark = pytest.mark.skipif(
    not GANGER.exists(), reason="ganger is not built"
)

OK, FAILED, USAGE, DATA, AGAIN = 0, 1, 64, 65, 75

ENTERED = {"id": 7, "state": "ready", "duplicate": False}
TASK = {"id": 7, "state": "succeeded", "result": 42}
WAITED = {"done": [TASK], "pending": []}


# submit, call, map


@pytest.mark.parametrize(
    "words,params",
    [
        (["--key", "k"], {"key": "k"}),
        (["--unique", "u"], {"unique": "u"}),
        (["--idempotency-key", "i"], {"idempotency_key": "i"}),
        (["--at-most-once"], {"delivery": "at_most_once"}),
        (["--volatile"], {"durable": False}),
        (["--durable", "--volatile"], {"durable": False}),
        (["--backoff", "5s"], {"backoff_ms": 5000}),
        (["--result-ttl", "2d"], {"result_ttl_ms": 2 * 86400000}),
        (["--soft-timeout", "5m"], {"soft_timeout_ms": 300000}),
        (
            ["--delay", "1h", "--expires", "2h"],
            {"delay_ms": 3600000, "expires_ms": 7200000},
        ),
        (
            ["-p", "9", "-q", "mail", "--retries", "0"],
            {"priority": 9, "queue": "mail", "retries": 0},
        ),
    ],
    ids=str,
)
def test_submit_passes_on_what_it_is_told(ganger, words, params):
    done = ganger({"task.submit": ENTERED}, "submit", *words, "echo")
    assert (done.returncode, done.stdout, done.stderr) == (OK, "7\n", "")
    assert done.requests == [("task.submit", {"name": "echo", **params})]


def test_durable_submit_has_a_key_that_no_other_has(ganger):
    keys = set()
    for _ in range(2):
        done = ganger({"task.submit": ENTERED}, "submit", "--durable", "echo")
        (method, params), *rest = done.requests
        assert params["durable"] is True and not rest
        keys.add(params["idempotency_key"])
    assert len(keys) == 2


def test_duplicate_is_told_on_stderr(ganger):
    answer = {"id": 7, "state": "running", "duplicate": True}
    done = ganger({"task.submit": answer}, "submit", "--unique", "u", "echo")
    assert (done.returncode, done.stdout) == (OK, "7\n")
    assert done.stderr == (
        "ganger: submit: a duplicate of task 7, which is running\n"
    )


@pytest.mark.parametrize(
    "words,durable",
    [
        ([], False),
        (["--volatile"], False),
        (["--durable"], True),
        (["--idempotency-key", "i"], None),
        (["--key", "k"], False),
    ],
    ids=str,
)
def test_call_is_volatile_unless_it_is_told_to_last(ganger, words, durable):
    done = ganger(
        {"task.submit": ENTERED, "task.wait": WAITED}, "call", *words, "echo"
    )
    assert (done.returncode, done.stdout) == (OK, "42\n")
    assert done.requests[0][1].get("durable") == durable
    assert done.requests[1] == ("task.wait", {"ids": [7]})


@pytest.mark.parametrize(
    "retryable,status", [(True, AGAIN), (False, 70)], ids=str
)
def test_store_that_fails_is_told_with_its_reason(ganger, retryable, status):
    answer = {
        **{"code": -32016, "message": "the disk is full"},
        "data": {"retryable": retryable, "retry_after_ms": 1000},
    }
    done = ganger({"task.submit": answer}, "submit", "echo")
    assert (done.returncode, done.stdout) == (status, "")
    assert "the disk is full; try again in 1.0 s" in done.stderr


def test_map_numbers_the_keys_of_its_lines(ganger, folder):
    (folder / "a").write_text("10\n11\n")
    (folder / "b").write_text("12\n")
    done = ganger(
        {
            "server.info": {},
            "task.call": lambda params: {
                "result": params["idempotency_key"] + str(params["args"])
            },
        },
        *("map", "--idempotency-key", "x", "-j", "2", "echo"),
        *(folder / "a", folder / "b"),
    )
    assert done.returncode == OK
    assert done.stdout.splitlines() == ['"x/110"', '"x/211"', '"x/312"']


@pytest.mark.parametrize(
    "args",
    [
        ["map", "--unique", "u", "echo"],
        ["submit", "--backoff", "soon", "echo"],
        ["submit", "--reconnect", "soon", "echo"],
        ["retry"],
        ["retry", "-q", "mail"],
        ["retry", "--failed", "7"],
        ["delete"],
        ["delete", "--state", "failed", "7"],
        ["delete", "x"],
        ["cancel", "--force"],
        ["cancel", "-q", "mail", "7"],
        ["pause"],
        ["resume"],
        ["purge"],
        ["tasks", "--since", "yesterday"],
        ["tasks", "7"],
    ],
    ids=" ".join,
)
def test_wrong_words_are_64_and_nothing_is_asked(ganger, args):
    done = ganger({}, *args)
    assert (done.returncode, done.requests) == (USAGE, [])
    assert done.stderr.startswith("ganger: ")


# cancel, retry, delete


@pytest.mark.parametrize(
    "command,word",
    [
        ("cancel", "cancelled"),
        ("retry", "made ready again"),
        ("delete", "deleted"),
    ],
)
def test_tasks_are_named_by_id_or_by_what_they_are(ganger, command, word):
    method = f"task.{command}"
    answers = {method: {"count": 2, "skipped": []}}
    done = ganger(answers, command, "7", "8")
    assert done.requests == [(method, {"ids": [7, 8]})]
    assert (done.returncode, done.stdout) == (OK, f"2 tasks {word}\n")

    words = "--state", "failed", "-q", "mail", "--name", "send"
    done = ganger(answers, command, *words)
    fits = {"state": "failed", "queue": "mail", "name": "send"}
    assert done.requests == [(method, {"filter": fits})]
    assert (done.returncode, done.stdout) == (OK, f"2 tasks {word}\n")

    done = ganger(answers, "--json", command, *words)
    assert json.loads(done.stdout) == answers[method]


@pytest.mark.parametrize("command", ["cancel", "retry", "delete"])
def test_tasks_that_were_skipped_are_told(ganger, command):
    answer = {"count": 1, "skipped": [{"id": 8, "state": "succeeded"}]}
    done = ganger({f"task.{command}": answer}, command, "7", "8")
    assert done.returncode == DATA
    assert done.stdout.startswith("1 task ")
    assert "task 8 is succeeded: not " in done.stderr


def test_why_a_task_was_skipped_is_told(ganger):
    skipped = {"id": 8, "state": "failed", "reason": "task 9 has its place"}
    answer = {"count": 0, "skipped": [skipped]}
    done = ganger({"task.retry": answer}, "retry", "--failed")
    assert done.returncode == DATA
    assert "not made ready again: task 9 has its place\n" in done.stderr


def test_retry_of_what_has_failed(ganger):
    answers = {"task.retry": {"count": 0, "skipped": []}}
    done = ganger(answers, "retry", "--failed", "-q", "mail")
    fits = {"state": "failed", "queue": "mail"}
    assert done.requests == [("task.retry", {"filter": fits})]
    assert (done.returncode, done.stdout) == (OK, "0 tasks made ready again\n")


def test_cancel_by_force_tells_of_those_that_are_on_their_way(ganger):
    answer = {"count": 0, "cancelling": 1, "skipped": []}
    done = ganger({"task.cancel": answer}, "cancel", "--force", "7")
    assert done.requests == [("task.cancel", {"ids": [7], "force": True})]
    assert (done.returncode, done.stdout) == (
        OK,
        "1 running task asked to end\n",
    )


# pause, resume, purge


def test_queues_are_paused_and_resumed_by_name(ganger):
    row = {"name": "mail", "state": "paused", "running": 3, "ready": 12}
    done = ganger({"queue.pause": row}, "pause", "mail", "web")
    assert done.requests == [
        ("queue.pause", {"queue": "mail"}),
        ("queue.pause", {"queue": "web"}),
    ]
    assert done.stdout.splitlines() == [
        "mail: paused, 3 still running",
        "web: paused, 3 still running",
    ]
    done = ganger({"queue.resume": row}, "resume", "mail")
    assert done.requests == [("queue.resume", {"queue": "mail"})]
    assert done.stdout == "mail: goes on, 12 ready\n"
    done = ganger({"queue.pause": row}, "--json", "pause", "mail")
    assert json.loads(done.stdout) == row


def test_purge_tells_how_many(ganger):
    done = ganger({"queue.purge": {"count": 5}}, "purge", "mail")
    assert done.requests == [("queue.purge", {"queue": "mail"})]
    assert (done.returncode, done.stdout) == (OK, "mail: 5 tasks cancelled\n")


def test_no_such_queue_is_the_end(ganger):
    answer = {"code": -32017, "message": "there is no queue x", "data": {}}
    done = ganger({"queue.pause": answer}, "pause", "x", "mail")
    assert (done.returncode, len(done.requests)) == (DATA, 1)


# Lists and views


def test_tasks_follows_the_cursors_to_the_end(ganger):
    pages = {None: ([9, 8], "8"), "8": ([], "5"), "5": ([4], None)}

    def page(params):
        ids, cursor = pages[params.get("cursor")]
        return {
            "tasks": [{"id": ident, "state": "failed"} for ident in ids],
            "cursor": cursor,
        }

    done = ganger({"task.list": page}, "--json", "tasks", "--all")
    assert done.returncode == OK
    assert [json.loads(x)["id"] for x in done.stdout.splitlines()] == [9, 8, 4]
    done = ganger({"task.list": page}, "--json", "tasks", "-n", "2")
    assert len(done.requests) == 1


def test_tasks_since_a_time_or_so_long_ago(ganger):
    empty = {"tasks": [], "cursor": None}
    done = ganger(
        {"task.list": empty},
        *("tasks", "--since", "2026-11-21T07:00:00+01:00"),
        *("--until", "0", "--state", "failed"),
    )
    ((method, params),) = done.requests
    assert params["since"] == "2026-11-21T06:00:00.000Z"
    now = time.strftime("%Y-%m-%dT%H", time.gmtime(time.time() - 30))
    assert params["until"] >= now and params["state"] == "failed"

    done = ganger({"task.list": empty}, "tasks", "--since", "1h")
    ((method, params),) = done.requests
    low, high = (
        time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - ago))
        for ago in (3600 + 60, 3600 - 60)
    )
    assert low < params["since"] < high


def test_queues_show_that_one_is_paused(ganger):
    rows = [
        {"name": "mail", "state": "paused", "ready": 3},
        {"name": "web", "state": "up"},
    ]
    done = ganger({"queue.list": rows}, "queues")
    words = [line.split()[:2] for line in done.stdout.splitlines()]
    assert words == [["QUEUE", "STATE"], ["mail", "paused"], ["web", "up"]]


@pytest.mark.parametrize(
    "what, words",
    [
        ("key", "an earlier task of its key"),
        ("pause", "its queue, which is paused"),
        ("breaker", "its name, whose tasks kill their workers"),
        ("worker", "a pool that can run it: none is configured"),
    ],
)
def test_what_a_task_waits_for_is_told(ganger, what, words):
    task = {"id": 7, "state": "ready", "name": "t", "waiting_for": what}
    out = ganger({"task.get": task}, "show", "7").stdout
    assert f"waits for  {words}\n" in out
    answer = {"tasks": [task], "cursor": None}
    out = ganger({"task.list": answer}, "tasks").stdout
    assert f"waits for {words}\n" in out


def test_status_is_loud_about_tasks_that_nobody_can_run(ganger):
    rows = [
        {"name": "a", "pools": ["web"], "ready": 5, "stranded": 3},
        {"name": "b", "pools": ["web"], "ready": 5, "stranded": 0},
        {"name": "c", "pools": [], "ready": 4, "stranded": 4},
    ]
    answers = {"server.info": {}, "server.stats": {}, "pool.list": []}
    out = ganger({**answers, "queue.list": rows}, "status").stdout
    assert [line for line in out.splitlines() if line.startswith("!")] == [
        "! queue a has 3 tasks waiting that no pool can run",
        "! queue c has 4 tasks waiting, and no pool takes from it",
    ]


def test_show_tells_how_a_task_has_fared(ganger):
    task = {
        **{"id": 7, "state": "ready", "name": "t", "queue": "mail"},
        **{"run": 4, "attempt": 2, "recoveries": 1, "crashes": 3},
        **{"key": "customer 3", "unique": "u", "delivery": "at_most_once"},
        "waiting_for": "key",
        "error": {"code": 5, "message": "second"},
        "errors": [
            {"attempt": 1, "at": "2026-11-21T06:00:00Z", "message": "first"},
            {"attempt": 2, "at": "2026-11-21T06:00:01Z", "message": "second"},
        ],
    }
    lines = ganger({"task.get": task}, "show", "7").stdout.splitlines()
    text = "\n".join(" ".join(line.split()) for line in lines)
    for part in (
        "runs 4 (2 attempts used up, 3 workers killed, "
        "1 cut by the daemon's death)",
        "waits for an earlier task of its key",
        "key customer 3",
        "unique u",
        "delivery at_most_once",
        "errors attempt 1, ",
        ": first\nattempt 2, ",
    ):
        assert part in text, part


def test_show_is_calm_about_what_did_not_happen(ganger):
    task = {"id": 7, "state": "ready", "run": 1, "attempt": 0}
    text = ganger({"task.get": task}, "show", "7").stdout
    assert "runs       1\n" in text
    for word in ("errors", "waits", "key", "delivery"):
        assert word not in text


def status_of(ganger, store_state, **stats):
    info = {"name": "ganger", "state": "running", "store": "sqlite"}
    done = ganger(
        {
            "server.info": {**info, "store_state": store_state},
            "server.stats": stats,
            "pool.list": [],
            "queue.list": [],
        },
        "status",
    )
    assert done.returncode == OK
    return done.stdout


def test_status_is_loud_about_names_that_are_held_back(ganger):
    pool = {"name": "web", "state": "up", "held_names": ["bad", "worse"]}
    done = ganger(
        {
            **{"server.info": {}, "server.stats": {"held": 3}},
            **{"pool.list": [pool], "queue.list": []},
        },
        "status",
    )
    assert "! tasks of bad in pool web are held back" in done.stdout
    assert "! tasks of worse in pool web are held back" in done.stdout
    assert "3 held" in done.stdout


@pytest.mark.parametrize("count, are", [(1, " is"), (5, "s are")])
def test_status_tells_of_submits_that_wait_for_room(ganger, count, are):
    store = {"state": "ok"}
    text = status_of(ganger, store, submits_held=count)
    assert f"! {count} submit{are} held until there is room\n" in text
    assert "!" not in status_of(ganger, store, submits_held=0)


def test_status_shows_the_store(ganger):
    store = {"state": "ok", "path": "/var/lib/ganger/tasks.db"}
    text = status_of(ganger, store, store_commits=1234, store_bytes=3 << 20)
    assert "store     /var/lib/ganger/tasks.db  3.0 MiB  1,234 commits" in text
    assert "!" not in text


def test_status_is_loud_about_a_store_that_fails(ganger):
    store = {
        **{"state": "failing", "path": "/x/tasks.db"},
        "why": "disk \x1b[31mfull",
    }
    text = status_of(ganger, store, store_dirty=12)
    lines = text.splitlines()
    assert lines[1].startswith("! the store is failing")
    assert "disk ?[31mfull" in lines[2]
    assert "12 tasks" in lines[3]
