# SPDX-License-Identifier: ISC
"""Fixtures of the black-box tests."""

import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))

from fake import FakeDaemon  # noqa: E402
from ganger import (  # noqa: E402
    GANGER,
    GANGERD,
    LIMIT,
    LONG,
    ROOT,
    Daemons,
    Gate,
    build_module,
)

HANG = 6 * 3600 if LONG else int(LIMIT * 2) + 120


def pytest_sessionstart(session):
    # Also when the tests are ended from outside, what they started goes.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A shell's background job is started without it, and its children too.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGQUIT) is signal.SIG_IGN:
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    if not GANGERD.exists():
        raise pytest.UsageError(f"{GANGERD} is not built")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    setattr(item, "report_" + outcome.get_result().when, outcome.get_result())


@pytest.fixture(autouse=True)
def no_hang(request):
    """A test that hangs fails, and its daemons are still cleaned away."""

    def on_alarm(number, frame):
        raise TimeoutError(f"{request.node.name} hangs")

    old = signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(HANG)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, old)


@pytest.fixture
def daemons(request):
    """Start daemons; each must stop cleanly when the test went well."""
    group = Daemons()
    yield group
    report = getattr(request.node, "report_call", None)
    if report is not None and report.failed:
        for daemon in group.all:
            if daemon.log_path.exists():
                print(f"--- {daemon.log_path}\n{daemon.log()[-10000:]}")
        group.kill()
    else:
        group.finish()


@pytest.fixture(scope="module")
def shared_daemons():
    group = Daemons()
    yield group
    group.finish()


@pytest.fixture(scope="module")
def shared(shared_daemons):
    """A daemon for the tests of a module that leave it as it was."""
    return shared_daemons.start()


@pytest.fixture
def client(shared):
    with shared.client() as connection:
        yield connection


@pytest.fixture
def folder():
    """A folder with a short name: a socket's path must fit its address."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="ganger-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def built_module(name):
    path = pathlib.Path(tempfile.mkdtemp(prefix="ganger-", dir="/tmp"))
    path.chmod(0o755)
    source = ROOT / "tests" / "lib" / f"{name}.c"
    yield build_module(path, name, source.read_text())
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def handlers():
    """The path of the tests' own task module."""
    yield from built_module("handlers")


@pytest.fixture(scope="session")
def ledger_module():
    """The path of the one that writes down what really ran."""
    yield from built_module("ledger")


@pytest.fixture
def ganger(folder):
    """Run ganger against a daemon that answers so."""
    made = []

    def run(answers, *args):
        path = folder / f"s{len(made)}"
        made.append(FakeDaemon(path, answers))
        done = subprocess.run(
            [GANGER, "-s", path, *args],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )
        done.requests = made[-1].requests
        return done

    yield run
    for daemon in made:
        daemon.listener.close()


@pytest.fixture
def gate(folder):
    return Gate(folder)


@pytest.fixture
def gates(folder):
    """Make as many gates as wanted."""
    return lambda: Gate(folder)
