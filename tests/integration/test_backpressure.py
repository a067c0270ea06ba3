# SPDX-License-Identifier: ISC
"""What becomes of submits for which there is no room."""

import select
import time

import pytest

from ganger import SANITIZED, seconds, wait_until
from store import Disk

LATER = 3600 * 1000
FULL = -32010
STORAGE = -32016
DRAINING = -32015

POOL = 'pool "default" { processes = 1  threads = 1 }\n'
HOLD = 'when_full = "hold"\n'
TWO = "max_queued = 2\n"


def wait_held(daemon, count):
    """Until so many requests were read and wait for room."""
    wait_until(
        lambda: daemon.rpc("server.stats")["submits_held"] == count,
        f"{count} are held",
    )


def is_silent(client, seconds=0.2):
    """Nothing came, and nothing comes now; the wait only makes it surer."""
    if client.buffer or client.early:
        return False
    return not select.select([client.sock], [], [], seconds)[0]


def submit(client, args=None, **more):
    return client.request(
        "task.submit",
        {"name": "echo", "args": args, "delay_ms": LATER, **more},
    )


def fill(client, count=2, **more):
    return [client.result(submit(client, **more))["id"] for _ in range(count)]


def wait_clients(client, count):
    wait_until(
        lambda: client.rpc("server.stats")["clients"] == count,
        f"{count} clients",
    )


def waiting(daemon):
    stats = daemon.rpc("server.stats")
    return stats["ready"] + stats["scheduled"]


@pytest.fixture(params=[False, True], ids=["volatile", "durable"])
def durable(request):
    return request.param


@pytest.fixture
def disk(folder):
    disk = Disk(folder / "disk", "16m")
    yield disk
    disk.unmount()


# Refuse


def test_submit_past_max_store_is_refused(daemons):
    daemon = daemons.start(POOL, top='max_store = "1M"\n')
    with daemon.client() as client:
        text = "x" * 10000
        for _ in range(1000):
            answer = client.answer(submit(client, text))
            if "error" in answer:
                break
        error = answer["error"]
        assert error["code"] == FULL
        assert error["data"]["retryable"] is True
        assert error["data"]["retry_after_ms"] > 0
        assert error["message"].endswith("(max_store, 1048576)")
        bytes = client.rpc("server.stats")["store_bytes"]
        assert 1 << 20 <= bytes < 8 << 20
        # Volatile ones need no disk, and what is there can still end.
        assert client.call("echo", 1, durable=False)["result"] == 1
        client.rpc("queue.purge", {"queue": "default"})
        cancelled = {"filter": {"state": "cancelled"}}
        assert client.rpc("task.delete", cancelled)["count"] > 50
        wait_until(
            lambda: "result" in client.answer(submit(client, text)),
            "there is room again",
        )


def test_submit_to_a_disk_that_is_nearly_full_is_refused(daemons, disk):
    daemon = daemons.make(POOL, top='min_free = "8M"\n')
    daemon.args += ["-p", f"state_dir={disk.path}/state"]
    daemon.start()
    with daemon.client() as client:
        fill(client, durable=True)
        filler = disk.path / "filler"
        filler.write_bytes(b"x" * (10 << 20))

        def refused():
            answer = client.answer(submit(client, durable=True))
            return answer.get("error")

        error = wait_until(refused, "it is noticed")
        assert error["code"] == STORAGE
        assert error["data"]["retryable"] is True
        assert "min_free" in error["message"]
        # Not what is volatile, and not the end of what is there.
        assert client.call("echo", 1, durable=False)["result"] == 1
        assert client.rpc("queue.purge", {"queue": "default"})["count"] >= 2
        assert client.rpc("server.info")["store_state"]["state"] == "full"
        filler.unlink()
        wait_until(lambda: not refused(), "there is room again")


# Hold


def test_held_submit_is_answered_when_there_is_room(daemons, durable):
    daemon = daemons.start(POOL, top=HOLD + TWO)
    with daemon.client() as client, daemon.client() as other:
        ids = fill(client, durable=durable)
        held = submit(client, durable=durable)
        ping = client.request("server.ping")
        wait_held(daemon, 1)
        assert is_silent(client)
        assert other.rpc("server.ping") == "pong"
        assert waiting(daemon) == 2
        assert other.rpc("server.stats")["submits_held"] == 1
        other.rpc("task.cancel", {"id": ids[0]})
        assert client.result(held)["state"] == "scheduled"
        assert client.result(ping) == "pong"
        assert waiting(daemon) == 2
        assert other.rpc("server.stats")["submits_held"] == 0


def test_held_requests_are_counted_as_long_as_they_are_held(daemons):
    """One behind the other, too; and neither is once their client is gone."""
    daemon = daemons.start(POOL, top=HOLD + TWO)

    def held():
        return other.rpc("server.stats")["submits_held"]

    with daemon.client() as other:
        fill(other)
        client = daemon.client()
        batch = [
            {"jsonrpc": "2.0", "id": i, "method": "task.submit", "params": p}
            for i, p in enumerate([{"name": "echo"}] * 3)
        ]
        client.send(batch)
        wait_until(lambda: held() == 3, "three are held")
        client.close()
        wait_until(lambda: held() == 0, "none is")


def test_order_of_a_held_client_is_kept(daemons, durable):
    daemon = daemons.start(POOL, top=HOLD + TWO)
    with daemon.client() as client:
        client.rpc("queue.pause", {"queue": "default"})
        requests = [
            client.request(
                "task.submit", {"name": "echo", "args": i, "durable": durable}
            )
            for i in range(50)
        ]
        with daemon.client() as other:
            wait_until(lambda: waiting(daemon) == 2, "it is full")
            other.rpc("queue.resume", {"queue": "default"})
        ids = [client.result(request)["id"] for request in requests]
        assert ids == sorted(ids)
        assert [task["result"] for task in client.wait(*ids)] == [*range(50)]


def test_clients_get_room_in_their_order(daemons):
    daemon = daemons.start(POOL, top=HOLD + TWO)
    clients = [daemon.client() for _ in range(5)]
    with daemon.client() as other:
        ids = fill(other)
        held = []
        for i, client in enumerate(clients):
            held.append(submit(client, i))
            wait_held(daemon, i + 1)
        for ident in ids:
            other.rpc("task.cancel", {"id": ident})
        first = [c.result(held[i])["id"] for i, c in enumerate(clients[:2])]
        assert first == sorted(first)
        for client in clients[2:]:
            assert is_silent(client, 0.05)
        for ident in first:
            other.rpc("task.cancel", {"id": ident})
        more = [
            client.result(held[i])["id"]
            for i, client in enumerate(clients[2:4], 2)
        ]
        assert more == sorted(more)
        assert is_silent(clients[4])


def test_held_submit_many_goes_on_where_it_was(daemons, durable):
    daemon = daemons.start(POOL, top=HOLD + "max_queued = 5\n")
    with daemon.client() as client, daemon.client() as other:
        tasks = [
            {"name": "echo", "args": i, "delay_ms": LATER, "durable": durable}
            for i in range(12)
        ]
        tasks[7] = {"name": "nobody"}
        many = client.request("task.submit_many", {"tasks": tasks})
        while True:
            wait_until(
                lambda: waiting(daemon) == 5 or not is_silent(client, 0),
                "as many as there is room for",
            )
            assert waiting(daemon) <= 5
            if not is_silent(client, 0):
                break
            other.rpc("queue.purge", {"queue": "default"})
        answers = client.result(many)
        assert answers[7]["error"]["code"] == -32017
        ids = [one["id"] for one in answers if "id" in one]
        assert len(ids) == 11
        args = [client.task(ident)["args"] for ident in ids]
        assert args == [i for i in range(12) if i != 7]


def test_held_submit_many_keeps_its_place(daemons, durable):
    daemon = daemons.start(POOL, top=HOLD + TWO)
    with daemon.client() as client, daemon.client() as other:
        task = {"name": "echo", "delay_ms": LATER, "durable": durable}
        many = client.request("task.submit_many", {"tasks": [task] * 6})
        wait_until(lambda: waiting(daemon) == 2, "it is full")
        late = daemon.client()
        held = submit(late, durable=durable)
        wait_held(daemon, 2)
        for _ in range(2):
            # One at a time, so that it is held again each time.
            for task in other.rpc("task.list", {"state": "scheduled"})["tasks"]:
                other.rpc("task.cancel", {"id": task["id"]})
            wait_until(lambda: waiting(daemon) == 2, "two more")
        ids = [one["id"] for one in client.result(many)]
        assert is_silent(late, 0.05)
        other.rpc("queue.purge", {"queue": "default"})
        assert late.result(held)["id"] > max(ids)


def test_batch_is_held_in_its_order(daemons):
    daemon = daemons.start(POOL, top=HOLD + TWO)
    with daemon.client() as client, daemon.client() as other:
        batch = [
            {
                "jsonrpc": "2.0",
                "id": i,
                "method": "task.submit",
                "params": {"name": "echo", "args": i, "delay_ms": LATER},
            }
            for i in range(6)
        ]
        client.send(batch)
        for _ in range(2):
            wait_until(lambda: waiting(daemon) == 2, "two more")
            assert is_silent(client, 0.05)
            other.rpc("queue.purge", {"queue": "default"})
        answers = client.recv()
        ids = {one["id"]: one["result"]["id"] for one in answers}
        assert len(ids) == 6
        assert [ids[i] for i in range(6)] == sorted(ids.values())


def test_call_is_held_too(daemons):
    daemon = daemons.start(POOL, top=HOLD + TWO)
    with daemon.client() as client, daemon.client() as other:
        ids = fill(other)
        call = client.request("task.call", {"name": "echo", "args": 7})
        wait_held(daemon, 1)
        assert is_silent(client)
        other.rpc("task.cancel", {"id": ids[1]})
        assert client.result(call)["result"] == 7


def test_full_queue_holds_nobody_else(daemons):
    config = (
        'pool "default" { processes = 1  queues = {"default", "mail"} }\n'
        'queue "mail" { max_queued = 1 }\n'
    )
    daemon = daemons.start(config, top=HOLD)
    with daemon.client() as client, daemon.client() as other:
        fill(client, 1, queue="mail")
        held = submit(client, queue="mail")
        wait_held(daemon, 1)
        assert is_silent(client)
        fill(other, 3)
        other.rpc("queue.purge", {"queue": "mail"})
        client.result(held)


def test_what_a_batch_waits_for_is_found_out_in_time(daemons):
    """The second of a batch whose queue is full stands in nobody's way."""
    config = (
        'pool "default" { processes = 1  queues = {"default", "mail"} }\n'
        'queue "default" { max_queued = 1 }\n'
        'queue "mail" { max_queued = 1 }\n'
    )
    daemon = daemons.start(config, top=HOLD)

    def send_batch(client, queue):
        client.send(
            [
                {
                    "jsonrpc": "2.0",
                    "id": i,
                    "method": "task.submit",
                    "params": {
                        "name": "echo",
                        "queue": queue,
                        "delay_ms": LATER,
                    },
                }
                for i in range(2)
            ]
        )

    with daemon.client() as one, daemon.client() as two:
        admin = daemon.client()
        fill(admin, 1, queue="mail")
        fill(admin, 1, queue="default")
        send_batch(one, "mail")
        send_batch(two, "default")
        for queue in ("mail", "default", "default"):
            admin.rpc("queue.purge", {"queue": queue})
            wait_until(lambda: waiting(daemon) == 2, "another one is in")
        assert len(two.recv()) == 2
        assert is_silent(one)


def test_what_is_looked_up_keeps_its_place(daemons):
    """All that wait are looked up when one of them fits."""
    daemon = daemons.start(POOL, top=HOLD + TWO)
    admin = daemon.client()
    ids = fill(admin)
    waits = [daemon.client() for _ in range(6)]
    requests = []
    for i, client in enumerate(waits):
        requests.append(submit(client, i, idempotency_key=f"key {i}"))
        wait_held(daemon, i + 1)
    for i, client in enumerate(waits):
        admin.rpc("task.cancel", {"id": ids.pop(0)})
        ids.append(client.result(requests[i])["id"])
        assert all(is_silent(other, 0.02) for other in waits[i + 1 :])


def test_what_is_let_in_is_run_at_once(daemons):
    """No other event has to make the daemon look at it."""
    daemon = daemons.start(POOL, top=HOLD + TWO)
    with daemon.client() as client, daemon.client() as other:
        ids = fill(other, durable=False)
        for key in None, "k":
            more = {} if key is None else {"key": key}
            call = client.request(
                "task.call", {"name": "echo", "durable": False, **more}
            )
            assert is_silent(client, 1.2)
            begun = time.monotonic()
            other.send(
                {
                    "jsonrpc": "2.0",
                    "method": "task.cancel",
                    "params": {"id": ids.pop()},
                }
            )
            client.result(call)
            assert time.monotonic() - begun < seconds(0.5)
            ids += fill(other, 1, durable=False)


def test_client_that_goes_gives_its_place_up(daemons, durable):
    daemon = daemons.start(POOL, top=HOLD + TWO)
    with daemon.client() as client, daemon.client() as other:
        ids = fill(other, durable=durable)
        submit(client, durable=durable)
        wait_held(daemon, 1)
        second = daemon.client()
        held = submit(second, durable=durable)
        wait_held(daemon, 2)
        wait_clients(other, 3)
        client.close()
        wait_clients(other, 2)
        other.rpc("task.cancel", {"id": ids[0]})
        second.result(held)
        assert waiting(daemon) == 2


def test_what_never_fits_is_refused_all_the_same(daemons):
    daemon = daemons.start(
        POOL, top=HOLD + 'max_bytes = "1M"\nmax_message = "4M"\n'
    )
    with daemon.client() as client:
        error = client.answer(
            submit(client, "x" * (2 << 20))
        )["error"]
        assert error["code"] == FULL


def test_stop_refuses_what_is_held(daemons):
    daemon = daemons.start(POOL, top=HOLD + TWO)
    client, other = daemon.client(), daemon.client()
    fill(other, durable=False)
    held = submit(client, durable=False)
    call = other.request("task.call", {"name": "echo"})
    wait_held(daemon, 2)
    assert is_silent(client) and is_silent(other)
    daemon.send_signal(15)
    for who, request in [(client, held), (other, call)]:
        error = who.answer(request)["error"]
        assert error["code"] == DRAINING
        assert error["data"]["retryable"] is True
    assert daemon.wait_exit() == 0


def test_upgrade_refuses_what_is_held(daemons):
    daemon = daemons.start(POOL, top=HOLD + TWO)
    with daemon.client() as client, daemon.client() as other:
        fill(other)
        held = submit(client)
        assert is_silent(client)
        other.rpc("server.upgrade")
        error = client.answer(held)["error"]
        assert (error["code"], error["data"]["retryable"]) == (FULL, True)
        # And the next one is held again.
        held = submit(client)
        assert is_silent(client)
        other.rpc("queue.purge", {"queue": "default"})
        client.result(held)


def test_upgrade_names_those_of_a_list_that_were_let_in(daemons):
    """Who sends the others again makes none twice."""
    daemon = daemons.start(POOL, top=HOLD + TWO)
    with daemon.client() as client, daemon.client() as other:
        tasks = [{"name": "echo", "delay_ms": LATER} for _ in range(5)]
        held = client.request("task.submit_many", {"tasks": tasks})
        assert is_silent(client)
        other.rpc("server.upgrade")
        rows = client.result(held)
        listed = [t["id"] for t in other.rpc("task.list")["tasks"]]
        assert sorted(listed) == [row["id"] for row in rows[:2]]
        assert [row["error"]["code"] for row in rows[2:]] == [FULL] * 3


def test_held_clients_cost_little(daemons):
    """Nothing is read on from a client that is held."""
    daemon = daemons.start(POOL, top=HOLD + TWO)
    with daemon.client() as other:
        fill(other)
        before = other.rpc("server.stats")["rss_bytes"]
        clients = [daemon.client() for _ in range(20)]
        line = (
            b'{"jsonrpc":"2.0","id":1,"method":"task.submit","params":'
            b'{"name":"echo","args":"' + b"x" * 10000 + b'"}}\n'
        )
        for client in clients:
            client.sock.settimeout(0.2)
            with pytest.raises(TimeoutError):
                while True:
                    client.send_raw(line)
        after = other.rpc("server.stats")["rss_bytes"]
        if not SANITIZED:
            assert after - before < 20 << 20
        assert waiting(daemon) == 2


def test_disk_that_is_nearly_full_holds_until_it_is_not(daemons, disk):
    daemon = daemons.make(POOL, top=HOLD + 'min_free = "8M"\n')
    daemon.args += ["-p", f"state_dir={disk.path}/state"]
    filler = disk.path / "filler"
    filler.write_bytes(b"x" * (10 << 20))
    daemon.start()
    with daemon.client() as client, daemon.client() as other:
        held = submit(client, durable=True)
        assert is_silent(client)
        assert other.call("echo", 1, durable=False)["result"] == 1
        filler.unlink()
        assert client.result(held)["state"] == "scheduled"
