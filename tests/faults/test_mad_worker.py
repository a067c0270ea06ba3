# SPDX-License-Identifier: ISC
"""A worker whose memory is broken may say anything: it is not believed."""

import signal

import pytest

from broker import Broker

TEN_YEARS = 10 * 365 * 86400 * 1000
INT64_MAX = 2**63 - 1


@pytest.fixture
def broker(folder):
    broker = Broker(folder)
    broker.expect("ready")
    yield broker
    log = broker.log()
    broker.kill()
    bad = ("Sanitizer", "runtime error", "ssertion")
    assert not any(word in log for word in bad), log[-5000:]


def die(worker, task, run, signo=signal.SIGSEGV):
    """Be gone, with that on the page as the culprit."""
    worker.sock.close()
    worker.broker.order(
        "worker.gone",
        pid=worker.pid,
        status=f"killed by signal {int(signo)}",
        signal=int(signo),
        task=task,
        run=run,
    )


# What is on the page


@pytest.mark.parametrize(
    "task, run", [(999999, 1), (1, 999999), (-1, -1), (INT64_MAX, 1)]
)
def test_task_that_names_another_is_quarantined_all_the_same(
    broker, task, run
):
    """Whatever it leaves on the page: it does not crash workers for ever."""
    client = broker.client()
    ident = client.submit("work", backoff_ms=1)
    for _ in range(4):  # the first death makes it a suspect
        worker = broker.worker()
        worker.take()
        die(worker, task, run)
    (ended,) = client.wait(ident)
    assert (ended["state"], ended["attempt"]) == ("quarantined", 3)


def test_task_behind_one_that_was_answered_is_not_guilty_of_its_crash(broker):
    """The culprit had answered, and took its worker down on its way out."""
    client = broker.client()
    worker = broker.worker(threads=1)
    culprit = client.submit("work")
    run = worker.take()
    worker.succeed(run)
    client.wait(culprit)
    ident = client.submit("work", retries=0)
    worker.take()
    die(worker, culprit, run["params"]["run"])
    fresh = broker.worker(threads=1)
    fresh.succeed(fresh.take(), "done")
    (ended,) = client.wait(ident)
    assert (ended["state"], ended["attempt"], ended["run"]) == (
        "succeeded",
        1,
        2,
    )


def test_siblings_of_a_culprit_that_is_none_of_them_run_alone(broker):
    client = broker.client()
    worker = broker.worker()
    ids = [client.submit("work", n, retries=0) for n in range(2)]
    for _ in ids:
        worker.take()
    die(worker, 999999, 1)
    fresh = broker.worker()
    for _ in ids:
        run = fresh.take()
        assert fresh.is_idle()
        fresh.succeed(run)
    assert {t["state"] for t in client.wait(*ids)} == {"succeeded"}


# What it says on its channel


@pytest.mark.parametrize("delay_ms", [TEN_YEARS + 1, INT64_MAX])
@pytest.mark.parametrize("how", ["retry", "snooze"])
def test_wait_that_a_handler_asks_for_has_a_limit(broker, how, delay_ms):
    client = broker.client()
    ident = client.submit("work", retries=1)
    worker = broker.worker()
    run = worker.take()
    if how == "retry":
        worker.fail(run, "later", retry_after_ms=delay_ms)
    else:
        params = run["params"]
        worker.notify(
            "task.snooze",
            id=params["id"],
            run=params["run"],
            delay_ms=delay_ms,
        )
    # Its answer to this comes behind that.
    other = client.submit("work")
    worker.succeed(worker.take())
    client.wait(other)
    task = client.task(ident)
    assert task["state"] == "scheduled"
    assert "2026" < task["run_at"] < "2100"
