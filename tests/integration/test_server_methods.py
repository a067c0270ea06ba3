# SPDX-License-Identifier: ISC
"""The methods that show the daemon: queues, workers, pools, the server."""

import re

from ganger import wait_until

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
LATER = 3600 * 1000


def test_queue_list_has_every_queue(client):
    client.call("echo")
    rows = {row["name"]: row for row in client.rpc("queue.list", {})}
    row = rows["default"]
    assert set(row) >= {
        *("name", "ready", "scheduled", "running", "succeeded", "failed"),
        *("pools", "priority"),
    }
    assert row["pools"] == ["default"]
    assert row["succeeded"] >= 1


def test_worker_list_shows_who_does_what(client):
    ident = client.submit("sleep", {"ms": 300})
    client.wait_running(ident)
    rows = client.rpc("worker.list", {})
    assert len(rows) == 2
    for row in rows:
        assert set(row) >= {
            *("worker", "pool", "pid", "state", "threads", "running", "tasks"),
            *("tasks_done", "started_at", "runs", "rss_bytes"),
        }
        assert row["pool"] == "default"
        assert row["threads"] == 2
        assert TIME.fullmatch(row["started_at"])
        assert row["rss_bytes"] > 100000
    (busy,) = [row for row in rows if row["tasks"]]
    assert busy["tasks"] == [ident]
    assert (busy["running"], busy["state"]) == (1, "busy")
    assert client.task(ident)["worker"] == busy["worker"]
    (run,) = busy["runs"]
    assert (run["id"], run["name"]) == (ident, "sleep")
    assert 0 <= run["running_ms"] < 60000
    before = busy["tasks_done"]
    client.wait(ident)
    rows = client.rpc("worker.list")
    (row,) = [row for row in rows if row["worker"] == busy["worker"]]
    assert (row["tasks"], row["state"]) == ([], "idle")
    assert row["tasks_done"] == before + 1


def test_pool_list_shows_its_processes(client):
    (row,) = client.rpc("pool.list", {})
    assert set(row) >= {
        *("name", "state", "processes", "alive", "threads", "busy", "names"),
        *("queues", "restarts"),
    }
    assert (row["name"], row["state"]) == ("default", "up")
    assert (row["processes"], row["alive"]) == (2, 2)
    assert row["restarts"] == 0
    assert row["queues"] == [{"name": "default", "weight": 1}]
    assert "echo" in row["names"]


def test_server_info(shared, client):
    info = client.rpc("server.info", {})
    assert set(info) >= {
        *("name", "version", "protocol", "pid", "broker_pid", "started_at"),
        *("uptime_ms", "socket", "state", "store", "limits"),
    }
    assert (info["name"], info["protocol"]) == ("ganger", 1)
    assert (info["state"], info["store"]) == ("running", "sqlite")
    path = shared.dir / "state" / "tasks.db"
    assert info["store_state"] == {"state": "ok", "path": str(path)}
    assert info["socket"] == str(shared.socket)
    assert info["limits"] == {
        "max_message": 1 << 20,
        "max_clients": 10000,
        "max_queued": 10000000,
        "max_bytes": 1 << 30,
        "max_store": 0,
        "min_free": 64 << 20,
    }
    assert TIME.fullmatch(info["started_at"])


def test_server_stats_count(client):
    before = client.rpc("server.stats", {})
    client.call("echo")
    client.error("task.call", {"name": "fail"})
    cancelled = client.submit("echo", delay_ms=LATER)
    waiting = client.rpc("server.stats")
    assert waiting["scheduled"] == before["scheduled"] + 1
    client.rpc("task.cancel", {"id": cancelled})
    after = client.rpc("server.stats")
    grown = {name: after[name] - before[name] for name in before}
    assert (grown["submitted"], grown["succeeded"]) == (3, 1)
    assert (grown["failed"], grown["cancelled"]) == (1, 1)
    assert grown["requests_total"] >= 5
    assert after["clients"] >= 1
    assert after["connections_total"] >= after["clients"]
    assert after["rss_bytes"] > 100000
    assert set(after) >= {
        *("uptime_ms", "expired", "retried", "requeued", "ready", "running"),
        "waiters",
    }


def test_stats_count_a_waiter(shared):
    with shared.client() as waiter, shared.client() as other:
        ident = other.submit("echo", delay_ms=LATER)
        wait = waiter.request("task.wait", {"ids": [ident]})
        wait_until(
            lambda: other.rpc("server.stats")["waiters"] == 1, "a waiter"
        )
        other.rpc("task.cancel", {"id": ident})
        waiter.result(wait)
        assert other.rpc("server.stats")["waiters"] == 0


def test_waiter_that_leaves_is_forgotten(shared):
    with shared.client() as waiter, shared.client() as other:
        ident = other.submit("echo", delay_ms=LATER)
        waiter.request("task.wait", {"ids": [ident]})
        wait_until(
            lambda: other.rpc("server.stats")["waiters"] == 1, "a waiter"
        )
        waiter.close()
        wait_until(
            lambda: other.rpc("server.stats")["waiters"] == 0, "no waiter"
        )
        other.rpc("task.cancel", {"id": ident})


METHODS = {
    *("task.submit", "task.submit_many", "task.call", "task.get"),
    *("task.wait", "task.list", "task.cancel"),
    *("queue.list", "worker.list", "pool.list"),
    *("server.info", "server.stats", "server.ping", "server.stop"),
    *("server.reload", "server.upgrade", "rpc.discover"),
    *("pool.scale", "pool.restart", "worker.dump"),
}


def test_discover_tells_the_methods(client):
    methods = client.rpc("rpc.discover", {})["methods"]
    assert METHODS <= {method["name"] for method in methods}
    for method in methods:
        assert set(method) >= {"name", "params", "result", "class"}
        assert method["class"] in ("submit", "observe", "admin")
        for param in method["params"]:
            assert set(param) >= {"name", "type", "required"}


def test_discover_tells_the_parameters_that_are_taken(client):
    """What is told is what is checked: an unknown one is refused."""
    for method in client.rpc("rpc.discover")["methods"]:
        error = client.error(method["name"], {"colour": "red"})
        assert error.code == -32602, method["name"]
    (submit,) = [
        method
        for method in client.rpc("rpc.discover")["methods"]
        if method["name"] == "task.submit"
    ]
    names = {param["name"]: param["required"] for param in submit["params"]}
    assert names["name"] is True
    assert {"args", "queue", "priority", "delay_ms", "run_at"} <= set(names)
