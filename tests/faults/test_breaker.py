# SPDX-License-Identifier: ISC
"""A name whose tasks kill one worker after the other is held back."""

import pytest

from ganger import wait_until

STRIKES = 5
OPENS = "tasks named shaky have killed 5 workers"


def config(handlers, more=""):
    """Some processes, so that none of them dies so often that it flaps."""
    return (
        f'pool "default" {{ processes = 4 threads = 1 '
        f'modules = {{"{handlers}"}} }}\n'
        f'queue "default" {{ max_running = 1 }}\n{more}'
    )


class Shaky:
    """Tasks that abort as long as there is a cause."""

    def __init__(self, client, folder):
        self.client = client
        self.cause = folder / "cause"
        self.notes = folder / "notes"
        self.cause.touch()

    def params(self, text, **more):
        args = {"cause": str(self.cause), "path": str(self.notes)}
        return {
            "name": "shaky",
            "args": {**args, "text": text},
            "durable": False,
            "retries": 0,
            **more,
        }

    def submit(self, text, **more):
        return self.client.rpc("task.submit", self.params(text, **more))

    def crash(self, times):
        """One after the other, each by a task of its own."""
        for _ in range(times):
            (task,) = self.client.wait(self.submit("crash")["id"])
            assert task["state"] == "failed"
            assert task["crashes"] == 1

    def wait_held(self, *ids):
        for ident in ids:
            wait_until(
                lambda: self.client.task(ident).get("waiting_for")
                == "breaker",
                f"task {ident} is held back",
            )


@pytest.fixture
def daemon(daemons, handlers):
    return daemons.start(config(handlers))


@pytest.fixture
def shaky(daemon, tmp_path):
    with daemon.client() as client:
        yield Shaky(client, tmp_path)


def test_name_is_held_back_and_comes_back_in_its_order(
    daemon, handlers, shaky
):
    """Over an upgrade and a reload; others in its queue do not mind."""
    client = shaky.client
    shaky.crash(STRIKES)
    daemon.wait_log(OPENS)
    low = shaky.submit("low", priority=1)
    ids = [shaky.submit(str(i))["id"] for i in range(3)]
    high = shaky.submit("high", priority=9)["id"]
    assert "held back" in low["warning"]
    ids += [low["id"], high]
    shaky.wait_held(*ids)
    assert client.call("echo", 1)["result"] == 1
    assert client.rpc("server.stats")["held"] == 5
    assert daemon.pool()["held_names"] == ["shaky"]
    client.rpc("server.upgrade")
    shaky.wait_held(*ids)
    daemon.configure(config(handlers, 'pool "more" { processes = 1 }\n'))
    client.rpc("server.reload")
    shaky.wait_held(*ids)
    assert client.call("echo", 2)["result"] == 2
    assert all(client.task(ident)["run"] == 0 for ident in ids)
    shaky.cause.unlink()
    for task in client.wait(*ids):
        assert (task["state"], task["attempt"]) == ("succeeded", 1)
    # Whichever was tried first, the others keep their order.
    tried, *others = shaky.notes.read_text().split()
    order = ["high", "0", "1", "2", "low"]
    order.remove(tried)
    assert others == order
    assert "held_names" not in daemon.pool()
    assert client.rpc("server.stats")["held"] == 0
    assert "warning" not in shaky.submit("after")


def test_one_that_is_tried_and_crashes_doubles_the_wait(daemon, shaky):
    client = shaky.client
    shaky.crash(STRIKES)
    ids = [shaky.submit(str(i))["id"] for i in range(2)]
    shaky.wait_held(*ids)
    (task,) = client.rpc("task.wait", {"ids": ids, "mode": "any"})["done"]
    assert (task["state"], task["crashes"]) == ("failed", 1)
    ids.remove(task["id"])
    daemon.wait_log("killed 6 workers.* held back for 20 s")
    shaky.wait_held(*ids)
    assert client.task(ids[0])["run"] == 0
    client.rpc("task.cancel", {"ids": ids})
    assert client.rpc("server.stats")["held"] == 0


def test_success_in_between_keeps_it_from_being_held_back(daemon, shaky):
    shaky.crash(STRIKES - 1)
    shaky.cause.unlink()
    (task,) = shaky.client.wait(shaky.submit("fine")["id"])
    assert task["state"] == "succeeded"
    shaky.cause.touch()
    shaky.crash(STRIKES - 1)
    assert OPENS not in daemon.log()


def test_what_is_held_back_can_be_cancelled_and_expires(daemon, shaky):
    client = shaky.client
    shaky.crash(STRIKES)
    cancelled = shaky.submit("a")["id"]
    expires = shaky.submit("b", expires_ms=1000)["id"]
    shaky.wait_held(cancelled)
    client.rpc("task.cancel", {"id": cancelled})
    assert daemon.pool()["held_names"] == ["shaky"]
    first, second = client.wait(cancelled, expires)
    assert (first["state"], second["state"]) == ("cancelled", "expired")
    assert client.rpc("server.stats")["held"] == 0
    # Nothing is held back, though the next one would be.
    assert "held_names" not in daemon.pool()
    assert "held back" in shaky.submit("c")["warning"]


def test_stop_is_not_held_up(daemon, shaky):
    shaky.crash(STRIKES)
    shaky.wait_held(shaky.submit("a")["id"])
    daemon.stop()


def test_paused_queue_keeps_no_other_one_waiting(daemons, handlers, tmp_path):
    """Neither before one of its tasks would be tried, nor after."""
    daemon = daemons.start(
        f'pool "default" {{ processes = 4 threads = 1 '
        f'queues = {{"default", "other"}} modules = {{"{handlers}"}} }}\n'
        'queue "default" { max_running = 1 }\n'
        'queue "other" { max_running = 1 }\n'
    )
    pause = {"queue": "default"}
    with daemon.client() as client:
        shaky = Shaky(client, tmp_path)
        shaky.crash(STRIKES)
        daemon.wait_log(OPENS)
        first = shaky.submit("first")["id"]
        shaky.wait_held(first)
        # Its turn would come; and that of the next one, which then waits.
        client.rpc("queue.pause", pause)
        other = shaky.submit("other", queue="other")["id"]
        shaky.wait_held(other)
        shaky.cause.unlink()
        assert client.wait(other)[0]["state"] == "succeeded"
        assert client.task(first)["state"] == "ready"
        client.rpc("queue.resume", pause)
        assert client.wait(first)[0]["state"] == "succeeded"


def test_pause_of_the_one_that_is_tried(daemons, handlers, tmp_path, gate):
    """It can't start for want of a worker, and then not at all."""
    daemon = daemons.start(
        f'pool "default" {{ processes = 2 threads = 1 '
        f'queues = {{"default", "other"}} modules = {{"{handlers}"}} }}\n'
    )
    with daemon.client() as client:
        shaky = Shaky(client, tmp_path)
        for i in range(STRIKES):
            shaky.crash(1)
            daemon.wait_workers(2)
        daemon.wait_log(OPENS)
        first = shaky.submit("first")["id"]
        other = shaky.submit("other", queue="other")["id"]
        shaky.wait_held(first, other)
        busy = [client.submit("gate", gate.args) for _ in range(2)]
        client.wait_running(*busy)
        daemon.wait_log(f"task {first} is tried")
        client.rpc("queue.pause", {"queue": "default"})
        shaky.cause.unlink()
        gate.open()
        assert client.wait(other)[0]["state"] == "succeeded"
        assert client.task(first)["run"] == 0
