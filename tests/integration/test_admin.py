# SPDX-License-Identifier: ISC
"""What administrators ask of the daemon: reload, upgrade, scale, restart, dump.

How a reload goes wrong is in tests/faults.
"""

import os
import re
import signal
import subprocess

import pytest

from ganger import (
    GANGER,
    LIMIT,
    Client,
    RpcError,
    is_alive,
    stop_process,
    wait_until,
)
from load import Load
from modules import STUCK, AtStart

ADMIN = {
    "server.reload": {},
    "server.upgrade": {},
    "pool.scale": {"pool": "default", "by": 1},
    "pool.restart": {},
    "worker.dump": {"worker": "default/1"},
}


def pool(handlers, more="processes = 2 threads = 2", name="default"):
    return f'pool "{name}" {{ {more} modules = {{"{handlers}"}} }}\n'


@pytest.fixture
def daemon(daemons, handlers):
    return daemons.start(pool(handlers))


# What is refused at once


@pytest.mark.parametrize(
    "params,named",
    [
        ({"pool": "default"}, "processes"),
        ({"pool": "default", "processes": 2, "by": 1}, "by"),
        ({"pool": "default", "by": 0}, "by"),
        ({"pool": "default", "processes": 0}, "processes"),
        ({"pool": "default", "processes": 1025}, "processes"),
        ({"pool": "default", "processes": "2"}, "processes"),
        ({"pool": "default", "by": -1025}, "by"),
        ({"processes": 2}, "pool"),
    ],
    ids=str,
)
def test_scale_checks_its_parameters(client, params, named):
    error = client.error("pool.scale", params)
    assert (error.code, error.data["param"]) == (-32602, named)
    assert error.data["retryable"] is False


@pytest.mark.parametrize("method", ["pool.scale", "pool.restart"])
def test_unknown_pool_is_refused_with_those_there_are(client, method):
    params = {"pool": "mail"}
    if method == "pool.scale":
        params["by"] = 1
    error = client.error(method, params)
    assert (error.code, error.data["param"]) == (-32017, "pool")
    assert "default" in error.message


@pytest.mark.parametrize("worker", ["default/3", "default", "1", "mail/1"])
def test_unknown_worker_is_refused_with_those_there_are(client, worker):
    error = client.error("worker.dump", {"worker": worker})
    assert (error.code, error.data["param"]) == (-32017, "worker")
    assert "default/1, default/2" in error.message


def test_all_of_it_is_of_class_admin(client):
    methods = client.rpc("rpc.discover")["methods"]
    classes = {method["name"]: method["class"] for method in methods}
    assert {classes[name] for name in ADMIN} == {"admin"}


# Questions and answers


def test_too_many_open_questions_are_refused(daemon):
    """The master is stopped, so that none is answered meanwhile."""
    most = 256
    with daemon.client() as client:
        stop_process(daemon.pid)
        asked = [
            client.request("worker.dump", ADMIN["worker.dump"])
            for _ in range(most + 10)
        ]
        for ident in asked[most:]:
            with pytest.raises(RpcError) as caught:
                client.result(ident)
            assert caught.value.code == -32003
            assert caught.value.data["retryable"] is True
        assert client.call("echo", 1)["result"] == 1
        daemon.send_signal(signal.SIGCONT)
        for ident in asked[:most]:  # each is answered, one way or another
            assert {"result", "error"} & set(client.answer(ident))


def quiet(daemon):
    try:
        daemon.rpc("worker.dump", ADMIN["worker.dump"])
        return daemon.rpc("server.reload")
    except RpcError as error:
        assert error.data["retryable"] is True
        return None


@pytest.mark.parametrize("method", ADMIN)
def test_client_that_does_not_wait_for_the_answer_harms_nothing(
    daemon, method
):
    broker = daemon.broker_pid()
    with daemon.client() as client:
        client.request(method, ADMIN[method])
    with daemon.client() as client:
        client.notify(method, ADMIN[method])
        assert client.call("echo", 1)["result"] == 1
        assert client.rpc("server.info")["broker_pid"] == broker
    # It is over when nothing is refused for it any more.
    wait_until(lambda: quiet(daemon), "the daemon is done")
    assert daemon.rpc("server.info")["broker_pid"] == broker


def test_question_that_is_open_when_the_daemon_stops_is_answered(daemon):
    with daemon.client() as client:
        stop_process(daemon.pid)
        ident = client.request("worker.dump", ADMIN["worker.dump"])
        assert client.rpc("server.ping") == "pong"  # it is asked
        daemon.send_signal(signal.SIGTERM)
        daemon.send_signal(signal.SIGCONT)
        message = client.answer(ident)
        if "error" in message:
            assert message["error"]["code"] in (-32015, -32021)
            assert message["error"]["data"]["retryable"] is True
        assert daemon.wait_exit() == 0


# Scale


def test_scale_up_starts_workers(daemon):
    pids = daemon.wait_workers(2)
    result = daemon.rpc("pool.scale", {"pool": "default", "processes": 4})
    assert result == {"pool": "default", "processes": 4}
    assert set(pids) < set(daemon.wait_workers(4))
    assert daemon.pool()["target"] == 4
    result = daemon.rpc("pool.scale", {"pool": "default", "by": 1})
    assert result == {"pool": "default", "processes": 5}
    daemon.wait_workers(5)


def test_scale_down_lets_tasks_end(daemon, gate):
    pids = daemon.wait_workers(2)
    with daemon.client() as client:
        ids = [client.submit("gate", gate.args) for _ in range(4)]
        client.wait_running(*ids)
        result = client.rpc("pool.scale", {"pool": "default", "by": -1})
        assert result == {"pool": "default", "processes": 1}
        wait_until(
            lambda: any(
                row["state"] == "retiring" for row in client.rpc("worker.list")
            ),
            "a worker retires",
        )
        gate.open()
        assert all(t["run"] == 1 for t in client.wait(*ids))
        (left,) = daemon.wait_workers(1)
        assert left in pids
        (gone,) = set(pids) - {left}
        wait_until(lambda: not is_alive(gone), "the other one is gone")
        row = daemon.pool()
        assert (row["target"], row["alive"], row["restarts"]) == (1, 1, 0)


def test_scale_down_below_one_is_refused_or_stays_at_one(daemon):
    daemon.wait_workers(2)
    with daemon.client() as client:
        try:
            result = client.rpc("pool.scale", {"pool": "default", "by": -5})
            assert result["processes"] == 1
        except RpcError as error:
            assert error.code in (-32602, -32021)
        assert client.call("echo", 1)["result"] == 1
        assert client.rpc("pool.list")[0]["target"] == 1


def test_scaling_up_and_down_fails_no_call(daemon):
    with Load(daemon, connections=2, depth=4) as load:
        for processes in 6, 1, 4, 2, 8, 1, 3:
            daemon.rpc(
                "pool.scale", {"pool": "default", "processes": processes}
            )
            load.wait_calls(50)
        daemon.wait_workers(3)


# Restart


def serving(daemon, name=None):
    """The workers that take tasks, and not only finish theirs."""
    return {
        row["pid"]
        for row in daemon.workers()
        if name in (None, row["pool"]) and row["state"] in ("idle", "busy")
    }


def test_restart_replaces_every_worker_and_then_answers(daemons, handlers):
    config = pool(handlers) + (
        f'pool "mail" {{ processes = 4 modules = {{"{handlers}"}} '
        'queues = {"mail"} }\n'
    )
    daemon = daemons.start(config)
    old = daemon.wait_workers(6)
    mail = daemon.worker_pids("mail")
    with Load(daemon) as load:
        result = daemon.rpc("pool.restart", {"pool": "mail"})
        assert result == {"pools": ["mail"]}
        now = serving(daemon, "mail")
        assert len(now) == 4
        assert not now & set(mail)
        assert daemon.worker_pids("default") == sorted(set(old) - set(mail))
        assert set(daemon.rpc("pool.restart")["pools"]) == {"default", "mail"}
        left = serving(daemon)
        assert len(left) == 6
        assert not left & set(old) and not left & now
        load.wait_calls(10)
    assert set(daemon.wait_workers(6)) == left


def test_restart_lets_tasks_end(daemon, gate):
    old = daemon.wait_workers(2)
    with daemon.client() as client, daemon.client() as other:
        ids = [client.submit("gate", gate.args) for _ in range(4)]
        client.wait_running(*ids)
        restart = client.request("pool.restart")
        wait_until(
            lambda: len(other.rpc("worker.list")) > 2, "a successor starts"
        )
        assert all(map(is_alive, old))
        assert client.result(restart) == {"pools": ["default"]}
        assert not serving(daemon) & set(old)
        assert all(map(is_alive, old))
        gate.open()
        assert all(t["run"] == 1 for t in other.wait(*ids))
        daemon.wait_workers(2, other_than=old)


# Drained


def test_nobody_is_left_in_the_dark_while_the_workers_are_drained(daemon):
    daemon.send_signal(signal.SIGWINCH)
    wait_until(lambda: not daemon.rpc("worker.list"), "no worker is left")
    assert daemon.pool()["state"] == "drained"
    status = ganger(daemon, "status").stdout
    assert "! pool default is drained (SIGWINCH): a reload brings" in status
    assert "default is drained" in ganger(daemon, "submit", "echo").stderr
    with daemon.client() as client:
        answer = client.rpc("task.submit", {"name": "echo"})
        assert answer["warning"].startswith("pool default is drained: ")
        error = client.error("task.call", {"name": "echo", "wait_ms": 10})
        assert "pool default is drained" in error.message
        error = client.error("pool.restart")
        assert (error.code, error.data["retryable"]) == (-32021, False)
        assert "workers are drained (SIGWINCH)" in error.message
    done = ganger(daemon, "scale", "default", "3")
    assert (done.returncode, done.stdout) == (0, "default: 3 processes\n")
    assert "workers are drained (SIGWINCH)" in done.stderr
    daemon.kill_broker()
    wait_until(lambda: daemon.pool()["state"] == "drained", "it is told again")
    daemon.rpc("server.reload")
    daemon.wait_workers(3)
    assert daemon.pool()["state"] == "up"
    assert "!" not in ganger(daemon, "status").stdout
    assert "warning" not in daemon.rpc("task.submit", {"name": "echo"})


# Dump


def test_dump_names_what_each_thread_is_in(daemon, gate):
    pids = daemon.wait_workers(2)
    with daemon.client() as client:
        idents = [client.submit("deaf", gate.args) for _ in range(4)]
        client.wait_running(*idents)
        for row in client.rpc("worker.list"):
            result = client.rpc("worker.dump", {"worker": row["worker"]})
            assert set(result) == {"worker", "pid", "text"}
            assert (result["worker"], result["pid"]) == (
                row["worker"],
                row["pid"],
            )
            for ident in row["tasks"]:
                assert str(ident) in result["text"]
            assert "run_deaf" in result["text"] or "handlers" in result["text"]
        gate.open()
        assert all(t["run"] == 1 for t in client.wait(*idents))
    assert daemon.worker_pids() == pids


def test_dump_of_a_worker_that_does_not_react_tells_what_is_known(daemon):
    pid = daemon.wait_workers(2)[0]
    with daemon.client() as client:
        (name,) = [
            row["worker"]
            for row in client.rpc("worker.list")
            if row["pid"] == pid
        ]
        stop_process(pid)
        text = client.rpc("worker.dump", {"worker": name})["text"]
        assert re.search(rf"^thread {pid}: ", text, re.M), text
        os.kill(pid, signal.SIGCONT)
        text = client.rpc("worker.dump", {"worker": name})["text"]
        assert "does not show" not in text


def test_dumps_under_load_fail_no_call(daemon):
    daemon.wait_workers(2)
    with Load(daemon, connections=2, depth=4):
        for i in range(40):
            worker = f"default/{i % 2 + 1}"
            assert daemon.rpc("worker.dump", {"worker": worker})["text"]
    assert daemon.pool()["restarts"] == 0


# Reload


def ganger(daemon, *args):
    return subprocess.run(
        [GANGER, "-s", daemon.socket, *args],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT * 2,
    )


def test_reload_of_the_same_changes_nothing(daemon):
    pids = daemon.wait_workers(2)
    result = daemon.rpc("server.reload")
    assert (result["changed"], result["needs_restart"]) == ([], [])
    daemon.wait_workers(2)
    assert daemon.rpc("server.info")["pid"] == daemon.pid
    assert daemon.pool()["alive"] == 2
    assert len(pids) == 2


def test_reload_adds_resizes_and_removes_pools(daemon, handlers):
    daemon.wait_workers(2)
    daemon.configure(
        pool(handlers, "processes = 3")
        + pool(handlers, 'processes = 2 queues = {"mail"}', "mail")
    )
    with Load(daemon) as load:
        result = daemon.rpc("server.reload")
        text = "\n".join(result["changed"])
        assert "mail" in text and "default" in text
        assert result["needs_restart"] == []
        rows = {row["name"]: row for row in daemon.rpc("pool.list")}
        assert rows.keys() == {"default", "mail"}
        assert rows["default"]["processes"] == 3
        daemon.wait_workers(5)
        with daemon.client() as client:
            assert client.call("echo", 1, queue="mail")["result"] == 1
        daemon.configure(pool(handlers, "processes = 1"))
        result = daemon.rpc("server.reload")
        assert "mail" in "\n".join(result["changed"])
        load.wait_calls(10)
        daemon.wait_workers(1)
        wait_until(lambda: daemon.pool("mail") is None, "the pool is gone")
    with daemon.client() as client:
        error = client.error("task.submit", {"name": "echo", "queue": "mail"})
        assert error.code == -32017


def test_reload_tells_what_needs_a_restart(daemon, handlers):
    daemon.configure(
        pool(handlers).replace("processes = 2", "processes = 3"),
    )
    text = daemon.conf.read_text()
    daemon.conf.write_text(text.replace(f'"{daemon.socket}"', '"/tmp/else"'))
    done = ganger(daemon, "reload")
    assert done.returncode == 0, done.stderr
    assert "needs a restart of gangerd: socket" in done.stderr
    assert "default" in done.stdout
    daemon.wait_workers(3)
    assert daemon.rpc("server.ping") == "pong"


def test_reload_of_mistakes_is_refused_and_tells_them(daemon, handlers):
    pids = daemon.wait_workers(2)
    good = daemon.conf.read_text()
    daemon.conf.write_text(good + "porcesses = 3\n")
    with daemon.client() as client:
        error = client.error("server.reload")
        assert (error.code, error.data["retryable"]) == (-32021, False)
        (mistake,) = error.data["mistakes"]
        line = len(good.splitlines()) + 1
        assert mistake.startswith(f"{daemon.conf}:{line}: ")
        assert "porcesses" in mistake
    done = ganger(daemon, "reload")
    assert (done.returncode, done.stdout) == (78, "")
    assert mistake in done.stderr.splitlines()
    assert daemon.wait_workers(2) == pids
    daemon.conf.write_text(good)
    assert daemon.rpc("server.reload")["changed"] == []


def start_held_reload(daemons, folder):
    """A daemon whose reload waits for its canary; and what holds that."""
    met = folder / "met"
    held = AtStart(folder, f'{{ fclose(fopen("{met}", "w")); {STUCK}; }}')
    config = f'pool "default" {{ processes = 2 modules = {{"{held.module}"}} '
    daemon = daemons.start(config + "}\n")
    daemon.wait_workers(2)
    held.begin()
    daemon.configure(config + "threads = 3 }\n")
    client = daemon.client()
    reload = client.request("server.reload")
    daemon.wait_log("reloading the configuration")
    wait_until(met.exists, "a canary starts")
    return daemon, client, reload, held


def test_reload_that_is_asked_for_meanwhile_follows(daemons, folder):
    """And the first one is not disturbed."""
    daemon, client, first, held = start_held_reload(daemons, folder)
    with daemon.client() as other:
        text = daemon.conf.read_text()
        daemon.conf.write_text(text.replace("threads = 3", "threads = 5"))
        second = other.request("server.reload")
        third = other.request("server.reload")
        assert other.call("echo", 1)["result"] == 1
        held.end()
        assert client.result(first)["changed"]
        assert other.result(second)["changed"]
        other.result(third)
        assert other.rpc("pool.list")[0]["threads"] == 5


def test_reload_goes_on_without_the_client_that_asked(daemons, folder):
    daemon, client, _, held = start_held_reload(daemons, folder)
    client.close()
    assert daemon.rpc("server.ping") == "pong"
    held.end()
    wait_until(lambda: daemon.pool()["threads"] == 3, "it is done")
    daemon.wait_workers(2)


def test_upgrade_during_a_reload_may_be_tried_again(daemons, folder):
    daemon, client, reload, held = start_held_reload(daemons, folder)
    done = ganger(daemon, "upgrade")
    assert (done.returncode, done.stdout) == (75, "")
    held.end()
    assert client.result(reload)["changed"]


def test_stop_ends_a_reload_and_answers_it(daemons, folder):
    daemon, client, reload, _ = start_held_reload(daemons, folder)
    daemon.send_signal(signal.SIGTERM)
    with pytest.raises(RpcError) as caught:
        client.result(reload)
    assert caught.value.code in (-32015, -32021)
    assert caught.value.data["retryable"] is True
    assert daemon.wait_exit() == 0


# Upgrade


def test_upgrade_keeps_processes_workers_and_connections(daemon, gate):
    daemon.wait_workers(2)
    broker = daemon.broker_pid()
    with daemon.client() as client, daemon.client() as other:
        call = other.request("task.call", {"name": "gate", "args": gate.args})
        wait_until(lambda: client.rpc("server.stats")["running"], "it runs")
        version = client.rpc("server.info")["version"]
        upgrade = client.request("server.upgrade")
        gate.open()
        assert other.result(call)["run"] == 1
        assert client.result(upgrade) == {
            "version": version,
            "pid": daemon.pid,
        }
        info = client.rpc("server.info")
        assert (info["pid"], info["broker_pid"]) == (daemon.pid, broker)
        assert client.call("echo", 1)["result"] == 1
    with Client(daemon.socket) as client:
        assert client.rpc("server.ping") == "pong"
