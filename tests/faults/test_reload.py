# SPDX-License-Identifier: ISC
"""Reloads: under load, of bad files, of bad workers, and cut by a stop."""

import os
import signal

import pytest

from ganger import (
    SANITIZED,
    Client,
    Gate,
    fd_count,
    is_alive,
    rss_bytes,
    scaled,
    wait_until,
    zombies,
)
from load import Load
from modules import AtStart

RELOADED = r"reload: the new configuration is in use"
REFUSED = r"reload: .*; the old configuration stays"


def pool(processes=2, threads=2, name="default", more=""):
    return (
        f'pool "{name}" {{ processes = {processes} threads = {threads} '
        f"{more} }}\n"
    )


def hup(daemon, outcome=RELOADED):
    """Reload and wait for how it ends; everything that was logged for it."""
    since = daemon.log_end()
    daemon.send_signal(signal.SIGHUP)
    daemon.wait_log(outcome, since=since)
    return daemon.log()[since:]


def test_no_call_fails_and_nothing_grows_over_many_reloads(daemons):
    daemon = daemons.start(pool())
    with Load(daemon, connections=2, depth=4) as load:
        for _ in range(3):
            hup(daemon)
        wait_until(lambda: not zombies(daemon.pid), "nothing is unreaped")
        broker = daemon.broker_pid()
        before = {p: (fd_count(p), rss_bytes(p)) for p in (daemon.pid, broker)}
        for i in range(scaled(20, 5)):
            daemon.configure(pool(processes=2 + i % 2, threads=2 + i % 3))
            hup(daemon)
            load.wait_calls(20)
        daemon.configure(pool())
        hup(daemon)
        daemon.wait_log('pool "default": all its workers are replaced', 4)
        assert daemon.broker_pid() == broker
        wait_until(
            lambda: fd_count(daemon.pid) <= before[daemon.pid][0],
            "the master's descriptors are as few as before",
        )
        wait_until(
            lambda: fd_count(broker) <= before[broker][0],
            "the broker's descriptors are as few as before",
        )
        if not SANITIZED:
            for pid, (_, rss) in before.items():
                assert rss_bytes(pid) < rss + 2 * 1024 * 1024
    wait_until(lambda: not zombies(daemon.pid), "nothing is unreaped")


def test_every_worker_is_new_after_a_reload(daemons):
    daemon = daemons.start(pool(processes=5))
    old = daemon.worker_pids()
    hup(daemon)
    daemon.wait_workers(5, other_than=old)
    wait_until(
        lambda: not any(is_alive(pid) for pid in old), "the old ones end"
    )


def test_a_pool_never_has_less_than_its_workers_during_a_roll(daemons):
    daemon = daemons.start(pool(processes=4))
    since = daemon.log_end()
    hup(daemon)
    daemon.wait_log("all its workers are replaced", since=since)
    alive = 4
    for line in daemon.log()[since:].splitlines():
        alive += "is up" in line
        alive -= "has ended" in line
        assert alive >= 4, daemon.log()[since:]


def test_a_bad_file_changes_nothing_and_a_good_one_then_does(daemons):
    daemon = daemons.start(pool())
    old = daemon.worker_pids()
    daemon.configure(pool(more="thraeds = 3"))
    log = hup(daemon, REFUSED)
    assert f'{daemon.conf}:5: unknown key "thraeds"' in log
    assert daemon.worker_pids() == old
    assert daemon.rpc("task.call", {"name": "echo", "args": 1})["result"] == 1
    daemon.configure(pool(threads=3))
    hup(daemon)
    daemon.wait_workers(2, other_than=old)
    assert daemon.pool()["threads"] == 3


def test_a_file_that_is_gone_changes_nothing(daemons):
    daemon = daemons.start(pool())
    old = daemon.worker_pids()
    daemon.conf.unlink()
    assert str(daemon.conf) in hup(daemon, REFUSED)
    assert daemon.worker_pids() == old


def test_workers_that_crash_are_rolled_back(daemons):
    daemon = daemons.make(pool())
    at_start = AtStart(daemon.dir, "abort()")
    daemon.start()
    old = daemon.worker_pids()
    at_start.begin()
    daemon.configure(pool(threads=3, more=f'modules = {{"{at_start.module}"}}'))
    with Load(daemon):
        log = hup(daemon, REFUSED)
    assert 'a worker of pool "default" with the new configuration' in log
    assert daemon.worker_pids() == old
    assert daemon.pool()["threads"] == 2
    at_start.end()
    hup(daemon)
    daemon.wait_workers(2, other_than=old)
    assert daemon.pool()["threads"] == 3


def test_a_new_pool_that_crashes_takes_nothing_along(daemons):
    daemon = daemons.make(pool())
    at_start = AtStart(daemon.dir, "_exit(3)")
    at_start.begin()
    daemon.start()
    old = daemon.worker_pids()
    bad = pool(name="bad", more=f'modules = {{"{at_start.module}"}}')
    daemon.configure(pool() + bad)
    hup(daemon, REFUSED)
    assert daemon.worker_pids() == old
    assert daemon.pool("bad") is None
    at_start.end()
    hup(daemon)
    daemon.wait_workers(2, pool="bad")


def test_pools_and_queues_come_and_go(daemons):
    daemon = daemons.start(pool())
    mail = pool(name="mail", more='queues = {"mail"}')
    daemon.configure(pool() + mail)
    hup(daemon)
    done = daemon.rpc("task.call", {"name": "echo", "queue": "mail"})
    assert done["pool"] == "mail"
    daemon.configure(pool(processes=3))
    since = daemon.log_end()
    hup(daemon)
    daemon.wait_log('pool "mail" is gone', since=since)
    daemon.wait_workers(3)
    with Client(daemon.socket) as client:
        error = client.error("task.submit", {"name": "echo", "queue": "mail"})
        assert error.code == -32017


def test_a_removed_pool_finishes_what_it_has(daemons, handlers):
    modules = f'modules = {{"{handlers}"}}'
    both = pool() + pool(1, 1, "slow", f'queues = {{"slow"}} {modules}')
    daemon = daemons.start(both)
    gate = Gate(daemon.dir)
    with Client(daemon.socket) as client:
        running, waiting = (
            client.request(
                "task.call",
                {"name": "gate", "queue": "slow", "args": gate.args},
            )
            for _ in range(2)
        )
        wait_until(
            lambda: daemon.rpc("server.stats")["running"] == 1,
            "the first one runs",
        )
        daemon.configure(pool())
        hup(daemon)
        wait_until(
            lambda: daemon.pool("slow")["state"] == "leaving",
            "the pool is leaving",
        )
        gate.open()
        for ident in running, waiting:
            assert client.result(ident)["state"] == "succeeded"
    daemon.wait_log('pool "slow" is gone')


def test_running_tasks_end_in_the_workers_that_have_them(daemons, handlers):
    daemon = daemons.start(pool(more=f'modules = {{"{handlers}"}}'))
    gate = Gate(daemon.dir)
    with Client(daemon.socket) as client:
        ident = client.request(
            "task.call", {"name": "gate", "args": gate.args}
        )
        [row] = wait_until(
            lambda: [r for r in daemon.workers() if r["running"]], "it runs"
        )
        since = daemon.log_end()
        hup(daemon)
        daemon.wait_log("all its workers are replaced", since=since)
        assert is_alive(row["pid"])
        gate.open()
        task = client.result(ident)
        assert task["run"] == 1
    wait_until(lambda: not is_alive(row["pid"]), "the old worker ends")


def test_reload_timeout_cuts_the_tasks_of_old_workers_free(daemons, handlers):
    daemon = daemons.start(
        pool(more=f'modules = {{"{handlers}"}}'),
        top='reload_timeout = "200ms"',
    )
    gate = Gate(daemon.dir)
    with Client(daemon.socket) as client:
        ident = client.request(
            "task.call",
            {"name": "gate", "args": gate.args, "retries": 0},
        )
        wait_until(
            lambda: [r for r in daemon.workers() if r["running"]], "it runs"
        )
        hup(daemon)
        daemon.wait_log("have not ended within reload_timeout")
        gate.open()
        task = client.result(ident)
        assert (task["state"], task["run"]) == ("succeeded", 2)
        assert task["attempt"] == 1  # the cut was not charged


def test_modules_are_loaded_anew(daemons, tmp_path):
    from ganger import build_module

    source = """#include <ganger/handler.h>
static json_t *run(struct ganger_task *t, json_t *args)
{ (void)t; (void)args; return json_integer(%d); }
static const struct ganger_handler handlers[] = {{"answer", run}, {0}};
const struct ganger_module ganger_module = {.abi = GANGER_MODULE_ABI,
    .name = "m", .handlers = handlers};
"""
    module = build_module(tmp_path, "m", source % 1)
    daemon = daemons.start(pool(more=f'modules = {{"{module}"}}'))
    assert daemon.rpc("task.call", {"name": "answer"})["result"] == 1
    new = build_module(tmp_path, "n", source % 2)
    os.rename(new, module)
    since = daemon.log_end()
    hup(daemon)
    daemon.wait_log("all its workers are replaced", since=since)
    assert daemon.rpc("task.call", {"name": "answer"})["result"] == 2


def test_a_name_that_is_new_runs_at_once_after_the_reload(daemons):
    daemon = daemons.start(pool(processes=8))
    cat = 'command "cat" { argv = {"cat"} }'
    with Load(daemon):
        daemon.configure(pool(processes=8, more=cat))
        hup(daemon)
        for i in range(20):
            task = daemon.rpc("task.call", {"name": "cat", "args": i})
            assert task["result"] == i


def test_keys_that_need_a_restart_are_told_and_kept(daemons):
    daemon = daemons.start(pool())
    daemon.configure(pool(), top='max_message = "2M"')
    log = hup(daemon)
    assert "takes effect at a restart of gangerd: max_message" in log
    info = daemon.rpc("server.info")
    assert info["limits"]["max_message"] == 1024 * 1024


@pytest.mark.parametrize("after", [0, 0.1, 0.3, 0.5, 0.6])
def test_a_stop_overrides_a_reload(daemons, after):
    daemon = daemons.start(pool())
    with Client(daemon.socket) as client:
        ident = client.request(
            "task.call", {"name": "sleep", "args": {"ms": 300 + after * 1000}}
        )
        wait_until(
            lambda: daemon.rpc("server.stats")["running"] == 1, "it runs"
        )
        daemon.send_signal(signal.SIGHUP)
        client.call("sleep", {"ms": int(after * 1000)})
        daemon.send_signal(signal.SIGTERM)
        assert client.result(ident)["state"] == "succeeded"
    assert daemon.wait_exit() == 0


def test_a_second_reload_follows_the_first(daemons):
    daemon = daemons.start(pool())
    since = daemon.log_end()
    daemon.send_signal(signal.SIGHUP)
    daemon.wait_log("reloading the configuration", since=since)
    daemon.configure(pool(processes=3))
    daemon.send_signal(signal.SIGHUP)
    daemon.wait_log("another reload will follow", since=since)
    daemon.wait_log(RELOADED, 2, since=since)
    daemon.wait_workers(3)


def test_a_broker_that_dies_during_a_reload_does_not_break_it(daemons):
    daemon = daemons.start(pool())
    daemon.configure(pool(processes=3))
    broker = daemon.broker_pid()
    since = daemon.log_end()
    daemon.send_signal(signal.SIGHUP)
    daemon.wait_log("reloading", since=since)
    os.kill(broker, signal.SIGKILL)
    daemon.wait_log(RELOADED, since=since)
    daemon.wait_workers(3)


@pytest.mark.parametrize("by", ["a signal", "a client"])
def test_a_reload_keeps_a_size_that_the_file_does_not_change(daemons, by):
    daemon = daemons.start(pool())
    old = daemon.wait_workers(2)
    if by == "a signal":
        daemon.send_signal(signal.SIGTTIN)
    else:
        daemon.rpc("pool.scale", {"pool": "default", "processes": 3})
    daemon.wait_workers(3)
    assert daemon.rpc("server.reload")["changed"] == []
    daemon.wait_workers(3, other_than=old)
    assert daemon.pool()["target"] == 3
    daemon.configure(pool(threads=3))  # something else of the pool
    assert "threads" in daemon.rpc("server.reload")["changed"][0]
    daemon.wait_workers(3)


def test_a_reload_that_changes_the_size_overrides_what_was_scaled(daemons):
    daemon = daemons.start(pool())
    daemon.rpc("pool.scale", {"pool": "default", "processes": 5})
    daemon.wait_workers(5)
    daemon.configure(pool(processes=3))
    (change,) = daemon.rpc("server.reload")["changed"]
    assert "processes 2 → 3" in change
    daemon.wait_workers(3)
    daemon.wait_log('pool "default": processes 5 -> 3: the configuration')


def test_drained_workers_come_back_with_a_reload(daemons):
    daemon = daemons.start(pool())
    daemon.send_signal(signal.SIGWINCH)
    wait_until(lambda: not daemon.rpc("worker.list"), "no worker is left")
    with Client(daemon.socket) as client:
        ident = client.request("task.call", {"name": "echo", "args": 5})
        wait_until(
            lambda: daemon.rpc("server.stats")["ready"] == 1, "it is queued"
        )
        hup(daemon)
        assert client.result(ident)["result"] == 5
    daemon.wait_workers(2)


def test_a_reload_mends_a_pool_that_flaps(daemons):
    daemon = daemons.make()
    at_start = AtStart(daemon.dir, "_exit(1)")
    more = f'modules = {{"{at_start.module}"}}'
    daemon.configure(pool(processes=1, more=more))
    at_start.begin()
    daemon.start()
    daemon.wait_log("is flapping")
    at_start.end()
    hup(daemon)
    daemon.wait_workers(1)
    wait_until(lambda: daemon.pool()["state"] == "up", "it no longer flaps")
