# SPDX-License-Identifier: ISC
"""Soft time limits: where they come from, and what comes of them."""

import time

import pytest

from ganger import seconds, wait_until

SOFT = {"submit": 150, "queue": 250, "pool": 350}  # ms, told by the error
COMMAND = (
    'command "wait" { argv = {"sh", "-c", '
    "\"trap 'echo asked >&2; exit 3' TERM; "
    'while :; do sleep 0.01; done"} }'
)


@pytest.fixture(scope="module")
def limited(shared_daemons, handlers):
    """A pool with a limit, a queue of its with one, and one without."""
    return shared_daemons.start(
        f"""pool "default" {{
            processes = 1 threads = 4 soft_timeout = "{SOFT["pool"]}ms"
            queues = {{"default", "own"}} modules = {{"{handlers}"}}
            {COMMAND}
        }}
        pool "free" {{
            processes = 1 queues = {{"free", "bound"}}
            modules = {{"{handlers}"}}
        }}
        queue "own" {{ soft_timeout = "{SOFT["queue"]}ms" }}
        queue "bound" {{ soft_timeout = "{SOFT["queue"]}ms" }}
        """
    )


def too_late(client, name, args, limit_ms, **params):
    """Run a task over a soft limit of so many ms; returns it failed."""
    start = time.monotonic()
    (task,) = client.wait(client.submit(name, args, retries=0, **params))
    took = time.monotonic() - start
    assert task["state"] == "failed"
    assert task["error"]["code"] == -32018
    assert f"soft time limit of {limit_ms} ms" in task["error"]["message"]
    assert limit_ms / 1000 - 0.01 <= took < seconds(limit_ms / 1000 + 2)
    assert task["attempt"] == task["run"] == 1
    return task


# The nearest one counts: that of the task, of its queue, of the pool.
PLACES = [
    ({"queue": "default"}, SOFT["pool"]),
    ({"queue": "own"}, SOFT["queue"]),
    ({"queue": "bound"}, SOFT["queue"]),
    ({"queue": "default", "soft_timeout_ms": 150}, SOFT["submit"]),
    ({"queue": "own", "soft_timeout_ms": 150}, SOFT["submit"]),
    ({"queue": "own", "soft_timeout_ms": 500}, 500),
    ({"queue": "free", "soft_timeout_ms": 150}, SOFT["submit"]),
]


@pytest.mark.parametrize("params, limit_ms", PLACES)
def test_handler_is_asked_to_give_up(limited, gate, params, limit_ms):
    with limited.client() as client:
        task = too_late(client, "gate", gate.args, limit_ms, **params)
        assert task["error"]["data"]["retryable"] is True


@pytest.mark.parametrize("params, limit_ms", PLACES[:2] + PLACES[3:5])
def test_command_is_asked_to_give_up(limited, params, limit_ms):
    with limited.client() as client:
        too_late(client, "wait", None, limit_ms, **params)


def test_without_a_limit_nobody_is_asked(limited, gate):
    with limited.client() as client:
        ident = client.submit("gate", gate.args, queue="free")
        client.wait_running(ident)
        wait = {"ids": [ident], "timeout_ms": 800}
        assert client.rpc("task.wait", wait)["pending"] == [ident]
        gate.open()
        assert client.wait(ident)[0]["state"] == "succeeded"


def test_late_result_counts_and_the_worker_goes_on(limited, gate):
    """A handler that does not look is asked in vain."""
    pids = limited.worker_pids()
    with limited.client() as client:
        ident = client.submit("deaf", gate.args, queue="own")
        client.wait_running(ident)
        wait = {"ids": [ident], "timeout_ms": 600}
        assert client.rpc("task.wait", wait)["pending"] == [ident]
        gate.open()
        (task,) = client.wait(ident)
        assert (task["state"], task["run"]) == ("succeeded", 1)
    assert limited.worker_pids() == pids


def test_each_attempt_has_its_own_time(limited, gate):
    with limited.client() as client:
        start = time.monotonic()
        ident = client.submit(
            "gate", gate.args, queue="own", retries=2, backoff_ms=1
        )
        (task,) = client.wait(ident)
        assert (task["state"], task["attempt"]) == ("failed", 3)
        assert time.monotonic() - start >= 3 * SOFT["queue"] / 1000 - 0.03


def test_the_hard_limit_ends_who_does_not_listen(limited, gate):
    """Soft at 150 ms in vain, hard at 400 ms by force."""
    with limited.client() as client:
        ident = client.submit(
            "deaf",
            gate.args,
            queue="free",
            soft_timeout_ms=150,
            timeout_ms=400,
            retries=0,
        )
        (task,) = client.wait(ident)
        assert (task["state"], task["error"]["code"]) == ("failed", -32018)
        assert "soft" not in task["error"]["message"]
    limited.wait_workers(1, pool="free")


def test_siblings_of_one_over_its_hard_limit_may_end(daemons, handlers, gates):
    """Until they have its process lives on, and another one takes the work."""
    daemon = daemons.start(
        f'pool "default" {{ processes = 1 threads = 4 '
        f'modules = {{"{handlers}"}} }}\n',
        top='cancel_grace = "1h"\n',
    )
    pids = daemon.worker_pids()
    gate = gates()
    with daemon.client() as client:
        sibling = client.submit("gate", gate.args, retries=0)
        client.wait_running(sibling)
        never = {"path": gate.args["path"] + "-never"}
        late = client.submit("deaf", never, timeout_ms=200, retries=0)
        daemon.wait_log(f"task {late} .* is over its time limit")
        assert client.call("whoami")["result"]["pid"] not in pids
        assert client.task(late)["state"] == "running"
        gate.open()
        (task,) = client.wait(sibling)
        assert (task["state"], task["run"]) == ("succeeded", 1)
        assert task["result"]["pid"] in pids
        (task,) = client.wait(late)
        assert (task["state"], task["error"]["code"]) == ("failed", -32018)
        assert client.call("whoami")["result"]["pid"] not in pids


def test_new_limits_hold_after_a_reload(daemons, handlers, gate):
    def pool(soft):
        return (
            'pool "default" { processes = 1 '
            f'{soft} modules = {{"{handlers}"}} }}\n'
        )

    daemon = daemons.start(pool(""))
    with daemon.client() as client:
        first = client.submit("gate", gate.args)
        client.wait_running(first)
        for more, limit_ms in (
            (pool('soft_timeout = "150ms"'), 150),
            (pool("") + 'queue "default" { soft_timeout = "200ms" }', 200),
        ):
            daemon.configure(more)
            client.rpc("server.reload")
            too_late(client, "gate", gate.args, limit_ms)
        daemon.configure(pool(""))
        client.rpc("server.reload")
        second = client.submit("gate", gate.args)
        client.wait_running(second)
        wait = {"ids": [second], "timeout_ms": 400}
        assert client.rpc("task.wait", wait)["pending"] == [second]
        gate.open()
        for task in client.wait(first, second):
            assert (task["state"], task["run"]) == ("succeeded", 1)
        wait_until(lambda: len(daemon.pids()) == 3, "the old ones are gone")
