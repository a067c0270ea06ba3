# SPDX-License-Identifier: ISC
"""Queues that are paused, resumed and purged."""

import pytest

LATER = 3600 * 1000

CONFIG = (
    'pool "default" { processes = 1  threads = 1'
    '  queues = {"default", "mail"} }\n'
    'queue "mail" {}\n'
)


@pytest.fixture(params=[False, True], ids=["volatile", "durable"])
def durable(request):
    return request.param


def queue(client, name="default"):
    (row,) = [q for q in client.rpc("queue.list") if q["name"] == name]
    return row


def test_paused_queue_starts_nothing(daemons, durable):
    daemon = daemons.start(CONFIG)
    with daemon.client() as client:
        row = client.rpc("queue.pause", {"queue": "default"})
        assert row == queue(client)
        assert (row["name"], row["state"]) == ("default", "paused")
        ids = [client.submit("echo", i, durable=durable) for i in range(5)]
        # The other queue's task runs, by the same worker, and later.
        client.call("echo", queue="mail")
        assert queue(client)["ready"] == 5
        assert queue(client, "mail")["state"] == "up"
        row = client.rpc("queue.resume", {"queue": "default"})
        assert row["state"] == "up"
        assert [task["result"] for task in client.wait(*ids)] == [*range(5)]


def test_pause_lets_what_runs_go_on(daemons, durable):
    daemon = daemons.start(CONFIG)
    with daemon.client() as client:
        runs = client.submit("sleep", {"ms": 300}, durable=durable)
        client.wait_running(runs)
        client.rpc("queue.pause", {"queue": "default"})
        assert client.wait(runs)[0]["state"] == "succeeded"


def test_pause_and_resume_twice_change_nothing(daemons):
    daemon = daemons.start(CONFIG)
    with daemon.client() as client:
        for method, state in [("pause", "paused"), ("resume", "up")]:
            for _ in range(2):
                row = client.rpc(f"queue.{method}", {"queue": "mail"})
                assert row["state"] == state


def test_pause_is_kept_over_the_death_of_the_broker(daemons):
    daemon = daemons.start(CONFIG)
    with daemon.client() as client:
        client.rpc("queue.pause", {"queue": "default"})
        client.rpc("queue.pause", {"queue": "mail"})
        client.rpc("queue.resume", {"queue": "mail"})
        ident = client.submit("echo", 1)
    daemon.kill_broker()
    with daemon.client() as client:
        assert queue(client)["state"] == "paused"
        assert queue(client, "mail")["state"] == "up"
        client.call("echo", queue="mail")
        assert client.task(ident)["state"] == "ready"
        client.rpc("queue.resume", {"queue": "default"})
        assert client.wait(ident)[0]["result"] == 1


def test_pause_is_kept_over_a_restart(daemons):
    daemon = daemons.start(CONFIG)
    with daemon.client() as client:
        client.rpc("queue.pause", {"queue": "default"})
        ident = client.submit("echo", 1)
    daemon.stop()
    daemon.start()
    with daemon.client() as client:
        assert queue(client)["state"] == "paused"
        assert client.task(ident)["state"] == "ready"
        client.rpc("queue.resume", {"queue": "default"})
        assert client.wait(ident)[0]["result"] == 1


def test_pause_is_kept_over_an_upgrade_and_a_reload(daemons):
    daemon = daemons.start(CONFIG)
    with daemon.client() as client:
        client.rpc("queue.pause", {"queue": "default"})
        ident = client.submit("echo", 1)
        client.rpc("server.upgrade")
        assert queue(client)["state"] == "paused"
        daemon.configure(CONFIG.replace("threads = 1", "threads = 2"))
        client.rpc("server.reload")
        assert queue(client)["state"] == "paused"
        assert client.task(ident)["state"] == "ready"
        client.rpc("queue.resume", {"queue": "default"})
        assert client.wait(ident)[0]["result"] == 1


def test_purge_cancels_all_that_waits(daemons, handlers, gate, durable):
    module = f'modules = {{"{handlers}"}}  queues'
    daemon = daemons.start(CONFIG.replace("queues", module))
    with daemon.client() as client:
        runs = client.submit("gate", gate.args, durable=durable)
        client.wait_running(runs)
        ids = [client.submit("echo", durable=durable) for _ in range(20)]
        ids += [
            client.submit("echo", delay_ms=LATER, durable=durable)
            for _ in range(20)
        ]
        ids += [
            client.submit("echo", key="k", durable=durable) for _ in range(20)
        ]
        other = client.submit("echo", queue="mail", delay_ms=LATER)
        wait = client.request("task.wait", {"ids": ids})
        assert client.rpc("queue.purge", {"queue": "default"}) == {"count": 60}
        done = client.result(wait)["done"]
        assert [task["state"] for task in done] == ["cancelled"] * 60
        gate.open()
        assert client.wait(runs)[0]["state"] == "succeeded"
        assert client.task(other)["state"] == "scheduled"
        row = queue(client)
        assert (row["ready"], row["scheduled"], row["running"]) == (0, 0, 0)
        assert row["cancelled"] == 60
        assert client.rpc("queue.purge", {"queue": "default"}) == {"count": 0}


def test_purge_is_kept_over_the_death_of_the_broker(daemons):
    daemon = daemons.start(CONFIG)
    with daemon.client() as client:
        client.rpc("queue.pause", {"queue": "default"})
        ids = [client.submit("echo") for _ in range(10)]
        assert client.rpc("queue.purge", {"queue": "default"}) == {"count": 10}
    daemon.kill_broker()
    with daemon.client() as client:
        for ident in ids:
            assert client.task(ident)["state"] == "cancelled"
        assert queue(client)["ready"] == 0


@pytest.mark.parametrize("method", ["pause", "resume", "purge"])
@pytest.mark.parametrize(
    "params, code, wrong",
    [
        ({}, -32602, "queue"),
        ({"queue": 1}, -32602, "queue"),
        ({"queue": "nowhere"}, -32017, "queue"),
        ({"queue": "default", "colour": 1}, -32602, "colour"),
    ],
)
def test_wrong_parameters_are_named(client, method, params, code, wrong):
    error = client.error(f"queue.{method}", params)
    assert (error.code, error.data["param"]) == (code, wrong)
