# SPDX-License-Identifier: ISC
"""A broker that replaces its own binary loses nothing, whatever is open."""

import json
import os
import resource
import select
import signal
import stat
import subprocess
import time

import pytest

from broker import Broker, memfd, pool, record
from ganger import GANGERD, LIMIT, Growth, RpcError, scaled, seconds, wait_until

REQUEST = '{"jsonrpc":"2.0","id":%d,"method":"server.ping"}\n'
EX_SOFTWARE = 70


@pytest.fixture
def brokers(folder):
    """Start brokers, each in a folder of its own."""
    started = []

    def start(**more):
        place = folder / str(len(started))
        place.mkdir()
        broker = Broker(place, **more)
        started.append(broker)
        return broker

    yield start
    for broker in started:
        bad = ("Sanitizer", "runtime error", "ssertion")
        log = broker.log()
        broker.kill()
        assert not any(word in log for word in bad), log[-5000:]


@pytest.fixture
def broker(brokers):
    broker = brokers()
    broker.expect("ready")
    yield broker
    broker.stop()


def rows(values, key="id"):
    return [value[key] for value in values]


def workers_of(client):
    """The workers' rows without what the time changes."""
    workers = client.rpc("worker.list")
    for worker in workers:
        for run in worker["runs"]:
            del run["running_ms"]
    return workers


# What clients have sent, and have not been sent


@pytest.mark.parametrize("cut", [1, 20, len(REQUEST % 1) - 1, None])
def test_a_request_cut_in_two_is_answered(broker, cut):
    text = (REQUEST % 7).encode()
    cut = len(text) if cut is None else cut
    client = broker.client()
    assert client.rpc("server.ping") == "pong"
    client.send_raw(text[:cut])
    broker.upgrade()
    client.send_raw(text[cut:])
    assert client.result(7) == "pong"


def test_every_byte_may_come_in_another_image(broker):
    client = broker.client()
    for n, byte in enumerate((REQUEST % 1).encode()):
        client.send_raw(bytes([byte]))
        if n % 8 == 0:
            broker.upgrade()
    assert client.result(1) == "pong"


def test_a_line_that_is_too_long_is_still_skipped(broker):
    client = broker.client()
    client.send_raw(b"[" * 70000)
    assert client.recv()["error"]["code"] == -32014
    broker.upgrade()
    client.send_raw(b"[" * 70000)
    broker.upgrade()
    client.send_raw(b"\n" + (REQUEST % 1).encode())
    # Nothing but the one error, told once, comes before it.
    assert client.recv() == {"jsonrpc": "2.0", "id": 1, "result": "pong"}


def test_bytes_that_are_no_text_stay_what_they_are(broker):
    client = broker.client()
    client.send_raw(b'{"jsonrpc":"2.0","id":"\x00\xff\xfe\x80')
    assert broker.client().rpc("server.ping") == "pong"
    broker.upgrade()
    client.send_raw(b'"}\n')
    assert client.recv()["error"]["code"] == -32700


def test_answers_that_nobody_reads_come_whole_and_in_order(broker):
    client = broker.client()
    lines = scaled(3000, 500)
    # More than sockets hold, and more than the broker reads on for.
    client.sock.settimeout(0.2)
    sent = 0
    try:
        for ident in range(1, lines + 1):
            line = {"jsonrpc": "2.0", "id": ident, "method": "rpc.discover"}
            client.send(line)
            sent = ident
    except TimeoutError:
        pass
    client.sock.settimeout(LIMIT)
    assert sent > 100
    for _ in range(3):
        broker.upgrade()
    first = client.recv()
    assert first["id"] == 1
    for ident in range(2, sent + 1):
        if ident == sent // 2:
            broker.upgrade()
        answer = client.recv()
        assert answer["id"] == ident
        assert answer["result"] == first["result"]


def test_a_client_that_has_closed_its_writing_side_is_answered(broker):
    worker = broker.worker()
    client = broker.client()
    ident = client.request("task.call", {"name": "work"})
    run = worker.take()
    client.half_close()
    assert broker.client().rpc("server.ping") == "pong"
    broker.upgrade()
    worker.succeed(run, "done")
    assert client.result(ident)["result"] == "done"
    assert client.at_eof()


def test_clients_that_go_meanwhile_leave_nothing_behind(broker):
    worker = broker.worker()
    survivor = broker.client()
    for _ in range(scaled(20, 5)):
        before, after = broker.client(), broker.client()
        for client in before, after:
            client.request("task.call", {"name": "work"})
        runs = [worker.take(), worker.take()]
        before.close()
        broker.send_upgrade()
        after.close()
        assert broker.expect("ready")["resumed"]
        for run in runs:
            worker.succeed(run)
    wait_until(
        lambda: survivor.rpc("server.stats")["clients"] == 1, "they are gone"
    )
    assert survivor.rpc("server.stats")["waiters"] == 0


def test_who_waits_in_the_backlog_is_served(broker):
    os.kill(broker.process.pid, signal.SIGSTOP)
    clients = [broker.client() for _ in range(50)]
    for client in clients:
        client.request("server.ping")
    broker.send_upgrade()
    os.kill(broker.process.pid, signal.SIGCONT)
    assert broker.expect("ready")["resumed"]
    assert [client.result(1) for client in clients] == ["pong"] * 50


# Calls that are open


def test_a_batch_of_which_half_is_answered(broker):
    worker = broker.worker()
    client = broker.client()
    task = client.submit("work", "waited for")
    first = worker.take()
    calls = {
        1: ("server.ping", None),
        "two": ("task.call", {"name": "work", "args": "called"}),
        3: ("no.such", None),
        4.5: ("task.wait", {"ids": [task]}),
        None: ("server.ping", None),
    }
    client.send(
        [
            {"jsonrpc": "2.0", "id": ident, "method": method}
            | ({} if params is None else {"params": params})
            for ident, (method, params) in calls.items()
        ]
    )
    second = worker.take()
    broker.upgrade()
    worker.succeed(second, 2)
    assert broker.client().rpc("server.ping") == "pong"
    broker.upgrade()
    worker.succeed(first, 1)
    answers = {answer["id"]: answer for answer in client.recv()}
    assert set(answers) == set(calls)
    assert answers["two"]["result"]["result"] == 2
    assert rows(answers[4.5]["result"]["done"]) == [task]
    assert answers[3]["error"]["code"] == -32601
    assert client.rpc("server.ping") == "pong"


def test_many_batches_of_one_client_are_kept_apart(broker):
    worker = broker.worker(threads=64)
    client = broker.client()
    runs = []
    for batch in range(8):
        client.send(
            [
                {
                    "jsonrpc": "2.0",
                    "id": batch * 10 + n,
                    "method": "task.call",
                    "params": {"name": "work"},
                }
                for n in range(4)
            ]
        )
        runs.append([worker.take() for _ in range(4)])
    for column in range(4):
        for row in runs:
            worker.succeed(row[column])
        broker.upgrade()
    for _ in range(8):
        idents = sorted(rows(client.recv()))
        assert idents == [idents[0] // 10 * 10 + n for n in range(4)]


@pytest.mark.parametrize("mode", ["all", "any"])
def test_a_wait_goes_on_with_what_has_ended(broker, mode):
    worker = broker.worker()
    client = broker.client()
    # The first one is forgotten by everybody but who waits for it.
    ids = [client.submit("work", n, result_ttl_ms=0) for n in range(3)]
    runs = [worker.take() for _ in ids]
    params = {"ids": ids, "mode": mode}
    waits = [client.request("task.wait", params) for _ in range(3)]
    broker.upgrade()
    worker.succeed(runs[0], "first")
    if mode == "all":
        wait_until(
            lambda: client.rpc("server.stats")["succeeded"] == 1
            and client.rpc("server.stats")["kept"] == 0,
            "the store has forgotten the first",
        )
        broker.upgrade()
        broker.upgrade()
        worker.fail(runs[1], "second", retryable=False)
        worker.succeed(runs[2], "third")
    for ident in waits:
        answer = client.result(ident)
        if mode == "any":
            assert rows(answer["done"]) == ids[:1]
            assert answer["pending"] == ids[1:]
        else:
            assert answer["pending"] == []
            assert rows(answer["done"]) == ids
            assert answer["done"][0]["result"] == "first"
            assert answer["done"][1]["error"]["message"] == "second"


def test_the_time_of_a_wait_runs_on(broker):
    broker.worker()
    client = broker.client()
    task = client.submit("work", durable=False)
    begin = time.monotonic()
    wait = client.request("task.wait", {"ids": [task], "timeout_ms": 900})
    call = client.request("task.call", {"name": "work", "wait_ms": 900})
    for _ in range(3):
        broker.upgrade()
        time.sleep(0.1)
    assert client.result(wait) == {"done": [], "pending": [task]}
    with pytest.raises(RpcError) as timed_out:
        client.result(call)
    assert timed_out.value.code == -32018
    assert 0.85 < time.monotonic() - begin < seconds(1.5)


def test_an_ask_of_the_master_reaches_who_asked(broker):
    one, gone = broker.client(), broker.client()
    ident = one.request("server.reload")
    asked = broker.expect("ask")
    gone.request("pool.scale", {"pool": "default", "by": 1})
    lost = broker.expect("ask")
    gone.close()
    one.send(
        [{"jsonrpc": "2.0", "id": 77, "method": "pool.restart", "params": {}}]
    )
    batched = broker.expect("ask")
    assert one.rpc("server.ping") == "pong"
    broker.upgrade()
    broker.order("answer", id=lost["id"], result={"processes": 2})
    error = {"code": -32021, "message": "no", "data": {"retryable": False}}
    broker.order("answer", id=batched["id"], error=error)
    assert one.recv()[0]["error"]["code"] == -32021
    broker.order("answer", id=asked["id"], result={"changed": ["a pool"]})
    assert one.result(ident) == {"changed": ["a pool"]}
    # The next one has another id than any before.
    two = one.request("server.reload")
    again = broker.expect("ask")
    assert again["id"] not in [asked["id"], lost["id"], batched["id"]]
    broker.order("answer", id=again["id"], result={})
    assert one.result(two) == {}


@pytest.mark.parametrize("binary", [GANGERD, "/etc/passwd"])
def test_a_long_list_is_waited_for(broker, binary):
    client = broker.client()
    n = scaled(30000, 3000)
    for _ in range(n // 1000):
        tasks = [{"name": "work"}] * 1000
        assert len(client.rpc("task.submit_many", {"tasks": tasks})) == 1000
    lists = [
        client.request("task.list", {"state": "failed"}) for _ in range(20)
    ]
    pings = [client.request("server.ping")]
    broker.send_upgrade(binary)
    # Meanwhile requests wait, of those that were there and of others.
    other = broker.client()
    pings += [client.request("server.ping") for _ in range(100)]
    late = other.request("server.ping")
    broker.expect("ready" if binary == GANGERD else "upgrade.failed")
    assert other.result(late) == "pong"
    for ident in lists:
        assert client.result(ident)["tasks"] == []
    assert [client.result(ident) for ident in pings] == ["pong"] * 101


def test_lists_without_end_do_not_put_it_off(broker):
    clients = [broker.client() for _ in range(4)]
    tasks = [{"name": "work"}] * 1000
    for _ in range(scaled(20, 3)):
        clients[0].rpc("task.submit_many", {"tasks": tasks})
    params = {"state": "failed", "limit": 1}
    waiting = [
        (client, client.request("task.list", params))
        for _ in range(20)
        for client in clients
    ]
    broker.send_upgrade()
    # Until it has come back, each answer brings the next request.
    while not select.select([broker.ctl], [], [], 0)[0]:
        ready = select.select([client.sock for client in clients], [], [], 0)
        for n, (client, ident) in enumerate(waiting):
            if ident in client.early or client.sock in ready[0]:
                assert client.result(ident)["tasks"] == []
                waiting[n] = (client, client.request("task.list", params))
    assert broker.expect("ready")["resumed"]
    for client, ident in waiting:
        assert client.result(ident)["tasks"] == []


# Tasks


def test_what_runs_goes_on(broker):
    worker = broker.worker()
    client = broker.client()
    calls = [
        client.request("task.call", {"name": "work", "args": n})
        for n in range(4)
    ]
    runs = [worker.take() for _ in calls]
    worker.notify("task.progress", id=1, run=1, done=3, total=9, note="é\n")
    answer = json.dumps(
        {"jsonrpc": "2.0", "id": runs[0]["id"], "result": "x" * 50000}
    ).encode()
    worker.send_raw(answer[:30000])
    wait_until(lambda: "progress" in client.task(1), "it has told")
    broker.upgrade()
    assert client.task(1)["progress"] == {"done": 3, "total": 9, "note": "é\n"}
    assert worker.is_idle()
    worker.send_raw(answer[30000:] + b"\n")
    assert client.result(calls[0])["result"] == "x" * 50000
    # The slot that is free again is the only one.
    assert client.submit("work") == 5
    runs.append(worker.take())
    assert client.submit("work") == 6
    assert worker.is_idle()
    for run in runs[1:4]:
        worker.succeed(run, run["params"]["id"])
    assert [client.result(ident)["result"] for ident in calls[1:]] == [2, 3, 4]


def test_a_stale_answer_is_still_known_to_be_stale(broker):
    worker = broker.worker(threads=1)
    client = broker.client()
    client.submit("work", "first")
    old = worker.take()
    worker.succeed(old, "once")
    client.submit("work", "second")
    new = worker.take()
    broker.upgrade()
    worker.succeed(old, "twice")
    worker.succeed(new, "right")
    assert client.wait(1, 2)[1]["result"] == "right"
    # Nor is it one to what another image sends.
    client.submit("work", "third")
    new = worker.take()
    worker.succeed(old, "again")
    worker.succeed(new, "third")
    assert client.wait(3)[0]["result"] == "third"
    assert client.task(1)["result"] == "once"


def test_the_order_of_what_waits_stays(broker):
    client = broker.client()
    wanted = []
    for n in range(60):
        priority = n * 7 % 10
        client.submit("work", n, priority=priority)
        wanted.append((-priority, n))
    broker.upgrade()
    for n in range(60, 90):
        client.submit("work", n, priority=4)
        wanted.append((-4, n))
    broker.upgrade()
    worker = broker.worker(threads=1)
    got = []
    for _ in wanted:
        run = worker.take()
        got.append(run["params"]["args"])
        worker.succeed(run)
    assert got == [n for _, n in sorted(wanted)]


def test_what_is_due_later_runs_once_and_in_time(broker):
    worker = broker.worker()
    client = broker.client()
    begin = time.monotonic()
    due = client.submit("work", "due", delay_ms=600)
    dead = client.submit("work", "late", delay_ms=5000, expires_ms=300)
    again = client.submit("work", "again", backoff_ms=1000)
    worker.fail(worker.take(), "not yet", retry_after_ms=400)
    wait_until(
        lambda: client.task(again)["state"] == "scheduled", "it is tried again"
    )
    for _ in range(4):
        broker.upgrade()
    runs = [worker.take(), worker.take()]
    assert [run["params"]["args"] for run in runs] == ["again", "due"]
    assert [run["params"]["attempt"] for run in runs] == [2, 1]
    assert 0.59 < time.monotonic() - begin < seconds(1.2)
    assert client.wait(dead)[0]["state"] == "expired"
    for run in runs:
        worker.succeed(run)
    client.wait(due, again)
    assert worker.is_idle()


def test_time_limits_hold(broker):
    worker = broker.worker()
    client = broker.client()
    task = client.submit("work", timeout_ms=400, retries=0)
    worker.take()
    begin = time.monotonic()
    broker.upgrade()
    killed = broker.expect("worker.kill")
    assert killed["pid"] == worker.pid
    assert 0.3 < time.monotonic() - begin < seconds(1)
    broker.upgrade()
    assert client.rpc("server.ping") == "pong"
    # The master is not told again.
    assert not select.select([broker.ctl], [], [], 0.05)[0]
    worker.die(signal.SIGKILL)
    error = client.wait(task)[0]["error"]
    assert error["code"] == -32018


def test_suspects_still_run_alone(broker):
    worker = broker.worker()
    client = broker.client()
    ids = [client.submit("work", n) for n in range(3)]
    for _ in ids:
        worker.take()
    worker.die(signal.SIGSEGV)
    wait_until(
        lambda: client.rpc("server.stats")["ready"] == 3, "they wait again"
    )
    broker.upgrade()
    client.submit("work", "healthy")
    fresh = broker.worker()
    for n in range(3):
        run = fresh.take()
        assert run["params"]["args"] == n
        assert fresh.is_idle()
        broker.upgrade()
        assert fresh.is_idle()
        fresh.succeed(run)
    fresh.succeed(fresh.take())
    assert [task["state"] for task in client.wait(*ids)] == ["succeeded"] * 3


def test_a_culprit_found_in_another_image_is_quarantined(broker):
    client = broker.client()
    task = client.submit("work", backoff_ms=1)
    for _ in range(3):
        worker = broker.worker()
        worker.take()
        broker.upgrade()
        worker.die(signal.SIGSEGV)
    assert client.wait(task)[0]["state"] == "quarantined"


def test_a_worker_that_died_unreaped_is_settled(broker):
    worker = broker.worker()
    client = broker.client()
    task = client.submit("work", retries=0)
    worker.take()
    worker.sock.close()
    wait_until(
        lambda: client.rpc("worker.list")[0]["state"] == "ending", "it is seen"
    )
    broker.upgrade()
    assert client.rpc("worker.list")[0]["pid"] == worker.pid
    broker.order("worker.gone", pid=worker.pid, status="gone", signal=11)
    assert client.wait(task)[0]["state"] == "failed"
    assert client.rpc("worker.list") == []


def test_a_worker_that_has_its_pill_gets_no_tasks(broker):
    old = broker.worker()
    client = broker.client()
    client.submit("work")
    run = old.take()
    broker.order("worker.retire", pid=old.pid)
    assert old.next()["method"] == "worker.stop"
    broker.upgrade()
    client.submit("work")
    assert old.is_idle()
    old.succeed(run)
    new = broker.worker()
    new.succeed(new.take())
    client.wait(1, 2)


def test_what_has_ended_is_kept(broker):
    worker = broker.worker()
    client = broker.client()
    ids = [client.submit("work", n, meta={"n": n}) for n in range(4)]
    short = client.submit("work", result_ttl_ms=1500)
    runs = {
        run["params"]["id"]: run for run in [worker.take() for _ in ids]
    }
    worker.succeed(runs[ids[0]], {"deep": [1, 2.5, "é"]})
    runs[short] = worker.take()
    worker.succeed(runs[short])
    worker.fail(runs[ids[1]], "broken", retryable=False)
    client.wait(ids[0], ids[1], short)
    ended = [client.task(ident) for ident in ids]
    listed = client.rpc("task.list")
    stats = client.rpc("server.stats")
    queues = client.rpc("queue.list")
    workers = workers_of(client)
    pools = client.rpc("pool.list")
    broker.upgrade()
    assert [client.task(ident) for ident in ids] == ended
    assert client.rpc("task.list") == listed
    assert client.rpc("queue.list") == queues
    assert workers_of(client) == workers
    assert client.rpc("pool.list") == pools
    changing = {"uptime_ms", "requests_total", "rss_bytes", "clients"}
    now = client.rpc("server.stats")
    assert {key for key in now if now[key] != stats[key]} <= changing
    assert now["requests_total"] > stats["requests_total"]
    wait_until(
        lambda: client.rpc("server.stats")["kept"] == stats["kept"] - 1,
        "the time of the short one is over",
    )
    assert client.error("task.get", {"id": short}).code == -32012


def test_ids_go_on(broker):
    client = broker.client()
    assert [client.submit("work") for _ in range(3)] == [1, 2, 3]
    broker.upgrade()
    assert [client.submit("work") for _ in range(3)] == [4, 5, 6]


# Pools and queues that leave


def test_what_a_reload_left_behind_stays(broker):
    client = broker.client()
    worker = broker.worker(threads=1)
    client.submit("work", "runs")
    run = worker.take()
    client.submit("work", "waits")
    new = dict(broker.settings)
    new["queues"] = [{"name": "other"}]
    new["pools"] = [pool("fresh", ["other"], ["play"])]
    broker.order("settings", memfd(json.dumps(new).encode()))
    assert broker.expect("settings.applied")["ok"]
    pools, queues = client.rpc("pool.list"), client.rpc("queue.list")
    assert {row["name"]: row["state"] for row in pools} == {
        "fresh": "up",
        "default": "leaving",
    }
    broker.upgrade()
    assert client.rpc("pool.list") == pools
    assert client.rpc("queue.list") == queues
    assert client.error("task.submit", {"name": "work"}).code == -32017
    worker.succeed(run, 1)
    second = worker.take()
    assert second["params"]["args"] == "waits"
    broker.upgrade()
    worker.succeed(second, 2)
    assert rows(client.wait(1, 2), "result") == [1, 2]
    assert worker.next()["method"] == "worker.stop"
    broker.upgrade()
    broker.order("worker.gone", pid=worker.pid, status="exit 0", signal=0)
    wait_until(lambda: len(client.rpc("pool.list")) == 1, "the pool is gone")
    broker.upgrade()
    assert client.task(1)["pool"] == "default"
    # And back again.
    broker.order("settings", memfd(json.dumps(broker.settings).encode()))
    assert broker.expect("settings.applied")["ok"]
    back = broker.worker()
    client.submit("work")
    back.succeed(back.take(), 3)
    assert client.wait(3)[0]["result"] == 3


def test_old_workers_of_a_roll_keep_what_they_know(broker):
    client = broker.client()
    old = broker.worker(threads=1)
    client.submit("work", "runs")
    run = old.take()
    new = dict(broker.settings, pools=[pool("default", names=["play"])])
    broker.order("settings", memfd(json.dumps(new).encode()))
    assert broker.expect("settings.applied")["ok"]
    broker.upgrade()
    young = broker.worker(threads=1, names=["play"])
    client.submit("play", "for the young")
    young.succeed(young.take())
    old.succeed(run)
    client.wait(1, 2)
    client.submit("play", "for the young again")
    assert old.is_idle()
    young.succeed(young.take())


# The exec


def not_executable(folder):
    path = folder / "text"
    path.write_text("no program\n")
    return path


def no_program(folder):
    path = not_executable(folder)
    path.chmod(stat.S_IRWXU)
    return path


@pytest.mark.parametrize("make", [not_executable, no_program, lambda f: f])
def test_an_exec_that_fails_changes_nothing(broker, folder, make):
    worker = broker.worker()
    client = broker.client()
    call = client.request("task.call", {"name": "work"})
    run = worker.take()
    client.send_raw(b'{"jsonrpc":"2.0","id":99,')
    fds = broker.fds()
    mask = status_of(broker, "SigBlk")
    for _ in range(3):
        broker.send_upgrade(make(folder))
        assert "execute" in broker.expect("upgrade.failed")["why"]
    assert broker.fds() == fds
    assert broker.fds_open_in_exec() == {0, 1, 2}
    assert status_of(broker, "SigBlk") == mask
    client.send_raw(b'"method":"server.ping"}\n')
    assert client.result(99) == "pong"
    worker.succeed(run, "as ever")
    assert client.result(call)["result"] == "as ever"
    broker.upgrade()
    assert client.rpc("server.ping") == "pong"


def status_of(broker, key):
    with open(f"/proc/{broker.process.pid}/status") as lines:
        fields = dict(line.split(":", 1) for line in lines)
    return fields[key].strip()


def test_a_state_that_can_not_be_written_changes_nothing(broker):
    broker.upgrade()  # into one with all signals blocked, as a master's child
    client = broker.client()
    ids = [client.submit("work", "x" * 60000) for _ in range(10)]
    pid, unlimited = broker.process.pid, (resource.RLIM_INFINITY,) * 2
    fds = broker.fds()
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1 << 18, unlimited[1]))
    broker.send_upgrade()
    why = broker.expect("upgrade.failed")["why"]
    assert why == "the state can't be written: File too large"
    assert broker.fds() == fds
    assert [client.task(ident)["state"] for ident in ids] == ["ready"] * 10
    resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
    broker.upgrade()
    assert [len(client.task(ident)["args"]) for ident in ids] == [60000] * 10


def test_an_order_without_a_binary_is_refused(broker):
    broker.order("upgrade")
    assert "no binary" in broker.expect("upgrade.failed")["why"]


def test_the_process_is_as_it_was(broker):
    keys = ["SigBlk", "SigCgt", "SigIgn", "NoNewPrivs", "Uid", "Groups"]
    limits = f"/proc/{broker.process.pid}/limits"
    broker.upgrade()  # the first image was not forked by a master
    before = [status_of(broker, key) for key in keys]
    with open(limits) as text:
        limits_before = text.read()
    broker.upgrade()
    assert [status_of(broker, key) for key in keys] == before
    with open(limits) as text:
        assert text.read() == limits_before
    assert status_of(broker, "Name") == "gangerd"
    with open(f"/proc/{broker.process.pid}/cmdline") as text:
        assert text.read().rstrip("\0 ").startswith("gangerd: broker")
    assert broker.fds_open_in_exec() == {0, 1, 2}


def test_the_log_file_is_gone_on_with(broker, folder):
    # A path that is no text, and that could not be opened again.
    place = folder / "log dir"
    place.mkdir()
    path = os.path.join(os.fsencode(place), b"log\xff\n")
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    class WithLog(Broker):
        def state(self):
            self.head["log_fd"] = fd
            return super().state().replace(
                b'"raw": [0]}\n', b'"raw": [%d]}\n%s' % (len(path), path), 1
            )

        def start(self, state_fd, ctl_end):
            os.set_inheritable(fd, True)
            popen = subprocess.Popen

            def with_fd(*args, pass_fds, **kwargs):
                return popen(*args, pass_fds=(*pass_fds, fd), **kwargs)

            subprocess.Popen = with_fd
            try:
                super().start(state_fd, ctl_end)
            finally:
                subprocess.Popen = popen

    (folder / "other").mkdir()
    other = WithLog(folder / "other")
    try:
        other.expect("ready")
        os.rename(place, folder / "moved")
        other.upgrade()
        text = (folder / "moved" / os.fsdecode(b"log\xff\n")).read_text()
        assert text.count("goes on with the new binary") == 2
        assert "can't open the log" not in other.log()
    finally:
        other.kill()
        os.close(fd)


def test_a_drain_refuses_it(broker):
    worker = broker.worker()
    client = broker.client()
    call = client.request("task.call", {"name": "work"})
    run = worker.take()
    broker.order("stop", mode="graceful")
    broker.send_upgrade()
    assert "stopping" in broker.expect("upgrade.failed")["why"]
    worker.succeed(run)
    assert client.result(call)["state"] == "succeeded"


def test_many_in_a_row_leak_nothing(brokers):
    broker = brokers(max_finished=1)  # bytes that ended tasks may hold
    broker.expect("ready")
    worker = broker.worker(threads=8)
    clients = [broker.client() for _ in range(10)]
    fds = None
    for round_ in range(scaled(200, 40)):
        calls = [
            client.request("task.call", {"name": "work", "args": "x" * 1000})
            for client in clients[:8]
        ]
        runs = [worker.take() for _ in calls]
        broker.upgrade()
        for run in runs:
            worker.succeed(run)
        for client, ident in zip(clients, calls):
            assert client.result(ident)["state"] == "succeeded"
        if round_ == 20:
            fds = sorted(broker.fds())
            growth = Growth(broker.process.pid)
    assert sorted(broker.fds()) == fds
    growth.assert_below(1 << 20)


# A state that can't be read


def ends_with(brokers, state):
    broker = brokers(state=state)
    return broker, broker.process.wait(LIMIT)


def test_a_state_of_another_version_ends_the_broker(brokers):
    def state(broker):
        broker.head["version"] = 99
        return broker.state()

    broker, status = ends_with(brokers, state)
    assert status == EX_SOFTWARE
    assert "version" in broker.log()


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"",
        lambda text: b"\xff\xfe\x00",
        lambda text: text[:100],
        lambda text: text[: -len(record("end"))],
        lambda text: text[:-1],
        lambda text: text.replace(b'"raw": [', b'"raw": [9999999', 1),
        lambda text: text.replace(b'5536, "raw": [', b'5536, "raw": [-'),
        lambda text: text.replace(b'"ctl_fd": ', b'"ctl_fd": 9', 1),
        lambda text: text.replace(b'"name": "default"', b'"name": ""'),
        lambda text: record("nonsense") + text,
        lambda text: text.replace(
            record("end"), record("task", [b"1"]) + record("end")
        ),
        lambda text: text.replace(
            record("end"),
            record("call", [b"1"], ids=[1], ended=[3]) + record("end"),
        ),
        lambda text: text.replace(
            record("end"), record("conn", [b"", b""], fd=999) + record("end")
        ),
        lambda text: text.replace(
            record("end"),
            record("task", [b"1 2 5"], kind="work", queue="default",
                   pid=4, rpc=256) + record("end"),
        ),
        lambda text: text.replace(
            record("end"), record("from the future") + record("end")
        ),
    ],
)  # fmt: skip
def test_a_state_that_makes_no_sense_ends_the_broker(brokers, change):
    broker, status = ends_with(brokers, lambda b: change(b.state()))
    assert status == EX_SOFTWARE, broker.log()
    assert "error" in broker.log()


def test_it_is_no_way_to_start_a_broker():
    environment = {"GANGER_BROKER_STATE": "999"}
    done = subprocess.run([GANGERD, "-V"], env=environment, timeout=LIMIT)
    assert done.returncode == EX_SOFTWARE
