# SPDX-License-Identifier: ISC
"""What the daemon is for: every task is answered, and answered once."""

import json
import os
import signal

from ganger import POOL, Growth, scaled

TASKS = 100_000
IN_FLIGHT = 64


def run_echoes(client, count, at_half=lambda: None):
    """Call echo count times, 64 at a time; what was answered, by id."""
    answers = {}
    lines = (
        b'{"jsonrpc":"2.0","id":%d,"method":"task.call",'
        b'"params":{"name":"echo","args":[%d,"x"]}}\n' % (i, i)
        for i in range(count)
    )
    for _, line in zip(range(IN_FLIGHT), lines):
        client.send_raw(line)
    while len(answers) < count:
        batch = [client.recv_line()]
        while b"\n" in client.buffer:
            batch.append(client.recv_line())
        for text in batch:
            message = json.loads(text)
            assert message["id"] not in answers, "answered twice"
            answers[message["id"]] = message
            if len(answers) == count // 2:
                at_half()
        client.send_raw(b"".join(line for _, line in zip(batch, lines)))
    return answers


def assert_all_echoed(answers, count):
    assert set(answers) == set(range(count))
    for i, message in answers.items():
        assert message["result"]["result"] == [i, "x"], message


def test_none_of_100000_tasks_is_lost_or_answered_twice(daemons):
    count = scaled(TASKS)
    daemon = daemons.start()
    with daemon.client() as client:
        answers = run_echoes(client, count)
        assert_all_echoed(answers, count)
        stats = client.rpc("server.stats")
        assert stats["submitted"] == stats["succeeded"] == count
        assert (stats["failed"], stats["requeued"]) == (0, 0)
        assert (stats["ready"], stats["running"]) == (0, 0)


def test_nor_when_every_worker_is_killed_meanwhile(daemons):
    count = scaled(TASKS)
    daemon = daemons.start()
    killed = daemon.wait_workers(2)

    def kill_all():
        for pid in killed:
            os.kill(pid, signal.SIGKILL)

    with daemon.client() as client:
        answers = run_echoes(client, count, kill_all)
        assert_all_echoed(answers, count)
        stats = client.rpc("server.stats")
        assert stats["submitted"] == stats["succeeded"] == count
        assert stats["failed"] == 0
        assert not set(daemon.wait_workers(2)) & set(killed)
        (row,) = client.rpc("pool.list")
        assert row["restarts"] == 2


def test_finished_tasks_do_not_pile_up(daemons):
    """What is kept of them is bounded, by max_finished and their time."""
    count = scaled(20_000, 2_000)
    daemon = daemons.start(POOL, top='max_finished = "2M"')
    broker = daemon.broker_pid()
    with daemon.client() as client:
        run_echoes(client, count)
        grown = Growth(broker), Growth(daemon.pid)
        run_echoes(client, 2 * count)
        grown[0].assert_below(4 << 20)
        grown[1].assert_below(1 << 20)
