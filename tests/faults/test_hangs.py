# SPDX-License-Identifier: ISC
"""Workers that hang, or will not end in time: 8 and 9; and who pays for it."""

import os
import pathlib
import re
import signal
import time

import pytest

from ganger import (
    SANITIZED,
    build_module,
    is_alive,
    let_pass,
    seconds,
    stop_process,
    wait_until,
)

# The main thread of a worker parses what comes on its channel with jansson:
# once this is armed, that never returns.
SOURCE = """#include <ganger/handler.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_t main_thread;
static atomic_bool armed;

static void *
allocate_for_ever(size_t size)
{
	if (atomic_load(&armed) && pthread_equal(pthread_self(), main_thread))
		for (;;)
			pause();
	return malloc(size);
}

static int
init(void)
{
	main_thread = pthread_self();
	json_set_alloc_funcs(allocate_for_ever, free);
	return 0;
}

/* IGNORE: hang with the next order that comes, and be deaf to SIGABRT. */
static json_t *
run_hang(struct ganger_task *task, json_t *args)
{
	(void)task;
	if (json_is_true(args))
		signal(SIGABRT, SIG_IGN);
	atomic_store(&armed, true);
	return json_true();
}

/* PATH: wait for it, with all signals blocked, deaf to being cancelled. */
static json_t *
run_blind(struct ganger_task *task, json_t *args)
{
	sigset_t all;

	(void)task;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	while (access(json_string_value(args), F_OK) < 0)
		usleep(2000);
	return json_true();
}

static const struct ganger_handler handlers[] = {
    {"hang", run_hang}, {"blind", run_blind}, {NULL, NULL}};
const struct ganger_module ganger_module = {.abi = GANGER_MODULE_ABI,
    .name = "hanging", .handlers = handlers, .init = init};
"""


@pytest.fixture
def hanging(folder):
    return build_module(folder, "hanging", SOURCE)


def pool(*modules, more="processes = 1 threads = 3"):
    names = ", ".join(f'"{module}"' for module in modules)
    return f'pool "default" {{ {more} modules = {{{names}}} }}\n'


def waits_in(pid):
    """The number of the system call that the main thread is in, or None."""
    word = pathlib.Path(f"/proc/{pid}/syscall").read_text().split()[0]
    return None if word in ("running", "-1") else word


def stacks_of(log, pid):
    """The lines that a worker wrote at its end, without their heads."""
    return re.findall(rf"\[{pid}\]: (.*)$", log, re.M)


def assert_threads_told(log, pid, count, *functions):
    """A stack for each of its threads, and in them those functions."""
    if SANITIZED:  # which has an ABRT of its own
        return
    lines = stacks_of(log, pid)
    threads = [line for line in lines if re.match(r"thread \d+", line)]
    assert len(threads) >= count, "\n".join(lines)
    for name in functions:
        assert any(name in line for line in lines), (name, "\n".join(lines))


# In the middle of a turn


@pytest.mark.parametrize("ignores", [False, True])
def test_worker_whose_main_loop_hangs_is_replaced_and_its_tasks_run_again(
    daemons, handlers, hanging, gate, ignores
):
    more = 'processes = 1 threads = 3 heartbeat_timeout = "1s"'
    daemon = daemons.start(pool(handlers, hanging, more=more))
    (old,) = daemon.wait_workers(1)
    with daemon.client() as client:
        running = client.submit("gate", gate.args, retries=0)
        client.wait_running(running)
        assert client.call("hang", ignores)["result"] is True
        start = time.monotonic()
        unread = client.submit("gate", gate.args, retries=0)
        daemon.wait_log("is aborted: its main loop hangs")
        assert time.monotonic() - start >= 0.9
        daemon.wait_workers(1, other_than=[old])
        assert time.monotonic() - start < seconds(5)
        assert not is_alive(old)
        client.wait_running(running, unread)  # no suspects, one by one
        gate.open()
        for task in client.wait(running, unread):
            # Cut, and not charged: it had no attempt to lose.
            assert (task["state"], task["run"]) == ("succeeded", 2)
            assert task["attempt"] == 1
            assert task["result"]["pid"] != old
        stats = client.rpc("server.stats")
        assert (stats["requeued"], stats["quarantined"]) == (2, 0)
    log = daemon.log()
    if ignores:
        assert f"worker default/1, pid {old}, is killed" in log
    else:
        assert_threads_told(log, old, 3, "allocate_for_ever", "run_gate")
    assert daemon.pool()["state"] == "up"
    assert daemon.worker_pids() != [old]


def test_long_turns_within_the_limit_are_no_hang(daemons, handlers, gate):
    """Tasks take as long as they like, and so do many together."""
    more = 'processes = 1 threads = 2 heartbeat_timeout = "300ms"'
    daemon = daemons.start(pool(handlers, more=more))
    old = daemon.wait_workers(1)
    with daemon.client() as client:
        ids = [client.submit("spin", gate.args) for _ in range(2)]
        client.wait_running(*ids)
        wait = client.rpc("task.wait", {"ids": ids, "timeout_ms": 1000})
        assert wait["pending"] == ids
        gate.open()
        assert all(task["run"] == 1 for task in client.wait(*ids))
    assert daemon.worker_pids() == old


def test_hang_of_a_worker_that_a_reload_retires_is_found_too(
    daemons, handlers, hanging, gate
):
    more = 'processes = 1 threads = 3 heartbeat_timeout = "1s"'
    daemon = daemons.start(pool(handlers, hanging, more=more))
    (old,) = daemon.wait_workers(1)
    with daemon.client() as client:
        running = client.submit("gate", gate.args)
        client.wait_running(running)
        client.call("hang", False)
        daemon.send_signal(signal.SIGHUP)  # the pill is what it can't read
        daemon.wait_log("all its workers are replaced")
        gate.open()
        (task,) = client.wait(running)
        assert task["state"] == "succeeded"
        wait_until(lambda: not is_alive(old), "it is ended")
    daemon.stop(limit=seconds(5))


# Past the grace


@pytest.mark.parametrize("name", ["deaf", "stubborn", "blind"])
def test_stop_aborts_stragglers_with_the_stack_of_every_thread(
    daemons, handlers, hanging, gate, name
):
    daemon = daemons.start(
        pool(handlers, hanging),
        top='graceful_timeout = "500ms" log_level = "warn"',
    )
    (worker,) = daemon.wait_workers(1)
    with daemon.client() as client:
        args = gate.args["path"] if name == "blind" else gate.args
        ident = client.submit(name, args)
        client.wait_running(ident)
    start = time.monotonic()
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    took = time.monotonic() - start
    assert 0.45 <= took < seconds(5)
    assert not is_alive(worker)
    log = daemon.log()
    assert "over graceful_timeout: 1 worker is aborted" in log
    if name == "deaf":
        assert_threads_told(log, worker, 2, "run_deaf", f"task {ident}")
    elif name == "blind":  # it is named, though it does not answer
        assert_threads_told(log, worker, 2, f"task {ident}")
    else:
        assert "1 worker is killed" in log
        assert not stacks_of(log, worker)


@pytest.mark.parametrize("name", ["deaf", "stubborn"])
def test_reload_aborts_stragglers_with_the_stack_of_every_thread(
    daemons, handlers, gate, name
):
    daemon = daemons.start(pool(handlers), top='reload_timeout = "300ms"')
    (old,) = daemon.wait_workers(1)
    with daemon.client() as client:
        ident = client.submit(name, gate.args, retries=0)
        client.wait_running(ident)
        start = time.monotonic()
        daemon.send_signal(signal.SIGHUP)
        daemon.wait_log("have not ended within reload_timeout")
        wait_until(lambda: not is_alive(old), "the straggler is gone")
        assert time.monotonic() - start < seconds(6)
        gate.open()
        (task,) = client.wait(ident)
        assert (task["state"], task["run"]) == ("succeeded", 2)
        assert task["attempt"] == 1
    log = daemon.log()
    if name == "deaf":
        assert_threads_told(log, old, 2, "run_deaf", f"task {ident}")
    else:
        assert f"worker default/1, pid {old}, is killed" in log


# Stopped from outside


@pytest.mark.parametrize("busy", [False, True])
def test_stop_ends_in_time_though_a_worker_is_stopped(
    daemons, handlers, gate, busy
):
    """Fault 9: SIGSTOP, then a graceful stop, and nobody sends SIGCONT."""
    daemon = daemons.start(
        pool(handlers, more="processes = 2 threads = 1"),
        top='graceful_timeout = "500ms"',
    )
    daemon.wait_workers(2)
    with daemon.client() as client:
        if busy:
            client.wait_running(client.submit("gate", gate.args))
            (row,) = [r for r in client.rpc("worker.list") if r["tasks"]]
        else:
            row = client.rpc("worker.list")[0]
    stop_process(row["pid"])
    start = time.monotonic()
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    # The grace, then a second for SIGABRT, and 1.2 s for SIGTERM.
    assert time.monotonic() - start < seconds(4.5)
    assert not is_alive(row["pid"])
    # It is continued, so that it can tell where it was.
    assert_threads_told(daemon.log(), row["pid"], 1)


@pytest.mark.parametrize("busy", [False, True])
def test_worker_that_is_stopped_while_it_waits_is_replaced(
    daemons, handlers, gate, busy
):
    more = 'processes = 1 threads = 2 heartbeat_timeout = "1s"'
    daemon = daemons.start(pool(handlers, more=more))
    (old,) = daemon.wait_workers(1)
    with daemon.client() as client:
        ids = [client.submit("gate", gate.args, retries=0)] if busy else []
        client.wait_running(*ids)
        start = time.monotonic()
        stop_process(old)
        ids.append(client.submit("gate", gate.args, retries=0))
        daemon.wait_log(f"{old}, is aborted: it has been stopped for \\d+ s")
        assert time.monotonic() - start >= 0.9
        daemon.wait_workers(1, other_than=[old])
        assert time.monotonic() - start < seconds(5)
        gate.open()
        for task in client.wait(*ids):
            assert (task["state"], task["attempt"]) == ("succeeded", 1)
            assert task["result"]["pid"] != old
        assert client.rpc("server.stats")["quarantined"] == 0
    assert not is_alive(old)
    # It was let go on for its last words.
    assert_threads_told(daemon.log(), old, 2)


def test_worker_that_is_stopped_is_replaced_by_a_restart(daemons, handlers):
    more = 'processes = 1 heartbeat_timeout = "1s"'
    daemon = daemons.start(pool(handlers, more=more))
    (old,) = daemon.wait_workers(1)
    stop_process(old)
    daemon.rpc("pool.restart")
    wait_until(lambda: not is_alive(old), "the one that was stopped is gone")
    assert daemon.wait_workers(1, other_than=[old])


def test_stopped_worker_of_a_pool_that_is_removed_is_ended(daemons, handlers):
    first = pool(handlers, more="processes = 1")
    daemon = daemons.start(
        first + 'pool "b" { processes = 1 heartbeat_timeout = "1s" }\n'
    )
    daemon.wait_workers(2)
    (old,) = daemon.worker_pids("b")
    stop_process(old)
    daemon.configure(first)
    daemon.send_signal(signal.SIGHUP)
    daemon.wait_log('pool "b" is gone')
    assert not is_alive(old)
    daemon.wait_log(f"{old}, is aborted: it has been stopped")


def test_stopped_worker_is_ended_after_an_upgrade_too(daemons, handlers):
    more = 'processes = 1 heartbeat_timeout = "3s"'
    daemon = daemons.start(pool(handlers, more=more))
    (old,) = daemon.wait_workers(1)
    start = time.monotonic()
    stop_process(old)
    daemon.rpc("server.upgrade")
    wait_until(lambda: not is_alive(old), "the one that was stopped is gone")
    assert time.monotonic() - start >= 2.9
    daemon.wait_log(f"{old}, is aborted: it has been stopped for \\d+ s")


def test_worker_that_is_continued_in_time_is_kept(daemons, handlers):
    more = 'processes = 1 heartbeat_timeout = "1s"'
    other = 'pool "never" { processes = 1 heartbeat_timeout = 0 }\n'
    daemon = daemons.start(pool(handlers, more=more) + other)
    daemon.wait_workers(2)
    (short,) = daemon.worker_pids("default")
    (never,) = daemon.worker_pids("never")
    stop_process(never)
    stop_process(short)
    os.kill(short, signal.SIGCONT)
    let_pass(2)
    os.kill(never, signal.SIGCONT)
    assert daemon.worker_pids() == sorted([short, never])
    assert daemon.rpc("task.call", {"name": "echo"})["run"] == 1
    assert "is aborted" not in daemon.log()


@pytest.mark.parametrize("before", [True, False])
def test_workers_stopped_together_with_the_master_are_kept(
    daemons, handlers, before
):
    """As by a shell's ^Z, or a suspended container."""
    more = 'processes = 2 heartbeat_timeout = "2s"'
    daemon = daemons.start(pool(handlers, more=more))
    pids = daemon.wait_workers(2)
    order = [*pids, daemon.pid] if before else [daemon.pid, *pids]
    for pid in order:
        stop_process(pid)
    let_pass(3.2)
    for pid in reversed(order):
        os.kill(pid, signal.SIGCONT)
    let_pass(1.2)
    assert daemon.worker_pids() == pids
    assert "is aborted" not in daemon.log()


def test_worker_that_is_stopped_in_its_turn_is_replaced(
    daemons, handlers, hanging, gate
):
    """SIGKILL ends one that hung before."""
    more = 'processes = 1 threads = 2 heartbeat_timeout = "400ms"'
    daemon = daemons.start(pool(handlers, hanging, more=more))
    (old,) = daemon.wait_workers(1)
    with daemon.client() as client:
        client.call("hang", False)
        idle = wait_until(lambda: waits_in(old), "its main thread waits")
        ident = client.submit("echo", 1)
        wait_until(
            lambda: waits_in(old) not in (None, idle), "its main thread hangs"
        )
        stop_process(old)
        (task,) = client.wait(ident)
        assert (task["run"], task["attempt"]) == (2, 1)
    assert daemon.worker_pids() != [old]
