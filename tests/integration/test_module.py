# SPDX-License-Identifier: ISC
"""Task modules: shared objects that a user compiled."""

import datetime
import re

import pytest

from ganger import build_module, run_gangerd, wait_until


def pool(module, more="processes = 2 threads = 2"):
    return f'pool "default" {{ {more} modules = {{"{module}"}} }}\n'


@pytest.fixture(scope="module")
def own(shared_daemons, handlers):
    return shared_daemons.start(pool(handlers))


def test_handler_runs_in_a_worker_and_knows_its_task(own):
    with own.client() as client:
        ident = client.submit("whoami")
        (task,) = client.wait(ident)
        me = task["result"]
        assert (me["id"], me["name"], me["attempt"]) == (ident, "whoami", 1)
        assert me["pid"] in own.worker_pids()


def test_names_of_the_module_stand_beside_the_built_in_ones(own):
    (row,) = own.rpc("pool.list")
    assert {"whoami", "gate", "echo", "sort"} <= set(row["names"])


def test_tasks_run_at_once_on_every_thread_of_every_process(own, gate):
    """Four threads: the gate opens only once all four tasks are at it."""
    with own.client() as client:
        args = {**gate.args, "total": 10}
        ids = [client.submit("progress", args) for _ in range(4)]
        wait_until(
            lambda: all("progress" in client.task(ident) for ident in ids),
            "all four are at work",
        )
        gate.open()
        ran = [task["result"] for task in client.wait(*ids)]
        assert len({me["pid"] for me in ran}) == 2
        assert len({me["tid"] for me in ran}) == 4


def test_no_more_run_than_there_are_threads(own, gate):
    with own.client() as client:
        ids = [client.submit("gate", gate.args) for _ in range(6)]
        client.wait_running(*ids[:4])
        states = [client.task(ident)["state"] for ident in ids]
        assert states == ["running"] * 4 + ["ready"] * 2
        (row,) = own.rpc("pool.list")
        assert row["busy"] == 4
        gate.open()
        client.wait(*ids)


def test_progress_is_shown_while_it_runs(own, gate):
    with own.client() as client:
        args = {**gate.args, "total": 100, "text": "half é"}
        ident = client.submit("progress", args)
        progress = wait_until(
            lambda: client.task(ident).get("progress", {}).get("done") == 50
            and client.task(ident)["progress"],
            "half of it is done",
        )
        assert progress == {"done": 50, "total": 100, "note": "half é"}
        gate.open()
        (task,) = client.wait(ident)
        assert "progress" not in task


def test_handler_may_fail_for_another_try(own):
    with own.client() as client:
        task = client.call("flaky", {"until": 3}, backoff_ms=1)
        assert task["result"]["attempt"] == 3
        assert (task["attempt"], task["run"]) == (3, 3)


HOUR = 3600 * 1000


@pytest.mark.parametrize("early", [True, False])
def test_handler_names_the_delay_of_its_retry(own, early):
    """The last call counts, on whichever side of the failure it stands."""
    with own.client() as client:
        args = {"delay_ms": 20, "early": early}
        task = client.call("later", args, backoff_ms=HOUR)
        assert (task["state"], task["attempt"]) == ("succeeded", 2)


@pytest.mark.parametrize(
    "name, more", [("later", {}), ("late_later", {"soft_timeout_ms": 20})]
)
def test_named_delay_takes_the_place_of_the_usual_one(own, name, more):
    with own.client() as client:
        args = {"delay_ms": HOUR}
        ident = client.submit(name, args, backoff_ms=1, **more)
        task = wait_until(
            lambda: client.task(ident)["state"] == "scheduled"
            and client.task(ident),
            "it waits for its retry",
        )
        begun, due = (
            datetime.datetime.fromisoformat(task[when])
            for when in ("started_at", "run_at")
        )
        assert due - begun >= datetime.timedelta(milliseconds=HOUR)
        assert task["error"]["data"]["retry_after_ms"] == HOUR
        client.rpc("task.cancel", {"ids": [ident]})


@pytest.mark.parametrize("delay_ms, told", [(-5, 0), (2**63 - 1, 2**63 - 1)])
def test_named_delay_has_its_limits(own, delay_ms, told):
    with own.client() as client:
        ident = client.submit("later", {"delay_ms": delay_ms}, retries=0)
        (task,) = client.wait(ident)
        assert task["error"]["data"]["retry_after_ms"] == told


def test_delay_is_not_for_what_is_not_tried_again(own):
    with own.client() as client:
        ident = client.submit("later", {"delay_ms": 20, "final": True})
        (task,) = client.wait(ident)
        assert (task["state"], task["attempt"]) == ("failed", 1)
        assert task["error"]["data"] == {"retryable": False}


def test_nothing_returned_is_a_failure(own):
    with own.client() as client:
        error = client.error("task.call", {"name": "nothing", "retries": 0})
        assert error.code == -32020
        assert error.data["task"]["error"]["message"]


def test_snoozed_task_runs_again_and_no_attempt_is_used(own, gate):
    with own.client() as client:
        ident = client.submit("snooze", {**gate.args, "delay_ms": 50})
        (task,) = client.wait(ident)
        assert task["result"]["attempt"] == 1
        assert (task["state"], task["attempt"], task["run"]) == (
            *("succeeded", 1),
            2,
        )


def test_what_a_handler_logs_has_its_tasks_id(own):
    with own.client() as client:
        ident = client.call("log", {"text": "a line of\nits own"})["id"]
    own.wait_log(rf"\b{ident}\b.*a line of\\x0aits own")


def test_big_result_arrives_whole(own):
    with own.client() as client:
        task = client.call("big", {"size": 1000000})
        assert task["result"] == "x" * 1000000


def test_result_over_the_limit_fails_its_task_alone(own):
    with own.client() as client:
        params = {"name": "big", "args": {"size": 3 << 20}, "retries": 0}
        error = client.error("task.call", params)
        assert error.code == -32020
        assert error.data["task"]["error"]["code"] == -32014
        assert error.data["task"]["error"]["data"]["retryable"] is False
        assert client.call("whoami")["state"] == "succeeded"
    (row,) = own.rpc("pool.list")
    assert row["restarts"] == 0


HOOKS = """#include <errno.h>
#include <fcntl.h>
#include <ganger/handler.h>
#include <stdio.h>
#include <unistd.h>

static void
note(const char *what)
{
	char line[64];
	int fd, n;

	n = snprintf(line, sizeof(line), "%%s %%d\\n", what, (int)getpid());
	fd = open("%s", O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (write(fd, line, (size_t)n) != n)
		_exit(1);
	close(fd);
}

static int init(void) { note("init"); return %s; }
static int thread_init(void) { note("thread_init"); return 0; }
static void thread_done(void) { note("thread_done"); }
static void done(void) { note("done"); }

static const struct ganger_handler handlers[] = {{NULL, NULL}};
const struct ganger_module ganger_module = {
    .abi = GANGER_MODULE_ABI, .name = "hooks", .handlers = handlers,
    .init = init, .thread_init = thread_init, .thread_done = thread_done,
    .done = done};
"""


def test_hooks_run_once_a_process_and_a_thread(daemons, folder):
    notes = folder / "notes"
    module = build_module(folder, "hooks", HOOKS % (notes, "0"))
    daemon = daemons.start(pool(module, "processes = 2 threads = 3"))
    pids = daemon.wait_workers(2)
    daemon.stop()
    for pid in pids:
        told = re.findall(rf"^(\w+) {pid}$", notes.read_text(), re.M)
        assert told == [
            *["init"],
            *["thread_init"] * 3,
            *["thread_done"] * 3,
            *["done"],
        ]


def test_init_that_fails_is_told_with_module_and_reason(daemons, folder):
    notes = folder / "notes"
    module = build_module(folder, "hooks", HOOKS % (notes, "-EACCES"))
    daemon = daemons.make(pool(module))
    daemon.spawn()
    daemon.wait_log(rf"{re.escape(str(module))}|hooks")
    daemon.wait_log("Permission denied")
    daemon.kill()


# Modules that do not load

BROKEN = {
    "no_symbol": "int some_other_symbol;\n",
    "wrong_abi": """#include <ganger/handler.h>
static const struct ganger_handler handlers[] = {{NULL, NULL}};
const struct ganger_module ganger_module = {
    .abi = GANGER_MODULE_ABI + 1, .name = "wrong", .handlers = handlers};
""",
    "unresolved": """#include <ganger/handler.h>
extern int this_function_is_nowhere(void);
static int init(void) { return this_function_is_nowhere(); }
static const struct ganger_handler handlers[] = {{NULL, NULL}};
const struct ganger_module ganger_module = {.abi = GANGER_MODULE_ABI,
    .name = "u", .handlers = handlers, .init = init};
""",
    "no_handlers": """#include <ganger/handler.h>
const struct ganger_module ganger_module = {
    .abi = GANGER_MODULE_ABI, .name = "none"};
""",
    "bad_name": """#include <ganger/handler.h>
static json_t *run(struct ganger_task *task, json_t *args)
{ (void)task; return json_incref(args); }
static const struct ganger_handler handlers[] = {{"a b", run}, {NULL, NULL}};
const struct ganger_module ganger_module = {
    .abi = GANGER_MODULE_ABI, .name = "bad", .handlers = handlers};
""",
    "taken_name": """#include <ganger/handler.h>
static json_t *run(struct ganger_task *task, json_t *args)
{ (void)task; return json_incref(args); }
static const struct ganger_handler handlers[] = {{"echo", run}, {NULL, NULL}};
const struct ganger_module ganger_module = {
    .abi = GANGER_MODULE_ABI, .name = "taken", .handlers = handlers};
""",
}

REASON = {
    "no_symbol": "ganger_module",
    "wrong_abi": "(?i)abi",
    "unresolved": "this_function_is_nowhere",
    "no_handlers": "handlers",
    "bad_name": "a b",
    "taken_name": "echo",
}


def assert_refused(daemon, module, reason):
    for args in (["-t"], []):
        done = run_gangerd(*args, "-c", daemon.conf)
        assert done.returncode == 78
        assert str(module) in done.stderr
        assert re.search(reason, done.stderr), done.stderr
    assert not daemon.socket.exists()


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_module_stops_the_start(daemons, folder, kind):
    module = build_module(folder, kind, BROKEN[kind])
    assert_refused(daemons.make(pool(module)), module, REASON[kind])


def test_missing_module_stops_the_start(daemons, folder):
    module = folder / "missing.so"
    assert_refused(daemons.make(pool(module)), module, "No such file")


def test_file_that_is_no_module_stops_the_start(daemons, folder):
    module = folder / "text.so"
    module.write_text("this is no shared object\n")
    assert_refused(daemons.make(pool(module)), module, "(?i)invalid|short|elf")


def test_every_broken_module_is_told(daemons, folder):
    one = folder / "one.so"
    two = folder / "two.so"
    daemon = daemons.make(
        f'pool "a" {{ modules = {{"{one}", "{two}"}} }}\n'
        f'pool "b" {{ modules = {{"{two}"}} }}\n'
    )
    done = run_gangerd("-t", "-c", daemon.conf)
    assert done.returncode == 78
    assert str(one) in done.stderr and str(two) in done.stderr
