# SPDX-License-Identifier: ISC
"""Workers that die, do not start, or talk nonsense: faults 1 to 7 and 16."""

import os
import re
import signal
import statistics
import time

import pytest

from ganger import (
    Growth,
    build_module,
    scaled,
    seconds,
    stop_process,
    wait_until,
)
from load import Load
from modules import AtStart


def pool(handlers, more="processes = 2 threads = 2"):
    return f'pool "default" {{ {more} modules = {{"{handlers}"}} }}\n'


@pytest.fixture
def daemon(daemons, handlers):
    return daemons.start(pool(handlers))


def busy_worker(client):
    """The row of the one worker that runs something."""
    (row,) = [row for row in client.rpc("worker.list") if row["tasks"]]
    return row


def test_killed_idle_worker_is_replaced_at_once(daemon):
    pids = daemon.wait_workers(2)
    start = time.monotonic()
    os.kill(pids[0], signal.SIGKILL)
    new = daemon.wait_workers(2, other_than=[pids[0]])
    assert time.monotonic() - start < seconds(0.5)
    assert pids[1] in new
    (row,) = daemon.rpc("pool.list")
    assert (row["restarts"], row["alive"], row["state"]) == (1, 2, "up")


def let_all_prove_themselves(daemon, client, processes):
    """Until a death of any of them is not taken for a bad start."""
    busy = [client.submit("sleep", {"ms": 1200}) for _ in range(processes)]
    client.wait(*busy)
    assert {row["tasks_done"] for row in client.rpc("worker.list")} == {1}


def test_killed_idle_worker_is_replaced_within_100_ms(daemons, handlers):
    """From the kill to the hello of its successor, as clients see it."""
    daemon = daemons.start(pool(handlers, "processes = 9 threads = 1"))
    times = []
    with daemon.client() as client:
        victims = daemon.wait_workers(9)
        let_all_prove_themselves(daemon, client, 9)
        for victim in victims:
            known = {row["pid"] for row in client.rpc("worker.list")}
            start = time.monotonic()
            os.kill(victim, signal.SIGKILL)
            while True:
                rows = client.rpc("worker.list")
                fresh = [row for row in rows if row["pid"] not in known]
                if fresh and fresh[0]["state"] == "idle":
                    break
            times.append(time.monotonic() - start)
    assert statistics.median(times) < seconds(0.1), times


def test_task_of_a_killed_worker_is_run_again(daemon, gate):
    with daemon.client() as client:
        call = client.request("task.call", {"name": "gate", "args": gate.args})
        wait_until(lambda: client.rpc("server.stats")["running"], "it runs")
        victim = busy_worker(client)
        os.kill(victim["pid"], signal.SIGKILL)
        wait_until(
            lambda: client.rpc("server.stats")["requeued"], "it is requeued"
        )
        gate.open()
        task = client.result(call)
        assert task["state"] == "succeeded"
        assert task["result"]["pid"] != victim["pid"]
        assert task["run"] == 2


def test_log_names_worker_signal_and_tasks(daemon, gate):
    with daemon.client() as client:
        ids = [client.submit("gate", gate.args)]
        client.wait_running(*ids)
        victim = busy_worker(client)
        os.kill(victim["pid"], signal.SIGKILL)
        gate.open()
        client.wait(*ids)
    log = daemon.log()
    (line,) = [
        line
        for line in log.splitlines()
        if str(victim["pid"]) in line and re.search("signal|KILL", line)
    ][:1]
    assert victim["worker"] in line
    assert re.search(r"\b9\b|KILL", line)
    assert re.search(rf"\b{ids[0]}\b", log), log


@pytest.mark.parametrize("status", [0, 3])
def test_log_names_the_exit_status(daemons, status):
    daemon = daemons.start(top="debug_handlers = yes")
    with daemon.client() as client:
        client.submit("crash", {"exit": status}, retries=0)
        daemon.wait_log(rf"default/\d+.*\b(exit|status)\b.*\b{status}\b")
    daemon.wait_workers(2)


def test_one_death_takes_all_tasks_of_its_process_and_no_other(daemon, gates):
    with daemon.client() as client:
        gate = gates()
        ids = [client.submit("gate", gate.args) for _ in range(4)]
        client.wait_running(*ids)
        rows = client.rpc("worker.list")
        os.kill(rows[0]["pid"], signal.SIGKILL)
        wait_until(
            lambda: client.rpc("server.stats")["requeued"] == 2, "two requeued"
        )
        daemon.wait_workers(2, other_than=[rows[0]["pid"]])
        gate.open()
        tasks = {task["id"]: task for task in client.wait(*ids)}
        for ident, task in tasks.items():
            assert task["state"] == "succeeded"
            assert task["run"] == (2 if ident in rows[0]["tasks"] else 1)


def test_all_workers_killed_at_once_are_all_replaced(daemons, handlers):
    daemon = daemons.start(pool(handlers, "processes = 8 threads = 1"))
    pids = daemon.wait_workers(8)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)  # so that their deaths merge
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    daemon.wait_workers(8, other_than=pids)
    with daemon.client() as client:
        ids = [client.submit("whoami") for _ in range(100)]
        assert len(client.wait(*ids)) == 100


def test_stream_of_tasks_survives_killing_all_workers_three_times(daemon):
    """Each is answered exactly once, whatever was under way."""
    count = scaled(6000, 600)
    with daemon.client() as client:
        ids = {}

        def ask(i):
            params = {"name": "echo", "args": i}
            ids[client.request("task.call", params)] = i

        for i in range(100):
            ask(i)
        for i in range(count):
            if i % (count // 3) == count // 6:
                for pid in daemon.worker_pids():
                    os.kill(pid, signal.SIGKILL)
            answer = client.recv()
            assert answer["result"]["result"] == ids.pop(answer["id"])
            if i + 100 < count:
                ask(i + 100)
        assert not ids
        assert client.rpc("server.ping") == "pong"
    daemon.wait_workers(2)


def test_worker_that_stops_itself_cleanly_is_replaced(daemon):
    """SIGTERM to a worker is no order of the master's."""
    pids = daemon.wait_workers(2)
    os.kill(pids[0], signal.SIGTERM)
    wait_until(
        lambda: daemon.worker_pids() and len(daemon.worker_pids()) == 2,
        "two workers",
    )
    with daemon.client() as client:
        assert client.call("whoami")["state"] == "succeeded"


def test_task_that_kills_its_worker_once_is_run_again(daemon, gate):
    with daemon.client() as client:
        task = client.call("die_once", gate.args)
        assert task["state"] == "succeeded"
        assert task["run"] == 2


@pytest.mark.parametrize(
    "how", [{"signal": 11}, {"signal": 6}, {"exit": 0}, {"exit": 3}]
)
def test_task_that_always_kills_its_worker_ends(daemons, how):
    """It is not run for ever, and the pool lives on."""
    daemon = daemons.start(
        'pool "default" { processes = 2 threads = 1 }',
        top="debug_handlers = yes",
    )
    with daemon.client() as client:
        ident = client.submit("crash", how, backoff_ms=1)
        (task,) = client.wait(ident)
        assert task["state"] in ("failed", "quarantined")
        assert 1 <= task["run"] <= 5
        assert task["error"]["message"]
        assert client.call("echo", 1)["result"] == 1


# In the middle of a frame, and frames that are none


@pytest.mark.parametrize(
    "text",
    ['{"jsonrpc":"2.0","method":"task.prog', '{"jsonrpc":"2.0","id":'],
)
def test_death_in_the_middle_of_a_frame(daemon, gate, text):
    with daemon.client() as client:
        args = {"text": text, "times": 1, "die": True, **gate.args}
        task = client.call("blurt", args)
        assert (task["state"], task["run"]) == ("succeeded", 2)


def test_death_in_the_middle_of_a_frame_to_it(daemons, handlers):
    """The broker has written a part of a task when its worker dies."""
    daemon = daemons.start(pool(handlers, "processes = 2 threads = 4"))
    with daemon.client() as client, daemon.client() as other:
        for pid in daemon.wait_workers(2):
            stop_process(pid)
        big = "x" * 900_000  # more than a socket takes
        calls = [
            client.request("task.call", {"name": "echo", "args": big})
            for _ in range(8)
        ]
        wait_until(
            lambda: other.rpc("server.stats")["running"] == 8, "all are sent"
        )
        for pid in daemon.worker_pids():
            os.kill(pid, signal.SIGKILL)
        for call in calls:
            task = client.result(call)
            assert (task["state"], task["result"]) == ("succeeded", big)
            assert (task["attempt"], task["run"]) == (1, 2)


NONSENSE = {
    "no json": "hello\n",
    "an array": "[]\n",
    "nothing": "\n\n\n",
    "nul": '{"jsonrpc":"2.0"}\n',
    "a response to nobody": '{"jsonrpc":"2.0","id":99999,"result":1}\n',
    "a response without id": '{"jsonrpc":"2.0","id":null,"result":1}\n',
    "a strange id": '{"jsonrpc":"2.0","id":"x","result":1}\n',
    "a negative id": '{"jsonrpc":"2.0","id":-1,"error":{}}\n',
    "a request": '{"jsonrpc":"2.0","id":1,"method":"task.submit"}\n',
    "unknown method": '{"jsonrpc":"2.0","method":"task.explode"}\n',
    "progress of nobody": '{"jsonrpc":"2.0","method":"task.progress",'
    '"params":{"id":999999,"run":1,"done":1,"total":2}}\n',
    "progress of nonsense": '{"jsonrpc":"2.0","method":"task.progress",'
    '"params":{"id":"x","run":{},"done":-1}}\n',
    "snooze of nobody": '{"jsonrpc":"2.0","method":"task.snooze",'
    '"params":{"id":999999,"run":7,"delay_ms":-5}}\n',
    "a second hello": '{"jsonrpc":"2.0","method":"worker.hello",'
    '"params":{"protocol":1,"names":["x"],"threads":9999,"pid":1}}\n',
    "a hello of nonsense": '{"jsonrpc":"2.0","method":"worker.hello",'
    '"params":[]}\n',
}


def test_progress_of_a_run_that_is_over_is_dropped(daemon, gate):
    """The id is right, and the run is not: the task knows nothing of it."""
    text = (
        '{"jsonrpc":"2.0","method":"task.progress",'
        '"params":{"id":1,"run":7,"done":1,"total":2}}\n'
    )
    with daemon.client() as client:
        args = {"text": text, "times": 2, **gate.args}
        task = client.call("blurt", args)
        assert (task["id"], task["run"]) == (1, 1)
        assert "progress" not in task
    daemon.wait_workers(2)


@pytest.mark.parametrize("text", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_of_a_worker_harms_nothing(daemon, gate, text):
    """It may cost the worker its life, but no task and no other worker."""
    with daemon.client() as client:
        broker = client.rpc("server.info")["broker_pid"]
        args = {"text": text, "times": 3, **gate.args}
        assert client.call("blurt", args)["state"] == "succeeded"
        daemon.wait_workers(2)
        ids = [client.submit("whoami") for _ in range(20)]
        assert all(t["state"] == "succeeded" for t in client.wait(*ids))
        assert client.rpc("server.info")["broker_pid"] == broker


def test_endless_line_of_a_worker_is_bounded(daemon, gate):
    with daemon.client() as client:
        broker = client.rpc("server.info")["broker_pid"]
        grown = Growth(broker)
        args = {"text": "x" * 100000, "times": 200, **gate.args}
        assert client.call("blurt", args)["state"] == "succeeded"
        assert client.rpc("server.info")["broker_pid"] == broker
        grown.assert_below(16 << 20)


# Workers that do not start

def two_pools(module):
    return (
        'pool "good" { processes = 1 queues = {"default"} }\n'
        f'pool "bad" {{ processes = 2 queues = {{"bad"}} '
        f'modules = {{"{module}"}} }}\n'
    )


def state_of(daemon, name):
    (row,) = [r for r in daemon.rpc("pool.list") if r["name"] == name]
    return row["state"]


@pytest.mark.parametrize(
    "death", ["raise(SIGSEGV)", "abort()", "_exit(0)", "_exit(3)"]
)
def test_pool_whose_workers_die_at_start_is_flapping(daemons, folder, death):
    """The daemon answers promptly meanwhile, and the other pool works."""
    flapping = AtStart(folder, death)
    flapping.begin()
    daemon = daemons.start(two_pools(flapping.module))
    wait_until(lambda: state_of(daemon, "bad") == "flapping", "it flaps")
    with daemon.client() as client:
        for _ in range(20):
            start = time.monotonic()
            client.rpc("server.ping")
            assert time.monotonic() - start < seconds(0.1)
        assert client.call("echo", 1)["result"] == 1
        assert state_of(daemon, "good") == "up"
    daemon.wait_log("(?i)flapping")
    if death == "_exit(0)":
        daemon.wait_log(
            r" warn .* bad/1, pid \d+, has ended before it was ready"
        )


def test_who_waits_for_a_flapping_pool_is_told_why(daemons, folder):
    flapping = AtStart(folder, "_exit(3)")
    flapping.begin()
    daemon = daemons.start(two_pools(flapping.module))
    wait_until(lambda: state_of(daemon, "bad") == "flapping", "it flaps")
    why = "pool bad is flapping: its workers die soon after their start"
    task = {"name": "echo", "queue": "bad"}
    with daemon.client() as client:
        answer = client.rpc("task.submit", task)
        assert answer["warning"] == why
        (many,) = client.rpc("task.submit_many", {"tasks": [task]})
        assert many["warning"] == why
        error = client.error("task.call", {**task, "wait_ms": 10})
        assert error.code == -32018
        assert error.message.endswith(f"has not ended in time; {why}")
        assert "warning" not in client.rpc("task.submit", {"name": "echo"})
        flapping.end()
        client.rpc("server.reload")  # does not wait for the next try
        wait_until(lambda: state_of(daemon, "bad") == "up", "it is up again")
        assert "warning" not in client.rpc("task.submit", task)


def test_pool_whose_workers_die_at_start_backs_off(daemons, folder):
    """Five starts in a row take at least 0, 50, 100 and 200 ms in between."""
    starts = folder / "starts"
    flapping = AtStart(
        folder, f"""system("date +%s.%N >>{starts}"), _exit(3)"""
    )
    flapping.begin()
    config = two_pools(flapping.module).replace("processes = 2", "processes = 1")
    daemon = daemons.start(config)
    wait_until(lambda: state_of(daemon, "bad") == "flapping", "it flaps")
    times = [float(line) for line in starts.read_text().split()]
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert len(gaps) == 4
    for gap, least in zip(gaps, (0, 0.05, 0.1, 0.2)):
        assert gap >= least * 0.9, gaps
    flapping.end()


SHORT_LIVED = """#include <ganger/handler.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static void *
end_soon(void *arg)
{
	usleep(1100000);
	_exit(3);
	return arg;
}

static int
init(void)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, end_soon, NULL);
}

static const struct ganger_handler handlers[] = {{NULL, NULL}};
const struct ganger_module ganger_module = {.abi = GANGER_MODULE_ABI,
    .name = "short_lived", .handlers = handlers, .init = init};
"""


def test_workers_that_die_a_second_after_their_start_do_their_work(
    daemons, folder
):
    """For ever: each of them is worth something while it lives."""
    module = build_module(folder, "short_lived", SHORT_LIVED)
    daemon = daemons.start(pool(module, "processes = 4 threads = 1"))
    with Load(daemon, connections=2, retries=100) as load:
        wait_until(lambda: daemon.pool()["restarts"] >= 12, "they die")
        load.wait_calls(100)
        start = time.monotonic()
        assert daemon.rpc("server.ping") == "pong"
        assert time.monotonic() - start < seconds(0.1)
        assert daemon.pool()["restarts"] < 60  # they are not spun


def test_flapping_pool_recovers_when_the_cause_is_gone(daemons, folder):
    flapping = AtStart(folder, "_exit(3)")
    flapping.begin()
    daemon = daemons.start(two_pools(flapping.module))
    wait_until(lambda: state_of(daemon, "bad") == "flapping", "it flaps")
    with daemon.client() as client:
        waiting = client.submit("echo", 2, queue="bad")
        flapping.end()
        (task,) = client.wait(waiting)
        assert task["result"] == 2
    wait_until(lambda: state_of(daemon, "bad") == "up", "it is up again")


def test_worker_stuck_before_its_hello_is_killed(daemons, folder):
    stuck = AtStart(folder, "pause()")
    stuck.begin()
    daemon = daemons.start(
        two_pools(stuck.module).replace(
            'queues = {"bad"}', 'queues = {"bad"} boot_timeout = "300ms"'
        )
    )
    found = daemon.wait_log(r"worker bad/\d+, pid (\d+), .*boot_timeout")
    stuck.end()
    with daemon.client() as client:
        assert client.call("echo", 1, queue="bad")["result"] == 1
    pid = int(found[0])
    wait_until(lambda: pid not in daemon.pids(), "the stuck one is gone")


def test_stop_while_workers_flap(daemons, folder):
    flapping = AtStart(folder, "_exit(3)")
    flapping.begin()
    daemon = daemons.start(two_pools(flapping.module))
    wait_until(lambda: state_of(daemon, "bad") == "flapping", "it flaps")
    daemon.stop(limit=seconds(5))


def test_stop_while_workers_are_stuck_at_start(daemons, folder):
    stuck = AtStart(folder, "pause()")
    stuck.begin()
    daemon = daemons.start(
        two_pools(stuck.module), top='graceful_timeout = "1s"'
    )
    daemon.stop(limit=seconds(10))
