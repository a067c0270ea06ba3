# SPDX-License-Identifier: ISC
"""The checker of the fault tests finds what it is there to find."""

import copy

import pytest

from checker import History, Spec, check

MS = 1_000_000


def task(ident, token, **more):
    return {
        "id": ident,
        "name": "ledger",
        "queue": "default",
        "state": "succeeded",
        "args": {"token": token},
        "attempt": 1,
        "run": 1,
        "result": token,
        "submitted_at": f"2026-11-21T00:00:{ident:02}.000Z",
        "finished_at": f"2026-11-21T00:00:{ident:02}.500Z",
        **more,
    }


class World:
    """A history that is right, for tests to spoil."""

    def __init__(self):
        self.history = History()
        self.lines = []
        self.tasks = {}

    def add(self, ident, token, told=True, ran=True, spec=None, **more):
        self.history.wanted(Spec(token, **(spec or {})))
        self.answer(ident, token)
        self.tasks[ident] = task(ident, token, **more)
        if ran:
            self.run(ident, token)
        if told:
            self.tell(ident)

    def answer(self, ident, token, duplicate=False):
        n = self.history.n_told()
        self.history.answered(token, ident, duplicate, 0, n)

    def begin(self, ident, token, ns=MS, attempt=1, pid=1):
        self.lines.append(f"B {ident} {attempt} {pid} {ns} {token}\n")

    def end(self, ident, token, outcome="ok", ns=MS, attempt=1, pid=1):
        line = f"E {ident} {attempt} {pid} {ns} {token} {outcome}\n"
        self.lines.append(line)

    def run(self, ident, token, **more):
        self.begin(ident, token, **more)
        self.end(ident, token, **more)

    def tell(self, ident):
        offset = len("".join(self.lines))
        self.history.ended(copy.deepcopy(self.tasks[ident]), offset)

    def check(self):
        return check(self.history, "".join(self.lines), self.tasks)


@pytest.fixture
def world():
    return World()


def assert_one(world, words):
    wrong = world.check()
    assert wrong and all(words in sentence for sentence in wrong), wrong


def test_a_right_history_is_right(world):
    world.add(1, "plain")
    world.add(2, "a", spec={"key": "k", "seq": 1})
    world.add(3, "b", spec={"key": "k", "seq": 2})
    world.add(4, "u", spec={"unique": "x"})
    world.add(5, "v", spec={"unique": "x"})
    world.history.wanted(Spec("unanswered"))
    world.add(6, "cut", ran=False, told=False, run=2, recoveries=1)
    world.begin(6, "cut")
    world.run(6, "cut", pid=2)
    world.add(7, "once", spec={"at_most_once": True})
    world.history.wanted(Spec("i", idempotency_key="i"))
    world.answer(8, "i")
    world.answer(8, "i", duplicate=True)
    world.tasks[8] = task(8, "i")
    world.run(8, "i")
    assert world.check() == []


def test_a_lost_task(world):
    world.add(1, "a", told=False)
    del world.tasks[1]
    assert_one(world, "lost")


def test_a_task_that_never_ends(world):
    world.add(1, "a", told=False, state="ready")
    assert_one(world, "has not ended")


def test_a_submit_that_made_two_tasks(world):
    world.add(1, "a")
    world.tasks[2] = task(2, "a")
    world.run(2, "a")
    assert_one(world, "submitted once")


def test_two_ids_for_one_submit(world):
    world.add(1, "a", spec={"idempotency_key": "i"})
    world.add(2, "b")
    world.answer(2, "a", duplicate=True)
    assert any("several ids" in text for text in world.check())
    assert any("no duplicate" in text for text in world.check())


def test_a_task_out_of_nothing(world):
    world.tasks[1] = task(1, "ghost")
    assert_one(world, "never submitted")


def test_an_id_that_was_given_to_another(world):
    world.add(1, "a", told=False)
    world.history.wanted(Spec("b"))
    world.answer(1, "b")
    assert_one(world, "another task")


def test_a_wrong_end(world):
    world.add(1, "a", state="quarantined")
    assert_one(world, "ended quarantined")


def test_success_without_a_run_and_the_result_of_another(world):
    world.add(1, "a", ran=False)
    assert_one(world, "no run of it did")
    world = World()
    world.add(1, "a", result="b")
    assert_one(world, "result of another")


@pytest.mark.parametrize(
    "change",
    [{"run": 2, "recoveries": 1}, {"finished_at": "2026-11-21T00:01:00.000Z"}],
)
def test_an_outcome_that_changes(world, change):
    world.add(1, "a")
    world.tasks[1].update(change)
    assert_one(world, "then as")


def test_an_end_that_is_taken_back(world):
    world.add(1, "a")
    world.tasks[1]["state"] = "running"
    wrong = world.check()
    assert any("is running again" in sentence for sentence in wrong), wrong


def test_a_run_after_the_end_was_told(world):
    world.add(1, "a")
    world.begin(1, "a", pid=2)
    assert_one(world, "ran again")


def test_runs_and_attempts_that_do_not_add_up(world):
    world.add(1, "a", run=2)
    assert_one(world, "do not add up")
    world = World()
    world.add(1, "a", attempt=2, run=2)
    assert_one(world, "took 2 attempts")


def test_a_delay_that_is_cut_short(world):
    world.add(1, "a", spec={"delay_ms": 100}, ran=False, told=False)
    world.run(1, "a", ns=90 * MS)
    assert_one(world, "after its submit")
    world.lines.clear()
    world.run(1, "a", ns=101 * MS)
    assert world.check() == []


def test_a_key_out_of_order(world):
    world.add(1, "a", spec={"key": "k", "seq": 2})
    world.add(2, "b", spec={"key": "k", "seq": 1})
    assert_one(world, "submitted after it")


def test_a_recovered_task_that_comes_after_its_successor(world):
    world.add(1, "a", told=False, spec={"key": "k", "seq": 1})
    world.add(2, "b", spec={"key": "k", "seq": 2})
    world.run(1, "a", pid=2)
    assert_one(world, "submitted after it")


def test_two_of_a_key_at_once(world):
    for ident, token in ((1, "a"), (2, "b")):
        spec = {"key": "k", "seq": ident}
        world.add(ident, token, ran=False, told=False, spec=spec)
    world.begin(1, "a")
    world.begin(2, "b")
    world.end(1, "a")
    world.end(2, "b")
    assert_one(world, "while 1 ran")
    # A process that died has no end, and the next may begin.
    world = World()
    world.add(1, "a", ran=False, told=False, spec={"key": "k", "seq": 1})
    world.tasks[1].update(run=2, recoveries=1)
    world.begin(1, "a")
    world.run(1, "a", pid=2)
    assert world.check() == []


def test_a_unique_that_is_held_twice(world):
    world.add(1, "a", spec={"unique": "x"})
    world.add(
        2, "b", spec={"unique": "x"}, submitted_at="2026-11-21T00:00:01.400Z"
    )
    assert_one(world, "while 1 held it")


def test_a_duplicate_of_what_has_ended(world):
    world.add(1, "a", spec={"unique": "x"})
    world.history.wanted(Spec("b", unique="x"))
    world.answer(1, "b", duplicate=True)
    assert_one(world, "long ended")


def test_a_duplicate_of_something_else(world):
    world.add(1, "a", spec={"unique": "x"}, told=False)
    world.history.wanted(Spec("b", unique="y"))
    world.answer(1, "b", duplicate=True)
    assert_one(world, "no duplicate")


def test_at_most_once_that_ran_twice(world):
    world.add(1, "a", ran=False, spec={"at_most_once": True}, told=False)
    world.tasks[1].update(run=2, recoveries=1)
    world.begin(1, "a")
    world.run(1, "a", pid=2)
    assert_one(world, "at most once wanted")
