# SPDX-License-Identifier: ISC
"""ganger map: a task for each line of the input."""

import hashlib
import json
import os
import pty
import re
import signal
import subprocess

import pytest

from ganger import GANGER, LIMIT, scaled, wait_until

pytestmark = pytest.mark.skipif(
    not GANGER.exists(), reason="ganger is not built"
)


@pytest.fixture(scope="module")
def daemon(shared_daemons, handlers):
    return shared_daemons.start(
        f"""pool "default" {{ processes = 2 threads = 2
            modules = {{"{handlers}"}} }}"""
    )


@pytest.fixture
def env(daemon):
    return {"PATH": os.environ["PATH"], "GANGER_SOCKET": str(daemon.socket)}


@pytest.fixture
def run_map(env):
    def run(*args, stdin=""):
        return subprocess.run(
            [GANGER, "map", *map(str, args)],
            env=env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=LIMIT * 4,
        )

    return run


def lines(values):
    return "".join(json.dumps(value) + "\n" for value in values)


def parse(text):
    return [json.loads(line) for line in text.splitlines()]


def test_results_come_in_the_order_of_the_input(run_map):
    values = [{"ms": 40 - i} for i in range(40)]
    done = run_map("sleep", stdin=lines(values))
    assert (done.returncode, done.stderr) == (0, "")
    results = parse(done.stdout)
    assert len(results) == 40
    for value, result in zip(values, results):
        assert result["slept_ms"] >= value["ms"]


def test_many_lines(run_map):
    count = scaled(20000, 1000)
    done = run_map("echo", stdin=lines(range(count)))
    assert done.returncode == 0
    assert parse(done.stdout) == list(range(count))


def test_unordered_results_are_all_there(run_map):
    values = list(range(1000))
    done = run_map("--unordered", "echo", stdin=lines(values))
    assert done.returncode == 0
    assert sorted(parse(done.stdout)) == values


def test_unordered_results_do_not_wait_for_the_slow(run_map):
    values = [{"ms": 1500}] + [{"ms": 1}] * 20
    done = run_map("--unordered", "--jobs", 4, "sleep", stdin=lines(values))
    assert parse(done.stdout)[-1]["slept_ms"] >= 1500


@pytest.mark.parametrize("jobs", [1, 2, 500])
def test_any_number_of_jobs_gives_the_same(run_map, jobs):
    done = run_map("--jobs", jobs, "echo", stdin=lines(range(300)))
    assert parse(done.stdout) == list(range(300))


def test_lines_of_text_become_a_member(run_map, folder):
    paths = []
    for i in range(20):
        path = folder / f"file {i} é \"q\""
        path.write_bytes(os.urandom(i * 100))
        paths.append(path)
    done = run_map(
        "--as", "path", "sha512", stdin="".join(f"{p}\n" for p in paths)
    )
    assert (done.returncode, done.stderr) == (0, "")
    for path, result in zip(paths, parse(done.stdout)):
        assert result["path"] == str(path)
        digest = hashlib.sha512(path.read_bytes()).hexdigest()
        assert result["sha512"] == digest


def test_input_may_come_from_files(run_map, folder):
    one, two = folder / "one", folder / "two"
    one.write_text("1\n2\n")
    two.write_text("3\n4")  # no newline at its end
    done = run_map("echo", one, two)
    assert parse(done.stdout) == [1, 2, 3, 4]
    done = run_map("echo", one, "-", stdin="5\n")
    assert parse(done.stdout) == [1, 2, 5]


def test_missing_file_is_told(run_map, folder):
    done = run_map("echo", folder / "none")
    assert done.returncode not in (0, 1)
    assert str(folder / "none") in done.stderr


def test_no_lines_are_no_results(run_map):
    done = run_map("echo", stdin="")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_first_failure_ends_it(run_map):
    values = [{"message": f"number {i}"} for i in range(100)]
    done = run_map("--jobs", 1, "fail", stdin=lines(values))
    assert done.returncode == 1
    assert "number 0" in done.stderr
    assert "number 99" not in done.stderr
    assert done.stdout == ""


def test_keep_going_runs_the_rest(run_map, folder):
    good = folder / "good"
    good.write_text("x")
    paths = [str(good), "/no/such/one", str(good), "/no/such/two", str(good)]
    done = run_map(
        "--keep-going", "--as", "path", "sha512", stdin="\n".join(paths) + "\n"
    )
    assert done.returncode == 1
    assert "/no/such/one" in done.stderr and "/no/such/two" in done.stderr
    results = [r for r in parse(done.stdout) if r and "sha512" in r]
    assert len(results) == 3


def test_failure_names_the_line(run_map, folder):
    path = folder / "input"
    path.write_text(lines([{"ms": 1}, {"ms": 1}, {"ms": "x"}]))
    done = run_map("--keep-going", "sleep", path)
    assert done.returncode == 1
    assert re.search(rf"{re.escape(str(path))}:3\b", done.stderr), done.stderr


def test_line_that_is_no_json_is_told_with_its_number(run_map):
    done = run_map("echo", stdin="1\nnonsense\n3\n")
    assert done.returncode not in (0, None)
    assert "2" in done.stderr and "JSON" in done.stderr


def test_unknown_name_is_told_once(run_map):
    done = run_map("ehco", stdin=lines(range(1000)))
    assert done.returncode == 65
    assert done.stderr.count("ehco") <= 3


def test_output_that_is_closed_ends_it(env):
    process = subprocess.Popen(
        f"yes 1 | {GANGER} map echo | head -n 3",
        shell=True,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    out, _ = process.communicate(timeout=LIMIT * 2)
    assert out == "1\n1\n1\n"


def test_interrupt_cancels_what_has_not_started(env, daemon, gate):
    values = lines([gate.args] * 4 + [{"path": "/"}] * 50)
    process = subprocess.Popen(
        [GANGER, "map", "--jobs", "54", "gate"],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdin.write(values)
    process.stdin.flush()

    def counts():
        stats = daemon.rpc("server.stats")
        return stats["running"], stats["ready"]

    wait_until(lambda: counts() == (4, 50), "all are submitted")
    process.send_signal(signal.SIGINT)
    wait_until(lambda: counts()[1] == 0, "those that wait are cancelled")
    gate.open()
    process.communicate(timeout=LIMIT)
    assert process.returncode in (130, -signal.SIGINT)
    wait_until(lambda: counts() == (0, 0), "the others are done")


def run_on_terminal(env, *args, stdin):
    """Run with stderr on a terminal; what was shown there, and stdout."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [GANGER, "map", *args],
        env={**env, "TERM": "xterm"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=slave,
        text=True,
    )
    os.close(slave)
    out, _ = process.communicate(stdin, timeout=LIMIT * 2)
    shown = b""
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:
            break
        if not data:
            break
        shown += data
    os.close(master)
    return process.returncode, out, shown.decode(errors="replace")


def test_progress_is_shown_on_a_terminal(env, folder):
    """How far of how much, how fast, and how long; then it is wiped away."""
    path = folder / "input"
    path.write_text(lines([{"ms": 60}] * 40))
    status, out, shown = run_on_terminal(env, "sleep", str(path), stdin="")
    assert status == 0
    assert len(parse(out)) == 40
    assert re.search(r"\b[1-9]\d*/40\b.*/s.*left", shown), shown
    assert "\x1b[36m" in shown
    assert shown.endswith("\r\x1b[K")


def test_progress_of_a_pipe_has_no_total(env):
    values = lines([{"ms": 60}] * 40)
    status, out, shown = run_on_terminal(env, "sleep", stdin=values)
    assert status == 0
    assert len(parse(out)) == 40
    assert re.search(r"[1-9]\d* done +\d+/s", shown), shown


def test_progress_has_no_colour_where_none_is_wanted(env, folder):
    path = folder / "input"
    path.write_text(lines([{"ms": 60}] * 20))
    env = {**env, "NO_COLOR": "1"}
    _, _, shown = run_on_terminal(env, "sleep", str(path), stdin="")
    assert "/20" in shown
    assert "\x1b[36m" not in shown


def test_progress_is_not_shown_in_a_pipe(run_map):
    done = run_map("sleep", stdin=lines([{"ms": 60}] * 40))
    assert done.stderr == ""
